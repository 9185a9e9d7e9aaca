//! Limits on the size of a simulation, checked before anything runs, so that memory is bounded for
//! any command line.

use crate::failure::Failure;

/// Values of all loads together: 128 MB.
const VALUES_MAX: usize = 16_000_000;
/// Runs: a policy over a load each. Notes of one take up to 0.5 MB.
const RUNS_MAX: usize = 1_000;
/// Steps of all runs together, of each of which the supply is kept: 160 MB.
const STEPS_MAX: usize = 20_000_000;
/// Steps of all runs that a page shows; browsers draw no more.
const PAGE_STEPS_MAX: usize = 1_000_000;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) policies: usize,
    pub(super) loads: usize,
    /// Values of the loads, as they are replayed.
    pub(super) values: usize,
    /// Steps in which demand is compared with supply, of all loads.
    pub(super) steps: usize,
    /// Whether a page is written.
    pub(super) page: bool,
}

/// Refuses what would take too much.
pub(super) fn check(size: Size) -> Result<(), Failure> {
    let Size { policies, loads, values, steps, page } = size;
    let runs = policies.saturating_mul(loads);
    let steps = policies.saturating_mul(steps);
    let refused = |what: String, hint: &str| Err(Failure::new(what).hint(hint));
    if values > VALUES_MAX {
        let what = format!("the loads have {values} values, over {VALUES_MAX}");
        return refused(what, "simulate fewer at a time, or on a coarser --grid");
    }
    if runs > RUNS_MAX {
        let what = format!("{policies} policies over {loads} loads are over {RUNS_MAX} runs");
        return refused(what, "simulate fewer at a time");
    }
    if steps > STEPS_MAX {
        let what = format!("{policies} policies have {steps} steps to go, over {STEPS_MAX}");
        return refused(what, "simulate fewer at a time, or on a coarser --grid");
    }
    if page && steps > PAGE_STEPS_MAX {
        let what = format!("a page of {steps} steps is over {PAGE_STEPS_MAX}");
        return refused(what, "omit --report, or use a coarser --grid");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: Size =
        Size { policies: 12, loads: 2, values: 2_419_200, steps: 40_320, page: true };

    #[test]
    fn what_would_take_too_much_is_refused_with_what_to_do() {
        assert!(check(USUAL).is_ok());
        let long = Size { steps: 100_000, ..USUAL };
        let cases = [
            (Size { values: 16_000_001, ..USUAL }, "the loads have 16000001 values"),
            (Size { policies: 501, ..USUAL }, "501 policies over 2 loads"),
            (Size { policies: usize::MAX, ..USUAL }, "policies over 2 loads"),
            (Size { steps: 10_000_000, ..USUAL }, "12 policies have 120000000 steps"),
            (long, "a page of 1200000 steps"),
        ];
        for (size, words) in cases {
            let refused = check(size).unwrap_err().to_string();
            assert!(refused.contains(words) && refused.contains("hint: "), "{refused}");
        }
        assert!(check(Size { page: false, ..long }).is_ok());
    }
}
