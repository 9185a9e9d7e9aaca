//! Signals that end a container, as numbers, because Docker reports them as numbers.

use std::str::FromStr;

use nix::sys::signal::Signal;

/// What Docker sends where a container names no signal of its own.
const TERM: i32 = 15;
/// The first signal that a program may give a meaning of its own.
const REALTIME_FIRST: i32 = 34;
/// `SIGINT`, `SIGABRT`, `SIGKILL` and `SIGTERM`. Not `SIGQUIT`, at which a Java machine writes down
/// what its threads do, nor those at which programs reload their files.
const ENDS: [i32; 4] = [2, 6, 9, TERM];

/// The number of a signal by its name (`SIGQUIT`, `QUIT`, `SIGRTMIN+3`) or number; `SIGTERM` for
/// none and for one that is unknown.
pub(crate) fn number(signal: Option<&str>) -> i32 {
    let name = signal.unwrap_or_default().trim().to_ascii_uppercase();
    let short = name.strip_prefix("SIG").unwrap_or(&name);
    if let Ok(number) = short.parse() {
        return number;
    }
    if let Some(further) = short.strip_prefix("RTMIN") {
        let further = further.strip_prefix('+').unwrap_or("0").parse().unwrap_or(0);
        return REALTIME_FIRST.saturating_add(further);
    }
    Signal::from_str(&format!("SIG{short}")).map_or(TERM, |signal| signal as i32)
}

/// Whether `sent` is meant to end a container whose own stop signal is `stop`.
pub(crate) fn ends(sent: &str, stop: i32) -> bool {
    let sent = number(Some(sent));
    sent == stop || ENDS.contains(&sent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_known_by_its_name_and_by_its_number() {
        for (text, wanted) in [
            ("SIGQUIT", 3),
            ("quit", 3),
            ("15", 15),
            ("SIGWINCH", 28),
            ("SIGRTMIN+3", 37),
            ("RTMIN", 34),
            ("", TERM),
            ("SIGNONE", TERM),
        ] {
            assert_eq!(number(Some(text)), wanted, "{text}");
        }
        assert_eq!(number(None), TERM);
    }

    #[test]
    fn the_containers_own_stop_signal_ends_it_and_a_reload_does_not() {
        assert!(ends("15", TERM) && ends("9", TERM) && ends("2", TERM));
        assert!(ends("28", 28), "Apache's own");
        for sent in ["1", "3", "10", "12", "28"] {
            assert!(!ends(sent, TERM), "{sent}");
        }
    }
}
