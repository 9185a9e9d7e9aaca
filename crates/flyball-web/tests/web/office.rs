//! One of several flyballs: what it says of who acts, and what it refuses while it stands by.

use crate::scripted::{Mood, NOW_WALL_MS, Scripted, Site};
use flyball_web::{OfficeView, Role};

const LEADER: &str = "http://10.0.0.1:7878/ on a";

fn office(role: Role) -> OfficeView {
    OfficeView {
        role,
        leader: Some(LEADER.to_owned()),
        term: Some(4_294_967_301),
        since_wall_ms: Some(NOW_WALL_MS - 5_000),
        ..OfficeView::alone(NOW_WALL_MS)
    }
}

#[tokio::test]
async fn the_one_that_stands_by_refuses_wishes_and_history_and_names_who_acts() {
    let daemon = Scripted::new(Mood::Works);
    *daemon.office.lock().unwrap() = office(Role::StandsBy);
    let site = Site::open(daemon.clone()).await;
    let told = site.get("/api/v1/office").await.json();
    assert_eq!((&told["role"], &told["leader"]), (&"stands_by".into(), &LEADER.into()));
    let web = "/api/v1/services/web";
    for wish in ["scale", "pause", "resume", "wake"] {
        let answer = site.post(&format!("{web}/{wish}"), r#"{"by":1}"#).await;
        assert_eq!(answer.json()["leader"], LEADER, "{wish}");
        let detail = answer.json()["detail"].to_string();
        assert!(detail.contains("stands by") && detail.contains(LEADER), "{detail}");
        answer.problem(503, "stands-by");
    }
    for path in ["decisions", "samples", "explain"] {
        site.get(&format!("{web}/{path}")).await.problem(503, "stands-by");
    }
    site.get("/readyz").await.problem(503, "stands-by");
    for path in ["/", "/healthz", "/api/v1/services", web, "/api/v1/openapi.json"] {
        assert_eq!(site.get(path).await.status, 200, "{path}");
    }
    assert!(daemon.asked.lock().unwrap().is_empty(), "a wish went through");
    let metrics = site.get("/metrics").await.body;
    assert!(metrics.contains("flyball_acts 0\n"), "{metrics}");
    assert!(metrics.contains("flyball_term 4294967301\n"), "{metrics}");
    site.close().await;
}

#[tokio::test]
async fn the_one_that_acts_takes_wishes_and_one_alone_has_no_figure_of_it() {
    let daemon = Scripted::new(Mood::Works);
    let site = Site::open(daemon.clone()).await;
    assert_eq!(site.get("/api/v1/office").await.json()["role"], "alone");
    assert!(!site.get("/metrics").await.body.contains("flyball_acts"));
    *daemon.office.lock().unwrap() = office(Role::Acts);
    assert_eq!(site.post("/api/v1/services/web/pause", "").await.status, 200);
    assert!(site.get("/metrics").await.body.contains("flyball_acts 1\n"));
    site.close().await;
}
