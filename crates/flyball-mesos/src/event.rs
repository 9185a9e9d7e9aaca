//! Events of a master. An unknown or malformed event is [`Event::Other`] and does no harm; a
//! missing value is never taken for zero.

use serde::Deserialize;
use serde_json::Value;

use crate::offer::Offer;

/// One event.
#[derive(Debug)]
pub(crate) enum Event {
    Subscribed {
        framework: String,
    },
    Offers(Vec<Offer>),
    /// An offer is no more.
    Rescind(String),
    Update(Update),
    /// The framework has ended, or this subscription to it.
    Error(String),
    /// An agent is gone, or something on one has failed: updates report the rest.
    Failure,
    Other,
}

/// What became of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Update {
    pub(crate) task: String,
    pub(crate) agent: Option<String>,
    pub(crate) state: TaskState,
    pub(crate) message: String,
    /// There if it is to be acknowledged.
    pub(crate) uuid: Option<String>,
}

/// Mesos's states of a task, as far as they make a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TaskState {
    /// On its way to an agent, or being prepared there.
    Staging,
    Running,
    Killing,
    /// Its program ended, or was ended.
    Ended(&'static str),
    /// It never ran, through no fault of its own.
    Dropped,
    /// Its agent does not answer; it may be running.
    Unreachable,
    /// It is unknown, or no longer known.
    Gone,
}

impl TaskState {
    pub(crate) fn of(word: &str) -> Option<Self> {
        Some(match word {
            "TASK_STAGING" | "TASK_STARTING" => Self::Staging,
            "TASK_RUNNING" => Self::Running,
            "TASK_KILLING" => Self::Killing,
            "TASK_FINISHED" => Self::Ended("finished"),
            "TASK_FAILED" => Self::Ended("failed"),
            "TASK_KILLED" => Self::Ended("killed"),
            "TASK_ERROR" => Self::Ended("refused by mesos"),
            "TASK_DROPPED" => Self::Dropped,
            "TASK_UNREACHABLE" => Self::Unreachable,
            "TASK_LOST" | "TASK_GONE" | "TASK_GONE_BY_OPERATOR" | "TASK_UNKNOWN" => Self::Gone,
            _ => return None,
        })
    }

    /// Whether nothing of it is left.
    pub(crate) fn is_over(self) -> bool {
        matches!(self, Self::Ended(_) | Self::Dropped | Self::Gone)
    }
}

/// `{"value": ...}`, as Mesos writes every id.
#[derive(Deserialize)]
struct Id {
    value: String,
}

#[derive(Deserialize)]
struct Raw {
    #[serde(rename = "type", default)]
    kind: String,
    subscribed: Option<RawSubscribed>,
    offers: Option<RawOffers>,
    rescind: Option<RawRescind>,
    update: Option<RawUpdate>,
    error: Option<RawError>,
}

#[derive(Deserialize)]
struct RawSubscribed {
    framework_id: Id,
}

#[derive(Deserialize)]
struct RawOffers {
    #[serde(default)]
    offers: Vec<Value>,
}

#[derive(Deserialize)]
struct RawRescind {
    offer_id: Id,
}

#[derive(Deserialize)]
struct RawUpdate {
    status: RawStatus,
}

#[derive(Deserialize)]
struct RawStatus {
    task_id: Id,
    agent_id: Option<Id>,
    #[serde(default)]
    state: String,
    #[serde(default)]
    message: String,
    uuid: Option<String>,
}

#[derive(Deserialize)]
struct RawError {
    #[serde(default)]
    message: String,
}

impl Event {
    /// Reads one record.
    ///
    /// # Errors
    /// It is no JSON object, or an event lacks what it is about.
    pub(crate) fn of(record: &[u8]) -> Result<Self, String> {
        let raw: Raw = serde_json::from_slice(record).map_err(|error| error.to_string())?;
        let without = || format!("a {} without content", raw.kind);
        Ok(match raw.kind.as_str() {
            "SUBSCRIBED" => {
                let framework = raw.subscribed.ok_or_else(without)?.framework_id.value;
                Self::Subscribed { framework }
            }
            "OFFERS" => {
                let offers = raw.offers.ok_or_else(without)?.offers;
                Self::Offers(offers.iter().filter_map(Offer::of).collect())
            }
            "RESCIND" => Self::Rescind(raw.rescind.ok_or_else(without)?.offer_id.value),
            "UPDATE" => update(raw.update.ok_or_else(without)?.status),
            "ERROR" => Self::Error(raw.error.map(|error| error.message).unwrap_or_default()),
            "FAILURE" => Self::Failure,
            _ => Self::Other,
        })
    }
}

fn update(status: RawStatus) -> Event {
    let Some(state) = TaskState::of(&status.state) else {
        tracing::debug!(state = status.state, "a state of a task that is not known");
        return Event::Other;
    };
    Event::Update(Update {
        task: status.task_id.value,
        agent: status.agent_id.map(|id| id.value),
        state,
        message: status.message,
        uuid: status.uuid,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_is_read_with_what_must_be_acknowledged() {
        let text = r#"{"type":"UPDATE","update":{"status":{"task_id":{"value":"web-1.x"},
            "agent_id":{"value":"S0"},"state":"TASK_RUNNING","uuid":"dKlq1qP4TLS4922TSw7/cQ==",
            "source":"SOURCE_EXECUTOR","timestamp":1795408141.69}}}"#;
        let Ok(Event::Update(update)) = Event::of(text.as_bytes()) else { panic!("no update") };
        assert_eq!((update.task.as_str(), update.state), ("web-1.x", TaskState::Running));
        assert_eq!(update.uuid.as_deref(), Some("dKlq1qP4TLS4922TSw7/cQ=="));
    }

    #[test]
    fn what_is_unknown_is_passed_over_and_what_is_broken_is_said() {
        for other in [r#"{"type":"HEARTBEAT"}"#, r#"{"type":"NEW_IN_2"}"#, "{}"] {
            assert!(matches!(Event::of(other.as_bytes()), Ok(Event::Other)), "{other}");
        }
        for broken in ["", "[]", "nonsense", r#"{"type":"OFFERS"}"#, r#"{"type":"UPDATE"}"#] {
            assert!(Event::of(broken.as_bytes()).is_err(), "{broken}");
        }
        let strange = br#"{"type":"OFFERS","offers":{"offers":[{}, {"id":{"value":"o"}}, 7]}}"#;
        assert!(matches!(Event::of(strange), Ok(Event::Offers(offers)) if offers.is_empty()));
    }
}
