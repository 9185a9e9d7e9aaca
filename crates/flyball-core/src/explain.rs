//! A decision as text: the same in the log, on the command line, on the dashboard and in tests. All
//! of it comes from the record, so a stored decision can be explained at any later time.

use std::fmt;

use crate::decision::Decision;
use crate::plan::Step;
use crate::signals::Signals;
use crate::trouble::FailedStarts;
use crate::units::{ReplicaId, seconds};

impl Decision {
    /// The first line: what changes, and from what.
    pub fn headline(&self) -> String {
        if self.signals.engine_age_ms.is_none() {
            return format!("{} wants {}, current number unknown", self.service, self.desired);
        }
        let committed = self.signals.committed();
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
        if let Some(last) = self.adjustments.last() {
            return without_label(&last.describe(self.at));
        }
        if self.is_asleep() {
            return format!("asleep: {ASLEEP}");
        }
        let decisive = self.recommendations.iter().max_by_key(|r| r.count);
        match decisive {
            Some(recommendation) => without_label(&recommendation.to_string()),
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

/// What goes wrong, a line for each.
fn write_trouble(decision: &Decision, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let signals = &decision.signals;
    for silence in &signals.trouble.silent {
        let lasts_s = seconds(decision.at.ms_since(silence.since));
        writeln!(f, "  silent      {} for {lasts_s:.1} s: {silence}", silence.source)?;
    }
    if let Some(late) = &signals.trouble.not_ready {
        let lasts_s = decision.at.ms_since(late.since) / 1000;
        let more = if late.more > 0 { format!(" (and {} more)", late.more) } else { String::new() };
        writeln!(f, "  starting    {} for {lasts_s} s: {}{more}", late.replica, late.why)?;
    }
    if let Some(failed) = &signals.trouble.failed_starts {
        writeln!(f, "  failures    {failed}")?;
    }
    match &signals.last_minute {
        Some(minute) if minute.failed > 0.0 => writeln!(f, "  requests    {minute}"),
        _ => Ok(()),
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}   {}", self.headline(), ages(&self.signals))?;
        writeln!(f, "  seen        {}", counts(&self.signals))?;
        for sick in &self.sick {
            writeln!(f, "  sick        {}", sick.describe(self.at))?;
        }
        if let Some(fault) = &self.shared_fault {
            writeln!(f, "  shared      {fault}")?;
        }
        write_trouble(self, f)?;
        let largest = self.recommendations.iter().map(|r| r.count).max();
        let mut decided = false;
        for recommendation in &self.recommendations {
            let decides = !decided && Some(recommendation.count) == largest;
            decided |= decides;
            writeln!(f, "  {recommendation}{}", if decides { "   decides" } else { "" })?;
        }
        if self.is_asleep() {
            writeln!(f, "  asleep      {ASLEEP}")?;
        } else if self.recommendations.is_empty() {
            writeln!(f, "  signals     none usable -> {} as before", self.signals.current)?;
        }
        for step in &self.adjustments {
            writeln!(f, "  {}: {} -> {}", step.describe(self.at), step.before, step.after)?;
        }
        let within = (self.bounds.min..=self.bounds.max).contains(&largest.unwrap_or(self.desired));
        if within {
            writeln!(f, "  bounds      {}..{}: ok", self.bounds.min, self.bounds.max)?;
        }
        if let Some(held) = &self.held_starts {
            let wait_s = seconds(held.until.ms_since(self.at)).ceil();
            writeln!(
                f,
                "  back-off    {} not started for {wait_s:.0} s: {}",
                held.count,
                FailedStarts::from(held)
            )?;
        }
        write!(f, "  plan        {}", self.plan_in_words())
    }
}

fn ages(signals: &Signals) -> String {
    let age = |ms: Option<u64>| ms.map_or("no reading".to_owned(), |ms| format!("{ms} ms old"));
    let mut text = format!("engine {}", age(signals.engine_age_ms));
    if signals.balancer_age_ms.is_some() || signals.arrivals_per_s.is_some() {
        text += &format!("   balancer {}", age(signals.balancer_age_ms));
    }
    text
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

/// A line of the explanation for use within a sentence: its first word is a label.
fn without_label(line: &str) -> String {
    let mut words = line.split_whitespace();
    let label = words.next().unwrap_or_default();
    format!("{label}: {}", words.collect::<Vec<_>>().join(" "))
}
