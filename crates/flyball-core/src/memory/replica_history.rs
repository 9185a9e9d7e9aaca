//! The history of one replica: its work since its last reading, and how long its start took. A
//! reading that repeats itself adds nothing, and a start is measured once.

use crate::estimate::busyness::Busyness;
use crate::observation::{CpuCounter, ReplicaReport, ServerReport, ThrottleCounter};
use crate::units::Timestamp;

/// A first answer later than this after readiness was not waited for: no request came sooner.
const FIRST_ANSWER_MS: u64 = 1_000;

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ReplicaHistory {
    busyness: Busyness,
    /// The same of the time in which its limit held it back. Most have no such counter.
    held: Option<Box<Busyness>>,
    /// The balancer's epoch and the requests answered, when the newest CPU counter was read.
    served: Option<(u64, u64)>,
    lag_known: bool,
    /// The balancer's epoch and the requests answered at the last look, and when more were.
    answers: Option<(u64, u64)>,
    answered_at: Option<Timestamp>,
}

/// What a replica did from one reading of its CPU to the next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Worked {
    /// Replica-seconds of work.
    pub(super) busy_s: f64,
    /// Over so long.
    pub(super) span_ms: u64,
    /// Requests answered meanwhile; `None` where that cannot be said.
    pub(super) served: Option<u64>,
}

impl ReplicaHistory {
    /// What this replica worked since its last reading.
    ///
    /// Over a gap longer than `stale_ms`, in which readings would have become stale, counters may
    /// have begun again and passed the old ones unnoticed: it is left out.
    pub(super) fn worked(
        &mut self,
        stale_ms: u64,
        replica: &ReplicaReport,
        served: Option<(u64, u64)>,
    ) -> Option<Worked> {
        let before = self.busyness.newest();
        let again = before.is_some_and(|before| replica.cpu.is_none_or(|cpu| cpu.at <= before.at));
        if again && served.is_some() {
            return None;
        }
        let served_before = std::mem::replace(&mut self.served, served);
        let (before, counter) = before.zip(replica.cpu)?;
        let span_ms = counter.at.ms_since(before.at);
        if span_ms > stale_ms {
            self.busyness = Busyness::default();
            self.held = None;
            return None;
        }
        let used_ns = counter.used_ns.checked_sub(before.used_ns)?;
        #[expect(clippy::cast_precision_loss, reason = "2^52 ns are 52 days of one core")]
        let busy_s = used_ns as f64 / 1e9 / replica.cpu_limit_cores;
        let served =
            served_before.zip(served).and_then(|((epoch_before, before), (epoch, now))| {
                now.checked_sub(before).filter(|_| epoch_before == epoch)
            });
        Some(Worked { busy_s, span_ms, served })
    }

    /// Takes in what the balancer counted of it.
    pub(super) fn see_answers(&mut self, now: Timestamp, served: Option<(u64, u64)>) {
        let Some(served) = served else { return };
        let before = self.answers.replace(served);
        if before.is_some_and(|(epoch, count)| epoch == served.0 && count < served.1) {
            self.answered_at = Some(now);
        }
    }

    /// When it was last seen to have answered a request.
    pub(super) fn answered_at(&self) -> Option<Timestamp> {
        self.answered_at
    }

    /// Takes in a counter that is that of its work, for means over `window_ms`.
    pub(super) fn see_cpu(
        &mut self,
        counter: CpuCounter,
        throttled: Option<ThrottleCounter>,
        window_ms: u64,
    ) {
        self.busyness.see(counter, window_ms);
        match throttled {
            Some(ThrottleCounter { at, held_ns }) => {
                let held = self.held.get_or_insert_default();
                held.see(CpuCounter { at, used_ns: held_ns }, window_ms);
            }
            // What is not known any more is not held for true.
            None => self.held = None,
        }
    }

    /// Cores that it uses; `None` without a reading.
    pub(super) fn busy_cores(&self) -> Option<f64> {
        self.busyness.cores()
    }

    /// The share of its time in which it is held back; `None` without a reading.
    pub(super) fn held_cores(&self) -> Option<f64> {
        self.held.as_ref()?.cores()
    }

    /// Its start lag, once, when its end is known: with the first answer where one came soon.
    pub(super) fn start_lag_ms(
        &mut self,
        now: Timestamp,
        replica: &ReplicaReport,
        balanced: bool,
        server: Option<&ServerReport>,
    ) -> Option<u64> {
        let ready_at = replica.ready_at.filter(|_| !self.lag_known)?;
        let wait_over = now.ms_since(ready_at) > FIRST_ANSWER_MS;
        let end = match server.and_then(|s| s.first_served_at) {
            Some(at) if at.ms_since(ready_at) <= FIRST_ANSWER_MS => at.max(ready_at),
            Some(_) => ready_at,
            None if !balanced || wait_over => ready_at,
            None => return None,
        };
        self.lag_known = true;
        Some(end.ms_since(replica.asked_at))
    }
}
