//! Durations, in the file and on the command line: one whole number and one unit, `"30s"`.
//! [`parse_duration`] reads what [`show_duration`] writes as the same time.

use thiserror::Error;

/// Ten years: beyond any use, and far from where sums of times in milliseconds overflow.
pub const DURATION_MAX_MS: u64 = 3_650 * DAY_MS;

const DAY_MS: u64 = 24 * 3_600_000;

/// The units in milliseconds, longest first, so that a time is shown in the longest that fits.
const UNITS: [(&str, u64); 5] =
    [("d", DAY_MS), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Why a text is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DurationError {
    /// There is a number, but no unit.
    #[error("\"{0}\" has no unit")]
    NoUnit(String),
    /// It is not a whole number and a unit.
    #[error("\"{0}\" is not a duration")]
    NotADuration(String),
    /// It is more than [`DURATION_MAX_MS`].
    #[error("\"{0}\" is longer than ten years")]
    TooLong(String),
}

impl DurationError {
    /// What to write instead.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoUnit(text) => format!("write \"{text}s\" for seconds; units: ms, s, m, h, d"),
            Self::NotADuration(_) => {
                "write a whole number and a unit (ms, s, m, h, d), such as \"30s\" or \"250ms\""
                    .to_owned()
            }
            Self::TooLong(_) => "the longest is \"3650d\"".to_owned(),
        })
    }
}

/// Milliseconds in a duration such as `"250ms"`, `"30s"`, `"5m"`, `"1h"` or `"14d"`.
///
/// `"0s"` is a duration; a bare number, a sign, a fraction and a space are not.
///
/// # Errors
///
/// See [`DurationError`].
pub fn parse_duration(text: &str) -> Result<u64, DurationError> {
    let owned = || text.to_owned();
    let digits_end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(digits_end);
    if digits.is_empty() {
        return Err(DurationError::NotADuration(owned()));
    }
    if unit.is_empty() {
        return Err(DurationError::NoUnit(owned()));
    }
    let (_, unit_ms) = UNITS
        .iter()
        .find(|(name, _)| *name == unit)
        .ok_or_else(|| DurationError::NotADuration(owned()))?;
    digits
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(*unit_ms))
        .filter(|ms| *ms <= DURATION_MAX_MS)
        .ok_or_else(|| DurationError::TooLong(owned()))
}

/// `ms` as the shortest whole number and unit: 90,000 is `90s`, 60,000 is `1m`, 0 is `0s`.
pub fn show_duration(ms: u64) -> String {
    if ms == 0 {
        return "0s".to_owned();
    }
    UNITS
        .iter()
        .find(|(_, unit_ms)| ms.is_multiple_of(*unit_ms))
        .map_or_else(|| format!("{ms}ms"), |(name, unit_ms)| format!("{}{name}", ms / unit_ms))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_duration_is_a_whole_number_and_a_unit() {
        for (text, ms) in [
            ("250ms", 250),
            ("30s", 30_000),
            ("5m", 300_000),
            ("1h", 3_600_000),
            ("14d", 14 * DAY_MS),
            ("0s", 0),
            ("3650d", DURATION_MAX_MS),
        ] {
            assert_eq!(parse_duration(text), Ok(ms), "{text}");
        }
    }

    #[test]
    fn a_number_without_a_unit_gets_one_in_the_hint() {
        let error = parse_duration("30").unwrap_err();
        assert_eq!(error, DurationError::NoUnit("30".into()));
        assert!(error.hint().unwrap().contains("\"30s\""));
    }

    #[test]
    fn signs_fractions_spaces_and_unknown_units_are_refused() {
        for text in ["", "s", "-5s", "+5s", "1.5s", "5 s", " 5s", "5s ", "5S", "1h30m", "5w", "٣s"]
        {
            assert_eq!(
                parse_duration(text),
                Err(DurationError::NotADuration(text.into())),
                "{text:?}"
            );
        }
    }

    #[test]
    fn what_does_not_fit_is_too_long_and_never_wraps() {
        for text in ["3651d", "18446744073709551615h", "99999999999999999999999999s"] {
            assert_eq!(parse_duration(text), Err(DurationError::TooLong(text.into())), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back_as_the_same_time(ms in 0..=DURATION_MAX_MS) {
            prop_assert_eq!(parse_duration(&show_duration(ms)), Ok(ms));
        }
    }
}
