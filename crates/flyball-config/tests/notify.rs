//! The tables `[notify.NAME]`.

#![allow(clippy::unwrap_used, reason = "a test may")]

use flyball_config::{Env, Notify, NotifyBody, NotifyEvent, NotifyUrl, parse};

const SERVICE: &str = "[services.web]\nengine = \"process\"\ncommand = [\"a\", \"{port}\"]\n\
                       listen = \"127.0.0.1:8080\"\n";

fn env() -> Env {
    Env { home: Some("/home/f".into()), ..Env::default() }
}

#[track_caller]
fn target(text: &str) -> Notify {
    let text = format!("{SERVICE}[notify.ops]\n{text}");
    let config = parse(&text, "f", &env()).unwrap_or_else(|errors| panic!("{errors}"));
    config.notify["ops"].clone()
}

#[track_caller]
fn refused(text: &str, with: &str) {
    let text = format!("{SERVICE}{text}");
    let said = parse(&text, "f", &env()).unwrap_err().to_string();
    assert!(said.contains(with), "{with:?} is not in:\n{said}");
}

#[test]
fn a_target_needs_an_address_and_nothing_else() {
    let plain = target("url = \"https://ntfy.example/top?x=1\"");
    assert_eq!(plain.url, NotifyUrl::Text("https://ntfy.example/top?x=1".to_owned()));
    assert_eq!((plain.body, plain.token_file, plain.every_ms), (NotifyBody::Json, None, 300_000));
    let all_but_count = NotifyEvent::ALL.into_iter().filter(|it| *it != NotifyEvent::Count);
    assert_eq!(plain.events, all_but_count.collect());
    let own = target("url = \"http://a/\"\ntemplate = '{\"t\": \"{text}\", \"n\": {}}'");
    assert!(matches!(own.body, NotifyBody::Template(_)));
}

#[test]
fn an_address_shows_nowhere() {
    let shown = format!("{:?}", target("url = \"https://hooks.example/T0P/s3cret\""));
    assert!(!shown.contains("s3cret"), "{shown}");
}

#[test]
fn what_is_wrong_is_said_with_what_to_write() {
    refused("[notify.ops]\n", "hint: add url = \"https://ntfy.example/flyball\"");
    refused("[notify.ops]\nurl = \"ntfy.example\"", "hint: write url = \"https://");
    refused("[notify.ops]\nurl = \"ftp://a/\"", "is not an http:// or https:// address");
    refused("[notify.ops]\nurl = \"http://u:p@a/\"", "is not an http:// or https:// address");
    refused("[notify.ops]\nurl = \"http://a/\"\nbody = \"slak\"", "did you mean \"slack\"?");
    refused("[notify.ops]\nurl = \"http://a/\"\nurl_file = \"/none\"", "notify.ops.url_file");
    let both = "[notify.ops]\nurl = \"http://a/\"\nbody = \"json\"\ntemplate = '{}'";
    refused(both, "remove one of the two");
    let typo = "[notify.ops]\nurl = \"http://a/\"\ntemplate = '{\"t\": \"{servce}\"}'";
    refused(typo, "did you mean \"service\"?");
    let broken = "[notify.ops]\nurl = \"http://a/\"\ntemplate = '{\"t\": '";
    refused(broken, "is not a text of JSON");
    refused("[notify.ops]\nurl = \"http://a/\"\nevents = [\"all\"]", "a list of blind, ");
    refused("[notify.ops]\nurl = \"http://a/\"\nevery = \"0s\"", "notify.ops.every");
    refused("[notify]\nops = 1", "hint: start a target with [notify.NAME]");
    refused("[notify.Ops]\nurl = \"http://a/\"", "notify.Ops");
}
