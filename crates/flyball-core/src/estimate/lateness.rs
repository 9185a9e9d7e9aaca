//! The share of requests that were late, by a count of them or by the queue that they met.

/// The share of requests that met a queue longer than `limit` while it went from `before` to `now`.
pub fn of_queue(before: f64, now: f64, limit: f64) -> f64 {
    let (low, high) = (before.min(now), before.max(now));
    if high <= limit {
        0.0
    } else if low >= limit {
        1.0
    } else {
        (high - limit) / (high - low)
    }
}

/// The share that `late` of `arrived` requests are, both since the last look; `None` without any.
pub fn of_counts(late: u64, arrived: u64) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "differences far below 2^52")]
    let share = late as f64 / arrived as f64;
    (arrived > 0).then(|| share.min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_that_fills_makes_the_later_part_late() {
        assert_eq!(of_queue(0.0, 4.0, 5.0), 0.0);
        assert_eq!(of_queue(0.0, 20.0, 5.0), 0.75);
        assert_eq!(of_queue(20.0, 0.0, 5.0), 0.75);
        assert_eq!(of_queue(9.0, 6.0, 5.0), 1.0);
    }

    #[test]
    fn requests_that_were_late_are_no_more_than_all() {
        assert_eq!(of_counts(0, 0), None);
        assert_eq!(of_counts(1, 4), Some(0.25));
        assert_eq!(of_counts(9, 4), Some(1.0), "those that arrived before");
    }
}
