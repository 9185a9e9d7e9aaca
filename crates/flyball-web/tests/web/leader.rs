//! One of several flyballs: what it reports of the leader, and what it refuses on standby.

use crate::scripted::{Mood, NOW_WALL_MS, Scripted, Site};
use flyball_web::{LeaderStatus, Role};

const LEADER: &str = "http://10.0.0.1:7878/ on a";

fn leader(role: Role) -> LeaderStatus {
    LeaderStatus {
        role,
        leader: Some(LEADER.to_owned()),
        term: Some(4_294_967_301),
        since_wall_ms: Some(NOW_WALL_MS - 5_000),
        ..LeaderStatus::standalone(NOW_WALL_MS)
    }
}

#[tokio::test]
async fn a_standby_refuses_overrides_and_history_and_names_the_leader() {
    let daemon = Scripted::new(Mood::Works);
    *daemon.leader.lock().unwrap() = leader(Role::Standby);
    let site = Site::open(daemon.clone()).await;
    let status = site.get("/api/v1/leader").await.json();
    assert_eq!((&status["role"], &status["leader"]), (&"standby".into(), &LEADER.into()));
    let web = "/api/v1/services/web";
    for action in ["scale", "pause", "resume", "wake"] {
        let answer = site.post(&format!("{web}/{action}"), r#"{"by":1}"#).await;
        assert_eq!(answer.json()["leader"], LEADER, "{action}");
        let detail = answer.json()["detail"].to_string();
        assert!(detail.contains("on standby") && detail.contains(LEADER), "{detail}");
        answer.problem(503, "not-leader");
    }
    for path in ["decisions", "samples", "explain"] {
        site.get(&format!("{web}/{path}")).await.problem(503, "not-leader");
    }
    site.get("/readyz").await.problem(503, "not-leader");
    for path in ["/", "/healthz", "/api/v1/services", web, "/api/v1/openapi.json"] {
        assert_eq!(site.get(path).await.status, 200, "{path}");
    }
    assert!(daemon.asked.lock().unwrap().is_empty(), "an override went through");
    let metrics = site.get("/metrics").await.body;
    assert!(metrics.contains("flyball_leader 0\n"), "{metrics}");
    assert!(metrics.contains("flyball_leader_term 4294967301\n"), "{metrics}");
    site.close().await;
}

#[tokio::test]
async fn a_leader_takes_overrides_and_a_standalone_flyball_has_no_metric_of_it() {
    let daemon = Scripted::new(Mood::Works);
    let site = Site::open(daemon.clone()).await;
    assert_eq!(site.get("/api/v1/leader").await.json()["role"], "standalone");
    assert!(!site.get("/metrics").await.body.contains("flyball_leader"));
    *daemon.leader.lock().unwrap() = leader(Role::Leader);
    assert_eq!(site.post("/api/v1/services/web/pause", "").await.status, 200);
    assert!(site.get("/metrics").await.body.contains("flyball_leader 1\n"));
    site.close().await;
}
