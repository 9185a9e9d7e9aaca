//! Notices about a Swarm service, each with what to do.

use flyball_core::observation::Exit;
use flyball_core::units::Timestamp;
use flyball_engine::Hint as _;

use super::{State, SwarmSettings};
use crate::swarm::error::SwarmError;

/// A task that ends sooner than this after it became ready crashed.
const STEADY_MS: u64 = 10_000;
/// This many crashes within this time are not chance: Swarm starts the next task after 5 s, unless
/// the service says otherwise.
const CRASHES_SHOWN: usize = 2;
const CRASHES_WITHIN_MS: u64 = 180_000;
/// After so much time without one it is over.
const CRASHES_OVER_MS: u64 = 60_000;

/// What reports the CPU usage of tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::swarm) enum AgentsSeen<'a> {
    /// There are some, or none are wanted.
    There,
    /// The Swarm has no service of this name.
    Missing(&'a str),
}

impl State {
    /// Everything that is wrong for as long as it is; empty while nothing is.
    pub(in crate::swarm) fn notices(
        &self,
        settings: &SwarmSettings,
        agents: AgentsSeen<'_>,
        now: Timestamp,
    ) -> Vec<String> {
        [self.mode_trouble(settings), self.crash_loop(settings, now), without(agents)]
            .into_iter()
            .flatten()
            .collect()
    }

    fn mode_trouble(&self, settings: &SwarmSettings) -> Option<String> {
        let told = self.told.as_ref().filter(|told| told.wanted.is_none())?;
        let service = settings.swarm_service.clone();
        let error = SwarmError::NotReplicated { service, mode: told.mode };
        Some(error.with_hint())
    }

    /// That tasks end again and again soon after their start, with the reason of the last one.
    fn crash_loop(&self, settings: &SwarmSettings, now: Timestamp) -> Option<String> {
        let last = self.exits.newest_first().next()?;
        let crashed = |exit: &&Exit| exit.ready_ms.is_none_or(|ms| ms < STEADY_MS);
        let lately = |exit: &&Exit| now.ms_since(exit.at) < CRASHES_WITHIN_MS;
        let crashes = self.exits.newest_first().take_while(lately).filter(crashed).count();
        if crashes < CRASHES_SHOWN || now.ms_since(last.at) >= CRASHES_OVER_MS {
            return None;
        }
        let (name, replica, reason) = (&settings.swarm_service, &last.replica, &last.reason);
        Some(format!(
            "tasks of {name} keep ending soon after their start ({replica}: {reason}); hint: \
             docker service logs {name}"
        ))
    }
}

fn without(agents: AgentsSeen<'_>) -> Option<String> {
    let AgentsSeen::Missing(name) = agents else { return None };
    Some(format!(
        "CPU usage of tasks is unknown: the swarm has no agent service {name}, so the count \
         follows only what the balancer sees; hint: create it with docker service create --mode \
         global, as docs/guide/swarm.md shows, or set agent under [swarm]"
    ))
}

#[cfg(test)]
mod tests {
    use flyball_core::units::ReplicaId;

    use super::*;

    fn settings() -> SwarmSettings {
        SwarmSettings { swarm_service: "shop_web".into(), ..SwarmSettings::new("web", 80) }
    }

    fn notices(crashes_s: &[u64], ready_ms: Option<u64>, now_s: u64) -> Vec<String> {
        let mut state = State::default();
        for at_s in crashes_s {
            state.exits.push(Exit {
                replica: ReplicaId::new("web-3"),
                at: Timestamp::from_ms(at_s * 1_000),
                ready_ms,
                reason: "task: non-zero exit (3)".into(),
            });
        }
        state.notices(&settings(), AgentsSeen::There, Timestamp::from_ms(now_s * 1_000))
    }

    #[test]
    fn a_crash_loop_is_told_with_its_reason_and_is_over_after_a_minute_without_a_crash() {
        let said = notices(&[10, 16], None, 20);
        assert!(said[0].contains("shop_web") && said[0].contains("non-zero exit (3)"), "{said:?}");
        assert_eq!(notices(&[10], None, 20), [""; 0], "one may be chance");
        assert_eq!(notices(&[10, 16], None, 80), [""; 0]);
        assert_eq!(notices(&[10, 16], Some(60_000), 20), [""; 0], "they served for a minute");
    }

    #[test]
    fn a_swarm_without_agents_is_told_with_what_to_add() {
        let now = Timestamp::from_ms(0);
        let agents = AgentsSeen::Missing("flyball-agent");
        let said = State::default().notices(&settings(), agents, now);
        assert!(said[0].contains("flyball-agent") && said[0].contains("--mode global"), "{said:?}");
    }
}
