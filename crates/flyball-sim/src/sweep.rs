//! Many policies on many loads: what the policy benchmark is made of. In reading order: [`load`] is
//! a window of a trace as arrivals on a fine grid, [`pool`] the world that serves them, [`race`]
//! one policy on one load, [`field`] who takes part with which settings, [`verdict`] what it comes
//! to. The load of a trace and seed is drawn once and is the same for every policy.

pub mod field;
pub mod load;
pub mod pool;
pub mod race;
pub mod verdict;
