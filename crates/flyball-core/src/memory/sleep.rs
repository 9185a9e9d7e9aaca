//! When a service falls asleep, and what wakes it: judged from what was seen, never from a cost or
//! CPU. Time in which the engine or the balancer was not heard never counts as time without use.

use std::borrow::Cow;

use crate::observation::{
    Ask, BalancerReport, EngineReport, Manual, Observation, Phase, Reading, ReplicaReport,
};
use crate::policy::Policy;
use crate::sleep::{Sleep, SleepPolicy, SleepState, Wake, WakeCause};
use crate::units::Timestamp;

use super::Memory;

/// What the sleep rule remembers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct SleepMemory {
    state: Mode,
    /// When something last used the service.
    used_at: Option<Timestamp>,
    /// The last look at which everything could be seen.
    known_at: Option<Timestamp>,
    /// Epoch and number of the wakeful arrivals counted so far.
    counted: Option<(u64, u64)>,
    /// Whether a replica has been ready since the service woke.
    served: bool,
    /// What was last asked for from outside, under an external policy.
    asked: Option<u32>,
    last_wake: Option<Wake>,
}

/// What the service does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mode {
    /// It was not seen yet.
    #[default]
    Unknown,
    /// At least one replica.
    Awake,
    /// None, but those there are may still finish requests.
    Falling,
    /// None.
    Asleep(Timestamp),
}

/// What the sleep rule asks of the count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SleepSay {
    /// Nothing: the service does not sleep, or was not seen yet.
    Nothing,
    /// At least one replica: it was last used so long ago.
    Stay { idle_ms: u64 },
    /// None: it was last used so long ago.
    Leave { idle_ms: u64 },
}

/// One look at everything that may use a service.
struct Look<'a> {
    now: Timestamp,
    policy: &'a Policy,
    engine: &'a EngineReport,
    /// Ready and starting replicas; draining and unhealthy ones.
    committed: u32,
    others: u32,
    ready: u32,
    manual: Option<&'a Manual>,
}

/// How the requests of one look use the service.
#[derive(Clone, Copy, Debug, Default)]
struct Use {
    arrived: u64,
    /// Wakeful requests that wait or are in flight.
    wakeful: u32,
    /// Others in flight: they keep nothing awake, but are not cut off either.
    others: u32,
}

impl Memory {
    /// Follows who uses the service. Once it sleeps, a replica whose owner lets it sleep is not
    /// protected any more.
    pub(crate) fn follow_sleep<'a>(
        &mut self,
        policy: &Policy,
        observation: &'a Observation,
    ) -> Cow<'a, Observation> {
        let Some(sleep) = policy.sleep else {
            self.sleep = SleepMemory::default();
            return Cow::Borrowed(observation);
        };
        let now = observation.at;
        let stale_ms = policy.timing.stale_after_ms;
        let engine = observation.engine.fresh(now, stale_ms);
        let balancer = observation.balancer.as_ref();
        let balancer = balancer.and_then(|balancer| balancer.fresh(now, stale_ms));
        if let Some(engine) = engine {
            let look = self.look(policy, observation, engine);
            self.sleep.begin(&look, self.count.desired, balancer);
            match balancer {
                Some(balancer) => self.sleep.see(sleep, &look, balancer),
                None => self.sleep.see_blind(&look),
            }
        } else {
            self.sleep.excuse(now);
        }
        match self.sleep.state {
            Mode::Falling | Mode::Asleep(_) => release(observation),
            Mode::Unknown | Mode::Awake => Cow::Borrowed(observation),
        }
    }

    fn look<'a>(
        &self,
        policy: &'a Policy,
        observation: &'a Observation,
        engine: &'a EngineReport,
    ) -> Look<'a> {
        let now = observation.at;
        let manual = observation.manual.as_ref();
        let manual = manual.filter(|manual| manual.until.is_none_or(|until| until > now));
        let mut look = Look { now, policy, engine, committed: 0, others: 0, ready: 0, manual };
        for replica in &engine.replicas {
            match replica.phase {
                Phase::Ready if self.plan.serves(replica) => {
                    look.ready += 1;
                    look.committed += 1;
                }
                // It may never serve, and is not waited for.
                Phase::Starting if self.is_overdue(&policy.timing, now, replica) => {
                    look.others += 1;
                }
                Phase::Starting => look.committed += 1,
                Phase::Ready | Phase::Unhealthy => look.others += 1,
                Phase::Stopping => {}
            }
        }
        look
    }

    /// What the sleep rule asks of the count.
    pub(crate) fn sleep_say(&self, now: Timestamp) -> SleepSay {
        let idle_ms = self.sleep.idle_ms(now);
        match self.sleep.state {
            Mode::Unknown => SleepSay::Nothing,
            Mode::Awake => SleepSay::Stay { idle_ms },
            Mode::Falling | Mode::Asleep(_) => SleepSay::Leave { idle_ms },
        }
    }

    /// The state of sleep, for whoever shows it.
    pub(crate) fn sleep_state(&self, policy: &Policy, now: Timestamp) -> Option<Sleep> {
        let SleepPolicy { after_ms } = policy.sleep?;
        let idle_ms = self.sleep.idle_ms(now);
        let state = match self.sleep.state {
            Mode::Unknown => SleepState::Unknown,
            Mode::Awake => SleepState::Awake { idle_ms },
            Mode::Falling => SleepState::FallingAsleep { idle_ms },
            Mode::Asleep(since) => SleepState::Asleep { since },
        };
        Some(Sleep { after_ms, state, last_wake: self.sleep.last_wake.clone() })
    }
}

impl SleepMemory {
    fn idle_ms(&self, now: Timestamp) -> u64 {
        self.used_at.map_or(0, |at| now.ms_since(at))
    }

    /// At the first look: what has no replica sleeps, unless it is about to have one.
    fn begin(&mut self, look: &Look<'_>, desired: Option<u32>, balancer: Option<&BalancerReport>) {
        self.counted = self.counted.or(balancer.map(|report| (report.epoch, report.wakeful().0)));
        if self.state != Mode::Unknown {
            return;
        }
        let told = look.engine.count.as_ref().map_or(0, |count| count.wanted);
        let some = look.committed + look.others + told + desired.unwrap_or(0) > 0;
        self.state = if some { Mode::Awake } else { Mode::Asleep(look.now) };
        self.used_at = Some(look.now);
        self.asked = pin(look).map(|(count, _)| count);
    }

    /// That time says nothing about who used the service.
    fn excuse(&mut self, now: Timestamp) {
        let since = self.known_at.or(self.used_at);
        let gap_ms = since.map_or(0, |at| now.ms_since(at));
        self.used_at = self.used_at.map(|at| at.plus_ms(gap_ms));
        self.known_at = Some(now);
    }

    /// The engine was seen and the balancer was not: only what needs no request may wake it.
    fn see_blind(&mut self, look: &Look<'_>) {
        self.excuse(look.now);
        match self.state {
            Mode::Asleep(_) => {
                let cause = self.cause(look, Use::default());
                cause.into_iter().for_each(|cause| self.wake(look.now, cause));
            }
            // Whether anybody is cut off cannot be seen.
            Mode::Falling => self.state = Mode::Awake,
            Mode::Unknown | Mode::Awake => {}
        }
        self.asked = pin(look).map(|(count, _)| count);
    }

    fn see(&mut self, policy: SleepPolicy, look: &Look<'_>, balancer: &BalancerReport) {
        let used = self.count_use(balancer);
        let now = look.now;
        let gap_ms = self.known_at.map_or(0, |at| now.ms_since(at));
        if gap_ms > look.policy.timing.stale_after_ms {
            self.excuse(now);
        }
        if let Mode::Asleep(_) = self.state {
            let cause = self.cause(look, used);
            cause.into_iter().for_each(|cause| self.wake(now, cause));
        } else {
            // Once it serves, whoever caused that has time to use it.
            let began = look.ready > 0 && !self.served;
            if used.arrived > 0 || used.wakeful > 0 || began || self.is_asked_anew(look) {
                self.used_at = Some(now);
            }
            let sleeps = self.may_sleep(policy, look, used);
            let is_empty = look.committed + look.others == 0;
            self.state = match (sleeps, is_empty) {
                (false, _) => Mode::Awake,
                (true, false) => Mode::Falling,
                (true, true) => Mode::Asleep(now),
            };
        }
        self.served |= look.ready > 0;
        self.known_at = Some(now);
        self.asked = pin(look).map(|(count, _)| count);
    }

    fn count_use(&mut self, balancer: &BalancerReport) -> Use {
        let (arrivals, wakeful) = balancer.wakeful();
        let epoch = balancer.epoch;
        let arrived = match self.counted {
            Some((before, counted)) if before == epoch => arrivals.saturating_sub(counted),
            // They began again from zero.
            Some(_) => arrivals,
            None => 0,
        };
        self.counted = Some((epoch, arrivals));
        let in_flight = balancer
            .servers
            .values()
            .fold(0, |sum: u32, server| sum.saturating_add(server.in_flight));
        let others = in_flight.saturating_sub(wakeful);
        Use { arrived, wakeful: wakeful.saturating_add(balancer.waiting), others }
    }

    /// Whether an awake service may have no replica from now on.
    fn may_sleep(&self, policy: SleepPolicy, look: &Look<'_>, used: Use) -> bool {
        let idle = self.idle_ms(look.now) >= policy.after_ms;
        let used_now = used.wakeful > 0 || used.others > 0;
        // Who waits for a first replica may wait elsewhere: it has its time to start.
        let begins = look.committed > 0 && !self.served;
        idle && !used_now && !begins && self.kept_awake(look).is_none()
    }

    /// What keeps a service awake, or wakes it, whether there are requests or not.
    fn kept_awake(&self, look: &Look<'_>) -> Option<WakeCause> {
        let min = look.policy.bounds.min;
        if min > 0 {
            return Some(WakeCause::Minimum { min });
        }
        // The count of an external policy says how many are to serve while it is awake.
        if look.policy.rule.is_external() {
            return None;
        }
        let manual = look.manual.filter(|manual| manual.ask != Ask::Pin(0))?;
        let counts = manual.ask != Ask::Pause || look.committed > 0;
        counts.then(|| WakeCause::Manual { by: manual.by.clone() })
    }

    fn is_asked_anew(&self, look: &Look<'_>) -> bool {
        pin(look).is_some_and(|(count, _)| count > 0 && self.asked != Some(count))
    }

    /// What wakes a service that sleeps, if anything does.
    fn cause(&self, look: &Look<'_>, used: Use) -> Option<WakeCause> {
        let Use { arrived, wakeful, others } = used;
        let asked = || {
            let by = pin(look).filter(|_| self.is_asked_anew(look)).map(|(_, by)| by.to_owned());
            by.map(|by| WakeCause::Manual { by })
        };
        let started = || {
            let comes = |phase| matches!(phase, Phase::Starting | Phase::Ready);
            let found = look.engine.replicas.iter().find(|replica| comes(replica.phase));
            found.map(|replica| WakeCause::Started { replica: replica.id.clone() })
        };
        let waiting = wakeful.saturating_add(others);
        let requests = match (waiting, arrived) {
            (0, 0) => None,
            (0, requests) => Some(WakeCause::Arrived { requests }),
            (requests, _) => Some(WakeCause::Waiting { requests }),
        };
        requests.or_else(|| self.kept_awake(look)).or_else(asked).or_else(started)
    }

    fn wake(&mut self, now: Timestamp, cause: WakeCause) {
        self.state = Mode::Awake;
        self.used_at = Some(now);
        self.served = false;
        self.last_wake = Some(Wake { at: now, cause });
    }
}

/// The count that was asked for under an external policy, and by whom.
fn pin<'a>(look: &Look<'a>) -> Option<(u32, &'a str)> {
    let manual = look.manual.filter(|_| look.policy.rule.is_external())?;
    match manual.ask {
        Ask::Pin(count) => Some((count, manual.by.as_str())),
        Ask::Pause => None,
    }
}

/// The same, with replicas that may sleep open to being stopped.
fn release(observation: &Observation) -> Cow<'_, Observation> {
    let sleeps = |replica: &ReplicaReport| replica.protected && replica.may_sleep;
    if !observation.engine.value().is_some_and(|engine| engine.replicas.iter().any(sleeps)) {
        return Cow::Borrowed(observation);
    }
    let mut released = observation.clone();
    if let Reading::Taken { value, .. } = &mut released.engine {
        let open = value.replicas.iter_mut().filter(|replica| sleeps(replica));
        open.for_each(|replica| replica.protected = false);
    }
    Cow::Owned(released)
}
