//! What the loop logs in an hour with a fault that never goes away.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flyball_config::{Env, Ready};
use flyball_core::policy::{Bounds, Governor, Policy, RolloutPolicy, Rule, Timing};
use flyball_journal::{Journal, Retention};
use flyball_web::{Feed, ReplicaState, ServiceView, notices};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::Level;
use tracing_subscriber::fmt::MakeWriter;

use super::balancers::Balancer;
use super::control_loop::{ControlLoop, Recalled, ServiceMode};
use super::engines::{Engine, docker};
use super::event_publisher::EventPublisher;
use super::leadership_guard::LeadershipGuard;
use super::loop_log::LoopLog;
use super::probe::Prober;
use super::registry::ServiceState;
use super::scripted::{Load, ScriptedBalancer, ScriptedEngine, Starts};
use super::service_settings::ServiceSettings;
use crate::clock;

const HOUR: Duration = Duration::from_secs(3_600);
/// What one fault may write in an hour, at INFO and above.
const LINES_MAX: usize = 20;

/// The log's text, shared with its writer.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Write::write(&mut *self.0.lock().unwrap(), bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Written {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// What an hour left behind.
struct Past {
    log: String,
    /// The service as it is shown at its end.
    view: ServiceView,
    notices: Vec<String>,
}

impl Past {
    /// Checks that the log is quiet and holds `text`.
    #[track_caller]
    fn assert_said(&self, text: &str) {
        let count = self.log.lines().count();
        assert!(count <= LINES_MAX, "{count} lines:\n{}", self.log);
        assert!(self.log.contains(text), "{text} in:\n{}", self.log);
    }

    #[track_caller]
    fn assert_shown(&self, text: &str) {
        assert!(self.notices.iter().any(|notice| notice.contains(text)), "{:?}", self.notices);
    }
}

fn policy(max: u32) -> Policy {
    Policy {
        service: "web".to_owned(),
        bounds: Bounds { min: 1, max },
        rule: Rule::Governor(Governor::default()),
        timing: Timing { start_lag_prior_ms: 2_000, ..Timing::default() },
        rollout: RolloutPolicy::default(),
    }
}

fn health() -> Ready {
    Ready::Http { path: "/healthz".to_owned(), any_but_failure: false }
}

/// A replica's address at which every request is answered with `status`.
async fn answering(status: u16) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _asked = stream.read(&mut [0; 1024]).await;
            let head = format!("HTTP/1.1 {status} Said\r\ncontent-length: 0\r\n\r\n");
            let _gone = stream.write_all(head.as_bytes()).await;
        }
    });
    address
}

/// Lets a service live for an hour on what `begin` opens.
async fn hour(policy: Policy, begin: impl Future<Output = (Engine, Balancer)>) -> Past {
    let written = Written::default();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(written.clone())
        .with_ansi(false)
        .with_max_level(Level::INFO)
        .finish();
    let _heard = tracing::subscriber::set_default(subscriber);
    clock::simulated::begin();
    let (engine, balancer) = begin.await;
    let folder = tempfile::tempdir().unwrap();
    let slot = live(policy, engine, balancer, folder.path()).await;
    let view = slot.view();
    let notices = notices(&view).into_iter().map(|notice| notice.text).collect();
    let log = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    Past { log, view, notices }
}

async fn live(
    policy: Policy,
    engine: Engine,
    balancer: Balancer,
    folder: &Path,
) -> Arc<ServiceState> {
    let retention = Retention { age_ms: 86_400_000, bytes_max: 1 << 26 };
    let journal = Journal::open(folder, retention);
    let names = ("scripted", "scripted");
    let (ready, liveness_ms) = (health(), 10_000);
    let settings = ServiceSettings { policy, ready, liveness_ms, error_limit: 0.01 };
    let engine = Arc::new(engine);
    let slot = Arc::new(ServiceState::new(settings, names, None, &engine));
    let look = ControlLoop {
        policy: slot.settings().policy.clone(),
        settings: slot.settings(),
        engine,
        balancer,
        prober: Prober::new(health(), 10_000),
        slot: Arc::clone(&slot),
        journal: Arc::new(journal),
        events: EventPublisher::new(Feed::start(), "web"),
        sink: None,
        guard: LeadershipGuard(None),
        log: LoopLog::new("web"),
        recalled: Recalled::default(),
    };
    let (mode, followed) = watch::channel(ServiceMode::Run);
    assert!(timeout(HOUR, look.run(followed)).await.is_err(), "the loop runs on");
    drop(mode);
    slot
}

/// Replicas that run and answer with `status`, under `load`.
async fn answering_under(status: u16, load: Load) -> (Engine, Balancer) {
    let engine = ScriptedEngine::new(Starts::Run(answering(status).await));
    (Engine::Scripted(engine), Balancer::Scripted(ScriptedBalancer::new(load)))
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_never_becomes_ready_is_said_with_its_cause_and_tried_ever_more_seldom() {
    let past = hour(policy(4), answering_under(404, Load::default())).await;
    past.assert_said("web-1 is not ready: GET /healthz at 127.0.0.1:");
    past.assert_said("the last start failed: web-1 was not ready after 300 s: GET /healthz at");
    past.assert_said("web-2 is not ready: GET /healthz at 127.0.0.1:");
    // Five minutes each, and 19 s, 38 s, 75 s, ... in between.
    past.assert_shown(
        "8 starts failed one after another, the last: web-8 was not ready after 300 s",
    );
    past.assert_shown("answers 404; the next start is delayed");
}

#[tokio::test(start_paused = true)]
async fn a_crash_loop_with_other_words_each_time_is_said_a_few_times() {
    let past = hour(policy(4), async {
        let engine = Engine::Scripted(ScriptedEngine::new(Starts::Crash));
        (engine, Balancer::Scripted(ScriptedBalancer::new(Load::default())))
    });
    let past = past.await;
    past.assert_said("web-1 ended: exit status 3");
    past.assert_said("starts failed one after another, the last: web-");
    past.assert_shown("no database; the next start is delayed");
}

#[tokio::test(start_paused = true)]
async fn requests_that_all_fail_are_said_with_who_fails_them() {
    let load = Load { per_s: 10, failed_percent: 100, ..Load::default() };
    let past = hour(policy(4), answering_under(200, load)).await;
    past.assert_said("failed (100 %): answered with an error by a replica");
    past.assert_shown("600 of 600 requests in the last minute failed (100 %)");
}

#[tokio::test(start_paused = true)]
async fn docker_that_is_away_is_said_once_and_shown_with_its_cause() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("none.sock");
    let text = format!(
        "[docker]\nhost = \"unix://{}\"\n[services.web]\nengine = \"docker\"\nimage = \"x:1\"\nport = 80\nbalancer = \"none\"",
        socket.display()
    );
    let config = flyball_config::parse(&text, "flyball.toml", &Env::of_process()).unwrap();
    let flyball_config::Engine::Docker(container) = &config.services["web"].engine else {
        panic!()
    };
    let past = hour(policy(4), async {
        let host = docker::open_to_read(&config).unwrap();
        let engine = docker::build(host, "web", container, None).unwrap();
        (Engine::Docker(engine), Balancer::None)
    });
    let past = past.await;
    past.assert_said("docker is not running at unix://");
    past.assert_shown("blind, so nothing is started or removed: docker is not running at unix://");
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_goes_away_leaves_what_it_said_last_with_its_age() {
    let past = hour(policy(4), async {
        let address = answering(200).await;
        let gone_at = clock::now().plus_ms(600_000);
        let engine = ScriptedEngine::new(Starts::Run(address)).until(gone_at);
        (Engine::Scripted(engine), Balancer::Scripted(ScriptedBalancer::new(Load::default())))
    });
    let past = past.await;
    past.assert_said("web 0 -> 1");
    past.assert_shown("blind, so nothing is started or removed: docker is not running");
    let states: Vec<_> = past.view.replicas.iter().map(|replica| replica.state).collect();
    assert_eq!(states, [ReplicaState::Ready], "as it was last");
    let age_ms = past.view.now_wall_ms - past.view.last_seen.as_ref().unwrap().wall_ms;
    assert!((2_990_000..3_010_000).contains(&age_ms), "{age_ms}");
}

#[tokio::test(start_paused = true)]
async fn haproxy_that_is_away_is_said_once_and_shown_with_its_cause() {
    let folder = tempfile::tempdir().unwrap();
    let socket = flyball_haproxy::Socket::Unix(folder.path().join("none.sock"));
    let settings = flyball_haproxy::HaproxySettings::new(socket, "web");
    let past = hour(policy(4), async {
        let (engine, _) = answering_under(200, Load::default()).await;
        let haproxy = flyball_haproxy::Haproxy::connect(settings, clock::now).await.unwrap();
        (engine, Balancer::Haproxy(haproxy))
    });
    let past = past.await;
    past.assert_said("none.sock");
    past.assert_shown("blind, so nothing is removed: ");
}

#[tokio::test(start_paused = true)]
async fn a_balancer_that_refuses_its_servers_is_said_with_its_words() {
    let refuses = "HAProxy takes no server: backend web uses balance source".to_owned();
    let load = Load { trouble: Some(refuses.clone()), ..Load::default() };
    let past = hour(policy(4), answering_under(200, load)).await;
    past.assert_said(&refuses);
    past.assert_shown(&refuses);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_stays_blind_is_shown_with_its_cause() {
    let load = Load { away: Some("it does not answer".to_owned()), ..Load::default() };
    let past = hour(policy(4), answering_under(200, load)).await;
    past.assert_said("web 0 -> 1");
    past.assert_shown("blind, so nothing is removed: it does not answer");
}

#[tokio::test(start_paused = true)]
async fn a_service_at_its_maximum_is_said_a_few_times() {
    let load = Load { per_s: 1_000, waiting: 200, ..Load::default() };
    let past = hour(policy(3), answering_under(200, load)).await;
    past.assert_said("at its maximum of 3");
    past.assert_shown("at its maximum of 3, ");
}
