//! Whether more replicas bring anything.
//!
//! Decides when to stop adding, and says so. Does not know what else is too slow (a database, a
//! lock, another service), only that it is not these replicas: they idle while requests wait, and
//! more of them answered no more.
//! Invariant: the count never falls by this, and the first look at which nothing waits ends it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Chain, Context, Guard};
use crate::memory::Memory;
use crate::units::Timestamp;

/// So many raises are watched before they are called futile: one may have come too late to show.
const RAISES_MIN: u32 = 3;
/// Half as many replicas again should show in what is answered: with a tenth more, the gain that is
/// looked for would be as small as the noise of the count.
const GROWTH_MIN: f64 = 1.5;
/// Less than this part of what the replicas should have brought is no gain.
const GAIN_MIN: f64 = 0.1;
/// Replicas that are busier than this may well be what is too slow.
const CPU_MAX: f64 = 0.5;
/// It is tried again after so long: whatever was too slow may have been mended in a way that does
/// not show as long as nothing is added.
const RETRY_MS: u64 = 600_000;
/// What is answered is taken over so much time.
const ANSWERED_MS: u64 = 10_000;

/// A stretch of looks at each of which requests waited.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Push {
    /// Ready replicas at its first look.
    ready: u32,
    /// Requests answered per second before it.
    answered_per_s: f64,
    /// The count at the last look.
    count: u32,
    /// How often that rose.
    raises: u32,
    /// What its raises brought, once that is known to be nothing.
    futile: Option<Futile>,
}

/// Replicas that brought nothing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Futile {
    /// Ready replicas before and after.
    pub ready: (u32, u32),
    /// Requests answered per second before and after.
    pub answered_per_s: (f64, f64),
    /// Mean share of their CPU that the replicas use.
    pub cpu: f64,
    /// When more are tried again.
    pub until: Timestamp,
}

impl fmt::Display for Futile {
    /// `7 more replicas answer 60.2/s instead of 59.8/s and use 9 % of their CPU: something else is
    /// too slow`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((few, many), (before, after)) = (self.ready, self.answered_per_s);
        let (more, cpu) = (many.saturating_sub(few), self.cpu * 100.0);
        write!(
            f,
            "{more} more replicas answer {after:.1}/s instead of {before:.1}/s and use {cpu:.0} % of \
             their CPU: something else is too slow"
        )
    }
}

/// Adds nothing while more replicas have just brought nothing.
pub(super) fn futility(chain: &mut Chain, memory: &mut Memory, context: &Context<'_>) {
    let Some(push) = follow(memory, context) else { return };
    memory.push = Some(push);
    if let Some(futile) = push.futile {
        // Recorded also where nobody asks for more: it explains why requests wait.
        let kept = chain.count.min(context.figures.current);
        chain.set_for_now(kept, Guard::Futile(futile));
    }
}

/// The push as it stands at this look; `None` where nothing waits, and where nobody knows.
fn follow(memory: &mut Memory, context: &Context<'_>) -> Option<Push> {
    let (now, figures) = (context.seen.at, context.figures);
    // A balancer that says nothing neither begins nor ends a push.
    figures.arrivals_per_s?;
    let before = memory.push.take().filter(|_| figures.waiting > 0);
    let retry = |push: &Push| push.futile.is_none_or(|futile| now < futile.until);
    let Some(mut push) = before.filter(retry) else {
        let answered_per_s = memory.answered_per_s(now, ANSWERED_MS)?;
        let (ready, count) = (figures.ready, figures.current);
        return (figures.waiting > 0).then_some(Push {
            ready,
            answered_per_s,
            count,
            raises: 0,
            futile: None,
        });
    };
    push.raises += u32::from(figures.current > push.count);
    push.count = figures.current;
    if push.futile.is_none() {
        push.futile = judge(&push, memory, context);
    }
    Some(push)
}

/// What the raises brought, if it is next to nothing and the replicas idle.
fn judge(push: &Push, memory: &Memory, context: &Context<'_>) -> Option<Futile> {
    let (now, figures) = (context.seen.at, context.figures);
    let growth = f64::from(figures.ready) / f64::from(push.ready.max(1));
    let shown = figures.starting == 0 && figures.warming == 0 && growth >= GROWTH_MIN;
    let cpu = figures.mean_cpu.filter(|cpu| *cpu < CPU_MAX)?;
    if push.raises < RAISES_MIN || !shown {
        return None;
    }
    let answered_per_s = memory.answered_per_s(now, ANSWERED_MS)?;
    let gain = answered_per_s - push.answered_per_s;
    (gain < GAIN_MIN * push.answered_per_s * (growth - 1.0)).then(|| Futile {
        ready: (push.ready, figures.ready),
        answered_per_s: (push.answered_per_s, answered_per_s),
        cpu,
        until: now.plus_ms(RETRY_MS),
    })
}
