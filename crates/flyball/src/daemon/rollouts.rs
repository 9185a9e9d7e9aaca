//! Rollouts as the control loop carries them out, on a scripted engine and in simulated time.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use flyball_config::Ready;
use flyball_core::generation::Generation;
use flyball_core::observation::Phase;
use flyball_core::policy::{Bounds, Policy, RolloutPolicy, Rule, Timing, Update};
use flyball_core::rollout::RolloutState;
use flyball_journal::{Journal, Retention};
use flyball_web::{Daemon as _, Feed, RolloutAsk};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::balancers::Balancer;
use super::control_loop::{ControlLoop, ServiceMode};
use super::engines::Engine;
use super::event_publisher::EventPublisher;
use super::leadership_guard::LeadershipGuard;
use super::loop_log::LoopLog;
use super::probe::Prober;
use super::registry::{Registry, ServiceState};
use super::scripted::{Load, ScriptedBalancer, ScriptedEngine, Starts};
use super::service_settings::ServiceSettings;
use crate::clock;

/// In simulated time.
const LIMIT: Duration = Duration::from_secs(600);
const COUNT: u32 = 3;
const MAX: u32 = 6;

/// One service whose replicas are ready at once.
struct Scene {
    registry: Registry,
    slot: Arc<ServiceState>,
    engine: Arc<Engine>,
    mode: watch::Sender<ServiceMode>,
    running: JoinHandle<()>,
}

async fn answering() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _asked = stream.read(&mut [0; 1024]).await;
            let _gone = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        }
    });
    address
}

/// A count that stays until somebody changes it.
fn settings(update: Update) -> ServiceSettings {
    let policy = Policy {
        service: "web".to_owned(),
        bounds: Bounds { min: COUNT, max: MAX },
        rule: Rule::External,
        timing: Timing { start_lag_prior_ms: 1_000, ..Timing::default() },
        rollout: RolloutPolicy { update, ..RolloutPolicy::default() },
        sleep: None,
    };
    let ready = Ready::Http { path: "/".to_owned(), any_but_failure: true };
    ServiceSettings { policy, ready, liveness_ms: 0, error_limit: 0.01 }
}

impl Scene {
    async fn begin(folder: &std::path::Path, update: Update) -> Self {
        clock::simulated::begin();
        let engine = ScriptedEngine::new(Starts::Run(answering().await)).with_generations();
        let scene = Self::with(folder, Arc::new(Engine::Scripted(engine)), update);
        scene.until("the first replicas", |scene| scene.is_all_of(scene.offered())).await;
        scene
    }

    /// A flyball that finds `engine` as it is, and its own journal.
    fn with(folder: &std::path::Path, engine: Arc<Engine>, update: Update) -> Self {
        let journal = Arc::new(Journal::open(folder, Retention::default()));
        let registry = Registry::new(Arc::clone(&journal), None, None);
        let names = ("scripted", "scripted");
        let slot = Arc::new(ServiceState::new(settings(update), names, None, &engine));
        if let Some(stored) = journal.rollouts().get("web") {
            slot.deploys.take_over(stored, true);
        }
        registry.add("web", Arc::clone(&slot));
        let look = ControlLoop {
            policy: slot.settings().policy.clone(),
            settings: slot.settings(),
            engine: Arc::clone(&engine),
            balancer: Balancer::Scripted(ScriptedBalancer::new(Load::default())),
            prober: Prober::new(slot.settings().ready.clone(), 0),
            slot: Arc::clone(&slot),
            journal,
            events: EventPublisher::new(Feed::start(), "web"),
            sink: None,
            guard: LeadershipGuard(None),
            log: LoopLog::new("web"),
            earlier: registry.last_decision("web").map(Box::new),
        };
        let (mode, followed) = watch::channel(ServiceMode::Run);
        let running = tokio::spawn(look.run(followed));
        Self { registry, slot, engine, mode, running }
    }

    /// As if it was killed: nothing of it is left but the engine's replicas and the journal.
    async fn kill(self) -> Arc<Engine> {
        self.running.abort();
        let _aborted = self.running.await;
        drop((self.registry, self.mode));
        self.engine
    }

    fn scripted(&self) -> &ScriptedEngine {
        let Engine::Scripted(engine) = &*self.engine else { panic!("not scripted") };
        engine
    }

    fn offered(&self) -> Generation {
        self.scripted().generations().last().unwrap().generation
    }

    fn order(&self, ask: RolloutAsk) {
        self.registry.roll("web", ask, "test").unwrap();
    }

    fn deploy(&self) {
        self.order(RolloutAsk::Deploy { image: None });
    }

    fn state(&self) -> Option<RolloutState> {
        self.slot.live()?.decision.rollout.as_ref().map(|rollout| rollout.state)
    }

    /// How many replicas are ready, of how many, by generation.
    fn replicas(&self) -> (u32, u32, BTreeSet<Generation>) {
        let report = self.scripted().observe().value().cloned().unwrap_or_default();
        let ready = report.replicas.iter().filter(|it| it.phase == Phase::Ready).count();
        let generations = report.replicas.iter().filter_map(|it| it.generation).collect();
        let count = |all: usize| u32::try_from(all).unwrap();
        (count(ready), count(report.replicas.len()), generations)
    }

    fn is_all_of(&self, generation: Generation) -> bool {
        self.replicas() == (COUNT, COUNT, [generation].into())
    }

    /// Waits for `condition`; never are fewer ready than wanted, or more there than the surge allows.
    async fn until_steadily(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        self.until(what, |scene| {
            let (ready, there, _) = scene.replicas();
            assert!(ready >= COUNT, "{what}: only {ready} ready");
            assert!(there <= COUNT + 1, "{what}: {there} at once");
            condition(scene)
        })
        .await;
    }

    async fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let wait = async {
            while !condition(self) {
                sleep(Duration::from_millis(1)).await;
            }
        };
        let over = timeout(LIMIT, wait).await;
        over.unwrap_or_else(|_| panic!("{what}: {:?} {:?}", self.replicas(), self.state()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_deploy_replaces_one_after_the_other_and_a_second_one_takes_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let scene = Scene::begin(folder.path(), Update::Auto).await;
    let first = scene.offered();
    scene.deploy();
    scene.until_steadily("a mix", |scene| scene.replicas().2.len() == 2).await;
    scene.deploy();
    scene
        .until_steadily("the second deploy", |scene| {
            scene.scripted().generations().len() == 3 && scene.is_all_of(scene.offered())
        })
        .await;
    assert_ne!(scene.offered(), first);
    scene.until("the end", |scene| scene.state().is_none()).await;
    assert_eq!(scene.slot.view().deploy.unwrap().generation, Some(scene.offered()));
}

#[tokio::test(start_paused = true)]
async fn a_generation_that_only_fails_is_given_up_until_it_is_deployed_again() {
    let folder = tempfile::tempdir().unwrap();
    let scene = Scene::begin(folder.path(), Update::Auto).await;
    let first = scene.offered();
    scene.scripted().spoil_next(Starts::Crash);
    scene.deploy();
    scene
        .until_steadily("it is given up", |scene| scene.state() == Some(RolloutState::Aborted))
        .await;
    assert!(scene.is_all_of(first));
    let view = scene.slot.view();
    assert!(view.rollout.as_ref().unwrap().why.as_ref().unwrap().contains("no database"));
    let said = flyball_web::notices(&view);
    let said: Vec<_> = said.iter().filter(|notice| notice.pressing).map(|n| &n.text).collect();
    assert!(said.iter().any(|text| text.contains("aborted") && text.contains("no database")));
    scene.deploy();
    scene.until_steadily("a good one", |scene| scene.is_all_of(scene.offered())).await;
    assert_eq!(scene.scripted().generations().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_paused_rollout_stands_still_and_a_rollback_undoes_it() {
    let folder = tempfile::tempdir().unwrap();
    let scene = Scene::begin(folder.path(), Update::Auto).await;
    let first = scene.offered();
    scene.deploy();
    scene.until_steadily("a mix", |scene| scene.replicas().2.len() == 2).await;
    scene.order(RolloutAsk::Pause);
    scene.until_steadily("paused", |scene| scene.state() == Some(RolloutState::Paused)).await;
    sleep(Duration::from_secs(60)).await;
    assert_eq!(scene.state(), Some(RolloutState::Paused));
    assert!(scene.replicas().2.contains(&first), "{:?}", scene.replicas());
    scene.order(RolloutAsk::Resume);
    scene.until_steadily("the end", |scene| scene.is_all_of(scene.offered())).await;
    scene.order(RolloutAsk::Rollback);
    scene.until_steadily("the first again", |scene| scene.is_all_of(first)).await;
    let refused = scene.registry.roll("web", RolloutAsk::Rollback, "test").unwrap_err();
    assert_eq!(refused.to_string(), "web has no earlier generation to go back to");
}

#[tokio::test(start_paused = true)]
async fn a_rollout_goes_on_after_flyball_was_killed_in_the_middle() {
    let folder = tempfile::tempdir().unwrap();
    let scene = Scene::begin(folder.path(), Update::Manual).await;
    scene.scripted().deploy();
    scene.until("it waits", |scene| scene.state() == Some(RolloutState::Waiting)).await;
    scene.deploy();
    scene.until_steadily("a mix", |scene| scene.replicas().2.len() == 2).await;
    let wanted = scene.offered();
    let engine = scene.kill().await;
    let scene = Scene::with(folder.path(), engine, Update::Manual);
    scene
        .until_steadily("the end", |scene| scene.is_all_of(wanted) && scene.state().is_none())
        .await;
    assert_eq!(scene.slot.view().deploy.unwrap().by, "test");
}
