//! Chance, in one stream for each purpose, so that a change of policy changes neither load nor
//! luck. The algorithm is ChaCha with 12 rounds: a seed gives the same streams on every machine and
//! in every later version.

use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;

/// The generator of one stream.
pub type Stream = ChaCha12Rng;

/// What chance is drawn for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// When requests arrive.
    Arrivals,
    /// How much work a request is.
    ServiceTimes,
    /// How long replicas take to start.
    StartLags,
    /// Which replica a request goes to.
    Balancing,
    /// Errors of measurement.
    MetricNoise,
    /// What breaks, and when.
    Faults,
}

/// A seed and all its streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seed(pub u64);

impl Seed {
    /// The stream for `purpose`, from its beginning.
    pub fn stream(self, purpose: Purpose) -> Stream {
        self.lane(purpose, 0)
    }

    /// The `lane`-th stream for `purpose`: one of its own for, say, each replica.
    pub fn lane(self, purpose: Purpose, lane: u32) -> Stream {
        let mut stream = ChaCha12Rng::seed_from_u64(self.0);
        let number = match purpose {
            Purpose::Arrivals => 1,
            Purpose::ServiceTimes => 2,
            Purpose::StartLags => 3,
            Purpose::Balancing => 4,
            Purpose::MetricNoise => 5,
            Purpose::Faults => 6,
        };
        stream.set_stream((number << 32) | u64::from(lane));
        stream
    }
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;

    #[test]
    fn streams_differ_and_repeat() {
        let first = |purpose, lane| Seed(7).lane(purpose, lane).next_u64();
        assert_eq!(first(Purpose::Arrivals, 0), first(Purpose::Arrivals, 0));
        assert_ne!(first(Purpose::Arrivals, 0), first(Purpose::Arrivals, 1));
        assert_ne!(first(Purpose::Arrivals, 0), first(Purpose::Faults, 0));
        assert_ne!(first(Purpose::Arrivals, 0), Seed(8).stream(Purpose::Arrivals).next_u64());
    }
}
