//! Recent events: a bounded ring that one task fills and any number of readers read. A publisher
//! hands its event over without a lock that readers share. A reader costs one position in the ring,
//! never a queue of its own, however slow it is.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use flyball_core::decision::Decision;
use flyball_core::record::Sample;
use serde::Serialize;
use tokio::sync::{mpsc, watch};

use crate::api::{Explained, Gap, ReplicaChange, SampleEvent};

/// Events on their way to the ring: 25 s of 20 services, so that only a stuck machine loses any.
const QUEUE_MAX: usize = 1_024;
/// How much of the past is kept: ten minutes of 20 services, or 90 s of 20 with 100 replicas each.
const RING_BYTES_MAX: usize = 8 << 20;
const RING_FRAMES_MAX: usize = 16_384;
/// Readers are woken ten times a second at most: 200 of them cost a few percent of a core then,
/// instead of as much as there are events.
const PAUSE: Duration = Duration::from_millis(100);
/// The most that one reader is handed at once.
const CHUNK_BYTES_MAX: usize = 64 * 1024;

/// Something that happened to a service.
#[derive(Clone, Debug)]
pub enum Event {
    /// A decision that changes something, or the minute's.
    Decision(Box<Decision>),
    /// A replica came, went or changed its state.
    Replica(ReplicaChange),
    /// The figures of the latest look, about once a second.
    Sample {
        /// The service.
        service: String,
        /// Its figures.
        sample: Sample,
    },
}

/// The end that publishes; cheap to copy.
#[derive(Clone, Debug)]
pub struct Feed {
    queue: mpsc::Sender<Event>,
    shared: Arc<Shared>,
}

impl Feed {
    /// An empty feed and the task that fills its ring, which ends with the last copy of the feed.
    /// Must be called within a runtime.
    pub fn start() -> Self {
        let (queue, events) = mpsc::channel(QUEUE_MAX);
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let shared = Arc::new(Shared {
            epoch: since_1970.as_millis(),
            ring: Mutex::default(),
            head: watch::Sender::new(0),
            unheard: AtomicU64::new(0),
        });
        tokio::spawn(fill(events, Arc::clone(&shared)));
        Self { queue, shared }
    }

    /// Hands an event over. Never waits: one that finds the queue full is counted, and the readers
    /// are told that something is missing.
    pub fn publish(&self, event: Event) {
        if self.queue.try_send(event).is_err() {
            self.shared.unheard.fetch_add(1, Relaxed);
        }
    }

    /// Follows from the event after `last` on, or from now.
    pub(crate) fn follow(&self, last: Option<&str>) -> (Follower, Start) {
        let mut follower = Follower {
            shared: Arc::clone(&self.shared),
            next: 0,
            head: self.shared.head.subscribe(),
        };
        let ring = self.shared.ring();
        let resumed = last.and_then(|id| self.shared.number_of(id)).map(|number| number + 1);
        let (next, start) = match (last, resumed) {
            (None, _) => (ring.next, Start::Now),
            (Some(_), Some(next)) if (ring.oldest()..=ring.next).contains(&next) => {
                (next, Start::Resumed)
            }
            (Some(_), _) => (ring.next, Start::Gap),
        };
        follower.next = next;
        (follower, start)
    }
}

/// How a reader began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// With what happens from now on, as it asked.
    Now,
    /// Where it left off.
    Resumed,
    /// Not where it left off: that is too long ago, or was told by another run of flyball.
    Gap,
}

#[derive(Debug)]
struct Shared {
    /// Tells the ids of this run from those of an earlier one.
    epoch: u128,
    ring: Mutex<Ring>,
    /// The number of the next event, for readers to wait on.
    head: watch::Sender<u64>,
    /// Events that found the queue full and were not told of yet.
    unheard: AtomicU64,
}

impl Shared {
    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn id(&self, number: u64) -> String {
        format!("{:x}-{number}", self.epoch)
    }

    fn number_of(&self, id: &str) -> Option<u64> {
        let (epoch, number) = id.split_once('-')?;
        (epoch == format!("{:x}", self.epoch)).then(|| number.parse().ok())?
    }

    fn push(&self, name: &str, service: Option<&str>, data: &str) {
        let mut ring = self.ring();
        let id = self.id(ring.next);
        let text = format!("id: {id}\nevent: {name}\ndata: {data}\n\n");
        ring.push(Frame { service: service.map(str::to_owned), text: text.into() });
    }
}

/// One event as it is sent.
#[derive(Debug)]
struct Frame {
    /// `None` concerns everybody.
    service: Option<String>,
    text: Arc<str>,
}

#[derive(Debug, Default)]
struct Ring {
    frames: VecDeque<Frame>,
    /// The number that the next event gets.
    next: u64,
    bytes: usize,
}

impl Ring {
    /// The number of the oldest event that is still there.
    fn oldest(&self) -> u64 {
        self.next - self.frames.len() as u64
    }

    fn push(&mut self, frame: Frame) {
        self.bytes += frame.text.len();
        self.next += 1;
        self.frames.push_back(frame);
        while self.bytes > RING_BYTES_MAX || self.frames.len() > RING_FRAMES_MAX {
            let Some(oldest) = self.frames.pop_front() else { break };
            self.bytes -= oldest.text.len();
        }
    }
}

/// Writes events into the ring as they come, and wakes the readers now and then.
async fn fill(mut events: mpsc::Receiver<Event>, shared: Arc<Shared>) {
    while let Some(first) = events.recv().await {
        let mut next = Some(first);
        while let Some(event) = next {
            write(&shared, event);
            next = events.try_recv().ok();
        }
        let unheard = shared.unheard.swap(0, Relaxed);
        if unheard > 0 {
            shared.push("gap", None, &Gap::data(Some(unheard)));
        }
        let head = shared.ring().next;
        shared.head.send_replace(head);
        tokio::time::sleep(PAUSE).await;
    }
}

fn write(shared: &Shared, event: Event) {
    match event {
        Event::Decision(decision) => {
            let service = decision.service.clone();
            push_json(shared, "decision", &service, &Explained::from(*decision));
        }
        Event::Replica(change) => push_json(shared, "replica", &change.service, &change),
        Event::Sample { service, sample } => {
            let told = SampleEvent { service, sample };
            push_json(shared, "sample", &told.service, &told);
        }
    }
}

fn push_json(shared: &Shared, name: &str, service: &str, told: &impl Serialize) {
    match serde_json::to_string(told) {
        Ok(data) => shared.push(name, Some(service), &data),
        Err(error) => tracing::error!(%error, name, "cannot serialize an event"),
    }
}

/// One reader's place in the ring.
#[derive(Debug)]
pub(crate) struct Follower {
    shared: Arc<Shared>,
    /// The number of the event it gets next.
    next: u64,
    head: watch::Receiver<u64>,
}

/// What there is for a reader.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// These events, as they are sent.
    Events(String),
    /// Nothing yet.
    Nothing,
    /// It was so slow that events left the ring before it took them.
    TooSlow {
        /// How many.
        missed: u64,
    },
}

impl Follower {
    /// Where it stands, as an id to resume from.
    pub(crate) fn last_id(&self) -> Option<String> {
        self.next.checked_sub(1).map(|number| self.shared.id(number))
    }

    /// Takes what has come, 64 KiB and an event at most; only that of `service` where it is given.
    pub(crate) fn take(&mut self, service: Option<&str>) -> Taken {
        let mut found: Vec<Arc<str>> = Vec::new();
        {
            let ring = self.shared.ring();
            let oldest = ring.oldest();
            if self.next < oldest {
                return Taken::TooSlow { missed: oldest - self.next };
            }
            let skipped = usize::try_from(self.next - oldest).unwrap_or(usize::MAX);
            let mut bytes = 0;
            for frame in ring.frames.iter().skip(skipped) {
                if bytes > CHUNK_BYTES_MAX {
                    break;
                }
                self.next += 1;
                if service.is_none()
                    || frame.service.is_none()
                    || frame.service.as_deref() == service
                {
                    bytes += frame.text.len();
                    found.push(Arc::clone(&frame.text));
                }
            }
        }
        if found.is_empty() { Taken::Nothing } else { Taken::Events(found.concat()) }
    }

    /// Returns when there may be something to take; never if all publishers are gone.
    pub(crate) async fn changed(&mut self) {
        let next = self.next;
        if self.head.wait_for(|head| *head > next).await.is_err() {
            std::future::pending().await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(wall_ms: i64) -> Event {
        Event::Sample { service: "web".to_owned(), sample: Sample { wall_ms, ..Sample::default() } }
    }

    #[track_caller]
    fn events(taken: Taken) -> String {
        let Taken::Events(text) = taken else { panic!("{taken:?}") };
        text
    }

    #[tokio::test]
    async fn a_reader_resumes_after_its_last_event_and_is_told_when_that_is_gone() {
        let feed = Feed::start();
        let (mut first, start) = feed.follow(None);
        assert_eq!((first.take(None), start), (Taken::Nothing, Start::Now));
        feed.publish(sample(1));
        first.changed().await;
        assert!(events(first.take(None)).contains("\nevent: sample\n"));
        let last = first.last_id().unwrap();
        feed.publish(sample(2));
        first.changed().await;
        let (mut second, start) = feed.follow(Some(&last));
        assert_eq!(start, Start::Resumed);
        assert!(events(second.take(None)).contains("\"wall_ms\":2"));
        for unknown in ["", "0-0", "rubbish", &format!("{last}9"), "-"] {
            assert_eq!(feed.follow(Some(unknown)).1, Start::Gap, "{unknown}");
        }
    }

    #[tokio::test]
    async fn a_reader_of_one_service_gets_no_other_and_passes_it_by() {
        let feed = Feed::start();
        let (mut reader, _) = feed.follow(None);
        feed.publish(sample(1));
        reader.changed().await;
        assert_eq!(reader.take(Some("batch")), Taken::Nothing);
        assert_eq!(reader.take(None), Taken::Nothing, "passed by");
    }

    #[test]
    fn the_ring_is_bounded_and_a_reader_that_fell_out_of_it_is_too_slow() {
        let (head, ring) = (watch::Sender::new(0), Mutex::default());
        let shared = Arc::new(Shared { epoch: 1, ring, head, unheard: AtomicU64::new(0) });
        let mut slow =
            Follower { shared: Arc::clone(&shared), next: 0, head: shared.head.subscribe() };
        let data = "x".repeat(100_000);
        for _ in 0..1_000 {
            shared.push("sample", None, &data);
        }
        assert!(shared.ring().bytes <= RING_BYTES_MAX);
        assert_eq!(slow.take(None), Taken::TooSlow { missed: shared.ring().oldest() });
        for _ in 0..2 * RING_FRAMES_MAX {
            shared.push("sample", None, "{}");
        }
        assert_eq!(shared.ring().frames.len(), RING_FRAMES_MAX);
    }

    #[tokio::test]
    async fn publishing_never_waits_and_what_was_lost_is_told() {
        let feed = Feed::start();
        let (mut reader, _) = feed.follow(None);
        // Nothing is awaited in between, so the filling task cannot run.
        for wall_ms in 0..2 * 1_024 {
            feed.publish(sample(wall_ms));
        }
        reader.changed().await;
        let mut all = String::new();
        while let Taken::Events(text) = reader.take(None) {
            all += &text;
        }
        assert!(all.ends_with("event: gap\ndata: {\"missed\":1024}\n\n"), "{}", all.len());
    }
}
