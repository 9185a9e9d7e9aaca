//! What the keys of services on clusters mean: Mesos, Marathon and Swarm.

use std::collections::BTreeMap;

use flyball_config::{
    Config, Engine, Ensemble, Env, MarathonApp, MarathonPlace, Mesos, MesosMaster, Task, TaskReach,
    parse,
};

fn user_env() -> Env {
    Env { home: Some("/home/a".into()), ..Env::default() }
}

fn parsed(text: &str) -> Config {
    parse(text, "/etc/flyball/flyball.toml", &user_env())
        .unwrap_or_else(|errors| panic!("{errors}"))
}

fn texts(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A service on Mesos with all that it takes.
const TASKS: &str = r#"
[mesos]
master = "zk://10.0.0.1:2181,zk.example:2181/mesos"
role = "web"

[services.web]
engine = "mesos"
balancer = "haproxy"
image = "registry.example/web:1.4"
command = ["./server", "{port}"]
env = { MODE = "fast" }
labels = { "com.example.team" = "a" }
port = 8080
cpus = 0.5
memory = "64MiB"
grace = "3s"
"#;

#[test]
fn every_key_of_tasks_arrives_where_it_belongs() {
    let config = parsed(TASKS);
    let (servers, path) = ("10.0.0.1:2181,zk.example:2181".to_owned(), "/mesos".to_owned());
    let master = MesosMaster::Elected(Ensemble { servers, path });
    let preset = Mesos { master, role: "web".into(), ..Mesos::default() };
    assert_eq!(config.mesos, preset);
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "s3cret\n").unwrap();
    let guarded = TASKS.replace(
        "role = \"web\"",
        &format!(
            "tls = true\nca_file = \"ca.pem\"\nprincipal = \"web\"\nsecret_file = {secret:?}",
            secret = secret.path()
        ),
    );
    let mesos = parsed(&guarded).mesos;
    assert!(mesos.tls);
    assert_eq!(mesos.ca_file.as_deref(), Some(std::path::Path::new("/etc/flyball/ca.pem")));
    assert_eq!(
        (mesos.principal.as_str(), mesos.secret_file.as_deref()),
        ("web", Some(secret.path()))
    );
    let task = |text: &str| match parsed(text).services["web"].engine.clone() {
        Engine::Mesos(task) => task,
        other => panic!("{other:?}"),
    };
    let wanted = Task {
        image: "registry.example/web:1.4".into(),
        command: vec!["./server".into(), "{port}".into()],
        env: texts(&[("MODE", "fast")]),
        labels: texts(&[("com.example.team", "a")]),
        cpus: 0.5,
        memory_bytes: 64 << 20,
        port: Some(8080),
        grace_ms: 3_000,
    };
    assert_eq!(task(TASKS), wanted);
    assert_eq!(task(&format!("{TASKS}reach = \"host\"")).port, None);
    let at = TASKS.replace("zk://10.0.0.1:2181,zk.example:2181/mesos", "http://m1:5050/");
    assert_eq!(parsed(&at).mesos.master, MesosMaster::At("m1:5050".into()));
    assert!(!parsed(&at).mesos.tls);
    let encrypted = parsed(&at.replace("http:", "https:")).mesos;
    assert_eq!((encrypted.master, encrypted.tls), (MesosMaster::At("m1:5050".into()), true));
}

#[test]
fn what_no_task_of_mesos_can_be_is_refused() {
    let errors_with = |from: &str, to: &str| {
        parse(&TASKS.replace(from, to), "f", &user_env()).unwrap_err().to_string()
    };
    let refused = [
        ("image = \"registry.example/web:1.4\"", "", "services.web.image: missing"),
        ("port = 8080", "", "services.web.port: missing"),
        ("port = 8080", "port = 8080\nreach = \"container\"", "\"published\" or \"host\""),
        ("\"64MiB\"", "\"16MiB\"", "at least 32MiB"),
        ("cpus = 0.5", "cpus = 0.001", "at least 0.01"),
        ("grace = \"3s\"", "network = \"blue\"", "has no effect with engine = \"mesos\""),
        ("zk://10.0.0.1:2181,zk.example:2181/mesos", "zk://u:p@h:2181/mesos", "zk://10.0.0.1"),
        ("zk://10.0.0.1:2181,zk.example:2181/mesos", "zk://10.0.0.1:2181", "zk://10.0.0.1"),
        ("zk://10.0.0.1:2181,zk.example:2181/mesos", "10.0.0.1:5050", "http://127.0.0.1:5050"),
        ("role = \"web\"", "principal = \"a:b\"", "mesos.principal: \"a:b\" is not a name without"),
        ("role = \"web\"", "secret_file = \"/none\"", "mesos.secret_file"),
        (
            "zk://10.0.0.1:2181,zk.example:2181/mesos\"",
            "http://m:1\"\ntls = true",
            "write master = \"https:",
        ),
    ];
    for (from, to, words) in refused {
        let errors = errors_with(from, to);
        assert!(errors.contains(words), "{to}: {errors}");
    }
}

#[test]
fn an_app_of_marathon_is_what_its_keys_say() {
    let service = |lines: &str| {
        format!("[services.web]\nengine = \"marathon\"\nbalancer = \"haproxy\"\n{lines}")
    };
    let app = |lines: &str| match parsed(&service(lines)).services["web"].engine.clone() {
        Engine::Marathon(app) => app,
        other => panic!("{other:?}"),
    };
    assert_eq!(app(""), MarathonApp { app: "/web".into(), port: None });
    let named = app("app = \"/shop/web\"\nport = 8080");
    assert_eq!(named, MarathonApp { app: "/shop/web".into(), port: Some(8080) });
    let found = |lines: &str| parsed(&format!("{}\n[marathon]\n{lines}", service(""))).marathon;
    let preset = found("");
    assert_eq!(preset.place, MarathonPlace::At(vec!["127.0.0.1:8080".into()]));
    assert!(preset.labels && !parsed(&service("")).marathon.labels);
    let several = found("url = \"http://m1:8080,10.0.0.2:8080/\"\ntoken_file = \"t\"");
    assert_eq!(several.place, MarathonPlace::At(vec!["m1:8080".into(), "10.0.0.2:8080".into()]));
    let encrypted = found("url = \"https://m1:8443\"\nca_file = \"ca.pem\"");
    assert_eq!(encrypted.place, MarathonPlace::At(vec!["m1:8443".into()]));
    assert!(encrypted.tls && encrypted.ca_file.unwrap().ends_with("ca.pem") && !several.tls);
    let elected = found("url = \"zk://10.0.0.1:2181/marathon\"\nlabels = false");
    let (servers, path) = ("10.0.0.1:2181".to_owned(), "/marathon".to_owned());
    assert_eq!(elected.place, MarathonPlace::Elected(Ensemble { servers, path }));
    for (lines, wanted) in [
        ("cpus = 0.5", "has no effect with engine = \"marathon\""),
        ("image = \"web:1\"", "has no effect with engine = \"marathon\""),
        ("[marathon]\nurl = \"ftp://m1:8443\"", "http://127.0.0.1:8080"),
        ("[marathon]\nurl = \"http://m1:8080,\"", "http://127.0.0.1:8080"),
        ("[marathon]\nurl = \"zk://u:p@h:2181/marathon\"", "zk://10.0.0.1"),
        ("[marathon]\ntoken_file = \"t\"\ncredentials_file = \"c\"", "keep the one"),
    ] {
        let errors = parse(&service(lines), "f", &user_env()).unwrap_err().to_string();
        assert!(errors.contains(wanted), "{lines}: {errors}");
    }
}

#[test]
fn a_service_of_a_swarm_is_what_its_keys_say() {
    let swarm = |lines: &str| {
        let text = format!(
            "[services.web]\nengine = \"swarm\"\nbalancer = \"haproxy\"\nport = 80\n{lines}"
        );
        let config = parsed(&text);
        assert_eq!(config.swarm.managers, ["unix:///var/run/docker.sock"]);
        match config.services["web"].engine.clone() {
            Engine::Swarm(service) => service,
            other => panic!("{other:?}"),
        }
    };
    let plain = swarm("");
    assert_eq!(
        (plain.swarm_service.as_str(), plain.port, plain.reach),
        ("web", 80, TaskReach::Node)
    );
    let named = swarm(
        "swarm_service = \"shop_web\"\nreach = \"container\"\nnetwork = \"blue\"\ncpus = 0.5",
    );
    let reach = TaskReach::Network(Some("blue".to_owned()));
    assert_eq!((named.swarm_service.as_str(), named.reach), ("shop_web", reach));
    assert_eq!(named.cpus, Some(0.5));
    let managers =
        parsed("[swarm]\nmanagers = [\"tcp://10.0.0.1:2375\", \"unix:///a.sock\"]").swarm;
    assert_eq!((managers.managers.len(), managers.labels), (2, true));
}
