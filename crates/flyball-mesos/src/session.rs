//! The connection to the leading master: events in, calls out. Calls go out in order. A failed call
//! ends the session, and the next session sends everything again.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::Method;
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use crate::event::Event;
use crate::http::{self, Connection};
use crate::listing::{self, Listing};
use crate::records::Records;
use crate::shared::{Core, wall_ms};
use crate::{Master, MesosError};

/// Masters answer this from memory; one under load takes some 100 ms.
const CALL_LIMIT: Duration = Duration::from_secs(5);
/// The master says that it is there.
const BEAT: Duration = Duration::from_secs(1);
const BEAT_LIMIT: Duration = Duration::from_secs(3);
/// A master writes some 10 MB/s of lists.
const LIST_LIMIT: Duration = Duration::from_secs(10);
const LIST_EVERY: Duration = Duration::from_secs(10);
/// The stream has a heartbeat every 15 s: three are missing.
const SILENCE_MAX: Duration = Duration::from_secs(45);
/// Between two tries to connect.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_LAST: Duration = Duration::from_secs(1);
/// A session that lasted this long was a good one.
const GOOD_SESSION: Duration = Duration::from_secs(10);
/// Calls on their way; more means that the master takes none.
const CALLS_MAX: usize = 4_096;
/// As many as one framework may have, and then the rest is not seen.
const TASKS_MAX: u32 = 100_000;

/// Keeps a session until aborted.
pub(crate) async fn follow(core: Arc<Core>) {
    let mut pause = PAUSE_FIRST;
    // Where a master said that the leader is.
    let mut sent_to = None;
    loop {
        let begun = Instant::now();
        let Err(why) = session(&core, sent_to.take()).await;
        core.lost(&why);
        match &why {
            MesosError::Elsewhere { at } => sent_to = Some(at.clone()),
            MesosError::Ended { why } if is_removed(why) => core.forget(why).await,
            _ => {}
        }
        pause = if begun.elapsed() > GOOD_SESSION { PAUSE_FIRST } else { pause };
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE_LAST);
    }
}

/// Whether the master will never take this framework's id again.
fn is_removed(why: &str) -> bool {
    why.contains("removed") || why.contains("ompleted framework")
}

/// From one connection to its loss.
async fn session(core: &Arc<Core>, sent_to: Option<String>) -> Result<Infallible, MesosError> {
    let at = sent_to.or_else(|| leader(core)).ok_or(MesosError::NoLeader)?;
    let known = core.known_id().await?;
    let mut stream = Subscription::open(core, &at, known.as_deref()).await?;
    let framework = match timed(&at, stream.next()).await?? {
        Event::Subscribed { framework } => framework,
        Event::Error(why) => return Err(MesosError::Ended { why }),
        _ => return Err(stream.connection.broken("subscribe", "events before the subscription")),
    };
    core.keep_id(&framework).await?;
    let now = core.now();
    core.state().subscribed(framework.clone(), now);
    tracing::info!("subscribed to the mesos master {at} as framework {framework}");
    let speaker = Speaker::start(core, &at, &framework, stream.id.clone());
    Session { core, at, framework, stream, speaker, chores: JoinSet::new() }.run().await
}

fn leader(core: &Core) -> Option<String> {
    match &core.settings.master {
        Master::At(at) => Some(at.clone()),
        Master::Elected(leader) => leader.borrow().clone(),
    }
}

struct Session<'a> {
    core: &'a Arc<Core>,
    at: String,
    framework: String,
    stream: Subscription,
    speaker: Speaker,
    chores: JoinSet<Result<Chore, MesosError>>,
}

/// One question under way; its failure ends the session.
#[derive(Debug)]
enum Chore {
    Beat,
    List(Listing),
}

impl Session<'_> {
    async fn run(mut self) -> Result<Infallible, MesosError> {
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut beating, mut listing, mut list_at) = (false, false, Instant::now());
        loop {
            tokio::select! {
                biased;
                event = timeout(SILENCE_MAX, self.stream.next()) => {
                    let silent = |_| http::silent(&self.at, "events", SILENCE_MAX);
                    self.take(event.map_err(silent)??)?;
                }
                Some(done) = self.chores.join_next() => match self.done(done)? {
                    Chore::Beat => beating = false,
                    Chore::List(_) => listing = false,
                },
                lost = &mut self.speaker.task => return Err(self.speaker_lost(lost)),
                at = other_leader(self.core, &self.at) => return Err(MesosError::Elsewhere { at }),
                () = self.core.wake.notified() => {}
                _ = beat.tick() => {
                    if !std::mem::replace(&mut beating, true) {
                        self.chores.spawn(ask_for_life(Arc::clone(self.core), self.at.clone()));
                    }
                }
            }
            let asked = std::mem::take(&mut self.core.state().relist);
            if asked {
                list_at = Instant::now();
            }
            if list_at <= Instant::now() && !std::mem::replace(&mut listing, true) {
                list_at = Instant::now() + LIST_EVERY;
                self.chores.spawn(list(
                    Arc::clone(self.core),
                    self.at.clone(),
                    self.framework.clone(),
                ));
            }
            self.speak().await?;
        }
    }

    fn take(&self, event: Event) -> Result<(), MesosError> {
        if let Event::Error(why) = event {
            return Err(MesosError::Ended { why });
        }
        let now = self.core.now();
        self.core.state().take(event, now);
        Ok(())
    }

    fn done(
        &self,
        done: Result<Result<Chore, MesosError>, tokio::task::JoinError>,
    ) -> Result<Chore, MesosError> {
        let done = done.map_err(|error| self.stream.connection.broken("a question", error))?;
        let now = self.core.now();
        let mut state = self.core.state();
        Ok(match done? {
            Chore::Beat => {
                state.spoke(now);
                Chore::Beat
            }
            Chore::List(listing) => {
                state.listed(listing, now);
                Chore::List(Listing::default())
            }
        })
    }

    /// Says all that is to be said.
    async fn speak(&self) -> Result<(), MesosError> {
        let now = self.core.now();
        let calls: VecDeque<_> = self.core.state().calls(now, wall_ms()).into();
        for call in calls {
            tracing::debug!(?call, "sending a call to mesos");
            let said = self.speaker.queue.try_send(call.body(&self.framework));
            said.map_err(|error| self.stream.connection.broken("take calls", error))?;
        }
        self.core.said.notify_waiters();
        Ok(())
    }

    fn speaker_lost(&self, lost: Result<MesosError, tokio::task::JoinError>) -> MesosError {
        lost.unwrap_or_else(|error| self.stream.connection.broken("take calls", error))
    }
}

/// Returns when another master leads than `at`, where masters are elected; while there is no
/// leader, the one that did may still.
async fn other_leader(core: &Core, at: &str) -> String {
    let Master::Elected(leader) = &core.settings.master else {
        return std::future::pending().await;
    };
    let mut leader = leader.clone();
    let other =
        leader.wait_for(|leader| leader.as_deref().is_some_and(|leader| leader != at)).await;
    match other.ok().and_then(|leader| leader.clone()) {
        Some(leader) => leader,
        // There are no readers any more.
        None => std::future::pending().await,
    }
}

async fn timed<T>(at: &str, answer: impl Future<Output = T>) -> Result<T, MesosError> {
    timeout(CALL_LIMIT, answer).await.map_err(|_| http::silent(at, "subscribe", CALL_LIMIT))
}

async fn ask_for_life(core: Arc<Core>, at: String) -> Result<Chore, MesosError> {
    http::get(&core.settings.access, &at, "/master/health", BEAT_LIMIT).await?;
    Ok(Chore::Beat)
}

async fn list(core: Arc<Core>, at: String, framework: String) -> Result<Chore, MesosError> {
    let access = &core.settings.access;
    let path = format!("/master/tasks?framework_id={framework}&limit={TASKS_MAX}");
    let broken = |what: &str| {
        let (at, what) = (at.clone(), what.to_owned());
        move |why| MesosError::Broken { at, what, why }
    };
    let agents = http::get(access, &at, "/master/slaves", LIST_LIMIT).await?;
    let agents = listing::agents(&agents).map_err(broken("/master/slaves"))?;
    let tasks = http::get(access, &at, &path, LIST_LIMIT).await?;
    let tasks = listing::tasks(&tasks, &framework).map_err(broken("/master/tasks"))?;
    Ok(Chore::List(Listing { agents, tasks }))
}

/// The endless answer with the events.
struct Subscription {
    connection: Connection,
    body: Incoming,
    records: Records,
    /// What later calls belong to.
    id: Option<HeaderValue>,
}

const PATH: &str = "/master/api/v1/scheduler";
const STREAM: &str = "mesos-stream-id";

impl Subscription {
    async fn open(core: &Core, at: &str, framework: Option<&str>) -> Result<Self, MesosError> {
        let (access, role) = (&core.settings.access, &core.settings.role);
        let mut connection = Connection::open(access, at).await?;
        let body = crate::call::subscribe(framework, role, access.principal());
        let request = connection.request(Method::POST, PATH, Some(body))?;
        let answer = connection.send(request, CALL_LIMIT).await?;
        let id = answer.headers().get(STREAM).cloned();
        Ok(Self { connection, body: answer.into_body(), records: Records::default(), id })
    }

    async fn next(&mut self) -> Result<Event, MesosError> {
        loop {
            let record =
                self.records.next().map_err(|why| self.connection.broken("events", why))?;
            if let Some(record) = record {
                return Event::of(&record).map_err(|why| self.connection.broken("events", why));
            }
            let frame = self.body.frame().await;
            let ended = || self.connection.broken("events", "the stream ended");
            let frame = frame.ok_or_else(ended)?;
            let frame = frame.map_err(|why| self.connection.broken("events", why))?;
            if let Some(data) = frame.data_ref() {
                self.records.push(data);
            }
        }
    }
}

/// What sends calls, one after another, on a connection of its own.
struct Speaker {
    queue: mpsc::Sender<Bytes>,
    /// Ends with the first call that fails.
    task: JoinHandle<MesosError>,
}

impl Speaker {
    fn start(core: &Arc<Core>, at: &str, framework: &str, stream: Option<HeaderValue>) -> Self {
        let (queue, calls) = mpsc::channel(CALLS_MAX);
        tracing::debug!(framework, "calls go to {at}");
        let task = tokio::spawn(speak(Arc::clone(core), at.to_owned(), stream, calls));
        Self { queue, task }
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn speak(
    core: Arc<Core>,
    at: String,
    stream: Option<HeaderValue>,
    mut calls: mpsc::Receiver<Bytes>,
) -> MesosError {
    let saying = async {
        let mut connection = Connection::open(&core.settings.access, &at).await?;
        while let Some(call) = calls.recv().await {
            let mut request = connection.request(Method::POST, PATH, Some(call))?;
            if let Some(stream) = &stream {
                request.headers_mut().insert(STREAM, stream.clone());
            }
            connection.ask(request, CALL_LIMIT).await?;
        }
        Err(connection.broken("take calls", "the session ended"))
    };
    let said: Result<Infallible, MesosError> = saying.await;
    let Err(why) = said;
    why
}
