//! Amounts of memory: one whole number and one unit, `"256MiB"`. There is one spelling, because
//! tools disagree on `256m` and `256MB`. [`parse_bytes`] reads what [`show_bytes`] writes as the
//! same amount.

use thiserror::Error;

/// One PiB: beyond any machine, and far from where sums overflow.
pub const BYTES_MAX: u64 = 1 << 50;

/// The units in bytes, longest first, so that an amount is shown in the largest that fits.
const UNITS: [(&str, u64); 5] =
    [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Why a text is not an amount of memory.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BytesError {
    /// It is not a whole number and a unit.
    #[error("\"{0}\" is not an amount of memory")]
    NotBytes(String),
    /// It is more than [`BYTES_MAX`].
    #[error("\"{0}\" is more than 1024TiB")]
    TooMany(String),
}

impl BytesError {
    /// What to write instead.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotBytes(text) => meant(text).map_or_else(in_general, |meant| {
                format!("write \"{}\"; units: B, KiB, MiB, GiB, TiB", show_bytes(meant))
            }),
            Self::TooMany(_) => "the most is \"1024TiB\"".to_owned(),
        })
    }
}

/// Bytes in an amount such as `"512KiB"`, `"256MiB"` or `"1GiB"`.
///
/// `"0B"` is an amount; a bare number, a sign, a fraction, a space and a decimal unit (`MB`) are
/// not.
///
/// # Errors
///
/// See [`BytesError`].
pub fn parse_bytes(text: &str) -> Result<u64, BytesError> {
    let (digits, unit) = split(text);
    let Some((_, unit_bytes)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(BytesError::NotBytes(text.to_owned()));
    };
    if digits.is_empty() {
        return Err(BytesError::NotBytes(text.to_owned()));
    }
    times(digits, *unit_bytes).ok_or_else(|| BytesError::TooMany(text.to_owned()))
}

/// `bytes` as the shortest whole number and unit: 268,435,456 is `256MiB`, 1,500 is `1500B`.
pub fn show_bytes(bytes: u64) -> String {
    let fits = |(_, unit): &&(&str, u64)| bytes > 0 && bytes.is_multiple_of(*unit);
    UNITS
        .iter()
        .find(fits)
        .map_or_else(|| format!("{bytes}B"), |(name, unit)| format!("{}{name}", bytes / unit))
}

fn split(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

fn times(digits: &str, unit: u64) -> Option<u64> {
    let bytes = digits.parse::<u64>().ok()?.checked_mul(unit)?;
    (bytes <= BYTES_MAX).then_some(bytes)
}

/// What a user of other tools most likely meant: `256m`, `256 MB`, `256` (a replica has at least a
/// megabyte) or `268435456`.
fn meant(text: &str) -> Option<u64> {
    let (digits, unit) = split(text.trim());
    let unit = unit.trim().to_ascii_lowercase();
    let found = match unit.as_str() {
        "" => times(digits, 1).filter(|bytes| *bytes >= 1 << 20).map(|_| 1).or(Some(1 << 20)),
        "b" | "byte" | "bytes" => Some(1),
        "k" | "kb" | "kib" | "ki" => Some(1 << 10),
        "m" | "mb" | "mib" | "mi" => Some(1 << 20),
        "g" | "gb" | "gib" | "gi" => Some(1 << 30),
        "t" | "tb" | "tib" | "ti" => Some(1 << 40),
        _ => None,
    };
    times(digits, found?).filter(|bytes| *bytes > 0)
}

fn in_general() -> String {
    "write a whole number and a unit (B, KiB, MiB, GiB, TiB), such as \"256MiB\"".to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_amount_is_a_whole_number_and_a_binary_unit() {
        for (text, bytes) in
            [("256MiB", 256 << 20), ("1GiB", 1 << 30), ("0B", 0), ("1024TiB", BYTES_MAX)]
        {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn spellings_of_other_tools_are_answered_with_ours() {
        for text in ["256m", "256M", "256MB", "256mb", "256 MiB", "256mib", "256", "268435456"] {
            let hint = parse_bytes(text).unwrap_err().hint().unwrap();
            assert!(hint.contains("\"256MiB\""), "{text}: {hint}");
        }
        for text in ["", "MiB", "-1MiB", "+1MiB", "1.5GiB", "0x10B", "much", "٣MiB", "0"] {
            let hint = parse_bytes(text).unwrap_err().hint().unwrap();
            assert!(hint.contains("such as \"256MiB\""), "{text}: {hint}");
        }
    }

    #[test]
    fn what_does_not_fit_is_too_much_and_never_wraps() {
        for text in ["1025TiB", "18446744073709551615KiB", "99999999999999999999999999B"] {
            assert_eq!(parse_bytes(text), Err(BytesError::TooMany(text.into())), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back_as_the_same_amount(bytes in 0..=BYTES_MAX) {
            prop_assert_eq!(parse_bytes(&show_bytes(bytes)), Ok(bytes));
        }
    }
}
