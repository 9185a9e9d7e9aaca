//! Labels of containers, of Swarm services and of Marathon apps. Parsing never panics. A service is
//! accepted or refused, and without permission no label reaches beyond its own container.

use std::collections::{BTreeMap, BTreeSet};

use flyball_config::{
    Balancer, Config, Container, Described, Engine, ExtraRights, Labelled, Limits, Permits, Reach,
    Service, ServiceLabels, Source,
};

use crate::configuration::{check_errors, complete, env};

/// What the container has that carries the labels.
const CORES: f64 = 1.0;
const MEMORY_BYTES: u64 = 64 << 20;
const NETWORK: &str = "front";

/// Lines of `NAME=VALUE` as labels: `service=NAME` begins those of one, and in front of them
/// `source=swarm` or `source=app` means that no container carries what follows.
pub fn labels(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut services = ServiceLabels::new();
    let (mut name, mut carrier) = (String::new(), "container");
    for (label, value) in text.lines().filter_map(|line| line.split_once('=')) {
        match label {
            "source" => carrier = value,
            "service" => value.clone_into(&mut name),
            _ => {}
        }
        let nothing = || Described { labels: BTreeMap::new(), source: source(carrier) };
        let service = services.entry(name.clone()).or_insert_with(nothing);
        service.labels.insert(format!("flyball.{label}"), value.to_owned());
    }
    let config = Config::of_labels_only(&env()).expect("a home is enough");
    let Labelled { services: taken, refused, notes } = config.labelled(&services);
    for (name, service) in &taken {
        complete(service);
        modest(service, &services[name].source);
    }
    refused.values().for_each(check_errors);
    assert!(notes.is_empty(), "there is no file beside which a label could mean nothing");
    assert_eq!(taken.len() + refused.len(), services.len(), "a service is lost, or made up");
    assert!(taken.keys().chain(refused.keys()).all(|name| services.contains_key(name)));
}

fn source(carrier: &str) -> Source {
    match carrier {
        "swarm" => Source::Swarm("shop_web".to_owned()),
        "app" => Source::App("/shop/web".to_owned()),
        _ => Source::Container(Limits {
            cpus: Some(CORES),
            memory_bytes: Some(MEMORY_BYTES),
            networks: BTreeSet::from([NETWORK.to_owned()]),
        }),
    }
}

/// Nothing of a service by labels reaches beyond what carries them.
fn modest(service: &Service, source: &Source) {
    assert!(service.policy.bounds.max <= Permits::default().max, "{service:?}");
    match (&service.engine, source) {
        (Engine::Docker(container), Source::Container(_)) => copied(container),
        (Engine::Swarm(swarm), Source::Swarm(name)) => assert_eq!(&swarm.swarm_service, name),
        (Engine::Marathon(marathon), Source::App(id)) => assert_eq!(&marathon.app, id),
        _ => panic!("another engine than that of {source:?}: {service:?}"),
    }
    match &service.balancer {
        Balancer::Proxy { listen, .. } => assert!(listen.ip().is_loopback(), "{listen}"),
        Balancer::Haproxy { backend, .. } => {
            assert!(backend.must_ask, "taken without being asked: {backend:?}");
            assert_eq!((&backend.file, &backend.template, &backend.check), (&None, &None, &None));
            assert_eq!(backend.options, "", "words of a server");
        }
        Balancer::None => {}
    }
}

/// A copy has at most what its container has.
fn copied(container: &Container) {
    let Container { image, granted, command, env, labels, log, reach, .. } = container;
    assert_eq!((image, log, *granted), (&None, &None, ExtraRights::default()), "{container:?}");
    assert!(command.is_empty() && env.is_empty() && labels.is_empty(), "{container:?}");
    let within = match reach {
        Reach::Published(address) => address.is_loopback(),
        Reach::ContainerAddress => true,
        Reach::HostNetwork => false,
    };
    assert!(within, "reached from elsewhere: {container:?}");
    assert!(container.network.as_ref().is_none_or(|name| name == NETWORK), "{container:?}");
    assert!(container.cpus.is_none_or(|cores| cores <= CORES), "{container:?}");
    assert!(container.memory_bytes.is_none_or(|bytes| bytes <= MEMORY_BYTES), "{container:?}");
}
