//! Engine `marathon` against a Marathon that answers well, oddly or not at all.
#![expect(clippy::unwrap_used, reason = "a test may")]

mod encrypting;

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use flyball_core::observation::{EngineReport, Phase, Reading};
use flyball_core::units::{ReplicaId, Timestamp};
use flyball_engine::Hint as _;
use flyball_mesos::marathon::{
    AppSettings, Credentials, Marathon, MarathonEngine, MarathonPlaces, MarathonSettings,
};
use flyball_mesos::{Access, Master};
use flyball_testkit::marathon::{Lab, LabSettings};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};

use encrypting::{encrypting, trusting};

/// Longer than anything here takes; reaching it is a failure.
const DEADLINE: Duration = Duration::from_secs(10);

fn clock() -> Timestamp {
    static START: OnceLock<Instant> = OnceLock::new();
    let ms = START.get_or_init(Instant::now).elapsed().as_millis();
    Timestamp::from_ms(1 + u64::try_from(ms).unwrap())
}

fn settings(lab: &Lab) -> MarathonSettings {
    let places = vec![lab.at(0).to_string(), lab.at(1).to_string()];
    MarathonSettings {
        places: MarathonPlaces::At(places),
        tls: None,
        credentials: None,
        mesos: None,
        mesos_access: Access::default(),
        labels: false,
        clock,
    }
}

fn app() -> AppSettings {
    AppSettings {
        service: "web".into(),
        app: "/shop/web".into(),
        port: None,
        balanced: true,
        obeys_hold: true,
    }
}

/// An app of pretended tasks, and an engine that looks after it.
fn set(instances: usize, knobs: LabSettings) -> (Lab, Arc<Marathon>, MarathonEngine) {
    let lab = Lab::start(knobs, None);
    lab.put(json!({ "id": "/shop/web", "cpus": 0.5 }), instances);
    let marathon = Marathon::open(settings(&lab)).unwrap();
    let engine = MarathonEngine::new(&marathon, app()).unwrap();
    (lab, marathon, engine)
}

/// Looks until the report is as wanted.
async fn observed(
    engine: &MarathonEngine,
    wanted: impl Fn(&Reading<EngineReport>) -> bool,
) -> Reading<EngineReport> {
    let began = Instant::now();
    loop {
        let seen = engine.observe();
        if wanted(&seen) {
            return seen;
        }
        assert!(began.elapsed() < DEADLINE, "never came: {seen:#?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Looks until as many run, each with an address, and the count is that; all are then ready.
async fn settled(engine: &MarathonEngine, count: usize) -> Vec<ReplicaId> {
    let seen = observed(engine, |seen| {
        let Some(report) = seen.value() else { return false };
        let here = report.replicas.iter().filter(|replica| replica.address.is_some());
        let wanted = report.count.as_ref().map(|count| count.wanted as usize);
        here.count() == count && report.replicas.len() == count && wanted == Some(count)
    });
    let ids: Vec<ReplicaId> =
        seen.await.value().unwrap().replicas.iter().map(|replica| replica.id.clone()).collect();
    ids.iter().for_each(|id| engine.set_ready(id));
    ids
}

fn busy(seen: &Reading<EngineReport>) -> Option<String> {
    seen.value().and_then(|report| report.busy.clone())
}

#[tokio::test]
async fn a_count_rises_by_patch_and_falls_by_exactly_those_who_were_named() {
    let (lab, _marathon, engine) = set(2, LabSettings::default());
    settled(&engine, 2).await;
    engine.scale(4, &[]);
    let ids = settled(&engine, 4).await;
    let named = [ids[0].clone(), ids[2].clone()];
    engine.scale(2, &named);
    let left = settled(&engine, 2).await;
    assert_eq!(left, [ids[1].clone(), ids[3].clone()]);
    let asked = lab.asked();
    assert_eq!(asked, ["PATCH /v2/apps/shop/web", "POST /v2/tasks/delete?scale=true"]);
}

/// Speaks TLS and passes on to `at`, as the balancer in front of many a Marathon does.
async fn encrypted(at: SocketAddr) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                // A client that does not trust it closes the connection.
                let Ok(mut stream) = encrypting().accept(stream).await else { return };
                let mut behind = TcpStream::connect(at).await.unwrap();
                let _over = tokio::io::copy_bidirectional(&mut stream, &mut behind).await;
            });
        }
    });
    place
}

#[tokio::test]
async fn a_marathon_behind_tls_is_asked_only_if_it_is_trusted_and_its_plain_leader_is_not_followed()
{
    let lab = Lab::start(LabSettings::default(), None);
    lab.put(json!({ "id": "/shop/web", "cpus": 0.5 }), 1);
    let places = MarathonPlaces::At(vec![encrypted(lab.at(0)).await]);
    let settings = |tls| MarathonSettings { tls, places: places.clone(), ..settings(&lab) };
    let stranger = Marathon::open(settings(trusting(false))).unwrap().check().await.unwrap_err();
    assert!(stranger.to_string().contains("TLS: "), "{stranger}");
    let marathon = Marathon::open(settings(trusting(true))).unwrap();
    let engine = MarathonEngine::new(&marathon, app()).unwrap();
    settled(&engine, 1).await;
    engine.scale(2, &[]);
    settled(&engine, 2).await;
    assert_eq!(lab.asked(), ["PATCH /v2/apps/shop/web"]);
}

#[tokio::test]
async fn an_old_marathon_is_scaled_by_put_and_one_with_a_password_is_shown_it() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "fly:ball\n").unwrap();
    let authorization = Some("Basic Zmx5OmJhbGw=".to_owned());
    let knobs = LabSettings { version: "1.4.2".into(), authorization, ..LabSettings::default() };
    let lab = Lab::start(knobs, None);
    lab.put(json!({ "id": "/shop/web", "cpus": 0.5 }), 1);
    let refused = Marathon::open(settings(&lab)).unwrap().check().await.unwrap_err();
    assert!(refused.hint().unwrap().contains("credentials_file"), "{refused}");
    let credentials = Some(Credentials::Basic(secret));
    let marathon = Marathon::open(MarathonSettings { credentials, ..settings(&lab) }).unwrap();
    let engine = MarathonEngine::new(&marathon, app()).unwrap();
    settled(&engine, 1).await;
    engine.scale(2, &[]);
    settled(&engine, 2).await;
    assert_eq!(lab.asked(), ["PUT /v2/apps/shop/web"]);
}

#[tokio::test]
async fn a_deployment_of_another_client_is_waited_for_and_never_forced() {
    let (lab, _marathon, engine) = set(2, LabSettings::default());
    settled(&engine, 2).await;
    let theirs = lab.lock("/shop/web");
    // The order comes before the lock was seen, or after: neither may force it.
    engine.scale(4, &[]);
    let seen = observed(&engine, |seen| busy(seen).is_some()).await;
    assert!(busy(&seen).unwrap().contains(&theirs), "{seen:?}");
    engine.scale(4, &[]);
    observed(&engine, |seen| busy(seen).is_some()).await;
    assert_eq!(lab.instances("/shop/web"), 2);
    lab.unlock(&theirs);
    observed(&engine, |seen| seen.value().is_some() && busy(seen).is_none()).await;
    engine.scale(4, &[]);
    settled(&engine, 4).await;
    assert!(lab.asked().iter().all(|asked| !asked.contains("force")), "{:?}", lab.asked());
}

#[tokio::test]
async fn our_own_stuck_scale_is_overridden_and_why_it_is_stuck_is_reported() {
    let (lab, marathon, engine) = set(2, LabSettings { capacity: 3, ..LabSettings::default() });
    settled(&engine, 2).await;
    engine.scale(6, &[]);
    let pending = |seen: &Reading<EngineReport>| seen.value().and_then(|r| r.pending.clone());
    let seen = observed(&engine, |seen| pending(seen).is_some()).await;
    assert!(pending(&seen).unwrap().contains("no room for 3: InsufficientCpus"), "{seen:?}");
    assert_eq!(busy(&seen), None, "the deployment is flyball's own");
    // Another run finds it and knows that it can only be of the one before.
    drop((engine, marathon));
    let marathon = Marathon::open(settings(&lab)).unwrap();
    let engine = MarathonEngine::new(&marathon, app()).unwrap();
    observed(&engine, |seen| pending(seen).is_some() && busy(seen).is_none()).await;
    engine.scale(3, &[]);
    settled(&engine, 3).await;
    assert_eq!(lab.asked().last().unwrap(), "PATCH /v2/apps/shop/web?force=true");
}

#[tokio::test]
async fn a_storm_of_errors_is_missing_and_what_follows_it_is_whole() {
    let (lab, _marathon, engine) = set(2, LabSettings::default());
    settled(&engine, 2).await;
    lab.set(|knobs| knobs.status = Some(503));
    let seen = observed(&engine, |seen| seen.value().is_none()).await;
    let Reading::Missing { why, .. } = seen else { unreachable!() };
    assert!(why.contains("503"), "{why}");
    engine.scale(5, &[]);
    lab.set(|knobs| knobs.status = None);
    assert_eq!(settled(&engine, 2).await.len(), 2);
}

#[tokio::test]
async fn lost_events_cost_a_second_and_a_leader_that_moves_some() {
    let (lab, _marathon, engine) = set(2, LabSettings::default());
    settled(&engine, 2).await;
    lab.set(|knobs| knobs.mute = true);
    assert!(lab.scale_by_hand("/shop/web", 3));
    settled(&engine, 3).await;
    lab.set(|knobs| knobs.electing = true);
    observed(&engine, |seen| seen.value().is_none()).await;
    lab.set(|knobs| (knobs.electing, knobs.leader, knobs.mute) = (false, 1, false));
    settled(&engine, 3).await;
    engine.scale(4, &[]);
    settled(&engine, 4).await;
}

#[tokio::test]
async fn a_lost_task_is_not_ready_until_it_is_back() {
    let (lab, _marathon, engine) = set(2, LabSettings::default());
    settled(&engine, 2).await;
    let task = lab.tasks("/shop/web").remove(0).id;
    let unhealthy = |seen: &Reading<EngineReport>| {
        let all = seen.value().into_iter().flat_map(|report| &report.replicas);
        all.filter(|replica| replica.phase == Phase::Unhealthy).count()
    };
    lab.lose(&task, true);
    observed(&engine, |seen| unhealthy(seen) == 1).await;
    lab.lose(&task, false);
    observed(&engine, |seen| seen.value().is_some() && unhealthy(seen) == 0).await;
}

#[tokio::test]
async fn what_is_no_app_is_reported_and_left_alone() {
    let (lab, marathon, _engine) = set(0, LabSettings::default());
    let look = |app: &str| {
        let settings = AppSettings { app: app.into(), ..self::app() };
        MarathonEngine::new(&marathon, settings).unwrap()
    };
    let pod = look("/pod").check().await.unwrap();
    assert!(pod[0].fatal && pod[0].text.contains("only apps are supported"), "{pod:?}");
    let none = look("/none");
    assert!(none.check().await.unwrap()[0].text.contains("no app /none"));
    let seen = observed(&none, |seen| busy(seen).is_some()).await;
    none.scale(3, &[]);
    assert_eq!(seen.value().unwrap().count, None);
    let empty = look("/shop/web").check().await.unwrap();
    assert!(!empty[0].fatal && empty[0].text.contains("0 instances"), "{empty:?}");
    let mapping = json!([{ "containerPort": 80, "hostPort": 80 }]);
    let networks = json!([{ "mode": "container/bridge" }]);
    let container = json!({ "portMappings": mapping });
    lab.put(json!({ "id": "/fixed", "networks": networks, "container": container }), 2);
    let fixed = look("/fixed").check().await.unwrap();
    assert!(fixed[0].text.contains("port 80 on an agent of its own"), "{fixed:?}");
    assert_eq!(lab.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn the_app_of_the_example_can_be_looked_after() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/mesos/web.json");
    let example = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let lab = Lab::start(LabSettings::default(), None);
    lab.put(example, 2);
    let marathon = Marathon::open(settings(&lab)).unwrap();
    let engine = MarathonEngine::new(&marathon, AppSettings { port: Some(8080), ..app() }).unwrap();
    assert_eq!(engine.check().await.unwrap(), []);
    settled(&engine, 2).await;
}

#[tokio::test]
async fn apps_with_labels_are_found_and_cpu_time_comes_from_the_agents() {
    let lab = Lab::start(LabSettings::default(), None);
    let labels = json!({ "flyball.service": "web", "flyball.max": "5" });
    lab.put(json!({ "id": "/shop/web", "cmd": "sleep 60", "labels": labels }), 1);
    lab.put(json!({ "id": "/other" }), 1);
    let mesos = Some(Master::At(lab.at(0).to_string()));
    let labelled = MarathonSettings { mesos, labels: true, ..settings(&lab) };
    let marathon = Marathon::open(labelled).unwrap();
    let found = marathon.discovered().await.unwrap();
    assert_eq!((found.len(), found[0].name.as_str()), (1, "/shop/web"));
    let engine = MarathonEngine::new(&marathon, app()).unwrap();
    observed(&engine, |seen| {
        seen.value().is_some_and(|report| report.replicas.iter().any(|r| r.cpu.is_some()))
    })
    .await;
}

/// Measures time.
mod alone {
    use super::*;

    #[tokio::test]
    async fn ten_thousand_tasks_are_taken_in_within_a_second() {
        let (lab, _marathon, engine) = set(10_000, LabSettings::default());
        lab.settle("/shop/web");
        settled(&engine, 10_000).await;
        let read_at = |seen: Reading<EngineReport>| match seen {
            Reading::Taken { at, .. } => at,
            Reading::Missing { since, .. } => since,
        };
        // From a change that no event reports until the whole list was read again.
        lab.set(|knobs| knobs.mute = true);
        let (mut worst, mut last) = (0, read_at(engine.observe()));
        for _ in 0..3 {
            let began = clock();
            let seen = observed(&engine, |seen| read_at(seen.clone()) > last.max(began)).await;
            // Asked at, until taken in.
            (last, worst) = (read_at(seen.clone()), worst.max(clock().ms_since(read_at(seen))));
        }
        println!("10,000 tasks are asked for, read and taken in within {worst} ms");
        assert!(worst < 1_000, "{worst} ms");
    }
}
