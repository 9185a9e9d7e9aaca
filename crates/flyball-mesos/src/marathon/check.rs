//! Checks of a Marathon and its apps. Nothing is changed.

use std::time::Duration;

use flyball_engine::Finding;
use serde_json::Value;
use tokio::time::timeout;

use super::answers::{InfoAnswer, OneApp};
use super::app::{App, HOLD, Way};
use super::call::Link;
use super::error::MarathonError;
use super::settings::{AppSettings, MarathonPlaces, MarathonSettings};
use super::watcher::path_of;
use crate::cluster_info::{ask, place};

/// Elections are over sooner.
const LEADER_LIMIT: Duration = Duration::from_secs(5);

/// What a Marathon says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarathonFacts {
    /// Where it was asked.
    pub at: String,
    /// Its version.
    pub version: String,
}

/// Asks the first Marathon that answers; the last failure if none does.
pub(super) async fn marathon(settings: &MarathonSettings) -> Result<MarathonFacts, MarathonError> {
    let (link, info) = first_of(settings).await?;
    Ok(MarathonFacts { at: link.at().to_owned(), version: info.version })
}

async fn first_of(settings: &MarathonSettings) -> Result<(Link, InfoAnswer), MarathonError> {
    let places = match &settings.places {
        MarathonPlaces::At(all) => all.clone(),
        MarathonPlaces::Elected(leader) => {
            let mut leader = leader.clone();
            let found = timeout(LEADER_LIMIT, leader.wait_for(Option::is_some)).await;
            found.ok().and_then(|it| it.ok()?.clone()).into_iter().collect()
        }
    };
    let mut failure = MarathonError::NoLeader;
    for at in places {
        let asked = async {
            let mut link = Link::open(&at, settings).await?;
            let info: InfoAnswer = link.get("/v2/info").await?;
            Ok((link, info))
        };
        match asked.await {
            Ok(found) => return Ok(found),
            Err(why) => failure = why,
        }
    }
    Err(failure)
}

/// Looks at everything that `settings` name.
pub(super) async fn app(
    marathon: &MarathonSettings,
    settings: &AppSettings,
) -> Result<Vec<Finding>, MarathonError> {
    let (mut link, _) = first_of(marathon).await?;
    let id = &settings.app;
    let Some(OneApp { app: answer }) = link.find(&path_of(id)).await? else {
        let pod: Option<Value> = link.find(&format!("/v2/pods{id}")).await?;
        let app = id.clone();
        let error = match pod {
            Some(_) => MarathonError::Pod { app },
            None => MarathonError::NoApp { app },
        };
        return Ok(vec![Finding::fatal(&error)]);
    };
    let app = App::of(&answer, settings.port, settings.obeys_hold);
    let mut findings = Vec::new();
    if let Way::Nowhere(why) = &app.way {
        let text = format!("tasks of {id} cannot be reached: {why}");
        let hint = "give it a port mapping, and name its containerPort with port".to_owned();
        findings.push(Finding { fatal: settings.balanced, text, hint: Some(hint) });
    }
    if app.held {
        findings.push(Finding::note(format!("{id} is left alone: its label {HOLD}=true")));
    }
    if app.instances == 0 {
        let text = format!("{id} has 0 instances; flyball will start its minimum");
        findings.push(Finding::note(text));
    }
    if let Some(port) = app.fixed_port {
        let agents = agents(marathon).await;
        let most = agents.map(|count| format!(", of which there are {count}")).unwrap_or_default();
        let text = format!("each task of {id} needs port {port} on an agent of its own{most}");
        let hint = "keep max at or below that, or set hostPort to 0";
        findings.push(Finding::remark(text, hint));
    }
    Ok(findings)
}

async fn agents(marathon: &MarathonSettings) -> Option<usize> {
    let at = place(marathon.mesos.as_ref()?).await.ok()?;
    let (_, answer) = ask(&marathon.mesos_access, at, "/master/slaves").await.ok()?;
    Some(answer.get("slaves")?.as_array()?.len())
}
