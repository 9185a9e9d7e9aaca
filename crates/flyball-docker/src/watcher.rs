//! Keeps the known state of a Docker host up to date. An event is only a reason to look, so a lost
//! one costs one listing interval at most. Only a failed ping ends a session; a cut event stream is
//! reopened.

use std::collections::{BTreeMap, HashMap};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bollard::models::{ContainerSummary, EventMessage};
use bollard::query_parameters::{EventsOptions, EventsOptionsBuilder};
use flyball_engine::Services;
use futures_util::{Stream, StreamExt};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};

use crate::client::Client;
use crate::discovery::Seen;
use crate::labels::service_of;
use crate::remove::{carry_out, look_again};
use crate::service::Service;
use crate::{DockerError, cpu};

/// The daemon answers this from memory in 0.2 ms.
const BEAT: Duration = Duration::from_secs(1);
/// A listing costs the daemon 0.14 ms for each container.
const LIST_EVERY: Duration = Duration::from_secs(5);
/// The event stream has no sign of having begun: what happened before it did is listed again.
const LIST_AGAIN: Duration = Duration::from_millis(250);
/// Between two tries to connect.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_LAST: Duration = Duration::from_millis(500);
/// Streams of events that ended sooner than this after one another are not cut for being idle.
const STREAM_SHORT: Duration = Duration::from_secs(5);
/// After this many short streams in a row the session ends with an error.
const STREAMS_SHORT_MAX: u32 = 3;
/// A session that lasted this long was a good one.
const GOOD_SESSION: Duration = Duration::from_secs(10);
/// Without cgroup files; the daemon answers only once a second.
const CPU_EVERY: Duration = Duration::from_secs(2);
/// More than this many events at once are answered by one listing.
const CHORES_MAX: usize = 256;

/// One request under way; its failure ends the session.
type Requests = JoinSet<Result<Request, DockerError>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    Ping,
    List,
    Other,
}

/// A daemon, and the services whose containers it has.
#[derive(Clone)]
struct Watched {
    client: Arc<Client>,
    services: Arc<Services<Service>>,
}

/// Watches until aborted.
pub(crate) async fn watch(client: Arc<Client>, services: Arc<Services<Service>>) {
    let host = Watched { client, services };
    let mut pause = PAUSE_FIRST;
    loop {
        let begun = Instant::now();
        let why = session(&host).await;
        if host.client.lost(&why) {
            host.services.all().iter().for_each(|service| service.lost());
        }
        pause = if begun.elapsed() > GOOD_SESSION { PAUSE_FIRST } else { pause };
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE_LAST);
    }
}

/// From one connection to its loss.
async fn session(host: &Watched) -> DockerError {
    let client = &host.client;
    let docker = match client.connect().await {
        Ok(docker) => docker,
        Err(why) => return why,
    };
    client.connected(docker.clone());
    let (mut short, mut heard) = (0, None);
    loop {
        let begun = Instant::now();
        let mut events = pin!(docker.events(Some(options_since(heard))));
        match follow(host, &mut events, &mut heard).await {
            Ended::Session(why) => return why,
            Ended::Stream(why) => {
                short = if begun.elapsed() < STREAM_SHORT { short + 1 } else { 0 };
                if short >= STREAMS_SHORT_MAX {
                    return DockerError::EventsCut { why: why.to_string() };
                }
                // Whether the daemon is still there decides what this was.
                if let Err(gone) = ping(Arc::clone(client)).await {
                    return gone;
                }
                tracing::debug!("reopening the event stream: {why}");
            }
        }
    }
}

/// What happens to containers and matters here. Not what health checks do every few seconds. Which
/// containers matter is seen from their labels: Docker cannot be asked for one of several.
const EVENTS: [&str; 10] = [
    "create",
    "destroy",
    "die",
    "health_status",
    "kill",
    "pause",
    "rename",
    "start",
    "unpause",
    "update",
];

/// Events of containers from the one after `heard`, the time of the last one in nanoseconds, so
/// that none is missed while the stream is reopened.
fn options_since(heard: Option<i64>) -> EventsOptions {
    const NS: i64 = 1_000_000_000;
    let filters = HashMap::from([("type", vec!["container"]), ("event", EVENTS.to_vec())]);
    let options = EventsOptionsBuilder::new().filters(&filters);
    match heard.map(|heard| heard.saturating_add(1)) {
        Some(from) => options.since(&format!("{}.{:09}", from / NS, from % NS)).build(),
        None => options.build(),
    }
}

/// What ended, and why.
enum Ended {
    /// Only the stream of events.
    Stream(DockerError),
    Session(DockerError),
}

async fn follow(
    host: &Watched,
    events: &mut (impl Stream<Item = Result<EventMessage, bollard::errors::Error>> + Unpin),
    heard: &mut Option<i64>,
) -> Ended {
    let client = &host.client;
    let mut chores = Requests::new();
    let mut beat = interval(BEAT);
    let mut cpu = interval(CPU_EVERY);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    cpu.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut list_at, mut listings, mut listing, mut beating) =
        (Instant::now(), 0_u64, false, false);
    loop {
        tokio::select! {
            biased;
            event = events.next() => {
                let at = event.as_ref().and_then(|event| event.as_ref().ok()?.time_nano);
                *heard = at.or(*heard);
                if let Err(why) = take_event(host, event, &mut chores) {
                    return Ended::Stream(why);
                }
            }
            Some(done) = chores.join_next() => match done {
                Ok(Ok(Request::Ping)) => beating = false,
                Ok(Ok(Request::List)) => listing = false,
                Ok(Ok(Request::Other)) => {}
                Ok(Err(why)) => return Ended::Session(why),
                Err(error) => {
                    let (what, why) = ("follow the daemon".to_owned(), error.to_string());
                    return Ended::Session(DockerError::Broken { what, why });
                }
            },
            _ = beat.tick(), if !beating => {
                beating = true;
                chores.spawn(ping(Arc::clone(client)));
            }
            () = sleep_until(list_at), if !listing => {
                listing = true;
                listings += 1;
                list_at = Instant::now() + if listings == 1 { LIST_AGAIN } else { LIST_EVERY };
                chores.spawn(list(host.clone()));
            }
            () = client.relist.notified() => list_at = Instant::now(),
            _ = cpu.tick() => ask_for_counters(host),
        }
    }
}

async fn ping(client: Arc<Client>) -> Result<Request, DockerError> {
    client.call("ping the daemon", 3 * BEAT, |docker| async move { docker.ping().await }).await?;
    client.spoke();
    Ok(Request::Ping)
}

/// Gives every service all of its containers.
async fn list(host: Watched) -> Result<Request, DockerError> {
    let Watched { client, services } = host;
    let asked = Instant::now();
    let all = client.keep_listing(client.see().await?);
    client.spoke();
    let mut by_service: BTreeMap<String, Vec<&Seen>> = BTreeMap::new();
    for seen in all.iter() {
        if let Some(name) = seen.0.labels.as_ref().and_then(service_of) {
            by_service.entry(name).or_default().push(seen);
        }
    }
    let mut completed = JoinSet::new();
    for service in services.all() {
        let members = &service.settings().members;
        let admitted = |seen: &&&Seen| seen.1.as_ref().is_some_and(|it| members.admit(it));
        let named = by_service.get(service.name()).into_iter().flatten();
        let own: Vec<&ContainerSummary> =
            named.filter(admitted).map(|(summary, _)| summary).collect();
        let unknown = by_service.get(service.name()).into_iter().flatten().any(|it| it.1.is_none());
        let whole = !service.waits(unknown);
        let unclear = service.listed(&own, asked);
        completed.spawn(complete(Arc::clone(&client), service, unclear, whole));
    }
    completed.join_all().await;
    Ok(Request::List)
}

/// Asks for what a listing left open. A service of which that fails stays as it was.
///
/// `whole`: whether it is all that there is of the service.
async fn complete(
    client: Arc<Client>,
    service: Arc<Service>,
    unclear: Vec<String>,
    mut whole: bool,
) {
    let mut asked = JoinSet::new();
    for id in unclear {
        asked.spawn(look_again(Arc::clone(&client), Arc::clone(&service), id));
    }
    while let Some(done) = asked.join_next().await {
        whole &= done.unwrap_or(false);
    }
    if whole {
        carry_out(&service, service.complete());
    }
}

fn take_event(
    host: &Watched,
    event: Option<Result<EventMessage, bollard::errors::Error>>,
    chores: &mut Requests,
) -> Result<(), DockerError> {
    let (client, what) = (&host.client, "stream events");
    let event = match event {
        Some(Ok(event)) => event,
        Some(Err(error)) => return Err(DockerError::of(&client.settings.host, what, &error)),
        None => {
            let why = "the stream ended".to_owned();
            return Err(DockerError::Broken { what: what.into(), why });
        }
    };
    client.spoke();
    let Some(actor) = event.actor else { return Ok(()) };
    let (Some(id), Some(attributes)) = (actor.id, actor.attributes) else { return Ok(()) };
    let Some(name) = service_of(&attributes) else { return Ok(()) };
    let named = |service: &Arc<Service>| service.name() == name;
    // An external container may declare a service: its labels are in a listing.
    if event.action.as_deref() == Some("create") && !client.settings.signer.knows(&attributes) {
        client.relist.notify_one();
    }
    // What it may use may have changed.
    if event.action.as_deref() == Some("update") {
        client.origins.forget(&id);
    }
    for service in host.services.all().into_iter().filter(named) {
        match event.action.as_deref().unwrap_or_default() {
            "destroy" => service.gone(&id),
            "die" => {
                let code = attributes.get("exitCode").and_then(|code| code.parse().ok());
                carry_out(&service, service.died(&id, code));
            }
            "kill" => {
                let signal = attributes.get("signal").map(String::as_str).unwrap_or_default();
                service.signalled(&id, signal);
            }
            "start" => {
                service.started(&id);
                look(client, service, &id, chores);
            }
            "pause" | "unpause" | "rename" | "update" => look(client, service, &id, chores),
            action if action.starts_with("health_status") => look(client, service, &id, chores),
            _ => {}
        }
    }
    Ok(())
}

/// Asks the daemon for every counter that no file gives; what is being asked for is left out.
fn ask_for_counters(host: &Watched) {
    if host.client.counts_cpu() == Some(false) {
        return;
    }
    for service in host.services.all() {
        for id in service.unmetered() {
            let (client, service) = (Arc::clone(&host.client), Arc::clone(&service));
            tokio::spawn(async move {
                let counters = cpu::ask_for(&client, &id).await;
                service.counted(&id, counters);
            });
        }
    }
}

fn look(client: &Arc<Client>, service: Arc<Service>, id: &str, chores: &mut Requests) {
    if chores.len() >= CHORES_MAX {
        client.relist.notify_one();
        return;
    }
    let inspected = look_again(Arc::clone(client), service, id.to_owned());
    chores.spawn(async move {
        inspected.await;
        Ok(Request::Other)
    });
}
