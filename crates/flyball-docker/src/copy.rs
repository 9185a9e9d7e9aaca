//! Copies a container: what the copy keeps, and what prevents a copy.
//!
//! The treatment of each field is declared in [`fields`].

pub mod fields;

use std::collections::BTreeMap;

use bollard::models::{
    ContainerCreateBody, ContainerInspectResponse, EndpointSettings, HostConfig, Mount, MountType,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::labels::{COMPOSE_NUMBER, COMPOSE_PROJECT, COMPOSE_SERVICE, PORT};
use crate::networks::{BalancerPlace, Networks, labels_of, mode_of, name_of};
use crate::settings::Publish;
use crate::{DockerError, DockerSettings};

/// Docker names an unnamed volume with this many digits of a random number.
const ANONYMOUS_DIGITS: usize = 64;
/// As many digits of its id as Docker uses for a container's host name and for an alias.
const SHORT_ID: usize = 12;

/// The networks of a copy.
#[derive(Debug)]
pub(crate) struct CopiedNetworks {
    /// The one that it is created with; the same as the original's.
    pub(crate) first: Option<String>,
    pub(crate) all: BTreeMap<String, EndpointSettings>,
}

/// The body of a request that makes the same container as `template`, but for its networks.
///
/// # Errors
/// A configuration that cannot be taken over, in the parser's words.
pub(crate) fn body_of(
    template: &ContainerInspectResponse,
) -> Result<ContainerCreateBody, serde_json::Error> {
    let id = template.id.as_deref().unwrap_or_default();
    let mut body: ContainerCreateBody = section("Config", template.config.as_ref())?;
    let mut host: HostConfig = section("HostConfig", template.host_config.as_ref())?;
    // By its id: the name may stand for another image by now.
    body.image = template.image.clone().or(body.image);
    let shares_name = mode_of(template) == Some("host") || host.uts_mode.as_deref() == Some("host");
    body.hostname = body.hostname.filter(|name| !is_short_id(name, id) && !shares_name);
    host.links = host.links.map(|links| links.iter().map(|link| as_written(link)).collect());
    renew_anonymous_volumes(&mut host);
    body.host_config = Some(host);
    Ok(body)
}

/// The networks of `template`, each with the same aliases and links.
pub(crate) fn networks_of(template: &ContainerInspectResponse) -> CopiedNetworks {
    let (id, name) = (template.id.as_deref().unwrap_or_default(), name_of(template));
    let final_name = without_replacing(name);
    let shared = |alias: &String| alias != name && alias != final_name && !is_short_id(alias, id);
    let networks = Networks::of(template);
    let copied = |network: String| {
        let old = networks.get(&network)?;
        let kept: Vec<String> =
            old.aliases.iter().flatten().filter(|alias| shared(alias)).cloned().collect();
        let endpoint = EndpointSettings {
            // Docker's default networks refuse aliases, also an empty list of them.
            aliases: (!kept.is_empty()).then_some(kept),
            links: old.links.clone().filter(|links| !links.is_empty()),
            driver_opts: old.driver_opts.clone(),
            gw_priority: old.gw_priority,
            ..EndpointSettings::default()
        };
        Some((network, endpoint))
    };
    let all: BTreeMap<_, _> = networks.names().into_iter().filter_map(copied).collect();
    let first = mode_of(template).filter(|mode| all.contains_key(*mode)).map(str::to_owned);
    CopiedNetworks { first, all }
}

/// Why no copy of `template` could serve.
///
/// # Errors
/// Each is something that its owner can change, and says what.
pub(crate) fn refuse(
    template: &ContainerInspectResponse,
    settings: &DockerSettings,
    balancer: &BalancerPlace,
) -> Result<(), DockerError> {
    let container = || name_of(template).to_owned();
    let mode = mode_of(template).unwrap_or_default();
    if let Some(with) = mode.strip_prefix("container:") {
        let with = with.get(..SHORT_ID).unwrap_or(with).to_owned();
        return Err(DockerError::SharesNetwork { container: container(), with });
    }
    if mode == "host" {
        let labelled = labels_of(template).and_then(|labels| labels.get(PORT)?.parse().ok());
        let port = labelled.unwrap_or(settings.port);
        let asked = settings.publish == Publish::HostNetwork;
        return if asked {
            Ok(())
        } else {
            Err(DockerError::HostNetwork { container: container(), port })
        };
    }
    let networks = Networks::of(template);
    match &settings.publish {
        Publish::HostNetwork => Ok(()),
        Publish::ContainerAddress { network } => {
            networks.reached(network.as_deref(), balancer).map(drop)
        }
        Publish::Address(_) if mode == "none" => {
            Err(DockerError::NoNetwork { container: container() })
        }
        Publish::Address(_) => {
            settings.networks.iter().try_for_each(|name| networks.named(name).map(drop))
        }
    }
}

/// What a copy of the container in `inspection`, the daemon's whole answer, does not take over: a
/// sentence for each field that was set, and for each that flyball does not know.
pub(crate) fn losses(inspection: &Value) -> Vec<String> {
    let mut lost: Vec<String> = Vec::new();
    for (path, value) in fields::fields(inspection) {
        match fields::fate(&path) {
            Some(fields::FieldRule::Dropped(why)) if is_lost(&path, value) => {
                lost.push(format!(
                    "copies do not have its {path} ({}): {why}",
                    shown(&path, value)
                ));
            }
            None if fields::is_set(value) => lost.push(format!(
                "flyball does not know the field {path} of this Docker: copies do not have it"
            )),
            _ => {}
        }
    }
    lost.extend(lost_name(inspection));
    lost.dedup();
    lost
}

/// `container_name` of a Compose file: Compose would have named it after the service.
fn lost_name(inspection: &Value) -> Option<String> {
    let label = |name: &str| inspection["Config"]["Labels"][name].as_str();
    let (project, service) = (label(COMPOSE_PROJECT)?, label(COMPOSE_SERVICE)?);
    let number = label(COMPOSE_NUMBER)?;
    let name = inspection["Name"].as_str()?.trim_start_matches('/');
    let usual = ["-", "_"].map(|dash| [project, service, number].join(dash));
    let lost = !usual.iter().any(|usual| usual == name);
    lost.then(|| {
        format!("copies do not have its name {name}: they are called {project}-{service}-fb-NUMBER")
    })
}

fn is_lost(path: &str, value: &Value) -> bool {
    if path == "HostConfig.PortBindings" {
        fixed_ports(value).next().is_some()
    } else {
        fields::is_set(value)
    }
}

fn shown(path: &str, value: &Value) -> String {
    if path == "HostConfig.PortBindings" {
        return fixed_ports(value).collect::<Vec<_>>().join(", ");
    }
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The ports of the host that are bound to a number: `80/tcp at 8000`.
fn fixed_ports(bindings: &Value) -> impl Iterator<Item = String> {
    let ports = bindings.as_object().into_iter().flatten();
    ports.flat_map(|(inside, bound)| {
        let numbers = bound.as_array().into_iter().flatten().filter_map(|b| b["HostPort"].as_str());
        let fixed = numbers.filter(|number| !number.is_empty() && *number != "0");
        fixed.map(move |number| format!("{inside} at {number}"))
    })
}

/// `old` as a part of a request, without what its copy does not get.
fn section<T: DeserializeOwned>(
    name: &str,
    old: Option<&impl serde::Serialize>,
) -> Result<T, serde_json::Error> {
    let mut value = old.map_or_else(|| Ok(json!({})), serde_json::to_value)?;
    if let Some(fields) = value.as_object_mut() {
        fields::strip(name, fields);
    }
    serde_json::from_value(value)
}

/// Whether `name` is Docker's default name of the container `id`.
fn is_short_id(name: &str, id: &str) -> bool {
    id.get(..SHORT_ID) == Some(name)
}

/// The name that Compose gives to a container once the one that it replaces is gone: until then, an
/// id stands in front of it.
fn without_replacing(name: &str) -> &str {
    let hex = |id: &str| id.len() == SHORT_ID && id.bytes().all(|b| b.is_ascii_hexdigit());
    name.split_once('_').filter(|(id, _)| hex(id)).map_or(name, |(_, name)| name)
}

/// A link as it is asked for, `db:database`, from what is reported of it:
/// `/shop_db_1:/shop_web_1/database`.
fn as_written(told: &str) -> String {
    match told.split_once(':') {
        Some((to, name)) => {
            let name = name.rsplit('/').next().unwrap_or(name);
            format!("{}:{name}", to.trim_start_matches('/'))
        }
        None => told.to_owned(),
    }
}

/// An unnamed volume belongs to one container. Compose hands it on by its name when it recreates a
/// container; a copy gets a new one at the same place.
pub(crate) fn renew_anonymous_volumes(host: &mut HostConfig) {
    let (anonymous, binds): (Vec<String>, Vec<String>) = host
        .binds
        .take()
        .unwrap_or_default()
        .into_iter()
        .partition(|bind| bind.split(':').next().is_some_and(is_anonymous));
    host.binds = (!binds.is_empty()).then_some(binds);
    let mut mounts = host.mounts.take().unwrap_or_default();
    for mount in &mut mounts {
        if mount.typ == Some(MountType::VOLUME) && mount.source.as_deref().is_some_and(is_anonymous)
        {
            mount.source = None;
        }
    }
    mounts.extend(anonymous.iter().filter_map(|bind| {
        let mut parts = bind.split(':').skip(1);
        let (target, options) = (parts.next()?.to_owned(), parts.next().unwrap_or_default());
        let read_only = options.split(',').any(|option| option == "ro").then_some(true);
        let (typ, target) = (Some(MountType::VOLUME), Some(target));
        Some(Mount { typ, target, read_only, ..Mount::default() })
    }));
    host.mounts = (!mounts.is_empty()).then_some(mounts);
}

fn is_anonymous(volume: &str) -> bool {
    volume.len() == ANONYMOUS_DIGITS && volume.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'))
}

#[cfg(test)]
mod tests {
    use flyball_engine::Hint as _;

    use super::*;

    const ID: &str = "4a9ce1d80f00b2c3d4e5";

    fn template(change: impl FnOnce(&mut Value)) -> ContainerInspectResponse {
        let mut answer = json!({
            "Id": ID, "Name": "/shop-web-1", "Image": "sha256:1111",
            "Config": { "Hostname": "4a9ce1d80f00", "StopTimeout": 30, "StopSignal": "SIGQUIT" },
            "HostConfig": { "NetworkMode": "shop_front" },
            "NetworkSettings": { "Networks": { "shop_front": {}, "shop_back": {} } },
        });
        change(&mut answer);
        serde_json::from_value(answer).unwrap()
    }

    #[test]
    fn a_name_that_begins_as_the_id_is_not_taken_for_the_id() {
        let host = |name: &str| body_of(&template(|t| t["Config"]["Hostname"] = json!(name)));
        assert_eq!(host("4a9ce1d80f00").unwrap().hostname, None);
        assert_eq!(host("4").unwrap().hostname.as_deref(), Some("4"));
        let shared = template(|t| t["HostConfig"]["UTSMode"] = json!("host"));
        assert_eq!(body_of(&shared).unwrap().hostname, None);
    }

    #[test]
    fn signal_and_grace_are_kept() {
        let body = body_of(&template(|_| ())).unwrap();
        assert_eq!((body.stop_signal.as_deref(), body.stop_timeout), (Some("SIGQUIT"), Some(30)));
    }

    #[test]
    fn anonymous_volumes_are_new_ones_and_named_ones_are_shared() {
        let random = "9f".repeat(32);
        let old = template(|t| {
            t["HostConfig"]["Binds"] = json!([
                format!("{random}:/data"),
                format!("{random}:/seed:ro,z"),
                "cache:/c:rw",
                "/srv:/srv"
            ]);
            t["HostConfig"]["Mounts"] = json!([
                { "Type": "volume", "Source": random, "Target": "/more" },
                { "Type": "volume", "Source": "cache", "Target": "/cache" },
            ]);
        });
        let host = body_of(&old).unwrap().host_config.unwrap();
        assert_eq!(host.binds.unwrap(), ["cache:/c:rw", "/srv:/srv"]);
        let mounts = host.mounts.unwrap();
        let seen: Vec<_> = mounts
            .iter()
            .map(|m| (m.target.as_deref().unwrap(), m.source.as_deref(), m.read_only))
            .collect();
        assert_eq!(
            seen,
            [
                ("/more", None, None),
                ("/cache", Some("cache"), None),
                ("/data", None, None),
                ("/seed", None, Some(true)),
            ]
        );
    }

    #[test]
    fn links_are_asked_for_as_they_were_written() {
        assert_eq!(as_written("/shop_db_1:/shop_web_1/database"), "shop_db_1:database");
        assert_eq!(as_written("db:database"), "db:database");
        assert_eq!(as_written("db"), "db");
    }

    #[test]
    fn all_networks_come_along_with_their_aliases_and_links() {
        let old = template(|t| {
            t["NetworkSettings"]["Networks"] = json!({
                "shop_front": {
                    "Aliases": ["web", "4a9ce1d80f00", "shop-web-1"], "IPAddress": "10.0.0.2",
                    "MacAddress": "02:42:0a:00:00:02", "IPAMConfig": { "IPv4Address": "10.0.0.2" },
                },
                "shop_back": { "Links": ["shop-db-1:db"], "Aliases": ["4", "web"] },
            });
        });
        let CopiedNetworks { first, all } = networks_of(&old);
        assert_eq!(first.as_deref(), Some("shop_front"));
        let front = EndpointSettings { aliases: Some(vec!["web".into()]), ..Default::default() };
        let back = EndpointSettings {
            aliases: Some(vec!["4".into(), "web".into()]),
            links: Some(vec!["shop-db-1:db".into()]),
            ..Default::default()
        };
        assert_eq!(all, BTreeMap::from([("shop_back".into(), back), ("shop_front".into(), front)]));
    }

    fn refusal(mode: &str, publish: Publish) -> Option<String> {
        let old = template(|t| {
            t["HostConfig"]["NetworkMode"] = json!(mode);
            if !mode.starts_with("shop") {
                t["NetworkSettings"]["Networks"] = json!({});
            }
        });
        let settings = DockerSettings { publish, ..DockerSettings::new("web", 80) };
        let refused = refuse(&old, &settings, &BalancerPlace::Unknown).err();
        refused.map(|error| error.with_hint())
    }

    #[test]
    fn what_cannot_be_copied_is_refused_in_words() {
        let vpn = refusal("container:0123456789abcdef", Publish::default()).unwrap();
        assert!(vpn.contains("shop-web-1") && vpn.contains("0123456789ab"), "{vpn}");
        let host = refusal("host", Publish::default()).unwrap();
        assert!(host.contains("port 80") && host.contains("reach"), "{host}");
        assert_eq!(refusal("host", Publish::HostNetwork), None);
        assert!(refusal("none", Publish::default()).unwrap().contains("no network"));
        assert_eq!(refusal("shop_front", Publish::default()), None);
        let unclear = refusal("shop_front", Publish::ContainerAddress { network: None }).unwrap();
        assert!(
            unclear.contains("shop_back, shop_front") && unclear.contains("network"),
            "{unclear}"
        );
        let named = Publish::ContainerAddress { network: Some("shop_back".into()) };
        assert_eq!(refusal("shop_front", named), None);
    }

    #[test]
    fn what_a_copy_loses_is_said_field_by_field() {
        let said = losses(&json!({
            "Name": "/shop",
            "Config": { "MacAddress": "02:42:0a:00:00:02", "Labels": {
                COMPOSE_PROJECT: "blue", COMPOSE_SERVICE: "web", COMPOSE_NUMBER: "1",
            } },
            "HostConfig": { "KernelMemory": 0, "Future": 1, "PortBindings": {
                "80/tcp": [{ "HostIp": "", "HostPort": "8000" }],
                "81/tcp": [{ "HostIp": "127.0.0.1", "HostPort": "" }],
            } },
            "NetworkSettings": { "Networks": { "a": { "IPAMConfig": { "IPv4Address": "10.0.0.2" } } } },
        }));
        let begin = |text: &str| said.iter().filter(|line| line.contains(text)).count();
        assert_eq!(said.len(), 5, "{said:#?}");
        for text in
            ["MacAddress (02:42", "(80/tcp at 8000)", "10.0.0.2", "HostConfig.Future", "name shop:"]
        {
            assert_eq!(begin(text), 1, "{text}: {said:#?}");
        }
        let usual = json!({ "Name": "/blue_web_1", "Config": { "Labels": {
            COMPOSE_PROJECT: "blue", COMPOSE_SERVICE: "web", COMPOSE_NUMBER: "1",
        } } });
        assert_eq!(losses(&usual), Vec::<String>::new());
    }
}
