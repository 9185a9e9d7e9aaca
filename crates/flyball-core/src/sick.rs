//! A replica that fails: since when, by whose word, and what becomes of it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::timing::Timing;
use crate::units::{ReplicaId, Timestamp, seconds};

/// A replica that fails.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Sick {
    /// Which one.
    pub replica: ReplicaId,
    /// Since when it has failed without a break, so far as looks saw it.
    pub since: Timestamp,
    /// Who says so.
    pub cause: Cause,
    /// What it did, as the end of a sentence: "5 answers in a row were 500".
    pub why: String,
    /// What becomes of it.
    pub standing: SickTreatment,
}

/// Who says that a replica fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// What runs it, such as a container's own health check.
    Engine,
    /// The probe by which it became ready.
    Probe,
    /// What spreads requests, by how it answers them.
    Balancer,
}

/// What becomes of a replica that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum SickTreatment {
    /// It is no capacity and gets no requests.
    Out,
    /// It is no capacity, and gets requests all the same: there is no other.
    Last,
    /// It counts and gets requests as if it were well, since too many others fail, too.
    Kept,
}

impl Sick {
    /// Whether its requests are left as they are: by the balancer that watches it, or because
    /// there is no other.
    pub(crate) fn stays_routed(&self) -> bool {
        self.cause == Cause::Balancer || self.standing == SickTreatment::Last
    }

    /// Whether it has been sick for so long that it is replaced.
    pub(crate) fn is_lasting(&self, now: Timestamp, timing: &Timing) -> bool {
        // A health check of a container's own has had its patience.
        self.cause == Cause::Engine || now.ms_since(self.since) >= timing.sick_after_ms
    }
}

impl Sick {
    /// `web-2 fails for 12 s: 5 answers in a row were 500`, and what becomes of it.
    pub fn describe(&self, now: Timestamp) -> String {
        let Self { replica, why, .. } = self;
        let lasts_s = seconds(now.ms_since(self.since));
        format!("{replica} for {lasts_s:.0} s: {why}; {}", self.standing)
    }
}

impl fmt::Display for Sick {
    /// `web-2 is sick: 5 answers in a row were 500; it gets no requests and is no capacity`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is sick: {}; it {}", self.replica, self.why, self.standing)
    }
}

impl fmt::Display for SickTreatment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Out => "gets no requests and does not count as capacity",
            Self::Last => "does not count as capacity, but is the only one to get requests",
            Self::Kept => "still gets requests because too many fail",
        })
    }
}
