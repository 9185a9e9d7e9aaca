//! The texts about a service: summary, reason and notices. The full text of a decision is its own
//! `Display`, the same as in the log and on the command line.

use flyball_core::decision::Decision;
use flyball_core::guard::Guard;
use flyball_core::observation::{Ask, Source};
use flyball_core::policy::Bounds;
use flyball_core::rollout::RolloutState;
use flyball_core::trouble::FailedStarts;

use crate::api::{LastSeen, ManualView, Notice, NoticeKind, Service, ServiceView, SleepView};
use crate::moment::wall_ms;

impl From<ServiceView> for Service {
    fn from(mut view: ServiceView) -> Self {
        view.notices = notices(&view);
        let why = view.decision.as_ref().map(Decision::reason);
        let summary = summary(view.decision.as_ref(), view.last_seen.as_ref());
        let sleep = view.decision.as_ref().and_then(SleepView::of);
        Self { summary, why, sleep, view }
    }
}

/// The current and the desired state: "6 replicas ready, 4 starting, going to 10". While the engine
/// does not answer, the text says that the count is unknown, and gives what was `last` seen.
pub fn summary(decision: Option<&Decision>, last: Option<&LastSeen>) -> String {
    let Some(decision) = decision else {
        return "not observed yet".to_owned();
    };
    let seen = &decision.signals;
    if let Some(last) = last {
        return format!("{} ready when last seen, current number unknown", replicas(last.ready));
    }
    if seen.engine_age_ms.is_none() {
        return format!("{} wanted, current number unknown", replicas(decision.desired));
    }
    if decision.is_asleep() {
        return "asleep until the next request".to_owned();
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

/// All notices about a service for people, the most urgent first, one for each cause: those that
/// follow from its decision and from a manual override, and those that the daemon added.
pub fn notices(view: &ServiceView) -> Vec<Notice> {
    with_added(view, |decision| decided(decision, view.error_limit))
}

/// The same for programs, each state separately.
pub(crate) fn states(view: &ServiceView) -> Vec<Notice> {
    with_added(view, |decision| each_decided(decision, view.error_limit))
}

fn with_added(view: &ServiceView, of: impl Fn(&Decision) -> Vec<Notice>) -> Vec<Notice> {
    let mut all: Vec<Notice> = view.manual.iter().map(manual_override).collect();
    all.extend(view.decision.iter().flat_map(of));
    if view.manual.is_some() {
        all.retain(|notice| notice.kind != NoticeKind::Held);
    }
    all.extend(view.notices.iter().cloned());
    all.sort_by_key(|notice| notice.kind);
    all
}

/// The notices that follow from a decision alone, one for each cause. `error_limit` is the share of
/// requests that may fail.
pub fn decided(decision: &Decision, error_limit: f64) -> Vec<Notice> {
    let mut all = each_decided(decision, error_limit);
    // The failed starts and the current one most likely have the same cause. What the current one
    // shows says more, unless the next start has to wait.
    let late = all.iter().position(|notice| notice.kind == NoticeKind::NotReady);
    match (late, &decision.held_starts, &decision.signals.trouble.failed_starts) {
        (Some(_), Some(_), _) => all.retain(|notice| notice.kind != NoticeKind::NotReady),
        (Some(late), None, Some(failed)) => {
            let starts = if failed.count == 1 { "start" } else { "starts" };
            all[late].text += &format!("; {} {starts} before it failed", failed.count);
            all.retain(|notice| notice.kind != NoticeKind::StartsHeld);
        }
        _ => {}
    }
    // The problem is then the replicas that do not start, not the maximum.
    let starts =
        |notice: &Notice| matches!(notice.kind, NoticeKind::StartsHeld | NoticeKind::NotReady);
    if decision.signals.ready < decision.bounds.max && all.iter().any(starts) {
        all.retain(|notice| notice.kind != NoticeKind::AtMaximum);
    }
    all
}

fn each_decided(decision: &Decision, error_limit: f64) -> Vec<Notice> {
    let bounds = decision.bounds;
    let mut all = Vec::new();
    all.extend(blind(decision));
    all.extend(starts_held(decision));
    all.extend(sick(decision));
    all.extend(not_ready(decision));
    all.extend(failing(decision, error_limit));
    all.extend(rollout(decision));
    all.extend(futile(decision));
    all.extend(objective_missed(decision));
    all.extend(at_maximum(decision, bounds));
    all.extend(held(decision, bounds));
    all
}

fn manual_override(manual: &ManualView) -> Notice {
    let (kind, what) = match manual.ask {
        Ask::Pause => (NoticeKind::Paused, "paused".to_owned()),
        Ask::Pin(count) => (NoticeKind::Pinned, format!("pinned at {count}")),
    };
    let notice = Notice::new(kind, format!("{what} by {}", manual.by));
    Notice { until_wall_ms: manual.until_wall_ms, ..notice }
}

fn rollout(decision: &Decision) -> Option<Notice> {
    let rollout = decision.rollout.as_ref()?;
    let kind = match rollout.state {
        RolloutState::Aborted => NoticeKind::RolloutAborted,
        RolloutState::Rolling | RolloutState::Paused | RolloutState::Waiting => NoticeKind::Rollout,
    };
    let since = wall_ms(decision, rollout.since);
    Some(Notice::new(kind, format!("rollout {rollout}")).since(since))
}

fn blind(decision: &Decision) -> Option<Notice> {
    let since = decision.signals.blind_since?;
    let silent = &decision.signals.trouble.silent;
    let engine = silent.iter().any(|silence| silence.source == Source::Engine);
    let so = if engine { "nothing is started or removed" } else { "nothing is removed" };
    let mut causes: Vec<String> = silent.iter().map(ToString::to_string).collect();
    causes.dedup();
    let text = match causes.is_empty() {
        true => format!("blind: no trustworthy reading, so {so}"),
        false => format!("blind, so {so}: {}", causes.join("; ")),
    };
    Some(Notice::new(NoticeKind::Blind, text).since(wall_ms(decision, since)))
}

fn starts_held(decision: &Decision) -> Option<Notice> {
    let notice = |text| Notice::new(NoticeKind::StartsHeld, text);
    if let Some(held) = &decision.held_starts {
        let text = format!("{}; the next start is delayed", FailedStarts::from(held));
        return Some(notice(text).until(wall_ms(decision, held.until)));
    }
    decision.signals.trouble.failed_starts.as_ref().map(|failed| notice(failed.to_string()))
}

/// A slow start is worth a notice if nothing serves meanwhile, or if it takes longer than usual.
fn not_ready(decision: &Decision) -> Option<Notice> {
    /// Until a start lag is measured, and where it is short.
    const LATE_MS: u64 = 10_000;
    let seen = &decision.signals;
    let late = seen.trouble.not_ready.as_ref()?;
    let usual_ms = if seen.start_lag_measured { 2 * seen.start_lag_ms } else { 0 };
    let overdue = decision.at.ms_since(late.since) > usual_ms.max(LATE_MS);
    let shown = seen.ready == 0 || overdue || seen.trouble.failed_starts.is_some();
    shown.then(|| {
        let notice = Notice::new(NoticeKind::NotReady, late.to_string());
        notice.since(wall_ms(decision, late.since))
    })
}

fn failing(decision: &Decision, limit: f64) -> Option<Notice> {
    let minute = decision.signals.last_minute.filter(|minute| minute.is_failing(limit))?;
    Some(Notice::new(NoticeKind::Failing, minute.to_string()))
}

/// Replicas that get a notice each; the rest are counted.
const SICK_MAX: usize = 3;

fn sick(decision: &Decision) -> Vec<Notice> {
    let notice = |text| Notice::new(NoticeKind::Sick, text);
    let shared = decision.shared_fault.iter().map(|fault| notice(fault.clone()));
    let named = decision.sick.iter().take(SICK_MAX);
    let named = named.map(|sick| notice(sick.to_string()).since(wall_ms(decision, sick.since)));
    let more = decision.sick.len().saturating_sub(SICK_MAX);
    let rest = (more > 0).then(|| notice(format!("{more} more replicas are sick")));
    shared.chain(named).chain(rest).collect()
}

fn futile(decision: &Decision) -> Option<Notice> {
    let futile = decision.adjustments.iter().find_map(|step| match &step.guard {
        Guard::Futile(futile) => Some(futile),
        _ => None,
    })?;
    let notice = Notice::new(NoticeKind::Futile, futile.to_string());
    Some(notice.until(wall_ms(decision, futile.until)))
}

/// Beyond the maximum, `AtMaximum` says it.
fn objective_missed(decision: &Decision) -> Option<Notice> {
    let text = decision.broken_objective()?;
    let beyond = asked(decision).is_some_and(|asked| asked > decision.bounds.max);
    (!beyond).then(|| Notice::new(NoticeKind::ObjectiveMissed, text))
}

/// Only where the maximum is a limit: a surplus at the maximum has its own notice, `Held`.
fn at_maximum(decision: &Decision, bounds: Bounds) -> Option<Notice> {
    if decision.desired < bounds.max || bounds.min == bounds.max {
        return None;
    }
    let text = match asked(decision) {
        Some(asked) if asked < bounds.max => return None,
        None if decision.signals.blind_since.is_some() => return None,
        Some(asked) if asked > bounds.max => {
            format!("at its maximum of {}, but {asked} are needed", bounds.max)
        }
        _ => format!("at its maximum of {}", bounds.max),
    };
    Some(Notice::new(NoticeKind::AtMaximum, text))
}

fn held(decision: &Decision, bounds: Bounds) -> Option<Notice> {
    // The minimum is not a surplus.
    let asked = asked(decision)?.max(bounds.min);
    let surplus = decision.desired > asked && !decision.adjustments.is_empty();
    let at = match decision.desired == bounds.max {
        true => format!("its maximum of {}", bounds.max),
        false => decision.desired.to_string(),
    };
    surplus.then(|| Notice::new(NoticeKind::Held, format!("held at {at}, {asked} would be enough")))
}

/// The largest recommended count.
fn asked(decision: &Decision) -> Option<u32> {
    decision.recommendations.iter().map(|r| r.count).max()
}
