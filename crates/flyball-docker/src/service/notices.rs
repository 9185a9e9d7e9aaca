//! Notices about the containers of a service, each with what to do.

use std::collections::BTreeSet;

use flyball_engine::Hint as _;

use super::Service;
use super::state::State;
use crate::DockerError;
use crate::container::Container;
use crate::facts::State as ContainerState;

/// More than this is no reading matter; the first ones are of the same kind as a rule.
const SHOWN_MAX: usize = 4;

impl Service {
    /// Everything that is wrong with the containers for as long as it is; empty while nothing is.
    pub(super) fn notices(&self) -> Vec<String> {
        let (state, now) = (self.state(), self.client.now());
        let mut notices: BTreeSet<String> = BTreeSet::new();
        notices.extend(refusal(&state));
        notices.extend(self.images().note.clone());
        notices.extend(state.containers.values().filter_map(unreachable));
        notices.extend(state.containers.values().filter_map(|c| c.crash_loop(now)));
        if self.client.counts_cpu() == Some(false) && !state.containers.is_empty() {
            notices.insert(NO_CGROUPS.to_owned());
        }
        notices.into_iter().take(SHOWN_MAX).collect()
    }
}

/// Docker would report the CPU usage of the whole machine for each container.
pub(crate) const NO_CGROUPS: &str = "CPU usage of containers is unknown: docker runs without \
     cgroups (docker info: Cgroup Driver none); hint: rootless Docker needs cgroup v2 and systemd";

/// Why the newest container that flyball did not start cannot be copied.
fn refusal(state: &State) -> Option<String> {
    let own = state.containers.values().filter(|c| !c.facts.managed);
    let newest =
        own.max_by_key(|c| (c.facts.state == ContainerState::Running, c.facts.created_wall_ms))?;
    newest.make.refusal.as_ref().map(DockerError::with_hint)
}

fn unreachable(container: &Container) -> Option<String> {
    let runs = container.facts.state == ContainerState::Running;
    container.facts.unreachable.as_ref().filter(|_| runs).map(DockerError::with_hint)
}
