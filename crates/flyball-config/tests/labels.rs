//! What labels of containers mean, and what people see when they are wrong.

#![expect(clippy::unwrap_used, reason = "a test may")]

use std::collections::BTreeMap;

use flyball_config::{
    Balancer, Config, Container, Described, Engine, Env, ExtraRights, Labelled, Limits, Reach,
    Ready, Service, ServiceLabels, Source, parse,
};
use flyball_core::policy::{Bounds, Governor, Rule, StepRule};
use insta::assert_snapshot;
use proptest::prelude::*;

fn user_env() -> Env {
    Env { home: Some("/home/a".into()), ..Env::default() }
}

/// Labels as `flyball.min=2`, one on each line.
fn labels(lines: &str) -> BTreeMap<String, String> {
    let pair = |line: &str| {
        let (name, value) = line.trim().split_once('=').unwrap();
        (name.to_owned(), value.to_owned())
    };
    lines.lines().filter(|line| !line.trim().is_empty()).map(pair).collect()
}

/// A container without limits, in the network `blue`.
fn of_container(labels: BTreeMap<String, String>) -> Described {
    let networks = ["blue".to_owned()].into();
    Described { labels, source: Source::Container(Limits { networks, ..Limits::default() }) }
}

fn services(all: &[(&str, &str)]) -> ServiceLabels {
    let described =
        |(name, lines): &(&str, &str)| ((*name).to_owned(), of_container(labels(lines)));
    all.iter().map(described).collect()
}

/// An operator who lets labels do whatever they can be let do.
fn trusting() -> Config {
    let may = "labels_may = [\"command\", \"cpus\", \"env\", \"haproxy.check\", \"haproxy.template\", \
               \"image\", \"labels\", \"listen\", \"log\", \"memory\", \"network\", \"publish-on\", \"reach\"]";
    parse(&format!("[docker]\n{may}"), "f", &user_env()).unwrap()
}

fn labelled(all: &[(&str, &str)]) -> Labelled {
    trusting().labelled(&services(all))
}

/// The service `web` with `lines` beside what a service needs at least.
fn web(lines: &str) -> Service {
    let lines = format!("flyball.port=8080\nflyball.balancer=haproxy\n{lines}");
    let labelled = labelled(&[("web", &lines)]);
    assert!(labelled.refused.is_empty(), "{}", labelled.refused["web"]);
    labelled.services["web"].clone()
}

fn container(lines: &str) -> Container {
    match web(lines).engine {
        Engine::Docker(container) => container,
        other => panic!("{other:?}"),
    }
}

/// All errors of such a service.
fn errors_of(lines: &str) -> String {
    let lines = format!("flyball.port=8080\nflyball.balancer=haproxy\n{lines}");
    labelled(&[("web", &lines)]).refused["web"].to_string()
}

#[test]
fn labels_are_the_keys_of_a_service() {
    let labels = "flyball.service=web
        flyball.port=8080
        flyball.image=web:2
        flyball.command=./server --port {port}
        flyball.env.DB_URL=a=b
        flyball.env.some.thing=x
        flyball.min=2
        flyball.max=20
        flyball.cpus=0.5
        flyball.memory=256MiB
        flyball.reach=container
        flyball.network=blue
        flyball.labels.com.example.team=a
        flyball.log.driver=json-file
        flyball.log.max-size=10m
        flyball.drain=1m
        flyball.grace=3s
        flyball.start-lag=3s
        flyball.start_limit=1m
        flyball.slots=8
        flyball.ready.http=/healthz
        flyball.balancer=haproxy
        flyball.haproxy.backend=pool
        flyball.haproxy.check=true
        flyball.haproxy.template.prefix=fb
        flyball.haproxy.template.count=9
        flyball.policy.governor.busy-cap=70%
        com.example.other=x";
    let file = r#"[services.web]
        engine = "docker"
        port = 8080
        image = "web:2"
        command = ["./server", "--port", "{port}"]
        env = { DB_URL = "a=b", "some.thing" = "x" }
        min = 2
        max = 20
        cpus = 0.5
        memory = "256MiB"
        reach = "container"
        network = "blue"
        labels = { "com.example.team" = "a" }
        log = { driver = "json-file", max-size = "10m" }
        drain = "1m"
        grace = "3s"
        start_lag = "3s"
        start_limit = "1m"
        slots = 8
        ready = { http = "/healthz" }
        balancer = "haproxy"
        policy = { governor = { busy_cap = "70%" } }
        [services.web.haproxy]
        backend = "pool"
        check = true
        template = { prefix = "fb", count = 9 }"#;
    let labelled = labelled(&[("web", labels)]);
    assert_eq!(labelled.refused, BTreeMap::new());
    let mut service = labelled.services["web"].clone();
    // What the file sets needs no permission.
    let Engine::Docker(container) = &mut service.engine else { panic!("{service:?}") };
    assert_eq!(std::mem::replace(&mut container.granted, ExtraRights::ALL), ExtraRights::ALL);
    let Balancer::Haproxy { backend, .. } = &mut service.balancer else { panic!("{service:?}") };
    assert!(std::mem::take(&mut backend.must_ask));
    assert_eq!(service, parse(file, "/f", &user_env()).unwrap().services["web"]);
}

#[test]
fn a_service_needs_few_labels() {
    let web = web("");
    assert_eq!(web.policy.bounds, Bounds { min: 1, max: 10 });
    assert_eq!(web.policy.rule, Rule::Governor(Governor::default()));
    assert_eq!(web.policy.timing.start_lag_prior_ms, 2_000);
    assert_eq!(web.ready, Ready::Http { path: "/".into(), any_but_failure: true });
    assert_eq!(container("").reach, Reach::Published("127.0.0.1".parse().unwrap()));
}

#[test]
fn a_policy_is_a_word_settings_or_both() {
    let rule = |lines: &str| web(lines).policy.rule;
    let step = StepRule { out_at: 0.4, ..StepRule::default() };
    assert_eq!(rule("flyball.policy=step"), Rule::Step(StepRule::default()));
    assert_eq!(rule("flyball.policy.step.out-at=40%"), Rule::Step(step));
    assert_eq!(rule("flyball.policy=step\nflyball.policy.step.out-at=40%"), Rule::Step(step));
    assert_eq!(rule("flyball.policy=external"), Rule::External);
    assert_snapshot!(errors_of("flyball.policy=governor\nflyball.policy.step.out-at=40%"), @r#"
    error: label flyball.policy.step.out-at has no effect with flyball.policy=governor
      --> labels of service web
    hint: remove one of the two
    "#);
}

#[test]
fn a_probe_is_a_path_or_the_word_tcp() {
    assert_eq!(web("flyball.ready=tcp").ready, Ready::Tcp);
    assert_eq!(web("flyball.ready.tcp=true").ready, Ready::Tcp);
    assert_snapshot!(errors_of("flyball.ready=http"), @r#"
    error: label flyball.ready: "http" is not a table with one probe
      --> labels of service web
    hint: write flyball.ready.http=/healthz or flyball.ready=tcp
    "#);
    assert!(errors_of("flyball.ready=tcp\nflyball.ready.http=/").contains("has no effect with"));
}

#[test]
fn lists_are_split_or_written_as_lists() {
    let command = |text: &str| container(&format!("flyball.command={text}")).command;
    assert_eq!(command("./server  --port {port}"), ["./server", "--port", "{port}"]);
    assert_eq!(command(r#"["sh", "-c", "exec a b"]"#), ["sh", "-c", "exec a b"]);
    for quoted in ["sh -c 'a b'", "[\"sh\", ", "a \"b c\""] {
        let errors = errors_of(&format!("flyball.command={quoted}"));
        assert!(errors.contains("is not a list of texts"), "{errors}");
    }
    assert!(errors_of("flyball.command=").contains("without a program"));
    let deep = errors_of(&format!("flyball.command={}", "[".repeat(100_000)));
    assert!(deep.contains("is not a list of texts") && deep.len() < 1_000, "{deep}");
}

#[test]
fn marks_of_a_container_are_no_settings() {
    let marks = "flyball.protect=true\nflyball.replica=web-1\nflyball.managed=true";
    assert_eq!(web(marks), web(""));
}

#[test]
fn a_misspelt_label_is_answered_with_the_nearest_or_with_its_place() {
    assert_snapshot!(
        errors_of("flyball.mim=2\nflyball.busy-cap=80%\nflyball.min.x=2\nflyball.trapper=x"), @r#"
    error: label flyball.busy-cap: unknown key
      --> labels of service web
    hint: write flyball.policy.governor.busy-cap

    error: label flyball.mim: unknown key
      --> labels of service web
    hint: did you mean flyball.min?

    error: label flyball.min.x: unknown key
      --> labels of service web
    hint: did you mean flyball.min?

    error: label flyball.trapper: unknown key
      --> labels of service web
    hint: trapper belongs in [zabbix] of flyball.toml
    "#);
    assert_snapshot!(errors_of("flyball.policy.step.outat=30%"), @r#"
    error: label flyball.policy.step.outat: unknown key
      --> labels of service web
    hint: did you mean flyball.policy.step.out-at?
    "#);
}

#[test]
fn nonsense_is_refused_with_the_same_hints_as_in_the_file() {
    assert_snapshot!(errors_of("flyball.min=many\nflyball.max=-1\nflyball.cpus=half\nflyball.drain=30"), @r#"
    error: label flyball.cpus: "half" is not a number of cores
      --> labels of service web
    hint: write flyball.cpus=0.5

    error: label flyball.drain: "30" is not a duration
      --> labels of service web
    hint: write 30s for seconds; units: ms, s, m, h, d

    error: label flyball.max: -1 is out of range
      --> labels of service web
    hint: the value must be at least 1

    error: label flyball.min: "many" is not a whole number
      --> labels of service web
    hint: write flyball.min=2
    "#);
    assert_snapshot!(errors_of(
        "flyball.memory=256m\nflyball.haproxy=web\nflyball.env=x\nflyball.policy.step.out-at=30"
    ), @r#"
    error: label flyball.env: a text is not a table of texts
      --> labels of service web
    hint: write flyball.env.NAME=value

    error: label flyball.haproxy: "web" is not a table
      --> labels of service web
    hint: valid keys: flyball.haproxy.backend, flyball.haproxy.file, flyball.haproxy.lines, flyball.haproxy.template, flyball.haproxy.check, flyball.haproxy.options

    error: label flyball.memory: "256m" is not an amount of memory
      --> labels of service web
    hint: write 256MiB; units: B, KiB, MiB, GiB, TiB

    error: label flyball.policy.step.out-at: "30" is not a share
      --> labels of service web
    hint: a share is written with a percent sign: 30%
    "#);
    assert_snapshot!(errors_of("flyball.start-lag=1s\nflyball.start_lag=1s\nflyball.engine=process"), @r#"
    error: label flyball.engine: labels may not set this key
      --> labels of service web
    hint: remove the label: only flyball.toml may set engine

    error: label flyball.start_lag has no effect with flyball.start-lag
      --> labels of service web
    hint: remove one of the two
    "#);
    assert_snapshot!(errors_of("flyball.min=5\nflyball.max=3"), @r#"
    error: label flyball.min: 5 is more than max = 3
      --> labels of service web
    hint: raise max or lower min
    "#);
}

#[test]
fn no_hint_about_a_label_has_the_quotes_of_the_file() {
    for lines in [
        "flyball.balancer=haproxi",
        "flyball.balancer=x",
        "flyball.engine=x",
        "flyball.reach=x",
        "flyball.publish-on=x",
        "flyball.ready=udp",
        "flyball.policy=governer",
        "flyball.policy.governor.busy-cap=1",
        "flyball.haproxy.check=yes",
        "flyball.haproxy.backend=a b",
        "flyball.haproxy.template.count=9",
        "flyball.min=2s\nflyball.port=x\nflyball.listen=x\nflyball.image=",
        "flyball.drain=-\nflyball.memory=1\nflyball.slots=\"2\"",
    ] {
        let all = [("web", lines)];
        let errors = labelled(&all).refused["web"].to_string();
        let hints: Vec<_> = errors.lines().filter(|line| line.starts_with("hint: ")).collect();
        assert!(!hints.is_empty(), "{errors}");
        assert!(hints.iter().all(|hint| !hint.contains('"')), "{hints:#?}");
    }
}

#[test]
fn how_haproxy_speaks_to_servers_is_for_a_label_to_say_only_by_permission() {
    assert_snapshot!(errors_of("flyball.haproxy.options=ssl ca-file /etc/shadow"), @r#"
    error: label flyball.haproxy.options: labels may not set this key
      --> labels of service web
    hint: remove it, or write labels_may = ["haproxy.options"] in [docker] of flyball.toml if the authors of labels may do that
    "#);
}

#[test]
fn what_must_be_there_is_asked_for_as_labels() {
    assert_snapshot!(labelled(&[("web", "flyball.min=1")]).refused["web"], @r#"
    error: label flyball.listen: missing
      --> labels of service web
    hint: add flyball.listen=127.0.0.1:8080

    error: label flyball.port: missing
      --> labels of service web
    hint: add flyball.port=8080
    "#);
}

#[test]
fn an_empty_value_is_no_value() {
    for name in ["min", "cpus", "port", "drain", "reach", "memory", "policy", "haproxy.backend"] {
        let labelled = labelled(&[("web", &format!("flyball.balancer=haproxy\nflyball.{name}="))]);
        let errors = labelled.refused["web"].to_string();
        assert!(errors.contains(&format!("label flyball.{name}: \"\" is ")), "{errors}");
    }
}

#[test]
fn a_name_must_fit_everywhere_also_as_a_label() {
    let fine = "flyball.port=80\nflyball.balancer=none";
    for name in ["Web", "a_b", "", "-a", "\u{1b}[31m", &"a".repeat(64), &"a".repeat(300)] {
        let labelled = labelled(&[(name, fine)]);
        assert!(labelled.services.is_empty());
        let errors = labelled.refused[name].to_string();
        assert!(errors.contains("invalid service name") && !errors.contains('\u{1b}'), "{errors}");
        assert!(errors.lines().all(|line| line.chars().count() < 130), "{errors}");
    }
    assert_eq!(labelled(&[(&"a".repeat(63), fine)]).services.len(), 1);
}

#[test]
fn a_bad_service_stops_no_other() {
    let fine = "flyball.port=80\nflyball.balancer=none";
    let labelled = labelled(&[("a", "flyball.port=no"), ("b", fine), ("c", "")]);
    assert_eq!(labelled.services.keys().collect::<Vec<_>>(), ["b"]);
    assert_eq!(labelled.refused.keys().collect::<Vec<_>>(), ["a", "c"]);
}

#[test]
fn the_file_goes_first_and_its_service_is_named() {
    let file = "[docker]\n[services.web]\nengine = \"docker\"\nimage = \"web:1\"\nport = 80\nbalancer = \"haproxy\"";
    let config = parse(file, "f", &user_env()).unwrap();
    let service = "flyball.port=80\nflyball.balancer=haproxy";
    let labelled = config.labelled(&services(&[
        ("web", "flyball.port=81\nflyball.min=3\nflyball.protect=true"),
        ("other", &format!("{service}\nflyball.haproxy.backend=web")),
        ("third", service),
    ]));
    assert_eq!(labelled.services.keys().collect::<Vec<_>>(), ["third"]);
    assert_eq!(
        labelled.notes["web"],
        "its labels are ignored because the file describes it: flyball.min"
    );
    assert_snapshot!(labelled.refused["other"], @r#"
    error: label flyball.haproxy.backend: "web" is already used by services.web.haproxy.backend
      --> labels of service other
    hint: use a different one for each service
    "#);
    let quiet = config.labelled(&services(&[("web", "flyball.service=web\nflyball.port=80")]));
    assert_eq!(quiet, Labelled::default());
}

#[test]
fn of_two_labelled_services_the_first_gets_what_both_want() {
    let proxy = "flyball.port=80\nflyball.listen=127.0.0.1:8080";
    let haproxy = "flyball.port=80\nflyball.balancer=haproxy\nflyball.haproxy.backend=x";
    let api = "flyball.port=80\nflyball.listen=127.0.0.1:7878";
    let labelled =
        labelled(&[("a", proxy), ("b", proxy), ("c", haproxy), ("d", haproxy), ("e", api)]);
    assert_eq!(labelled.services.keys().collect::<Vec<_>>(), ["a", "c"]);
    assert!(matches!(labelled.services["a"].balancer, Balancer::Proxy { .. }));
    assert_snapshot!(labelled.refused["b"], @r#"
    error: label flyball.listen: 127.0.0.1:8080 is already used by label flyball.listen of service a
      --> labels of service b
    hint: give each its own port, or use port 0 for any free port
    "#);
    assert_snapshot!(labelled.refused["d"], @r#"
    error: label flyball.haproxy.backend: "x" is already used by label flyball.haproxy.backend of service c
      --> labels of service d
    hint: use a different one for each service
    "#);
    assert!(labelled.refused["e"].to_string().contains("is already used by flyball's own API"));
}

#[test]
fn the_value_of_a_variable_is_in_no_message_and_no_debug() {
    for lines in [
        "flyball.evn.T=hunter2",
        "flyball.env=hunter2",
        "flyball.env=hunter2\nflyball.env.T=hunter2",
        "flyball.env.A==hunter2\nflyball.log.splunk-token=hunter2",
        "flyball.environment=hunter2",
        "flyball.env.=hunter2",
    ] {
        let errors = errors_of(lines);
        assert!(!errors.contains("hunter2"), "{errors}");
    }
    let fine = web("flyball.env.T=hunter2\nflyball.log.driver=x\nflyball.log.token=hunter2");
    assert!(!format!("{fine:?}").contains("hunter2"));
}

/// Names and values of labels, some of them good.
fn label() -> impl Strategy<Value = (String, String)> {
    let name = prop_oneof![
        "flyball\\.(port|min|max|cpus|command|env|ready|policy|haproxy|reach|log|memory)",
        "flyball\\.(policy|haproxy|ready|env|labels|log)\\.[a-z.-]{0,8}",
        "flyball\\.policy\\.(step|target|governor)\\.(by|out[-_]at|cpu|hold)",
        "flyball\\.haproxy\\.(template\\.)?(backend|file|lines|prefix|count)",
        "flyball\\.[a-z._-]{0,12}",
        "flyball\\.\\PC{0,8}",
        any::<String>(),
    ];
    let value = prop_oneof![
        "-?[0-9]{1,22}(ms|s|m|%|MiB)?",
        "(step|tcp|haproxy|proxy|none|docker|process|true|/x|127.0.0.1:80)",
        "\\[?(\"[a-z]\",? ?){0,3}\\]?",
        any::<String>(),
    ];
    (name, value)
}

proptest! {
    #[test]
    fn no_labels_make_the_reader_panic(
        all in prop::collection::btree_map(
            prop_oneof!["[a-c]", any::<String>()],
            prop::collection::btree_map(label().prop_map(|l| l.0), label().prop_map(|l| l.1), 0..8),
            0..4,
        ),
        trusted: bool,
    ) {
        let all = all.into_iter().map(|(name, labels)| (name, of_container(labels))).collect();
        let labelled = if trusted { trusting() } else { Config::of_labels_only(&user_env()).unwrap() };
        let labelled = labelled.labelled(&all);
        prop_assert_eq!(labelled.services.len() + labelled.refused.len(), all.len());
        for errors in labelled.refused.values() {
            prop_assert!(!errors.problems.is_empty());
            let shown = errors.to_string();
            prop_assert!(shown.starts_with("error: "));
            prop_assert!(shown.lines().all(|line| line.len() < 2_000), "{shown:?}");
            prop_assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{shown:?}");
        }
    }
}

#[test]
fn labels_of_a_swarm_service_describe_it_too() {
    let read_with = |more: &str| {
        let lines = format!("flyball.port=80\nflyball.balancer=haproxy\nflyball.hold=true\n{more}");
        let source = Source::Swarm("shop_web".to_owned());
        let described = Described { labels: labels(&lines), source };
        trusting().labelled(&[("web".to_owned(), described)].into())
    };
    for same in ["", "flyball.engine=swarm\nflyball.swarm-service=shop_web"] {
        let labelled = read_with(same);
        assert!(labelled.refused.is_empty(), "{:?}", labelled.refused);
        let Engine::Swarm(found) = &labelled.services["web"].engine else { panic!("{labelled:?}") };
        assert_eq!((found.swarm_service.as_str(), found.port), ("shop_web", 80));
    }
    for other in ["flyball.engine=docker", "flyball.swarm-service=bank_web", "flyball.app=/bank"] {
        let refused = read_with(other).refused["web"].to_string();
        assert!(refused.contains("labels may not set this key"), "{refused}");
    }
}
