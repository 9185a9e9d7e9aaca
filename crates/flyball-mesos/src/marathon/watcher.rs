//! Keeps the known state of Marathon up to date. Apps are read at once after an event or an order,
//! often for a while, and otherwise each second. If no Marathon answers, the reading is missing,
//! not empty.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use flyball_engine::labels::labelled;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::answers::{AppAnswer, InfoAnswer, ManyApps, OneApp, QueueAnswer};
use super::app::App;
use super::call::Link;
use super::core::{Core, Service, Site};
use super::error::MarathonError;
use super::events::{Events, words_for};
use super::names::Resolver;
use super::places::Places;
use super::queue::waiting;
use super::rollouts::{Deployments, deployments_of};
use super::state::Answer;
use super::task::{Names, Task};

/// A task is seen to end or to run this late at most, if events are lost.
const IDLE: Duration = Duration::from_secs(1);
/// Between two looks while tasks move.
const STIRRED: Duration = Duration::from_millis(200);
/// Several events follow each change, the last of them some 100 ms after it.
const STIRRED_FOR: Duration = Duration::from_secs(2);
/// Events come in bursts; the first of them is answered at once.
const GAP: Duration = Duration::from_millis(50);
/// Of the time, at most this fraction is spent asking, however long answers are.
const LOOK_SHARE: u32 = 4;
/// Between two tries to reach a Marathon, or its events.
const PAUSE: Duration = Duration::from_millis(250);
/// Where apps with a label that names a service are listed.
const LABELLED: &str = "/v2/apps?label=flyball.service&embed=apps.counts";
const LABELS_EVERY: Duration = Duration::from_secs(2);
const EMBED: &str = "embed=app.tasks&embed=app.counts&embed=app.deployments&embed=app.readiness\
     &embed=app.lastTaskFailure";

/// Where the app `id` is read, with all that looks need.
pub(super) fn path_of(id: &str) -> String {
    format!("/v2/apps{id}?{EMBED}")
}

/// Watches until aborted, one Marathon at a time.
pub(super) async fn watch(core: Arc<Core>) {
    let mut places = Places::new(core.system.settings.places.clone());
    loop {
        let Some(at) = places.next() else {
            core.lost(&MarathonError::NoLeader);
            sleep(PAUSE).await;
            continue;
        };
        let Err(why) = session(&core, &mut places, &at).await;
        if let MarathonError::Elsewhere { at: leader } = &why
            && (places.named(&at, leader) || places.elected_another(&at).is_some())
        {
            continue;
        }
        places.lost(&at);
        core.lost(&why);
        sleep(PAUSE).await;
    }
}

/// From the first answer of a Marathon to its loss.
async fn session(
    core: &Arc<Core>,
    places: &mut Places,
    at: &str,
) -> Result<Infallible, MarathonError> {
    let mut link = Link::open(at, &core.system.settings).await?;
    let info: InfoAnswer = link.get("/v2/info").await?;
    let leader = link.leader.take().filter(|leader| places.follows(at, leader));
    if let Some(at) = leader {
        return Err(MarathonError::Elsewhere { at });
    }
    places.reached(at);
    let patches = knows_patch(&info.version);
    let site = Site { at: at.to_owned(), patches, framework: info.framework };
    // Ends with the session.
    let mut listening = JoinSet::new();
    listening.spawn(listen(Arc::clone(core), at.to_owned()));
    let mut session = Session { core, site, link, names: Resolver::default(), labels_at: None };
    let mut stirred_until = Instant::now() + STIRRED_FOR;
    loop {
        let begun = Instant::now();
        session.look().await?;
        if let Some(at) = places.elected_another(at) {
            return Err(MarathonError::Elsewhere { at });
        }
        let now = Instant::now();
        let idle = if now < stirred_until { STIRRED } else { IDLE };
        let rest = (begun.elapsed() * (LOOK_SHARE - 1)).max(GAP);
        if timeout_at(now + rest.max(idle), core.stir.notified()).await.is_ok() {
            stirred_until = Instant::now() + STIRRED_FOR;
        }
        sleep_until(now + rest).await;
    }
}

/// Versions before 1.5 change an app by PUT only. One that does not report its version is not that
/// old.
fn knows_patch(version: &str) -> bool {
    let mut parts = version.split('.').map_while(|part| part.parse::<u32>().ok());
    let (major, minor) = (parts.next(), parts.next());
    major.is_none_or(|major| (major, minor.unwrap_or(0)) >= (1, 5))
}

/// Stirs at each event about a watched app, and after each gap between events.
async fn listen(core: Arc<Core>, at: String) {
    loop {
        match Events::open(&at, &core.system.settings).await {
            Ok(mut events) => loop {
                core.stir.notify_one();
                let services = core.services();
                let words: Vec<String> =
                    services.iter().flat_map(|service| words_for(&service.settings.app)).collect();
                drop(services);
                if let Err(why) = events.about(&words).await {
                    tracing::debug!("the event stream was lost: {why}");
                    break;
                }
            },
            Err(why) => tracing::debug!("cannot open the event stream: {why}"),
        }
        sleep(PAUSE * 4).await;
    }
}

struct Session<'a> {
    core: &'a Arc<Core>,
    site: Site,
    link: Link,
    names: Resolver,
    labels_at: Option<Instant>,
}

/// One service and what was answered about its app; `None`: there is none.
type Found = (Arc<Service>, Option<AppAnswer>);

impl Session<'_> {
    /// Reads everything once and updates each service.
    async fn look(&mut self) -> Result<(), MarathonError> {
        let asked_at = self.core.now();
        let mut found: Vec<Found> = Vec::new();
        for service in self.core.services() {
            let answer: Option<OneApp> = self.link.find(&path_of(&service.settings.app)).await?;
            found.push((service, answer.map(|answer| answer.app)));
        }
        let deployments = self.deployments(&found).await?;
        let queue = self.queue(&found).await?;
        self.find_labels().await?;
        let apps = || found.iter().filter_map(|(_, answer)| answer.as_ref());
        let hosts = apps().flat_map(|app| &app.tasks).filter_map(|task| task.host.as_deref());
        let names = self.names.resolve(hosts).await;
        if self.core.heard(&self.site, asked_at) {
            tracing::info!("marathon is back at {}", self.site.at);
        }
        for (service, answer) in found {
            let about = About { asked_at, deployments: &deployments, queue: &queue, names: &names };
            take_in(&service, answer, &about);
        }
        Ok(())
    }

    /// What goes on, if any of it is not known to be flyball's own.
    async fn deployments(&mut self, found: &[Found]) -> Result<Deployments, MarathonError> {
        let unknown = found.iter().any(|(service, answer)| {
            let mut all = answer.iter().flat_map(|app| &app.deployments);
            service.with_state(|state| all.any(|one| !state.own.has(&one.id)))
        });
        if !unknown {
            return Ok(Deployments::new());
        }
        Ok(deployments_of(&self.link.get::<Value>("/v2/deployments").await?))
    }

    /// What waits, if an app has too few tasks.
    async fn queue(&mut self, found: &[Found]) -> Result<QueueAnswer, MarathonError> {
        let short = |app: &AppAnswer| app.tasks.len() < app.instances.unwrap_or(0) as usize;
        if !found.iter().any(|(_, answer)| answer.as_ref().is_some_and(short)) {
            return Ok(QueueAnswer::default());
        }
        self.link.get("/v2/queue").await
    }

    /// The apps that describe services.
    async fn find_labels(&mut self) -> Result<(), MarathonError> {
        let due = self.labels_at.is_none_or(|at| at.elapsed() >= LABELS_EVERY);
        if !self.core.system.settings.labels || !due {
            return Ok(());
        }
        self.labels_at = Some(Instant::now());
        let answer: ManyApps = self.link.get(LABELLED).await?;
        let apps = answer.apps.iter().map(|app| (app.id.as_str(), &app.labels));
        self.core.listing.set(Arc::new(labelled(apps)));
        Ok(())
    }
}

/// What was asked for all apps at once.
struct About<'a> {
    asked_at: flyball_core::units::Timestamp,
    deployments: &'a Deployments,
    queue: &'a QueueAnswer,
    names: &'a Names,
}

fn take_in(service: &Service, answer: Option<AppAnswer>, about: &About<'_>) {
    let settings = &service.settings;
    service.learn(|state, now| {
        let Some(answer) = answer else {
            state.gone();
            return true;
        };
        let app = App::of(&answer, settings.port, settings.obeys_hold);
        let tasks = answer.tasks.iter().map(|task| Task::of(task, &app, about.names)).collect();
        let pending = waiting(about.queue, &settings.app, app.fixed_port);
        let (deployments, asked_at) = (about.deployments, about.asked_at);
        let answer = Answer { app, tasks, deployments, pending, asked_at };
        // False for one from before an order of ours.
        state.learn(answer, settings, now)
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_before_1_5_get_a_count_by_put() {
        for old in ["0.8.2", "1.4.9", "1.0.0-RC1"] {
            assert!(!knows_patch(old), "{old}");
        }
        for new in ["1.5.0", "1.11.24", "1.11.24-304-gf1bd2a6a2", "2.0", "", "snapshot"] {
            assert!(knows_patch(new), "{new}");
        }
    }
}
