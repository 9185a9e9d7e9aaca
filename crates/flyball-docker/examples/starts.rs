//! Measures starts and looks on a Docker daemon of its own (root, see `flyball_testkit::docker`).
//! `cargo run --release -p flyball-docker --example starts [ROUNDS] [CONTAINERS]`

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement")]
#![allow(unreachable_pub, dead_code, reason = "shared with the tests")]

use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bollard::models::{ContainerCreateBody, HostConfig, PortBinding};
use flyball_core::units::ReplicaId;
use flyball_docker::{DockerEngine, DockerSettings, Publish};

#[path = "../tests/rig/mod.rs"]
mod rig;

use flyball_testkit::docker::{IMAGE, Lab};
use rig::{engine, id, report, until, until_gone, until_listed, until_served};

/// Prints one table: from the order to the address to the first answer, through the engine and bare
/// (create, start, answer), on a published bridge port, on the host's network and at the
/// container's address. Then what looking five times a second at CONTAINERS costs flyball and the
/// daemon.
#[tokio::main]
async fn main() {
    let number = |at: usize, usual| std::env::args().nth(at).map_or(usual, |n| n.parse().unwrap());
    let (rounds, containers) = (number(1, 20), number(2, 50));
    let Some(lab) = Lab::up().await else { return };
    println!("{:<20} {:>9} {:>9} {:>9}   median of {rounds}, ms", "", "running", "served", "p99");
    for (name, publish) in [
        ("bridge, published", Publish::default()),
        ("bridge, own address", Publish::ContainerAddress { network: None }),
        ("host network", Publish::HostNetwork),
    ] {
        through_engine(&lab, name, publish.clone(), rounds).await;
        bare(&lab, name, &publish, rounds).await;
    }
    looks(&lab, containers).await;
}

async fn through_engine(lab: &Lab, name: &str, publish: Publish, rounds: u64) {
    let engine = engine(lab, |settings: &mut DockerSettings| {
        settings.image = Some(IMAGE.into());
        settings.publish = publish;
        settings.networks = vec!["bridge".into()];
    });
    until_listed(&engine).await;
    let mut times = Vec::new();
    for number in 1..=rounds {
        let begun = Instant::now();
        engine.start(&id(number), None);
        let address = until(&engine, "an address", |e| report(e, number)?.address).await;
        let running = begun.elapsed();
        until_served(address).await;
        times.push((running, begun.elapsed()));
        engine.stop(&id(number));
        until_gone(&engine).await;
    }
    row(&format!("engine, {name}"), times);
}

async fn bare(lab: &Lab, name: &str, publish: &Publish, rounds: u64) {
    let docker = lab.client().await;
    let mut times = Vec::new();
    for number in 0..rounds {
        let port = 21_000 + u16::try_from(number).unwrap();
        let binding =
            PortBinding { host_ip: Some("127.0.0.1".into()), host_port: Some(port.to_string()) };
        let mut host = HostConfig::default();
        let mut body = ContainerCreateBody { image: Some(IMAGE.into()), ..Default::default() };
        match publish {
            Publish::HostNetwork => {
                host.network_mode = Some("host".into());
                body.env = Some(vec![format!("PORT={port}")]);
            }
            Publish::Address(_) => {
                host.port_bindings = Some([("8080/tcp".to_owned(), Some(vec![binding]))].into());
            }
            Publish::ContainerAddress { .. } => {}
        }
        body.host_config = Some(host);
        let begun = Instant::now();
        let id = lab.run_body("bare", body).await;
        let mut address: SocketAddr = ([127, 0, 0, 1], port).into();
        if matches!(publish, Publish::ContainerAddress { .. }) {
            let found = docker.inspect_container(&id, None).await.unwrap();
            let networks = found.network_settings.unwrap().networks.unwrap();
            let ip = networks["bridge"].ip_address.clone().unwrap();
            address = (ip.parse::<std::net::IpAddr>().unwrap(), 8080).into();
        }
        let running = begun.elapsed();
        until_served(address).await;
        times.push((running, begun.elapsed()));
        let remove = bollard::query_parameters::RemoveContainerOptionsBuilder::new().force(true);
        docker.remove_container(&id, Some(remove.build())).await.unwrap();
    }
    row(&format!("bare, {name}"), times);
}

fn row(name: &str, times: Vec<(Duration, Duration)>) {
    let (mut running, mut served): (Vec<_>, Vec<_>) = times.into_iter().unzip();
    running.sort();
    served.sort();
    let ms = |times: &[Duration], at: usize| times[at].as_secs_f64() * 1e3;
    let (middle, last) = (running.len() / 2, (running.len() * 99).div_ceil(100) - 1);
    println!(
        "{name:<28} {:>7.1} {:>9.1} {:>9.1}",
        ms(&running, middle),
        ms(&served, middle),
        ms(&served, last)
    );
}

/// Looks five times a second for ten seconds.
async fn looks(lab: &Lab, containers: u64) {
    let engine = engine(lab, rig::host_network);
    until_listed(&engine).await;
    let begun = Instant::now();
    (1..=containers).for_each(|number| engine.start(&id(number), None));
    let all = |e: &DockerEngine| rig::replicas(e).iter().all(|r| r.address.is_some()).then_some(());
    while tokio::time::timeout(Duration::from_secs(15), until(&engine, "all", all)).await.is_err() {
    }
    println!("{containers} containers up after {:.1} s", begun.elapsed().as_secs_f64());
    let daemon = lab.pid();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let idle = || (ticks("self"), ticks(&daemon.to_string()));
    let before = idle();
    let from = Instant::now();
    let mut spent = Duration::ZERO;
    while from.elapsed() < Duration::from_secs(10) {
        let look = Instant::now();
        assert_eq!(rig::value(&engine).replicas.len() as u64, containers);
        spent += look.elapsed();
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let after = idle();
    println!(
        "50 looks: {:.2} ms each, flyball {:.1} % of a core, dockerd {:.1} %",
        spent.as_secs_f64() * 1e3 / 50.0,
        (after.0 - before.0) / from.elapsed().as_secs_f64(),
        (after.1 - before.1) / from.elapsed().as_secs_f64()
    );
    engine.stop(&ReplicaId::numbered("web", 1));
    engine.shutdown().await;
}

/// User and system time, in hundredths of a second.
fn ticks(process: &str) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()
}
