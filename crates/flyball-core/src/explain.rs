//! A decision in words: the one text that log, command line, dashboard and tests print.
//!
//! Decides nothing and calculates nothing: every figure stands in the record. Invariant: what is
//! printed can be printed again from the stored record alone, at any later time.

use std::fmt;

use crate::decision::Decision;
use crate::plan::Step;
use crate::seen::Seen;
use crate::units::{ReplicaId, seconds};

impl Decision {
    /// The first line: what changes, and from what.
    pub fn headline(&self) -> String {
        let committed = self.seen.committed();
        let change = i64::from(self.desired) - i64::from(committed);
        match change {
            0 => format!("{} stays at {}", self.service, self.desired),
            _ => format!("{} {} -> {} ({change:+})", self.service, committed, self.desired),
        }
    }

    /// What decided the count, in one line: the last guard that moved it, else the largest wish.
    pub fn reason(&self) -> String {
        if let Some(last) = self.moves.last() {
            return squeeze(&last.describe(self.at));
        }
        let decisive = self.recommendations.iter().max_by_key(|r| r.count);
        decisive.map_or_else(
            || "no reading to go by: the count is kept".to_owned(),
            |wish| squeeze(&wish.to_string()),
        )
    }

    /// Whether somebody should see it: the count moves, or something is to be done.
    pub fn is_change(&self) -> bool {
        self.desired != self.seen.current || !self.plan.is_empty()
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

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}   {}", self.headline(), ages(&self.seen))?;
        writeln!(f, "  seen        {}", figures(&self.seen))?;
        for sick in &self.sick {
            writeln!(f, "  sick        {}", sick.describe(self.at))?;
        }
        if let Some(fault) = &self.shared_fault {
            writeln!(f, "  shared      {fault}")?;
        }
        let largest = self.recommendations.iter().map(|r| r.count).max();
        let mut decided = false;
        for wish in &self.recommendations {
            let decides = !decided && Some(wish.count) == largest;
            decided |= decides;
            writeln!(f, "  {wish}{}", if decides { "   decides" } else { "" })?;
        }
        if self.recommendations.is_empty() {
            writeln!(f, "  signals     none to go by -> {} as it was", self.seen.current)?;
        }
        for step in &self.moves {
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
                "  back-off    {} not started for {wait_s:.0} s: {} starts failed, last {}",
                held.count, held.failures, held.why
            )?;
        }
        write!(f, "  plan        {}", self.plan_in_words())
    }
}

fn ages(seen: &Seen) -> String {
    let age = |ms: Option<u64>| ms.map_or("says nothing".to_owned(), |ms| format!("{ms} ms old"));
    let mut text = format!("engine {}", age(seen.engine_age_ms));
    if seen.balancer_age_ms.is_some() || seen.arrivals_per_s.is_some() {
        text += &format!("   balancer {}", age(seen.balancer_age_ms));
    }
    text
}

fn figures(seen: &Seen) -> String {
    let mut text =
        format!("{} ready, {} starting, {} draining", seen.ready, seen.starting, seen.draining);
    if seen.unhealthy > 0 {
        text += &format!(", {} unhealthy", seen.unhealthy);
    }
    if let Some(mean) = seen.mean_cpu {
        text += &format!("; mean cpu {:.1} %", mean * 100.0);
        if let Some(held) = seen.held_cpu.filter(|held| *held > 0.0) {
            text += &format!(" + {:.1} % held back", held * 100.0);
        }
    }
    if let Some(per_s) = seen.arrivals_per_s {
        text += &format!("; {per_s:.1}/s, {} in flight, {} waiting", seen.in_flight, seen.waiting);
    }
    let lag_s = seconds(seen.start_lag_ms);
    let source = if seen.start_lag_measured { "measured" } else { "assumed" };
    text + &format!("; start lag {lag_s:.2} s ({source})")
}

/// A line of the explanation for use within a sentence: its first word is a label.
fn squeeze(line: &str) -> String {
    let mut words = line.split_whitespace();
    let label = words.next().unwrap_or_default();
    format!("{label}: {}", words.collect::<Vec<_>>().join(" "))
}
