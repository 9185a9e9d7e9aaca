//! The engine of tasks of a Swarm: opened, built, discovered and checked from the configuration.

use std::sync::Arc;

use flyball_agent::{Agents, PullSettings, Token};
use flyball_config as config;
use flyball_config::{Balancer, Config, Service, TaskReach};
use flyball_docker::swarm::{
    AgentFacts, ManagerSettings, SwarmAgents, SwarmEngine, SwarmError, SwarmManagers, SwarmReach,
    SwarmSettings,
};
use flyball_engine::Hint as _;

use crate::clock;
use crate::daemon::claims::Claim;
use crate::daemon::preflight::Preflight;
use crate::daemon::state_dir;
use crate::failure::{Failure, with_hint};
use crate::finding::Finding;

with_hint!(SwarmError);

/// The file with the owners of services by the labels of Swarm services, in the state directory.
pub(super) const OWNERS: &str = state_dir::SWARM_OWNERS;
/// Between two questions to an agent, in milliseconds: CPU windows are of seconds, and five questions
/// a second cost an agent with 200 containers 1 % of a core.
const AGENT_MS: u64 = 500;

/// The Swarm, for all services.
#[derive(Clone)]
pub(crate) struct SwarmHost {
    managers: Arc<SwarmManagers>,
    /// Whether a hold label of others stops flyball from changing a service.
    obeys_hold: bool,
}

impl SwarmHost {
    /// The Swarm, if anything of `config` is on one.
    pub(super) fn open(config: &Config) -> Result<Option<Self>, Failure> {
        let tasks = config.services.values().any(|s| matches!(s.engine, config::Engine::Swarm(_)));
        if !tasks && !config.swarm.labels {
            return Ok(None);
        }
        let obeys_hold = config.swarm.obeys_hold;
        Ok(Some(Self { managers: managers(&config.swarm)?, obeys_hold }))
    }

    pub(super) fn build(
        &self,
        service: &Service,
        swarm: &config::SwarmService,
    ) -> Result<SwarmEngine, Failure> {
        Ok(SwarmEngine::new(&self.managers, settings(service, swarm, self.obeys_hold))?)
    }

    /// What services of the Swarm claim by their labels.
    pub(super) async fn discover(&self) -> Result<Vec<Claim>, SwarmError> {
        Ok(self
            .managers
            .discovered()
            .await?
            .into_iter()
            .map(|it| Claim::of(it, config::Source::Swarm))
            .collect())
    }

    /// Asks the Swarm, if `config` needs it, and adds the services that labels describe. `None`
    /// also where no manager answers.
    pub(super) async fn check(
        config: &Config,
        preflight: &mut Preflight,
    ) -> Result<Option<Self>, Failure> {
        let Some(swarm) = Self::open(config)? else { return Ok(None) };
        match swarm.managers.check().await {
            Ok(facts) => {
                let (up, all) = facts.nodes;
                let (version, host) = (&facts.version, &facts.host);
                let text = format!("docker {version} at {host}, {up} of {all} nodes ready");
                preflight.findings.push(Finding::good("swarm.managers", text));
                preflight.findings.extend(facts.agents.iter().flat_map(agents));
            }
            Err(error) => {
                preflight.findings.push(Finding::failed("swarm.managers", error));
                return Ok(None);
            }
        }
        if config.swarm.labels {
            let claims = swarm.discover().await.unwrap_or_default();
            preflight.claimed(config, &claims, OWNERS);
        }
        Ok(Some(swarm))
    }

    /// Whether the count of `service` can be changed.
    pub(super) async fn check_service(
        &self,
        service: &Service,
        swarm: &config::SwarmService,
    ) -> Vec<Finding> {
        let name = &service.name;
        let found = async {
            let found = self.build(service, swarm)?.check().await?.into_iter();
            Ok(found.map(|it| Finding::about(name, it)).collect())
        };
        let well = "its count can be changed and its tasks can be reached";
        Finding::of_service(name, found.await, well)
    }
}

fn managers(settings: &config::Swarm) -> Result<Arc<SwarmManagers>, Failure> {
    let token = settings.agent_token_file.as_ref().map(|path| {
        Token::of_file(path).map_err(|error| {
            let what = format!("cannot use the agents' token in {}: {error}", path.display());
            Failure::new(what).hint("put one line of at least 16 letters and digits into it")
        })
    });
    let token = token.transpose()?;
    let pull = PullSettings { token, interval_ms: AGENT_MS, clock: clock::now };
    let agents = Agents::open(pull).map_err(Failure::new)?;
    let agents = Some(SwarmAgents { service: settings.agent.clone(), agents });
    let managers = settings.managers.clone();
    Ok(SwarmManagers::open(ManagerSettings { managers, clock: clock::now, agents })?)
}

fn settings(
    service: &config::Service,
    swarm: &config::SwarmService,
    obeys_hold: bool,
) -> SwarmSettings {
    SwarmSettings {
        service: service.name.clone(),
        swarm_service: swarm.swarm_service.clone(),
        port: swarm.port,
        reach: match &swarm.reach {
            TaskReach::Node => SwarmReach::Node,
            TaskReach::Network(network) => SwarmReach::Network(network.clone()),
        },
        cpus: swarm.cpus,
        balanced: service.balancer != Balancer::None,
        obeys_hold,
    }
}

/// Each agent that reports no CPU usage, or one finding that all do.
fn agents(agents: &AgentFacts) -> Vec<Finding> {
    let key = "swarm.agent";
    if agents.silent.is_empty() {
        let text = format!("agents on {} nodes report CPU usage", agents.told);
        return vec![Finding::good(key, text)];
    }
    let hint = "for the reason, see docker service ps and docker service logs of the agents";
    let silent = agents.silent.iter().map(|(node, why)| {
        Finding::wrong(key, format!("node {node} reports no CPU usage: {why}")).hint(hint)
    });
    silent.collect()
}
