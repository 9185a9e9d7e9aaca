//! The task that delivers values and replica lists, whatever happens to Zabbix.
//!
//! Handing something in never waits for Zabbix, and nothing that Zabbix does ends the task.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::api::ApiSettings;
use crate::error::ZabbixError;
use crate::replica_hosts::ReplicaHosts;
use crate::send_queue::SendQueue;
use crate::sender::Sender;
use crate::value::{Value, ValueTimes, discovery};

/// The discovery rule's key.
const LIST_KEY: &str = "flyball.discovery";
/// The list is sent again this often: Zabbix forgets replicas that it does not hear of.
const LIST_EVERY: Duration = Duration::from_secs(30);
/// Time until a refused list is sent again.
const LIST_AGAIN: Duration = Duration::from_secs(2);
/// Pauses while Zabbix cannot be reached, growing from the first to the last.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));
/// A lasting fault is logged again this often.
const SAY_AGAIN: Duration = Duration::from_secs(600);
/// Packets that may be spent on finding out which values of one packet were refused.
const SEARCH_MAX: usize = 64;

/// How reporting stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReporterStatus {
    /// Values that Zabbix did not accept yet.
    pub waiting: usize,
    /// Values lost since too many waited.
    pub dropped: u64,
    /// Values lost since Zabbix did not know their items for two minutes.
    pub given_up: u64,
    /// Packets that were sent.
    pub packets: u64,
    /// Why nothing gets through, while that is so.
    pub fault: Option<String>,
}

/// A replica's name, and that of a host of its own.
#[derive(Clone, Copy, Debug)]
pub struct Replica<'a> {
    /// As items are called.
    pub name: &'a str,
    /// As its host is called, where it has one.
    pub host: &'a str,
}

/// Takes values and lists in, and delivers them.
#[derive(Debug)]
pub struct Reporter {
    shared: Arc<Shared>,
    /// The proxy that values go to, if it is one.
    proxy: Option<String>,
    /// Where each replica has a host of its own.
    hosts: Option<Arc<ReplicaHosts>>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<SendQueue>,
    lists: Mutex<BTreeMap<Arc<str>, List>>,
    course: Mutex<Course>,
    news: Notify,
}

/// How delivering goes.
#[derive(Debug, Default)]
struct Course {
    packets: u64,
    fault: Option<String>,
    /// When it was said last that values were lost, and how many were since.
    said_at: Option<Instant>,
    unsaid: u64,
}

impl Course {
    /// More values were lost; gives how many are to be said now, if it is time.
    fn lose(&mut self, values: u64, now: Instant) -> Option<u64> {
        self.unsaid += values;
        if self.said_at.is_some_and(|at| now.duration_since(at) < SAY_AGAIN) {
            return None;
        }
        self.said_at = Some(now);
        Some(std::mem::take(&mut self.unsaid))
    }
}

/// A host's replicas, and when they are sent next; `None`: now.
#[derive(Debug)]
struct List {
    text: Arc<str>,
    due: Option<Instant>,
}

impl Reporter {
    /// Begins to deliver through `sender`; `wall_ms` gives the date, in milliseconds since 1970.
    pub fn start(sender: Sender, wall_ms: fn() -> i64) -> Self {
        let shared = Arc::new(Shared::default());
        let proxy = sender.proxy().map(str::to_owned);
        let (stop, stopped) = watch::channel(false);
        let moments = ValueTimes::default();
        let delivery = Delivery { sender, wall_ms, moments, shared: Arc::clone(&shared) };
        let task = tokio::spawn(delivery.run(stopped));
        Self { shared, proxy, hosts: None, stop, task }
    }

    /// The same, and each replica has a host of its own, which is made and removed through the API
    /// of `settings`.
    #[must_use]
    pub fn with_replica_hosts(mut self, settings: ApiSettings) -> Self {
        let hosts = Arc::new(ReplicaHosts::monitored_by(self.proxy.as_deref()));
        tokio::spawn(Arc::clone(&hosts).keep(settings, self.stop.subscribe()));
        self.hosts = Some(hosts);
        self
    }

    /// Hands in values; never waits.
    pub fn push(&self, values: impl IntoIterator<Item = Value>) {
        lock(&self.shared.queue).push(values);
        self.shared.news.notify_one();
    }

    /// Hands in all replicas of a service's host, by the names that hosts of their own would have;
    /// never waits. The same again change nothing.
    pub fn set_replicas(&self, host: &Arc<str>, replicas: &[Replica<'_>]) {
        if let Some(hosts) = &self.hosts {
            hosts.set(host, replicas.iter().map(|replica| replica.host.to_owned()).collect());
        }
        let names: Vec<&str> = replicas.iter().map(|replica| replica.name).collect();
        let text = discovery(&names);
        let mut lists = lock(&self.shared.lists);
        if lists.get(host).is_some_and(|list| *list.text == *text) {
            return;
        }
        lists.insert(Arc::clone(host), List { text: text.into(), due: None });
        self.shared.news.notify_one();
    }

    /// How it stands.
    pub fn standing(&self) -> ReporterStatus {
        let queue = lock(&self.shared.queue);
        let course = lock(&self.shared.course);
        ReporterStatus {
            waiting: queue.len(),
            dropped: queue.dropped,
            given_up: queue.given_up,
            packets: course.packets,
            fault: course.fault.clone(),
        }
    }

    /// Ends after one more attempt to deliver what waits, within `limit`.
    pub async fn close(self, limit: Duration) {
        self.stop.send_replace(true);
        let abort = self.task.abort_handle();
        if timeout(limit, self.task).await.is_err() {
            abort.abort();
        }
    }
}

struct Delivery {
    sender: Sender,
    wall_ms: fn() -> i64,
    moments: ValueTimes,
    shared: Arc<Shared>,
}

impl Delivery {
    async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut pause = PAUSES.0;
        loop {
            let last = *stop.borrow();
            let done = self.deliver_all().await;
            if last {
                return;
            }
            let wait = match done {
                Ok(()) => {
                    pause = PAUSES.0;
                    self.recover();
                    self.next_due()
                }
                Err(error) => {
                    self.fail(&error);
                    let wait = pause;
                    pause = (pause * 2).min(PAUSES.1);
                    wait
                }
            };
            let failed = self.fault().is_some();
            tokio::select! {
                () = sleep(wait) => {}
                () = self.shared.news.notified(), if !failed => {}
                // Dropped and not closed: nothing waits for the rest.
                changed = stop.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Everything that is due, lists first: they make the items that values are for.
    async fn deliver_all(&mut self) -> Result<(), ZabbixError> {
        self.deliver_lists().await?;
        loop {
            let taken = lock(&self.shared.queue).take();
            let Some(packet) = taken else { break };
            let now = Instant::now();
            self.deliver(packet.into_iter().map(|value| (value, now)).collect()).await?;
        }
        loop {
            let taken = lock(&self.shared.queue).take_refused(Instant::now());
            let Some(packet) = taken else { return Ok(()) };
            self.deliver(packet).await?;
        }
    }

    async fn deliver_lists(&mut self) -> Result<(), ZabbixError> {
        let due: Vec<(Arc<str>, Arc<str>)> = {
            let now = Instant::now();
            let lists = lock(&self.shared.lists);
            let due = lists.iter().filter(|(_, list)| list.due.is_none_or(|due| due <= now));
            due.map(|(host, list)| (Arc::clone(host), Arc::clone(&list.text))).collect()
        };
        for (host, text) in due {
            let at = self.moments.at((self.wall_ms)());
            let counts = self.sender.send_list(&host, LIST_KEY, &text, at).await?;
            self.count_packet();
            let wait = if counts.failed > 0 { LIST_AGAIN } else { LIST_EVERY };
            if let Some(list) = lock(&self.shared.lists).get_mut(&host)
                && list.text == text
            {
                list.due = Some(Instant::now() + wait);
            }
        }
        Ok(())
    }

    /// Sends one packet. Where some of its values are refused, halves of it are sent again until it
    /// is known which.
    async fn deliver(&self, packet: Vec<(Value, Instant)>) -> Result<(), ZabbixError> {
        let mut parts = vec![packet];
        let mut sent = 0;
        while let Some(part) = parts.pop() {
            let (values, firsts): (Vec<Value>, Vec<Instant>) = part.into_iter().unzip();
            let counts = match self.sender.send(&values).await {
                Ok(counts) => counts,
                Err(error) => {
                    let rest = parts.into_iter().rev().flatten().map(|(value, _)| value);
                    let all = values.into_iter().chain(rest).collect();
                    lock(&self.shared.queue).give_back(all);
                    return Err(error);
                }
            };
            self.count_packet();
            sent += 1;
            let now = Instant::now();
            if counts.failed == 0 {
                lock(&self.shared.queue).accept(values, now);
                continue;
            }
            let mut part: Vec<_> = values.into_iter().zip(firsts).collect();
            if counts.processed == 0 || part.len() == 1 || sent >= SEARCH_MAX {
                self.refuse(part, now);
            } else {
                let half = part.split_off(part.len() / 2);
                parts.push(half);
                parts.push(part);
            }
        }
        Ok(())
    }

    fn refuse(&self, part: Vec<(Value, Instant)>, now: Instant) {
        let example =
            part.first().map(|(value, _)| format!("{} of host {}", value.key, value.host));
        let given_up = lock(&self.shared.queue).refuse(part, now);
        if given_up == 0 {
            return;
        }
        let Some(lost) = lock(&self.shared.course).lose(given_up, now) else { return };
        tracing::warn!(
            "Zabbix refused {lost} values for two minutes, such as {}; they are lost (hint: {})",
            example.unwrap_or_default(),
            self.hint_on_refusal()
        );
    }

    /// What may be wrong where Zabbix refuses values: it says only how many it does not take.
    fn hint_on_refusal(&self) -> String {
        match self.sender.proxy() {
            None => {
                "run `flyball zabbix provision` if you have not done so since the last change; \
                     if `trapper` is a zabbix_proxy, set `proxy` under [zabbix]"
                    .to_owned()
            }
            Some(proxy) => format!(
                "`flyball check` shows whether the hosts are monitored by proxy {proxy}; a proxy \
                 learns of new hosts and replicas every ProxyConfigFrequency (before 6.4: \
                 ConfigFrequency, an hour if unset), so set that to 10"
            ),
        }
    }

    fn next_due(&self) -> Duration {
        let refused = lock(&self.shared.queue).refused_due();
        let lists = lock(&self.shared.lists);
        let list = lists.values().map(|list| list.due.unwrap_or_else(Instant::now)).min();
        let next = refused.into_iter().chain(list).min();
        let now = Instant::now();
        // A little, so that a peer that refuses everything is not asked in a circle.
        next.map_or(LIST_EVERY, |due| due.saturating_duration_since(now))
            .max(Duration::from_millis(20))
    }

    fn fault(&self) -> Option<String> {
        lock(&self.shared.course).fault.clone()
    }

    fn fail(&self, error: &ZabbixError) {
        let before = lock(&self.shared.course).fault.replace(error.to_string());
        if before.is_none() {
            let hint = error.hint().map(|hint| format!(" (hint: {hint})")).unwrap_or_default();
            tracing::warn!("cannot send to Zabbix, keeping values: {error}{hint}");
        }
    }

    fn recover(&self) {
        if lock(&self.shared.course).fault.take().is_some() {
            let mut queue = lock(&self.shared.queue);
            queue.doubt_recent();
            tracing::info!(
                "Zabbix is back: {} values of the last minutes are being resent, {} were lost",
                queue.len(),
                queue.dropped
            );
            self.shared.news.notify_one();
        }
    }

    fn count_packet(&self) {
        lock(&self.shared.course).packets += 1;
    }
}

/// What a panic in between left is still whole: every change is one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_of_refusals_is_said_six_times_and_every_value_is_counted() {
        let (mut course, start) = (Course::default(), Instant::now());
        let said = (0..1_800).filter_map(|n| course.lose(3, start + Duration::from_secs(2 * n)));
        let said: Vec<u64> = said.collect();
        assert_eq!(said.len(), 6);
        assert_eq!(said.iter().sum::<u64>() + course.unsaid, 5_400);
    }
}
