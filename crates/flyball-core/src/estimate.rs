//! From raw counters to the figures that rules are written in.
//!
//! Each file keeps one running figure: how many requests arrive, what one of them costs, how busy
//! a replica is, how much of all of them is used, how long a start takes. None knows what for.
//! Invariant: too little evidence gives `None`, and a counter that went backwards is a new
//! beginning, never a negative rate.

pub mod arrivals;
pub mod bins;
pub mod busyness;
pub mod lag;
pub mod usage;
pub mod window;
pub mod work;
