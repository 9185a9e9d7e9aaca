//! With `replica_hosts` each replica has a host of its own for as long as it exists: here behind a
//! proxy that carries everything.

use std::time::Duration;

use serde_json::{Value, json};

use crate::drive::watched;
use crate::provision::zabbix;
use crate::stack::{PROXY, Stack, until};
use crate::support::{Daemon, FLYBALL, Place, Ran, flyball, run};

const SOON: Duration = Duration::from_secs(30);

pub(crate) fn come_and_go_behind_a_proxy(stack: &Stack) {
    let proxy = stack.register_proxy();
    let trapper = format!("127.0.0.1:{}", stack.proxy_port);
    let services = format!(
        "proxy = {PROXY:?}\nreplica_hosts = true\n[services.web]\nengine = \"process\"\n\
         listen = \"127.0.0.1:0\"\nmin = 1\nmax = 4\npolicy = \"external\"\n\
         command = [{FLYBALL:?}, \"sample-service\", \"--port\", \"{{port}}\"]\n"
    );
    let foreign = json!({ "host": "web-3", "groups": [{ "groupid": "2" }] });
    let foreign = stack.api("host.create", foreign);
    let place = watched(stack, &trapper, &services);
    let daemon = Daemon::start(&place);
    daemon.until_settled("web", 1);
    scale(&daemon, 3);
    until("two hosts", SOON, || (names(stack) == ["web-1", "web-2"]).then_some(()));
    until("CPU on each of them and on the service's", SOON, || {
        let arrived = |host, key| stack.item(host, key)["lastclock"] != "0";
        let own = ["web-1", "web-2"].iter().all(|host| arrived(host, "flyball.cpu"));
        (own && arrived("web", "flyball.cpu.mean") && arrived("web", "flyball.wanted"))
            .then_some(())
    });
    assert_eq!(daemon.log_count("not created by flyball and are left alone: web-3"), 1);
    one_that_was_moved_to_the_server_comes_back(stack);
    scale(&daemon, 1);
    until("one host", SOON, || (names(stack).len() == 1).then_some(()));
    daemon.stop();

    check_compares_the_proxy(stack, &place);
    let output = zabbix(&place, &["remove"]);
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_eq!(names(stack), Vec::<String>::new());
    let left = stack.api("host.get", json!({ "hostids": foreign["hostids"], "output": ["host"] }));
    assert_eq!(left[0]["host"], "web-3", "it was not touched");
    stack.api("host.delete", foreign["hostids"].clone());
    stack.api("proxy.delete", proxy["proxyids"].clone());
}

fn one_that_was_moved_to_the_server_comes_back(stack: &Stack) {
    stack.give_to_server("web-1");
    // Compared again every 5 s, while a host of another program is in the way.
    until("the proxy's again", SOON, || stack.is_behind_proxy("web-1").then_some(()));
}

/// What `flyball check` and `provision` report of hosts that values cannot reach.
fn check_compares_the_proxy(stack: &Stack, place: &Place) {
    let output = check(place);
    let good = format!("ok    zabbix.hosts: host web is monitored by proxy {PROXY}");
    assert!(output.code == Some(0) && output.stdout.contains(&good), "{output:?}");

    stack.give_to_server("web");
    let output = check(place);
    let wrong = format!("host web is monitored by the server, not by proxy {PROXY}");
    assert!(output.code == Some(1) && output.stdout.contains(&wrong), "{output:?}");
    let dry = zabbix(place, &["provision", "--dry-run"]);
    let change = format!("monitored by proxy {PROXY} instead of the server");
    assert!(dry.code == Some(1) && dry.stdout.contains(&change), "{dry:?}");
    assert_eq!(zabbix(place, &["provision"]).code, Some(0));
    assert!(check(place).stdout.contains(&good));

    let text = std::fs::read_to_string(place.config()).unwrap();
    let line = format!("proxy = {PROXY:?}\n");
    place.write("flyball.toml", &text.replace(&line, ""));
    let output = check(place);
    let hint = format!("hint: write proxy = {PROXY:?} under [zabbix]");
    assert!(output.code == Some(1) && output.stdout.contains(&hint), "{output:?}");
    let output = zabbix(place, &["provision"]);
    assert!(
        output.stdout.is_empty() && output.stderr.contains(&format!("set proxy = {PROXY:?}")),
        "{output:?}"
    );

    place.write("flyball.toml", &text.replace(&line, "proxy = \"cellar\"\n"));
    let none = "has no proxy \"cellar\"";
    let output = check(place);
    assert!(output.code == Some(1) && output.stdout.contains(none), "{output:?}");
    let output = zabbix(place, &["provision"]);
    assert!(
        output.code == Some(2) && output.stderr.contains(none) && output.stderr.contains(PROXY),
        "{output:?}"
    );
    place.write("flyball.toml", &text);

    stack.update_host("web", json!({ "status": "1" }));
    let output = check(place);
    assert!(output.code == Some(1) && output.stdout.contains("host web is disabled"), "{output:?}");
}

fn check(place: &Place) -> Ran {
    let config = place.config().display().to_string();
    run(&mut flyball(["check", "-c", &config]))
}

fn scale(daemon: &Daemon, count: u32) {
    daemon.post("/api/v1/services/web/scale", &json!({ "to": count }));
    daemon.until_settled("web", count.into());
}

/// The hosts that are marked as replicas'.
fn names(stack: &Stack) -> Vec<String> {
    let ask = json!({
        "tags": [{ "tag": "flyball-replica", "value": "web", "operator": 1 }],
        "output": ["host"], "sortfield": "host",
    });
    let name = |host: &Value| host["host"].as_str().unwrap().to_owned();
    stack.api("host.get", ask).as_array().unwrap().iter().map(name).collect()
}

impl Stack {
    /// Makes the proxy known that runs already.
    fn register_proxy(&self) -> Value {
        let params = if self.is_from(7, 0) {
            json!({ "name": PROXY, "operating_mode": 0 })
        } else {
            json!({ "host": PROXY, "status": 5 })
        };
        self.api("proxy.create", params)
    }

    /// Takes a host from its proxy.
    fn give_to_server(&self, host: &str) {
        let field = if self.is_from(7, 0) { "monitored_by" } else { "proxy_hostid" };
        self.update_host(host, json!({ field: "0" }));
    }

    fn is_behind_proxy(&self, host: &str) -> bool {
        let field = if self.is_from(7, 0) { "proxyid" } else { "proxy_hostid" };
        self.host(host, field)[field] != "0"
    }

    fn update_host(&self, host: &str, mut change: Value) {
        change["hostid"] = self.host(host, "hostid")["hostid"].clone();
        self.api("host.update", change);
    }

    fn host(&self, host: &str, field: &str) -> Value {
        let ask = json!({ "filter": { "host": [host] }, "output": [field] });
        self.api("host.get", ask)[0].clone()
    }
}
