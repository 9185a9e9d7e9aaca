//! Sentences for faults of the engine, balancer and nodes of a service. A cause that a notice of
//! the decision already reports is not repeated.

use flyball_core::decision::Decision;
use flyball_core::observation::EngineReport;
use flyball_web::{NodeView, Notice};

use super::live::Live;

/// Everything that is wrong.
pub(super) fn of_live(live: &Live) -> Vec<Notice> {
    let nodes = of_nodes(&live.nodes).into_iter().map(Notice::trouble);
    of_service(live).into_iter().chain(nodes).collect()
}

/// What is wrong with the service itself, as its engine and its balancer report.
pub(super) fn of_service(live: &Live) -> Vec<Notice> {
    let engine = live.engine.as_ref().and_then(|engine| of_engine(engine, &live.decision));
    let told = live.engine.iter().flat_map(|engine| engine.notices.iter().cloned());
    let balancer = live.balancer.as_ref().and_then(|balancer| balancer.trouble.clone());
    let all = engine.into_iter().chain(told).chain(balancer).chain(live.crowded.clone());
    all.map(Notice::trouble).collect()
}

fn of_engine(engine: &EngineReport, decision: &Decision) -> Option<String> {
    let pending = engine.pending.as_ref().filter(|why| !tells(decision, why));
    let pending = pending.map(|why| {
        format!("replicas do not start: {}", why.strip_prefix("cannot start: ").unwrap_or(why))
    });
    let busy = engine.busy.as_ref().map(|with| format!("the engine is busy: {with}"));
    pending.or(busy)
}

/// Whether `decision` already reports the engine's reason for failed starts.
fn tells(decision: &Decision, why: &str) -> bool {
    let held = decision.held_starts.as_ref().map(|held| &held.why);
    let failed = decision.signals.trouble.failed_starts.as_ref().map(|failed| &failed.why);
    held.or(failed).is_some_and(|told| told.contains(why))
}

/// One sentence for unreachable nodes, and one for those that report no CPU usage.
fn of_nodes(nodes: &[NodeView]) -> Vec<String> {
    let away = nodes.iter().filter(|node| !node.up);
    let away = away.map(|node| format!("the cluster cannot reach node {}", node.name));
    let silent = nodes.iter().filter(|node| node.up).filter_map(|node| {
        Some(format!("node {} reports no CPU usage: {}", node.name, node.silence.as_ref()?))
    });
    first_of(away).into_iter().chain(first_of(silent)).collect()
}

/// The first of `texts`, and how many are like it.
fn first_of(mut texts: impl Iterator<Item = String>) -> Option<String> {
    let first = texts.next()?;
    Some(match texts.count() {
        0 => first,
        more => format!("{first} (and {more} more)"),
    })
}

#[cfg(test)]
mod tests {
    use flyball_core::decide::decide;
    use flyball_core::memory::Memory;
    use flyball_core::observation::{Observation, Reading};
    use flyball_core::plan::HeldStarts;
    use flyball_core::policy::{Bounds, Governor, Policy, RolloutPolicy, Rule, Timing};
    use flyball_core::units::Timestamp;

    use super::*;

    /// A decision that puts starts off for `why`.
    fn decision(why: &str) -> Decision {
        let at = Timestamp::from_ms(60_000);
        let engine = Reading::Taken { at, value: EngineReport::default() };
        let policy = Policy {
            service: "web".to_owned(),
            bounds: Bounds { min: 1, max: 4 },
            rule: Rule::Governor(Governor::default()),
            timing: Timing::default(),
            rollout: RolloutPolicy::default(),
            sleep: None,
        };
        let seen = Observation::new(at, engine);
        let mut decision = decide(&policy, &mut Memory::default(), &seen);
        let why = why.to_owned();
        decision.held_starts = Some(HeldStarts { count: 1, failures: 3, until: at, why });
        decision
    }

    #[test]
    fn what_keeps_replicas_from_starting_is_told_once() {
        let pending = Some("no image x:1".to_owned());
        let engine = EngineReport { pending, ..EngineReport::default() };
        let held = decision("web-3: no image x:1");
        assert_eq!(of_engine(&engine, &held), None, "the notice of held starts says it");
        let other = decision("web-3: exit status 1");
        let said = Some("replicas do not start: no image x:1".to_owned());
        assert_eq!(of_engine(&engine, &other), said);
    }

    #[test]
    fn machines_in_trouble_are_told_in_a_sentence_of_each_kind() {
        let node = |name: &str, up, silence: Option<&str>| NodeView {
            name: name.to_owned(),
            up,
            silence: silence.map(str::to_owned),
            replicas: Vec::new(),
        };
        let well = node("n1", true, None);
        assert_eq!(of_nodes(std::slice::from_ref(&well)), [""; 0]);
        let gone = node("n2", false, Some("it does not answer"));
        let [mute, dumb] = ["n3", "n4"].map(|name| node(name, true, Some("it refuses the token")));
        assert_eq!(
            of_nodes(&[well, gone, mute, dumb]),
            [
                "the cluster cannot reach node n2",
                "node n3 reports no CPU usage: it refuses the token (and 1 more)"
            ]
        );
    }
}
