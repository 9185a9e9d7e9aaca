//! Engine `swarm` against a manager that misbehaves on purpose.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod manager;

use std::net::SocketAddr;
use std::time::Duration;

use flyball_agent::{Agents, PullSettings, ServeSettings, serve};
use flyball_core::observation::{EngineCount, Leaving, Phase, Reading};
use flyball_core::units::ReplicaId;
use flyball_docker::swarm::{
    ManagerSettings, SwarmAgents, SwarmEngine, SwarmManagers, SwarmSettings,
};
use manager::{Manager, clock, engine_of, report, service, task, until};
use serde_json::{Value, json};

fn id(slot: u64) -> ReplicaId {
    ReplicaId::new(format!("web.{slot}.task{:04}", slot / 10))
}

async fn wanted(engine: &SwarmEngine, count: u32) {
    until(engine, "a count", |seen| {
        let wanted = seen.value()?.count.as_ref()?.wanted;
        (wanted == count).then_some(())
    })
    .await;
}

#[tokio::test]
async fn tasks_are_replicas_at_their_nodes_ports_and_ready_once_they_were_probed() {
    let manager = Manager::start();
    let (_managers, engine) = manager.engine();
    let first = report(&engine).await;
    let ids: Vec<_> = first.replicas.iter().map(|replica| replica.id.clone()).collect();
    assert_eq!(ids, [id(1), id(2)]);
    assert!(first.replicas.iter().all(|replica| replica.phase == Phase::Starting));
    assert_eq!(first.replicas[1].address.unwrap().to_string(), "10.0.0.9:30002");
    let leaving = Leaving::Predicted(vec![id(2), id(1)]);
    assert_eq!(first.count, Some(EngineCount { wanted: 2, leaving }));
    assert!((first.replicas[0].cpu_limit_cores - 0.5).abs() < 1e-9);
    engine.set_ready(&id(1));
    engine.set_ready(&ReplicaId::new("web.9.nobody"));
    let phases: Vec<_> = report(&engine).await.replicas.iter().map(|r| r.phase).collect();
    assert_eq!(phases, [Phase::Ready, Phase::Starting]);
}

#[tokio::test]
async fn a_task_that_was_ordered_to_end_leaves_at_the_address_it_had() {
    let manager = Manager::start();
    let (_managers, engine) = manager.engine();
    report(&engine).await;
    engine.set_ready(&id(2));
    let mut leaving = task(2, "remove");
    leaving["Status"]["PortStatus"] = json!({});
    manager.script().tasks = json!([task(1, "running"), leaving]);
    let address = until(&engine, "a replica that leaves", |seen| {
        let last = seen.value()?.replicas.last().cloned()?;
        (last.phase == Phase::Stopping).then_some(last.address)
    })
    .await;
    assert_eq!(address.unwrap().to_string(), "10.0.0.9:30002");
    let predicted = report(&engine).await.count.unwrap().leaving;
    assert_eq!(predicted, Leaving::Predicted(vec![id(1)]));
}

#[tokio::test]
async fn a_count_is_set_once_and_nothing_else_of_the_service_changes() {
    let manager = Manager::start();
    let (_managers, engine) = manager.engine();
    report(&engine).await;
    engine.scale(2);
    engine.scale(5);
    wanted(&engine, 5).await;
    // An answer from before the order is no news.
    for _ in 0..20 {
        engine.scale(5);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    engine.shutdown().await;
    let posts = manager.script().posts.clone();
    let mut expected: Value = service(2)["Spec"].clone();
    expected["Mode"]["Replicated"]["Replicas"] = json!(5);
    assert_eq!(posts, [("version=10".to_owned(), expected)]);
}

#[tokio::test]
async fn an_external_change_is_neither_lost_nor_overwritten() {
    let manager = Manager::start();
    let (_managers, engine) = manager.engine();
    report(&engine).await;
    manager.script().race = true;
    engine.scale(5);
    engine.shutdown().await;
    assert_eq!(manager.script().posts, []);
    // The next look finds the same wanted count and the new version.
    engine.scale(5);
    wanted(&engine, 5).await;
    let spec = manager.script().services[0]["Spec"].clone();
    assert_eq!(spec["TaskTemplate"]["ContainerSpec"]["Env"], json!(["A=2"]));
    assert_eq!(spec["Mode"]["Replicated"]["Replicas"], json!(5));
}

#[tokio::test]
async fn a_service_in_an_update_is_not_touched_even_if_that_began_since_the_look() {
    let manager = Manager::start();
    let (_managers, engine) = manager.engine();
    assert_eq!(report(&engine).await.busy, None);
    for state in ["updating", "paused", "rollback_started", "rollback_paused"] {
        manager.script().services[0]["UpdateStatus"] = json!({ "State": state, "Message": "m" });
        engine.scale(5);
        engine.shutdown().await;
        let busy = until(&engine, "an update", |seen| seen.value()?.busy.clone()).await;
        assert!(busy.ends_with(": m"), "{busy}");
    }
    assert_eq!(manager.script().posts, []);
}

#[tokio::test]
async fn what_no_count_can_change_is_busy_and_reported_by_check() {
    let manager = Manager::start();
    manager.script().services[0]["Spec"]["Mode"] = json!({ "Global": {} });
    let (_managers, engine) = manager.engine();
    let seen = report(&engine).await;
    assert!(seen.count.is_none() && seen.busy.is_some(), "{seen:?}");
    let notice = &seen.notices[0];
    assert!(notice.contains("in global mode") && notice.contains("hint: recreate it"), "{notice}");
    let found = engine.check().await.unwrap();
    assert!(found[0].fatal && found[0].text.contains("global"), "{found:?}");
    engine.scale(3);
    engine.shutdown().await;
    assert_eq!(manager.script().posts, []);
}

#[tokio::test]
async fn a_service_of_none_is_scaled_out() {
    let manager = Manager::start();
    manager.script().services = vec![service(0)];
    manager.script().tasks = json!([]);
    let (_managers, engine) = manager.engine();
    assert_eq!(report(&engine).await.count.unwrap().wanted, 0);
    engine.scale(1);
    wanted(&engine, 1).await;
}

#[tokio::test]
async fn without_a_published_port_or_a_nodes_address_replicas_are_not_reached_and_it_is_reported() {
    let manager = Manager::start();
    manager.script().services[0]["Spec"]["EndpointSpec"] =
        json!({ "Ports": [{ "TargetPort": 8080, "PublishMode": "ingress", "PublishedPort": 80 }] });
    manager.script().tasks[0]["Status"]["PortStatus"] = json!(null);
    manager.script().nodes = json!([{ "ID": "n1", "Status": { "Addr": "0.0.0.0" } }]);
    let (_managers, engine) = manager.engine();
    let seen = report(&engine).await;
    assert!(seen.replicas.iter().all(|replica| replica.address.is_none()), "{seen:?}");
    assert!(seen.pending.unwrap().contains("8080"));
    let found = engine.check().await.unwrap();
    assert!(found[0].fatal && found[0].text.contains("routing mesh"), "{found:?}");
    assert!(found[1].text.contains("node n1") && found[1].hint.is_some(), "{found:?}");
}

#[tokio::test]
async fn a_node_that_is_lost_takes_its_tasks_out_unless_they_are_the_many() {
    let manager = Manager::start();
    let node = |id: &str, state: &str| json!({ "ID": id, "Status": { "State": state, "Addr": "10.0.0.9" } });
    manager.script().tasks[1]["NodeID"] = json!("n2");
    manager.script().nodes = json!([node("n1", "ready"), node("n2", "ready")]);
    let (_managers, engine) = manager.engine();
    report(&engine).await;
    (1..3).for_each(|slot| engine.set_ready(&id(slot)));
    manager.script().nodes = json!([node("n1", "ready"), node("n2", "down")]);
    let phases = until(&engine, "a lost task", |seen| {
        let phases: Vec<_> = seen.value()?.replicas.iter().map(|r| r.phase).collect();
        (phases[1] != Phase::Ready).then_some(phases)
    })
    .await;
    assert_eq!(phases, [Phase::Ready, Phase::Unhealthy]);
    manager.script().nodes = json!([node("n1", "down"), node("n2", "down")]);
    until(&engine, "trust", |seen| {
        seen.value()?.replicas.iter().all(|r| r.phase == Phase::Ready).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_task_that_ends_by_itself_is_reported_and_history_is_not() {
    let manager = Manager::start();
    let failed = |slot| {
        let mut task = task(slot, "shutdown");
        task["Status"]["State"] = json!("failed");
        task["Status"]["Err"] = json!("task: non-zero exit (1)");
        task
    };
    manager.script().tasks = json!([task(1, "running"), failed(2)]);
    let (_managers, engine) = manager.engine();
    assert_eq!(report(&engine).await.exits, []);
    manager.script().tasks = json!([failed(1), failed(2)]);
    let exit = until(&engine, "an exit", |seen| seen.value()?.exits.first().cloned()).await;
    assert_eq!((exit.replica, exit.reason.as_str()), (id(1), "task: non-zero exit (1)"));
}

#[tokio::test]
async fn a_node_that_is_no_manager_or_too_old_is_reported_and_the_next_one_is_asked() {
    let (worker, old, good) = (Manager::start(), Manager::start(), Manager::start());
    worker.script().refusal =
        Some((503, "This node is not a swarm manager. Use \"docker swarm init\""));
    old.script().api = "1.24";
    for (manager, words) in [(&worker, "is not a swarm manager"), (&old, "speaks API 1.24")] {
        let (managers, engine) = manager.engine();
        let why = until(&engine, "a reason", |seen| match seen {
            Reading::Missing { why, .. } if !why.contains("not been queried") => Some(why.clone()),
            _ => None,
        })
        .await;
        assert!(why.contains(words), "{why}");
        assert!(managers.check().await.unwrap_err().to_string().contains(words));
    }
    let (_managers, engine) = engine_of([&worker, &old, &good].map(|m| m.host.clone()).to_vec());
    assert_eq!(report(&engine).await.replicas.len(), 2);
}

#[tokio::test]
async fn a_manager_that_falls_silent_is_missing_and_the_next_one_takes_over() {
    let (first, second) = (Manager::start(), Manager::start());
    second.script().tasks = json!([task(1, "running"), task(2, "running"), task(3, "running")]);
    let (_managers, engine) = engine_of(vec![first.host.clone(), second.host.clone()]);
    assert_eq!(report(&engine).await.replicas.len(), 2);
    engine.set_ready(&id(1));
    first.script().silent = true;
    until(&engine, "its loss", |seen| seen.value().is_none().then_some(())).await;
    let next = until(&engine, "the next one", |seen| {
        seen.value().filter(|seen| seen.replicas.len() == 3).cloned()
    })
    .await;
    assert_eq!(next.replicas[0].phase, Phase::Ready, "what was known of a task is still known");
}

#[tokio::test]
async fn services_describe_themselves_by_labels_of_their_own() {
    let manager = Manager::start();
    manager.script().services[0]["Spec"]["Labels"] =
        json!({ "flyball.service": "shop", "flyball.port": "8080", "other": "x" });
    let managers = vec![manager.host.clone()];
    let managers = SwarmManagers::open(ManagerSettings { managers, clock, agents: None }).unwrap();
    let found = managers.discovered().await.unwrap();
    assert_eq!((found.len(), found[0].service.as_str()), (1, "shop"));
    assert_eq!((found[0].name.as_str(), found[0].labels.len()), ("web", 2));
}

#[tokio::test]
async fn cpu_time_comes_from_the_agent_of_a_tasks_node_and_is_missing_without_one() {
    let container = "4".repeat(64);
    let root = tempfile::tempdir().unwrap();
    let place = root.path().join(format!("system.slice/docker-{container}.scope"));
    std::fs::create_dir_all(&place).unwrap();
    std::fs::write(root.path().join("cgroup.controllers"), "cpu\n").unwrap();
    std::fs::write(place.join("cpu.stat"), "usage_usec 7000\n").unwrap();
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let cgroup_mount = root.path().to_owned();
    let settings = ServeSettings { listen, token: None, cgroup_mount, insecure: false };
    let agent = serve(settings, std::future::pending()).await.unwrap();

    let manager = Manager::start();
    let mut of_agent = task(1, "running");
    of_agent["ServiceID"] = json!("s2");
    of_agent["Status"]["PortStatus"]["Ports"] = json!([{ "TargetPort": 9810, "PublishedPort": agent.address.port(), "PublishMode": "host" }]);
    {
        let mut script = manager.script();
        let labels = json!({ "Labels": { "flyball.address": "127.0.0.1" } });
        script.nodes = json!([{ "ID": "n1", "Spec": labels, "Status": { "State": "ready" } }]);
        script.services.push(json!({ "ID": "s2", "Spec": { "Name": "agents" } }));
        let mut metered = task(1, "running");
        metered["Status"]["ContainerStatus"]["ContainerID"] = json!(container);
        script.tasks = json!([metered, task(2, "running"), of_agent]);
    }
    let pull = PullSettings { token: None, interval_ms: 50, clock };
    let agents = Agents::open(pull).unwrap();
    let agents = Some(SwarmAgents { service: "agents".into(), agents });
    let managers = vec![manager.host.clone()];
    let managers = SwarmManagers::open(ManagerSettings { managers, clock, agents }).unwrap();
    let engine = SwarmEngine::new(&managers, SwarmSettings::new("web", 8080)).unwrap();
    let seen = until(&engine, "a counter", |seen| {
        let seen = seen.value()?;
        seen.replicas.first()?.cpu.is_some().then(|| seen.clone())
    })
    .await;
    assert_eq!(seen.replicas[0].cpu.unwrap().used_ns, 7_000_000);
    assert_eq!((seen.replicas.len(), seen.replicas[1].cpu), (2, None));
    let nodes = engine.nodes();
    assert_eq!((nodes.len(), nodes[0].up, &nodes[0].silence), (1, true, &None));
    assert_eq!(nodes[0].replicas, [id(1), id(2)]);
    let agents = managers.check().await.unwrap().agents.unwrap();
    assert_eq!((agents.told, agents.silent.len()), (1, 0));

    // The agent moves to where nothing listens.
    manager.script().tasks[2]["Status"]["PortStatus"]["Ports"][0]["PublishedPort"] = json!(1);
    until(&engine, "silence", |_| engine.nodes().first()?.silence.clone()).await;
    let agents = managers.check().await.unwrap().agents.unwrap();
    assert_eq!(agents.told, 0);
    assert!(agents.silent["n1"].contains("cannot connect to 127.0.0.1:1"), "{agents:?}");
}

mod alone {
    use std::time::Instant;

    use flyball_core::decide::decide;
    use flyball_core::memory::Memory;
    use flyball_core::observation::Observation;
    use flyball_core::policy::{Bounds, Policy, RolloutPolicy, Rule, Timing};

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_thousand_tasks_are_listed_and_decided_within_100_ms() {
        let manager = Manager::start();
        manager.script().services = vec![service(1_000)];
        manager.script().tasks = (1..=1_000).map(|slot| task(slot, "running")).collect();
        let (_managers, engine) = manager.engine();
        assert_eq!(report(&engine).await.replicas.len(), 1_000);
        let policy = Policy {
            service: "web".into(),
            bounds: Bounds { min: 1, max: 2_000 },
            rule: Rule::External,
            timing: Timing::default(),
            rollout: RolloutPolicy::default(),
            sleep: None,
        };
        let mut memory = Memory::default();
        let mut quickest = Duration::MAX;
        for round in 1..=5_u64 {
            // Something to see: from the change at the manager to the decision.
            let begun = Instant::now();
            let slots = 1_000 + round;
            manager.script().tasks.as_array_mut().unwrap().push(task(slots, "running"));
            engine.scale(u32::try_from(slots).unwrap());
            let engine = until(&engine, "another task", |seen| {
                let count = seen.value().map_or(0, |seen| seen.replicas.len());
                (count as u64 == slots).then(|| seen.clone())
            })
            .await;
            let at = clock();
            let (balancer, manual, advice) = (None, None, None);
            let seen = Observation { balancer, manual, advice, ..Observation::new(at, engine) };
            let decision = decide(&policy, &mut memory, &seen);
            assert_eq!(decision.signals.starting, u32::try_from(slots).unwrap());
            quickest = quickest.min(begun.elapsed());
        }
        // An order is two calls, the listing three; the slowest rounds wait for the machine.
        assert!(quickest < Duration::from_millis(100), "{quickest:?}");
    }
}
