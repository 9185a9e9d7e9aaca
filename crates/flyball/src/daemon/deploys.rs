//! What operators ask for about the generations of a service: deploy, roll back, pause. An order is
//! kept in the journal, so that a rollout goes on after a restart.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flyball_core::generation::Generation;
use flyball_core::observation::{Phase, ReplicaReport};
use flyball_core::rollout::{Deployed, RolloutOrder};
use flyball_core::units::Timestamp;
use flyball_engine::GenerationInfo;
use flyball_journal::{StoredDeploy, StoredRollout};
use flyball_web::{AskError, DeployView, RolloutAsk};

use super::engines::Engine;
use super::registry::{Registry, ServiceState};
use crate::clock;
use crate::failure::Failure;

/// The orders about one service.
#[derive(Default)]
pub(crate) struct Deploys {
    asked: Mutex<Asked>,
    /// Held while the engine prepares a generation, so that the last one asked for is the last one
    /// prepared.
    preparing: tokio::sync::Mutex<()>,
}

#[derive(Clone, Default)]
struct Asked {
    order: RolloutOrder,
    last: Option<Deploy>,
    /// How many deploys and rollbacks there were: each ends what the one before still prepares.
    number: u64,
}

/// A deploy or a rollback.
#[derive(Clone)]
struct Deploy {
    at: Timestamp,
    at_wall_ms: i64,
    by: String,
    image: Option<String>,
    /// The image in force before it, beside the file's: it stays if this comes to nothing.
    image_before: Option<String>,
    /// What the file named then.
    configured_image: Option<String>,
    generation: Option<Generation>,
    failed: Option<String>,
    is_rollback: bool,
}

impl Deploy {
    fn new(by: &str, image: Option<String>, configured_image: Option<String>) -> Self {
        Self {
            at: clock::now(),
            at_wall_ms: clock::wall_ms(),
            by: by.to_owned(),
            image,
            image_before: None,
            configured_image,
            generation: None,
            failed: None,
            is_rollback: false,
        }
    }
}

impl Deploy {
    fn image_in_force(self) -> Option<String> {
        if self.failed.is_some() { self.image_before } else { self.image }
    }
}

impl Deploys {
    /// What the plan goes by.
    pub(crate) fn order(&self) -> RolloutOrder {
        self.asked().order
    }

    pub(super) fn view(&self) -> Option<DeployView> {
        let asked = self.asked();
        let last = asked.last.as_ref()?;
        Some(DeployView {
            at_wall_ms: last.at_wall_ms,
            by: last.by.clone(),
            image: last.image.clone(),
            generation: last.generation,
            failed: last.failed.clone(),
            paused: asked.order.paused,
            is_rollback: last.is_rollback,
        })
    }

    /// Why the last deploy came to nothing, if it did.
    pub(super) fn failed(&self) -> Option<String> {
        let asked = self.asked();
        let last = asked.last.as_ref()?;
        let why = last.failed.as_ref()?;
        if last.is_rollback {
            return Some(format!("the rollback does not hold any more: {why}"));
        }
        let image = last.image.as_ref().map(|image| format!(" of {image}")).unwrap_or_default();
        Some(format!("the deploy{image} came to nothing, what runs stays: {why}"))
    }

    /// A paused rollout goes on, or a running one is paused.
    fn pause(&self, paused: bool) {
        self.asked().order.paused = paused;
    }

    /// A deploy begins. Gives its number.
    fn begin(&self, mut deploy: Deploy) -> u64 {
        let mut asked = self.asked();
        asked.order.paused = false;
        let before = asked.last.take();
        let before = before.filter(|last| last.configured_image == deploy.configured_image);
        deploy.image_before = before.and_then(Deploy::image_in_force);
        // Without an image, it is the one in force once more.
        deploy.image = deploy.image.or_else(|| deploy.image_before.clone());
        asked.last = Some(deploy);
        asked.number += 1;
        asked.number
    }

    /// What deploy `number` came to; false if a later one has taken its place.
    fn finish(&self, number: u64, outcome: Result<Generation, String>) -> bool {
        let mut asked = self.asked();
        let Asked { order, last: Some(last), number: latest } = &mut *asked else { return false };
        if *latest != number {
            return false;
        }
        match outcome {
            Ok(generation) => {
                last.generation = Some(generation);
                order.deployed = Some(Deployed { generation, at: last.at });
                order.back_to = None;
            }
            Err(why) => last.failed = Some(why),
        }
        true
    }

    /// Goes back to `generation`.
    fn roll_back(&self, generation: Generation, by: &str) {
        let deploy = Deploy::new(by, None, None);
        let deployed = Some(Deployed { generation, at: deploy.at });
        let deploy = Deploy { generation: Some(generation), is_rollback: true, ..deploy };
        self.begin(deploy);
        let mut asked = self.asked();
        asked.order.deployed = deployed;
        asked.order.back_to = Some(generation);
    }

    /// Whatever was rolled back to or deployed with an image of its own: the file is newer now.
    pub(super) fn follow_file(&self) {
        let mut asked = self.asked();
        asked.order.back_to = None;
        if let Some(last) = &mut asked.last {
            last.image = None;
        }
    }

    /// What is made is another from now on, of the image in force.
    pub(super) fn forget_rollback(&self) {
        self.asked().order.back_to = None;
    }

    fn is_latest(&self, number: u64) -> bool {
        self.asked().number == number
    }

    fn stored(&self) -> StoredRollout {
        let asked = self.asked();
        let deployed = asked.last.as_ref().map(|last| StoredDeploy {
            generation: last.generation,
            image: last.clone().image_in_force(),
            configured_image: last.configured_image.clone(),
            at_wall_ms: last.at_wall_ms,
            by: last.by.clone(),
        });
        StoredRollout { paused: asked.order.paused, deployed, back_to: asked.order.back_to }
    }

    /// The same of what became known only later; false if something was asked for since.
    pub(super) fn take_over_late(&self, stored: &StoredRollout, can_go_back: bool) -> bool {
        let nothing_asked = {
            let asked = self.asked();
            asked.number == 0 && asked.last.is_none() && asked.order == RolloutOrder::default()
        };
        if nothing_asked {
            self.take_over(stored, can_go_back);
        }
        nothing_asked
    }

    /// Takes over what was asked for before a restart. `can_go_back`: whether the engine still has
    /// what was rolled back to.
    pub(super) fn take_over(&self, stored: &StoredRollout, can_go_back: bool) {
        let mut asked = self.asked();
        let back_to = stored.back_to.filter(|_| can_go_back);
        let lost = stored.back_to.filter(|_| !can_go_back);
        let lost = lost.map(|generation| {
            format!(
                "flyball started again and knows generation {generation} no more: replicas are made \
                 as the file says; hint: put the earlier settings into the file and run `flyball \
                 reload`"
            )
        });
        let last = stored.deployed.as_ref().map(|deployed| Deploy {
            at: clock::moment_of(deployed.at_wall_ms),
            at_wall_ms: deployed.at_wall_ms,
            by: deployed.by.clone(),
            image: deployed.image.clone(),
            image_before: None,
            configured_image: deployed.configured_image.clone(),
            generation: deployed.generation,
            failed: lost.clone(),
            is_rollback: stored.back_to.is_some(),
        });
        let deployed = last
            .as_ref()
            .and_then(|last| Some(Deployed { generation: last.generation?, at: last.at }));
        asked.order = RolloutOrder { paused: stored.paused, deployed, back_to };
        asked.last = last;
    }

    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The image of an earlier deploy that has to be prepared again after a restart: unless the file
/// names another one by now than it did then.
pub(super) fn image_to_prepare(
    stored: &StoredRollout,
    configured_image: Option<&str>,
) -> Option<String> {
    let deployed = stored.deployed.as_ref()?;
    let same = deployed.configured_image.as_deref() == configured_image;
    deployed.image.clone().filter(|_| same && stored.back_to.is_none())
}

impl Registry {
    /// Takes an order; what the engine has to prepare for it goes on afterwards.
    pub(super) fn order(
        &self,
        slot: &Arc<ServiceState>,
        ask: RolloutAsk,
        by: &str,
    ) -> Result<(), AskError> {
        let service = slot.name();
        let ending =
            || not_possible(format!("service {service} is ending"), "wait, then ask again");
        let engine = slot.running_engine().ok_or_else(ending)?;
        if let Some((why, hint)) = engine.refusal_of_generations() {
            return Err(not_possible(format!("{service} {why}"), hint));
        }
        match ask {
            RolloutAsk::Deploy { image } => {
                if image.is_some() && !engine.has_images() {
                    let what = format!("{service} has no image: its engine is {}", slot.engine);
                    let hint = "change its command in the file and run `flyball reload`; without \
                                --image its replicas are replaced one after the other";
                    return Err(not_possible(what, hint));
                }
                self.deploy(slot, &engine, image, by);
            }
            RolloutAsk::Rollback => {
                slot.deploys.roll_back(earlier(slot, &engine)?, by);
                self.keep_order(slot);
            }
            RolloutAsk::Pause | RolloutAsk::Resume => {
                slot.deploys.pause(ask == RolloutAsk::Pause);
                self.keep_order(slot);
            }
        }
        slot.wake();
        Ok(())
    }

    /// Prepares a generation and rolls it out.
    pub(super) fn deploy(
        &self,
        slot: &Arc<ServiceState>,
        engine: &Arc<Engine>,
        image: Option<String>,
        by: &str,
    ) {
        let deploy = Deploy::new(by, image.clone(), slot.configured_image());
        let number = slot.deploys.begin(deploy);
        self.keep_order(slot);
        let (slot, engine, keeper) = (Arc::clone(slot), Arc::clone(engine), self.order_keeper());
        self.runtime().spawn(async move {
            let _turn = slot.deploys.preparing.lock().await;
            if !slot.deploys.is_latest(number) {
                return;
            }
            let outcome = engine.deploy(image).await.map_err(|failure| told(&failure));
            if let Err(why) = &outcome {
                tracing::warn!("{}: the deploy came to nothing: {why}", slot.name());
            }
            if slot.deploys.finish(number, outcome) {
                let stored = slot.deploys.stored();
                let kept = Arc::clone(&slot);
                let keep = move || keeper.keep(&kept, &stored);
                // Blocks for a moment, on a disk that hangs for two seconds.
                let _ended = tokio::task::spawn_blocking(keep).await;
            }
        });
    }

    /// Writes down what is asked for now.
    pub(super) fn keep_order(&self, slot: &ServiceState) {
        self.order_keeper().keep(slot, &slot.deploys.stored());
    }
}

fn told(failure: &Failure) -> String {
    match failure.way_out() {
        Some(hint) => format!("{}; hint: {hint}", failure.what()),
        None => failure.what().to_owned(),
    }
}

fn not_possible(what: impl Into<String>, hint: impl Into<String>) -> AskError {
    AskError::NotPossible { what: what.into(), hint: hint.into() }
}

/// The generation to go back to.
fn earlier(slot: &ServiceState, engine: &Engine) -> Result<Generation, AskError> {
    let service = slot.name();
    let known = engine.generations();
    let live = slot.live();
    let replicas: &[ReplicaReport] =
        live.as_ref().and_then(|live| live.engine.as_ref()).map_or(&[], |engine| &engine.replicas);
    let offered = live.as_ref().and_then(|live| live.engine.as_ref()?.generation);
    let current = known.last().map(|info| info.generation).or(offered);
    let to = slot.deploys.order().back_to.or(current);
    if replicas.iter().any(|replica| replica.protected && replica.generation == to) {
        let what = format!("a container of {service} that flyball did not start is already new");
        let hint = "run `docker compose up -d` with the earlier image: the copies follow";
        return Err(not_possible(what, hint));
    }
    let found =
        if known.is_empty() { still_ready(replicas, to) } else { earlier_known(&known, to) };
    found.ok_or_else(|| {
        let what = format!("{service} has no earlier generation to go back to");
        let hint = "flyball knows the last five of this run; change the configuration and run \
                    `flyball reload`, or deploy an earlier image with `flyball deploy --image`";
        not_possible(what, hint)
    })
}

/// The last one before `to` of which a replica was ready.
fn earlier_known(known: &[GenerationInfo], to: Option<Generation>) -> Option<Generation> {
    let place = known.iter().position(|info| Some(info.generation) == to).unwrap_or(known.len());
    let before = known[..place].iter().rev();
    before.filter(|info| info.served).map(|info| info.generation).next()
}

/// The one that most replicas have that serve and are not of `to`.
fn still_ready(replicas: &[ReplicaReport], to: Option<Generation>) -> Option<Generation> {
    let other = |r: &&ReplicaReport| r.phase == Phase::Ready && r.generation != to;
    let mut all: Vec<Generation> =
        replicas.iter().filter(other).filter_map(|r| r.generation).collect();
    all.sort_unstable();
    all.chunk_by(|a, b| a == b).max_by_key(|same| same.len()).map(|same| same[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generation(number: u64) -> Generation {
        Generation::of_digest(number << 32)
    }

    fn info(number: u64, served: bool) -> GenerationInfo {
        let (what, since) = (String::new(), Timestamp::from_ms(number));
        GenerationInfo { generation: generation(number), what, since, served }
    }

    #[test]
    fn a_rollback_passes_over_what_never_served() {
        let known = [info(1, true), info(2, true), info(3, false), info(4, true)];
        let back = |to: u64| earlier_known(&known, Some(generation(to)));
        assert_eq!((back(4), back(3)), (Some(generation(2)), Some(generation(2))));
        assert_eq!((back(2), back(1)), (Some(generation(1)), None));
    }

    #[test]
    fn a_later_deploy_ends_an_earlier_one_that_is_still_prepared() {
        let deploys = Deploys::default();
        let first = deploys.begin(Deploy::new("cli", Some("web:2".to_owned()), None));
        let second = deploys.begin(Deploy::new("cli", Some("web:3".to_owned()), None));
        assert!(!deploys.finish(first, Ok(generation(2))));
        assert_eq!(deploys.order(), RolloutOrder::default());
        assert!(deploys.finish(second, Ok(generation(3))));
        assert_eq!(deploys.order().deployed.unwrap().generation, generation(3));
        let third = deploys.begin(Deploy::new("cli", None, None));
        assert!(deploys.finish(third, Err("no such image".to_owned())));
        assert_eq!(deploys.order().deployed.unwrap().generation, generation(3), "it goes on");
        assert!(deploys.failed().unwrap().contains("no such image"));
    }

    #[test]
    fn the_image_in_force_stays_through_a_failed_deploy_and_one_without_an_image() {
        let deploys = Deploys::default();
        let image = || deploys.stored().deployed.unwrap().image;
        let first = deploys.begin(Deploy::new("cli", Some("web:2".to_owned()), None));
        deploys.finish(first, Ok(generation(2)));
        let second = deploys.begin(Deploy::new("cli", Some("web:none".to_owned()), None));
        deploys.finish(second, Err("no such image".to_owned()));
        assert_eq!(image().as_deref(), Some("web:2"));
        deploys.begin(Deploy::new("cli", None, None));
        assert_eq!(image().as_deref(), Some("web:2"));
        let other =
            deploys.begin(Deploy::new("reload", Some("web:4".into()), Some("web:4".into())));
        deploys.finish(other, Err("no such image".to_owned()));
        assert_eq!(image(), None, "the file is newer");
    }

    #[test]
    fn an_order_is_the_same_after_a_restart() {
        let deploys = Deploys::default();
        let number = deploys.begin(Deploy::new("cli", Some("web:2".into()), Some("web:1".into())));
        deploys.finish(number, Ok(generation(2)));
        deploys.pause(true);
        let stored = deploys.stored();
        let next = Deploys::default();
        next.take_over(&stored, true);
        assert_eq!(next.stored(), stored);
        assert!(next.order().paused);
        assert_eq!(next.order().deployed.unwrap().generation, generation(2));
        assert_eq!(image_to_prepare(&stored, Some("web:1")).as_deref(), Some("web:2"));
        assert_eq!(image_to_prepare(&stored, Some("web:3")), None, "the file is newer");
        next.roll_back(generation(1), "cli");
        let stored = next.stored();
        let gone = Deploys::default();
        gone.take_over(&stored, false);
        assert_eq!((stored.back_to, gone.order().back_to), (Some(generation(1)), None));
        let said = gone.failed().unwrap();
        assert!(said.contains("the rollback does not hold any more"), "{said}");
        gone.begin(Deploy::new("cli", None, None));
        assert_eq!(gone.failed(), None);
    }

    #[test]
    fn an_order_that_becomes_known_late_counts_unless_something_was_asked_for_since() {
        let stored = StoredRollout { paused: true, ..StoredRollout::default() };
        let idle = Deploys::default();
        assert!(idle.take_over_late(&stored, true));
        assert!(idle.order().paused);
        let asked = Deploys::default();
        asked.begin(Deploy::new("cli", None, None));
        assert!(!asked.take_over_late(&stored, true));
        assert!(!asked.order().paused);
    }
}
