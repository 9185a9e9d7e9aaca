//! The engine against a master that answers well, oddly or not at all.
#![expect(clippy::unwrap_used, reason = "a test may")]

mod encrypting;
mod master;

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use flyball_core::nodes::Node;
use flyball_core::observation::{EngineReport, Phase, Reading};
use flyball_core::units::{ReplicaId, Timestamp};
use flyball_engine::Hint as _;
use flyball_mesos::{
    Access, ClusterInfo, ClusterSettings, Credential, MesosCluster, MesosEngine, MesosSettings,
};
use flyball_net::Token;
use serde_json::{Value, json};

use encrypting::trusting;
use master::{DEADLINE, Master, Mood, offers, update};

fn clock() -> Timestamp {
    static START: OnceLock<Instant> = OnceLock::new();
    let ms = START.get_or_init(Instant::now).elapsed().as_millis();
    Timestamp::from_ms(1 + u64::try_from(ms).unwrap())
}

fn cluster(master: &Master, folder: &Path) -> Arc<MesosCluster> {
    cluster_by(master, folder, Access::default())
}

fn cluster_by(master: &Master, folder: &Path, access: Access) -> Arc<MesosCluster> {
    let settings = ClusterSettings {
        master: flyball_mesos::Master::At(master.at.clone()),
        access,
        role: "*".into(),
        id_file: folder.join("id"),
        shared: None,
        clock,
    };
    MesosCluster::open(settings).unwrap()
}

fn engine(cluster: &Arc<MesosCluster>) -> MesosEngine {
    let settings = MesosSettings { cpus: 0.5, ..MesosSettings::new("web", "web:1", 80) };
    MesosEngine::new(Arc::clone(cluster), settings).unwrap()
}

fn id(name: &str) -> ReplicaId {
    ReplicaId::new(name)
}

/// Looks until the report is as wanted.
async fn observed(
    engine: &MesosEngine,
    wanted: impl Fn(&Reading<EngineReport>) -> bool,
) -> Reading<EngineReport> {
    let began = Instant::now();
    loop {
        let seen = engine.observe();
        if wanted(&seen) {
            return seen;
        }
        assert!(began.elapsed() < DEADLINE, "never came: {seen:#?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Looks until what is known of the only node is as wanted.
async fn until(engine: &MesosEngine, wanted: impl Fn(&Node) -> bool) -> Node {
    let began = Instant::now();
    loop {
        let nodes = engine.nodes();
        if let [node] = &nodes[..]
            && wanted(node)
        {
            return node.clone();
        }
        assert!(began.elapsed() < DEADLINE, "never came: {nodes:#?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn phases(seen: &Reading<EngineReport>) -> Vec<Phase> {
    seen.value().iter().flat_map(|report| &report.replicas).map(|r| r.phase).collect()
}

fn is_known(seen: &Reading<EngineReport>) -> bool {
    seen.value().is_some()
}

/// Has `web-1` running; gives its task's id.
async fn run_one(master: &Master, engine: &MesosEngine) -> Value {
    observed(engine, is_known).await;
    engine.start(&id("web-1"));
    master.call("REVIVE").await;
    master.send(&offers("o1"));
    let call = master.call("ACCEPT").await;
    let task = call["accept"]["operations"][0]["launch"]["task_infos"][0]["task_id"].clone();
    master.send(&update(&task, "TASK_RUNNING"));
    let running = |seen: &Reading<EngineReport>| {
        seen.value().is_some_and(|report| report.replicas.iter().any(|r| r.address.is_some()))
    };
    observed(engine, running).await;
    task
}

#[tokio::test]
async fn a_replica_is_launched_acknowledged_and_killed_with_its_grace() {
    let (master, folder) = (Master::start().await, tempfile::tempdir().unwrap());
    let cluster = cluster(&master, folder.path());
    let engine = engine(&cluster);
    let task = run_one(&master, &engine).await;
    let acknowledged = master.call("ACKNOWLEDGE").await;
    assert_eq!(acknowledged["acknowledge"]["task_id"], task);
    assert_eq!(acknowledged["stream"], "12-34");
    engine.set_ready(&id("web-1"));
    assert_eq!(phases(&engine.observe()), [Phase::Ready]);
    engine.stop(&id("web-1"));
    assert_eq!(phases(&engine.observe()), [Phase::Stopping]);
    let kill = master.call("KILL").await;
    assert_eq!(kill["kill"]["kill_policy"]["grace_period"]["nanoseconds"], 10_000_000_000_u64);
    master.send(&update(&task, "TASK_KILLED"));
    observed(&engine, |seen| phases(seen).is_empty() && is_known(seen)).await;
}

#[tokio::test]
async fn an_agent_that_reports_no_cpu_usage_is_named_until_it_does() {
    let (master, folder) = (Master::start().await, tempfile::tempdir().unwrap());
    master.script().agent_at = Some(master.at.clone());
    master.script().statistics = "<html>".to_owned();
    let cluster = cluster(&master, folder.path());
    let engine = engine(&cluster);
    assert_eq!(engine.nodes(), []);
    let task = run_one(&master, &engine).await;
    let node = until(&engine, |node| node.silence.is_some()).await;
    assert_eq!((node.name.as_str(), node.up, node.replicas), ("n0", true, vec![id("web-1")]));
    let used = json!({ "timestamp": 1_795_408_148.25, "cpus_user_time_secs": 1.0,
        "cpus_system_time_secs": 0.5 });
    let (task, framework) = (task["value"].clone(), "F1");
    master.script().statistics =
        json!([{ "executor_id": task, "framework_id": framework, "statistics": used }]).to_string();
    until(&engine, |node| node.silence.is_none()).await;
    let seen = engine.observe();
    assert!(seen.value().unwrap().replicas[0].cpu.is_some(), "{seen:#?}");
}

#[tokio::test]
async fn the_next_run_has_the_same_framework_and_finds_its_tasks() {
    let (master, folder) = (Master::start().await, tempfile::tempdir().unwrap());
    {
        let cluster = cluster(&master, folder.path());
        observed(&engine(&cluster), is_known).await;
    }
    assert_eq!(master.call("SUBSCRIBE").await.get("framework_id"), None);
    let label = |key: &str, value: &str| json!({ "key": key, "value": value });
    master.script().tasks = vec![json!({ "id": "web-7.a", "framework_id": "F1", "slave_id": "S0",
        "state": "TASK_RUNNING", "resources": { "cpus": 0.5, "ports": "[31007-31007]" },
        "labels": [label("flyball.service", "web"), label("flyball.replica", "web-7")] })];
    let cluster = cluster(&master, folder.path());
    let seen = observed(&engine(&cluster), |seen| !phases(seen).is_empty()).await;
    assert_eq!(master.call("SUBSCRIBE").await["framework_id"]["value"], "F1");
    let found = &seen.value().unwrap().replicas[0];
    assert_eq!(found.id, id("web-7"));
    assert_eq!(found.address.map(|a| a.to_string()).as_deref(), Some("127.0.0.1:31007"));
}

#[tokio::test]
async fn a_master_that_falls_silent_is_missing_within_seconds_and_found_again() {
    let (master, folder) = (Master::start().await, tempfile::tempdir().unwrap());
    let cluster = cluster(&master, folder.path());
    let engine = engine(&cluster);
    run_one(&master, &engine).await;
    master.script().mood = Mood::Silent;
    let seen = observed(&engine, |seen| !is_known(seen)).await;
    assert!(matches!(seen, Reading::Missing { why, .. } if why.contains("did not answer")));
    master.script().mood = Mood::Well;
    let seen = observed(&engine, is_known).await;
    assert_eq!(phases(&seen), [Phase::Starting], "it is still there");
    let asked = master.call("RECONCILE").await;
    assert_eq!(asked["reconcile"]["tasks"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_stream_that_breaks_off_or_turns_to_rubbish_is_begun_again() {
    let (master, folder) = (Master::start().await, tempfile::tempdir().unwrap());
    let cluster = cluster(&master, folder.path());
    let engine = engine(&cluster);
    run_one(&master, &engine).await;
    master.call("SUBSCRIBE").await;
    for broken in ["", "no record\n", "99999999999\n", "4\n{\"a\n", "9\n{\"type\":}"] {
        master.send_bytes(broken.as_bytes().to_vec());
        assert_eq!(master.call("SUBSCRIBE").await["framework_id"]["value"], "F1", "{broken:?}");
        let seen = observed(&engine, is_known).await;
        assert_eq!(phases(&seen), [Phase::Starting], "{broken:?}");
    }
}

#[tokio::test]
async fn a_master_that_does_not_lead_names_the_leader() {
    let (master, leader) = (Master::start().await, Master::start().await);
    master.script().mood = Mood::Follows(leader.at.clone());
    let folder = tempfile::tempdir().unwrap();
    let cluster = cluster(&master, folder.path());
    observed(&engine(&cluster), is_known).await;
    leader.call("SUBSCRIBE").await;
    let first = flyball_mesos::Master::At(master.at.clone());
    assert_eq!(ClusterInfo::of(&first, &Access::default()).await.unwrap().at, leader.at);
    // Two that send to each other are no leader.
    leader.script().mood = Mood::Follows(master.at.clone());
    assert_eq!(
        ClusterInfo::of(&first, &Access::default()).await,
        Err(flyball_mesos::MesosError::NoLeader)
    );
}

#[tokio::test]
async fn a_framework_that_was_removed_registers_again() {
    let (master, folder) = (Master::start().await, tempfile::tempdir().unwrap());
    let cluster = cluster(&master, folder.path());
    let engine = engine(&cluster);
    run_one(&master, &engine).await;
    master.call("SUBSCRIBE").await;
    master.script().mood = Mood::Ends("Framework has been removed");
    master.send_bytes(Vec::new());
    assert_eq!(master.call("SUBSCRIBE").await["framework_id"]["value"], "F1");
    master.script().mood = Mood::Well;
    let seen = observed(&engine, |seen| is_known(seen) && phases(seen).is_empty()).await;
    assert!(seen.value().unwrap().exits[0].reason.contains("removed the framework"));
    assert_eq!(master.call("SUBSCRIBE").await.get("framework_id"), None);
}

#[tokio::test]
async fn a_master_with_tls_and_passwords_identifies_flyball_and_runs_its_tasks() {
    let (master, folder) = (Master::start_encrypted().await, tempfile::tempdir().unwrap());
    // web:s3cret
    master.script().authorization = Some("Basic d2ViOnMzY3JldA==");
    let secret = Token::new("s3cret").unwrap();
    let credential = Some(Credential { principal: "web".into(), secret });
    let access = Access { tls: trusting(true), credential };
    let cluster = cluster_by(&master, folder.path(), access);
    run_one(&master, &engine(&cluster)).await;
    let subscribed = master.call("SUBSCRIBE").await;
    assert_eq!(subscribed["subscribe"]["framework_info"]["principal"], "web");
    master.call("ACKNOWLEDGE").await;
}

#[tokio::test]
async fn a_master_that_is_not_trusted_or_does_not_trust_is_reported_with_the_key_that_helps() {
    let master = Master::start_encrypted().await;
    let at = flyball_mesos::Master::At(master.at.clone());
    let error_with = async |access: Access| {
        let error = ClusterInfo::of(&at, &access).await.unwrap_err();
        format!("{error}; hint: {}", error.hint().unwrap_or_default())
    };
    let stranger = error_with(Access { tls: trusting(false), credential: None }).await;
    assert!(stranger.contains("TLS: ") && stranger.contains("ca_file"), "{stranger}");
    let other_name = flyball_mesos::Master::At(master.at.replace("127.0.0.1", "localhost"));
    let trusted = Access { tls: trusting(true), credential: None };
    let error = ClusterInfo::of(&other_name, &trusted).await.unwrap_err().to_string();
    assert!(error.contains("not valid for name \"localhost\""), "{error}");
    let plain = error_with(Access::default()).await;
    assert!(plain.contains(&master.at), "{plain}");
    master.script().authorization = Some("Basic x");
    let unauthorized = error_with(trusted).await;
    assert!(
        unauthorized.contains("status 401") && unauthorized.contains("secret_file"),
        "{unauthorized}"
    );
}

#[tokio::test]
async fn no_listener_at_the_address_is_reported_with_the_address_and_a_hint() {
    let closed = { Master::start().await.at.clone() };
    let error = ClusterInfo::of(&flyball_mesos::Master::At(closed.clone()), &Access::default())
        .await
        .unwrap_err();
    assert!(error.to_string().contains(&closed) && error.hint().is_some(), "{error}");
}

#[tokio::test]
async fn ten_thousand_tasks_of_an_earlier_run_are_taken_in_at_once() {
    let (master, folder) = (Master::start().await, tempfile::tempdir().unwrap());
    std::fs::write(folder.path().join("id"), "F1").unwrap();
    let task = |n: usize| {
        let label = |key: &str, value: &str| json!({ "key": key, "value": value });
        json!({ "id": format!("web-{n}.a"), "framework_id": "F1", "slave_id": "S0",
            "state": "TASK_RUNNING", "resources": { "cpus": 0.5, "ports": "[31007-31007]" },
            "container": { "docker": { "image": "x".repeat(1_000) } },
            "labels": [label("flyball.service", "web"), label("flyball.replica", &format!("web-{n}"))] })
    };
    master.script().tasks = (1..=10_000).map(task).collect();
    let cluster = cluster(&master, folder.path());
    let began = Instant::now();
    observed(&engine(&cluster), |seen| phases(seen).len() == 10_000).await;
    println!("10,000 tasks were taken in after {:?}", began.elapsed());
}
