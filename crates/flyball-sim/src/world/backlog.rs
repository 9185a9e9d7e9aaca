//! A queue of fluid before replicas that serve at a rate. A request is judged as it arrives, by the
//! time it would wait at the rate of then. What arrived is served, given up or waiting; nothing is
//! lost or made.

use super::Overload;
use crate::score::ScoreSpan;

/// What waits.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Backlog {
    waiting: f64,
}

/// What flows in and out, per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Flow {
    /// Arrivals.
    pub arrivals: f64,
    /// What the replicas serve at most.
    pub capacity: f64,
}

impl Backlog {
    /// Requests waiting.
    pub fn waiting(&self) -> f64 {
        self.waiting
    }

    /// Lets `span_s` seconds pass; what came of it, without counts of replicas.
    pub fn pass(&mut self, flow: Flow, span_s: f64, overload: Overload, limit_s: f64) -> ScoreSpan {
        let arrived = flow.arrivals * span_s;
        match overload {
            Overload::Lost => {
                let unserved = (flow.arrivals - flow.capacity).max(0.0) * span_s;
                ScoreSpan {
                    span_s,
                    arrived,
                    unserved,
                    served: arrived - unserved,
                    ..ScoreSpan::default()
                }
            }
            Overload::Waits { patience_s } => {
                let before = self.waiting;
                let late_s = time_above(flow.capacity * limit_s, before, flow, span_s);
                let after = (before + (flow.arrivals - flow.capacity) * span_s).max(0.0);
                // With nothing to serve, whoever arrives waits for as long as patience lasts.
                let most = flow.capacity.max(flow.arrivals) * patience_s;
                self.waiting = after.min(most);
                let unserved = after - self.waiting;
                let served = (before + arrived - after).max(0.0);
                let late = (flow.arrivals * late_s - unserved).max(0.0);
                let longest = before.min(most).max(self.waiting);
                let wait_s = if flow.capacity > 0.0 {
                    (longest / flow.capacity).min(patience_s)
                } else if longest > 0.0 {
                    patience_s
                } else {
                    0.0
                };
                ScoreSpan {
                    span_s,
                    arrived,
                    served,
                    unserved,
                    late,
                    wait_s,
                    ..ScoreSpan::default()
                }
            }
        }
    }
}

/// The time within `span_s` in which more than `level` waits, beginning with `before`.
fn time_above(level: f64, before: f64, flow: Flow, span_s: f64) -> f64 {
    let growth = flow.arrivals - flow.capacity;
    let above = before - level;
    if above > 0.0 {
        if growth < 0.0 { (above / -growth).min(span_s) } else { span_s }
    } else if growth > 0.0 {
        (span_s + above / growth).max(0.0)
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAITS: Overload = Overload::Waits { patience_s: 10.0 };

    fn flow(arrivals: f64, capacity: f64) -> Flow {
        Flow { arrivals, capacity }
    }

    #[test]
    fn what_finds_no_room_is_lost_or_waits() {
        let mut backlog = Backlog::default();
        let lost = backlog.pass(flow(15.0, 10.0), 60.0, Overload::Lost, 1.0);
        assert_eq!((lost.served, lost.unserved, backlog.waiting()), (600.0, 300.0, 0.0));
        let waits = backlog.pass(flow(15.0, 10.0), 10.0, WAITS, 1.0);
        assert_eq!((waits.served, waits.unserved, backlog.waiting()), (100.0, 0.0, 50.0));
        // 10 wait after 2 s: those who come in the 8 s after that wait longer than the limit.
        assert_eq!(waits.late, 120.0);
    }

    #[test]
    fn a_backlog_is_worked_off_and_ends_at_nothing() {
        let mut backlog = Backlog { waiting: 50.0 };
        let piece = backlog.pass(flow(5.0, 10.0), 4.0, WAITS, 1.0);
        assert_eq!((piece.served, backlog.waiting(), piece.late), (40.0, 30.0, 20.0));
        let piece = backlog.pass(flow(5.0, 10.0), 100.0, WAITS, 1.0);
        assert_eq!((piece.served, backlog.waiting(), piece.late), (530.0, 0.0, 20.0));
    }

    #[test]
    fn more_than_patience_allows_is_given_up() {
        let mut backlog = Backlog::default();
        let piece = backlog.pass(flow(30.0, 10.0), 100.0, WAITS, 1.0);
        assert_eq!((piece.served, backlog.waiting(), piece.unserved), (1000.0, 300.0, 1700.0));
        let piece = backlog.pass(flow(0.0, 0.0), 1.0, WAITS, 1.0);
        assert_eq!((piece.unserved, backlog.waiting()), (300.0, 0.0));
    }
}
