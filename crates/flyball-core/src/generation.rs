//! What a replica is made of, as a digest.

use std::fmt;
use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};

/// So many bits of a digest count: the twelve digits that people see are all that there is.
const BITS: u32 = 48;

/// A digest of everything that makes a replica: image, command, environment, limits, mounts and so
/// on. Two replicas of one generation are alike. Shown as twelve hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Generation(NonZeroU64);

#[cfg(feature = "schema")]
impl utoipa::PartialSchema for Generation {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        String::schema()
    }
}

#[cfg(feature = "schema")]
impl utoipa::ToSchema for Generation {}

impl Generation {
    /// The generation with this digest, of which the highest 48 bits count.
    pub fn of_digest(digest: u64) -> Self {
        // Zero is as good a digest as any other, but the type has no room for it.
        Self(NonZeroU64::new(digest >> (u64::BITS - BITS)).unwrap_or(NonZeroU64::MIN))
    }

    /// The generation that `text` shows; `None` where it is not twelve hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let digits =
            text.len() == (BITS / 4) as usize && text.bytes().all(|b| b.is_ascii_hexdigit());
        let number = digits.then(|| u64::from_str_radix(text, 16).ok()).flatten()?;
        NonZeroU64::new(number).map(Self)
    }
}

impl TryFrom<String> for Generation {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or_else(|| format!("`{text}` is not twelve hexadecimal digits"))
    }
}

impl From<Generation> for String {
    fn from(generation: Generation) -> Self {
        generation.to_string()
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:012x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generation_is_read_as_it_is_shown() {
        for digest in [0, 1, u64::MAX, 0x0123_4567_89ab_cdef] {
            let generation = Generation::of_digest(digest);
            assert_eq!(Generation::parse(&generation.to_string()), Some(generation));
        }
        assert_eq!(Generation::of_digest(0x0123_4567_89ab_cdef).to_string(), "0123456789ab");
        for wrong in ["", "0123456789a", "0123456789abc", "+123456789ab", "000000000000"] {
            assert_eq!(Generation::parse(wrong), None, "{wrong}");
        }
    }
}
