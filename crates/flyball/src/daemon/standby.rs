//! What a standby serves: the current leader and the configuration. It gives its port back as soon
//! as it is stopped, so a takeover waits for no client.

use std::sync::Arc;

use flyball_config::{Config, Service};
use flyball_core::decision::Decision;
use flyball_core::record::{DecisionFilter, Sample};
use flyball_web::{
    AskError, Counters, Daemon, Fault, Feed, LeaderStatus, ManualAsk, PolicyView, ReloadError,
    ReloadReport, RolloutAsk, Server, ServiceView, WebSettings,
};
use flyball_zookeeper::Candidate;
use tokio::sync::watch;

use super::{Tokens, balancers, engines, serve_web};
use crate::clock;
use crate::failure::Failure;
use crate::leadership;

/// A read-only dashboard and API.
pub(crate) struct Standby {
    web: Server,
    stop: watch::Sender<bool>,
}

impl Standby {
    /// Serves what `candidate` knows, where the daemon of `config` will be.
    ///
    /// # Errors
    /// The address cannot be had, or a token not be read: what the daemon would fail for, too.
    pub(crate) async fn serve(
        config: &Config,
        candidate: &Arc<Candidate>,
    ) -> Result<Self, Failure> {
        let (stop, stopped) = watch::channel(false);
        let services = config.services.values().cloned().collect();
        let known = Known { candidate: Arc::clone(candidate), services, feed: Feed::start() };
        let tokens = Tokens::read(config)?;
        let connections_max = WebSettings::CONNECTIONS_MAX;
        let web = serve_web(config, (tokens, connections_max), Arc::new(known), stopped).await?;
        tracing::info!("on standby: read-only dashboard on http://{}/", web.address);
        Ok(Self { web, stop })
    }

    /// Makes room for the daemon. Answers under way may still be given.
    pub(crate) async fn leave(self) {
        self.stop.send_replace(true);
        self.web.port_free().await;
    }
}

struct Known {
    candidate: Arc<Candidate>,
    services: Vec<Service>,
    feed: Feed,
}

/// The API refuses these requests on a standby; a term may begin in between.
const TAKES_OVER: &str = "this flyball is taking over now";

impl Daemon for Known {
    fn services(&self) -> Vec<ServiceView> {
        self.services.iter().map(view).collect()
    }

    fn leader(&self) -> LeaderStatus {
        leadership::view(Some(&self.candidate))
    }

    fn decisions(&self, _: &str, _: &DecisionFilter) -> Result<Vec<Decision>, Fault> {
        Err(Fault::Unavailable(TAKES_OVER.to_owned()))
    }

    fn decision_at(&self, _: &str, _: i64) -> Result<Option<Decision>, Fault> {
        Err(Fault::Unavailable(TAKES_OVER.to_owned()))
    }

    fn samples(&self, _: &str, _: i64, _: i64, _: usize) -> Result<Vec<Sample>, Fault> {
        Err(Fault::Unavailable(TAKES_OVER.to_owned()))
    }

    fn feed(&self) -> &Feed {
        &self.feed
    }

    fn roll(&self, _: &str, _: RolloutAsk, _: &str) -> Result<ServiceView, AskError> {
        Err(AskError::Unavailable(TAKES_OVER.to_owned()))
    }

    fn reload(&self) -> Result<ReloadReport, ReloadError> {
        Err(ReloadError::Unavailable(TAKES_OVER.to_owned()))
    }

    fn ask(&self, _: &str, _: ManualAsk, _: Option<u64>, _: &str) -> Result<ServiceView, AskError> {
        Err(AskError::Unavailable(TAKES_OVER.to_owned()))
    }
}

fn view(service: &Service) -> ServiceView {
    ServiceView {
        name: service.name.clone(),
        engine: engines::name(&service.engine).to_owned(),
        balancer: balancers::name(&service.balancer).to_owned(),
        address: None,
        bounds: service.policy.bounds,
        policy: PolicyView::of(&service.policy),
        now_wall_ms: clock::wall_ms(),
        decision: None,
        held: None,
        last_seen: None,
        replicas: Vec::new(),
        error_limit: service.error_limit,
        nodes: Vec::new(),
        manual: None,
        rollout: None,
        deploy: None,
        generations: Vec::new(),
        notices: Vec::new(),
        counters: Counters::default(),
    }
}
