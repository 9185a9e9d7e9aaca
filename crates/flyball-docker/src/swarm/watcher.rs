//! Keeps the known state of a Swarm up to date. Managers send no events of tasks on other nodes, so
//! tasks are polled: often after an event or an order, otherwise each second. If no manager
//! answers, the reading is missing, not empty.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use flyball_engine::labels::{Labelled, labelled};
use serde_json::json;
use tokio::time::{Instant, sleep, sleep_until};

use super::answers::{NodeAnswer, ServiceAnswer, TaskAnswer};
use super::call::{Manager, Stream, filtered};
use super::core::{Core, Service};
use super::error::SwarmError;
use super::nodes::{Nodes, nodes_of};
use super::tasks::{Task, agent_of};

/// A task is seen to end or to run this late at most; a manager answers in 2 ms for 36 tasks.
const IDLE: Duration = Duration::from_secs(1);
/// Between two looks while tasks move: SIGTERM comes 1.1 s after a task was asked to end.
const STIRRED: Duration = Duration::from_millis(100);
/// Ten starts take Swarm 2.0 s; a rollout's events come one after another.
const STIRRED_FOR: Duration = Duration::from_secs(5);
/// Events come in bursts; the first of them is answered at once.
const GAP: Duration = Duration::from_millis(20);
/// What a manager is asked for without an end.
const EVENTS: &str = "stream events";
/// Between two tries to reach a manager.
const PAUSE: Duration = Duration::from_millis(250);

/// Watches until aborted, one manager at a time.
pub(super) async fn watch(core: Arc<Core>) {
    loop {
        for host in &core.system.settings.managers {
            let Err(why) = session(&core, host).await;
            core.lost(&why);
            sleep(PAUSE).await;
        }
    }
}

/// From the first answer of a manager to its loss.
async fn session(core: &Arc<Core>, host: &str) -> Result<Infallible, SwarmError> {
    let manager = Manager::at(host)?.agreed().await?;
    let path = filtered("/events", &json!({ "type": ["service", "node"] }));
    let mut events = manager.stream(EVENTS, &path).await?;
    let mut stirred_until = Instant::now() + STIRRED_FOR;
    loop {
        let begun = Instant::now();
        look(core, &manager).await?;
        let now = Instant::now();
        let idle = if now < stirred_until { STIRRED } else { IDLE };
        match wait(core, &mut events, begun + GAP, begun + idle).await {
            Ok(news) if news => stirred_until = Instant::now() + STIRRED_FOR,
            Ok(_) => {}
            // A proxy cuts a stream that was idle for a while. Tasks are asked for all the same: a
            // manager that does not answer is found out by that.
            Err(cut) => {
                tracing::debug!("reopening the event stream: {cut}");
                sleep_until(begun + IDLE).await;
                events = manager.stream(EVENTS, &path).await?;
            }
        }
    }
}

/// Waits for news, from `earliest` to `latest`; whether there were any.
async fn wait(
    core: &Core,
    events: &mut Stream,
    earliest: Instant,
    latest: Instant,
) -> Result<bool, SwarmError> {
    let news = tokio::select! {
        more = events.more() => {
            more?;
            true
        }
        () = core.stir.notified() => true,
        () = sleep_until(latest) => false,
    };
    sleep_until(earliest).await;
    Ok(news)
}

/// Reads everything once and updates each service.
async fn look(core: &Arc<Core>, manager: &Manager) -> Result<(), SwarmError> {
    let asked_at = core.now();
    let services: Vec<ServiceAnswer> = manager.get("list services", "/services").await?;
    let by_name: BTreeMap<&str, &ServiceAnswer> =
        services.iter().map(|service| (service.spec.name.as_str(), service)).collect();
    let watched = core.services();
    let agents = core.system.settings.agents.as_ref();
    let names = watched.iter().map(|service| service.settings.swarm_service.as_str());
    let ids: Vec<&str> = names
        .chain(agents.map(|agents| agents.service.as_str()))
        .filter_map(|name| by_name.get(name))
        .map(|answer| answer.id.as_str())
        .collect();
    let (mut tasks, mut nodes) = (BTreeMap::<String, Vec<TaskAnswer>>::new(), Nodes::new());
    if !ids.is_empty() {
        let answers: Vec<NodeAnswer> = manager.get("list nodes", "/nodes").await?;
        nodes = nodes_of(answers);
        let path = filtered("/tasks", &json!({ "service": ids }));
        let answers: Vec<TaskAnswer> = manager.get("list tasks", &path).await?;
        for task in answers {
            tasks.entry(task.service_id.clone()).or_default().push(task);
        }
    }
    if let Some(agents) = agents {
        core.system.set_lacks_agents(!by_name.contains_key(agents.service.as_str()));
        let answer = by_name.get(agents.service.as_str());
        let tasks = answer.and_then(|answer| tasks.get(&answer.id)).into_iter().flatten();
        agents.agents.follow(tasks.filter_map(|task| agent_of(task, &nodes)).collect());
    }
    let was_lost = core.heard(manager, asked_at);
    core.listing.set(Arc::new(labels_of(&services)));
    if was_lost {
        tracing::info!("a swarm manager is back at {}", manager.host());
    }
    for service in watched {
        let answer = by_name.get(service.settings.swarm_service.as_str()).copied();
        let tasks = answer.and_then(|answer| tasks.remove(&answer.id)).unwrap_or_default();
        tell(&service, answer, tasks, &nodes);
    }
    Ok(())
}

fn labels_of(services: &[ServiceAnswer]) -> Vec<Labelled> {
    labelled(services.iter().map(|it| (it.spec.name.as_str(), &it.spec.labels)))
}

fn tell(service: &Service, answer: Option<&ServiceAnswer>, tasks: Vec<TaskAnswer>, nodes: &Nodes) {
    let settings = &service.settings;
    service.learn(|state, now| {
        match answer {
            None => state.gone(),
            Some(answer) if state.learn(answer, settings) => {
                let tasks = tasks.into_iter().map(|task| Task::of(task, settings, nodes)).collect();
                state.see(tasks, nodes, &settings.service, now);
                state.ready_unasked(settings, now);
            }
            // From before an order of ours.
            Some(_) => return false,
        }
        true
    });
}
