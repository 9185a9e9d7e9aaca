//! One replica more beyond a level, one less beyond another: the shape of the simple scripts. Does
//! not know what is measured, nor how often. One replica at a time, and never past the rule's own
//! bounds.

/// Levels with what a value exactly at one does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Threshold {
    /// A value beyond this adds one.
    pub(super) out_at: f64,
    /// A value beyond this, downwards, removes one.
    pub(super) in_at: f64,
    /// Whether a value exactly at a level is beyond it.
    pub(super) inclusive: bool,
    /// The rule's own bounds; `None`: it has none, and no floor.
    pub(super) bounds: Option<(u32, u32)>,
}

impl Threshold {
    /// Both levels times `scale`, as reasons have them: `15..30`.
    pub(super) fn levels(self, scale: f64) -> String {
        format!("{:.0}..{:.0}", self.in_at * scale, self.out_at * scale)
    }

    /// The count after `value` was measured of `current` replicas.
    pub(super) fn step(self, current: u32, value: f64) -> u32 {
        let beyond = |far: f64| far > 0.0 || (self.inclusive && far == 0.0);
        let (min, max) = self.bounds.unwrap_or((0, u32::MAX));
        if beyond(value - self.out_at) && current < max {
            current + 1
        } else if beyond(self.in_at - value) && current > min {
            current - 1
        } else {
            current
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{amest, jcwimer, sketch};
    use super::*;

    #[track_caller]
    fn steps(rule: Threshold, cases: &[(u32, f64, u32)]) {
        for (current, value, expected) in cases {
            assert_eq!(rule.step(*current, *value), *expected, "{current} at {value}");
        }
    }

    #[test]
    fn each_script_moves_by_one_beyond_its_own_levels() {
        let seed =
            [(4, 0.30, 5), (4, 0.29, 4), (4, 0.16, 4), (4, 0.15, 3), (1, 0.0, 0), (0, 0.0, 0)];
        steps(sketch::Settings::default().rule(), &seed);
        let jcwimer = [(9, 0.86, 10), (9, 0.85, 9), (9, 0.25, 9), (9, 0.24, 8)];
        steps(jcwimer::Settings::default().rule(), &jcwimer);
        let cases =
            [(4, 0.86, 5), (4, 0.85, 4), (4, 0.25, 4), (4, 0.24, 3), (2, 0.0, 2), (15, 1.0, 15)];
        steps(amest::Settings::default().rule(), &cases);
    }
}
