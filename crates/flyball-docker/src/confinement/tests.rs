//! Every field of a container's configuration, made freer one by one.

use bollard::models::{EndpointSettings, HostConfigLogConfig, NetworkingConfig};
use serde_json::json;

use super::*;

/// Each field of `HostConfig`: what a confined original has, and what would be more.
fn table() -> Vec<(&'static str, Value, Value)> {
    vec![
        ("CpuShares", json!(10), json!(1024)),
        ("Memory", json!(64 << 20), json!(65 << 20)),
        ("CgroupParent", json!("/small"), json!("")),
        ("BlkioWeight", json!(10), json!(500)),
        ("BlkioWeightDevice", json!([{ "Path": "/dev/sda", "Weight": 10 }]), json!([])),
        ("BlkioDeviceReadBps", json!([{ "Path": "/dev/sda", "Rate": 10 }]), json!([])),
        ("BlkioDeviceWriteBps", json!([{ "Path": "/dev/sda", "Rate": 10 }]), json!([])),
        ("BlkioDeviceReadIOps", json!([{ "Path": "/dev/sda", "Rate": 10 }]), json!([])),
        ("BlkioDeviceWriteIOps", json!([{ "Path": "/dev/sda", "Rate": 10 }]), json!([])),
        ("CpuPeriod", json!(100_000), json!(1_000)),
        ("CpuQuota", json!(10_000), json!(20_000)),
        ("CpuRealtimePeriod", json!(0), json!(1_000)),
        ("CpuRealtimeRuntime", json!(10), json!(20)),
        ("CpusetCpus", json!("0"), json!("0-7")),
        ("CpusetMems", json!("0"), json!("")),
        ("Devices", json!([]), json!([{ "PathOnHost": "/dev/sda" }])),
        ("DeviceCgroupRules", json!([]), json!(["c 1:3 rwm"])),
        ("DeviceRequests", json!([]), json!([{ "Driver": "nvidia", "Count": -1 }])),
        ("MemoryReservation", json!(32 << 20), json!(48 << 20)),
        ("MemorySwap", json!(64 << 20), json!(-1)),
        ("MemorySwappiness", json!(0), json!(100)),
        ("NanoCpus", json!(500_000_000), json!(600_000_000)),
        ("OomKillDisable", json!(false), json!(true)),
        ("Init", json!(true), json!(false)),
        ("PidsLimit", json!(64), json!(-1)),
        ("Ulimits", json!([{ "Name": "nofile", "Soft": 10, "Hard": 10 }]), json!([])),
        ("CpuCount", json!(1), json!(2)),
        ("CpuPercent", json!(1), json!(2)),
        ("IOMaximumIOps", json!(1), json!(2)),
        ("IOMaximumBandwidth", json!(1), json!(2)),
        ("Binds", json!([]), json!(["/:/host"])),
        ("LogConfig", json!({ "Type": "none" }), json!({ "Type": "syslog" })),
        ("NetworkMode", json!("none"), json!("host")),
        ("PortBindings", json!({}), json!({ "80/tcp": [{ "HostIp": "0.0.0.0" }] })),
        ("VolumeDriver", json!(""), json!("other")),
        ("VolumesFrom", json!([]), json!(["database"])),
        ("Mounts", json!([]), json!([{ "Type": "bind", "Source": "/", "Target": "/host" }])),
        ("Annotations", json!({}), json!({ "a": "b" })),
        ("CapAdd", json!([]), json!(["SYS_ADMIN"])),
        ("CapDrop", json!(["ALL"]), json!([])),
        ("CgroupnsMode", json!("private"), json!("host")),
        ("Dns", json!(["10.0.0.1"]), json!([])),
        ("DnsOptions", json!(["ndots:1"]), json!([])),
        ("DnsSearch", json!(["a"]), json!([])),
        ("ExtraHosts", json!([]), json!(["db:10.0.0.9"])),
        ("GroupAdd", json!([]), json!(["docker"])),
        ("IpcMode", json!("private"), json!("host")),
        ("Cgroup", json!(""), json!("container:x")),
        ("Links", json!([]), json!(["/db:/web/db"])),
        ("OomScoreAdj", json!(0), json!(-1000)),
        ("PidMode", json!(""), json!("host")),
        ("Privileged", json!(false), json!(true)),
        ("PublishAllPorts", json!(false), json!(true)),
        ("ReadonlyRootfs", json!(true), json!(false)),
        ("SecurityOpt", json!(["no-new-privileges"]), json!([])),
        ("StorageOpt", json!({ "size": "1G" }), json!({})),
        ("Tmpfs", json!({}), json!({ "/run": "" })),
        ("UTSMode", json!(""), json!("host")),
        ("UsernsMode", json!(""), json!("host")),
        ("ShmSize", json!(1 << 20), json!(1 << 30)),
        ("Sysctls", json!({}), json!({ "net.ipv4.ip_forward": "1" })),
        ("Runtime", json!("runsc"), json!("runc")),
        ("Isolation", json!("hyperv"), json!("process")),
        ("MaskedPaths", json!(["/proc/kcore"]), json!([])),
        ("ReadonlyPaths", json!(["/proc/sys"]), json!([])),
    ]
}

/// What gives a container nothing: when it is restarted, and what becomes of it then.
const HARMLESS: [&str; 4] = ["AutoRemove", "ConsoleSize", "ContainerIDFile", "RestartPolicy"];

fn host(fields: &[(&'static str, Value)]) -> HostConfig {
    let object: Map<String, Value> =
        fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    serde_json::from_value(Value::Object(object)).unwrap()
}

fn original(host: HostConfig) -> ContainerInspectResponse {
    ContainerInspectResponse { host_config: Some(host), ..Default::default() }
}

fn spec(host: HostConfig) -> CreateSpec {
    let body = ContainerCreateBody { host_config: Some(host), ..Default::default() };
    CreateSpec { name: "web-1".into(), body, further: Vec::new() }
}

fn found(had: HostConfig, gets: HostConfig, granted: ExtraRights) -> Option<String> {
    excess(&original(had), &spec(gets), granted).map(|excess| excess.field)
}

#[test]
fn a_copy_that_is_its_original_has_no_more() {
    let all: Vec<_> = table().into_iter().map(|(name, had, _)| (name, had)).collect();
    assert_eq!(found(host(&all), host(&all), ExtraRights::default()), None);
}

#[test]
fn each_field_that_would_be_freer_is_found_by_its_name() {
    for (name, had, gets) in table() {
        // Limits of cores and swap are read with their neighbours.
        let beside: &[(&'static str, Value)] = match name {
            "CpuQuota" => &[("CpuPeriod", json!(100_000))],
            "CpuPeriod" => &[("CpuQuota", json!(10_000))],
            "MemorySwap" => &[("Memory", json!(64 << 20))],
            _ => &[],
        };
        let with = |value: Value| {
            let mut fields = beside.to_vec();
            fields.push((name, value));
            host(&fields)
        };
        let wanted = match name {
            "CpuQuota" | "CpuPeriod" => "NanoCpus",
            "NetworkMode" => "Networks",
            name => name,
        };
        let said = found(with(had.clone()), with(gets.clone()), ExtraRights::default());
        assert_eq!(said.as_deref(), Some(wanted), "{name}: {had} -> {gets}");
        assert_eq!(found(with(had.clone()), with(had), ExtraRights::default()), None, "{name}");
    }
}

#[test]
fn no_field_of_docker_is_left_out_of_the_table() {
    let text = r#"{"CpuShares":1,"Unknown":1}"#;
    let known: HostConfig = serde_json::from_str(text).unwrap();
    assert_eq!(known.cpu_shares, Some(1));
    // Each name is one that the client knows: a value of it survives.
    let mut names: BTreeSet<String> = BTreeSet::new();
    for (name, had, gets) in table() {
        let there = [had, gets].into_iter().any(|value| fields(&host(&[(name, value)])).len() == 1);
        assert!(there, "{name} is no field");
        names.insert(name.to_owned());
    }
    names.extend(HARMLESS.map(str::to_owned));
    let all = every_field();
    assert_eq!(names, all, "a field was added: what may a copy have of it?");
}

/// All fields that the client knows, by its own description of an empty one.
fn every_field() -> BTreeSet<String> {
    let debug = format!("{:#?}", HostConfig::default());
    let lines = debug.lines().filter_map(|line| line.trim().strip_suffix(": None,"));
    let wire = |field: &str| -> String {
        let special = [
            ("blkio_device_read_iops", "BlkioDeviceReadIOps"),
            ("blkio_device_write_iops", "BlkioDeviceWriteIOps"),
            ("io_maximum_iops", "IOMaximumIOps"),
            ("io_maximum_bandwidth", "IOMaximumBandwidth"),
            ("container_id_file", "ContainerIDFile"),
            ("uts_mode", "UTSMode"),
        ];
        if let Some((_, name)) = special.iter().find(|(known, _)| *known == field) {
            return (*name).to_owned();
        }
        field.split('_').map(|part| part[..1].to_uppercase() + &part[1..]).collect()
    };
    lines.map(wire).collect()
}

#[test]
fn a_copy_may_have_less_and_what_the_operator_granted() {
    let had = || host(&[("Memory", json!(64 << 20)), ("NanoCpus", json!(500_000_000))]);
    let less = host(&[("Memory", json!(32 << 20)), ("NanoCpus", json!(100_000_000))]);
    assert_eq!(found(had(), less, ExtraRights::default()), None);
    let more = || host(&[("Memory", json!(1 << 30)), ("NanoCpus", json!(500_000_000))]);
    assert_eq!(found(had(), more(), ExtraRights::default()).as_deref(), Some("Memory"));
    assert_eq!(found(had(), more(), ExtraRights { memory: true, ..ExtraRights::default() }), None);
    let quota = host(&[("Memory", json!(64 << 20)), ("CpuQuota", json!(60_000))]);
    assert_eq!(found(had(), quota, ExtraRights::default()).as_deref(), Some("NanoCpus"));
    let open = || host(&[("PortBindings", json!({ "80/tcp": [{ "HostIp": "10.0.0.1" }] }))]);
    assert_eq!(
        found(host(&[]), open(), ExtraRights { ports: true, ..ExtraRights::default() }),
        None
    );
    let here = host(&[("PortBindings", json!({ "80/tcp": [{ "HostIp": "127.0.0.1" }] }))]);
    assert_eq!(found(host(&[]), here, ExtraRights::default()), None);
}

#[test]
fn a_copy_joins_no_network_that_its_original_is_not_in() {
    let mut template = original(host(&[("NetworkMode", json!("blue"))]));
    let settings = json!({ "Networks": { "blue": {}, "back": {} } });
    template.network_settings = serde_json::from_value(settings).unwrap();
    let joins = |mode: &str, first: &str, further: &[&str]| {
        let mut spec = spec(host(&[("NetworkMode", json!(mode))]));
        let endpoints = [(first.to_owned(), EndpointSettings::default())].into();
        spec.body.networking_config = Some(NetworkingConfig { endpoints_config: Some(endpoints) });
        spec.further =
            further.iter().map(|name| ((*name).to_owned(), EndpointSettings::default())).collect();
        spec
    };
    let none = ExtraRights::default();
    assert_eq!(excess(&template, &joins("blue", "blue", &["back"]), none), None);
    let more = excess(&template, &joins("blue", "blue", &["admin"]), none).unwrap();
    assert_eq!((more.field.as_str(), more.copy.as_str()), ("Networks", "admin"));
    assert!(excess(&template, &joins("host", "blue", &[]), none).is_some());
    assert!(excess(&template, &joins("", "blue", &[]), none).is_some());
    let granted = ExtraRights { networks: true, ..none };
    assert_eq!(excess(&template, &joins("blue", "blue", &["admin"]), granted), None);
    let apart = original(host(&[("NetworkMode", json!("container:abc"))]));
    assert!(excess(&apart, &spec(host(&[])), none).is_some());
    assert_eq!(excess(&apart, &spec(host(&[("NetworkMode", json!("container:abc"))])), none), None);
    let usual = original(host(&[("NetworkMode", json!("default"))]));
    assert_eq!(excess(&usual, &spec(host(&[("NetworkMode", json!("bridge"))])), none), None);
}

#[test]
fn a_copy_runs_as_the_same_user() {
    let mut template = original(host(&[]));
    template.config = serde_json::from_value(json!({ "User": "65534" })).unwrap();
    let more = excess(&template, &spec(host(&[])), ExtraRights::default()).unwrap();
    assert_eq!((more.field.as_str(), more.original.as_str()), ("User", "65534"));
}

#[test]
fn options_of_log_drivers_are_in_no_message() {
    let with = |token: &str| {
        let config = [("splunk-token".to_owned(), token.to_owned())].into();
        let log = HostConfigLogConfig { typ: Some("splunk".into()), config: Some(config) };
        HostConfig { log_config: Some(log), ..Default::default() }
    };
    let more = excess(&original(with("a")), &spec(with("hunter2")), ExtraRights::default());
    assert!(!format!("{more:?}").contains("hunter2"));
}

#[test]
fn a_new_volume_in_the_place_of_one_that_nobody_named_is_no_more_than_that() {
    let random = "9f".repeat(32);
    let had = || {
        let mounts = json!([{ "Type": "volume", "Source": random, "Target": "/more" }]);
        host(&[("Binds", json!([format!("{random}:/data:ro")])), ("Mounts", mounts)])
    };
    let gets = |read_only: Value, target: &str| {
        let data = json!({ "Type": "volume", "Target": "/data", "ReadOnly": read_only });
        let more = json!({ "Type": "volume", "Target": target });
        found(had(), host(&[("Mounts", json!([data, more]))]), ExtraRights::default())
    };
    assert_eq!(gets(json!(true), "/more"), None);
    assert_eq!(gets(Value::Null, "/more").as_deref(), Some("Mounts"), "it could be written to");
    assert_eq!(gets(json!(true), "/other").as_deref(), Some("Mounts"));
}
