//! What becomes of each field of a container in its copy.
//!
//! The one declaration that copying, `flyball check` and docs/reference/copies.md go by. A field of
//! a newer Docker that is not in here fails the test that compares a container with its copy.

use serde_json::{Map, Value};

/// What becomes of one field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The copy has the same.
    Kept,
    /// The copy has it in a form of its own, or with something added.
    Changed(&'static str),
    /// The copy does not have it. `flyball check` says so where it is set.
    Dropped(&'static str),
    /// The copy gets one of its own, whatever the original has.
    Anew(&'static str),
}

/// The sections of an inspection whose fields are decided about one by one; everything else in it
/// is decided about as a whole.
pub const SECTIONS: [&str; 3] = ["Config", "HostConfig", "NetworkSettings"];
/// What is decided about one by one for each network.
pub const ENDPOINT: &str = "NetworkSettings.Networks.*";

const REFERENCE_HEAD: &str = "\
# What a copy keeps

Without an `image`, replicas are copies of the newest container that is labelled `flyball.service=NAME`.
The names are those of `docker inspect`. `flyball check` prints a line for each field that is set and not copied, and for each that this version of flyball does not know.
Settings of the service (`command`, `env`, `labels`, `cpus`, `memory`, `log`) come on top. What Docker itself says of a running container (its id, addresses, state) is left out here.

Not copied at all are a container that shares the network of another one (`network_mode: service:...` or `container:...`) and one in the host's network without `reach = \"host\"`:
`flyball check`, the log and `flyball status` say so.

| field | a copy's | |
|---|---|---|
";
const STATE: &str = "what Docker says of the running container";
const ADDRESS: &str = "Docker gives each container an address";

/// Every field, in the order of `docker inspect`.
pub const FIELDS: &[(&str, Fate)] = &[
    ("AppArmorProfile", Fate::Anew("follows from HostConfig.SecurityOpt")),
    ("Args", Fate::Anew("follows from Config.Cmd")),
    ("Config.ArgsEscaped", Fate::Kept),
    ("Config.AttachStderr", Fate::Kept),
    ("Config.AttachStdin", Fate::Kept),
    ("Config.AttachStdout", Fate::Kept),
    ("Config.Cmd", Fate::Kept),
    ("Config.Domainname", Fate::Kept),
    ("Config.Entrypoint", Fate::Kept),
    ("Config.Env", Fate::Changed("with PORT, FLYBALL_SERVICE and FLYBALL_REPLICA of the copy")),
    ("Config.ExposedPorts", Fate::Changed("with the port of the service")),
    ("Config.Healthcheck", Fate::Kept),
    ("Config.Hostname", Fate::Changed("kept if somebody set it; else the id of the copy")),
    ("Config.Image", Fate::Changed("by its id: the name may stand for another image by now")),
    ("Config.Labels", Fate::Changed("with flyball's own; Compose's number is the copy's")),
    ("Config.MacAddress", Fate::Dropped("no two containers may have one MAC address")),
    ("Config.NetworkDisabled", Fate::Kept),
    ("Config.OnBuild", Fate::Kept),
    ("Config.OpenStdin", Fate::Kept),
    ("Config.Shell", Fate::Kept),
    ("Config.StdinOnce", Fate::Kept),
    ("Config.StopSignal", Fate::Kept),
    ("Config.StopTimeout", Fate::Kept),
    ("Config.Tty", Fate::Kept),
    ("Config.User", Fate::Kept),
    ("Config.Volumes", Fate::Kept),
    ("Config.WorkingDir", Fate::Kept),
    ("Created", Fate::Anew(STATE)),
    ("Driver", Fate::Anew("the storage driver of the host")),
    ("ExecIDs", Fate::Anew(STATE)),
    ("GraphDriver", Fate::Anew("the file system of the copy")),
    ("HostConfig.Annotations", Fate::Kept),
    (
        "HostConfig.AutoRemove",
        Fate::Anew("flyball removes what it started, with its last lines read"),
    ),
    (
        "HostConfig.Binds",
        Fate::Changed("named volumes and folders are shared; an anonymous volume is a new one"),
    ),
    ("HostConfig.BlkioDeviceReadBps", Fate::Kept),
    ("HostConfig.BlkioDeviceReadIOps", Fate::Kept),
    ("HostConfig.BlkioDeviceWriteBps", Fate::Kept),
    ("HostConfig.BlkioDeviceWriteIOps", Fate::Kept),
    ("HostConfig.BlkioWeight", Fate::Kept),
    ("HostConfig.BlkioWeightDevice", Fate::Kept),
    ("HostConfig.CapAdd", Fate::Kept),
    ("HostConfig.CapDrop", Fate::Kept),
    ("HostConfig.Capabilities", Fate::Dropped("use cap_add and cap_drop")),
    ("HostConfig.Cgroup", Fate::Kept),
    ("HostConfig.CgroupParent", Fate::Kept),
    ("HostConfig.CgroupnsMode", Fate::Kept),
    ("HostConfig.ConsoleSize", Fate::Kept),
    ("HostConfig.ContainerIDFile", Fate::Anew("a file for the id of one container")),
    ("HostConfig.CpuCount", Fate::Kept),
    ("HostConfig.CpuPercent", Fate::Kept),
    ("HostConfig.CpuPeriod", Fate::Kept),
    ("HostConfig.CpuQuota", Fate::Kept),
    ("HostConfig.CpuRealtimePeriod", Fate::Kept),
    ("HostConfig.CpuRealtimeRuntime", Fate::Kept),
    ("HostConfig.CpuShares", Fate::Kept),
    ("HostConfig.CpusetCpus", Fate::Kept),
    ("HostConfig.CpusetMems", Fate::Kept),
    ("HostConfig.DeviceCgroupRules", Fate::Kept),
    ("HostConfig.DeviceRequests", Fate::Kept),
    ("HostConfig.Devices", Fate::Kept),
    ("HostConfig.Dns", Fate::Kept),
    ("HostConfig.DnsOptions", Fate::Kept),
    ("HostConfig.DnsSearch", Fate::Kept),
    ("HostConfig.ExtraHosts", Fate::Kept),
    ("HostConfig.GroupAdd", Fate::Kept),
    ("HostConfig.IOMaximumBandwidth", Fate::Kept),
    ("HostConfig.IOMaximumIOps", Fate::Kept),
    ("HostConfig.Init", Fate::Kept),
    ("HostConfig.IpcMode", Fate::Kept),
    ("HostConfig.Isolation", Fate::Kept),
    ("HostConfig.KernelMemory", Fate::Dropped("Docker has given it up; use mem_limit")),
    ("HostConfig.KernelMemoryTCP", Fate::Dropped("Docker has given it up; use mem_limit")),
    ("HostConfig.Links", Fate::Changed("the same containers under the same names")),
    ("HostConfig.LogConfig", Fate::Kept),
    ("HostConfig.MaskedPaths", Fate::Kept),
    ("HostConfig.Memory", Fate::Kept),
    ("HostConfig.MemoryReservation", Fate::Kept),
    ("HostConfig.MemorySwap", Fate::Kept),
    ("HostConfig.MemorySwappiness", Fate::Kept),
    ("HostConfig.Mounts", Fate::Changed("as HostConfig.Binds")),
    ("HostConfig.NanoCpus", Fate::Kept),
    (
        "HostConfig.NetworkMode",
        Fate::Changed(
            "the original's first network; container:ID is refused, host needs reach = \"host\"",
        ),
    ),
    ("HostConfig.OomKillDisable", Fate::Kept),
    ("HostConfig.OomScoreAdj", Fate::Kept),
    ("HostConfig.PidMode", Fate::Kept),
    ("HostConfig.PidsLimit", Fate::Kept),
    (
        "HostConfig.PortBindings",
        Fate::Dropped(
            "a port of the host leads to one container; copies are published at free ports, or reached in a network",
        ),
    ),
    ("HostConfig.Privileged", Fate::Kept),
    ("HostConfig.PublishAllPorts", Fate::Anew("only the port of the service is published")),
    ("HostConfig.ReadonlyPaths", Fate::Kept),
    ("HostConfig.ReadonlyRootfs", Fate::Kept),
    (
        "HostConfig.RestartPolicy",
        Fate::Anew("no: flyball replaces what ends, so that the daemon does not"),
    ),
    ("HostConfig.Runtime", Fate::Kept),
    ("HostConfig.SecurityOpt", Fate::Kept),
    ("HostConfig.ShmSize", Fate::Kept),
    ("HostConfig.StorageOpt", Fate::Kept),
    ("HostConfig.Sysctls", Fate::Kept),
    ("HostConfig.Tmpfs", Fate::Kept),
    ("HostConfig.UTSMode", Fate::Kept),
    ("HostConfig.Ulimits", Fate::Kept),
    ("HostConfig.UsernsMode", Fate::Kept),
    ("HostConfig.VolumeDriver", Fate::Kept),
    ("HostConfig.VolumesFrom", Fate::Kept),
    ("HostnamePath", Fate::Anew(STATE)),
    ("HostsPath", Fate::Anew(STATE)),
    ("Id", Fate::Anew(STATE)),
    ("Image", Fate::Kept),
    ("ImageManifestDescriptor", Fate::Anew("follows from Image")),
    ("LogPath", Fate::Anew(STATE)),
    ("MountLabel", Fate::Anew(STATE)),
    (
        "Mounts",
        Fate::Changed("follows from HostConfig.Binds, HostConfig.Mounts and Config.Volumes"),
    ),
    ("Name", Fate::Anew("a name leads to one container")),
    ("NetworkSettings.Bridge", Fate::Anew(ADDRESS)),
    ("NetworkSettings.EndpointID", Fate::Anew(ADDRESS)),
    ("NetworkSettings.Gateway", Fate::Anew(ADDRESS)),
    ("NetworkSettings.GlobalIPv6Address", Fate::Anew(ADDRESS)),
    ("NetworkSettings.GlobalIPv6PrefixLen", Fate::Anew(ADDRESS)),
    ("NetworkSettings.HairpinMode", Fate::Anew(ADDRESS)),
    ("NetworkSettings.IPAddress", Fate::Anew(ADDRESS)),
    ("NetworkSettings.IPPrefixLen", Fate::Anew(ADDRESS)),
    ("NetworkSettings.IPv6Gateway", Fate::Anew(ADDRESS)),
    ("NetworkSettings.LinkLocalIPv6Address", Fate::Anew(ADDRESS)),
    ("NetworkSettings.LinkLocalIPv6PrefixLen", Fate::Anew(ADDRESS)),
    ("NetworkSettings.MacAddress", Fate::Anew(ADDRESS)),
    ("NetworkSettings.Networks.*.Aliases", Fate::Changed("but for the original's own name and id")),
    ("NetworkSettings.Networks.*.DNSNames", Fate::Anew("follows from the aliases and the name")),
    ("NetworkSettings.Networks.*.DriverOpts", Fate::Kept),
    ("NetworkSettings.Networks.*.EndpointID", Fate::Anew(ADDRESS)),
    ("NetworkSettings.Networks.*.Gateway", Fate::Anew(ADDRESS)),
    ("NetworkSettings.Networks.*.GlobalIPv6Address", Fate::Anew(ADDRESS)),
    ("NetworkSettings.Networks.*.GlobalIPv6PrefixLen", Fate::Anew(ADDRESS)),
    ("NetworkSettings.Networks.*.GwPriority", Fate::Kept),
    (
        "NetworkSettings.Networks.*.IPAMConfig",
        Fate::Dropped("no two containers may have one address"),
    ),
    ("NetworkSettings.Networks.*.IPAddress", Fate::Anew(ADDRESS)),
    ("NetworkSettings.Networks.*.IPPrefixLen", Fate::Anew(ADDRESS)),
    ("NetworkSettings.Networks.*.IPv6Gateway", Fate::Anew(ADDRESS)),
    ("NetworkSettings.Networks.*.Links", Fate::Kept),
    ("NetworkSettings.Networks.*.MacAddress", Fate::Anew(ADDRESS)),
    ("NetworkSettings.Networks.*.NetworkID", Fate::Kept),
    ("NetworkSettings.Ports", Fate::Anew("free ports of the host")),
    ("NetworkSettings.SandboxID", Fate::Anew(ADDRESS)),
    ("NetworkSettings.SandboxKey", Fate::Anew(ADDRESS)),
    ("NetworkSettings.SecondaryIPAddresses", Fate::Anew(ADDRESS)),
    ("NetworkSettings.SecondaryIPv6Addresses", Fate::Anew(ADDRESS)),
    ("Path", Fate::Anew("follows from Config.Entrypoint and Config.Cmd")),
    ("Platform", Fate::Kept),
    ("ProcessLabel", Fate::Anew(STATE)),
    ("ResolvConfPath", Fate::Anew(STATE)),
    ("RestartCount", Fate::Anew(STATE)),
    ("SizeRootFs", Fate::Anew(STATE)),
    ("SizeRw", Fate::Anew(STATE)),
    ("State", Fate::Anew(STATE)),
    ("Storage", Fate::Anew("the file system of the copy")),
];

/// What becomes of the field at `path`; `None` if nobody has decided that.
pub fn fate(path: &str) -> Option<Fate> {
    FIELDS.iter().find(|(name, _)| *name == path).map(|(_, fate)| *fate)
}

/// Takes out of a `section` what its copy does not get from it.
pub(crate) fn strip(section: &str, fields: &mut Map<String, Value>) {
    fields.retain(|name, _| {
        !matches!(fate(&format!("{section}.{name}")), Some(Fate::Dropped(_) | Fate::Anew(_)))
    });
}

/// Every field of an inspection with its path as in [`FIELDS`], in the order of the paths.
pub fn fields(inspection: &Value) -> Vec<(String, &Value)> {
    let mut found = Vec::new();
    for (name, value) in inspection.as_object().into_iter().flatten() {
        if !SECTIONS.contains(&name.as_str()) {
            found.push((name.clone(), value));
            continue;
        }
        for (inner, value) in value.as_object().into_iter().flatten() {
            if inner != "Networks" {
                found.push((format!("{name}.{inner}"), value));
                continue;
            }
            let networks = value.as_object().into_iter().flat_map(Map::values);
            let endpoints = networks.filter_map(Value::as_object).flatten();
            found.extend(endpoints.map(|(field, value)| (format!("{ENDPOINT}.{field}"), value)));
        }
    }
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    found
}

/// The page for users: docs/reference/copies.md.
pub fn reference() -> String {
    let mut page = REFERENCE_HEAD.to_owned();
    let mut decided: Vec<_> = FIELDS.iter().filter(|(_, fate)| !is_own_state(*fate)).collect();
    decided.sort_by_key(|(path, _)| *path);
    for (path, fate) in decided {
        let (word, why) = match fate {
            Fate::Kept => ("kept", ""),
            Fate::Changed(why) => ("kept, changed", *why),
            Fate::Dropped(why) => ("not copied", *why),
            Fate::Anew(why) => ("its own", *why),
        };
        page += &format!("| `{path}` | {word} | {why} |\n");
    }
    page
}

/// What says nothing about the container that somebody wrote down.
fn is_own_state(fate: Fate) -> bool {
    matches!(fate, Fate::Anew(why) if why == STATE || why == ADDRESS)
}

/// Whether anybody set a field: everything but what it is where nobody did. Volumes and ports are
/// told as names of nothing, `{ "/data": {} }`, which is something.
pub fn is_set(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(on) => *on,
        Value::Number(number) => number.as_f64().is_some_and(|number| number != 0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => items.iter().any(is_set),
        Value::Object(fields) => {
            let named = |value: &Value| value.as_object().is_some_and(Map::is_empty);
            fields.values().any(|value| named(value) || is_set(value))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;

    #[test]
    fn each_field_is_decided_about_once() {
        let names: BTreeSet<&str> = FIELDS.iter().map(|(name, _)| *name).collect();
        assert_eq!(names.len(), FIELDS.len());
        assert_eq!(fate("Config.User"), Some(Fate::Kept));
        assert_eq!(fate("Config.Userr"), None);
    }

    #[test]
    fn a_section_keeps_what_nobody_decided_about() {
        let mut section = json!({
            "Memory": 1, "RestartPolicy": { "Name": "always" }, "KernelMemory": 1, "Future": true,
        });
        let fields = section.as_object_mut().unwrap();
        strip("HostConfig", fields);
        assert_eq!(fields.keys().collect::<Vec<_>>(), ["Future", "Memory"]);
    }

    #[test]
    fn fields_of_all_networks_have_one_path_and_zeros_are_not_set() {
        let inspection = json!({
            "Id": "4a",
            "Config": { "User": "", "Tty": false },
            "NetworkSettings": { "Ports": {}, "Networks": {
                "a": { "IPAMConfig": { "IPv4Address": "10.0.0.2" } },
                "b": { "IPAMConfig": { "IPv4Address": "" } },
            } },
        });
        let found = fields(&inspection);
        let set: Vec<&str> =
            found.iter().filter(|(_, v)| is_set(v)).map(|(path, _)| path.as_str()).collect();
        assert_eq!(set, ["Id", "NetworkSettings.Networks.*.IPAMConfig"]);
        assert_eq!(found.len(), 6);
    }
}
