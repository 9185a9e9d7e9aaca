//! One container as its service remembers it: phase, readiness, counters.
//!
//! A restarted container is not ready until it has been probed again.

use std::time::SystemTime;

use flyball_core::generation::Generation;
use flyball_core::observation::{CpuCounter, Exit, Phase, ReplicaReport, ThrottleCounter};
use flyball_core::units::{ReplicaId, Timestamp};
use tokio::time::Instant;

use crate::DockerError;
use crate::client::Client;
use crate::cpu::{Counters, Meter};
use crate::facts::{Facts, Health, State};
use crate::owner::Owner;
use crate::settings::SleepMode;

/// What the kernel adds to a signal's number in an exit status.
const SIGNAL_BASE: i64 = 128;
/// Docker waits longer before each restart, and starts over after a run of 10 s: one that ended
/// sooner crashed.
const STEADY_RUN_MS: u64 = 10_000;
/// After this many crashes in a row a container is not a replica before it has run for as long: the
/// first one may be chance, and back within a second.
pub(crate) const CRASHES_SHOWN: u32 = 2;
/// What Docker waits from the stop signal to the kill by default.
const USUAL_STOP_MS: u64 = 10_000;
/// A container that still runs so long after its time to stop was not stopped. (`docker stop -t`
/// may have given it more: then it is asked whether it serves, as a new one is.)
const STOP_MARGIN_MS: u64 = 20_000;

#[derive(Debug)]
pub(crate) struct Container {
    pub(crate) facts: Facts,
    /// When the daemon was asked for the facts, or reported a change.
    pub(crate) as_of: Instant,
    pub(crate) asked_at: Timestamp,
    pub(crate) ready_at: Option<Timestamp>,
    pub(crate) ending: Ending,
    pub(crate) meter: Option<Meter>,
    cpu: Option<CpuCounter>,
    throttled: Option<ThrottleCounter>,
    /// The daemon is being asked for its CPU time.
    pub(crate) asking: bool,
    /// It has to be inspected again, whatever the next listing says.
    pub(crate) stale: bool,
    pub(crate) make: Make,
    /// Since when it is being stopped externally.
    pub(crate) leaving_since: Option<Timestamp>,
    /// How often in a row it ended by itself soon after its start.
    pub(crate) crashes: u32,
    /// Why it ended by itself last time.
    last_end: String,
    /// What it had written then.
    pub(crate) log_tail: String,
    /// The first process of the run that was seen last.
    run: Option<Option<u32>>,
    /// When the latest run began; `None` after its end, and where its begin was missed.
    began: Option<Timestamp>,
    /// It was seen running, or this run started it: its end is news.
    pub(crate) noted: bool,
    /// How it sleeps; `None`: it does not.
    pub(crate) sleep: Option<SleepMode>,
    /// The replica that it was woken as, until it has slept again.
    pub(crate) woken_as: Option<ReplicaId>,
    /// It is being woken.
    pub(crate) waking: bool,
    /// When it ended, and since when it had been ready then.
    left: Option<(Timestamp, Option<Timestamp>)>,
}

/// How a container was made, and what follows for its copies.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Make {
    /// What it was made as, as far as that is known.
    pub(crate) generation: Option<Generation>,
    /// Its image, for people.
    pub(crate) image: String,
    /// Whom it belongs to.
    pub(crate) owner: Option<Owner>,
    /// Why it cannot be copied, if that would be asked for.
    pub(crate) refusal: Option<DockerError>,
}

/// Whether and how a container is on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    None,
    /// It was asked to.
    Ordered,
    /// It was asked to and could not be forced to: still there, and its end will not be reported.
    Failed,
    /// By itself; its log tail is being read.
    Died,
    /// By itself, and that was reported.
    Told,
}

impl Container {
    /// `asked_at`: when it was ordered. Of one that was not: when flyball created it in an earlier
    /// run, or when its owner started it, which Compose does some time after it has created it.
    pub(crate) fn new(
        facts: Facts,
        as_of: Instant,
        asked_at: Option<Timestamp>,
        client: &Client,
    ) -> Self {
        let begun = facts.started_wall_ms.filter(|_| !facts.managed).or(facts.created_wall_ms);
        let asked_at = asked_at.unwrap_or_else(|| at_wall(begun, client.now()));
        let mut container = Self {
            facts,
            as_of,
            asked_at,
            ready_at: None,
            ending: Ending::None,
            meter: None,
            cpu: None,
            throttled: None,
            asking: false,
            stale: false,
            make: Make::default(),
            leaving_since: None,
            crashes: 0,
            last_end: String::new(),
            log_tail: String::new(),
            run: None,
            began: None,
            noted: false,
            sleep: None,
            woken_as: None,
            waking: false,
            left: None,
        };
        container.follow(None, client);
        container
    }

    /// Takes over newer facts; its name as a replica stays.
    pub(crate) fn learn(&mut self, mut facts: Facts, as_of: Instant, client: &Client) {
        facts.replica = self.facts.replica.clone();
        let before = std::mem::replace(&mut self.facts, facts);
        self.as_of = as_of;
        self.stale = false;
        self.follow(before.pid, client);
    }

    /// Brings what follows from the facts up to them.
    fn follow(&mut self, pid_before: Option<u32>, client: &Client) {
        if self.facts.state != State::Running {
            self.meter = None;
            if matches!(self.facts.state, State::Exited { .. }) {
                self.leave(client.now());
            }
            return;
        }
        self.noted = true;
        if pid_before.is_some() && pid_before != self.facts.pid {
            self.leave(client.now());
        }
        self.left = None;
        self.begin_run(client.now());
        let facts = &self.facts;
        if self.meter.is_none() || pid_before != facts.pid {
            self.meter = Meter::open(client.hierarchies.as_ref(), facts.pid, &facts.id);
        }
        if facts.health == Some(Health::Good) && self.ready_at.is_none() {
            self.ready_at = Some(client.now());
        }
    }

    /// Takes note of a run that was not seen before.
    fn begin_run(&mut self, now: Timestamp) {
        let pid = self.facts.pid;
        if self.run == Some(pid) {
            return;
        }
        let began = at_wall(self.facts.started_wall_ms, now);
        self.began = Some(began);
        if self.run.replace(pid).is_some() {
            // Who woke it said when.
            if !self.waking {
                self.asked_at = began;
            }
            self.leaving_since = None;
        }
    }

    /// It was started: the daemon says so before it can be inspected, and it may end before that.
    pub(crate) fn started(&mut self, now: Timestamp) {
        self.leaving_since = None;
        self.began = Some(now);
    }

    /// It answered the probe, which counts unless it has a health check of its own.
    pub(crate) fn probed(&mut self, now: Timestamp) {
        let may = self.facts.state == State::Running && self.facts.health.is_none();
        if may && self.ready_at.is_none() && self.facts.address.is_some() {
            self.ready_at = Some(now);
        }
    }

    pub(crate) fn died(&mut self, now: Timestamp, code: Option<i64>) {
        self.as_of = Instant::now();
        self.count_crash(now, code);
        self.facts.state = State::Exited { code, oom: false, error: String::new() };
        self.facts.pid = None;
        self.meter = None;
        self.leave(now);
    }

    fn count_crash(&mut self, now: Timestamp, code: Option<i64>) {
        let asked = self.leaving_since.is_some() || self.ending != Ending::None;
        let steady = self.is_steady(now);
        self.began = None;
        self.crashes = if asked || steady { 0 } else { self.crashes + 1 };
        self.last_end = describe(code, false, "", "");
    }

    /// Whether it crashes again and again, and has not yet run for long enough since.
    fn is_looping(&self, now: Timestamp) -> bool {
        let runs = self.facts.state == State::Running;
        self.crashes >= CRASHES_SHOWN && !(runs && self.is_steady(now))
    }

    fn is_steady(&self, now: Timestamp) -> bool {
        self.began.is_some_and(|began| now.ms_since(began) >= STEADY_RUN_MS)
    }

    /// That it crashes again and again, in a sentence for its owner.
    pub(crate) fn crash_loop(&self, now: Timestamp) -> Option<String> {
        if self.facts.managed || !self.is_looping(now) {
            return None;
        }
        let Self { facts, last_end, log_tail, .. } = self;
        let end = match log_tail.as_str() {
            "" => last_end.clone(),
            tail => format!("{last_end}: {tail}"),
        };
        let name = &facts.name;
        Some(format!(
            "container {name} keeps ending soon after its start ({end}); hint: docker logs {name}"
        ))
    }

    /// Whatever it was, it is not ready any more.
    fn leave(&mut self, now: Timestamp) {
        if self.left.is_none() {
            self.left = Some((now, self.ready_at.take()));
        }
    }

    /// Marks it as ending; false if it is ending already.
    pub(crate) fn end(&mut self) -> bool {
        let may = matches!(self.ending, Ending::None | Ending::Failed);
        if may {
            self.ending = Ending::Ordered;
        }
        may
    }

    pub(crate) fn is_healthy(&self) -> bool {
        self.facts.health == Some(Health::Good)
    }

    /// Whether it is, or may become, a replica that serves.
    pub(crate) fn counts(&self, now: Timestamp) -> bool {
        self.phase(true, now).is_some()
    }

    /// What it would be asked for its CPU time by, if there are no files.
    pub(crate) fn wants_counter(&self) -> bool {
        self.facts.state == State::Running && self.meter.is_none() && !self.asking
    }

    pub(crate) fn counted(&mut self, at: Timestamp, counters: Option<Counters>) {
        self.asking = false;
        if let Some(Counters { used_ns, held_ns }) = counters {
            self.cpu = Some(CpuCounter { at, used_ns });
            self.throttled = held_ns.map(|held_ns| ThrottleCounter { at, held_ns });
        }
    }

    pub(crate) fn was_ready(&self) -> bool {
        self.ready_at.is_some() || self.left.is_some_and(|(_, ready_at)| ready_at.is_some())
    }

    /// Whether it sleeps, or is about to: it can be woken.
    pub(crate) fn is_asleep(&self) -> bool {
        let may = !self.waking && !self.facts.managed;
        let sleeps = match self.facts.state {
            State::Exited { .. } => true,
            State::Paused => self.sleep == Some(SleepMode::Pause),
            State::Running => self.ending == Ending::Ordered,
            State::Created | State::Absent | State::Leaving => false,
        };
        may && sleeps && self.sleep.is_some()
    }

    /// It is to be woken as `replica`.
    pub(crate) fn wake(&mut self, replica: &ReplicaId, now: Timestamp) {
        self.waking = true;
        self.woken_as = Some(replica.clone());
        self.asked_at = now;
        if self.sleep != Some(SleepMode::Pause) {
            self.ready_at = None;
        }
    }

    /// It was put to sleep.
    pub(crate) fn slept(&mut self) {
        self.as_of = Instant::now();
        self.ending = Ending::None;
        self.woken_as = None;
        self.crashes = 0;
        self.leaving_since = None;
        if self.sleep == Some(SleepMode::Pause) {
            self.facts.state = State::Paused;
            return;
        }
        let (code, oom, error) = (None, false, String::new());
        self.facts.state = State::Exited { code, oom, error };
        self.facts.pid = None;
        self.meter = None;
        self.ready_at = None;
        self.noted = false;
    }

    fn phase(&self, ordered: bool, now: Timestamp) -> Option<Phase> {
        if self.waking && self.facts.state != State::Running {
            return Some(Phase::Starting);
        }
        let leaves = self.leaving_since.is_some() || self.is_looping(now);
        let exists = matches!(self.facts.state, State::Running | State::Absent);
        match self.ending {
            // It would be replaced before its failure is known, and so never be put off.
            Ending::Died if !self.was_ready() => return Some(Phase::Starting),
            Ending::Ordered | Ending::Died | Ending::Told => return Some(Phase::Stopping),
            Ending::None | Ending::Failed if leaves && exists => return Some(Phase::Stopping),
            Ending::None | Ending::Failed => {}
        }
        match self.facts.state {
            State::Running if self.ready_at.is_some() => match self.facts.health {
                Some(Health::Bad) => Some(Phase::Unhealthy),
                _ => Some(Phase::Ready),
            },
            State::Running => Some(Phase::Starting),
            State::Created if ordered => Some(Phase::Starting),
            // It may be started or removed externally: it is not a replica yet, or no longer.
            State::Created => None,
            State::Paused if self.sleep == Some(SleepMode::Pause) => None,
            State::Absent | State::Paused => Some(Phase::Stopping),
            State::Exited { .. } | State::Leaving => self.facts.managed.then_some(Phase::Stopping),
        }
    }

    /// Its part of a look's report; reads its counters.
    pub(crate) fn report(
        &mut self,
        ordered: bool,
        clock: fn() -> Timestamp,
    ) -> Option<ReplicaReport> {
        self.stay(clock());
        let phase = self.phase(ordered, clock())?;
        if let Some(meter) = &self.meter {
            if let Some(used_ns) = meter.used_ns() {
                self.cpu = Some(CpuCounter { at: clock(), used_ns });
            }
            self.throttled =
                meter.held_ns().map(|held_ns| ThrottleCounter { at: clock(), held_ns });
        }
        Some(ReplicaReport {
            id: self.facts.replica.clone(),
            phase,
            asked_at: self.asked_at,
            ready_at: self.ready_at,
            address: self.facts.address.filter(|_| self.is_reachable(phase)),
            cpu: self.cpu,
            throttled: self.throttled,
            cpu_limit_cores: self.facts.limit_cores.unwrap_or(1.0),
            protected: self.facts.protected,
            may_sleep: self.sleep.is_some(),
            generation: self.make.generation,
        })
    }

    /// It runs on long after it should have ended: whatever was sent to it did not stop it. Whether
    /// it still serves is asked again.
    fn stay(&mut self, now: Timestamp) {
        let Some(since) = self.leaving_since else { return };
        let own_s = self.facts.stop_timeout_s.and_then(|s| u64::try_from(s).ok());
        let grace_ms = own_s.map_or(USUAL_STOP_MS, |s| s.saturating_mul(1_000));
        if now.ms_since(since) > grace_ms.max(USUAL_STOP_MS).saturating_add(STOP_MARGIN_MS) {
            self.leaving_since = None;
            self.ready_at = self.is_healthy().then_some(now);
        }
    }

    /// Whether its address means anything. In the host's network it is known before anything
    /// listens there: a reader that took it for running would count a probe that the engine does
    /// not.
    fn is_reachable(&self, phase: Phase) -> bool {
        match phase {
            Phase::Starting | Phase::Ready | Phase::Unhealthy => self.facts.state == State::Running,
            Phase::Stopping => self.noted,
        }
    }

    /// Its exit; `None` if it was asked for, or if it was never seen running.
    pub(crate) fn exit(&self, now: Timestamp, log_tail: &str) -> Option<Exit> {
        let State::Exited { code, oom, error } = &self.facts.state else { return None };
        if self.ending != Ending::Died || !self.noted {
            return None;
        }
        let (left_at, ready_at) = self.left.unwrap_or((now, self.ready_at));
        let by_others = if self.leaving_since.is_some() { "stopped externally: " } else { "" };
        Some(Exit {
            replica: self.facts.replica.clone(),
            at: now,
            ready_ms: ready_at.map(|ready_at| left_at.ms_since(ready_at)),
            reason: format!("{by_others}{}", describe(*code, *oom, error, log_tail)),
        })
    }
}

impl Container {
    /// The exit of one that was woken and ended by itself, once.
    pub(crate) fn exit_of_woken(&mut self, now: Timestamp) -> Option<Exit> {
        let State::Exited { code, oom, error } = &self.facts.state else { return None };
        if self.ending != Ending::None || self.leaving_since.is_some() {
            return None;
        }
        let reason = describe(*code, *oom, error, &self.log_tail);
        let replica = self.woken_as.take()?;
        self.waking = false;
        let ready_ms = self.left.and_then(|(at, ready_at)| Some(at.ms_since(ready_at?)));
        Some(Exit { replica, at: now, ready_ms, reason })
    }
}

/// A wall-clock time on the clock of readings: as long ago as it is by the wall.
pub(crate) fn at_wall(wall_ms: Option<i64>, now: Timestamp) -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let wall_now = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
    let age = wall_ms.map_or(0, |then| u64::try_from(wall_now.saturating_sub(then)).unwrap_or(0));
    Timestamp::from_ms(now.as_ms().saturating_sub(age))
}

fn describe(code: Option<i64>, oom: bool, error: &str, log_tail: &str) -> String {
    let end = match code {
        _ if oom => "killed for exceeding its memory limit".to_owned(),
        Some(code) if code > SIGNAL_BASE => {
            format!("exit status {code} (signal {})", code - SIGNAL_BASE)
        }
        Some(code) => format!("exit status {code}"),
        None => "ended for an unknown reason".to_owned(),
    };
    let words: Vec<&str> =
        [end.as_str(), error, log_tail].into_iter().filter(|w| !w.is_empty()).collect();
    words.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_told_with_its_status_and_last_words() {
        assert_eq!(describe(Some(3), false, "", "no port"), "exit status 3: no port");
        assert_eq!(describe(Some(137), false, "", ""), "exit status 137 (signal 9)");
        assert!(describe(Some(137), true, "", "").contains("memory"));
        assert_eq!(describe(None, false, "", ""), "ended for an unknown reason");
    }

    #[test]
    fn a_creation_time_becomes_an_age() {
        let now = Timestamp::from_ms(1_000_000);
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let wall_ms = i64::try_from(wall.as_millis()).unwrap();
        let minute_ago = at_wall(Some(wall_ms - 60_000), now);
        assert!((59_000..=60_100).contains(&now.ms_since(minute_ago)), "{minute_ago:?}");
        assert_eq!(at_wall(Some(wall_ms + 60_000), now), now);
        assert_eq!(at_wall(None, now), now);
        assert_eq!(at_wall(Some(0), now), Timestamp::from_ms(0));
    }
}
