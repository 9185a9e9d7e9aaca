//! How a Marathon keeps counts.

use flyball_core::observation::EngineReport;
use flyball_core::units::{ReplicaId, Timestamp};
use flyball_engine::counted::{CountedSystem, Order};

use super::core::{Apps, Service, Site};
use super::error::MarathonError;
use super::order;
use super::settings::AppSettings;
use super::state::State;

impl CountedSystem for Apps {
    type Settings = AppSettings;
    type State = State;
    /// The Marathon that answered last.
    type Connection = Site;
    type Error = MarathonError;

    const NAME: &'static str = "marathon";

    fn now(&self) -> Timestamp {
        (self.settings.clock)()
    }

    fn untried() -> MarathonError {
        MarathonError::NoLeader
    }

    fn is_expected(error: &MarathonError) -> bool {
        error.is_expected()
    }

    fn service(settings: &AppSettings) -> &str {
        &settings.service
    }

    fn wanted(state: &State) -> Option<u32> {
        state.wanted()
    }

    fn set_ready(state: &mut State, replica: &ReplicaId, now: Timestamp) -> bool {
        state.set_ready(replica, now)
    }

    fn report(&self, settings: &AppSettings, state: &State, now: Timestamp) -> EngineReport {
        state.report(settings, now)
    }

    async fn scale(
        service: &Service,
        seen: Option<u32>,
        order: Order,
    ) -> Result<(), MarathonError> {
        order::scale(service, seen, &order).await
    }
}
