//! Compares what each service shows with what it showed before, and tells the targets of `[notify]`
//! what began and what is over. It reads snapshots only, so no look ever waits for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use flyball_config::{Config, NotifyEvent};
use flyball_core::sleep::{Sleep, SleepState};
use flyball_notify::{Notification, Notifier, State, Target};
use flyball_web::{Daemon as _, NoticeKind, ServiceView, notices};
use tokio::sync::watch;
use tokio::time::interval;

use super::registry::Registry;
use crate::clock;

const PERIOD: Duration = Duration::from_secs(1);
/// A service may be at its maximum for a moment in every rise.
const AT_MAXIMUM_MS: u64 = 300_000;
/// A reading that is missing for a moment, as while a system restarts, wakes nobody.
const BLIND_MS: u64 = 30_000;

/// Tells what happens until `stopped`; then sends what is queued.
pub(super) async fn follow(
    targets: Vec<Target>,
    registry: Arc<Registry>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut notifier = Notifier::start(targets);
    let mut watcher = Watcher::default();
    let mut ticks = interval(PERIOD);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stopped.wait_for(|stop| *stop) => break,
        }
        let now_ms = clock::now().as_ms();
        for told in watcher.look(&registry.services(), now_ms, clock::wall_ms()) {
            notifier.tell(&told, now_ms);
        }
    }
    notifier.stop().await;
}

/// The targets of `config`.
pub(super) fn targets(config: &Config) -> Vec<Target> {
    let all = config.notify.iter();
    all.map(|(name, settings)| Target::new(name, settings.clone())).collect()
}

/// What each service showed last.
#[derive(Debug, Default)]
struct Watcher(BTreeMap<String, Shown>);

#[derive(Debug, Default)]
struct Shown {
    going_on: BTreeMap<NotifyEvent, Course>,
    /// The count; `None` before the first decision.
    desired: Option<u32>,
    /// Whether it sleeps; `None` before that is known.
    asleep: Option<bool>,
}

/// An event that goes on.
#[derive(Debug)]
struct Course {
    since_ms: u64,
    /// The latest words about it.
    text: String,
    told: bool,
}

impl Watcher {
    /// What is to be told about `views`. A service that is gone is forgotten.
    fn look(&mut self, views: &[ServiceView], now_ms: u64, wall_ms: i64) -> Vec<Notification> {
        self.0.retain(|name, _| views.iter().any(|view| view.name == *name));
        let mut told = Vec::new();
        for view in views.iter().filter(|view| view.decision.is_some()) {
            let shown = self.0.entry(view.name.clone()).or_default();
            let changes = shown.look(view, now_ms);
            let of = |(event, state, text): (NotifyEvent, State, String)| {
                Notification::new(&view.name, event, state, &text, wall_ms)
            };
            told.extend(changes.into_iter().map(of));
        }
        told
    }
}

impl Shown {
    fn look(&mut self, view: &ServiceView, now_ms: u64) -> Vec<(NotifyEvent, State, String)> {
        let now = events(view);
        let mut changes = self.ended(&now);
        for (event, text) in now {
            let began = || Course { since_ms: now_ms, text: String::new(), told: false };
            let course = self.going_on.entry(event).or_insert_with(began);
            course.text = text;
            if !course.told && now_ms.saturating_sub(course.since_ms) >= lasting_ms(event) {
                course.told = true;
                changes.push((event, State::Began, course.text.clone()));
            }
        }
        changes.extend(self.count(view));
        changes.extend(self.sleep(view));
        changes
    }

    /// What goes on no longer; only what was told has an end.
    fn ended(&mut self, now: &BTreeMap<NotifyEvent, String>) -> Vec<(NotifyEvent, State, String)> {
        let over = |event: &NotifyEvent| !now.contains_key(event);
        let gone: Vec<NotifyEvent> = self.going_on.keys().copied().filter(over).collect();
        let end = |event: NotifyEvent| {
            let course = self.going_on.remove(&event).filter(|course| course.told)?;
            Some((event, State::Over, course.text))
        };
        gone.into_iter().filter_map(end).collect()
    }

    fn count(&mut self, view: &ServiceView) -> Option<(NotifyEvent, State, String)> {
        let desired = view.decision.as_ref()?.desired;
        let before = self.desired.replace(desired).filter(|before| *before != desired)?;
        let text = format!("{before} -> {desired} replicas");
        Some((NotifyEvent::Count, State::Once, text))
    }
}

impl Shown {
    fn sleep(&mut self, view: &ServiceView) -> Option<(NotifyEvent, State, String)> {
        let sleep = view.decision.as_ref()?.sleep.as_ref()?;
        let asleep = match sleep.state {
            SleepState::Unknown => return None,
            SleepState::Asleep { .. } => true,
            SleepState::Awake { .. } | SleepState::FallingAsleep { .. } => false,
        };
        self.asleep.replace(asleep).filter(|before| *before != asleep)?;
        let (event, text) = match asleep {
            true => (NotifyEvent::Slept, "asleep until the next request".to_owned()),
            false => (NotifyEvent::Woke, woken(sleep)),
        };
        Some((event, State::Once, text))
    }
}

fn woken(sleep: &Sleep) -> String {
    match &sleep.last_wake {
        Some(wake) => format!("woken by {}", wake.cause),
        None => "awake".to_owned(),
    }
}

/// How long an event must last before it is told.
fn lasting_ms(event: NotifyEvent) -> u64 {
    match event {
        NotifyEvent::AtMaximum => AT_MAXIMUM_MS,
        NotifyEvent::Blind => BLIND_MS,
        NotifyEvent::StartsHeld
        | NotifyEvent::Sick
        | NotifyEvent::Failing
        | NotifyEvent::RolloutAborted
        | NotifyEvent::Trouble
        | NotifyEvent::Futile
        | NotifyEvent::ObjectiveMissed
        | NotifyEvent::Slept
        | NotifyEvent::Woke
        | NotifyEvent::Count => 0,
    }
}

/// What goes on, by the notices that the page shows, with the words of the first of each kind.
fn events(view: &ServiceView) -> BTreeMap<NotifyEvent, String> {
    let mut all = BTreeMap::new();
    for notice in notices(view) {
        if let Some(event) = event_of(notice.kind) {
            all.entry(event).or_insert(notice.text);
        }
    }
    all
}

fn event_of(kind: NoticeKind) -> Option<NotifyEvent> {
    match kind {
        NoticeKind::Blind => Some(NotifyEvent::Blind),
        NoticeKind::StartsHeld | NoticeKind::NotReady => Some(NotifyEvent::StartsHeld),
        NoticeKind::Sick => Some(NotifyEvent::Sick),
        NoticeKind::Failing => Some(NotifyEvent::Failing),
        NoticeKind::RolloutAborted => Some(NotifyEvent::RolloutAborted),
        NoticeKind::Trouble => Some(NotifyEvent::Trouble),
        NoticeKind::Futile => Some(NotifyEvent::Futile),
        NoticeKind::ObjectiveMissed => Some(NotifyEvent::ObjectiveMissed),
        NoticeKind::AtMaximum => Some(NotifyEvent::AtMaximum),
        NoticeKind::Rollout | NoticeKind::Paused | NoticeKind::Pinned | NoticeKind::Held => None,
    }
}

#[cfg(test)]
mod tests;
