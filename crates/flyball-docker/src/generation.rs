//! The generation of a container: a digest of the request that makes it, without what differs
//! between replicas of one kind.

use std::collections::BTreeMap;

use bollard::models::{ContainerCreateBody, ContainerInspectResponse, EndpointSettings};
use flyball_core::generation::Generation;
use flyball_core::units::ReplicaId;
use ring::digest::{SHA256, digest};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::create_spec::{CreateSpec, Wanted};
use crate::labels::{COMPOSE, PREFIX};
use crate::settings::Publish;
use crate::{DockerSettings, Signer};

/// Of these, the order says something.
const IN_ORDER: [&str; 8] =
    ["Cmd", "Entrypoint", "Test", "Shell", "OnBuild", "Dns", "DnsSearch", "DnsOptions"];
/// Their fields are named by users: one that is empty is there all the same.
const BY_USERS: [&str; 9] = [
    "Annotations",
    "Config",
    "DriverOpts",
    "ExposedPorts",
    "Labels",
    "Networks",
    "StorageOpt",
    "Sysctls",
    "Tmpfs",
];
/// How a client is attached to it says nothing about the container.
const OF_CLIENT: [&str; 3] = ["AttachStdin", "AttachStdout", "AttachStderr"];
const REPLICA_VARIABLE: &str = "FLYBALL_REPLICA=";
/// Stands for what differs from replica to replica.
const SOME_PORT: u16 = 0;

/// What replicas of `image`, an image's id, are made as.
pub(crate) fn of_image(settings: &DockerSettings, image: &str, signer: &Signer) -> Generation {
    let replica = ReplicaId::new("");
    of(&CreateSpec::of_image(model(settings, &replica, signer), image))
}

/// What copies of `template` are made as, and so what it is itself. `None` where it cannot be
/// copied.
pub(crate) fn of_template(
    settings: &DockerSettings,
    template: &ContainerInspectResponse,
    signer: &Signer,
) -> Option<Generation> {
    let replica = ReplicaId::new("");
    let spec = CreateSpec::copy(model(settings, &replica, signer), template, None);
    spec.inspect_err(|error| tracing::debug!(%error, "a container that cannot be described"))
        .ok()
        .map(|spec| of(&spec))
}

fn model<'a>(
    settings: &'a DockerSettings,
    replica: &'a ReplicaId,
    signer: &'a Signer,
) -> Wanted<'a> {
    let port = match settings.publish {
        Publish::HostNetwork => SOME_PORT,
        Publish::Address(_) | Publish::ContainerAddress { .. } => settings.port,
    };
    Wanted { settings, replica, port, generation: None, signer }
}

fn of(spec: &CreateSpec) -> Generation {
    let plain = plain(spec).to_string();
    let hash = digest(&SHA256, plain.as_bytes());
    let first = hash.as_ref().first_chunk::<8>().copied().unwrap_or_default();
    Generation::of_digest(u64::from_be_bytes(first))
}

/// The request in one form, whoever wrote the container: sorted, and without what says nothing.
fn plain(spec: &CreateSpec) -> Value {
    let mut body = spec.body.clone();
    body.labels.get_or_insert_default().retain(|name, _| !is_a_tools(name));
    body.env.get_or_insert_default().retain(|variable| !variable.starts_with(REPLICA_VARIABLE));
    let volumes = volumes(&mut body);
    let networks = networks(&mut body, &spec.further);
    let mut fields = object(&body);
    fields.retain(|name, _| !OF_CLIENT.contains(&name.as_str()));
    if let Some(host) = fields.get_mut("HostConfig").and_then(Value::as_object_mut) {
        host.remove("ConsoleSize");
    }
    fields.insert("Volumes".into(), volumes.into_iter().map(Value::from).collect());
    fields.insert("Networks".into(), Value::Object(object(&networks)));
    pruned("", Value::Object(fields))
}

/// Labels that flyball, Compose and the like keep their own books in.
fn is_a_tools(label: &str) -> bool {
    label.starts_with(PREFIX) || label.starts_with(COMPOSE)
}

/// Where it has volumes of its own. Compose hands an unnamed one on to the next container by its
/// name, which makes that no other container.
fn volumes(body: &mut ContainerCreateBody) -> Vec<String> {
    let mut all = body.volumes.take().unwrap_or_default();
    if let Some(mounts) = body.host_config.as_mut().and_then(|host| host.mounts.as_mut()) {
        let unnamed = mounts.extract_if(.., |mount| {
            mount.source.is_none() && mount.typ == Some(bollard::models::MountType::VOLUME)
        });
        all.extend(unnamed.filter_map(|mount| mount.target));
    }
    all.sort();
    all.dedup();
    all
}

/// All networks; which are joined at the creation and which later says nothing.
fn networks(
    body: &mut ContainerCreateBody,
    further: &[(String, EndpointSettings)],
) -> BTreeMap<String, EndpointSettings> {
    let first = body.networking_config.take().and_then(|config| config.endpoints_config);
    first.into_iter().flatten().chain(further.iter().cloned()).collect()
}

fn object(value: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(value) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

/// `value` without what is unset, which daemons report in several ways, and with its fields sorted.
fn pruned(name: &str, value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let all = BY_USERS.contains(&name);
            let fields: BTreeMap<String, Value> = fields
                .into_iter()
                .map(|(name, value)| (name.clone(), pruned(&name, value)))
                .filter(|(_, value)| all || !is_unset(value))
                .collect();
            fields.into_iter().collect()
        }
        Value::Array(items) => {
            let mut items: Vec<Value> = items.into_iter().map(|item| pruned("", item)).collect();
            if !IN_ORDER.contains(&name) {
                items.sort_by_cached_key(Value::to_string);
            }
            Value::Array(items)
        }
        other => other,
    }
}

fn is_unset(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(true) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn template(change: impl FnOnce(&mut Value)) -> ContainerInspectResponse {
        let mut answer = json!({
            "Id": "4a9ce1d80f00b2c3d4e5", "Name": "/shop-web-1", "Image": "sha256:1111",
            "Config": {
                "Hostname": "4a9ce1d80f00", "Image": "shop:latest", "Env": ["A=1", "B=2"],
                "Cmd": ["serve", "fast"], "Volumes": { "/data": {} },
                "Labels": {
                    "flyball.service": "web", "team": "shop",
                    "com.docker.compose.project": "shop", "com.docker.compose.service": "web",
                    "com.docker.compose.container-number": "1",
                    "com.docker.compose.config-hash": "11",
                },
            },
            "HostConfig": {
                "NetworkMode": "shop_default", "Memory": 1024, "CapAdd": ["A", "B"],
            },
            "NetworkSettings": { "Networks": { "shop_default": {
                "Aliases": ["web", "4a9ce1d80f00", "shop-web-1"], "IPAddress": "172.18.0.2",
            } } },
        });
        change(&mut answer);
        serde_json::from_value(answer).unwrap()
    }

    fn generation(change: impl FnOnce(&mut Value)) -> Generation {
        let signer = Signer::passing().unwrap();
        of_template(&DockerSettings::new("web", 80), &template(change), &signer).unwrap()
    }

    type Change = fn(&mut Value);

    fn labels(answer: &mut Value) -> &mut Map<String, Value> {
        answer["Config"]["Labels"].as_object_mut().unwrap()
    }

    #[test]
    fn what_compose_and_docker_write_anew_makes_no_other_generation() {
        let first = generation(|_| ());
        let same: [(&str, Change); 8] = [
            ("books", |c| {
                labels(c).insert("com.docker.compose.config-hash".into(), json!("22"));
                labels(c).insert("com.docker.compose.container-number".into(), json!("2"));
                labels(c).insert("flyball.min".into(), json!("2"));
            }),
            ("its number", |c| {
                c["Id"] = json!("99999999999999999999");
                c["Name"] = json!("/shop-web-2");
                c["Config"]["Hostname"] = json!("999999999999");
                c["NetworkSettings"]["Networks"]["shop_default"] =
                    json!({ "Aliases": ["web", "999999999999", "shop-web-2"] });
            }),
            ("replacing", |c| {
                c["Name"] = json!("/123456789abc_shop-web-1");
            }),
            ("the name of its image", |c| c["Config"]["Image"] = json!("shop:2")),
            ("an order", |c| {
                c["Config"]["Env"] = json!(["B=2", "A=1"]);
                c["HostConfig"]["CapAdd"] = json!(["B", "A"]);
            }),
            ("nothing", |c| {
                c["HostConfig"]["Init"] = json!(false);
                c["HostConfig"]["Dns"] = json!([]);
                c["Config"]["User"] = json!("");
            }),
            ("an unnamed volume that is handed on", |c| {
                c["HostConfig"]["Binds"] = json!([format!("{}:/data:rw", "9f".repeat(32))]);
            }),
            ("a client that is attached", |c| c["Config"]["AttachStdout"] = json!(true)),
        ];
        for (what, change) in same {
            assert_eq!(generation(change), first, "{what}");
        }
    }

    #[test]
    fn what_makes_another_container_makes_another_generation() {
        let first = generation(|_| ());
        let other: [(&str, Change); 10] = [
            ("port", |c| c["Config"]["ExposedPorts"] = json!({ "9090/tcp": {} })),
            ("tmpfs", |c| c["HostConfig"]["Tmpfs"] = json!({ "/scratch": "" })),
            ("image", |c| c["Image"] = json!("sha256:2222")),
            ("command", |c| c["Config"]["Cmd"] = json!(["fast", "serve"])),
            ("environment", |c| c["Config"]["Env"] = json!(["A=1", "B=3"])),
            ("label", |c| drop(labels(c).insert("team".into(), json!("other")))),
            ("limit", |c| c["HostConfig"]["Memory"] = json!(2048)),
            ("mount", |c| c["HostConfig"]["Binds"] = json!(["cache:/cache"])),
            ("network", |c| {
                c["NetworkSettings"]["Networks"]["shop_back"] = json!({});
            }),
            ("health check", |c| c["Config"]["Healthcheck"] = json!({ "Test": ["CMD", "true"] })),
        ];
        let mut all = vec![first];
        for (what, change) in other {
            let generation = generation(change);
            assert!(!all.contains(&generation), "{what}");
            all.push(generation);
        }
    }

    #[test]
    fn what_the_settings_add_counts_and_a_port_of_one_replica_does_not() {
        let signer = Signer::passing().unwrap();
        let settings = DockerSettings {
            command: vec!["--port={port}".into()],
            publish: Publish::HostNetwork,
            ..DockerSettings::new("web", 80)
        };
        let first = of_image(&settings, "sha256:1111", &signer);
        let renumbered = DockerSettings { port: 81, ..settings.clone() };
        assert_eq!(of_image(&renumbered, "sha256:1111", &signer), first);
        assert_ne!(of_image(&settings, "sha256:2222", &signer), first);
        let limited = DockerSettings { cpus: Some(0.5), ..settings };
        assert_ne!(of_image(&limited, "sha256:1111", &signer), first);
    }
}
