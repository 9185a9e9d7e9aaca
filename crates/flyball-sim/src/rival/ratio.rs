//! The ratio rule that Kubernetes' autoscaler published: count times measured over wanted.
//!
//! Decides the count that a ratio gives. Does not know where the ratio comes from, nor windows.
//! Invariant: within the tolerance nothing moves.

use flyball_core::units::replicas_for;

/// How far from 1 a ratio may be and still move nothing: Kubernetes' default.
pub const TOLERANCE: f64 = 0.1;

/// The count for `ratio` of measured to wanted use, from `count` replicas, at least 1.
///
/// A ratio exactly at the tolerance moves nothing. NaN moves nothing.
pub fn count_for(count: u32, ratio: f64, tolerance: f64) -> u32 {
    let moves = (ratio - 1.0).abs() > tolerance;
    if moves { replicas_for(f64::from(count) * ratio).max(1) } else { count }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_moves_the_count_only_beyond_the_tolerance() {
        assert_eq!(count_for(10, 1.1, TOLERANCE), 11, "1.1 - 1 is a hair over 0.1 in binary");
        assert_eq!(count_for(10, 1.09, TOLERANCE), 10);
        assert_eq!(count_for(10, 0.9, TOLERANCE), 10);
        assert_eq!(count_for(10, 0.89, TOLERANCE), 9);
        assert_eq!(count_for(3, 0.0, TOLERANCE), 1);
        assert_eq!(count_for(3, f64::NAN, TOLERANCE), 3);
    }
}
