//! How supply moved: against demand from step to step, and by whose doing. A jump by three counts
//! as three movements of one.

/// A change this long after one in the other direction is no reversal, in milliseconds.
const REVERSAL_MS: u64 = 600_000;

/// Movements, counted as they happen.
#[derive(Clone, Debug, Default)]
pub struct Moves {
    pub(super) actions: u32,
    pub(super) reversals: u32,
    pub(super) started: u32,
    pub(super) scale_events: u32,
    /// Steps in which supply and demand did not move alike.
    pub(super) unlike: u32,
    /// Steps in which supply moved more upwards than demand.
    pub(super) supply_against: u32,
    /// Steps in which demand moved more upwards than supply.
    pub(super) demand_against: u32,
    pairs: u32,
    supply_moved: u64,
    demand_moved: u64,
    before: Option<(u32, u32)>,
    last: Option<(u64, i64)>,
}

impl Moves {
    pub(super) fn end_step(&mut self, demand: u32, serving: u32) {
        let Some((demand_before, serving_before)) = self.before.replace((demand, serving)) else {
            return;
        };
        let supply = i64::from(serving) - i64::from(serving_before);
        let wanted = i64::from(demand) - i64::from(demand_before);
        self.pairs += 1;
        self.supply_moved += supply.unsigned_abs();
        self.demand_moved += wanted.unsigned_abs();
        self.scale_events += u32::from(supply != 0);
        self.unlike += u32::from(supply.signum() != wanted.signum());
        self.supply_against += u32::from(supply.signum() > wanted.signum());
        self.demand_against += u32::from(supply.signum() < wanted.signum());
    }

    pub(super) fn act(&mut self, at_ms: u64, change: i64, started: u32) {
        self.started += started;
        if change == 0 {
            return;
        }
        self.actions += 1;
        let turned = self.last.is_some_and(|(before_ms, before)| {
            before.signum() != change.signum() && at_ms.saturating_sub(before_ms) <= REVERSAL_MS
        });
        self.reversals += u32::from(turned);
        self.last = Some((at_ms, change));
    }

    /// `count` of all pairs of steps, in percent.
    pub(super) fn share(&self, count: u32) -> f64 {
        if self.pairs == 0 { 0.0 } else { 100.0 * f64::from(count) / f64::from(self.pairs) }
    }

    /// Supply's movement beyond demand's, in replicas.
    #[expect(clippy::cast_precision_loss, reason = "movements far below 2^52")]
    pub(super) fn extra_movement(&self) -> f64 {
        self.supply_moved as f64 - self.demand_moved as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_soon_change_of_direction_is_a_reversal() {
        let mut moves = Moves::default();
        moves.act(0, 2, 2);
        moves.act(60_000, 1, 1);
        moves.act(120_000, -1, 0);
        moves.act(800_000, 3, 3);
        moves.act(900_000, 0, 0);
        assert_eq!((moves.actions, moves.reversals, moves.started), (4, 1, 6));
    }
}
