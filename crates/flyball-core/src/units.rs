//! Basic units. The core has no clock: callers pass in every [`Timestamp`]. A time difference is
//! never negative; a reading from the future has age 0.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A moment on a clock that never runs backwards, in milliseconds since an origin that only the
/// caller knows (boot time when live, 0 in a simulation).
///
/// It is not wall-clock time and says nothing about the date.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The moment `ms` milliseconds after the origin.
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the origin.
    pub const fn as_ms(self) -> u64 {
        self.0
    }

    /// Milliseconds from `earlier` to `self`; 0 if `earlier` is not earlier.
    pub const fn ms_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The moment `ms` milliseconds later.
    pub const fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }
}

/// The name of one replica, unique within its service for as long as anybody remembers it.
///
/// The plan makes them up as `SERVICE-NUMBER`; an adopted replica keeps the name it came with.
/// Names of a service sort by their numbers: `web-9` before `web-10`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct ReplicaId {
    /// Read off the name once: names are compared far more often than made.
    number: Option<u64>,
    /// Shared: the same name stands in the memory, the observation and the plan of every look.
    name: Arc<str>,
}

#[cfg(feature = "schema")]
impl utoipa::PartialSchema for ReplicaId {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        String::schema()
    }
}

#[cfg(feature = "schema")]
impl utoipa::ToSchema for ReplicaId {}

impl ReplicaId {
    /// Takes `name` as it is.
    pub fn new(name: impl Into<String>) -> Self {
        let name: Arc<str> = name.into().into();
        let number = name.rsplit_once('-').and_then(|(_, digits)| digits.parse().ok());
        Self { number, name }
    }

    /// The `number`-th replica of `service`.
    pub fn numbered(service: &str, number: u64) -> Self {
        Self { number: Some(number), name: format!("{service}-{number}").into() }
    }

    /// The number behind the last dash, if the name ends in one.
    pub fn number(&self) -> Option<u64> {
        self.number
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.name
    }
}

impl From<String> for ReplicaId {
    fn from(name: String) -> Self {
        Self::new(name)
    }
}

impl From<ReplicaId> for String {
    fn from(id: ReplicaId) -> Self {
        id.name.as_ref().to_owned()
    }
}

impl Ord for ReplicaId {
    fn cmp(&self, other: &Self) -> Ordering {
        // Most names are compared with another handle of themselves.
        let same = || Arc::ptr_eq(&self.name, &other.name);
        self.number.cmp(&other.number).then_with(|| match same() {
            true => Ordering::Equal,
            false => self.name.cmp(&other.name),
        })
    }
}

impl PartialOrd for ReplicaId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Seconds in `ms` milliseconds.
#[expect(clippy::cast_precision_loss, reason = "times stay far below 2^52 ms")]
pub fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

/// Whole replicas that cover `demand` replicas' worth of work, rounded up.
///
/// A hair (1e-9) is forgiven so that 3.0000000001 from floating point is 3, not 4. Zero, negative
/// and NaN demand give 0; anything above `u32::MAX` gives `u32::MAX`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float-to-int cast saturates, and NaN becomes 0: both are wanted here"
)]
pub fn replicas_for(demand: f64) -> u32 {
    (demand - 1e-9).ceil() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn age_of_a_reading_from_the_future_is_zero() {
        assert_eq!(Timestamp::from_ms(5).ms_since(Timestamp::from_ms(9)), 0);
    }

    #[test]
    fn replica_names_carry_their_number() {
        assert_eq!(ReplicaId::numbered("web-a", 12).number(), Some(12));
        assert_eq!(ReplicaId::new("proud_newton").number(), None);
        assert!(ReplicaId::numbered("web", 9) < ReplicaId::numbered("web", 10));
    }

    #[test]
    fn rounding_up_forgives_a_hair_and_takes_nonsense_as_zero() {
        assert_eq!(replicas_for(3.000_000_000_1), 3);
        assert_eq!(replicas_for(3.01), 4);
        assert_eq!(replicas_for(-1.0), 0);
        assert_eq!(replicas_for(f64::NAN), 0);
        assert_eq!(replicas_for(f64::INFINITY), u32::MAX);
    }
}
