//! Shares: a number and a percent sign in quotes, `"30%"`. There is one spelling, because tools
//! disagree on `30`, `"30"` and `0.3`. An accepted share is finite and not negative.

use thiserror::Error;

/// Why a text is not a share.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("\"{text}\" is not a share")]
pub struct ShareError {
    text: String,
}

impl ShareError {
    /// What to write instead.
    pub fn hint(&self) -> Option<String> {
        Some(self.text.parse().map_or_else(|_| in_general(), instead_of_number))
    }
}

/// The share that `"30%"` stands for: 0.3. Fractions (`"12.5%"`) are fine; no sign, no space.
///
/// # Errors
///
/// Everything else, also a bare number in quotes.
pub fn parse_share(text: &str) -> Result<f64, ShareError> {
    let refuse = || ShareError { text: text.to_owned() };
    let number = text.strip_suffix('%').ok_or_else(refuse)?;
    let plain = number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let starts_with_digit = number.bytes().next().is_some_and(|b| b.is_ascii_digit());
    // Nine characters hold 99999.999: no share is larger or finer, and none overflows.
    if !plain || !starts_with_digit || number.len() > 9 {
        return Err(refuse());
    }
    number.parse::<f64>().map(|percent| percent / 100.0).map_err(|_| refuse())
}

/// `share` as it is written: 0.3 is `30%`.
pub fn show_share(share: f64) -> String {
    let percent = (share * 100.0 * 1e6).round() / 1e6;
    format!("{percent}%")
}

/// The hint for a bare `number`: what its writer most likely meant.
pub(crate) fn instead_of_number(number: f64) -> String {
    if number == 1.0 {
        "a share is written with a percent sign: \"100%\", or \"1%\"".to_owned()
    } else if number > 0.0 && number < 1.0 {
        format!("a share is written with a percent sign: \"{}\"", show_share(number))
    } else if (1.0..=1000.0).contains(&number) {
        format!("a share is written with a percent sign: \"{number}%\"")
    } else {
        in_general()
    }
}

fn in_general() -> String {
    "a share is a number and a percent sign in quotes, such as \"30%\"".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_number_and_a_percent_sign() {
        for (text, share) in [("30%", 0.3), ("0%", 0.0), ("12.5%", 0.125), ("100%", 1.0)] {
            assert_eq!(parse_share(text), Ok(share), "{text}");
        }
    }

    #[test]
    fn every_other_spelling_is_refused() {
        for text in [
            "30", "0.3", "%", "-30%", "+30%", "30 %", "30%%", "1e9%", "NaN%", "inf%", ".5%",
            "1.2.3%", "",
        ] {
            assert!(parse_share(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn thirty_in_any_spelling_is_answered_with_thirty_percent() {
        for text in ["30", "0.3", "30.0"] {
            let hint = parse_share(text).unwrap_err().hint().unwrap();
            assert!(hint.contains("\"30%\""), "{text}: {hint}");
        }
        assert!(parse_share("1").unwrap_err().hint().unwrap().contains("\"100%\""));
        assert!(parse_share("NaN").unwrap_err().hint().unwrap().contains("such as \"30%\""));
    }
}
