//! Stops adding replicas when more of them do not help: they idle while requests wait, and more of
//! them answered no more. What else is too slow (a database, a lock) is not known here. The count
//! never falls because of this, and the first look at which nothing waits ends it.

use crate::adjustment::{Chain, Guard};
use crate::memory::{Futile, Memory, ScaleOutTrial};
use crate::rules::Context;

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

/// Adds nothing while more replicas have just brought nothing.
pub(super) fn futility(chain: &mut Chain, memory: &mut Memory, context: &Context<'_>) {
    let Some(trial) = follow(memory, context) else { return };
    memory.guard.trial = Some(trial);
    if let Some(futile) = trial.futile {
        // Recorded even if no signal recommends more: it explains why requests wait.
        let kept = chain.count.min(context.signals.current);
        chain.set_for_now(kept, Guard::Futile(futile));
    }
}

/// The state of the trial at this look; `None` if nothing waits, or if that is not known.
fn follow(memory: &mut Memory, context: &Context<'_>) -> Option<ScaleOutTrial> {
    let now = context.observation.at;
    let signals = context.signals;
    // A balancer that says nothing neither begins nor ends a trial.
    signals.arrivals_per_s?;
    let before = memory.guard.trial.take().filter(|_| signals.waiting > 0);
    let retry = |trial: &ScaleOutTrial| trial.futile.is_none_or(|futile| now < futile.until);
    let Some(mut trial) = before.filter(retry) else {
        let answered_per_s = memory.readings.answered_per_s(now, ANSWERED_MS)?;
        return (signals.waiting > 0).then_some(ScaleOutTrial {
            ready: signals.ready,
            answered_per_s,
            count: signals.current,
            raises: 0,
            futile: None,
        });
    };
    trial.raises += u32::from(signals.current > trial.count);
    trial.count = signals.current;
    if trial.futile.is_none() {
        trial.futile = judge(&trial, memory, context);
    }
    Some(trial)
}

/// What the raises brought, if it is next to nothing and the replicas idle.
fn judge(trial: &ScaleOutTrial, memory: &Memory, context: &Context<'_>) -> Option<Futile> {
    let now = context.observation.at;
    let signals = context.signals;
    let growth = f64::from(signals.ready) / f64::from(trial.ready.max(1));
    let shown = signals.starting == 0 && signals.warming == 0 && growth >= GROWTH_MIN;
    let cpu = signals.mean_cpu.filter(|cpu| *cpu < CPU_MAX)?;
    if trial.raises < RAISES_MIN || !shown {
        return None;
    }
    let answered_per_s = memory.readings.answered_per_s(now, ANSWERED_MS)?;
    let gain = answered_per_s - trial.answered_per_s;
    (gain < GAIN_MIN * trial.answered_per_s * (growth - 1.0)).then(|| Futile {
        ready: (trial.ready, signals.ready),
        answered_per_s: (trial.answered_per_s, answered_per_s),
        cpu,
        until: now.plus_ms(RETRY_MS),
    })
}
