//! Who gets in: the page and its files, foreign sites, tokens, limits, and an orderly end.

use std::time::Duration;

use crate::scripted::{Mood, Scripted, Site, settings};
use flyball_web::{Token, WebError, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

const PAUSE: &str = "POST /api/v1/services/web/pause";

#[tokio::test]
async fn the_page_names_its_files_and_they_may_be_kept_for_ever() {
    let site = Site::open(Scripted::new(Mood::Works)).await;
    let page = site.get("/").await;
    assert_eq!((page.status, page.header("cache-control")), (200, Some("no-cache")));
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let paths: Vec<&str> = page.body.split('"').filter(|s| s.starts_with("/assets/")).collect();
    assert!(paths.len() >= 5, "{paths:?}");
    for path in paths {
        let file = site.get(path).await;
        assert_eq!(file.status, 200, "{path}");
        assert_eq!(file.header("cache-control"), Some("public, max-age=31536000, immutable"));
        assert_eq!(file.header("x-content-type-options"), Some("nosniff"));
        let media = match path.rsplit_once('.').unwrap().1 {
            "css" => "text/css; charset=utf-8",
            "svg" => "image/svg+xml",
            _ => "text/javascript; charset=utf-8",
        };
        assert_eq!(file.header("content-type"), Some(media), "{path}");
    }
    site.close().await;
}

#[tokio::test]
async fn what_the_scripts_import_is_there_and_nothing_comes_from_elsewhere() {
    let site = Site::open(Scripted::new(Mood::Works)).await;
    let page = site.get("/").await.body;
    let script = page.split('"').find(|s| s.ends_with("/page.js")).unwrap().to_owned();
    let folder = script.strip_suffix("page.js").unwrap();
    let mut waiting = vec!["page.js".to_owned()];
    let mut seen = Vec::new();
    while let Some(name) = waiting.pop() {
        let file = site.get(&format!("{folder}{name}")).await;
        assert_eq!(file.status, 200, "{name}");
        assert!(!file.body.contains("https://"), "{name} names another host");
        let imports = file.body.split("from \"./").skip(1).filter_map(|s| s.split_once('"'));
        let new: Vec<_> =
            imports.map(|(n, _)| n.to_owned()).filter(|n| !seen.contains(n)).collect();
        seen.extend(new.iter().cloned());
        waiting.extend(new);
    }
    assert!(["charts.js", "panels.js", "words.js"].iter().all(|n| seen.iter().any(|s| s == n)));
    site.close().await;
}

#[tokio::test]
async fn every_answer_carries_a_strict_content_policy() {
    let site = Site::open(Scripted::new(Mood::Works)).await;
    for path in ["/", "/api/v1/services", "/nothing"] {
        let answer = site.get(path).await;
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"));
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("x-frame-options"), Some("deny"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    }
    site.close().await;
}

#[tokio::test]
async fn a_foreign_host_name_is_refused_even_for_reading() {
    let site = Site::open(Scripted::new(Mood::Works)).await;
    for host in ["evil.example", "evil.example:7878", "127.0.0.1.evil.example", "a b", "", "[x]"] {
        let header = format!("host: {host}");
        site.request("GET /api/v1/services", &[&header], "").await.problem(421, "wrong-host");
    }
    let twice = ["host: 127.0.0.1", "host: evil.example"];
    site.request("GET /", &twice, "").await.problem(421, "wrong-host");
    site.send("GET / HTTP/1.1\r\nconnection: close\r\n\r\n").await.problem(421, "wrong-host");
    for host in ["localhost:1", "127.0.0.1", "[::1]:7878", "10.1.2.3"] {
        let header = format!("host: {host}");
        assert_eq!(site.request("GET /healthz", &[&header], "").await.status, 200, "{host}");
    }
    site.close().await;
}

#[tokio::test]
async fn a_page_of_another_site_can_change_nothing() {
    let daemon = Scripted::new(Mood::Works);
    let site = Site::open(daemon.clone()).await;
    for header in [
        "origin: http://evil.example",
        "origin: null",
        "origin: http://127.0.0.1:1",
        "origin: http://localhost",
        "sec-fetch-site: cross-site",
        "sec-fetch-site: same-site",
    ] {
        site.request(PAUSE, &[header], "").await.problem(403, "cross-site");
    }
    assert!(daemon.asked.lock().unwrap().is_empty());
    let own = format!("origin: http://127.0.0.1:{}", site.port);
    let answer = site.request(PAUSE, &[&own, "sec-fetch-site: same-origin"], "").await;
    assert_eq!(answer.status, 200);
    site.close().await;
}

/// Where a token is set it is asked for; on loopback, too, since a proxy may stand in front.
#[tokio::test]
async fn changes_need_the_token_that_is_set_and_reading_does_not() {
    changes_need_the_token_at("0.0.0.0:0").await;
    changes_need_the_token_at("127.0.0.1:0").await;
}

async fn changes_need_the_token_at(listen: &str) {
    let daemon = Scripted::new(Mood::Works);
    let site = Site::open_at(settings(listen, Some("s3cret")), daemon.clone()).await;
    assert_eq!(site.get("/api/v1/services").await.status, 200);
    for header in [
        "x-nothing: 1",
        "authorization: Bearer s3cret2",
        "authorization: Bearer",
        "authorization: Basic s3cret",
        "authorization: s3cret",
    ] {
        let answer = site.request(PAUSE, &[header], "").await;
        answer.problem(401, "token-needed");
        assert_eq!(answer.header("www-authenticate"), Some("bearer"));
        assert!(!answer.body.contains("s3cret"));
    }
    assert!(daemon.asked.lock().unwrap().is_empty());
    let answer = site.request(PAUSE, &["authorization: bearer s3cret"], "").await;
    assert_eq!(answer.status, 200);
    site.close().await;
}

#[tokio::test]
async fn without_a_token_nothing_is_changed_by_way_of_a_proxy() {
    let daemon = Scripted::new(Mood::Works);
    let site = Site::open(daemon.clone()).await;
    for header in [
        "x-forwarded-for: 203.0.113.7",
        "X-Forwarded-For:",
        "forwarded: for=203.0.113.7",
        "via: 1.1 gate",
        "x-forwarded-host: scaler.example",
        "x-forwarded-proto: https",
        "x-real-ip: 203.0.113.7",
    ] {
        site.request(PAUSE, &[header], "").await.problem(403, "no-token");
        let read = site.request("GET /api/v1/services", &[header], "").await;
        assert_eq!(read.status, 200, "{header}");
    }
    assert!(daemon.asked.lock().unwrap().is_empty());
    assert_eq!(site.request(PAUSE, &[], "").await.status, 200);
    site.close().await;
    let site = Site::open_at(settings("127.0.0.1:0", Some("s3cret")), daemon).await;
    let through = ["x-forwarded-for: 203.0.113.7", "authorization: Bearer s3cret"];
    assert_eq!(site.request(PAUSE, &through, "").await.status, 200);
    site.close().await;
}

#[tokio::test]
async fn a_read_token_reads_and_changes_nothing() {
    for listen in ["0.0.0.0:0", "127.0.0.1:0"] {
        a_read_token_reads_and_changes_nothing_at(listen).await;
    }
}

async fn a_read_token_reads_and_changes_nothing_at(listen: &str) {
    let daemon = Scripted::new(Mood::Works);
    let mut settings = settings(listen, Some("wr1te"));
    settings.read_token = Token::new("r3ad");
    let site = Site::open_at(settings, daemon.clone()).await;
    for path in ["/api/v1/services", "/metrics", "/api/v1/events", "/api/v1/openapi.json"] {
        site.get(path).await.problem(401, "token-needed");
        let wrong = ["authorization: Bearer r3a"];
        site.request(&format!("GET {path}"), &wrong, "").await.problem(401, "token-needed");
    }
    for path in ["/", "/healthz", "/readyz"] {
        assert_eq!(site.get(path).await.status, 200, "{path}");
    }
    for token in ["r3ad", "wr1te"] {
        let header = format!("authorization: Bearer {token}");
        assert_eq!(site.request("GET /metrics", &[&header], "").await.status, 200, "{token}");
    }
    site.request(PAUSE, &["authorization: Bearer r3ad"], "").await.problem(403, "read-only");
    assert!(daemon.asked.lock().unwrap().is_empty());
    assert_eq!(site.request(PAUSE, &["authorization: Bearer wr1te"], "").await.status, 200);
    site.close().await;
}

#[tokio::test]
async fn a_token_that_changes_in_its_file_counts_without_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    assert!(Token::of_file(&path).is_err());
    std::fs::write(&path, "\n").unwrap();
    assert!(Token::of_file(&path).is_err(), "an empty file is no token");
    std::fs::write(&path, "0ld\n").unwrap();
    let mut settings = settings("0.0.0.0:0", None);
    settings.token = Some(Token::of_file(&path).unwrap());
    let site = Site::open_at(settings, Scripted::new(Mood::Works)).await;
    assert_eq!(site.request(PAUSE, &["authorization: Bearer 0ld"], "").await.status, 200);
    std::fs::write(&path, "n3w\n").unwrap();
    let limit = Instant::now() + Duration::from_secs(20);
    while site.request(PAUSE, &["authorization: Bearer n3w"], "").await.status != 200 {
        assert!(Instant::now() < limit, "the new token never counts");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    site.request(PAUSE, &["authorization: Bearer 0ld"], "").await.problem(401, "token-needed");
    site.close().await;
}

#[tokio::test]
async fn beyond_loopback_there_is_no_start_without_a_token() {
    let error =
        serve(settings("0.0.0.0:0", None), Scripted::new(Mood::Works), async {}).await.unwrap_err();
    assert!(matches!(error, WebError::TokenMissing { .. }));
    assert!(error.hint().unwrap().contains("token_file"));
}

#[tokio::test]
async fn a_port_in_use_and_an_address_that_is_none_say_what_to_do() {
    let site = Site::open(Scripted::new(Mood::Works)).await;
    let taken = format!("127.0.0.1:{}", site.port);
    let error =
        serve(settings(&taken, None), Scripted::new(Mood::Works), async {}).await.unwrap_err();
    assert!(error.to_string().contains(&taken), "{error}");
    let hint = error.hint().unwrap();
    assert!(hint.contains("another flyball") && hint.contains("listen = "), "{hint}");
    for wrong in ["", "127.0.0.1", "127.0.0.1:99999", "no such name:80"] {
        let error =
            serve(settings(wrong, None), Scripted::new(Mood::Works), async {}).await.unwrap_err();
        assert!(error.to_string().contains(&format!("\"{wrong}\"")), "{error}");
        assert!(error.hint().is_some());
    }
    site.close().await;
}

#[tokio::test]
async fn headers_are_bounded_in_size_and_number() {
    let site = Site::open(Scripted::new(Mood::Works)).await;
    let large = format!("x-large: {}", "a".repeat(64 * 1024));
    site.request("GET /healthz", &[&large], "").await.problem(431, "headers-too-large");
    let many = vec!["x-many: 1"; 200];
    site.request("GET /healthz", &many, "").await.problem(431, "headers-too-large");
    let long = format!("/healthz?{}", "a".repeat(10_000));
    site.get(&long).await.problem(414, "target-too-long");
    // Beyond the parser's own bounds there is no handler left to write a document.
    let absurd = format!("x-large: {}", "a".repeat(512 * 1024));
    assert_eq!(site.request("GET /healthz", &[&absurd], "").await.status, 431);
    assert_eq!(site.get("/healthz").await.status, 200);
    site.close().await;
}

#[tokio::test]
async fn a_body_that_never_comes_does_not_hold_the_end_up() {
    let site = Site::open(Scripted::new(Mood::Works)).await;
    let mut slow = TcpStream::connect(("127.0.0.1", site.port)).await.unwrap();
    let head = format!("{PAUSE} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 9\r\n\r\n{{");
    slow.write_all(head.as_bytes()).await.unwrap();
    let mut idle = TcpStream::connect(("127.0.0.1", site.port)).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n").await.unwrap();
    assert!(idle.read(&mut [0; 512]).await.unwrap() > 0, "the server is at work");
    let started = Instant::now();
    site.close().await;
    assert!(started.elapsed() < Duration::from_secs(6), "took {:?}", started.elapsed());
    let rest = timeout(Duration::from_secs(5), slow.read_to_end(&mut Vec::new())).await;
    assert!(rest.is_ok(), "the slow client was let go");
}
