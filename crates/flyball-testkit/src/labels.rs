//! Every label of the reference, with a value that reaches beyond what a container has, and labels
//! that no longer exist.

use flyball_config::reference;

/// One label.
pub struct Label {
    pub name: String,
    pub value: &'static str,
    pub allowed: Allowed,
}

/// Whether it may be given, by the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowed {
    Always,
    WithPermission,
    Never,
}

impl Label {
    /// What the operator permits.
    pub fn permission(&self) -> String {
        let key = self.name.trim_start_matches("flyball.").replace('-', "_");
        match key.split_once(".driver") {
            Some((key, _)) => key.to_owned(),
            None if key.starts_with("haproxy.template") => "haproxy.template".to_owned(),
            None => key,
        }
    }
}

/// All of them.
pub fn every_label() -> Vec<Label> {
    let page = reference();
    let (_, table) = page.split_once("| label | key | allowed |").unwrap();
    let mut all = Vec::new();
    for line in table.lines().filter(|line| line.starts_with("| `flyball.")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let name = cells[1].trim_matches('`').replace(".NAME", ".driver");
        let allowed = match cells[3] {
            "yes" => Allowed::Always,
            "with permission" | "up to the container's own, or with permission" => {
                Allowed::WithPermission
            }
            other => panic!("{name}: {other}"),
        };
        all.push(Label { value: value_for(&name), name, allowed });
    }
    assert!(all.len() >= 43, "only {} labels were found in the reference", all.len());
    for never in [
        "flyball.haproxy.file",
        "flyball.haproxy.lines",
        "flyball.adopt",
        "flyball.directory",
        "flyball.engine",
        "flyball.swarm-service",
        "flyball.app",
    ] {
        let (name, value) = (never.to_owned(), value_for(never));
        all.push(Label { name, value, allowed: Allowed::Never });
    }
    all
}

/// The label `name` with `value` and what a service needs beside it.
pub fn beside(name: &str, value: &str) -> Vec<(String, String)> {
    let mut labels = vec![("flyball.port", "80"), ("flyball.balancer", "haproxy")];
    labels.retain(|(known, _)| *known != name);
    labels.push((name, value));
    if name.starts_with("flyball.haproxy.template.") {
        let other = ["flyball.haproxy.template.count", "flyball.haproxy.template.prefix"];
        labels.extend(other.iter().filter(|it| **it != name).map(|it| (*it, "7")));
    }
    if name.starts_with("flyball.sleep.") {
        labels.push(("flyball.min", "0"));
    }
    if name == "flyball.sleep.ignore" {
        labels.push(("flyball.listen", "127.0.0.1:0"));
    }
    if ["flyball.listen", "flyball.sleep.ignore"].contains(&name) {
        labels.retain(|(known, _)| *known != "flyball.balancer");
    }
    labels.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn value_for(label: &str) -> &'static str {
    match label.rsplit('.').next().unwrap_or_default() {
        "port" | "count" => "80",
        "min" | "surge" => "1",
        "max" | "slots" | "by" | "out-by" | "abort-after" => "2",
        "cpus" => "0.6",
        "memory" => "65MiB",
        "balancer" => "none",
        "listen" => "127.0.0.1:8088",
        "activator" => "127.0.0.1:8090",
        "after" => "5m",
        "mode" => "pause",
        "ignore" => "/healthz",
        "reach" => "container",
        "publish-on" => "127.0.0.2",
        "network" => "admin",
        "image" => "evil:1",
        "command" => "sh",
        "file" => "/etc/haproxy/x.cfg",
        "lines" => "balance leastconn",
        "directory" => "/",
        "adopt" | "check" | "tcp" | "page" => "true",
        "http" => "/healthz",
        "ready" => "tcp",
        "policy" => "step",
        "update" => "manual",
        "external" | "from" => "zabbix",
        "engine" => "swarm",
        "app" => "/bank",
        "options" => "ssl verify none",
        "drain" | "grace" | "liveness" | "sick-after" | "start-limit" | "start-lag"
        | "interval" | "wait-limit" | "hold" | "within" | "window" | "cooldown" | "in-window"
        | "out-window" => "50s",
        "out-at" => "90%",
        "in-at" | "eject-max" | "error-limit" | "busy-cap" | "cpu" | "tolerance" | "out-share"
        | "in-share" | "late" => "20%",
        _ => "x",
    }
}
