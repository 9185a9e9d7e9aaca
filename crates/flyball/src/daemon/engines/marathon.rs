//! The engine of apps of Marathon: opened, built, discovered and checked from the configuration.

use std::sync::Arc;

use flyball_config as config;
use flyball_config::{Balancer, Config, MarathonPlace, Service};
use flyball_engine::Hint as _;
use flyball_mesos::marathon::{
    AppSettings, Credentials, Marathon, MarathonEngine, MarathonError, MarathonPlaces,
    MarathonSettings,
};
use flyball_zookeeper::follow_marathon;

use super::mesos;
use crate::clock;
use crate::daemon::claims::Claim;
use crate::daemon::preflight::Preflight;
use crate::daemon::state_dir;
use crate::failure::{Failure, with_hint};
use crate::finding::Finding;
use crate::leadership::ensemble;

with_hint!(MarathonError);

/// The file with the owners of services by the labels of apps, in the state directory.
pub(super) const OWNERS: &str = state_dir::APP_OWNERS;

/// Marathon, for all services.
#[derive(Clone)]
pub(crate) struct MarathonHost {
    marathon: Arc<Marathon>,
    /// Whether a hold label of others stops flyball from changing an app.
    obeys_hold: bool,
}

impl MarathonHost {
    /// Marathon, if anything of `config` is on it.
    pub(super) fn open(config: &Config) -> Result<Option<Self>, Failure> {
        let apps =
            config.services.values().any(|s| matches!(s.engine, config::Engine::Marathon(_)));
        if !apps && !config.marathon.labels {
            return Ok(None);
        }
        let obeys_hold = config.marathon.obeys_hold;
        Ok(Some(Self { marathon: marathon(config)?, obeys_hold }))
    }

    pub(super) fn build(
        &self,
        service: &Service,
        app: &config::MarathonApp,
    ) -> Result<MarathonEngine, Failure> {
        Ok(MarathonEngine::new(&self.marathon, settings(service, app, self.obeys_hold))?)
    }

    /// What apps claim by their labels.
    pub(super) async fn discover(&self) -> Result<Vec<Claim>, MarathonError> {
        Ok(self
            .marathon
            .discovered()
            .await?
            .into_iter()
            .map(|it| Claim::of(it, config::Source::App))
            .collect())
    }

    /// Asks Marathon, if `config` needs it, and adds the services that labels describe. `None` also
    /// where it does not answer.
    pub(super) async fn check(
        config: &Config,
        preflight: &mut Preflight,
    ) -> Result<Option<Self>, Failure> {
        let Some(host) = Self::open(config)? else { return Ok(None) };
        match host.marathon.check().await {
            Ok(facts) => {
                let text = format!("marathon {} at {}", facts.version, facts.at);
                preflight.findings.push(Finding::good("marathon.url", text));
            }
            Err(error) => {
                preflight.findings.push(Finding::failed("marathon.url", error));
                return Ok(None);
            }
        }
        if config.marathon.labels {
            let claims = host.discover().await.unwrap_or_default();
            preflight.claimed(config, &claims, OWNERS);
        }
        Ok(Some(host))
    }

    /// Whether the count of `service` can be changed.
    pub(super) async fn check_service(
        &self,
        service: &Service,
        app: &config::MarathonApp,
    ) -> Vec<Finding> {
        let name = &service.name;
        let found = async {
            let found = self.build(service, app)?.check().await?.into_iter();
            Ok(found.map(|it| Finding::about(name, it)).collect())
        };
        let well = "its count can be changed and its tasks can be reached";
        Finding::of_service(name, found.await, well)
    }
}

fn marathon(config: &Config) -> Result<Arc<Marathon>, Failure> {
    let settings = &config.marathon;
    let places = match &settings.place {
        MarathonPlace::At(all) => MarathonPlaces::At(all.clone()),
        MarathonPlace::Elected(at) => MarathonPlaces::Elected(follow_marathon(ensemble(at))),
    };
    let basic = settings.credentials_file.clone().map(Credentials::Basic);
    let credentials = basic.or_else(|| settings.token_file.clone().map(Credentials::Token));
    let (mesos, labels) = (Some(mesos::master(config)), settings.labels);
    let tls = settings
        .tls
        .then(|| mesos::tls("marathon.ca_file", settings.ca_file.clone()))
        .transpose()?;
    if credentials.is_some() && tls.is_none() {
        tracing::warn!("the credentials for Marathon are sent unencrypted; hint: use https");
    }
    let (mesos_access, clock) = (mesos::access(config)?, clock::now);
    Ok(Marathon::open(MarathonSettings {
        places,
        tls,
        credentials,
        mesos,
        mesos_access,
        labels,
        clock,
    })?)
}

fn settings(service: &config::Service, app: &config::MarathonApp, obeys_hold: bool) -> AppSettings {
    AppSettings {
        service: service.name.clone(),
        app: app.app.clone(),
        port: app.port,
        balanced: service.balancer != Balancer::None,
        obeys_hold,
    }
}
