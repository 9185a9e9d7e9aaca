//! What a run cost and how well it served, by the elasticity metrics of SPEC's research group
//! (Herbst et al., "Ready for Rain?", SPEC-RG-2016-01) and of Ilyushkin et al. (ICPE 2017).
//! Integrals over time, except those that compare one step of the trace with the next.

mod moves;

use serde::Serialize;

pub use moves::Moves;

/// The exponent of the autoscaling deviation.
const DEVIATION_POWER: i32 = 5;

/// A span of time in which nothing changed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ScoreSpan {
    /// Its length, in seconds.
    pub span_s: f64,
    /// The least replicas that meet the load; at least 1.
    pub demand: u32,
    /// Replicas that served.
    pub serving: u32,
    /// Replica-seconds that were paid for: of starting, serving, idle and draining ones.
    pub paid_s: f64,
    /// Requests (or core-seconds) that arrived.
    pub arrived: f64,
    /// Requests that were served, whenever they arrived.
    pub served: f64,
    /// Requests that were never served: lost, refused or given up.
    pub unserved: f64,
    /// Requests that were served too late.
    pub late: f64,
    /// The longest that a request of it waits, in seconds.
    pub wait_s: f64,
}

/// Everything that happened, summed up as it happens.
#[derive(Clone, Debug, Default)]
pub struct ScoreTotals {
    span_s: f64,
    demand_s: f64,
    serving_s: f64,
    paid_s: f64,
    short_s: f64,
    spare_s: f64,
    short_share_s: f64,
    spare_share_s: f64,
    under_s: f64,
    over_s: f64,
    overload_s: f64,
    arrived: f64,
    served: f64,
    unserved: f64,
    late: f64,
    wait_s: f64,
    moves: Moves,
}

/// The figures of one run. Shares are in percent; lower is better everywhere, but for `jitter`,
/// which is best at 0, and `mean_util_pct`, which is neither.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Score {
    /// Paid replica-seconds (starting and draining included) over those of the least that would do.
    pub cost_ratio: f64,
    /// Requests that were too late or never served, of all.
    pub over_limit_pct: f64,
    /// Requests that were never served, of all.
    pub unserved_pct: f64,
    /// Replicas missing, relative to the demand, mean over time.
    pub theta_u: f64,
    /// Replicas to spare, relative to the demand, mean over time; has no upper end.
    pub theta_o: f64,
    /// Time with replicas missing.
    pub tau_u: f64,
    /// Time with replicas to spare.
    pub tau_o: f64,
    /// Looks that changed the count.
    pub actions: u32,
    /// Changes against the direction of the one before, within 10 minutes of it.
    pub reversals: u32,
    /// Replicas missing, mean over time.
    pub a_u: f64,
    /// Replicas to spare, mean over time.
    pub a_o: f64,
    /// Steps in which supply and demand do not move alike.
    pub upsilon: f64,
    /// Steps in which supply moves up, or stays, against demand.
    pub k: f64,
    /// Steps in which demand moves up, or stays, against supply.
    pub k2: f64,
    /// Supply's movement less demand's, in replicas per minute: above 0 it oscillates.
    pub jitter_per_min: f64,
    /// Steps after which supply is not what it was.
    pub scale_events: u32,
    /// Time in which load found no free replica.
    pub overload_time_pct: f64,
    /// Serving replicas, in hours.
    pub replica_hours: f64,
    /// Replicas paid for, starting and draining included, in hours.
    pub paid_hours: f64,
    /// The longest that a request waited for a replica to be free, in seconds.
    pub longest_wait_s: f64,
    /// Serving replica-seconds over those of the least that would do: cost without starts and
    /// drains.
    pub serving_ratio: f64,
    /// Share of the serving replicas' time that was worked.
    pub mean_util_pct: f64,
    /// Distance from the ideal autoscaler: the 5-norm of both thetas, both taus and upsilon.
    pub sigma: f64,
    /// Replicas started, per hour.
    pub started_per_hour: f64,
    /// Half of the answers took no longer than this, in milliseconds; `None` where requests are not
    /// followed one by one.
    pub p50_ms: Option<f64>,
    /// The same of 99 of 100 answers, all in one histogram.
    pub p99_ms: Option<f64>,
    /// The same of 99 of 100 answers of the worst five minutes.
    pub worst_p99_ms: Option<f64>,
}

impl ScoreTotals {
    /// Takes in a piece of time.
    pub fn add(&mut self, piece: &ScoreSpan) {
        let ScoreSpan { span_s, demand, serving, .. } = *piece;
        let short = f64::from(demand.saturating_sub(serving));
        let spare = f64::from(serving.saturating_sub(demand));
        let demand = f64::from(demand.max(1));
        self.span_s += span_s;
        self.demand_s += demand * span_s;
        self.serving_s += f64::from(serving) * span_s;
        self.paid_s += piece.paid_s;
        self.short_s += short * span_s;
        self.spare_s += spare * span_s;
        self.short_share_s += short / demand * span_s;
        self.spare_share_s += spare / demand * span_s;
        self.under_s += if short > 0.0 { span_s } else { 0.0 };
        self.over_s += if spare > 0.0 { span_s } else { 0.0 };
        self.overload_s += if piece.unserved > 0.0 || piece.late > 0.0 { span_s } else { 0.0 };
        self.arrived += piece.arrived;
        self.served += piece.served;
        self.unserved += piece.unserved;
        self.late += piece.late;
        self.wait_s = self.wait_s.max(piece.wait_s);
    }

    /// Takes in the end of one step of the trace, with demand and supply in it.
    pub fn end_step(&mut self, demand: u32, serving: u32) {
        self.moves.end_step(demand, serving);
    }

    /// Takes in a look that changed the count by `change` at `at_ms`, with replicas it started.
    pub fn act(&mut self, at_ms: u64, change: i64, started: u32) {
        self.moves.act(at_ms, change, started);
    }

    /// The figures. `capacity` is what one replica serves in a second, in the unit of the pieces.
    /// Without any time or load a share is 0.
    pub fn score(&self, capacity: f64) -> Score {
        let of_time = |s: f64| 100.0 * ratio(s, self.span_s);
        let of_load = |n: f64| 100.0 * ratio(n, self.arrived);
        let moves = &self.moves;
        let mut score = Score {
            cost_ratio: ratio(self.paid_s, self.demand_s),
            over_limit_pct: of_load(self.unserved + self.late),
            unserved_pct: of_load(self.unserved),
            theta_u: of_time(self.short_share_s),
            theta_o: of_time(self.spare_share_s),
            tau_u: of_time(self.under_s),
            tau_o: of_time(self.over_s),
            actions: moves.actions,
            reversals: moves.reversals,
            a_u: ratio(self.short_s, self.span_s),
            a_o: ratio(self.spare_s, self.span_s),
            upsilon: moves.share(moves.unlike),
            k: moves.share(moves.supply_against),
            k2: moves.share(moves.demand_against),
            jitter_per_min: ratio(moves.extra_movement() * 60.0, self.span_s),
            scale_events: moves.scale_events,
            overload_time_pct: of_time(self.overload_s),
            replica_hours: self.serving_s / 3600.0,
            paid_hours: self.paid_s / 3600.0,
            longest_wait_s: self.wait_s,
            serving_ratio: ratio(self.serving_s, self.demand_s),
            mean_util_pct: 100.0 * ratio(self.served, capacity * self.serving_s),
            started_per_hour: ratio(f64::from(moves.started) * 3600.0, self.span_s),
            ..Score::default()
        };
        score.sigma = deviation(&score);
        score
    }
}

fn deviation(score: &Score) -> f64 {
    let parts = [score.theta_u, score.theta_o, score.tau_u, score.tau_o, score.upsilon];
    let sum: f64 = parts.iter().map(|part| part.powi(DEVIATION_POWER)).sum();
    sum.powf(1.0 / f64::from(DEVIATION_POWER))
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(got: f64, want: f64) {
        assert!((got - want).abs() < 1e-4, "{got} is not {want}");
    }

    /// Worked out by hand: steps of 60 s, one replica serves 10 per second.
    fn worked() -> Score {
        let mut ledger = ScoreTotals::default();
        for (demand, serving) in [(2, 2), (2, 2), (4, 2), (4, 4), (3, 4), (3, 3), (1, 3), (1, 1u32)]
        {
            let arrived = f64::from(demand) * 600.0;
            let served = arrived.min(f64::from(serving) * 600.0);
            let unserved = arrived - served;
            let paid_s = f64::from(serving) * 60.0;
            let piece = ScoreSpan {
                span_s: 60.0,
                demand,
                serving,
                paid_s,
                arrived,
                served,
                unserved,
                ..ScoreSpan::default()
            };
            ledger.add(&piece);
            ledger.end_step(demand, serving);
        }
        ledger.score(10.0)
    }

    #[test]
    fn the_hand_checked_run_gives_its_published_figures() {
        let score = worked();
        close(score.a_u, 0.25);
        close(score.a_o, 0.375);
        close(score.theta_u, 6.25);
        close(score.theta_o, 29.1667);
        close(score.tau_u, 12.5);
        close(score.tau_o, 25.0);
        close(score.upsilon, 85.7143);
        close(score.k, 42.8571);
        close(score.k2, 42.8571);
        close(score.jitter_per_min, 0.0);
        close(score.unserved_pct, 10.0);
        close(score.replica_hours, 0.35);
        close(score.sigma, 85.8295);
    }

    #[test]
    fn nothing_that_happened_scores_nothing() {
        let score = ScoreTotals::default().score(10.0);
        assert_eq!(score, Score::default());
    }
}
