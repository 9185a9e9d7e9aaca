//! Which labels are obeyed, and what the operator writes to permit more.

#![expect(clippy::unwrap_used, reason = "a test may")]

use std::collections::{BTreeMap, BTreeSet};

use flyball_config::{
    Balancer, Config, Described, Engine, Env, ExtraRights, Limits, Service, Source, parse,
};
use flyball_testkit::labels;
use flyball_testkit::labels::{Allowed, every_label};
use insta::assert_snapshot;

fn config(text: &str) -> Config {
    let env = Env { home: Some("/home/a".into()), ..Env::default() };
    parse(text, "f", &env).unwrap()
}

fn errors_in(text: &str) -> String {
    let env = Env { home: Some("/home/a".into()), ..Env::default() };
    parse(text, "f", &env).unwrap_err().to_string()
}

/// A container with half a core and 64 MiB in the network `blue`.
fn container() -> Source {
    let networks = BTreeSet::from(["blue".to_owned()]);
    let memory_bytes = Some(64 << 20);
    Source::Container(Limits { cpus: Some(0.5), memory_bytes, networks })
}

/// What becomes of a service with these labels.
fn read(config: &Config, source: Source, labels: &[(&str, &str)]) -> Result<Service, String> {
    let labels: BTreeMap<String, String> =
        labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let described = [("web".to_owned(), Described { labels, source })].into();
    let mut found = config.labelled(&described);
    match found.refused.remove("web") {
        Some(errors) => Err(errors.to_string()),
        None => Ok(found.services.remove("web").unwrap()),
    }
}

/// A service with one label beside what it needs.
fn with(config: &Config, name: &str, value: &str) -> Result<Service, String> {
    let labels = labels::beside(name, value);
    let labels: Vec<(&str, &str)> = labels.iter().map(|(n, v)| (&**n, &**v)).collect();
    read(config, container(), &labels)
}

#[test]
fn every_label_is_obeyed_as_the_reference_says() {
    for label in every_label() {
        // Only the embedded proxy ignores requests, and it has to listen somewhere.
        let default = match label.name.as_str() {
            "flyball.sleep.ignore" => config("[docker]\nlabels_may = [\"listen\"]"),
            _ => config("[docker]"),
        };
        let (name, key) = (&label.name, label.permission());
        let by_default = with(&default, name, label.value);
        let allowed = format!("[docker]\nlabels_may = [\"{key}\"]");
        match label.allowed {
            Allowed::Always => {
                assert!(by_default.is_ok(), "{name}: {by_default:?}");
                let refused = errors_in(&allowed);
                assert!(refused.contains("labels may always set this key"), "{name}: {refused}");
            }
            Allowed::Never => {
                assert!(by_default.is_err(), "{name}");
                let refused = errors_in(&allowed);
                assert!(refused.contains("only this file may set this key"), "{name}: {refused}");
            }
            Allowed::WithPermission => {
                let refused = by_default.unwrap_err();
                let hint = format!("labels_may = [\"{key}\"] in [docker]");
                assert!(refused.contains(&hint), "{name}: {refused}");
                let given = with(&config(&allowed), name, label.value);
                assert!(given.is_ok(), "{name}: {given:?}");
            }
        }
    }
}

#[test]
fn what_a_container_has_itself_its_label_may_say() {
    let default = config("[docker]");
    for (name, value) in
        [("cpus", "0.5"), ("cpus", "0.1"), ("memory", "64MiB"), ("network", "blue")]
    {
        let service = with(&default, &format!("flyball.{name}"), value).unwrap();
        let Engine::Docker(container) = &service.engine else { panic!("{service:?}") };
        assert_eq!(container.granted, ExtraRights::default(), "{name}={value}");
    }
    assert_snapshot!(with(&default, "flyball.memory", "1GiB").unwrap_err(), @r#"
    error: label flyball.memory: 1GiB is more than labels may set (its container has 64MiB)
      --> labels of service web
    hint: remove it, or write labels_may = ["memory"] in [docker] of flyball.toml if the authors of labels may do that
    "#);
    let may = config("[docker]\nlabels_may = [\"memory\", \"publish-on\"]");
    let service = with(&may, "flyball.memory", "1GiB").unwrap();
    let Engine::Docker(container) = &service.engine else { panic!("{service:?}") };
    let granted = ExtraRights { memory: true, ports: true, ..ExtraRights::default() };
    assert_eq!(container.granted, granted);
}

#[test]
fn labels_ask_for_no_more_replicas_than_the_operator_lets_them() {
    let max = |config: &Config, value| with(config, "flyball.max", value);
    assert_eq!(max(&config("[docker]"), "20").unwrap().policy.bounds.max, 20);
    assert_snapshot!(max(&config("[docker]"), "21").unwrap_err(), @r#"
    error: label flyball.max: 21 is more than labels may set (20)
      --> labels of service web
    hint: lower it, or raise labels_max in [docker] of flyball.toml
    "#);
    let many = config("[docker]\nlabels_max = 500");
    assert_eq!(max(&many, "500").unwrap().policy.bounds.max, 500);
    let few = config("[docker]\nlabels_max = 3");
    assert_eq!(with(&few, "flyball.min", "2").unwrap().policy.bounds.max, 3);
    assert!(with(&few, "flyball.min", "4").unwrap_err().contains("flyball.min: 4 is more than"));
    assert_eq!(config("[docker]").docker.permits.max, 20);
}

#[test]
fn a_backend_that_labels_name_must_be_listed_or_ask_itself() {
    let must_ask = |config: &Config| {
        let service = with(config, "flyball.haproxy.backend", "shop").unwrap();
        let Balancer::Haproxy { backend, .. } = service.balancer else { panic!("{service:?}") };
        backend.must_ask
    };
    assert!(must_ask(&config("[docker]")));
    assert!(must_ask(&config("[docker]\n[haproxy]\nbackends = [\"shop2\", \"sho\"]")));
    assert!(!must_ask(&config("[docker]\n[haproxy]\nbackends = [\"shop\"]")));
    let file =
        "[services.web]\nengine = \"docker\"\nimage = \"w\"\nport = 80\nbalancer = \"haproxy\"";
    let Balancer::Haproxy { backend, .. } = &config(file).services["web"].balancer else {
        panic!()
    };
    assert!(!backend.must_ask);
}

#[test]
fn the_same_holds_for_a_swarm_and_for_marathon() {
    for (source, table) in
        [(Source::Swarm("shop_web".into()), "swarm"), (Source::App("/shop".into()), "marathon")]
    {
        let with = |config: &Config, more: (&str, &str)| {
            let base = [("flyball.port", "80"), ("flyball.balancer", "haproxy"), more];
            read(config, source.clone(), &base)
        };
        let default = config(&format!("[{table}]"));
        let refused = with(&default, ("flyball.max", "21")).unwrap_err();
        assert!(refused.contains(&format!("raise labels_max in [{table}]")), "{refused}");
        assert!(
            with(&config(&format!("[{table}]\nlabels_max = 21")), ("flyball.max", "21")).is_ok()
        );
        let listen = |config: &Config| {
            let labels = [("flyball.port", "80"), ("flyball.listen", "0.0.0.0:8080")];
            self::read(config, source.clone(), &labels)
        };
        let refused = listen(&default).unwrap_err();
        let hint = format!("write labels_may = [\"listen\"] in [{table}]");
        assert!(refused.contains(&hint), "{refused}");
        assert!(listen(&config(&format!("[{table}]\nlabels_may = [\"listen\"]"))).is_ok());
        for (name, value) in [
            ("flyball.engine", "docker"),
            ("flyball.swarm-service", "bank_web"),
            ("flyball.app", "/bank"),
            ("flyball.haproxy.file", "/etc/haproxy/x.cfg"),
            ("flyball.haproxy.lines", "balance leastconn"),
        ] {
            let refused = with(&default, (name, value)).unwrap_err();
            assert!(refused.contains("labels may not set this key"), "{name}: {refused}");
        }
    }
}

#[test]
fn a_permission_that_cannot_be_given_is_answered_with_those_that_can() {
    assert_snapshot!(errors_in("[docker]\nlabels_may = [\"imag\"]\n"), @r#"
    error: docker.labels_may: "imag" is not a valid value
      --> f:2:14
    2 | labels_may = ["imag"]
      |              ^^^^^^^^
    hint: valid keys: activator, command, cpus, env, haproxy.check, haproxy.options, haproxy.template, host, image, labels, listen, log, memory, network, publish_on, reach
    "#);
    assert!(errors_in("[docker]\nlabels_may = \"image\"").contains("is not a list of keys"));
    assert!(errors_in("[docker]\nlabels_max = 0").contains("out of range"));
    assert!(
        errors_in("[haproxy]\nbackends = [\"a b\"]").contains("is not a list of HAProxy names")
    );
}

#[test]
fn a_service_of_the_file_has_an_image_or_adopts_what_it_copies() {
    let service = |lines: &str| {
        format!("[services.web]\nengine = \"docker\"\nport = 80\nbalancer = \"none\"\n{lines}")
    };
    assert_snapshot!(errors_in(&service("")), @r#"
    error: services.web.image: missing
      --> f:1:11
    1 | [services.web]
      |           ^^^
    hint: add image = "registry.example/web:1.4", or adopt = true to copy the newest container that is labelled with this service
    "#);
    let adopts = |text: &str| {
        let service = &config(text).services["web"];
        let Engine::Docker(container) = &service.engine else { panic!("{service:?}") };
        (container.adopt, container.image.is_some(), container.granted)
    };
    assert_eq!(adopts(&service("adopt = true")), (true, false, ExtraRights::ALL));
    assert_eq!(adopts(&service("image = \"web:1\"")), (false, true, ExtraRights::ALL));
    assert_snapshot!(errors_in(&format!("{}\n[docker]\nlabels = false", service("adopt = true"))), @r#"
    error: services.web.adopt has no effect with labels = false in [docker], which ignores all labels
      --> f:7:10
    7 | labels = false
      |          ^^^^^
    hint: remove one of the two
    "#);
}

#[test]
fn a_file_of_a_backend_is_below_one_folder_however_it_is_spelt() {
    let service = |name: &str, file: &str| {
        format!(
            "[services.{name}]\nengine = \"docker\"\nimage = \"w\"\nport = 80\n\
             balancer = \"haproxy\"\n[services.{name}.haproxy]\nfile = \"{file}\"\n"
        )
    };
    for outside in [
        "/root/.ssh/authorized_keys",
        "/etc/haproxy",
        "/etc/haproxy/../passwd",
        "/etc/haproxy/a/../web.cfg",
        "/etc/haproxy2/web.cfg",
        "web.cfg",
    ] {
        let refused = errors_in(&service("web", outside));
        assert!(refused.contains("is not a file below /etc/haproxy, without .."), "{refused}");
    }
    for inside in ["/etc/haproxy/web.cfg", "/etc/haproxy/conf.d/web.cfg", "//etc/./haproxy/web.cfg"]
    {
        drop(config(&service("web", inside)));
    }
    let own = format!("[haproxy]\ndirectory = \"kept\"\n{}", service("web", "kept/web.cfg"));
    assert_eq!(config(&own).haproxy.directory, std::path::Path::new("kept"));
    let two = |file: &str| {
        errors_in(&format!("{}{}", service("api", "/etc/haproxy/web.cfg"), service("web", file)))
    };
    for spelling in ["/etc/haproxy/web.cfg", "/etc//haproxy/./web.cfg"] {
        assert!(two(spelling).contains("is already used by services.api.haproxy.file"));
    }
}
