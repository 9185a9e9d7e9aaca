//! Turns raw counters into the values that rules use, one running value for each file. Too little
//! evidence gives `None`, and a counter that went backwards starts a new difference, never a
//! negative rate.

pub mod arrivals;
pub mod bins;
pub mod busyness;
pub mod growth;
pub mod lag;
pub mod lateness;
pub mod loads;
pub mod trim;
pub mod usage;
pub mod window;
pub mod work;
