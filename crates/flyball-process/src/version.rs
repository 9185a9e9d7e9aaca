//! What the replicas of a service are made of: each difference that counts is a generation.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use flyball_core::generation::Generation;
use flyball_core::units::Timestamp;
use flyball_engine::GenerationInfo;
use ring::digest;

use crate::{ProcessError, ProcessSettings};

/// Earlier generations that can still be made, for a rollout that is given up or rolled back.
const EARLIER_MAX: usize = 4;

/// What replicas of one generation are made of.
#[derive(Debug)]
pub(crate) struct Version {
    pub(crate) generation: Generation,
    pub(crate) settings: ProcessSettings,
    pub(crate) program: PathBuf,
    /// How often the same settings were deployed again.
    restarts: u32,
    since: Timestamp,
}

impl Version {
    fn of(settings: ProcessSettings, restarts: u32, now: Timestamp) -> Result<Self, ProcessError> {
        let program = settings.find_command()?;
        let generation = digest_of(&settings, restarts);
        Ok(Self { generation, settings, program, restarts, since: now })
    }

    /// Arguments are left out: they may hold secrets.
    fn what(&self) -> String {
        let program = self.settings.command.first().map_or("", String::as_str);
        let arguments = match self.settings.command.len().saturating_sub(1) {
            0 => String::new(),
            1 => " with 1 argument".to_owned(),
            count => format!(" with {count} arguments"),
        };
        let again = match self.restarts {
            0 => String::new(),
            restarts => format!(", restart {restarts}"),
        };
        format!("{program}{arguments}{again}")
    }
}

/// Everything that a running replica cannot change. The grace can: it is used when one ends.
fn digest_of(settings: &ProcessSettings, restarts: u32) -> Generation {
    let mut context = digest::Context::new(&digest::SHA256);
    // Each part with its length, so that no two lists read the same.
    let mut part = |bytes: &[u8]| {
        context.update(&(bytes.len() as u64).to_le_bytes());
        context.update(bytes);
    };
    part(&(settings.command.len() as u64).to_le_bytes());
    settings.command.iter().for_each(|word| part(word.as_bytes()));
    for (name, value) in &settings.env {
        part(name.as_bytes());
        part(value.as_bytes());
    }
    let directory = settings.directory.as_ref().map(|path| path.as_os_str().as_encoded_bytes());
    part(directory.unwrap_or_default());
    part(&settings.cpu_limit_cores.to_bits().to_le_bytes());
    part(&restarts.to_le_bytes());
    let digest = context.finish();
    let highest =
        digest.as_ref().iter().take(8).fold(0_u64, |all, byte| all << 8 | u64::from(*byte));
    Generation::of_digest(highest)
}

/// The generations of a service, oldest first.
#[derive(Debug)]
pub(crate) struct Versions {
    /// What a start makes if it is told nothing else.
    current: Arc<Version>,
    earlier: Vec<Arc<Version>>,
    /// Those of which a replica was ever ready.
    served: BTreeSet<Generation>,
}

impl Versions {
    pub(crate) fn new(settings: ProcessSettings, now: Timestamp) -> Result<Self, ProcessError> {
        let current = Arc::new(Version::of(settings, 0, now)?);
        Ok(Self { current, earlier: Vec::new(), served: BTreeSet::new() })
    }

    pub(crate) fn current(&self) -> &Arc<Version> {
        &self.current
    }

    /// What a replica of `generation` is made of; the current one where that is not known.
    pub(crate) fn of(&self, generation: Option<Generation>) -> &Arc<Version> {
        let mut earlier = self.earlier.iter();
        let known = earlier.find(|version| Some(version.generation) == generation);
        known.unwrap_or(&self.current)
    }

    /// From now on `settings` are what is wanted. `runs`: whether replicas of a generation do.
    pub(crate) fn change(
        &mut self,
        settings: ProcessSettings,
        now: Timestamp,
        runs: impl Fn(Generation) -> bool,
    ) -> Result<Generation, ProcessError> {
        self.put(Version::of(settings, self.current.restarts, now)?, runs)
    }

    /// The same settings as a generation of their own.
    pub(crate) fn restart(
        &mut self,
        now: Timestamp,
        runs: impl Fn(Generation) -> bool,
    ) -> Result<Generation, ProcessError> {
        let restarts = self.current.restarts.saturating_add(1);
        self.put(Version::of(self.current.settings.clone(), restarts, now)?, runs)
    }

    fn put(
        &mut self,
        mut version: Version,
        runs: impl Fn(Generation) -> bool,
    ) -> Result<Generation, ProcessError> {
        let generation = version.generation;
        if generation == self.current.generation {
            // Only what does not make a generation is other than before.
            version.since = self.current.since;
            self.current = Arc::new(version);
            return Ok(generation);
        }
        self.earlier.retain(|earlier| earlier.generation != generation);
        self.earlier.push(std::mem::replace(&mut self.current, Arc::new(version)));
        if self.earlier.len() > EARLIER_MAX {
            // One that runs is needed first, should the new one fail.
            let idle = self.earlier.iter().position(|version| !runs(version.generation));
            let gone = self.earlier.remove(idle.unwrap_or(0));
            self.served.remove(&gone.generation);
        }
        Ok(generation)
    }

    /// A replica of `generation` was ready.
    pub(crate) fn note_served(&mut self, generation: Generation) {
        self.served.insert(generation);
    }

    pub(crate) fn info(&self) -> Vec<GenerationInfo> {
        let all = self.earlier.iter().chain([&self.current]);
        all.map(|version| GenerationInfo {
            generation: version.generation,
            what: version.what(),
            since: version.since,
            served: self.served.contains(&version.generation),
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(change: impl FnOnce(&mut ProcessSettings)) -> ProcessSettings {
        let mut settings = ProcessSettings::new("web", vec!["sh".into(), "-c".into()]);
        change(&mut settings);
        settings
    }

    #[test]
    fn whatever_makes_a_replica_makes_its_generation_and_the_grace_does_not() {
        let of = |change: fn(&mut ProcessSettings)| digest_of(&settings(change), 0);
        let plain = of(|_| ());
        let others = [
            of(|it| it.command = vec!["sh".into(), "-c".into(), "x".into()]),
            of(|it| it.command = vec!["sh-c".into()]),
            of(|it| drop(it.env.insert("A".into(), "1".into()))),
            of(|it| drop(it.env.insert("A".into(), "2".into()))),
            of(|it| it.directory = Some("/tmp".into())),
            of(|it| it.cpu_limit_cores = 2.0),
            digest_of(&settings(|_| ()), 1),
        ];
        let all: BTreeSet<_> = others.iter().chain([&plain]).collect();
        assert_eq!(all.len(), others.len() + 1, "{plain} {others:?}");
        assert_eq!(of(|it| it.grace_ms = 1), plain);
    }

    #[test]
    fn earlier_generations_are_kept_as_far_as_they_run_and_bounded() {
        let now = Timestamp::from_ms(1);
        let mut versions = Versions::new(settings(|_| ()), now).unwrap();
        let first = versions.current().generation;
        for _ in 0..9 {
            versions.restart(now, |generation| generation == first).unwrap();
        }
        assert_eq!(versions.info().len(), EARLIER_MAX + 1);
        assert_eq!(versions.of(Some(first)).generation, first, "it runs");
        let newest = versions.current().generation;
        assert_eq!(versions.of(None).generation, newest);
        assert_eq!(versions.of(Some(Generation::of_digest(u64::MAX))).generation, newest);
        assert_eq!(versions.current().what(), "sh with 1 argument, restart 9");
    }

    #[test]
    fn settings_that_are_back_are_the_generation_that_they_were() {
        let now = Timestamp::from_ms(1);
        let mut versions = Versions::new(settings(|_| ()), now).unwrap();
        let first = versions.current().generation;
        let other = settings(|it| drop(it.env.insert("A".into(), "1".into())));
        assert_ne!(versions.change(other, now, |_| true).unwrap(), first);
        assert_eq!(versions.change(settings(|_| ()), now, |_| true).unwrap(), first);
        assert_eq!(versions.info().len(), 2);
        let missing = settings(|it| it.command = vec!["no-such-program".into()]);
        assert!(versions.change(missing, now, |_| true).is_err());
        assert_eq!(versions.current().generation, first, "nothing changed");
    }
}
