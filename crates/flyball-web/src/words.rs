//! Says in words what a service does: its headline, its reason and what must not be missed.
//!
//! Works from a decision alone and measures nothing. Invariant: the full text of a decision is its
//! own `Display`, the same as in the log and on the command line.

use serde::Serialize;
use utoipa::ToSchema;

use flyball_core::decision::Decision;
use flyball_core::guard::Guard;
use flyball_core::observation::Ask;
use flyball_core::plan::HeldStarts;
use flyball_core::policy::Bounds;
use flyball_core::units::Timestamp;

use crate::shapes;
use crate::view::{LastSeen, ManualView, Notice, NoticeKind, ServiceView};

/// A decision with its explanation.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Explained {
    /// What changes, in one line.
    pub headline: String,
    /// What decided, in one line.
    pub why: String,
    /// The whole explanation.
    pub text: String,
    /// The record that all three come from.
    #[schema(value_type = shapes::Decision)]
    pub decision: Decision,
}

impl From<Decision> for Explained {
    fn from(decision: Decision) -> Self {
        Self {
            headline: decision.headline(),
            why: decision.reason(),
            text: decision.to_string(),
            decision,
        }
    }
}

/// Where a service is and where it goes: "6 replicas ready, 4 starting, going to 10". Without the
/// engine nobody knows where it is, and that is what it says then, with what was seen `last`.
pub fn summary(decision: Option<&Decision>, last: Option<&LastSeen>) -> String {
    let Some(decision) = decision else {
        return "not looked at yet".to_owned();
    };
    let seen = &decision.seen;
    if let Some(last) = last {
        return format!("{} ready when last seen, how many run is unknown", replicas(last.ready));
    }
    if seen.engine_age_ms.is_none() {
        return format!("{} wanted, how many run is unknown", replicas(decision.desired));
    }
    let mut line = format!("{} ready", replicas(seen.ready));
    if seen.starting > 0 {
        line += &format!(", {} starting", seen.starting);
    }
    if seen.draining > 0 {
        line += &format!(", {} draining", seen.draining);
    }
    if seen.unhealthy > 0 {
        line += &format!(", {} unhealthy", seen.unhealthy);
    }
    if decision.desired != seen.ready {
        line += &format!(", going to {}", decision.desired);
    }
    line
}

fn replicas(count: u32) -> String {
    format!("{count} {}", if count == 1 { "replica" } else { "replicas" })
}

/// Every state of a service that must not be missed, the most pressing first: those that follow
/// from its decision and from what was asked by hand, and those the daemon added.
pub fn notices(view: &ServiceView) -> Vec<Notice> {
    let mut all: Vec<Notice> = view.manual.iter().map(by_hand).collect();
    if let Some(decision) = &view.decision {
        all.extend(blind(decision));
        all.extend(decision.held_starts.as_ref().map(|held| starts_held(decision, held)));
        all.extend(sick(decision));
        all.extend(futile(decision));
        all.extend(at_maximum(decision, view.bounds));
        all.extend(held(decision, view.bounds).filter(|_| view.manual.is_none()));
    }
    all.extend(view.notices.iter().cloned());
    all.sort_by_key(|notice| notice.kind);
    all
}

fn by_hand(manual: &ManualView) -> Notice {
    let (kind, what) = match manual.ask {
        Ask::Pause => (NoticeKind::Paused, "paused".to_owned()),
        Ask::Pin(count) => (NoticeKind::Pinned, format!("pinned at {count}")),
    };
    let text = format!("{what} by {}", manual.by);
    Notice { kind, text, since_wall_ms: None, until_wall_ms: manual.until_wall_ms }
}

fn blind(decision: &Decision) -> Option<Notice> {
    let since = decision.seen.blind_since?;
    Some(Notice {
        kind: NoticeKind::Blind,
        text: "blind: no trustworthy reading, so nothing is removed".to_owned(),
        since_wall_ms: Some(wall_ms(decision, since)),
        until_wall_ms: None,
    })
}

fn starts_held(decision: &Decision, held: &HeldStarts) -> Notice {
    let HeldStarts { count, failures, why, .. } = held;
    let starts = if *count == 1 { "1 start" } else { &format!("{count} starts") };
    Notice {
        kind: NoticeKind::StartsHeld,
        text: format!("{starts} held back after {failures} failures: {why}"),
        since_wall_ms: None,
        until_wall_ms: Some(wall_ms(decision, held.until)),
    }
}

/// Replicas that one notice each is about; the rest are counted.
const SICK_MAX: usize = 3;

fn sick(decision: &Decision) -> Vec<Notice> {
    let notice = |text, since: Option<Timestamp>| Notice {
        kind: NoticeKind::Sick,
        text,
        since_wall_ms: since.map(|since| wall_ms(decision, since)),
        until_wall_ms: None,
    };
    let shared = decision.shared_fault.iter().map(|fault| notice(fault.clone(), None));
    let named = decision.sick.iter().take(SICK_MAX).map(|sick| {
        let text = format!("{} is sick: {}; it {}", sick.replica, sick.why, sick.standing);
        notice(text, Some(sick.since))
    });
    let more = decision.sick.len().saturating_sub(SICK_MAX);
    let rest = (more > 0).then(|| notice(format!("{more} more replicas are sick"), None));
    shared.chain(named).chain(rest).collect()
}

fn futile(decision: &Decision) -> Option<Notice> {
    let futile = decision.moves.iter().find_map(|step| match &step.guard {
        Guard::Futile(futile) => Some(futile),
        _ => None,
    })?;
    Some(Notice {
        kind: NoticeKind::Futile,
        text: futile.to_string(),
        since_wall_ms: None,
        until_wall_ms: Some(wall_ms(decision, futile.until)),
    })
}

fn at_maximum(decision: &Decision, bounds: Bounds) -> Option<Notice> {
    if decision.desired < bounds.max || bounds.min == bounds.max {
        return None;
    }
    let text = match asked(decision) {
        Some(asked) if asked > bounds.max => {
            format!("at its maximum of {}, {asked} would be needed", bounds.max)
        }
        _ => format!("at its maximum of {}", bounds.max),
    };
    Some(Notice { kind: NoticeKind::AtMaximum, text, since_wall_ms: None, until_wall_ms: None })
}

fn held(decision: &Decision, bounds: Bounds) -> Option<Notice> {
    // The floor is no surplus.
    let asked = asked(decision)?.max(bounds.min);
    let surplus = decision.desired > asked && !decision.moves.is_empty();
    surplus.then(|| Notice {
        kind: NoticeKind::Held,
        text: format!("held at {}, {asked} would do", decision.desired),
        since_wall_ms: None,
        until_wall_ms: None,
    })
}

/// The largest count that a signal asked for.
fn asked(decision: &Decision) -> Option<u32> {
    decision.recommendations.iter().map(|r| r.count).max()
}

/// The wall-clock time of a moment that `decision` names.
fn wall_ms(decision: &Decision, moment: Timestamp) -> i64 {
    let signed = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
    let ahead = signed(moment.ms_since(decision.at));
    let behind = signed(decision.at.ms_since(moment));
    decision.wall_ms.saturating_add(ahead).saturating_sub(behind)
}
