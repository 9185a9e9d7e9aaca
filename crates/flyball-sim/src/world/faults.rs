//! Everything breaks, and then nothing does. A seed draws the service, its load and its faults
//! ([`story`]). While faults last, [`watch`] checks each look for safety; then the load is steady,
//! and [`settle`] wants a sensible count that stays.

mod deploys;
mod settle;
mod stage;
mod story;
pub mod sweep;
mod watch;

use std::fmt;

use flyball_core::decide::decide;
use flyball_core::decision::Decision;
use flyball_core::memory::Memory;
use flyball_core::observation::Observation;

use crate::seed::Seed;
use settle::{Settling, Standing};
use stage::Stage;
use story::{SAFETY_LOOKS, Story};
use watch::Watch;

pub use settle::Unsettled;
pub use watch::Breach;

/// What one seed came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeedReport {
    /// Looks made.
    pub looks: u64,
    /// Faults that were there.
    pub faults: u64,
    /// Looks after the faults stopped until the count stayed, without those that stated until when
    /// they wait.
    pub settled_looks: u32,
}

/// How one seed failed.
#[derive(Clone, Debug)]
pub enum Failure {
    /// Something happened that may never happen.
    Broken(Breach),
    /// The faults stopped and it did not settle.
    Unsettled(Unsettled),
}

/// A seed that failed, with what led there.
#[derive(Clone, Debug)]
pub struct Failed {
    /// How.
    pub failure: Failure,
    /// At which look.
    pub look: u64,
    /// The story and the last looks, for reading.
    pub trail: String,
}

/// Looks kept for the trail.
const TRAIL: usize = 12;

/// Runs one seed.
///
/// # Errors
///
/// If a look broke an invariant, or the service did not settle once the faults had stopped.
pub fn run(seed: Seed) -> Result<SeedReport, Box<Failed>> {
    let story = Story::draw(seed);
    let mut run = Run {
        stage: Stage::new(&story, seed),
        memory: Memory::default(),
        watch: Watch::default(),
        trail: Vec::new(),
        looks: 0,
        story,
    };
    match run.safety().and_then(|()| run.liveness()) {
        Ok(settled_looks) => {
            let faults = run.story.faults.len() as u64;
            Ok(SeedReport { looks: run.looks, faults, settled_looks })
        }
        Err(failure) => {
            let recent = run.trail.iter().rev().take(TRAIL).rev().map(String::as_str);
            let trail = format!("{}\n{}", run.story, recent.collect::<Vec<_>>().join("\n"));
            Err(Box::new(Failed { failure, look: run.looks, trail }))
        }
    }
}

struct Run {
    story: Story,
    stage: Stage,
    memory: Memory,
    watch: Watch,
    trail: Vec<String>,
    looks: u64,
}

impl Run {
    fn safety(&mut self) -> Result<(), Failure> {
        for look in 0..SAFETY_LOOKS {
            if self.stage.begin(&self.story, look) {
                self.memory = Memory::default();
                self.watch.restarted();
            }
            let _decided = self.look()?;
        }
        Ok(())
    }

    fn liveness(&mut self) -> Result<u32, Failure> {
        self.stage.mend();
        let mut settling = Settling::new(&self.story);
        loop {
            let (seen, decision) = self.look()?;
            match settling.see(&seen, &decision, &self.stage.world) {
                Standing::NotYet => {}
                Standing::Settled(looks) => return Ok(looks),
                Standing::Failed(unsettled) => return Err(Failure::Unsettled(unsettled)),
            }
        }
    }

    fn look(&mut self) -> Result<(Observation, Decision), Failure> {
        self.looks += 1;
        let policy = &self.story.policy;
        let seen = self.stage.observe();
        let decision = decide(policy, &mut self.memory, &seen);
        self.trail.push(format!("{decision}"));
        if self.trail.len() > 4 * TRAIL {
            self.trail.drain(..2 * TRAIL);
        }
        self.watch.check(policy, &seen, &decision, &self.stage.world).map_err(Failure::Broken)?;
        self.stage.act(&decision.plan);
        self.stage.pass(decision.next_look_ms);
        Ok((seen, decision))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(breach) => write!(f, "invariant broken: {breach}"),
            Self::Unsettled(unsettled) => write!(f, "did not settle: {unsettled}"),
        }
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "look {}: {}\n{}", self.look, self.failure, self.trail)
    }
}
