//! CPU usage of tasks, as their agents count it. Each agent with a running task is asked once a
//! second, never twice at a time. Counters carry the agent's time, moved to the local clock, so a
//! slow answer does not look like work.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flyball_core::observation::{CpuCounter, ThrottleCounter};
use flyball_core::units::Timestamp;
use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio::time::{MissedTickBehavior, interval};

use crate::Access;
use crate::agents::Agent;
use crate::http;
use crate::task::Used;

const POLL_EVERY: Duration = Duration::from_secs(1);
/// Two polls may be missed before counters are given up.
const POLL_LIMIT: Duration = Duration::from_secs(2);
/// Polls missed in a row from which an agent is called silent: its counters are about to be given up.
const MISSES_SAID: u32 = 3;
/// Answers of some 100 kB each.
const POLLS_AT_ONCE: usize = 32;
/// A clock of an agent that runs away from ours by so much, or was set, is measured again. Half of
/// it would mistake a slow answer for that; twice would show counters late.
const DRIFT_MS_MAX: f64 = 1_000.0;

/// Whose tasks are metered.
pub(crate) trait UsageSource: Send + Sync + 'static {
    fn now(&self) -> Timestamp;

    /// How agents are spoken to.
    fn access(&self) -> &Access;

    /// Who is asked.
    fn meters(&self) -> &Meters;

    /// The agents that a task of ours runs on, by their ids.
    fn busy_agents(&self) -> BTreeMap<String, Agent>;

    /// What an agent counted for tasks of `framework`, by their ids.
    fn counted(&self, framework: &str, task: &str, used: Used);
}

/// The agents that are asked, by their ids.
#[derive(Debug, Default)]
pub(crate) struct Meters(Mutex<BTreeMap<String, Meter>>);

/// What one task used.
struct Counted {
    framework: String,
    task: String,
    used: Used,
}

impl Meters {
    /// Why an agent reports no CPU usage, once that lasts.
    pub(crate) fn silence(&self, agent: &str) -> Option<String> {
        let meters = self.all();
        let meter = meters.get(agent).filter(|meter| meter.misses >= MISSES_SAID)?;
        Some(meter.why.clone())
    }

    /// Those of `busy` to ask now; those that nothing runs on are forgotten.
    fn due(&self, busy: BTreeMap<String, Agent>) -> Vec<(String, Agent)> {
        let mut meters = self.all();
        meters.retain(|id, _| busy.contains_key(id));
        let mut ask = |id: &String| {
            !std::mem::replace(&mut meters.entry(id.clone()).or_default().asking, true)
        };
        busy.into_iter().filter(|(id, _)| ask(id)).collect()
    }

    /// What an answer says; of one that nothing runs on any more, nothing.
    fn take(&self, id: &str, answer: Result<Vec<Reading>, String>, now: Timestamp) -> Vec<Counted> {
        let mut meters = self.all();
        let Some(meter) = meters.get_mut(id) else { return Vec::new() };
        meter.asking = false;
        match answer {
            Ok(readings) => {
                meter.misses = 0;
                readings.into_iter().filter_map(|reading| meter.counted(reading, now)).collect()
            }
            Err(why) => {
                tracing::debug!(agent = id, why, "no statistics");
                (meter.misses, meter.why) = (meter.misses.saturating_add(1), why);
                Vec::new()
            }
        }
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Meter>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks until aborted.
pub(crate) async fn follow<L: UsageSource>(core: Arc<L>) {
    let mut ticks = interval(POLL_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let places = Arc::new(Semaphore::new(POLLS_AT_ONCE));
    let mut polls = tokio::task::JoinSet::new();
    loop {
        ticks.tick().await;
        while polls.try_join_next().is_some() {}
        for (id, agent) in core.meters().due(core.busy_agents()) {
            let (core, places) = (Arc::clone(&core), Arc::clone(&places));
            polls.spawn(async move {
                // Never closed.
                let Ok(_place) = places.acquire().await else { return };
                let answer = ask(core.access(), &agent).await;
                for Counted { framework, task, used } in core.meters().take(&id, answer, core.now())
                {
                    core.counted(&framework, &task, used);
                }
            });
        }
    }
}

async fn ask(access: &Access, agent: &Agent) -> Result<Vec<Reading>, String> {
    let path = format!("{}/monitor/statistics", agent.path);
    let answer = http::get(access, &agent.at.to_string(), &path, POLL_LIMIT).await;
    let answer = answer.map_err(|error| error.to_string())?;
    serde_json::from_slice(&answer).map_err(|error| error.to_string())
}

/// One agent's clock, and how long it has been silent.
#[derive(Debug, Default)]
struct Meter {
    asking: bool,
    /// Polls in a row that brought nothing, and why the last of them did not.
    misses: u32,
    why: String,
    /// Our time minus the agent's, in milliseconds.
    ahead_ms: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct Reading {
    #[serde(default)]
    executor_id: String,
    #[serde(default)]
    framework_id: String,
    #[serde(default)]
    statistics: Statistics,
}

#[derive(Debug, Default, Deserialize)]
struct Statistics {
    timestamp: Option<f64>,
    cpus_user_time_secs: Option<f64>,
    cpus_system_time_secs: Option<f64>,
    cpus_throttled_time_secs: Option<f64>,
}

impl Meter {
    fn counted(&mut self, reading: Reading, now: Timestamp) -> Option<Counted> {
        let used = self.used(&reading.statistics, now)?;
        // The executor that Mesos makes for a task of its own is called like the task.
        Some(Counted { framework: reading.framework_id, task: reading.executor_id, used })
    }

    /// `None` unless the agent gave a time and both parts of the CPU time.
    fn used(&mut self, said: &Statistics, now: Timestamp) -> Option<Used> {
        let fine = |seconds: &f64| seconds.is_finite() && *seconds >= 0.0;
        let theirs_ms = said.timestamp.filter(fine)? * 1_000.0;
        let user = said.cpus_user_time_secs.filter(fine)?;
        let system = said.cpus_system_time_secs.filter(fine)?;
        #[expect(clippy::cast_precision_loss, reason = "times stay far below 2^52 ms")]
        let ours_ms = now.as_ms() as f64;
        let drifted = |ahead: &f64| (ours_ms - theirs_ms - ahead).abs() <= DRIFT_MS_MAX;
        let ahead = self.ahead_ms.filter(drifted).unwrap_or(ours_ms - theirs_ms);
        self.ahead_ms = Some(ahead);
        let at = Timestamp::from_ms(whole(theirs_ms + ahead));
        let cpu = CpuCounter { at, used_ns: whole((user + system) * 1e9) };
        let held = said.cpus_throttled_time_secs.filter(fine);
        let throttled = held.map(|held| ThrottleCounter { at, held_ns: whole(held * 1e9) });
        Some(Used { heard_at: now, cpu, throttled })
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float-to-int cast saturates: wanted here"
)]
fn whole(number: f64) -> u64 {
    number.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(at_s: f64, cpu_s: f64) -> Statistics {
        Statistics {
            timestamp: Some(at_s),
            cpus_user_time_secs: Some(cpu_s),
            cpus_system_time_secs: Some(0.5),
            cpus_throttled_time_secs: None,
        }
    }

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_ms(ms)
    }

    #[test]
    fn a_late_answer_does_not_change_the_time_between_two_counters() {
        let mut meter = Meter::default();
        let first = meter.used(&said(1_795_408_148.25, 1.0), at(10_000)).unwrap();
        let late = meter.used(&said(1_795_408_149.25, 1.5), at(11_700)).unwrap();
        assert_eq!(late.cpu.at.ms_since(first.cpu.at), 1_000);
        assert_eq!(late.cpu.used_ns - first.cpu.used_ns, 500_000_000);
    }

    #[test]
    fn an_agent_whose_clock_was_set_is_followed_from_then_on() {
        let mut meter = Meter::default();
        meter.used(&said(1_000.0, 1.0), at(10_000)).unwrap();
        let jumped = meter.used(&said(5_000.0, 1.0), at(11_000)).unwrap();
        assert_eq!(jumped.cpu.at, at(11_000));
    }

    #[test]
    fn an_agent_is_silent_once_that_lasts_and_until_it_answers() {
        let meters = Meters::default();
        let busy = || {
            let agent = Agent::of_pid("n1", "slave(1)@10.0.0.5:5051").unwrap();
            BTreeMap::from([("S0".to_owned(), agent)])
        };
        let refuses = || Err("connection refused".to_owned());
        for polls in 1..=3 {
            assert_eq!(meters.silence("S0"), None, "after {polls} polls");
            assert_eq!((meters.due(busy()).len(), meters.due(busy()).len()), (1, 0));
            assert!(meters.take("S0", refuses(), at(1)).is_empty());
        }
        assert_eq!(meters.silence("S0").as_deref(), Some("connection refused"));
        meters.take("S0", Ok(Vec::new()), at(1));
        assert_eq!(meters.silence("S0"), None);
        meters.due(BTreeMap::new());
        assert!(meters.take("S0", refuses(), at(1)).is_empty(), "nothing runs there any more");
    }

    #[test]
    fn what_an_agent_does_not_say_is_missing_and_not_zero() {
        let mut meter = Meter::default();
        for broken in [
            Statistics { timestamp: None, ..said(1.0, 1.0) },
            Statistics { cpus_system_time_secs: None, ..said(1.0, 1.0) },
            said(1.0, -1.0),
            said(f64::NAN, 1.0),
        ] {
            assert_eq!(meter.used(&broken, at(1)), None, "{broken:?}");
        }
    }
}
