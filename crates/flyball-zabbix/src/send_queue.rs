//! Values that wait, were refused for now, or were accepted recently. The queue is bounded: the
//! oldest values are dropped and counted. Sending twice is harmless, since Zabbix keeps one value
//! per item and time.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::sender::PACKET_VALUES_MAX;
use crate::value::Value;

/// Values kept at most: 3 minutes of 5,000 replicas reported every 5 s, or a day of one service
/// with two. About 20 MB.
const WAITING_MAX: usize = 200_000;
/// Accepted values kept for the case that the server dies with them in memory.
const RECENT_MAX: usize = 100_000;
/// A server writes values to its database within seconds; while that is away it holds them.
const RECENT_FOR: Duration = Duration::from_secs(120);
/// Twice the longest usual time until a server knows a new item (`CacheUpdateFrequency` 60 s).
const REFUSED_FOR: Duration = Duration::from_secs(130);
/// Time between two attempts with a refused value.
const REFUSED_PAUSE: Duration = Duration::from_secs(2);
/// Items that are remembered to have been accepted; forgotten all at once beyond that.
const KNOWN_MAX: usize = 50_000;

/// A value that Zabbix did not take, most likely since it does not know the item yet.
#[derive(Debug)]
struct Refused {
    value: Value,
    first: Instant,
    last: Instant,
}

/// All values that are not history yet.
#[derive(Debug, Default)]
pub(crate) struct SendQueue {
    waiting: VecDeque<Value>,
    refused: VecDeque<Refused>,
    recent: VecDeque<(Instant, Value)>,
    known: HashSet<(Arc<str>, Arc<str>)>,
    /// Values that went since there were too many.
    pub(crate) dropped: u64,
    /// Values that Zabbix did not take for [`REFUSED_FOR`].
    pub(crate) given_up: u64,
}

impl SendQueue {
    /// Takes in new values.
    pub(crate) fn push(&mut self, values: impl IntoIterator<Item = Value>) {
        self.waiting.extend(values);
        while self.waiting.len() + self.refused.len() > WAITING_MAX {
            self.dropped += 1;
            if self.refused.pop_front().is_none() {
                self.waiting.pop_front();
            }
        }
    }

    /// How many are not accepted yet.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len() + self.refused.len()
    }

    /// The next packet: values of items that Zabbix is known to take, or of others, never mixed.
    pub(crate) fn take(&mut self) -> Option<Vec<Value>> {
        let known = self.is_known(self.waiting.front()?);
        let mut packet = Vec::new();
        let mut others = VecDeque::new();
        while let Some(value) = self.waiting.pop_front() {
            if self.is_known(&value) == known {
                packet.push(value);
            } else {
                others.push_back(value);
            }
            if packet.len() == PACKET_VALUES_MAX || others.len() == PACKET_VALUES_MAX {
                break;
            }
        }
        while let Some(value) = others.pop_back() {
            self.waiting.push_front(value);
        }
        Some(packet)
    }

    /// Refused values whose time has come again, as a packet of their own.
    pub(crate) fn take_refused(&mut self, now: Instant) -> Option<Vec<(Value, Instant)>> {
        let mut packet = Vec::new();
        while packet.len() < PACKET_VALUES_MAX {
            let due = |r: &Refused| now.duration_since(r.last) >= REFUSED_PAUSE;
            if !self.refused.front().is_some_and(due) {
                break;
            }
            packet.extend(self.refused.pop_front().map(|refused| (refused.value, refused.first)));
        }
        (!packet.is_empty()).then_some(packet)
    }

    /// When a refused value is due next.
    pub(crate) fn refused_due(&self) -> Option<Instant> {
        self.refused.front().map(|refused| refused.last + REFUSED_PAUSE)
    }

    /// Gives back what was taken and not answered.
    pub(crate) fn give_back(&mut self, values: Vec<Value>) {
        for value in values.into_iter().rev() {
            self.waiting.push_front(value);
        }
        self.push([]);
    }

    /// These were accepted.
    pub(crate) fn accept(&mut self, values: Vec<Value>, now: Instant) {
        if self.known.len() > KNOWN_MAX {
            self.known.clear();
        }
        for value in values {
            if !self.is_known(&value) {
                self.known.insert((Arc::clone(&value.host), Arc::clone(&value.key)));
            }
            self.recent.push_back((now, value));
        }
        let old = |(at, _): &(Instant, Value)| now.duration_since(*at) > RECENT_FOR;
        while self.recent.len() > RECENT_MAX || self.recent.front().is_some_and(old) {
            self.recent.pop_front();
        }
    }

    /// These were refused; each has been so since its `first` time. Gives how many are given up.
    pub(crate) fn refuse(&mut self, values: Vec<(Value, Instant)>, now: Instant) -> u64 {
        let mut given_up = 0;
        for (value, first) in values {
            self.known.remove(&(Arc::clone(&value.host), Arc::clone(&value.key)));
            if now.duration_since(first) >= REFUSED_FOR {
                given_up += 1;
            } else {
                self.refused.push_back(Refused { value, first, last: now });
            }
        }
        self.given_up += given_up;
        self.push([]);
        given_up
    }

    /// The server was away: what it accepted shortly before may have died with it.
    pub(crate) fn doubt_recent(&mut self) {
        let recent: Vec<Value> = self.recent.drain(..).map(|(_, value)| value).collect();
        self.give_back(recent);
    }

    fn is_known(&self, value: &Value) -> bool {
        self.known.contains(&(Arc::clone(&value.host), Arc::clone(&value.key)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::ValueTimes;

    fn values(key: &str, count: usize) -> Vec<Value> {
        let mut moments = ValueTimes::default();
        (0..count).map(|n| Value::count(&"web".into(), key, n as u64, moments.at(0))).collect()
    }

    fn refused(values: Vec<Value>, at: Instant) -> Vec<(Value, Instant)> {
        values.into_iter().map(|value| (value, at)).collect()
    }

    #[test]
    fn values_leave_in_order_and_a_packet_has_a_bound() {
        let mut queue = SendQueue::default();
        let all = values("k", PACKET_VALUES_MAX + 1);
        queue.push(all.clone());
        assert_eq!(queue.take().unwrap(), all[..PACKET_VALUES_MAX]);
        assert_eq!(queue.take().unwrap(), all[PACKET_VALUES_MAX..]);
        assert_eq!(queue.take(), None);
    }

    #[test]
    fn items_that_may_be_unknown_have_a_packet_of_their_own() {
        let (mut queue, now) = (SendQueue::default(), Instant::now());
        queue.accept(values("old", 1), now);
        let (old, new) = (values("old", 2), values("new", 2));
        queue.push([old[0].clone(), new[0].clone(), old[1].clone(), new[1].clone()]);
        assert_eq!(queue.take().unwrap(), old);
        assert_eq!(queue.take().unwrap(), new);
    }

    #[test]
    fn a_refused_value_is_tried_again_and_given_up_after_two_minutes() {
        let (mut queue, now) = (SendQueue::default(), Instant::now());
        queue.refuse(refused(values("k", 2), now), now);
        assert_eq!(queue.take_refused(now), None);
        let later = now + REFUSED_PAUSE;
        let again = queue.take_refused(later).unwrap();
        assert_eq!(again.len(), 2);
        assert_eq!(queue.refuse(again, now + REFUSED_FOR), 2);
        assert_eq!((queue.len(), queue.given_up), (0, 2));
    }

    #[test]
    fn what_was_accepted_lately_is_sent_again_after_the_server_was_away() {
        let (mut queue, now) = (SendQueue::default(), Instant::now());
        let (first, second) = (values("k", 1), values("k", 2));
        queue.accept(first.clone(), now);
        queue.accept(second.clone(), now + RECENT_FOR + Duration::from_secs(1));
        queue.push(values("k", 1));
        queue.doubt_recent();
        let sent = queue.take().unwrap();
        assert_eq!(sent[..2], second, "what is old is history by now");
        assert_eq!(sent.len(), 3);
    }

    #[test]
    fn too_many_values_cost_the_oldest_and_are_counted() {
        let mut queue = SendQueue::default();
        let all = values("k", WAITING_MAX + 5);
        queue.push(all.clone());
        assert_eq!((queue.len(), queue.dropped), (WAITING_MAX, 5));
        assert_eq!(queue.take().unwrap()[0], all[5]);
    }
}
