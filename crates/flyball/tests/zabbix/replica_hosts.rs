//! With `replica_hosts` each replica has a host of its own, for as long as it is there.

use std::time::Duration;

use serde_json::{Value, json};

use crate::drive::watched;
use crate::provision::zabbix;
use crate::stack::{Stack, until};
use crate::support::{Daemon, FLYBALL};

const SOON: Duration = Duration::from_secs(30);

pub(crate) fn come_and_go_with_the_replicas(stack: &Stack) {
    let trapper = format!("127.0.0.1:{}", stack.trapper_port);
    let services = format!(
        "replica_hosts = true\n[services.web]\nengine = \"process\"\nlisten = \"127.0.0.1:0\"\n\
         min = 1\nmax = 4\npolicy = \"external\"\n\
         command = [{FLYBALL:?}, \"sample-service\", \"--port\", \"{{port}}\"]\n"
    );
    let foreign = json!({ "host": "web-3", "groups": [{ "groupid": "2" }] });
    let foreign = stack.api("host.create", foreign);
    let place = watched(stack, &trapper, &services);
    let daemon = Daemon::start(&place);
    daemon.until_settled("web", 1);
    scale(&daemon, 3);
    until("two hosts", SOON, || (names(stack) == ["web-1", "web-2"]).then_some(()));
    until("CPU on each of them", SOON, || {
        let arrived = |host| stack.item(host, "flyball.cpu")["lastclock"] != "0";
        (arrived("web-1") && arrived("web-2")).then_some(())
    });
    assert_eq!(daemon.said("made by somebody else and are left alone: web-3"), 1);
    scale(&daemon, 1);
    until("one host", SOON, || (names(stack).len() == 1).then_some(()));
    daemon.stop();

    let said = zabbix(&place, &["remove"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(names(stack), Vec::<String>::new());
    let left = stack.api("host.get", json!({ "hostids": foreign["hostids"], "output": ["host"] }));
    assert_eq!(left[0]["host"], "web-3", "it was not touched");
    stack.api("host.delete", foreign["hostids"].clone());
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
