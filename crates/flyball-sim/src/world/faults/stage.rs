//! The engine and the balancer as flyball meets them: the world, seen and steered through faults. A
//! report is late, missing or partial, but never claims to be younger than it is.

use std::collections::VecDeque;

use flyball_core::observation::{Ask, EngineReport, Manual, Observation, Phase, Reading};
use flyball_core::plan::Step;
use flyball_core::units::{ReplicaId, Timestamp};

use super::super::requests::World;
use super::super::requests::arrivals::{Arrivals, MS, below, unit};
use super::super::requests::replica::{Replica, ReplicaEnd};
use super::super::requests::service::Spread;
use super::deploys::Deploys;
use super::story::{Fault, Kind, SAFETY_LOOKS, Story};
use crate::seed::{Purpose, Seed, Stream};

/// A late engine is late by so many looks.
const LATE_LOOKS: usize = 3;
/// Names of replicas that somebody else starts are so far apart: flyball goes on from the highest
/// that it sees, and no name of its own may be one of theirs.
const FOREIGN: u64 = 10_000;

/// The world behind its faults.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) world: World,
    interval_ms: u64,
    look: u32,
    chance: Stream,
    at_work: Vec<Fault>,
    manual: Option<Manual>,
    /// The last reports, the newest last.
    engines: VecDeque<Reading<EngineReport>>,
    /// When the last report that was seen was made.
    seen_at: Timestamp,
    last: Option<Observation>,
    foreign: u64,
    mended: bool,
    deploys: Deploys,
}

impl Stage {
    pub(super) fn new(story: &Story, seed: Seed) -> Self {
        let even_from_ms = u64::from(SAFETY_LOOKS) * story.interval_ms;
        let arrivals =
            Arrivals::of_rates(story.per_s.clone(), story.interval_ms, even_from_ms, seed);
        Self {
            world: World::new(story.setup.clone(), arrivals, seed),
            interval_ms: story.interval_ms,
            look: 0,
            // The story has the first lane.
            chance: seed.lane(Purpose::Faults, 1),
            at_work: Vec::new(),
            manual: None,
            engines: VecDeque::new(),
            seen_at: Timestamp::default(),
            last: None,
            foreign: FOREIGN,
            mended: false,
            deploys: Deploys::new(seed),
        }
    }

    /// Lets the faults of `look` begin and end; whether flyball restarts.
    pub(super) fn begin(&mut self, story: &Story, look: u32) -> bool {
        self.look = look;
        self.deploys.begin(look);
        self.at_work = story.at_work(look).copied().collect();
        self.world.work_factor = if self.broken(Kind::WorkDoubles) { 2.0 } else { 1.0 };
        self.world.fate = self.fate();
        for fault in self.at_work.clone() {
            if fault.from == look {
                self.strike(fault);
            }
        }
        self.at_work.iter().any(|fault| fault.kind == Kind::Restart && fault.from == look)
    }

    fn broken(&self, kind: Kind) -> bool {
        self.since(kind).is_some()
    }

    fn since(&self, kind: Kind) -> Option<u32> {
        self.at_work.iter().find(|fault| fault.kind == kind).map(|fault| fault.from)
    }

    fn fate(&mut self) -> ReplicaEnd {
        if self.broken(Kind::StartsHang) {
            ReplicaEnd::Hangs
        } else if self.broken(Kind::StartsFail) {
            ReplicaEnd::EndsAfterMs(below(self.interval_ms, &mut self.chance))
        } else if self.broken(Kind::CrashLoop) {
            ReplicaEnd::EndsAfterMs(self.interval_ms * (1 + below(12, &mut self.chance)))
        } else {
            ReplicaEnd::Lives
        }
    }

    /// What happens once, when a fault begins.
    fn strike(&mut self, fault: Fault) {
        let count = self.world.replicas.len() as u64;
        match fault.kind {
            Kind::CrashOne if count > 0 => {
                let slot = below(count, &mut self.chance);
                self.world.crash(usize::try_from(slot).unwrap_or(0), "signal 9");
            }
            Kind::CrashAll => {
                (0..self.world.replicas.len()).for_each(|slot| self.world.crash(slot, "signal 9"));
            }
            Kind::Foreign => {
                for _ in 0..=below(3, &mut self.chance) {
                    self.foreign += FOREIGN;
                    self.world.start_foreign(&ReplicaId::numbered("web", self.foreign));
                }
            }
            Kind::Protect => {
                for replica in &mut self.world.replicas {
                    replica.protected = unit(&mut self.chance) < 0.5;
                }
            }
            Kind::CpuReset => self.world.forget_cpu(),
            Kind::BalancerReset => self.world.restart_balancer(false),
            Kind::BalancerForgets => self.world.restart_balancer(true),
            Kind::ClockGap => {
                let looks = 2 + below(40, &mut self.chance);
                self.advance(self.interval_ms * looks);
            }
            Kind::Pin => {
                let count = u32::try_from(below(20, &mut self.chance)).unwrap_or(0);
                self.ask(Ask::Pin(count), fault);
            }
            Kind::Pause => self.ask(Ask::Pause, fault),
            _ => {}
        }
    }

    fn ask(&mut self, ask: Ask, fault: Fault) {
        let lasts_ms = u64::from(fault.until - fault.from) * self.interval_ms;
        let until = Some(self.world.now().plus_ms(lasts_ms));
        self.manual = Some(Manual { ask, until, by: "cli".to_owned() });
    }

    /// Nothing is broken any more, and nobody has a hand on the wheel.
    pub(super) fn mend(&mut self) {
        self.look = SAFETY_LOOKS;
        self.at_work.clear();
        self.manual = None;
        self.world.work_factor = 1.0;
        self.world.mend();
        let ready = |replica: &&Replica| replica.phase == Some(Phase::Ready);
        let there = self.world.replicas.iter().filter(ready);
        self.deploys.mend(there.map(|replica| &replica.id));
        // A steady load is one whose work does not vary either.
        self.world.setup.work.spread = Spread::Same;
        self.mended = true;
    }

    /// What flyball sees of it.
    pub(super) fn observe(&mut self) -> Observation {
        let mut seen = self.world.observe();
        let now = seen.at;
        self.manual = self.manual.take().filter(|m| m.until.is_none_or(|until| until > now));
        seen.manual = self.manual.clone();
        seen.rollout = self.deploys.order();
        if let Reading::Taken { value, .. } = &mut seen.engine {
            self.deploys.show(value);
        }
        self.engines.push_back(seen.engine.clone());
        // Late, but never older than what was said before.
        let older = |reading: &Reading<EngineReport>| made_at(reading) < self.seen_at;
        while self.engines.len() > LATE_LOOKS + 1 || self.engines.front().is_some_and(older) {
            self.engines.pop_front();
        }
        if self.broken(Kind::EngineLate) {
            seen.engine = self.engines.front().cloned().unwrap_or(seen.engine);
        }
        self.seen_at = made_at(&seen.engine).max(self.seen_at);
        self.hide_cpu(&mut seen);
        let before = self.last.replace(seen.clone());
        self.silence(&mut seen, before);
        seen
    }

    fn hide_cpu(&mut self, seen: &mut Observation) {
        let busy = self.broken(Kind::EngineBusy);
        let missing = self.broken(Kind::CpuMissing);
        let Reading::Taken { value, .. } = &mut seen.engine else { return };
        value.busy = busy.then(|| "a rollout".to_owned());
        for replica in &mut value.replicas {
            if missing && unit(&mut self.chance) < 0.5 {
                replica.cpu = None;
            }
        }
    }

    /// Leaves out who says nothing, and keeps what was said last by those who repeat themselves.
    fn silence(&mut self, seen: &mut Observation, before: Option<Observation>) {
        let now = seen.at;
        let since = |from: u32, look: u32| {
            let ms = u64::from(look - from) * self.interval_ms;
            Timestamp::from_ms(now.as_ms().saturating_sub(ms))
        };
        if let Some(from) = self.since(Kind::EngineSilent) {
            seen.engine = missing(since(from, self.look));
        } else if self.broken(Kind::EngineStale)
            && let Some(before) = &before
        {
            seen.engine = before.engine.clone();
        }
        if seen.balancer.is_some() {
            if let Some(from) = self.since(Kind::BalancerSilent) {
                seen.balancer = Some(missing(since(from, self.look)));
            } else if self.broken(Kind::BalancerStale)
                && let Some(before) = before
            {
                seen.balancer = before.balancer;
            }
        }
        // What is repeated next time is what was said this time.
        let engine = self.broken(Kind::EngineStale);
        let balancer = self.broken(Kind::BalancerStale);
        if let Some(last) = &mut self.last {
            if engine {
                last.engine = seen.engine.clone();
            }
            if balancer {
                last.balancer = seen.balancer.clone();
            }
        }
    }

    /// Orders, as far as they arrive.
    pub(super) fn act(&mut self, plan: &[Step]) {
        for step in plan {
            let to_engine = matches!(step, Step::Start { .. } | Step::Stop { .. });
            let half = if to_engine { Kind::EngineHalf } else { Kind::BalancerHalf };
            if self.broken(half) && unit(&mut self.chance) < 0.5 {
                continue;
            }
            let fate = self.world.fate;
            if let Step::Start { replica, generation } = step
                && self.deploys.start(replica, *generation)
            {
                self.world.fate = ReplicaEnd::EndsAfterMs(self.interval_ms);
            }
            self.world.carry_out(step);
            self.world.fate = fate;
        }
    }

    /// Time passes until the next look; while things break, looks may come late.
    pub(super) fn pass(&mut self, next_look_ms: u64) {
        let late_ms =
            if self.mended { 0 } else { below(self.interval_ms / 4 + 1, &mut self.chance) };
        self.advance(next_look_ms + late_ms);
    }

    fn advance(&mut self, ms: u64) {
        let to_ms = self.world.now().as_ms() + ms;
        self.world.advance(to_ms * MS, 0);
    }
}

fn missing<T>(since: Timestamp) -> Reading<T> {
    Reading::Missing { since, why: "no answer".to_owned() }
}

fn made_at<T>(reading: &Reading<T>) -> Timestamp {
    match reading {
        Reading::Taken { at, .. } => *at,
        Reading::Missing { .. } => Timestamp::default(),
    }
}
