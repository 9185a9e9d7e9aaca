//! What people see when a service on Docker or behind HAProxy is described wrongly in the file.

#![expect(clippy::unwrap_used, reason = "a test may")]

use flyball_config::{Env, parse};
use insta::assert_snapshot;

fn errors_in(text: &str) -> String {
    let env = Env { home: Some("/home/a".into()), ..Env::default() };
    parse(text, "flyball.toml", &env).unwrap_err().to_string()
}

/// All errors of a service that would be valid without `lines`.
fn errors_of(lines: &str) -> String {
    let image = if lines.contains("image =") { "" } else { "image = \"web:1\"\n" };
    errors_in(&format!(
        "[services.web]\nengine = \"docker\"\nbalancer = \"haproxy\"\nport = 80\n{lines}\n{image}"
    ))
}

#[test]
fn keys_of_the_other_engine_and_the_other_balancer_mean_nothing() {
    assert_snapshot!(errors_of("directory = \"/x\"\nlisten = \"127.0.0.1:80\""), @r#"
    error: services.web.directory has no effect with engine = "docker"
      --> flyball.toml:5:13
    5 | directory = "/x"
      |             ^^^^
    hint: write engine = "process", or remove this key

    error: services.web.listen has no effect with balancer = "haproxy"
      --> flyball.toml:6:10
    6 | listen = "127.0.0.1:80"
      |          ^^^^^^^^^^^^^^
    hint: write balancer = "proxy", or remove this key
    "#);
    assert_snapshot!(errors_in(
        "[services.web]\nengine = \"process\"\nlisten = \"127.0.0.1:80\"\ncommand = [\"a\"]\n\
         port = 8080\nhaproxy = { backend = \"web\" }"
    ), @r#"
    error: services.web.port has no effect with engine = "process"
      --> flyball.toml:5:8
    5 | port = 8080
      |        ^^^^
    hint: write engine = "docker", or remove this key

    error: services.web.haproxy has no effect with balancer = "proxy"
      --> flyball.toml:6:11
    hint: write balancer = "haproxy", or remove this key
    "#);
    assert_snapshot!(errors_of("reach = \"host\"\npublish_on = \"0.0.0.0\"\nnetwork = \"blue\""), @r#"
    error: services.web.publish_on has no effect with reach = "host"
      --> flyball.toml:6:14
    6 | publish_on = "0.0.0.0"
      |              ^^^^^^^^^
    hint: write reach = "published", or remove this key

    error: services.web.network has no effect with reach = "host"
      --> flyball.toml:7:11
    7 | network = "blue"
      |           ^^^^^^
    hint: write reach = "published", or remove this key
    "#);
}

#[test]
fn memory_has_one_spelling() {
    assert_snapshot!(errors_of("memory = 268435456"), @r#"
    error: services.web.memory: 268435456 is not an amount of memory
      --> flyball.toml:5:10
    5 | memory = 268435456
      |          ^^^^^^^^^
    hint: write "256MiB"; units: B, KiB, MiB, GiB, TiB
    "#);
    for text in ["256m", "256MB", "256 MiB", "256"] {
        assert!(errors_of(&format!("memory = \"{text}\"")).contains("write \"256MiB\""), "{text}");
    }
    assert!(errors_of("memory = \"1MiB\"").contains("must be at least 6MiB"));
    assert!(errors_of("memory = \"9999999TiB\"").contains("the most is \"1024TiB\""));
}

#[test]
fn a_port_is_a_number_that_can_be_listened_at() {
    for (port, hint) in
        [("0", "at least 1"), ("-1", "at least 1"), ("65536", "at most 65535"), ("\"80\"", "8080")]
    {
        let errors = errors_in(&format!("[services.a]\nengine = \"docker\"\nport = {port}"));
        assert!(errors.contains("services.a.port: ") && errors.contains(hint), "{errors}");
    }
}

#[test]
fn cores_of_a_container_are_at_least_what_docker_takes() {
    assert!(errors_of("cpus = 0.001").contains("must be at least 0.01"));
}

#[test]
fn a_docker_host_is_a_socket_or_an_address() {
    let errors_of = |host: &str| errors_in(&format!("[docker]\nhost = \"{host}\""));
    assert_snapshot!(errors_of("http://127.0.0.1:2375/"), @r#"
    error: docker.host: "http://127.0.0.1:2375/" is not the address of a Docker host
      --> flyball.toml:2:8
    2 | host = "http://127.0.0.1:2375/"
      |        ^^^^^^^^^^^^^^^^^^^^^^^^
    hint: write host = "tcp://127.0.0.1:2375"
    "#);
    for (host, hint) in [
        ("/run/docker.sock", "write host = \"unix:///run/docker.sock\""),
        ("unix://docker.sock", "write host = \"unix:///var/run/docker.sock\""),
        ("tcp://docker.example:2375", "write host = \"tcp://127.0.0.1:2375\""),
        ("tcp://127.0.0.1:0", "write host = \"tcp://127.0.0.1:2375\""),
        ("ssh://me@there", "forward the socket"),
        ("npipe:////./pipe/docker", "write host = \"unix:///var/run/docker.sock\""),
        ("", "write host = \"unix:///var/run/docker.sock\""),
    ] {
        let errors = errors_of(host);
        assert!(errors.contains(hint), "{host}: {errors}");
    }
}

#[test]
fn a_haproxy_socket_is_a_path_or_an_address() {
    let errors_of =
        |socket: &str| errors_in(&format!("[haproxy]\nsocket = \"{socket}\"\n[docker]"));
    for (socket, hint) in [
        ("127.0.0.1:0", "write socket = \"tcp://127.0.0.1:9999\""),
        ("ipv4@10.0.0.300:9999", "write socket = \"tcp://127.0.0.1:9999\""),
        ("ipv4@[::1]:9999", "write socket = \"tcp://127.0.0.1:9999\""),
        ("ipv6@127.0.0.1:9999", "write socket = \"tcp://127.0.0.1:9999\""),
        ("abns@haproxy", "write socket = \"/run/haproxy/admin.sock\""),
        ("fd@3", "write socket = \"/run/haproxy/admin.sock\""),
        ("unix@", "write socket = \"/run/haproxy/admin.sock\""),
        ("tcp://10.0.0.300:9999", "write socket = \"tcp://127.0.0.1:9999\""),
        ("tcp://haproxy:0", "write socket = \"tcp://127.0.0.1:9999\""),
        ("tcp://haproxy", "write socket = \"tcp://127.0.0.1:9999\""),
        ("http://127.0.0.1:9999", "write socket = \"/run/haproxy/admin.sock\""),
        ("unix://admin.sock", "write socket = \"/run/haproxy/admin.sock\""),
        ("", "write socket = \"/run/haproxy/admin.sock\""),
    ] {
        let errors = errors_of(socket);
        assert!(errors.contains(hint), "{socket}: {errors}");
    }
}

#[test]
fn no_two_services_have_one_backend_or_one_file() {
    let service = |name: &str, rest: &str| {
        format!(
            "[services.{name}]\nengine = \"docker\"\nbalancer = \"haproxy\"\nport = 80\nimage = \"w\"\n\
             [services.{name}.haproxy]\n{rest}\n"
        )
    };
    let two = |a: &str, b: &str| errors_in(&(service("a", a) + &service("b", b)));
    assert_snapshot!(two("", "backend = \"a\""), @r#"
    error: services.b.haproxy.backend: "a" is already used by services.a.haproxy.backend
      --> flyball.toml:14:11
    14 | backend = "a"
       |           ^^^
    hint: use a different one for each service
    "#);
    assert_snapshot!(two("file = \"/etc/haproxy/f\"", "file = \"/etc/haproxy/f\""), @r#"
    error: services.b.haproxy.file: /etc/haproxy/f is already used by services.a.haproxy.file
      --> flyball.toml:14:8
    14 | file = "/etc/haproxy/f"
       |        ^^^^^^^^^^^^^^^^
    hint: use a different one for each service
    "#);
}

#[test]
fn a_backend_needs_a_name_that_haproxy_takes_and_a_file_for_its_lines() {
    let errors_of =
        |lines: &str| errors_of(&format!("image = \"w\"\n[services.web.haproxy]\n{lines}"));
    assert_snapshot!(errors_of("backend = \"a; show info\"\nlines = [\"balance leastconn\"]"), @r#"
    error: services.web.haproxy.backend: "a; show info" is not a HAProxy name
      --> flyball.toml:7:11
    7 | backend = "a; show info"
      |           ^^^^^^^^^^^^^^
    hint: use A-Z, a-z, 0-9, ., _, - and :

    error: services.web.haproxy.file: missing
      --> flyball.toml:8:9
    8 | lines = ["balance leastconn"]
      |         ^^^^^^^^^^^^^^^^^^^^^
    hint: add file = "/etc/haproxy/flyball.cfg", the file for these lines
    "#);
    assert_snapshot!(errors_of("template = { prefix = \"fb\" }"), @r#"
    error: services.web.haproxy.template.count: missing
      --> flyball.toml:7:12
    7 | template = { prefix = "fb" }
      |            ^^^^^^^^^^^^^^^^^
    hint: add count = 50
    "#);
    for lines in ["\"balance leastconn\"", "[5]", "[\"a\\nb\"]"] {
        let errors = errors_of(&format!("file = \"/etc/haproxy/f\"\nlines = {lines}"));
        assert!(errors.contains("not a list of lines"), "{errors}");
    }
}

#[test]
fn a_log_needs_a_driver_and_flyballs_labels_are_its_own() {
    assert_snapshot!(
        errors_of("log = { max-size = \"10m\" }\nlabels = { \"flyball.service\" = \"x\" }"), @r#"
    error: services.web.log.driver: missing
      --> flyball.toml:5:7
    hint: add driver = "json-file"

    error: services.web.labels."flyball.service": this name is not a name for your own label
      --> flyball.toml:6:10
    hint: labels that begin with flyball. are reserved for flyball
    "#);
}

#[test]
fn names_of_images_and_networks_are_plain() {
    for lines in ["image = \"\"", "image = \"a b\"", "network = \"a\\nb\"", "image = 5"] {
        assert!(errors_of(lines).contains("is not a name"), "{lines}");
    }
}

#[test]
fn the_value_of_a_variable_of_a_container_is_in_no_message() {
    for lines in [
        "log = { driver = \"x\", splunk-token = \"hunter2\" }\nreach = \"x\"",
        "log = { splunk-token = \"hunter2\" }",
        "log = \"hunter2\"",
        "env = { T = \"hunter2\", \"=\" = \"\" }",
        "labels = { a = [\"hunter2\"] }",
    ] {
        let errors = errors_of(lines);
        assert!(!errors.contains("hunter2"), "{errors}");
    }
    let one_line =
        errors_in("[services]\na = { engine = \"docker\", log = { t = \"hunter2\" }, x = 1 }");
    assert!(!one_line.contains("hunter2"), "{one_line}");
    let no_engine = errors_in("[services]\na = { log = \"hunter2\", x = 1 }");
    assert!(!no_engine.contains("hunter2"), "{no_engine}");
    let useless = errors_in(
        "[services]\na = { engine = \"process\", log = { t = \"hunter2\" }, env = { a = \"hunter2\" } }",
    );
    assert!(!useless.contains("hunter2"), "{useless}");
}

#[test]
fn what_a_swarm_does_by_itself_cannot_be_set() {
    let errors_of = |lines: &str| {
        errors_in(&format!(
            "[services.web]\nengine = \"swarm\"\nbalancer = \"haproxy\"\nport = 80\n{lines}\n"
        ))
    };
    for (lines, words) in [
        ("image = \"web:1\"", "services.web.image has no effect with engine = \"swarm\""),
        ("start_limit = \"1m\"", "services.web.start_limit has no effect with engine"),
        ("reach = \"host\"", "services.web.reach: \"host\" is not a way to reach a Swarm task"),
        ("network = \"blue\"", "services.web.network has no effect with reach = \"published\""),
        ("[swarm]\nmanagers = []", "swarm.managers: a list is not a list of manager addresses"),
    ] {
        let errors = errors_of(lines);
        assert!(errors.contains(words), "{errors}");
    }
}
