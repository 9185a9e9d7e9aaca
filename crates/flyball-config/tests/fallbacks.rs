//! Where the reference describes the fallback of a missing key in words, the code does just that.

#![expect(clippy::unwrap_used, reason = "a test may")]

use std::path::PathBuf;

use flyball_config::{
    Activator, Backend, Balancer, Config, Container, Described, Engine, Env, Limits, MarathonApp,
    Notify, NotifyBody, NotifyUrl, Process, Reach, Ready, Source, Task, TaskReach, Zabbix, parse,
    reference,
};
use flyball_core::decide::look_interval_ms;
use flyball_core::policy::{Governor, Policy, Rule, SleepPolicy, Timing};
use flyball_core::signals::Signals;

fn parsed(text: &str) -> Config {
    let env = Env { home: Some("/home/f".into()), ..Env::default() };
    parse(text, "f", &env).unwrap_or_else(|errors| panic!("{text}\n{errors}"))
}

fn refused(text: &str) -> String {
    parse(text, "f", &Env::default()).unwrap_err().to_string()
}

fn service(engine: &str, lines: &str) -> Config {
    parsed(&format!("[services.web]\nengine = \"{engine}\"\nbalancer = \"haproxy\"\n{lines}"))
}

fn process() -> Process {
    match service("process", "command = [\"./a\"]").services["web"].engine.clone() {
        Engine::Process(process) => process,
        other => panic!("{other:?}"),
    }
}

fn container() -> Container {
    match service("docker", "adopt = true\nport = 80").services["web"].engine.clone() {
        Engine::Docker(container) => container,
        other => panic!("{other:?}"),
    }
}

fn task() -> Task {
    match service("mesos", "image = \"a\"\nport = 80").services["web"].engine.clone() {
        Engine::Mesos(task) => task,
        other => panic!("{other:?}"),
    }
}

fn app() -> MarathonApp {
    match service("marathon", "").services["web"].engine.clone() {
        Engine::Marathon(app) => app,
        other => panic!("{other:?}"),
    }
}

fn policy(engine: &str, lines: &str) -> Policy {
    service(engine, lines).services["web"].policy.clone()
}

fn governor() -> Governor {
    governor_of("")
}

fn governor_of(more: &str) -> Governor {
    match policy("docker", &format!("adopt = true\nport = 80\n{more}")).rule {
        Rule::Governor(governor) => governor,
        other => panic!("{other:?}"),
    }
}

fn backend() -> Backend {
    match service("docker", "adopt = true\nport = 80").services["web"].balancer.clone() {
        Balancer::Haproxy { backend, .. } => backend,
        other => panic!("{other:?}"),
    }
}

fn zabbix() -> Zabbix {
    let text = "[docker]\n[zabbix]\ntrapper = \"127.0.0.1:10051\"";
    parsed(text).zabbix.unwrap()
}

fn target(lines: &str) -> Notify {
    parsed(&format!("[docker]\n[notify.web]\n{lines}")).notify["web"].clone()
}

/// A target with an address alone.
fn plain_target() -> Notify {
    target("url = \"http://127.0.0.1/\"")
}

fn nothing() -> Config {
    parsed("[docker]")
}

/// Each key with the words of the reference, and what is so then.
type Row = (&'static str, &'static str, fn() -> bool);

const ROWS: &[Row] = &[
    ("notify.web.url", "the text in `url_file`", || {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        target(&format!("url_file = {file:?}")).url == NotifyUrl::File(file.into())
    }),
    ("notify.web.url_file", "the address in `url`", || {
        plain_target().url == NotifyUrl::Text("http://127.0.0.1/".to_owned())
    }),
    ("notify.web.template", "the form of `body`", || plain_target().body == NotifyBody::Json),
    ("notify.web.token_file", "no token", || plain_target().token_file.is_none()),
    (
        "flyball.state_dir",
        "`/var/lib/flyball` for root, otherwise `$XDG_STATE_HOME/flyball` or `~/.local/state/flyball`",
        || {
            let dir = |root, home: Option<&str>, state: Option<&str>| {
                let env =
                    Env { root, home: home.map(Into::into), state_home: state.map(Into::into) };
                env.state_dir()
            };
            let of = |path: &str| Some(PathBuf::from(path));
            dir(true, Some("/h"), Some("/s")) == of("/var/lib/flyball")
                && dir(false, Some("/h"), Some("/s")) == of("/s/flyball")
                && dir(false, Some("/h"), None) == of("/h/.local/state/flyball")
        },
    ),
    ("flyball.token_file", "no token", || nothing().daemon.token_file.is_none()),
    ("flyball.read_token_file", "every client may read", || {
        nothing().daemon.read_token_file.is_none()
    }),
    ("flyball.activator", "no such address", || nothing().daemon.activator.is_none()),
    ("flyball.activator_address", "the address listened on", || {
        nothing().daemon.activator_address.is_none()
    }),
    (
        "services.web.activator",
        "with `min = 0`, an address of the service's own in 127.0.0.0/8; otherwise none",
        || {
            let with = |lines: &str| {
                let lines = format!("image = \"a\"\nport = 80\n{lines}");
                service("docker", &lines).services["web"].activator
            };
            with("min = 0") == Activator::Automatic && with("") == Activator::Off
        },
    ),
    ("proxy.connections", "as many as file descriptors and memory allow, at most 20000", || {
        nothing().proxy.connections.is_none()
    }),
    ("proxy.connections_per_client", "a quarter of `connections`", || {
        nothing().proxy.connections_per_client.is_none()
    }),
    ("swarm.managers", "the Docker host", || {
        let elsewhere = parsed("[docker]\nhost = \"tcp://10.0.0.1:2375\"\n[swarm]");
        elsewhere.swarm.managers == ["tcp://10.0.0.1:2375"]
    }),
    ("swarm.agent_token_file", "agents require no secret", || {
        nothing().swarm.agent_token_file.is_none()
    }),
    ("mesos.tls", "true where `master` begins with `https://`", || {
        let tls =
            |master: &str| parsed(&format!("[docker]\n[mesos]\nmaster = \"{master}\"")).mesos.tls;
        tls("https://m1:5050") && !tls("http://m1:5050") && !tls("zk://10.0.0.1:2181/mesos")
    }),
    ("mesos.ca_file", "the system's", || nothing().mesos.ca_file.is_none()),
    ("mesos.secret_file", "no authentication", || nothing().mesos.secret_file.is_none()),
    ("marathon.ca_file", "the system's", || nothing().marathon.ca_file.is_none()),
    ("marathon.labels", "true if this table is present", || {
        !nothing().marathon.labels && parsed("[marathon]").marathon.labels
    }),
    ("marathon.credentials_file", "no credentials", || {
        nothing().marathon.credentials_file.is_none()
    }),
    ("marathon.token_file", "no token", || nothing().marathon.token_file.is_none()),
    ("zabbix.host_prefix", "none", || zabbix().host_prefix.is_empty()),
    ("zabbix.api", "the API is not used", || zabbix().api.is_none()),
    ("zabbix.token_file", "none", || zabbix().api.is_none()),
    ("zabbix.ca_file", "the system's", || zabbix().ca_file.is_none()),
    ("zabbix.cert_file", "values are sent unencrypted", || zabbix().own_certificate.is_none()),
    ("zabbix.key_file", "none", || zabbix().own_certificate.is_none()),
    ("zabbix.proxy", "`trapper` is the server", || zabbix().proxy.is_none()),
    ("zabbix.webhook", "Zabbix does not call", || zabbix().webhook.is_none()),
    ("services.web.haproxy", "all defaults", || {
        let (name, options) = ("web".to_owned(), String::new());
        backend()
            == Backend { name, file: None, template: None, check: None, must_ask: false, options }
    }),
    (
        "services.web.sleep",
        "all defaults; with `policy = \"external\"`, only the API sets the count to 0",
        || {
            let sleep = |more: &str| {
                policy("docker", &format!("adopt = true\nport = 80\nmin = 0\n{more}")).sleep
            };
            sleep("") == Some(SleepPolicy { after_ms: 600_000 })
                && sleep("policy = \"external\"").is_none()
        },
    ),
    ("services.web.swarm_service", "the service's name", || {
        let engine = service("swarm", "port = 80").services["web"].engine.clone();
        matches!(engine, Engine::Swarm(swarm) if swarm.swarm_service == "web")
    }),
    ("services.web.app", "`/` and the service's name", || app().app == "/web"),
    (
        "services.web.image",
        "required, unless there is a container to copy: with `adopt = true` and for services defined by labels, the newest one",
        || {
            let missing = "[services.web]\nengine = \"docker\"\nport = 80\nbalancer = \"none\"";
            let labels = [("flyball.port", "80"), ("flyball.balancer", "none")];
            let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
            let source = Source::Container(Limits::default());
            let described = Described { labels: labels.into(), source };
            let found = nothing().labelled(&[("web".to_owned(), described)].into());
            refused(missing).contains("services.web.image: missing")
                && container().image.is_none()
                && matches!(&found.services["web"].engine, Engine::Docker(it) if it.image.is_none())
        },
    ),
    ("services.web.command", "required for a process; otherwise the image's own", || {
        let missing = "[services.web]\nengine = \"process\"\nlisten = \"127.0.0.1:0\"";
        refused(missing).contains("services.web.command: missing")
            && container().command.is_empty()
            && task().command.is_empty()
    }),
    ("services.web.directory", "that of flyball", || process().directory.is_none()),
    (
        "services.web.port",
        "required; with `engine = \"marathon\"`, the first port of the app",
        || {
            let missing = |engine: &str| {
                refused(&format!(
                    "[services.web]\nengine = \"{engine}\"\nbalancer = \"none\"\nimage = \"a\""
                ))
            };
            ["docker", "mesos"].iter().all(|e| missing(e).contains("services.web.port: missing"))
                && app().port.is_none()
        },
    ),
    (
        "services.web.network",
        "the only network of the copied container, or the one that the balancer is also in; without a container to copy, Docker's default",
        || {
            let swarm = service("swarm", "port = 80\nreach = \"container\"");
            container().network.is_none()
                && container().reach == Reach::Published([127, 0, 0, 1].into())
                && matches!(&swarm.services["web"].engine, Engine::Swarm(s) if s.reach == TaskReach::Network(None))
        },
    ),
    (
        "services.web.cpus",
        "1.0 for a process or a Mesos task; otherwise that of the copied container, or no limit",
        || (process().cpus, task().cpus, container().cpus) == (1.0, 1.0, None),
    ),
    (
        "services.web.memory",
        "256MiB for a Mesos task; otherwise that of the copied container, or no limit",
        || (task().memory_bytes, container().memory_bytes) == (256 << 20, None),
    ),
    ("services.web.log", "that of the copied container, or Docker's default", || {
        container().log.is_none()
    }),
    (
        "services.web.ready",
        "any HTTP response to `GET /` except a server error (5xx other than 501 and 505)",
        || {
            let ready = service("docker", "adopt = true\nport = 80").services["web"].ready.clone();
            ready == Ready::Http { path: "/".to_owned(), any_but_failure: true }
        },
    ),
    (
        "services.web.grace",
        "`\"10s\"`; with `engine = \"docker\"`, the container's own (`stop_grace_period`, `--stop-timeout`), or Docker's 10 s",
        || (process().grace_ms, task().grace_ms, container().grace_ms) == (10_000, 10_000, None),
    ),
    ("services.web.start_lag", "1 s for a process, otherwise 2 s", || {
        let lag = |engine: &str, lines: &str| policy(engine, lines).timing.start_lag_prior_ms;
        let others =
            [("docker", "adopt = true\nport = 80"), ("swarm", "port = 80"), ("marathon", "")];
        lag("process", "command = [\"./a\"]") == 1_000
            && lag("mesos", "image = \"a\"\nport = 80") == 2_000
            && others.iter().all(|(engine, lines)| lag(engine, lines) == 2_000)
    }),
    ("services.web.interval", "a fifth of the start lag, within 100 ms and 2 s", || {
        let policy = policy("docker", "adopt = true\nport = 80");
        let look = |start_lag_ms| {
            look_interval_ms(&policy, &Signals { start_lag_ms, ..Signals::default() })
        };
        [10, 5_000, 60_000].map(look) == [100, 1_000, 2_000]
    }),
    ("services.web.slots", "unlimited", || {
        let balancer =
            service("docker", "adopt = true\nport = 80").services["web"].balancer.clone();
        matches!(balancer, Balancer::Haproxy { slots: None, .. }) && governor().slots.is_none()
    }),
    ("services.web.ready.http", "not probed", || {
        let ready =
            service("docker", "adopt = true\nport = 80\nready = { tcp = true }").services["web"]
                .ready
                .clone();
        ready == Ready::Tcp
    }),
    ("services.web.ready.tcp", "not probed", || {
        let ready = service("docker", "adopt = true\nport = 80\nready = { http = \"/h\" }")
            .services["web"]
            .ready
            .clone();
        ready == Ready::Http { path: "/h".to_owned(), any_but_failure: false }
    }),
    ("services.web.haproxy.backend", "the service's name", || backend().name == "web"),
    ("services.web.haproxy.file", "no file", || backend().file.is_none()),
    ("services.web.haproxy.check", "true where the backend has `mode http`", || {
        backend().check.is_none()
    }),
    ("services.web.haproxy.template", "servers are created as needed", || {
        backend().template.is_none()
    }),
    ("services.web.policy.governor", "the default policy", || {
        matches!(policy("docker", "adopt = true\nport = 80").rule, Rule::Governor(_))
    }),
    ("services.web.policy.target", "not used", || governor() == Governor::default()),
    ("services.web.policy.step", "not used", || governor() == Governor::default()),
    ("services.web.policy.external", "not used", || governor() == Governor::default()),
    ("services.web.policy.governor.hold", "three start lags, within 10 s and 5 min", || {
        let policy = policy("docker", "adopt = true\nport = 80");
        let hold = |lag_ms| policy.windows(lag_ms).hold_ms;
        [100, 20_000, 200_000].map(hold) == [10_000, 60_000, 300_000]
    }),
    ("services.web.policy.governor.objective", "lateness does not affect the count", || {
        governor().objective.is_none()
    }),
    ("services.web.policy.governor.busy_cap", "85%, or 97% with an objective", || {
        let with = governor_of("policy.governor.objective.late = \"1%\"");
        (governor().busy_cap, with.busy_cap) == (0.85, 0.97)
    }),
];

/// The keys of the reference whose fallback is described in words, with those words.
fn in_words() -> Vec<(String, String)> {
    let mut section = String::new();
    let mut rows = Vec::new();
    for line in reference().lines() {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        if let Some(title) = line.strip_prefix("## `[") {
            section = title.trim_end_matches("]`").replace("NAME", "web");
        } else if let [_, key, _, default, _, _] | [_, key, _, default, _, _, _] = cells[..]
            && key.starts_with('`')
        {
            let plain = default.strip_prefix('`').and_then(|rest| rest.strip_suffix('`'));
            if plain.is_none_or(|value| value.contains('`')) {
                rows.push((format!("{section}.{}", key.replace('`', "")), default.to_owned()));
            }
        }
    }
    rows
}

#[test]
fn every_fallback_that_the_reference_describes_in_words_is_what_applies() {
    let described: Vec<_> =
        in_words().into_iter().filter(|(_, words)| words != "required").collect();
    let known: Vec<_> = ROWS.iter().map(|(key, words, _)| (*key, *words)).collect();
    for (key, words) in &described {
        let row = (key.as_str(), words.as_str());
        assert!(known.contains(&row), "{row:?} is described and not tested: add a row");
    }
    assert_eq!(described.len(), ROWS.len(), "a row is tested that is not in the reference");
    for (key, words, applies) in ROWS {
        assert!(applies(), "{key}: it is not so that {words}");
    }
}

#[test]
fn what_the_reference_calls_required_is_missed() {
    let web = "[services.web]\nengine = \"docker\"\nport = 80\n";
    let haproxy = format!("{web}balancer = \"haproxy\"\n");
    let texts = [
        ("ha.zookeeper", format!("{haproxy}[ha]")),
        ("services.web.engine", "[services.web]\nport = 80".to_owned()),
        ("services.web.listen", web.to_owned()),
        (
            "services.web.haproxy.template.prefix",
            format!("{haproxy}[services.web.haproxy.template]\ncount = 2"),
        ),
        (
            "services.web.haproxy.template.count",
            format!("{haproxy}[services.web.haproxy.template]\nprefix = \"a\""),
        ),
    ];
    let required = in_words().into_iter().filter(|(_, words)| words == "required");
    for (key, _) in required {
        let text = texts.iter().find(|(of, _)| *of == key).map(|(_, text)| text);
        let errors = refused(text.unwrap_or_else(|| panic!("{key} is required and not tested")));
        assert!(errors.contains(&format!("{key}: missing")), "{key}: {errors}");
    }
}

/// The core has defaults of its own, for the simulator and for tests: they are the same.
#[test]
fn what_a_missing_key_stands_for_is_what_the_core_assumes() {
    let timing = policy("docker", "image = \"a\"\nport = 80").timing;
    let prior = timing.start_lag_prior_ms;
    assert_eq!(timing, Timing { start_lag_prior_ms: prior, ..Timing::default() });
}
