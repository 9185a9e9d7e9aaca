//! `flyball deploy`, `rollback` and `rollout`: orders about the generations of a service. With
//! `--wait`, exit status 0: every replica is new; 1: the rollout was aborted, or the time was over.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use flyball_config::parse_duration;
use flyball_core::rollout::RolloutState;
use flyball_web::{DeployRequest, DeployView, ReplicaState, Service, ServiceView};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::client::segment;
use super::status::print_services;
use crate::cli::{Client, Deploy, Rollback, RolloutAct, Waiting};
use crate::failure::Failure;
use crate::output::{note, print};
use crate::plain::one_line;

/// Between two looks at a rollout.
const INTERVAL: Duration = Duration::from_millis(200);
/// A daemon that restarts is away for a moment.
const AWAY_MAX: u32 = 25;

pub(crate) async fn deploy(options: Deploy) -> Result<ExitCode, Failure> {
    let Deploy { service, image, waiting, client } = options;
    order(&client, &service, "deploy", &DeployRequest { image }, &waiting).await
}

pub(crate) async fn rollback(options: Rollback) -> Result<ExitCode, Failure> {
    let Rollback { service, waiting, client } = options;
    order(&client, &service, "rollback", &json!({}), &waiting).await
}

pub(crate) async fn rollout(act: RolloutAct) -> Result<ExitCode, Failure> {
    let (verb, of) = match act {
        RolloutAct::Pause(of) => ("rollout/pause", of),
        RolloutAct::Resume(of) => ("rollout/resume", of),
    };
    let waiting = Waiting { wait: false, timeout: String::new() };
    order(&of.client, &of.service, verb, &json!({}), &waiting).await
}

async fn order(
    client: &Client,
    service: &str,
    verb: &str,
    body: &impl Serialize,
    waiting: &Waiting,
) -> Result<ExitCode, Failure> {
    let limit = match waiting.wait {
        true => Some(parse_duration(&waiting.timeout).map_err(Failure::new)?),
        false => None,
    };
    let path = format!("/api/v1/services/{}/{verb}", segment(service)?);
    let answer: Service = client.post(&path, body).await?;
    let Some(limit_ms) = limit else {
        return show(client, &answer).await.map(|()| ExitCode::SUCCESS);
    };
    let Some(asked) = answer.view.deploy.clone() else {
        return Err(Failure::new(format!("{service} has no deploy to wait for")));
    };
    let watch = Watch { client, service, asked, limit: Duration::from_millis(limit_ms) };
    watch.until_over().await
}

async fn show(client: &Client, service: &Service) -> Result<(), Failure> {
    if client.json {
        let path = format!("/api/v1/services/{}", segment(&service.view.name)?);
        return print(&client.get::<Value>(&path).await?.to_string());
    }
    print_services(std::slice::from_ref(service))
}

/// What a rollout has come to.
#[derive(Debug, PartialEq, Eq)]
enum Progress {
    /// It goes on: how far it is.
    Rolling(String),
    /// Every replica is new; those that only their owner may replace are not, as many as said.
    Done { left: u32 },
    /// It ended without that.
    Failed(String),
}

/// How far the order `asked` has come.
fn progress(asked: &DeployView, view: &ServiceView) -> Progress {
    let Some(now) = &view.deploy else {
        return Progress::Failed("the daemon knows nothing of it".to_owned());
    };
    if now.at_wall_ms != asked.at_wall_ms {
        return Progress::Failed(format!("superseded by a later order (by {})", now.by));
    }
    if let Some(why) = &now.failed {
        return Progress::Failed(why.clone());
    }
    let Some(to) = now.generation else {
        return Progress::Rolling("preparing".to_owned());
    };
    let decision = view.decision.as_ref().filter(|decision| decision.wall_ms > now.at_wall_ms);
    let Some(decision) = decision.filter(|_| view.last_seen.is_none()) else {
        return Progress::Rolling("waiting for the next look".to_owned());
    };
    if let Some(rollout) = view.rollout.as_ref().filter(|rollout| rollout.to == to) {
        return match rollout.state {
            RolloutState::Aborted => Progress::Failed(format!("rollout {rollout}")),
            _ => Progress::Rolling(rollout.to_string()),
        };
    }
    let others = || view.generations.iter().filter(|of| of.generation != to);
    let old: u32 = others().map(|of| of.replicas.saturating_sub(of.protected)).sum();
    let new = view
        .replicas
        .iter()
        .filter(|replica| replica.generation == Some(to) && replica.state == ReplicaState::Ready);
    let (new, left) = (new.count(), others().map(|of| of.protected).sum::<u32>());
    let wanted = decision.desired.saturating_sub(left);
    if old == 0 && u32::try_from(new).is_ok_and(|new| new >= wanted) {
        return Progress::Done { left };
    }
    Progress::Rolling(format!("to {to}: {new} of {wanted} ready, {old} old ones end"))
}

/// Waits for the end of a rollout.
struct Watch<'a> {
    client: &'a Client,
    service: &'a str,
    asked: DeployView,
    limit: Duration,
}

impl Watch<'_> {
    async fn until_over(&self) -> Result<ExitCode, Failure> {
        let path = format!("/api/v1/services/{}", segment(self.service)?);
        let (end, mut said, mut away) = (Instant::now() + self.limit, String::new(), 0);
        loop {
            match self.client.get::<Service>(&path).await {
                Ok(service) => {
                    away = 0;
                    match progress(&self.asked, &service.view) {
                        Progress::Done { left } => return self.done(&service, left).await,
                        Progress::Failed(why) => return self.failed(&why),
                        Progress::Rolling(line) if line != said => {
                            note(&format!("{}: {}", self.service, one_line(&line)));
                            said = line;
                        }
                        Progress::Rolling(_) => {}
                    }
                }
                Err(failure) => {
                    away += 1;
                    if away > AWAY_MAX {
                        return Err(failure);
                    }
                }
            }
            if Instant::now() >= end {
                return self.failed("not complete in time; it goes on");
            }
            sleep(INTERVAL).await;
        }
    }

    async fn done(&self, service: &Service, left: u32) -> Result<ExitCode, Failure> {
        if left > 0 {
            note(&format!(
                "{}: {left} that flyball did not start stay as they are: replace them yourself, \
                 such as with `docker compose up -d`",
                self.service
            ));
        }
        show(self.client, service).await?;
        Ok(ExitCode::SUCCESS)
    }

    fn failed(&self, why: &str) -> Result<ExitCode, Failure> {
        note(&format!("{}: not deployed: {}", self.service, one_line(why)));
        Ok(ExitCode::from(1))
    }
}
