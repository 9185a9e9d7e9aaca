//! Which replicas have fallen sick since the last look, and which are well again or gone.
//!
//! Decides nothing. Invariant: a replica that stays sick has fallen sick once.

use std::collections::BTreeSet;
use std::fmt;

use flyball_core::decision::Decision;
use flyball_core::health::Sick;
use flyball_core::observation::{EngineReport, Phase};
use flyball_core::units::ReplicaId;

/// Who was sick at the last look, and whoever was and is being stopped since.
#[derive(Default)]
pub(crate) struct SickTurns {
    sick: BTreeSet<ReplicaId>,
}

/// What became of one replica since the last look.
#[derive(Debug, PartialEq)]
pub(crate) enum Turn {
    /// It fell sick, when `others` were sick already.
    Fell { sick: Sick, others: usize },
    /// It serves again.
    Well(ReplicaId),
    /// It was sick, and has been removed or has ended.
    Gone(ReplicaId),
}

impl SickTurns {
    /// What has changed since the last look. Without the engine, none: nobody knows who is gone.
    pub(crate) fn turn(&mut self, decision: &Decision, engine: Option<&EngineReport>) -> Vec<Turn> {
        let Some(engine) = engine else { return Vec::new() };
        let before = std::mem::take(&mut self.sick);
        self.sick = decision.sick.iter().map(|one| one.replica.clone()).collect();
        let lasting = before.intersection(&self.sick).count();
        let new = decision.sick.iter().filter(|one| !before.contains(&one.replica));
        let fell =
            |(i, sick): (usize, &Sick)| Turn::Fell { sick: sick.clone(), others: lasting + i };
        let mut turns: Vec<Turn> = new.enumerate().map(fell).collect();
        for id in before {
            if self.sick.contains(&id) {
                continue;
            }
            match engine.replicas.iter().find(|replica| replica.id == id) {
                None => turns.push(Turn::Gone(id)),
                Some(replica) if replica.phase == Phase::Ready => turns.push(Turn::Well(id)),
                // It is on its way out. Nobody probes it any more, which is no recovery.
                Some(_) => drop(self.sick.insert(id)),
            }
        }
        turns
    }
}

impl fmt::Display for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fell { sick, .. } => write!(f, "{sick}"),
            Self::Well(replica) => write!(f, "{replica} is well again"),
            Self::Gone(replica) => write!(f, "{replica} was sick and is gone"),
        }
    }
}
