//! A decision in words, line by line: the same in the log, on the command line, on the dashboard and
//! in tests. All of it comes from the record, so a stored decision can be explained at any time.

mod objective;

use std::fmt;

use crate::adjustment::Guard;
use crate::bounds::Bounds;
use crate::decision::Decision;
use crate::line::Line;
use crate::plan::{HeldStarts, Step};
use crate::rules::Recommendation;
use crate::signals::Signals;
use crate::trouble::{FailedStarts, NotReady, Silence};
use crate::units::{ReplicaId, seconds};

impl Decision {
    /// The first line: what changes, and from what.
    pub fn headline(&self) -> String {
        if self.signals.engine_age_ms.is_none() {
            return format!("{} wants {}, current number unknown", self.service, self.desired);
        }
        // Those that run beyond the count for a rollout are not a change of the count.
        let surplus = self.rollout.as_ref().map_or(0, |rollout| rollout.surplus);
        let committed = self.signals.committed().saturating_sub(surplus);
        let change = i64::from(self.desired) - i64::from(committed);
        match change {
            0 => format!("{} stays at {}", self.service, self.desired),
            _ => format!("{} {} -> {} ({change:+})", self.service, committed, self.desired),
        }
    }

    /// What decided the count, in one line: the last guard that moved it, else the largest
    /// recommendation.
    pub fn reason(&self) -> String {
        let signals = &self.signals;
        if signals.engine_age_ms.is_none() {
            return "no reading from the engine: the count is kept".to_owned();
        }
        let sleeps = |guard: &Guard| self.is_asleep() && matches!(guard, Guard::Asleep { .. });
        if let Some(last) = self.adjustments.last().filter(|last| !sleeps(&last.guard)) {
            return last.line(self.at).sentence();
        }
        if self.is_asleep() {
            return format!("asleep: {}", self.asleep_in_words());
        }
        let decisive = self.recommendations.iter().max_by_key(|r| r.count);
        match decisive {
            Some(recommendation) => recommendation.line().sentence(),
            None if signals.ready == 0 => "no replica is ready yet: the count is kept".to_owned(),
            None => "no usable reading: the count is kept".to_owned(),
        }
    }

    /// Whether the service sleeps: it may have no replica, it has none, and no request waits at its
    /// balancer, which would see one. False while either of the two says nothing.
    pub fn is_asleep(&self) -> bool {
        let signals = &self.signals;
        let there = signals.committed() + signals.draining + signals.unhealthy;
        let known = signals.engine_age_ms.is_some() && signals.balancer_age_ms.is_some();
        known && self.desired == 0 && there == 0 && signals.waiting == 0
    }

    /// Why it has no replica, and since when.
    fn asleep_in_words(&self) -> String {
        let since = self.sleep.as_ref().map(|sleep| sleep.words(self.at));
        since.map_or_else(|| ASLEEP.to_owned(), |since| format!("{since}; {ASLEEP}"))
    }

    /// Whether it is worth showing: the count changes, or something is to be done.
    pub fn is_change(&self) -> bool {
        self.desired != self.signals.current || !self.plan.is_empty()
    }

    fn plan_in_words(&self) -> String {
        let grouped = ["start", "route", "drain", "stop"].into_iter().filter_map(|verb| {
            let steps = self.plan.iter().filter(|step| step.verb() == verb);
            let names: Vec<&str> = steps.filter_map(Step::replica).map(ReplicaId::as_str).collect();
            (!names.is_empty()).then(|| format!("{verb} {}", named(&names)))
        });
        let scaled = self.plan.iter().filter_map(|step| match step {
            Step::Scale { to, leaving } => Some(scale_in_words(*to, leaving)),
            _ => None,
        });
        let words: Vec<String> = grouped.chain(scaled).collect();
        if words.is_empty() { "nothing to do".to_owned() } else { words.join("; ") }
    }
}

/// `scale to 5 without 2 (web.6.x1y2, web.7.z3a4)`.
fn scale_in_words(to: u32, leaving: &[ReplicaId]) -> String {
    let names: Vec<&str> = leaving.iter().map(ReplicaId::as_str).collect();
    let without =
        if names.is_empty() { String::new() } else { format!(" without {}", named(&names)) };
    format!("scale to {to}{without}")
}

/// `7 (web-6, web-7, ...)`: three names at most, since a plan may hold hundreds.
fn named(names: &[&str]) -> String {
    const NAMED: usize = 3;
    let mut shown: Vec<&str> = names.iter().take(NAMED).copied().collect();
    if names.len() > NAMED {
        shown.push("...");
    }
    format!("{} ({})", names.len(), shown.join(", "))
}

/// Why a service that sleeps has no replica.
const ASLEEP: &str = "no requests are waiting; the next one starts a replica";

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}   {}", self.headline(), self.ages())?;
        self.lines().iter().try_for_each(|line| write!(f, "\n  {line}"))
    }
}

/// The parts of an explanation, in their order.
impl Decision {
    /// Everything that led to the count, and what is to be done.
    pub fn lines(&self) -> Vec<Line> {
        let mut lines = vec![Line::new("seen", counts(&self.signals))];
        lines.extend(self.sick.iter().map(|sick| Line::new("sick", sick.describe(self.at))));
        lines.extend(self.shared_fault.as_ref().map(|fault| Line::new("shared", fault)));
        lines.extend(self.trouble_lines());
        lines.extend(self.recommendation_lines());
        lines.extend(self.adjustments.iter().map(|adjustment| {
            let mut line = adjustment.line(self.at);
            line.text += &format!(": {} -> {}", adjustment.before, adjustment.after);
            line
        }));
        let Bounds { min, max } = self.bounds;
        let largest = self.recommendations.iter().map(|r| r.count).max();
        if (min..=max).contains(&largest.unwrap_or(self.desired)) {
            lines.push(Line::new("bounds", format!("{min}..{max}: ok")));
        }
        lines
            .extend(self.rollout.as_ref().map(|rollout| Line::new("rollout", rollout.to_string())));
        lines.extend(self.held_starts.as_ref().map(|held| self.back_off_line(held)));
        let sleep = self.sleep.as_ref().filter(|_| !self.is_asleep());
        lines.extend(sleep.map(|sleep| sleep.line(self.at)));
        lines.push(Line::new("plan", self.plan_in_words()));
        lines
    }

    /// What goes wrong, a line for each.
    fn trouble_lines(&self) -> Vec<Line> {
        let trouble = &self.signals.trouble;
        let lasts_s = |since| seconds(self.at.ms_since(since));
        let silent = |silence: &Silence| {
            let lasts_s = lasts_s(silence.since);
            Line::new("silent", format!("{} for {lasts_s:.1} s: {silence}", silence.source))
        };
        let mut lines: Vec<Line> = trouble.silent.iter().map(silent).collect();
        if let Some(NotReady { replica, since, why, more }) = &trouble.not_ready {
            let lasts_s = self.at.ms_since(*since) / 1000;
            let more = if *more > 0 { format!(" (and {more} more)") } else { String::new() };
            lines.push(Line::new("starting", format!("{replica} for {lasts_s} s: {why}{more}")));
        }
        let failed = trouble.failed_starts.as_ref();
        lines.extend(failed.map(|failed| Line::new("failures", failed.to_string())));
        let minute = self.signals.last_minute.filter(|minute| minute.failed > 0.0);
        lines.extend(minute.map(|minute| Line::new("requests", minute.to_string())));
        lines
    }

    fn recommendation_lines(&self) -> Vec<Line> {
        let mut lines: Vec<Line> = self.recommendations.iter().map(Recommendation::line).collect();
        let largest = self.recommendations.iter().map(|r| r.count).max();
        let decides = self.recommendations.iter().position(|r| Some(r.count) == largest);
        if let Some(line) = decides.and_then(|place| lines.get_mut(place)) {
            line.decides = true;
        }
        lines.extend(self.recommendations.iter().filter_map(Recommendation::objective_line));
        lines.extend(self.broken_objective().map(|text| Line::new("objective", text)));
        if self.is_asleep() {
            lines.push(Line::new("asleep", self.asleep_in_words()));
        } else if lines.is_empty() {
            let current = self.signals.current;
            lines.push(Line::new("signals", format!("none usable -> {current} as before")));
        }
        lines
    }

    fn back_off_line(&self, held: &HeldStarts) -> Line {
        let wait_s = seconds(held.until.ms_since(self.at)).ceil();
        let failed = FailedStarts::from(held);
        Line::new("back-off", format!("{} not started for {wait_s:.0} s: {failed}", held.count))
    }

    /// How old the readings are that it rests on.
    pub fn ages(&self) -> String {
        let signals = &self.signals;
        let age = |ms: Option<u64>| ms.map_or("no reading".to_owned(), |ms| format!("{ms} ms old"));
        let mut text = format!("engine {}", age(signals.engine_age_ms));
        if signals.balancer_age_ms.is_some() || signals.arrivals_per_s.is_some() {
            text += &format!("   balancer {}", age(signals.balancer_age_ms));
        }
        text
    }
}

fn counts(signals: &Signals) -> String {
    let mut text = match signals.engine_age_ms {
        Some(_) => {
            format!(
                "{} ready, {} starting, {} draining",
                signals.ready, signals.starting, signals.draining
            )
        }
        None => "current number unknown".to_owned(),
    };
    if signals.unhealthy > 0 {
        text += &format!(", {} unhealthy", signals.unhealthy);
    }
    if let Some(mean) = signals.mean_cpu {
        text += &format!("; mean cpu {:.1} %", mean * 100.0);
        if let Some(held) = signals.held_cpu.filter(|held| *held > 0.0) {
            text += &format!(" + {:.1} % throttled", held * 100.0);
        }
    }
    if let Some(per_s) = signals.arrivals_per_s {
        text += &format!(
            "; {per_s:.1}/s, {} in flight, {} waiting",
            signals.in_flight, signals.waiting
        );
    }
    let lag_s = seconds(signals.start_lag_ms);
    let source = if signals.start_lag_measured { "measured" } else { "assumed" };
    text + &format!("; start lag {lag_s:.2} s ({source})")
}
