//! A copy is the container that it was copied from, on a real Docker daemon.

#![allow(clippy::unwrap_used, reason = "a test may")]
#![recursion_limit = "256"]

mod rig;

use std::collections::{BTreeMap, BTreeSet};

use flyball_docker::copy::fields::{FIELDS, FieldRule, fate, fields, is_set, reference};
use flyball_testkit::docker;
use serde_json::{Value, json};

#[test]
fn the_reference_page_lists_what_becomes_of_each_field() {
    let path =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/copies.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, reference()).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == reference(),
        "{} is out of date: run UPDATE_DOCS=1 cargo test",
        path.display()
    );
}

/// What is kept and cannot be had on this machine, or is left at its usual value: Windows, ports
/// of a scheduler that the kernel lacks, hardware.
const NOT_SET_HERE: &[&str] = &[
    "Config.ArgsEscaped",
    "Config.AttachStderr",
    "Config.AttachStdin",
    "Config.AttachStdout",
    "Config.NetworkDisabled",
    "Config.OnBuild",
    "Config.Shell",
    "HostConfig.Annotations",
    "HostConfig.BlkioDeviceReadBps",
    "HostConfig.BlkioDeviceReadIOps",
    "HostConfig.BlkioDeviceWriteBps",
    "HostConfig.BlkioDeviceWriteIOps",
    "HostConfig.BlkioWeight",
    "HostConfig.BlkioWeightDevice",
    "HostConfig.Cgroup",
    "HostConfig.CgroupParent",
    "HostConfig.ConsoleSize",
    "HostConfig.CpuCount",
    "HostConfig.CpuPercent",
    "HostConfig.CpuPeriod",
    "HostConfig.CpuQuota",
    "HostConfig.CpuRealtimePeriod",
    "HostConfig.CpuRealtimeRuntime",
    "HostConfig.DeviceRequests",
    "HostConfig.IOMaximumBandwidth",
    "HostConfig.IOMaximumIOps",
    "HostConfig.Isolation",
    "HostConfig.MemorySwappiness",
    "HostConfig.OomKillDisable",
    "HostConfig.PidMode",
    "HostConfig.Privileged",
    "HostConfig.StorageOpt",
    "HostConfig.UTSMode",
    "HostConfig.UsernsMode",
    "HostConfig.VolumeDriver",
    "NetworkSettings.Networks.*.DriverOpts",
    "NetworkSettings.Networks.*.GwPriority",
];

/// What its owner asks of the host.
fn original_host() -> Value {
    json!({
        "Binds": ["cache:/cache", "/tmp:/host:ro"],
        "Mounts": [
            { "Type": "volume", "Source": "9f".repeat(32), "Target": "/handed-on" },
            { "Type": "volume", "Source": "shared", "Target": "/shared", "ReadOnly": true },
        ],
        "NetworkMode": "shop_front", "RestartPolicy": { "Name": "always" },
        "PortBindings": { "8080/tcp": [{ "HostIp": "127.0.0.1", "HostPort": "47113" }] },
        "LogConfig": { "Type": "json-file", "Config": { "max-size": "1m" } },
        "VolumesFrom": ["data:ro"], "CapAdd": ["NET_ADMIN"], "CapDrop": ["CHOWN"],
        "CgroupnsMode": "private", "Dns": ["10.0.0.53"], "DnsOptions": ["ndots:1"],
        "DnsSearch": ["example.test"], "ExtraHosts": ["db:10.0.0.9"], "GroupAdd": ["44"],
        "IpcMode": "shareable", "OomScoreAdj": 100, "PidsLimit": 50,
        "ReadonlyRootfs": true, "SecurityOpt": ["no-new-privileges"],
        "Tmpfs": { "/scratch": "size=1m" }, "ShmSize": 33_554_432,
        "Sysctls": { "net.core.somaxconn": "128" }, "Runtime": "runc", "Init": true,
        "Memory": 67_108_864, "MemoryReservation": 33_554_432, "MemorySwap": 67_108_864,
        "NanoCpus": 500_000_000, "CpuShares": 512, "CpusetCpus": "0", "CpusetMems": "0",
        "Devices": [{ "PathOnHost": "/dev/null", "PathInContainer": "/dev/nil",
                      "CgroupPermissions": "rwm" }],
        "DeviceCgroupRules": ["c 1:5 r"],
        "Ulimits": [{ "Name": "nofile", "Soft": 1000, "Hard": 2000 }],
        "MaskedPaths": ["/proc/kcore"], "ReadonlyPaths": ["/proc/sys"],
    })
}

/// Everything that this daemon accepts, as a user would write it.
fn original() -> Value {
    json!({
        "Image": docker::IMAGE,
        "Hostname": "shop", "Domainname": "example.test", "User": "1000:1000",
        "Env": ["A=1", "PORT=8080"], "Cmd": ["serve"], "Entrypoint": ["/app"],
        "ExposedPorts": { "8080/tcp": {}, "9090/tcp": {} }, "Tty": true, "OpenStdin": true,
        "StdinOnce": true, "WorkingDir": "/data", "StopSignal": "SIGTERM", "StopTimeout": 3,
        "Volumes": { "/declared": {} },
        "Healthcheck": { "Test": ["CMD", "/app", "probe"], "Interval": 1_000_000_000 },
        "Labels": {
            "flyball.service": "web", "flyball.port": "8080", "team": "shop",
            "com.docker.compose.project": "shop", "com.docker.compose.service": "web",
            "com.docker.compose.container-number": "1",
        },
        "MacAddress": "02:42:0a:d5:50:63",
        "HostConfig": original_host(),
        "NetworkingConfig": { "EndpointsConfig": { "shop_front": {
            "Aliases": ["web", "shop-web-1"], "Links": ["data:store"],
            "IPAMConfig": { "IPv4Address": "10.213.80.99" },
        } } },
    })
}

/// Fields by their paths; those of several networks in the order of the networks.
fn by_path(inspection: &Value) -> BTreeMap<String, Vec<Value>> {
    let mut found: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for (path, value) in fields(inspection) {
        found.entry(path).or_default().push(value.clone());
    }
    found
}

/// What is not set is reported as nothing, as an empty list or as zero.
fn set(values: Option<&Vec<Value>>) -> Vec<Value> {
    values.into_iter().flatten().filter(|value| is_set(value)).cloned().collect()
}

/// Compares an original with its copy field by field; gives the fields that differ by intent, which
/// the caller looks at one by one.
fn compare(original: &Value, copy: &Value) -> BTreeSet<&'static str> {
    let (old, new) = (by_path(original), by_path(copy));
    for path in old.keys().chain(new.keys()) {
        let decided = fate(path).is_some();
        assert!(decided, "undecided what becomes of {path}: write it into copy/fields.rs");
    }
    for (path, fate) in FIELDS {
        let (old, new) = (set(old.get(*path)), set(new.get(*path)));
        match fate {
            FieldRule::Kept => {
                assert_eq!(old, new, "{path} is not kept");
                let here = !NOT_SET_HERE.contains(path);
                assert_eq!(!old.is_empty(), here, "{path}: is it set by this test?");
            }
            FieldRule::Dropped(_) if !old.is_empty() => {
                assert_ne!(old, new, "{path} is not dropped")
            }
            FieldRule::Dropped(_) | FieldRule::Changed(_) | FieldRule::Anew(_) => {}
        }
    }
    let changed = FIELDS.iter().filter(|(_, fate)| matches!(fate, FieldRule::Changed(_)));
    changed.map(|(path, _)| *path).collect()
}

mod alone {
    use std::time::{Duration, Instant};

    use bollard::models::{ContainerCreateBody, HostConfig, NetworkConnectRequest};
    use bollard::query_parameters::{CreateContainerOptionsBuilder, StartContainerOptions};
    use flyball_core::observation::Phase;
    use flyball_core::units::ReplicaId;
    use flyball_docker::labels::{PORT, SERVICE};
    use flyball_docker::{DockerEngine, DockerSettings, Members, Publish};

    use super::rig::*;
    use super::*;
    use flyball_testkit::docker::{IMAGE, Lab};

    fn first_notice(engine: &DockerEngine) -> Option<String> {
        engine.observe().value()?.notices.first().cloned()
    }

    /// The daemon's raw answer about a container.
    async fn inspect(lab: &Lab, name: &str) -> Value {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::UnixStream::connect(lab.socket()).await.unwrap();
        let request = format!("GET /containers/{name}/json HTTP/1.0\r\nHost: docker\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(" 200 "), "{answer}");
        serde_json::from_str(body).unwrap()
    }

    fn mounts(inspection: &Value) -> BTreeMap<String, Value> {
        let all = inspection["Mounts"].as_array().unwrap().iter();
        let of = |mount: &Value| (mount["Destination"].as_str().unwrap().to_owned(), mount.clone());
        all.map(of).collect()
    }

    /// Each of the `changed` fields, and that there are no others.
    fn look_at_changes(old: &Value, new: &Value, mut changed: BTreeSet<&'static str>) {
        let mut look = |path: &'static str| {
            assert!(changed.remove(path), "{path}");
            let at = |inspection: &Value| {
                path.split('.').fold(inspection.clone(), |value, name| value[name].clone())
            };
            (at(old), at(new))
        };

        let (_, env) = look("Config.Env");
        for variable in ["A=1", "PORT=8080", "FLYBALL_REPLICA=web-2", "FLYBALL_SERVICE=web"] {
            assert!(env.as_array().unwrap().contains(&json!(variable)), "{env}");
        }
        assert_eq!(look("Config.ExposedPorts").1, json!({ "8080/tcp": {}, "9090/tcp": {} }));
        assert_eq!(look("Config.Hostname"), (json!("shop"), json!("shop")));
        assert_eq!(look("Config.Image").1, old["Image"]);
        let (old_labels, labels) = look("Config.Labels");
        assert_eq!(labels["team"], old_labels["team"]);
        assert_eq!(labels["com.docker.compose.container-number"], "2");
        assert_eq!(
            (&labels["flyball.replica"], &labels["flyball.managed"]),
            (&json!("web-2"), &json!("true"))
        );
        assert_eq!(look("HostConfig.Binds").1, json!(["cache:/cache", "/tmp:/host:ro"]));
        let (_, link) = look("HostConfig.Links");
        assert!(!is_set(&link), "links of the default network only");
        let (_, asked) = look("HostConfig.Mounts");
        assert_eq!(asked[1]["Source"], "shared");
        assert!(!is_set(&asked[0]["Source"]), "{asked}");
        assert_eq!(look("HostConfig.NetworkMode").1, "shop_front");
        let (_, _) = look("Mounts");
        let (before, after) = (mounts(old), mounts(new));
        assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
        for place in ["/cache", "/shared", "/host"] {
            assert_eq!(before[place]["Source"], after[place]["Source"], "{place}");
        }
        for place in ["/handed-on", "/declared"] {
            assert_ne!(before[place]["Name"], after[place]["Name"], "{place} is its own");
        }
        assert!(changed.remove("NetworkSettings.Networks.*.Aliases"));
        let networks = &new["NetworkSettings"]["Networks"];
        let aliases = |network: &str| networks[network]["Aliases"].as_array().unwrap().clone();
        assert!(aliases("shop_front").contains(&json!("web")));
        assert!(!aliases("shop_front").contains(&json!("special")));
        assert!(aliases("shop_back").contains(&json!("web-inside")));
        assert_eq!(changed, BTreeSet::new(), "each changed field is looked at");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_copy_has_every_field_of_its_original_or_what_was_decided_about_it() {
        let Some(lab) = Lab::up().await else { return };
        lab.network_of("shop_front", Some("10.213.80.0/24")).await;
        lab.network("shop_back").await;
        lab.run(
            "data",
            &[],
            HostConfig { network_mode: Some("shop_front".into()), ..Default::default() },
        )
        .await;
        let theirs = create_raw(&lab, "special", &original()).await;
        let docker = lab.client().await;
        let endpoint = bollard::models::EndpointSettings {
            aliases: Some(vec!["web-inside".into()]),
            ..Default::default()
        };
        let request =
            NetworkConnectRequest { container: theirs.clone(), endpoint_config: Some(endpoint) };
        docker.connect_network("shop_back", request).await.unwrap();
        docker.start_container(&theirs, None::<StartContainerOptions>).await.unwrap();

        let engine = engine(&lab, |settings| settings.grace_ms = None);
        until_listed(&engine).await;
        engine.start(&id(2), None);
        until_started(&engine, 2).await;
        let (old, new) = (inspect(&lab, "special").await, inspect(&lab, "shop-web-fb-2").await);
        let changed = compare(&old, &new);
        look_at_changes(&old, &new, changed);
        let notices: Vec<String> = engine
            .check(None)
            .await
            .unwrap()
            .findings
            .into_iter()
            .map(|finding| finding.text)
            .collect();
        for lost in ["HostConfig.PortBindings (8080/tcp at 47113)", "10.213.80.99", "name special"]
        {
            assert_eq!(
                notices.iter().filter(|text| text.contains(lost)).count(),
                1,
                "{lost}: {notices:#?}"
            );
        }
    }

    /// As [`Lab::run_body`], with fields that the typed client does not know.
    async fn create_raw(lab: &Lab, name: &str, body: &Value) -> String {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let body = body.to_string();
        let mut stream = tokio::net::UnixStream::connect(lab.socket()).await.unwrap();
        let request = format!(
            "POST /containers/create?name={name} HTTP/1.0\r\nHost: docker\r\nContent-Type: \
             application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let created: Value =
            serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
        created["Id"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    const COMPOSE: [(&str, &str); 5] = [
        (SERVICE, "web"),
        (PORT, "8080"),
        ("com.docker.compose.project", "shop"),
        ("com.docker.compose.service", "web"),
        ("com.docker.compose.container-number", "1"),
    ];

    fn in_network(mode: &str) -> HostConfig {
        HostConfig { network_mode: Some(mode.into()), ..Default::default() }
    }

    async fn join(lab: &Lab, network: &str, container: &str) {
        let container = container.to_owned();
        let request = NetworkConnectRequest { container, endpoint_config: None };
        lab.client().await.connect_network(network, request).await.unwrap();
    }

    fn inside(network: Option<&str>) -> impl FnOnce(&mut DockerSettings) {
        let network = network.map(str::to_owned);
        |settings| settings.publish = Publish::ContainerAddress { network }
    }

    async fn address_in(lab: &Lab, container: &str, network: &str) -> String {
        let inspection = inspect(lab, container).await;
        inspection["NetworkSettings"]["Networks"][network]["IPAddress"].as_str().unwrap().to_owned()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_container_in_two_networks_is_reached_where_the_balancer_is_and_never_on_a_guess() {
        let Some(lab) = Lab::up().await else { return };
        lab.network("shop_back").await;
        lab.network("shop_front").await;
        lab.run("shop-web-1", &COMPOSE, in_network("shop_back")).await;
        join(&lab, "shop_front", "shop-web-1").await;
        let balancer = lab.run("lb", &[], in_network("shop_front")).await;
        let theirs = |engine: &DockerEngine| named(engine, "shop-web-1")?.address;

        // Its place is unknown, so nothing is sent anywhere.
        let unclear = engine(&lab, inside(None));
        let notice = until(&unclear, "a notice", first_notice).await;
        assert!(
            notice.contains("shop_back, shop_front") && notice.contains("flyball.network="),
            "{notice}"
        );
        assert_eq!(theirs(&unclear), None);
        unclear.start(&id(2), None);
        let refused = until_exit(&unclear).await.reason;
        assert!(refused.contains("shop_back, shop_front"), "{refused}");
        let finding = unclear.check(None).await.unwrap().findings.remove(0);
        assert!(finding.fatal && finding.text.contains("shop_back, shop_front"), "{finding:?}");

        // The balancer's machine calls itself as its container.
        let host_name = balancer[..12].to_owned();
        assert!(unclear.check(Some(&host_name)).await.unwrap().findings.iter().all(|f| !f.fatal));
        until(&unclear, "its turn", |e| e.wants_balancer().then_some(())).await;
        unclear.place_balancer(Some(host_name));
        let address = until(&unclear, "an address", theirs).await;
        assert_eq!(address.ip().to_string(), address_in(&lab, "shop-web-1", "shop_front").await);
        unclear.start(&id(3), None);
        let copy = until_ready(&unclear, 3).await;
        assert_eq!(copy.ip().to_string(), address_in(&lab, "shop-web-fb-3", "shop_front").await);
        let joined = inspect(&lab, "shop-web-fb-3").await["NetworkSettings"]["Networks"].clone();
        let joined: Vec<_> = joined.as_object().unwrap().keys().cloned().collect();
        assert_eq!(joined, ["shop_back", "shop_front"]);
        assert_eq!(value(&unclear).notices, Vec::<String>::new());

        // The name that it has in the Compose file will do.
        let named_front = engine(&lab, inside(Some("front")));
        assert_eq!(until(&named_front, "an address", theirs).await, address);
        let wrong = engine(&lab, inside(Some("frnt")));
        let notice = until(&wrong, "a notice", first_notice).await;
        assert!(notice.contains("not in network frnt; it is in shop_back, shop_front"), "{notice}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn containers_that_share_a_network_are_refused_in_words() {
        let Some(lab) = Lab::up().await else { return };
        let vpn = lab.run("vpn", &[], HostConfig::default()).await;
        lab.run("tunnelled", &COMPOSE, in_network(&format!("container:{vpn}"))).await;
        let refused = engine(&lab, |_| {});
        let notice = until(&refused, "a notice", first_notice).await;
        assert!(
            notice.contains("tunnelled") && notice.contains(&vpn[..12]) && notice.contains("VPN"),
            "{notice}"
        );
        refused.start(&id(2), None);
        assert!(until_exit(&refused).await.reason.contains("shares the network"));
        let finding = refused.check(None).await.unwrap().findings.remove(0);
        assert!(finding.fatal && finding.text.contains("shares the network"), "{finding:?}");
        assert_eq!(lab.names().await, ["tunnelled", "vpn"]);
        drop(refused);

        let labels = [(SERVICE, "hosted"), (PORT, "47114")];
        let body = ContainerCreateBody {
            image: Some(IMAGE.into()),
            env: Some(vec!["PORT=47114".into()]),
            labels: Some(labels.map(|(k, v)| (k.to_owned(), v.to_owned())).into()),
            host_config: Some(in_network("host")),
            ..Default::default()
        };
        lab.run_body("hosted", body).await;
        let host = host_at(lab.host());
        let settings =
            || DockerSettings { members: Members::Adopted, ..DockerSettings::new("hosted", 47114) };
        let refused = DockerEngine::new(host.clone(), settings()).unwrap();
        let notice = until(&refused, "a notice", first_notice).await;
        assert!(notice.contains("port 47114") && notice.contains("flyball.reach=host"), "{notice}");
        refused.start(&ReplicaId::numbered("hosted", 2), None);
        assert!(until_exit(&refused).await.reason.contains("host's network"));
        let asked = DockerSettings { publish: Publish::HostNetwork, ..settings() };
        let allowed = DockerEngine::new(host, asked).unwrap();
        let copy = ReplicaId::numbered("hosted", 3);
        until_listed(&allowed).await;
        allowed.start(&copy, None);
        let address = until(&allowed, "a copy", |e| named(e, copy.as_str())?.address).await;
        assert_ne!(address.port(), 47114);
        until_served(address).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn starts_at_once_get_names_of_their_own_and_pass_over_those_that_are_taken() {
        let Some(lab) = Lab::up().await else { return };
        lab.run("shop_web_1", &COMPOSE, HostConfig::default()).await;
        lab.run("shop-web-fb-4", &[], HostConfig::default()).await;
        let engine = engine(&lab, |_| {});
        until_listed(&engine).await;
        (1..=4).for_each(|number| engine.start(&id(number), None));
        until(&engine, "all of them", |e| {
            let here = replicas(e);
            (here.iter().filter(|r| r.address.is_some()).count() == 5).then_some(())
        })
        .await;
        assert_eq!(value(&engine).exits, []);
        let names: BTreeSet<String> = lab.names().await.into_iter().collect();
        let copies = names.iter().filter(|name| name.starts_with("shop-web-")).count();
        assert_eq!((names.len(), copies), (6, 5), "{names:?}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_copy_gets_the_grace_of_its_original_and_starts_count_from_the_containers_start() {
        let Some(lab) = Lab::up().await else { return };
        let body = ContainerCreateBody {
            image: Some(IMAGE.into()),
            env: Some(vec!["DEAF=1".into()]),
            labels: Some([(SERVICE.to_owned(), "web".to_owned())].into()),
            stop_timeout: Some(1),
            ..Default::default()
        };
        let docker = lab.client().await;
        let options = CreateContainerOptionsBuilder::new().name("theirs").build();
        let theirs = docker.create_container(Some(options), body).await.unwrap().id;
        // Compose, too, starts a container some time after it has made it.
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        let before = clock();
        docker.start_container(&theirs, None::<StartContainerOptions>).await.unwrap();
        let engine = engine(&lab, |settings| settings.grace_ms = None);
        let seen = until(&engine, "their container", |e| named(e, "theirs")).await;
        let apart_ms = seen.asked_at.as_ms().abs_diff(before.as_ms());
        assert!(apart_ms < 1_000, "asked for {apart_ms} ms from its start");

        engine.start(&id(1), None);
        until_ready(&engine, 1).await;
        let began = Instant::now();
        engine.stop(&id(1));
        until(&engine, "its end", |e| phase(e, 1).is_none().then_some(())).await;
        let took = began.elapsed();
        assert!(took >= Duration::from_secs(1), "killed after {took:?}");
        assert!(took < Duration::from_secs(8), "Docker's usual 10 s were waited for: {took:?}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_is_stopped_externally_is_leaving_from_the_first_signal_on() {
        let Some(lab) = Lab::up().await else { return };
        let engine = engine(&lab, |settings| {
            image(settings);
            settings.env.insert("LINGER_MS".into(), "3000".into());
        });
        until_listed(&engine).await;
        engine.start(&id(1), None);
        let address = until_ready(&engine, 1).await;
        let docker = lab.client().await;
        let kill = |signal: &str| {
            let options = bollard::query_parameters::KillContainerOptionsBuilder::new();
            docker.kill_container("web-1", Some(options.signal(signal).build()))
        };
        // Programs reload their files at this.
        kill("SIGHUP").await.ok();
        assert_ne!(phase(&engine, 1), Some(Phase::Stopping));
        kill("SIGTERM").await.unwrap();
        let sent = Instant::now();
        until(&engine, "its leaving", |e| (phase(e, 1) == Some(Phase::Stopping)).then_some(()))
            .await;
        let seen = sent.elapsed();
        let deadline = sent + DEADLINE;
        while get(address, "/").await.is_some() {
            assert!(Instant::now() < deadline, "it does not listen any more");
        }
        assert!(seen < Duration::from_millis(200), "seen after {seen:?}");
        let exit = until_exit(&engine).await;
        assert!(exit.reason.starts_with("stopped externally: exit status 0"), "{}", exit.reason);
        assert!(sent.elapsed() > Duration::from_secs(2), "it ran on for 3 s");
    }
}
