//! What happens to each field of a container in its copy. Copying, `flyball check` and
//! docs/reference/copies.md all follow this table. A field of a newer Docker that is not listed
//! fails the test that compares a container with its copy.

use serde_json::{Map, Value};

/// What becomes of one field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldRule {
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
Settings of the service (`command`, `env`, `labels`, `cpus`, `memory`, `log`) come on top. What Docker itself reports about a running container (its id, addresses, state) is left out here.

Not copied at all are a container that shares the network of another one (`network_mode: service:...` or `container:...`) and one in the host's network without `reach = \"host\"`:
`flyball check`, the log and `flyball status` report this.

| field | a copy's | |
|---|---|---|
";
const STATE: &str = "what Docker reports about the running container";
const ADDRESS: &str = "Docker gives each container an address";

/// Every field, in the order of `docker inspect`.
pub const FIELDS: &[(&str, FieldRule)] = &[
    ("AppArmorProfile", FieldRule::Anew("follows from HostConfig.SecurityOpt")),
    ("Args", FieldRule::Anew("follows from Config.Cmd")),
    ("Config.ArgsEscaped", FieldRule::Kept),
    ("Config.AttachStderr", FieldRule::Kept),
    ("Config.AttachStdin", FieldRule::Kept),
    ("Config.AttachStdout", FieldRule::Kept),
    ("Config.Cmd", FieldRule::Kept),
    ("Config.Domainname", FieldRule::Kept),
    ("Config.Entrypoint", FieldRule::Kept),
    (
        "Config.Env",
        FieldRule::Changed("with PORT, FLYBALL_SERVICE and FLYBALL_REPLICA of the copy"),
    ),
    ("Config.ExposedPorts", FieldRule::Changed("with the port of the service")),
    ("Config.Healthcheck", FieldRule::Kept),
    ("Config.Hostname", FieldRule::Changed("kept if it was set; otherwise the id of the copy")),
    ("Config.Image", FieldRule::Changed("by its id: the name may mean another image by now")),
    (
        "Config.Labels",
        FieldRule::Changed(
            "with flyball's own; Compose's number is the copy's, and Compose does not count it (oneoff)",
        ),
    ),
    ("Config.MacAddress", FieldRule::Dropped("no two containers may have one MAC address")),
    ("Config.NetworkDisabled", FieldRule::Kept),
    ("Config.OnBuild", FieldRule::Kept),
    ("Config.OpenStdin", FieldRule::Kept),
    ("Config.Shell", FieldRule::Kept),
    ("Config.StdinOnce", FieldRule::Kept),
    ("Config.StopSignal", FieldRule::Kept),
    ("Config.StopTimeout", FieldRule::Kept),
    ("Config.Tty", FieldRule::Kept),
    ("Config.User", FieldRule::Kept),
    ("Config.Volumes", FieldRule::Kept),
    ("Config.WorkingDir", FieldRule::Kept),
    ("Created", FieldRule::Anew(STATE)),
    ("Driver", FieldRule::Anew("the storage driver of the host")),
    ("ExecIDs", FieldRule::Anew(STATE)),
    ("GraphDriver", FieldRule::Anew("the file system of the copy")),
    ("HostConfig.Annotations", FieldRule::Kept),
    (
        "HostConfig.AutoRemove",
        FieldRule::Anew("flyball removes what it started, after it has read the last log lines"),
    ),
    (
        "HostConfig.Binds",
        FieldRule::Changed(
            "named volumes and folders are shared; an anonymous volume is a new one",
        ),
    ),
    ("HostConfig.BlkioDeviceReadBps", FieldRule::Kept),
    ("HostConfig.BlkioDeviceReadIOps", FieldRule::Kept),
    ("HostConfig.BlkioDeviceWriteBps", FieldRule::Kept),
    ("HostConfig.BlkioDeviceWriteIOps", FieldRule::Kept),
    ("HostConfig.BlkioWeight", FieldRule::Kept),
    ("HostConfig.BlkioWeightDevice", FieldRule::Kept),
    ("HostConfig.CapAdd", FieldRule::Kept),
    ("HostConfig.CapDrop", FieldRule::Kept),
    ("HostConfig.Capabilities", FieldRule::Dropped("use cap_add and cap_drop")),
    ("HostConfig.Cgroup", FieldRule::Kept),
    ("HostConfig.CgroupParent", FieldRule::Kept),
    ("HostConfig.CgroupnsMode", FieldRule::Kept),
    ("HostConfig.ConsoleSize", FieldRule::Kept),
    ("HostConfig.ContainerIDFile", FieldRule::Anew("a file for the id of one container")),
    ("HostConfig.CpuCount", FieldRule::Kept),
    ("HostConfig.CpuPercent", FieldRule::Kept),
    ("HostConfig.CpuPeriod", FieldRule::Kept),
    ("HostConfig.CpuQuota", FieldRule::Kept),
    ("HostConfig.CpuRealtimePeriod", FieldRule::Kept),
    ("HostConfig.CpuRealtimeRuntime", FieldRule::Kept),
    ("HostConfig.CpuShares", FieldRule::Kept),
    ("HostConfig.CpusetCpus", FieldRule::Kept),
    ("HostConfig.CpusetMems", FieldRule::Kept),
    ("HostConfig.DeviceCgroupRules", FieldRule::Kept),
    ("HostConfig.DeviceRequests", FieldRule::Kept),
    ("HostConfig.Devices", FieldRule::Kept),
    ("HostConfig.Dns", FieldRule::Kept),
    ("HostConfig.DnsOptions", FieldRule::Kept),
    ("HostConfig.DnsSearch", FieldRule::Kept),
    ("HostConfig.ExtraHosts", FieldRule::Kept),
    ("HostConfig.GroupAdd", FieldRule::Kept),
    ("HostConfig.IOMaximumBandwidth", FieldRule::Kept),
    ("HostConfig.IOMaximumIOps", FieldRule::Kept),
    ("HostConfig.Init", FieldRule::Kept),
    ("HostConfig.IpcMode", FieldRule::Kept),
    ("HostConfig.Isolation", FieldRule::Kept),
    ("HostConfig.KernelMemory", FieldRule::Dropped("Docker has dropped it; use mem_limit")),
    ("HostConfig.KernelMemoryTCP", FieldRule::Dropped("Docker has dropped it; use mem_limit")),
    ("HostConfig.Links", FieldRule::Changed("the same containers under the same names")),
    ("HostConfig.LogConfig", FieldRule::Kept),
    ("HostConfig.MaskedPaths", FieldRule::Kept),
    ("HostConfig.Memory", FieldRule::Kept),
    ("HostConfig.MemoryReservation", FieldRule::Kept),
    ("HostConfig.MemorySwap", FieldRule::Kept),
    ("HostConfig.MemorySwappiness", FieldRule::Kept),
    ("HostConfig.Mounts", FieldRule::Changed("as HostConfig.Binds")),
    ("HostConfig.NanoCpus", FieldRule::Kept),
    (
        "HostConfig.NetworkMode",
        FieldRule::Changed(
            "the original's first network; container:ID is refused, host needs reach = \"host\"",
        ),
    ),
    ("HostConfig.OomKillDisable", FieldRule::Kept),
    ("HostConfig.OomScoreAdj", FieldRule::Kept),
    ("HostConfig.PidMode", FieldRule::Kept),
    ("HostConfig.PidsLimit", FieldRule::Kept),
    (
        "HostConfig.PortBindings",
        FieldRule::Dropped(
            "a port of the host leads to one container; copies are published at free ports, or reached in a network",
        ),
    ),
    ("HostConfig.Privileged", FieldRule::Kept),
    ("HostConfig.PublishAllPorts", FieldRule::Anew("only the port of the service is published")),
    ("HostConfig.ReadonlyPaths", FieldRule::Kept),
    ("HostConfig.ReadonlyRootfs", FieldRule::Kept),
    (
        "HostConfig.RestartPolicy",
        FieldRule::Anew("no: flyball replaces what ends, so the daemon must not"),
    ),
    ("HostConfig.Runtime", FieldRule::Kept),
    ("HostConfig.SecurityOpt", FieldRule::Kept),
    ("HostConfig.ShmSize", FieldRule::Kept),
    ("HostConfig.StorageOpt", FieldRule::Kept),
    ("HostConfig.Sysctls", FieldRule::Kept),
    ("HostConfig.Tmpfs", FieldRule::Kept),
    ("HostConfig.UTSMode", FieldRule::Kept),
    ("HostConfig.Ulimits", FieldRule::Kept),
    ("HostConfig.UsernsMode", FieldRule::Kept),
    ("HostConfig.VolumeDriver", FieldRule::Kept),
    ("HostConfig.VolumesFrom", FieldRule::Kept),
    ("HostnamePath", FieldRule::Anew(STATE)),
    ("HostsPath", FieldRule::Anew(STATE)),
    ("Id", FieldRule::Anew(STATE)),
    ("Image", FieldRule::Kept),
    ("ImageManifestDescriptor", FieldRule::Anew("follows from Image")),
    ("LogPath", FieldRule::Anew(STATE)),
    ("MountLabel", FieldRule::Anew(STATE)),
    (
        "Mounts",
        FieldRule::Changed("follows from HostConfig.Binds, HostConfig.Mounts and Config.Volumes"),
    ),
    ("Name", FieldRule::Anew("a name leads to one container")),
    ("NetworkSettings.Bridge", FieldRule::Anew(ADDRESS)),
    ("NetworkSettings.EndpointID", FieldRule::Anew(ADDRESS)),
    ("NetworkSettings.Gateway", FieldRule::Anew(ADDRESS)),
    ("NetworkSettings.GlobalIPv6Address", FieldRule::Anew(ADDRESS)),
    ("NetworkSettings.GlobalIPv6PrefixLen", FieldRule::Anew(ADDRESS)),
    ("NetworkSettings.HairpinMode", FieldRule::Anew(ADDRESS)),
    ("NetworkSettings.IPAddress", FieldRule::Anew(ADDRESS)),
    ("NetworkSettings.IPPrefixLen", FieldRule::Anew(ADDRESS)),
    ("NetworkSettings.IPv6Gateway", FieldRule::Anew(ADDRESS)),
    ("NetworkSettings.LinkLocalIPv6Address", FieldRule::Anew(ADDRESS)),
    ("NetworkSettings.LinkLocalIPv6PrefixLen", FieldRule::Anew(ADDRESS)),
    ("NetworkSettings.MacAddress", FieldRule::Anew(ADDRESS)),
    (
        "NetworkSettings.Networks.*.Aliases",
        FieldRule::Changed("except the original's own name and id"),
    ),
    (
        "NetworkSettings.Networks.*.DNSNames",
        FieldRule::Anew("follows from the aliases and the name"),
    ),
    ("NetworkSettings.Networks.*.DriverOpts", FieldRule::Kept),
    ("NetworkSettings.Networks.*.EndpointID", FieldRule::Anew(ADDRESS)),
    ("NetworkSettings.Networks.*.Gateway", FieldRule::Anew(ADDRESS)),
    ("NetworkSettings.Networks.*.GlobalIPv6Address", FieldRule::Anew(ADDRESS)),
    ("NetworkSettings.Networks.*.GlobalIPv6PrefixLen", FieldRule::Anew(ADDRESS)),
    ("NetworkSettings.Networks.*.GwPriority", FieldRule::Kept),
    (
        "NetworkSettings.Networks.*.IPAMConfig",
        FieldRule::Dropped("no two containers may have one address"),
    ),
    ("NetworkSettings.Networks.*.IPAddress", FieldRule::Anew(ADDRESS)),
    ("NetworkSettings.Networks.*.IPPrefixLen", FieldRule::Anew(ADDRESS)),
    ("NetworkSettings.Networks.*.IPv6Gateway", FieldRule::Anew(ADDRESS)),
    ("NetworkSettings.Networks.*.Links", FieldRule::Kept),
    ("NetworkSettings.Networks.*.MacAddress", FieldRule::Anew(ADDRESS)),
    ("NetworkSettings.Networks.*.NetworkID", FieldRule::Kept),
    ("NetworkSettings.Ports", FieldRule::Anew("free ports of the host")),
    ("NetworkSettings.SandboxID", FieldRule::Anew(ADDRESS)),
    ("NetworkSettings.SandboxKey", FieldRule::Anew(ADDRESS)),
    ("NetworkSettings.SecondaryIPAddresses", FieldRule::Anew(ADDRESS)),
    ("NetworkSettings.SecondaryIPv6Addresses", FieldRule::Anew(ADDRESS)),
    ("Path", FieldRule::Anew("follows from Config.Entrypoint and Config.Cmd")),
    ("Platform", FieldRule::Kept),
    ("ProcessLabel", FieldRule::Anew(STATE)),
    ("ResolvConfPath", FieldRule::Anew(STATE)),
    ("RestartCount", FieldRule::Anew(STATE)),
    ("SizeRootFs", FieldRule::Anew(STATE)),
    ("SizeRw", FieldRule::Anew(STATE)),
    ("State", FieldRule::Anew(STATE)),
    ("Storage", FieldRule::Anew("the file system of the copy")),
];

/// What becomes of the field at `path`; `None` if that is not declared.
pub fn fate(path: &str) -> Option<FieldRule> {
    FIELDS.iter().find(|(name, _)| *name == path).map(|(_, fate)| *fate)
}

/// Takes out of a `section` what its copy does not get from it.
pub(crate) fn strip(section: &str, fields: &mut Map<String, Value>) {
    fields.retain(|name, _| {
        !matches!(
            fate(&format!("{section}.{name}")),
            Some(FieldRule::Dropped(_) | FieldRule::Anew(_))
        )
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
            FieldRule::Kept => ("kept", ""),
            FieldRule::Changed(why) => ("kept, changed", *why),
            FieldRule::Dropped(why) => ("not copied", *why),
            FieldRule::Anew(why) => ("its own", *why),
        };
        page += &format!("| `{path}` | {word} | {why} |\n");
    }
    page
}

/// Fields that say nothing about the container as it was configured.
fn is_own_state(fate: FieldRule) -> bool {
    matches!(fate, FieldRule::Anew(why) if why == STATE || why == ADDRESS)
}

/// Whether a field was set, that is, differs from its default. Volumes and ports are given as names
/// of nothing, `{ "/data": {} }`, which is something.
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
        assert_eq!(fate("Config.User"), Some(FieldRule::Kept));
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
