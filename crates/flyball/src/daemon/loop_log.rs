//! What the control loop logs. Anything that is true at every look goes through [`Repeats`]; only a
//! change of the count is logged each time.

use flyball_core::decision::Decision;
use flyball_core::generation::Generation;
use flyball_core::observation::Exit;
use flyball_core::plan::Step;
use flyball_core::rollout::RolloutState;
use flyball_core::units::Timestamp;
use flyball_web::{Notice, NoticeKind};

use super::repeats::Repeats;
use super::sick::Turn;

/// The log of one service.
pub(super) struct LoopLog {
    service: String,
    repeats: Repeats,
    /// The rollout as it was last, while there is one.
    rollout: Option<(Generation, RolloutState)>,
}

impl LoopLog {
    pub(super) fn new(service: &str) -> Self {
        Self { service: service.to_owned(), repeats: Repeats::default(), rollout: None }
    }

    /// A change of the count; `known`: the engine answered, so there is a count to change.
    pub(super) fn decided(&self, decision: &Decision, known: bool) {
        if known && decision.desired != decision.signals.current {
            tracing::info!("{}: {}", decision.headline(), decision.reason());
        }
    }

    /// That a rollout began, ended or turned. One that was given up is a pressing notice, too.
    pub(super) fn rollout(&mut self, decision: &Decision) {
        let now = decision.rollout.as_ref().map(|rollout| (rollout.to, rollout.state));
        let before = std::mem::replace(&mut self.rollout, now);
        let service = &self.service;
        match (before, &decision.rollout) {
            (_, Some(rollout)) if before != now && rollout.state != RolloutState::Aborted => {
                tracing::info!("{service}: rollout {rollout}");
            }
            (Some((to, RolloutState::Rolling)), None) => {
                tracing::info!("{service}: the rollout to {to} is complete");
            }
            _ => {}
        }
    }

    /// The pressing notices of a look at `now`, and what became of sick replicas since the look
    /// before. A source that cannot be read has logged that already, with a hint.
    pub(super) fn states(&mut self, now: Timestamp, notices: &[Notice], turns: &[Turn]) {
        let service = &self.service;
        let mut said = Vec::new();
        for notice in notices.iter().filter(|n| n.pressing && n.kind != NoticeKind::Blind) {
            // Between two starts it is not decided yet when the next one is tried: the line waits
            // for the look that puts it off, so that it can name the time.
            if notice.kind == NoticeKind::StartsHeld && notice.until_wall_ms.is_none() {
                self.repeats.goes_on(now, key_of(notice));
                continue;
            }
            if let Some(line) = self.repeats.holds(now, key_of(notice), &notice.text) {
                said.push(notice.text.as_str());
                match notice.kind {
                    NoticeKind::AtMaximum | NoticeKind::ObjectiveMissed => {
                        tracing::info!("{service}: {line}")
                    }
                    _ => tracing::warn!("{service}: {line}"),
                }
            }
        }
        for line in self.repeats.over(now) {
            tracing::info!("{service}: {line}");
        }
        self.sick(now, turns, &said);
    }

    /// What became of sick replicas, unless the service's state has just been `said` in the same
    /// words. Where one after another falls sick and is replaced, a few lines say it.
    fn sick(&mut self, now: Timestamp, turns: &[Turn], said: &[&str]) {
        for turn in turns {
            let text = turn.to_string();
            let key = match turn {
                Turn::Fell { .. } if said.contains(&text.as_str()) => continue,
                Turn::Fell { others, .. } => format!("sick beside {others}"),
                Turn::Well(_) => "well again".to_owned(),
                Turn::Gone(_) => "sick and gone".to_owned(),
            };
            let text = format!("{}: {text}", self.service);
            let Some(line) = self.repeats.happened(now, &key, &text) else { continue };
            match turn {
                Turn::Fell { .. } => tracing::warn!("{line}"),
                Turn::Well(_) | Turn::Gone(_) => tracing::info!("{line}"),
            }
        }
    }

    /// A replica that ended by itself: a broken image fails again and again in the same words.
    pub(super) fn ended(&mut self, now: Timestamp, exit: &Exit) {
        let text = format!("{} ended: {}", exit.replica, exit.reason);
        let kind = if exit.ready_ms.is_none() { "failed start" } else { "end" };
        match self.repeats.happened(now, kind, &text) {
            Some(line) => tracing::warn!("{line}"),
            None => tracing::debug!("{text}"),
        }
    }

    /// A step carried out in a leadership term. The logs of all flyballs together prove that no two
    /// acted at the same time.
    pub(super) fn acted(&mut self, now: Timestamp, term: i64, step: &Step) {
        let (service, text) = (&self.service, step.to_string());
        match self.repeats.happened(now, &text, &text) {
            Some(line) => tracing::info!(term, "{service}: {line}"),
            None => tracing::debug!(term, "{service}: {text}"),
        }
    }

    /// A step that only the leader may take.
    pub(super) fn not_mine(&mut self, now: Timestamp, step: &Step) {
        let text = format!("not done, the leadership term is over: {step}");
        if let Some(line) = self.repeats.happened(now, "not mine", &text) {
            tracing::warn!("{}: {line}", self.service);
        }
    }

    /// A decision that breaks an invariant.
    pub(super) fn refused(&mut self, now: Timestamp, what: &str) {
        let text = format!("decision refused: {what}");
        if let Some(line) = self.repeats.happened(now, "refused", &text) {
            tracing::error!(service = %self.service, "{line}");
        }
    }
}

/// What a notice is about: what is about the same thing is written as one.
fn key_of(notice: &Notice) -> &str {
    match notice.kind {
        // What has no kind of its own is told apart by how its sentence begins.
        NoticeKind::Trouble => notice.text.split(':').next().unwrap_or_default(),
        // One after the other, for as long as no start succeeds.
        NoticeKind::NotReady | NoticeKind::StartsHeld => "starts",
        NoticeKind::Failing => "requests",
        NoticeKind::Sick => "sick replicas",
        NoticeKind::Futile => "no gain",
        NoticeKind::ObjectiveMissed => "objective",
        NoticeKind::RolloutAborted => "rollout",
        _ => "bounds",
    }
}
