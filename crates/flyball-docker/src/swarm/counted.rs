//! How a Swarm keeps counts.

use flyball_core::observation::EngineReport;
use flyball_core::units::{ReplicaId, Timestamp};
use flyball_engine::counted::{CountedSystem, Order};

use super::call::Manager;
use super::core::{Service, Swarm};
use super::error::SwarmError;
use super::order;
use super::settings::SwarmSettings;
use super::state::{AgentsSeen, State};

impl CountedSystem for Swarm {
    type Settings = SwarmSettings;
    type State = State;
    /// The manager that answered last.
    type Connection = Manager;
    type Error = SwarmError;

    const NAME: &'static str = "the swarm";

    fn now(&self) -> Timestamp {
        (self.settings.clock)()
    }

    fn untried() -> SwarmError {
        SwarmError::NoManagers
    }

    fn is_expected(error: &SwarmError) -> bool {
        error.is_expected()
    }

    fn service(settings: &SwarmSettings) -> &str {
        &settings.service
    }

    fn wanted(state: &State) -> Option<u32> {
        state.wanted()
    }

    fn set_ready(state: &mut State, replica: &ReplicaId, now: Timestamp) -> bool {
        state.set_ready(replica, now)
    }

    fn report(&self, settings: &SwarmSettings, state: &State, now: Timestamp) -> EngineReport {
        let configured = self.settings.agents.as_ref();
        let report = state.report(settings, configured.map(|it| &*it.agents));
        let seen = match configured {
            Some(it) if self.lacks_agents() => AgentsSeen::Missing(&it.service),
            Some(_) | None => AgentsSeen::There,
        };
        EngineReport { notices: state.notices(settings, seen, now), ..report }
    }

    fn stable_report(&self, settings: &SwarmSettings, state: &State, _: Timestamp) -> EngineReport {
        state.report(settings, None)
    }

    async fn scale(service: &Service, seen: Option<u32>, order: Order) -> Result<(), SwarmError> {
        order::scale(service, seen, order.to).await
    }
}
