//! Many seeds, on all the cores there are. Each seed is run once, and one that crashes takes no
//! other with it.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Failed, SeedReport, run};
use crate::seed::Seed;

/// What many seeds came to.
#[derive(Debug, Default)]
pub struct Sweep {
    /// Seeds that stood it.
    pub stood: u64,
    /// Looks made by those.
    pub looks: u64,
    /// Faults that were there.
    pub faults: u64,
    /// The most counted looks that one of them took to settle.
    pub settled_looks_max: u32,
    /// Seeds that failed, in order.
    pub failed: Vec<(u64, Fall)>,
}

/// How one seed fell.
#[derive(Debug)]
pub enum Fall {
    /// It was found out.
    Failed(Box<Failed>),
    /// Code panicked.
    Crashed,
}

impl Sweep {
    fn add(&mut self, seed: u64, outcome: Result<SeedReport, Fall>) {
        match outcome {
            Ok(stood) => {
                self.stood += 1;
                self.looks += stood.looks;
                self.faults += stood.faults;
                self.settled_looks_max = self.settled_looks_max.max(stood.settled_looks);
            }
            Err(fall) => self.failed.push((seed, fall)),
        }
    }
}

/// Runs each seed of `seeds` on `threads` threads.
pub fn sweep(seeds: Range<u64>, threads: usize) -> Sweep {
    let next = AtomicU64::new(seeds.start);
    let sweep = Mutex::new(Sweep::default());
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let outcome = one(seed);
                    sweep.lock().unwrap_or_else(PoisonError::into_inner).add(seed, outcome);
                }
            });
        }
    });
    let mut sweep = sweep.into_inner().unwrap_or_else(PoisonError::into_inner);
    sweep.failed.sort_by_key(|(seed, _)| *seed);
    sweep
}

fn one(seed: u64) -> Result<SeedReport, Fall> {
    // Nothing of a run outlives it, so a panic leaves nothing half changed behind.
    match catch_unwind(AssertUnwindSafe(|| run(Seed(seed)))) {
        Ok(outcome) => outcome.map_err(Fall::Failed),
        Err(_) => Err(Fall::Crashed),
    }
}
