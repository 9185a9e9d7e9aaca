//! What goes wrong, as one look saw it, for people to read. No count depends on it. A cause is
//! given as it was reported, never made up.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::observation::Source;
use crate::units::{ReplicaId, Timestamp, seconds};

/// Everything that goes wrong; empty while nothing does.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Trouble {
    /// The replica that has been starting for the longest, once that shows.
    pub not_ready: Option<NotReady>,
    /// Starts that failed one after another, while replicas are missing.
    pub failed_starts: Option<FailedStarts>,
    /// Sources whose readings are missing or too old.
    pub silent: Vec<Silence>,
}

/// A replica that is not ready yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct NotReady {
    /// Which one.
    pub replica: ReplicaId,
    /// When its start was requested.
    pub since: Timestamp,
    /// What its readiness check was last answered: "GET /healthz at 10.0.0.7:80 answers 404".
    pub why: String,
    /// How many more replicas are not ready either.
    pub more: u32,
}

/// Starts that failed, without one in between that stayed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct FailedStarts {
    /// How many.
    pub count: u32,
    /// What the last one said.
    pub why: String,
}

/// A source that does not respond.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Silence {
    /// Whose readings are missing.
    pub source: Source,
    /// When it last spoke.
    pub since: Timestamp,
    /// Why, in the source's own words; empty if it just did not answer.
    pub why: String,
}

/// What became of the requests of the last minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct LastMinute {
    /// The time that these figures are over, in milliseconds: a minute, or as long as there are
    /// any.
    pub window_ms: u64,
    /// Requests that arrived; no fewer than failed.
    pub arrivals: f64,
    /// Requests that failed, for any cause.
    pub failed: f64,
    /// Those of them that a replica failed: it answered 5xx, or broke its answer off.
    pub by_replicas: f64,
    /// Those that the balancer refused: its queue was full, or no replica was free in time.
    pub by_balancer: f64,
    /// Those that no replica was there for, or none that accepts connections.
    pub unreachable: f64,
}

impl LastMinute {
    /// The share of the arrivals that failed, in 0..1; 0 where nothing arrived.
    pub fn share(&self) -> f64 {
        if self.arrivals > 0.0 { self.failed / self.arrivals } else { 0.0 }
    }

    /// Failed requests per second; 0 where the window is empty.
    pub fn failed_per_s(&self) -> f64 {
        if self.window_ms > 0 { self.failed / seconds(self.window_ms) } else { 0.0 }
    }

    /// Whether a share of more than `limit` failed, and not by chance: three requests, or all that
    /// there were.
    pub fn is_failing(&self, limit: f64) -> bool {
        let counts = self.failed >= 2.5 || self.failed >= 0.5 && self.failed >= self.arrivals;
        counts && self.share() > limit
    }
}

impl fmt::Display for LastMinute {
    /// `187 of 9000 requests in the last minute failed (2.1 %): 180 answered with an error by a
    /// replica; 7 not accepted by any replica`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { failed, arrivals, .. } = self;
        let span = match self.window_ms {
            55_000.. => "the last minute".to_owned(),
            ms => format!("the last {} s", ms.div_ceil(1000)),
        };
        // All but one are not all of them.
        let most = if failed < arrivals { 99.9 } else { 100.0 };
        let percent = (self.share() * 100.0).min(most);
        let digits = usize::from(percent < 9.95 || (99.05..100.0).contains(&percent));
        write!(f, "{failed:.0} of {arrivals:.0} requests in {span} failed ({percent:.digits$} %)")?;
        let told = [
            (self.by_replicas, "answered with an error by a replica"),
            (self.by_balancer, "rejected by the balancer because no replica was free in time"),
            (self.unreachable, "not accepted by any replica"),
        ];
        let mut told: Vec<_> = told.into_iter().filter(|(count, _)| *count >= 0.5).collect();
        told.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        if let [(_, what)] = told[..] {
            return write!(f, ": {what}");
        }
        for (i, (count, what)) in told.into_iter().enumerate() {
            write!(f, "{} {count:.0} {what}", if i == 0 { ":" } else { ";" })?;
        }
        Ok(())
    }
}

impl fmt::Display for NotReady {
    /// `web-1 is not ready: GET /healthz at 10.0.0.7:80 answers 404 (and 2 more)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not ready: {}", self.replica, self.why)?;
        if self.more > 0 {
            write!(f, " (and {} more)", self.more)?;
        }
        Ok(())
    }
}

impl fmt::Display for FailedStarts {
    /// `3 starts failed one after another, the last was web-9: exit status 1`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.count {
            1 => write!(f, "the last start failed: {}", self.why),
            count => write!(f, "{count} starts failed one after another, the last: {}", self.why),
        }
    }
}

impl fmt::Display for Silence {
    /// `no answer from the engine: docker is not running`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.why.as_str() {
            "" => write!(f, "no reading from {}", self.source),
            why => f.write_str(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: LastMinute = LastMinute {
        window_ms: 60_000,
        arrivals: 9_000.0,
        failed: 187.0,
        by_replicas: 180.0,
        by_balancer: 0.0,
        unreachable: 7.0,
    };

    #[test]
    fn failed_requests_are_told_with_who_failed_them_the_most_first() {
        assert_eq!(
            MINUTE.to_string(),
            "187 of 9000 requests in the last minute failed (2.1 %): 180 answered with an error by \
             a replica; 7 not accepted by any replica"
        );
        let young =
            LastMinute { window_ms: 12_300, arrivals: 7.0, failed: 7.0, ..LastMinute::default() };
        assert_eq!(young.to_string(), "7 of 7 requests in the last 13 s failed (100 %)");
        let most = LastMinute { failed: 8_999.0, by_replicas: 8_999.0, unreachable: 0.0, ..MINUTE };
        let said = "failed (99.9 %): answered with an error by a replica";
        assert!(most.to_string().ends_with(said), "{most}");
        let refused = LastMinute { by_balancer: 7.0, ..young };
        let said = "failed (100 %): rejected by the balancer because no replica was free in time";
        assert!(refused.to_string().ends_with(said), "{refused}");
    }

    #[test]
    fn one_failure_of_many_is_chance_and_the_only_request_that_fails_is_not() {
        let of = |failed, arrivals| LastMinute { failed, arrivals, ..MINUTE }.is_failing(0.01);
        assert!(of(187.0, 9_000.0) && of(3.0, 4.0) && of(1.0, 1.0));
        assert!(!of(1.0, 20.0) && !of(2.0, 20.0), "too few to tell");
        assert!(!of(90.0, 9_000.0), "no more than the limit");
        assert!(!of(0.0, 0.0) && !of(0.0, 50.0));
    }
}
