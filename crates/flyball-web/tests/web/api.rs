//! Every route and every refusal, through real HTTP on loopback with a scripted daemon.

use crate::scripted::{Mood, NOW_WALL_MS, Scripted, Site, settings};
use flyball_web::{ManualAsk, RolloutAsk};

const WEB: &str = "/api/v1/services/web";

#[tokio::test]
async fn services_are_listed_with_the_sentences_about_them() {
    let site = Site::open(Scripted::new(Mood::Works)).await;
    let answer = site.get("/api/v1/services").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let list = answer.json();
    assert_eq!(list[0]["name"], "batch");
    assert_eq!(list[1]["name"], "web");
    assert_eq!(list[1]["summary"], "0 replicas ready, going to 2");
    assert_eq!(list[1]["policy"]["thresholds"][0]["label"], "busy cap");
    assert_eq!(
        [&list[0], &list[1]].map(|view| view["policy"]["slo_ms"].as_u64()),
        [None, Some(250)]
    );
    assert_eq!(list[1]["decision"]["desired"], 2);
    site.close().await;
}

#[tokio::test]
async fn one_service_answers_and_an_unknown_one_is_a_problem() {
    let site = Site::open(Scripted::new(Mood::Works)).await;
    let service = site.get(WEB).await.json();
    assert_eq!(service["name"], "web");
    assert!(service["why"].as_str().is_some_and(|why| !why.is_empty()));
    let field = site.get("/api/v1/services/nobody").await.problem(404, "unknown-service");
    assert_eq!(field.as_deref(), Some("name"));
    site.close().await;
}

#[tokio::test]
async fn decisions_come_with_their_explanation_and_take_a_window() {
    let daemon = Scripted::new(Mood::Works);
    let site = Site::open(daemon.clone()).await;
    let list = site.get(&format!("{WEB}/decisions")).await.json();
    assert_eq!(list.as_array().map(Vec::len), Some(2));
    assert_eq!(list[0]["decision"]["wall_ms"], NOW_WALL_MS - 1);
    assert!(list[0]["text"].as_str().is_some_and(|text| text.starts_with("web 0 -> 2")));
    let last = list[0]["lines"].as_array().and_then(|lines| lines.last()).unwrap();
    let plan =
        serde_json::json!({ "label": "plan", "text": "start 2 (web-1, web-2)", "decides": false });
    assert_eq!(*last, plan);
    assert_eq!(site.get(&format!("{WEB}/decisions?before=5&limit=7")).await.status, 200);
    assert_eq!(*daemon.read.lock().unwrap(), [(i64::MIN, i64::MAX, 50), (i64::MIN, 5, 7)]);
    site.close().await;
}

#[tokio::test]
async fn a_full_page_of_decisions_says_where_the_next_one_is() {
    let site = Site::open(Scripted::new(Mood::Works)).await;
    let whole = site.get(&format!("{WEB}/decisions?limit=3")).await;
    assert_eq!(whole.header("link"), None);
    let full = site.get(&format!("{WEB}/decisions?limit=1&only=moves&from=5")).await;
    let before = NOW_WALL_MS - 1;
    let next = format!("<{WEB}/decisions?before={before}&limit=1&from=5&only=moves>; rel=\"next\"");
    assert_eq!(full.header("link"), Some(next.as_str()));
    site.close().await;
}

#[tokio::test]
async fn the_api_describes_itself_and_every_path_it_names_is_there() {
    let site = Site::open(Scripted::new(Mood::Works)).await;
    let document = site.get("/api/v1/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().unwrap();
    assert_eq!(paths.len(), 19, "{:?}", paths.keys());
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().unwrap() {
            let target = path.replace("{name}", "web");
            // Following events has no end of its own, so only that it begins is seen here.
            if path != "/api/v1/events" {
                let line = format!("{} {target}", method.to_uppercase());
                let answer = site.request(&line, &[], "").await;
                assert!(![404, 405].contains(&answer.status), "{line}: {answer:?}");
            }
            assert!(operation["responses"]["422"].is_object(), "{method} {path}");
            assert!(operation["summary"].is_string(), "{method} {path}");
        }
    }
    let fields = &document["components"]["schemas"]["Problem"]["properties"];
    assert!(fields["type"].is_object() && fields["field"].is_object(), "{fields}");
    site.close().await;
}

#[tokio::test]
async fn explain_gives_the_decision_in_force_at_a_time() {
    let site = Site::open(Scripted::new(Mood::Works)).await;
    let latest = site.get(&format!("{WEB}/explain")).await.json();
    assert_eq!(latest["decision"]["wall_ms"], NOW_WALL_MS);
    let then = site.get(&format!("{WEB}/explain?at={NOW_WALL_MS}")).await.json();
    assert_eq!(then["decision"]["wall_ms"], NOW_WALL_MS - 1_000);
    let field = site.get(&format!("{WEB}/explain?at=0")).await.problem(404, "no-decision");
    assert_eq!(field.as_deref(), Some("at"));
    site.close().await;
}

#[tokio::test]
async fn samples_of_the_last_quarter_of_an_hour_unless_asked_otherwise() {
    let daemon = Scripted::new(Mood::Works);
    let site = Site::open(daemon.clone()).await;
    assert_eq!(site.get(&format!("{WEB}/samples")).await.json()[0]["ready"], 2);
    assert_eq!(site.get(&format!("{WEB}/samples?from=1&to=9&points=3")).await.status, 200);
    let end = NOW_WALL_MS + 1;
    assert_eq!(*daemon.read.lock().unwrap(), [(end - 900_000, end, 600), (1, 9, 3)]);
    site.close().await;
}

#[tokio::test]
async fn a_wrong_query_names_its_field() {
    let daemon = Scripted::new(Mood::Works);
    let site = Site::open(daemon.clone()).await;
    for (query, field) in [
        ("decisions?limit=0", "limit"),
        ("decisions?limit=1001", "limit"),
        ("decisions?limit=ten", "limit"),
        ("decisions?before=yesterday", "before"),
        ("decisions?before=1&before=2", "before"),
        ("decisions?from=x", "from"),
        ("decisions?only=stops", "only"),
        ("decisions?sort=asc", "sort"),
        ("explain?at=1.5", "at"),
        ("explain?at=1799999999999999", "at"),
        ("decisions?from=1799999999999999", "from"),
        ("samples?from=1799999999999999&to=1799999999999999", "from"),
        ("samples?to=", "to"),
        ("explain?at=99999999999999999999", "at"),
        ("samples?from=9&to=1", "from"),
        ("samples?points=-1", "points"),
        ("samples?points=5001", "points"),
    ] {
        let found = site.get(&format!("{WEB}/{query}")).await.problem(422, "wrong-field");
        assert_eq!(found.as_deref(), Some(field), "{query}");
    }
    assert!(daemon.read.lock().unwrap().is_empty());
    site.close().await;
}

#[tokio::test]
async fn overrides_reach_the_daemon_with_their_time_and_client() {
    let daemon = Scripted::new(Mood::Works);
    let site = Site::open(daemon.clone()).await;
    for (path, body) in [
        ("web/scale", r#"{"by":1}"#),
        ("web/scale", r#"{"by":-2,"for":"15m"}"#),
        ("web/scale", r#"{"to":5}"#),
        ("web/pause", ""),
        ("web/pause", r#"{"for":"15m"}"#),
        ("web/resume", ""),
        ("batch/scale", r#"{"to":5}"#),
        ("batch/scale", r#"{"to":5,"for":"15m"}"#),
    ] {
        let answer = site.post(&format!("/api/v1/services/{path}"), body).await;
        assert_eq!(answer.status, 200, "{path} {body}: {answer:?}");
        assert_eq!(answer.json()["name"], path.split_once('/').unwrap().0);
    }
    let (hour, quarter) = (Some(3_600_000), Some(900_000));
    let asked: Vec<_> =
        daemon.asked.lock().unwrap().iter().map(|(_, ask, for_ms, _)| (*ask, *for_ms)).collect();
    let expected = [
        (ManualAsk::By(1), hour),
        (ManualAsk::By(-2), quarter),
        (ManualAsk::To(5), hour),
        (ManualAsk::Pause, hour),
        (ManualAsk::Pause, quarter),
        (ManualAsk::Resume, None),
        (ManualAsk::To(5), None),
        (ManualAsk::To(5), quarter),
    ];
    assert_eq!(asked, expected);
    site.close().await;
}

#[tokio::test]
async fn the_client_of_an_override_is_one_of_three() {
    let daemon = Scripted::new(Mood::Works);
    let site = Site::open(daemon.clone()).await;
    for client in ["dashboard", "cli", "somebody else"] {
        let header = format!("flyball-client: {client}");
        site.request(&format!("POST {WEB}/resume"), &[&header], "").await;
    }
    let clients: Vec<_> =
        daemon.asked.lock().unwrap().iter().map(|asked| asked.3.clone()).collect();
    assert_eq!(clients, ["dashboard", "cli", "api"]);
    site.close().await;
}

#[tokio::test]
async fn a_wrong_override_names_its_field_and_asks_for_nothing() {
    let daemon = Scripted::new(Mood::Works);
    let site = Site::open(daemon.clone()).await;
    for (part, body, field) in [
        ("scale", r#"{"by":1,"to":2}"#, "to"),
        ("scale", "{}", "to"),
        ("scale", "", "to"),
        ("scale", r#"{"for":"1h"}"#, "to"),
        ("scale", r#"{"to":-1}"#, "to"),
        ("scale", r#"{"to":1.5}"#, "to"),
        ("scale", r#"{"to":"5"}"#, "to"),
        ("scale", r#"{"to":null}"#, "to"),
        ("scale", r#"{"to":4294967296}"#, "to"),
        ("scale", r#"{"to":1e300}"#, "to"),
        ("scale", r#"{"by":0}"#, "by"),
        ("scale", r#"{"by":99999999999}"#, "by"),
        ("scale", r#"{"to":5,"count":5}"#, "count"),
        ("scale", r#"{"to":5,"for":"-1h"}"#, "for"),
        ("scale", r#"{"to":5,"for":"0s"}"#, "for"),
        ("scale", r#"{"to":5,"for":"400d"}"#, "for"),
        ("scale", r#"{"to":5,"for":3600}"#, "for"),
        ("pause", r#"{"to":5}"#, "to"),
        ("pause", r#"{"for":""}"#, "for"),
        ("resume", r#"{"for":"1h"}"#, "for"),
    ] {
        let answer = site.post(&format!("{WEB}/{part}"), body).await;
        assert_eq!(answer.problem(422, "wrong-field").as_deref(), Some(field), "{part} {body}");
    }
    assert!(daemon.asked.lock().unwrap().is_empty());
    site.close().await;
}

#[tokio::test]
async fn a_count_outside_the_bounds_is_refused_by_name() {
    let site = Site::open(Scripted::new(Mood::Works)).await;
    for to in [0, 1, 21, 4_000_000_000_u32] {
        let answer = site.post(&format!("{WEB}/scale"), &format!("{{\"to\":{to}}}")).await;
        assert_eq!(answer.problem(422, "outside-bounds").as_deref(), Some("to"));
        assert!(answer.body.contains("2..20"), "{answer:?}");
    }
    let answer = site.post(&format!("{WEB}/scale"), r#"{"by":-50}"#).await;
    assert_eq!(answer.problem(422, "outside-bounds").as_deref(), Some("by"));
    let answer = site.post("/api/v1/services/nobody/scale", r#"{"to":5}"#).await;
    assert_eq!(answer.problem(404, "unknown-service").as_deref(), Some("name"));
    site.close().await;
}

#[tokio::test]
async fn a_name_that_is_no_service_is_refused_by_name_whatever_it_is_made_of() {
    let daemon = Scripted::new(Mood::Works);
    let site = Site::open(daemon.clone()).await;
    let long = "a".repeat(4_000);
    for name in [
        "nobody",
        "WEB",
        "web%20",
        "%2e%2e",
        "..%2fweb",
        "web%2f..%2fbatch",
        "..%2f..%2fetc%2fpasswd",
        "w%C3%A9b",
        "web%00",
        "%00",
        "%ff%fe",
        "%E2%80%AEweb",
        "web%2fscale",
        "'%20or%201=1",
        "%3Cscript%3E",
        "-1",
        &long,
    ] {
        for line in [
            "GET {}",
            "GET {}/decisions",
            "GET {}/samples",
            "GET {}/explain",
            "POST {}/scale",
            "POST {}/pause",
            "POST {}/resume",
        ] {
            let line = line.replace("{}", &format!("/api/v1/services/{name}"));
            let field = site.request(&line, &[], "").await.problem(404, "unknown-service");
            assert_eq!(field.as_deref(), Some("name"), "{line}");
        }
    }
    for path in ["..", "../../etc/passwd", "web/../batch", "%2e%2e/%2e%2e/etc/passwd"] {
        let answer = site.get(&format!("/api/v1/services/{path}")).await;
        assert_eq!(answer.status, 404, "{path}: {answer:?}");
    }
    assert!(daemon.asked.lock().unwrap().is_empty() && daemon.read.lock().unwrap().is_empty());
    site.close().await;
}

#[tokio::test]
async fn a_body_that_is_no_json_object_is_refused() {
    let site = Site::open(Scripted::new(Mood::Works)).await;
    for body in ["{", "[1]", "5", "\"to\"", "{\"to\":5}}", "\u{0}"] {
        site.post(&format!("{WEB}/scale"), body).await.problem(400, "malformed-body");
    }
    let deep = "[".repeat(10_000);
    site.post(&format!("{WEB}/scale"), &deep).await.problem(400, "malformed-body");
    let form = ["content-type: text/plain"];
    let answer = site.request(&format!("POST {WEB}/scale"), &form, r#"{"to":5}"#).await;
    answer.problem(415, "wrong-media-type");
    site.close().await;
}

#[tokio::test]
async fn a_body_over_16_kib_is_refused() {
    let site = Site::open(Scripted::new(Mood::Works)).await;
    let body = format!("{{\"to\":5{}}}", " ".repeat(16 * 1024));
    site.post(&format!("{WEB}/scale"), &body).await.problem(413, "body-too-large");
    let body = format!("{{\"to\":5{}}}", " ".repeat(15 * 1024));
    assert_eq!(site.post(&format!("{WEB}/scale"), &body).await.status, 200);
    site.close().await;
}

#[tokio::test]
async fn unknown_paths_and_wrong_methods_are_problems() {
    let site = Site::open(Scripted::new(Mood::Works)).await;
    for path in ["/nothing", "/api", "/api/v1/services/web/nothing", "/assets/0/page.js", "/assets"]
    {
        site.get(path).await.problem(404, "unknown-path");
    }
    for (line, allowed) in [
        ("DELETE /api/v1/services/web", "get,head"),
        ("GET /api/v1/services/web/scale", "post"),
        ("POST /", "get,head"),
        ("PUT /healthz", "get,head"),
    ] {
        let answer = site.request(line, &[], "").await;
        answer.problem(405, "wrong-method");
        assert_eq!(answer.header("allow"), Some(allowed), "{line}");
    }
    site.close().await;
}

#[tokio::test]
async fn a_daemon_that_fails_is_a_503_and_a_panic_is_a_500() {
    let site = Site::open(Scripted::new(Mood::Fails)).await;
    for path in ["decisions", "explain?at=1", "samples"] {
        let answer = site.get(&format!("{WEB}/{path}")).await;
        answer.problem(503, "unavailable");
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert!(answer.body.contains("the journal is closed"));
    }
    site.post(&format!("{WEB}/pause"), "").await.problem(503, "unavailable");
    assert_eq!(site.get(WEB).await.status, 200);
    site.close().await;

    let site = Site::open(Scripted::new(Mood::Panics)).await;
    site.get(&format!("{WEB}/samples")).await.problem(500, "broken");
    assert_eq!(site.get(WEB).await.status, 200);
    site.close().await;
}

#[tokio::test]
async fn reads_that_hang_time_out_and_hold_up_no_other() {
    let (release, until) = std::sync::mpsc::channel();
    let site = Site::open(Scripted::new(Mood::Hangs(until.into()))).await;
    let path = format!("{WEB}/samples");
    let hanging = futures_of(12, || site.get(&path));
    let (answers, live) = tokio::join!(hanging, site.get(WEB));
    assert_eq!(live.status, 200);
    let overdue = answers.iter().filter(|answer| answer.status == 504).count();
    let busy = answers.iter().filter(|answer| answer.status == 503).count();
    assert_eq!((overdue, busy), (8, 4), "8 reads may be under way, the others wait in vain");
    for answer in &answers {
        let kind = if answer.status == 504 { "overdue" } else { "busy" };
        answer.problem(answer.status, kind);
    }
    site.post(&format!("{WEB}/pause"), "").await.problem(504, "overdue");
    drop(release);
    assert_eq!(site.get(&path).await.status, 200, "the places are free again");
    site.close().await;
}

/// Runs `count` of them at the same time.
async fn futures_of<F: Future>(count: usize, make: impl Fn() -> F) -> Vec<F::Output> {
    let mut all: Vec<_> = (0..count).map(|_| (Box::pin(make()), None)).collect();
    std::future::poll_fn(|context| {
        for (future, output) in all.iter_mut().filter(|(_, output)| output.is_none()) {
            if let std::task::Poll::Ready(value) = future.as_mut().poll(context) {
                *output = Some(value);
            }
        }
        let done = all.iter().all(|(_, output)| output.is_some());
        if done { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    all.into_iter().filter_map(|(_, output)| output).collect()
}

#[tokio::test]
async fn health_is_always_well_and_ready_waits_for_the_first_look() {
    let mut daemon = std::sync::Arc::into_inner(Scripted::new(Mood::Works)).unwrap();
    daemon.names.push("new");
    let site = Site::open(daemon.into()).await;
    assert_eq!(site.get("/healthz").await.body, "ok\n");
    let answer = site.get("/readyz").await;
    answer.problem(503, "unavailable");
    assert!(answer.body.contains("new"));
    site.get("/api/v1/services/new/explain").await.problem(404, "no-decision");
    assert_eq!(site.get("/api/v1/services/new").await.json()["summary"], "not observed yet");
    site.close().await;

    let site = Site::open(Scripted::new(Mood::Works)).await;
    assert_eq!(site.get("/readyz").await.status, 200);
    site.close().await;
}

#[tokio::test]
async fn an_event_moves_a_count_once_however_often_it_is_sent() {
    let daemon = Scripted::new(Mood::Works);
    let site = Site::open(daemon.clone()).await;
    let body = r#"{"by":1,"event":"zabbix-5-1"}"#;
    for _ in 0..3 {
        assert_eq!(site.post(&format!("{WEB}/scale"), body).await.status, 200);
    }
    assert_eq!(daemon.asked.lock().unwrap().len(), 1);
    let next = r#"{"by":1,"event":"zabbix-6-1"}"#;
    assert_eq!(site.post(&format!("{WEB}/scale"), next).await.status, 200);
    assert_eq!(daemon.asked.lock().unwrap().len(), 2);
    let odd = r#"{"by":1,"event":5}"#;
    let field = site.post(&format!("{WEB}/scale"), odd).await.problem(422, "wrong-field");
    assert_eq!(field.as_deref(), Some("event"));
    site.close().await;
}

#[tokio::test]
async fn a_service_can_be_woken_and_that_asks_for_nothing() {
    let daemon = Scripted::new(Mood::Works);
    let site = Site::open(daemon.clone()).await;
    assert_eq!(site.post(&format!("{WEB}/wake"), r#"{"event":"5-1"}"#).await.status, 202);
    assert!(daemon.asked.lock().unwrap().is_empty());
    let answer = site.post("/api/v1/services/nobody/wake", "").await;
    assert_eq!(answer.problem(404, "unknown-service").as_deref(), Some("name"));
    site.close().await;
}

#[tokio::test]
async fn orders_about_generations_reach_the_daemon_with_their_client() {
    let daemon = Scripted::new(Mood::Works);
    let site = Site::open(daemon.clone()).await;
    let orders = [
        ("deploy", r#"{"image":"web:2"}"#, RolloutAsk::Deploy { image: Some("web:2".into()) }),
        ("deploy", "", RolloutAsk::Deploy { image: None }),
        ("rollback", "{}", RolloutAsk::Rollback),
        ("rollout/pause", "", RolloutAsk::Pause),
        ("rollout/resume", "", RolloutAsk::Resume),
    ];
    for (verb, body, ask) in orders {
        let answer = site.post(&format!("{WEB}/{verb}"), body).await;
        assert_eq!((answer.status, answer.json()["name"].as_str()), (200, Some("web")), "{verb}");
        let last = daemon.rolled.lock().unwrap().pop();
        assert_eq!(last, Some(("web".to_owned(), ask, "api".to_owned())));
    }
    for (verb, body, field) in [
        ("deploy", r#"{"image":""}"#, "image"),
        ("deploy", r#"{"image":7}"#, "image"),
        ("deploy", r#"{"imgae":"web:2"}"#, "imgae"),
        ("rollback", r#"{"to":"web:1"}"#, "to"),
    ] {
        let answer = site.post(&format!("{WEB}/{verb}"), body).await;
        assert_eq!(answer.problem(422, "wrong-field").as_deref(), Some(field), "{body}");
    }
    let answer = site.post("/api/v1/services/batch/deploy", "").await;
    answer.problem(409, "not-possible");
    assert_eq!(answer.json()["hint"], "deploy it elsewhere");
    assert!(daemon.rolled.lock().unwrap().is_empty());
    site.close().await;
}

#[tokio::test]
async fn a_reload_answers_with_what_it_changed_or_with_the_errors_of_the_file() {
    let site = Site::open(Scripted::new(Mood::Works)).await;
    let answer = site.post("/api/v1/reload", "").await;
    assert_eq!((answer.status, &answer.json()["applied"][0]), (200, &"web: max = 9".into()));
    site.close().await;
    let site = Site::open(Scripted::new(Mood::Fails)).await;
    let answer = site.post("/api/v1/reload", "").await;
    answer.problem(422, "invalid-configuration");
    site.close().await;
    let token = settings("127.0.0.1:0", Some("0123456789abcdef"));
    let site = Site::open_at(token, Scripted::new(Mood::Works)).await;
    for path in ["/api/v1/reload", "/api/v1/services/web/deploy"] {
        site.post(path, "").await.problem(401, "token-needed");
    }
    site.close().await;
}
