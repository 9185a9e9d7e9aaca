//! Many policies on many loads: what the policy benchmark is made of. In reading order: [`load`],
//! [`pool`], [`race`], [`field`], [`verdict`]. The load of a trace and seed is the same for every
//! policy.

pub mod field;
pub mod load;
pub mod pool;
pub mod race;
pub mod verdict;
