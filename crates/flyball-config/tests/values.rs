//! What a configuration means: every key, every default, and that nothing makes the reader panic.

#![expect(clippy::unwrap_used, reason = "a test may")]

use std::collections::BTreeMap;
use std::path::Path;

use flyball_config::{
    Backend, Balancer, Config, Container, Engine, Env, ExtraRights, Haproxy, Log, MINIMAL, Mesos,
    OwnedFile, Permits, Proxy, Reach, Ready, Socket, Template, load, parse, reference,
};
use flyball_core::policy::{Bounds, Governor, Objective, Rule, StepRule, Target};
use proptest::prelude::*;

fn user_env() -> Env {
    Env { home: Some("/home/a".into()), ..Env::default() }
}

fn parsed(text: &str) -> Config {
    parse(text, "/etc/flyball/flyball.toml", &user_env())
        .unwrap_or_else(|errors| panic!("{errors}"))
}

const EVERYTHING: &str = r#"
[flyball]
listen = "127.0.0.1:7000"
state_dir = "state"

[services.web]
engine = "process"
balancer = "proxy"
listen = "127.0.0.1:0"
command = ["./server", "--port", "{port}"]
env = { MODE = "fast" }
directory = "web"
cpus = 2
min = 0
max = 20
ready = { http = "/healthz" }
drain = "1m"
grace = "5s"
start_limit = "90s"
start_lag = "250ms"
interval = "10s"
slots = 8
error_limit = "2.5%"
policy = { governor = { busy_cap = "70%", hold = "30s", objective = { late = "2.5%", within = "100ms" } } }
"#;

const CONTAINERS: &str = r#"
[docker]
host = "tcp://127.0.0.1:2375"
cgroup_mount = "/host/cgroup"
labels = false
labels_max = 5
labels_may = ["publish-on", "haproxy.template"]
labels_from_images = true
trust_marks = true

[haproxy]
socket = "tcp://127.0.0.1:9999"
backends = ["shop"]
directory = "haproxy"

[services.web]
engine = "docker"
balancer = "haproxy"
image = "registry.example/web:1.4"
command = ["./server", "{port}"]
env = { MODE = "fast" }
port = 8080
reach = "published"
publish_on = "10.0.0.1"
network = "blue"
cpus = 0.5
memory = "256MiB"
labels = { "com.example.team" = "a" }
log = { driver = "json-file", max-size = "10m" }
grace = "3s"
slots = 8

[services.web.haproxy]
backend = "web_1"
file = "haproxy/web.cfg"
lines = ["balance leastconn", "option httpchk GET /healthz"]
template = { prefix = "fb", count = 50 }
check = true
options = "ssl verify none"
"#;

/// The smallest service on Docker behind HAProxy.
const COPIED: &str = r#"[services.web]
engine = "docker"
balancer = "haproxy"
adopt = true
port = 8080"#;

/// The same with an image.
const IMAGED: &str = r#"[services.web]
engine = "docker"
balancer = "haproxy"
image = "web:1"
port = 8080"#;

fn container(text: &str) -> Container {
    match parsed(text).services["web"].engine.clone() {
        Engine::Docker(container) => container,
        other => panic!("{other:?}"),
    }
}

fn backend(text: &str) -> Backend {
    match parsed(text).services["web"].balancer.clone() {
        Balancer::Haproxy { backend, .. } => backend,
        other => panic!("{other:?}"),
    }
}

fn texts(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn every_key_of_containers_arrives_where_it_belongs() {
    let config = parsed(CONTAINERS);
    assert_eq!(config.docker.host, "tcp://127.0.0.1:2375");
    assert_eq!(config.docker.cgroup_mount, Path::new("/host/cgroup"));
    assert!(!config.docker.labels);
    let may = ["publish_on", "haproxy.template"].map(str::to_owned).into();
    assert_eq!(config.docker.permits, Permits { max: 5, may });
    assert!(config.docker.labels_from_images && config.docker.trust_marks);
    let socket = Socket::Tcp("127.0.0.1:9999".into());
    let (backends, directory) = (["shop".to_owned()].into(), "/etc/flyball/haproxy".into());
    assert_eq!(config.haproxy, Haproxy { socket, backends, directory });
    let options = texts(&[("max-size", "10m")]);
    let wanted = Container {
        image: Some("registry.example/web:1.4".into()),
        adopt: false,
        granted: ExtraRights::ALL,
        command: vec!["./server".into(), "{port}".into()],
        env: texts(&[("MODE", "fast")]),
        labels: texts(&[("com.example.team", "a")]),
        cpus: Some(0.5),
        memory_bytes: Some(256 << 20),
        port: 8080,
        reach: Reach::Published("10.0.0.1".parse().unwrap()),
        network: Some("blue".into()),
        log: Some(Log { driver: "json-file".into(), options }),
        grace_ms: Some(3_000),
        sleep: None,
    };
    assert_eq!(container(CONTAINERS), wanted);
    let lines = vec!["balance leastconn".into(), "option httpchk GET /healthz".into()];
    let backend = Backend {
        name: "web_1".into(),
        file: Some(OwnedFile { path: "/etc/flyball/haproxy/web.cfg".into(), lines }),
        template: Some(Template { prefix: "fb".into(), count: 50 }),
        check: Some(true),
        options: "ssl verify none".into(),
        must_ask: false,
    };
    let web = &config.services["web"];
    assert_eq!(web.balancer, Balancer::Haproxy { backend, slots: Some(8) });
    let rule = Governor { slots: Some(8), ..Governor::default() };
    assert_eq!(web.policy.rule, Rule::Governor(rule));
}

/// As little as a target needs.
const NOTIFY: &str = "[notify.web]\nurl = \"http://127.0.0.1/\"";
/// As little as several flyballs need.
/// What may sleep, in every way.
const ASLEEP: &str = "[services.web]\nengine = \"docker\"\nadopt = true\nport = 80\nmin = 0\n\
                      listen = \"127.0.0.1:0\"";
const HA: &str = "[ha]\nzookeeper = \"zk://10.0.0.1:2181/flyball\"";

#[test]
fn several_flyballs_share_a_zookeeper_and_no_processes() {
    let ha = parsed(&format!("{COPIED}\n{HA}\nsession = \"2s\"")).ha.unwrap();
    assert_eq!((ha.zookeeper.path.as_str(), ha.session_ms), ("/flyball", 2_000));
    let errors_in = |text: &str| parse(text, "f", &user_env()).unwrap_err().to_string();
    assert!(errors_in(&format!("{COPIED}\n[ha]")).contains("ha.zookeeper: missing"));
    let shared = errors_in(&format!("{MINIMAL}\n{HA}"));
    assert!(shared.contains("services.web.engine: \"process\""), "{shared}");
    let short = errors_in(&format!("{COPIED}\n{HA}\nsession = \"500ms\""));
    assert!(short.contains("at least 1s"), "{short}");
}

#[test]
fn a_container_is_a_copy_unless_the_file_says_more() {
    let config = parsed(COPIED);
    assert_eq!(config.docker.host, "unix:///var/run/docker.sock");
    assert!(!config.docker.labels, "without [docker], no label makes a service");
    assert_eq!(config.haproxy, Haproxy::default());
    assert_eq!(config.haproxy.socket, Socket::Unix("/run/haproxy/admin.sock".into()));
    let web = container(COPIED);
    assert!(web.adopt);
    assert_eq!((web.image, web.cpus, web.memory_bytes, web.log), (None, None, None, None));
    assert!(web.command.is_empty() && web.network.is_none());
    assert_eq!(web.reach, Reach::Published("127.0.0.1".parse().unwrap()));
    assert_eq!(web.grace_ms, None, "the container's own");
    assert_eq!(config.services["web"].policy.timing.start_lag_prior_ms, 2_000);
    let by_default = Backend {
        name: "web".into(),
        file: None,
        template: None,
        check: None,
        options: String::new(),
        must_ask: false,
    };
    assert_eq!(backend(COPIED), by_default);
}

#[test]
fn a_replica_is_reached_in_one_of_three_ways() {
    let reach = |word: &str| container(&format!("{COPIED}\nreach = \"{word}\"")).reach;
    assert_eq!(reach("published"), Reach::Published("127.0.0.1".parse().unwrap()));
    assert_eq!(reach("container"), Reach::ContainerAddress);
    assert_eq!(reach("host"), Reach::HostNetwork);
}

#[test]
fn each_engine_goes_with_each_balancer() {
    let process =
        parsed("[services.web]\nengine = \"process\"\nbalancer = \"haproxy\"\ncommand = [\"a\"]");
    let web = &process.services["web"];
    assert!(matches!((&web.engine, &web.balancer), (Engine::Process(_), Balancer::Haproxy { .. })));
    assert_eq!(web.policy.timing.start_lag_prior_ms, 1_000);
    let proxied = COPIED.replace("\"haproxy\"", "\"proxy\"\nlisten = \"127.0.0.1:0\"");
    let proxied = parsed(&proxied);
    let web = &proxied.services["web"];
    assert!(matches!((&web.engine, &web.balancer), (Engine::Docker(_), Balancer::Proxy { .. })));
    assert!(matches!(
        parsed(&COPIED.replace("haproxy", "none")).services["web"].balancer,
        Balancer::None
    ));
}

#[test]
fn sockets_are_paths_or_addresses() {
    let socket =
        |text: &str| parsed(&format!("[haproxy]\nsocket = \"{text}\"\n{COPIED}")).haproxy.socket;
    assert_eq!(socket("/run/a"), Socket::Unix("/run/a".into()));
    assert_eq!(socket("unix:///run/a"), Socket::Unix("/run/a".into()));
    assert_eq!(socket("a"), Socket::Unix("/etc/flyball/a".into()));
    for at in ["[::1]:9", "localhost:9999", "tasks.haproxy:9999"] {
        assert_eq!(socket(&format!("tcp://{at}")), Socket::Tcp(at.into()));
    }
    // As they stand behind `stats socket`.
    assert_eq!(socket("unix@/run/a"), Socket::Unix("/run/a".into()));
    for (bound, asked) in [
        ("127.0.0.1:9998", "127.0.0.1:9998"),
        ("ipv4@127.0.0.1:9998", "127.0.0.1:9998"),
        ("ipv4@*:9998", "127.0.0.1:9998"),
        ("ipv4@:9998", "127.0.0.1:9998"),
        ("ipv4@0.0.0.0:9998", "127.0.0.1:9998"),
        ("ipv6@::1:9998", "[::1]:9998"),
        ("ipv6@[::1]:9998", "[::1]:9998"),
        ("ipv6@:::9998", "[::1]:9998"),
        ("[::1]:9998", "[::1]:9998"),
    ] {
        assert_eq!(socket(bound), Socket::Tcp(asked.into()), "{bound}");
    }
}

#[test]
fn services_may_all_come_from_labels() {
    let config = parsed("[docker]");
    assert!(config.docker.labels && config.services.is_empty());
    assert_eq!(Config::of_labels_only(&user_env()).unwrap(), config);
    let off = parse("[docker]\nlabels = false", "f", &user_env()).unwrap_err();
    assert!(off.to_string().contains("no services"), "{off}");
    let homeless = Config::of_labels_only(&Env::default()).unwrap_err();
    assert!(homeless.to_string().contains("flyball.state_dir: missing"), "{homeless}");
}

#[test]
fn every_key_arrives_where_it_belongs() {
    let config = parsed(EVERYTHING);
    assert_eq!(config.daemon.listen.port(), 7000);
    assert_eq!(config.daemon.state_dir, Path::new("/etc/flyball/state"));
    let web = &config.services["web"];
    let Engine::Process(process) = &web.engine else { panic!("{:?}", web.engine) };
    assert_eq!(process.command, ["./server", "--port", "{port}"]);
    assert_eq!(process.env["MODE"], "fast");
    assert_eq!(process.directory.as_deref(), Some(Path::new("/etc/flyball/web")));
    assert_eq!((process.cpus, process.grace_ms), (2.0, 5_000));
    let listen = "127.0.0.1:0".parse().unwrap();
    assert_eq!(web.balancer, Balancer::Proxy { listen, slots: Some(8), ignore: vec![] });
    assert_eq!(web.ready, Ready::Http { path: "/healthz".into(), any_but_failure: false });
    assert!((web.error_limit - 0.025).abs() < 1e-9, "{}", web.error_limit);
    assert_eq!(web.policy.service, "web");
    assert_eq!(web.policy.bounds, Bounds { min: 0, max: 20 });
    let Rule::Governor(rule) = web.policy.rule else { panic!("{:?}", web.policy.rule) };
    assert_eq!((rule.busy_cap, rule.slots, rule.hold_ms), (0.7, Some(8), Some(30_000)));
    let Objective { late, within_ms } = rule.objective.unwrap();
    assert!((late - 0.025).abs() < 1e-9 && within_ms == 100, "{late} {within_ms}");
    let timing = web.policy.timing;
    assert_eq!((timing.interval_ms, timing.drain_limit_ms), (Some(10_000), 60_000));
    assert_eq!((timing.start_limit_ms, timing.start_lag_prior_ms), (90_000, 250));
    assert_eq!(timing.stale_after_ms, 30_000, "three looks, or readings would always be stale");
}

#[test]
fn what_is_left_out_has_a_default() {
    let config = parsed(MINIMAL);
    assert_eq!(config.daemon.listen, "127.0.0.1:7878".parse().unwrap());
    assert_eq!(config.daemon.state_dir, Path::new("/home/a/.local/state/flyball"));
    assert_eq!(config.proxy, Proxy::default());
    assert_eq!((config.docker.permits.max, &config.mesos), (20, &Mesos::default()));
    let web = &config.services["web"];
    assert_eq!(web.ready, Ready::Http { path: "/".into(), any_but_failure: true });
    assert_eq!(web.policy.rule, Rule::Governor(Governor::default()));
    assert_eq!(web.policy.timing.start_lag_prior_ms, 1_000);
    assert_eq!(web.policy.timing.stale_after_ms, 6_000);
}

#[test]
fn a_policy_is_a_word_or_a_table() {
    let rule = |policy: &str| {
        parsed(&format!("{MINIMAL}\npolicy = {policy}")).services["web"].policy.rule.clone()
    };
    assert_eq!(rule("\"external\""), Rule::External);
    assert_eq!(rule("\"step\""), Rule::Step(StepRule::default()));
    assert_eq!(rule("{ step = {} }"), Rule::Step(StepRule::default()));
    assert_eq!(rule("\"target\""), rule("{ target = {} }"));
    assert_eq!(rule("\"governor\""), rule("{ governor = {} }"));
    let target = Target { cpu: 0.7, in_window_ms: 60_000, ..Target::default() };
    assert_eq!(rule("{ target = { cpu = \"70%\", in_window = \"60s\" } }"), Rule::Target(target));
}

#[test]
fn a_probe_may_ask_for_a_connection_only() {
    let config = parsed(&format!("{MINIMAL}\nready = {{ tcp = true }}"));
    assert_eq!(config.services["web"].ready, Ready::Tcp);
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_change_nothing() {
    let windows = format!("\u{feff}{}", EVERYTHING.replace('\n', "\r\n"));
    assert_eq!(parsed(&windows), parsed(EVERYTHING));
}

#[test]
fn a_file_is_read_and_its_directory_is_where_paths_start() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("flyball.toml");
    std::fs::write(&path, EVERYTHING).unwrap();
    assert_eq!(load(&path, &user_env()).unwrap().daemon.state_dir, dir.path().join("state"));
}

/// A row of the reference, as it is written there.
struct Row {
    section: String,
    key: String,
    default: String,
    meaning: String,
}

fn rows() -> Vec<Row> {
    let page = reference();
    let mut section = String::new();
    let mut rows = Vec::new();
    for line in page.lines() {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        if let Some(title) = line.strip_prefix("## `[") {
            section = title.trim_end_matches("]`").replace("NAME", "web");
        } else if let [_, key, _, default, .., meaning, _] = cells[..]
            && cells.len() >= 6
            && key.starts_with('`')
        {
            let (section, key) = (section.clone(), key.replace('`', ""));
            rows.push(Row { section, key, default: default.into(), meaning: meaning.into() });
        }
    }
    rows
}

/// A service in which `section.key` means something.
fn around(section: &str, key: &str) -> &'static str {
    let process = parse(&with(MINIMAL, section, key, "1979-05-27"), "f", &user_env()).unwrap_err();
    let other = process.to_string().contains("has no effect with") || section == "ha";
    match (other, key) {
        _ if section == "services.web.sleep" => ASLEEP,
        (false, _) => MINIMAL,
        (true, "adopt") => IMAGED,
        (true, _) => COPIED,
    }
}

/// `service` with `section.key = value` set beside it.
fn with(service: &str, section: &str, key: &str, value: &str) -> String {
    let policy = section.strip_prefix("services.web.policy.");
    match (section, policy) {
        ("services.web", _) => format!("{service}\n{key} = {value}"),
        (_, Some(rule)) => format!("{service}\npolicy = {{ {rule} = {{ {key} = {value} }} }}"),
        _ => format!("{service}\n[{section}]\n{key} = {value}"),
    }
}

#[test]
fn the_defaults_of_the_reference_are_the_ones_that_apply() {
    let mut checked = 0;
    for Row { section, key, default, .. } in rows() {
        let Some(value) = default.strip_prefix('`').and_then(|d| d.strip_suffix('`')) else {
            continue;
        };
        if value.contains('`') {
            continue;
        }
        let service = around(&section, &key);
        let without = match section.strip_prefix("services.web.policy.") {
            Some(rule) => format!("{service}\npolicy = {{ {rule} = {{}} }}"),
            None if section == "ha" => format!("{service}\n{HA}"),
            None if section == "notify.web" => format!("{service}\n{NOTIFY}"),
            None if ["docker", "swarm", "mesos", "marathon", "zabbix"].contains(&&*section) => {
                format!("{service}\n[{section}]")
            }
            None => service.to_owned(),
        };
        let with = match &*section {
            "ha" => format!("{service}\n{HA}\n{key} = {value}"),
            "notify.web" => format!("{service}\n{NOTIFY}\n{key} = {value}"),
            _ => with(service, &section, &key, value),
        };
        assert_eq!(parsed(&with), parsed(&without), "{section}.{key}");
        checked += 1;
    }
    assert!(checked >= 32, "only {checked} defaults were found in the reference");
}

#[test]
fn every_key_of_the_reference_is_read() {
    for Row { section, key, .. } in rows() {
        // A date is no key's value: the reader of the key refuses it, with another error than for
        // an unknown key.
        let text = with(around(&section, &key), &section, &key, "1979-05-27");
        let errors = parse(&text, "f", &user_env()).unwrap_err().to_string();
        assert!(!errors.contains("unknown key"), "{section}.{key}: {errors}");
        assert!(
            errors.contains(&format!("{section}.{key}")) || errors.contains("duplicate"),
            "{errors}"
        );
    }
}

/// The keys that the reader of `section` names to somebody who writes one that is like none.
fn keys_read_in(section: &str) -> Vec<String> {
    let unlike = "zzzzzzzzzz";
    let text = with(around(section, unlike), section, unlike, "1");
    let text = if section.is_empty() { format!("{unlike} = 1") } else { text };
    let said = parse(&text, "f", &user_env()).unwrap_err().to_string();
    let list = said.split_once("hint: valid keys: ").unwrap_or_else(|| panic!("{section}: {said}"));
    list.1.lines().next().unwrap().split(", ").map(str::to_owned).collect()
}

#[test]
fn every_key_that_is_read_is_in_the_reference_with_a_sentence() {
    let rows = rows();
    for table in keys_read_in("") {
        let named = ["notify", "services"].contains(&&*table);
        let section = if named { format!("{table}.web") } else { table };
        assert!(rows.iter().any(|row| row.section == section), "[{section}] is missing");
    }
    let mut sections: Vec<_> = rows.iter().map(|row| row.section.as_str()).collect();
    sections.dedup();
    for section in sections {
        for key in keys_read_in(section) {
            let row = rows.iter().find(|row| row.section == section && row.key == key);
            let row = row.unwrap_or_else(|| panic!("{section}.{key} is missing"));
            let sentence = row.meaning.len() > 10 && row.meaning.ends_with(['.', ')']);
            assert!(sentence, "{section}.{key}: {:?} explains nothing", row.meaning);
        }
    }
    for title in reference().split("| see `[").skip(1).filter_map(|rest| rest.split_once("]`")) {
        let section = title.0.replace("NAME", "web");
        assert!(rows.iter().any(|row| row.section == section), "[{section}] is missing");
    }
}

#[test]
fn what_keys_are_called_together_is_no_key() {
    for (section, name) in [
        ("docker", "permits"),
        ("marathon", "permits"),
        ("zabbix", "own_certificate"),
        ("services.web.policy.step", "pace"),
    ] {
        let text = with(MINIMAL, section, name, "1");
        let said = parse(&text, "f", &user_env()).unwrap_err().to_string();
        assert!(said.contains(&format!("{section}.{name}: unknown key")), "{said}");
    }
}

/// Pieces that configurations are made of, and some they are not.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z_]{1,8} = [0-9]{1,22}\n",
        "(min|max|cpus|slots|look|drain) = (\"?-?[0-9.e]{1,6}[%smh]?\"?|nan|-inf|\\[\\]|\\{\\})\n",
        "(command|env|ready|policy|listen) = (\\[|\\{|\"|'|\"\"\")[a-z0-9:/., ={}\\[\\]\"]{0,30}\n",
        "(image|port|memory|reach|labels|log) = (\"?[a-zA-Z0-9.]{0,6}\"?|\\{ ?[a-z.]{0,3} = \"\" \\})\n",
        "\\[{1,2}(flyball|docker|haproxy|services|services.a.haproxy|services\\.[a-z\u{e9}\"]{0,3})\\]{0,2}\n",
        "\\PC{0,12}",
        any::<String>(),
    ]
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(pieces in prop::collection::vec(piece(), 0..12)) {
        let text = pieces.concat();
        if let Err(errors) = parse(&text, "f", &user_env()) {
            prop_assert!(!errors.problems.is_empty());
            prop_assert!(errors.to_string().starts_with("error: "));
        }
    }

    #[test]
    fn no_change_of_a_good_file_makes_the_reader_panic(
        file in prop::sample::select(vec![EVERYTHING, CONTAINERS]),
        at in 0..CONTAINERS.len(), cut in 0..40_usize, put in piece(),
    ) {
        let at = at.min(file.len());
        let end = (at + cut).min(file.len());
        let text = format!("{}{put}{}", &file[..at], &file[end..]);
        if let Err(errors) = parse(&text, "f", &user_env()) {
            for problem in &errors.problems {
                let (line, column) = problem.place.position.unwrap_or((1, 1));
                prop_assert!(line <= text.matches('\n').count() + 1 && column >= 1);
            }
            let shown = errors.to_string();
            prop_assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{shown:?}");
        }
    }
}
