//! One command sets up all of it, a second run changes nothing, and removal leaves nothing.

use serde_json::{Value, json};

use crate::stack::Stack;
use crate::support::{Place, Ran, flyball, run};

/// A configuration whose Zabbix is at `api`, with `services`.
pub(crate) fn place(api: &str, token: &std::path::Path, more: &str, services: &[&str]) -> Place {
    let mut text = format!("[zabbix]\napi = {api:?}\ntoken_file = {token:?}\n{more}\n");
    for name in services {
        text += &format!(
            "[services.{name}]\nengine = \"process\"\nbalancer = \"none\"\ncommand = [\"sleep\", \"60\"]\n\
             policy = {{ external = \"zabbix\" }}\n"
        );
    }
    Place::with(&text)
}

pub(crate) fn api_of(stack: &Stack) -> String {
    format!("{}/api_jsonrpc.php", stack.web())
}

#[track_caller]
pub(crate) fn zabbix(place: &Place, words: &[&str]) -> Ran {
    let config = place.config().display().to_string();
    let mut all = vec!["zabbix"];
    all.extend(words);
    all.extend(["-c", &config]);
    run(&mut flyball(all))
}

/// Everything that can be set up in Zabbix, without what changes by itself.
fn dump(stack: &Stack) -> Vec<(String, Value)> {
    // They were groups of hosts before.
    let templategroup = if stack.is_from(6, 2) { "templategroup" } else { "hostgroup" };
    let kinds = [
        templategroup,
        "hostgroup",
        "host",
        "template",
        "item",
        "itemprototype",
        "discoveryrule",
        "trigger",
        "graph",
        "templatedashboard",
        "dashboard",
        "mediatype",
        "user",
        "usergroup",
        "role",
        "action",
        "script",
        "usermacro",
        "valuemap",
    ];
    let all = kinds.map(|kind| {
        // With all fields Zabbix looks for the latest value of each of ten thousand items.
        let fields = ["itemid", "hostid", "key_", "name", "type", "delay", "params", "status"];
        let many = matches!(kind, "item" | "itemprototype");
        let output = if many { json!(fields) } else { json!("extend") };
        let list = stack.api(&format!("{kind}.get"), json!({ "output": output }));
        (kind.to_owned(), without_time(list))
    });
    all.into()
}

fn without_time(value: Value) -> Value {
    match value {
        Value::Array(list) => {
            // The database gives what was updated last in another place.
            let mut list: Vec<Value> = list.into_iter().map(without_time).collect();
            list.sort_by_cached_key(Value::to_string);
            Value::Array(list)
        }
        Value::Object(fields) => {
            let timed = |name: &str| {
                name.starts_with("last") || name.starts_with("attempt") || name.starts_with("prev")
            };
            let kept = fields
                .into_iter()
                .filter(|(name, _)| !timed(name) && !["state", "error"].contains(&&**name));
            Value::Object(kept.collect())
        }
        other => other,
    }
}

/// The kinds in which two dumps differ.
fn differing(a: &[(String, Value)], b: &[(String, Value)]) -> Vec<String> {
    let differ = a.iter().zip(b).filter(|(a, b)| a != b);
    differ.map(|(a, _)| a.0.clone()).collect()
}

pub(crate) fn twice_changes_once_and_remove_leaves_nothing(stack: &Stack) {
    let token = stack.token_file("admin", "1");
    let webhook = "webhook = \"http://127.0.0.1:9\"";
    let place = place(&api_of(stack), &token, webhook, &["web", "api"]);
    let before = dump(stack);
    let dry = zabbix(&place, &["provision", "--dry-run"]);
    assert_eq!(dry.code, Some(1), "{dry:?}");
    assert!(
        dry.stdout.contains("make   host web\n         {$FLYBALL.OUT}: 30\n"),
        "{}",
        dry.stdout
    );
    assert_eq!(differing(&before, &dump(stack)), Vec::<String>::new(), "a dry run changes nothing");

    let first = zabbix(&place, &["provision"]);
    assert_eq!((first.code, &first.stdout), (Some(0), &dry.stdout), "{}", first.stderr);
    let made = dump(stack);
    assert!(differing(&before, &made).len() >= 12, "{:?}", differing(&before, &made));
    let second = zabbix(&place, &["provision"]);
    assert_eq!((second.code, second.stdout.as_str()), (Some(0), ""), "{}", second.stderr);
    assert!(second.stderr.contains("nothing to change in http://127.0.0.1:"), "{}", second.stderr);
    assert_eq!(
        differing(&made, &dump(stack)),
        Vec::<String>::new(),
        "a second run changes nothing"
    );
    assert_eq!(zabbix(&place, &["provision", "--dry-run"]).code, Some(0));

    what_was_changed_externally_is_reported_and_repaired(stack, &place);
    what_was_switched_off_externally_is_reported_and_repaired(stack, &place);
    assert_eq!(differing(&made, &dump(stack)), Vec::<String>::new(), "all of it is as it was");
    a_foreign_host_is_not_touched(stack, &token);

    let json = zabbix(&place, &["remove", "--json"]);
    assert_eq!(json.code, Some(0), "{json:?}");
    let report: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(report["changes"].as_array().unwrap().len(), 10, "{report}");
    assert_eq!(differing(&before, &dump(stack)), Vec::<String>::new(), "removal leaves nothing");
    assert_eq!(zabbix(&place, &["remove"]).stdout, "");
}

fn what_was_changed_externally_is_reported_and_repaired(stack: &Stack, place: &Place) {
    let host =
        stack.api("host.get", json!({ "filter": { "host": ["web"] }, "output": ["hostid"] }));
    let ask = json!({ "hostids": [host[0]["hostid"]], "output": "extend" });
    let macros = stack.api("usermacro.get", ask);
    let out = macros.as_array().unwrap().iter().find(|m| m["macro"] == "{$FLYBALL.OUT}").unwrap();
    stack.api("usermacro.update", json!({ "hostmacroid": out["hostmacroid"], "value": "99" }));
    let item = json!({ "filter": { "key_": ["flyball.cpu.mean"] }, "templated": true });
    let item = stack.api("item.get", item);
    stack.api("item.update", json!({ "itemid": item[0]["itemid"], "delay": "7s" }));
    let report = zabbix(place, &["provision"]).stdout;
    assert!(report.contains("update host web\n         {$FLYBALL.OUT}: 99 -> 30\n"), "{report}");
    assert!(report.contains("~ item \"Mean CPU\": delay 7s -> 1s"), "{report}");
    assert_eq!(zabbix(place, &["provision"]).stdout, "");
}

/// Each of what the webhook needs can be switched off on its own, and then no call is made.
fn what_was_switched_off_externally_is_reported_and_repaired(stack: &Stack, place: &Place) {
    let media = json!({ "filter": { "username": ["flyball-webhook"] }, "selectMedias": "extend" });
    let mut medias = stack.api("user.get", media)[0]["medias"].clone();
    medias[0]["active"] = "1".into();
    for field in ["mediaid", "userid", "userdirectory_mediaid", "provisioned"] {
        medias[0].as_object_mut().unwrap().remove(field);
    }
    let webhook = "Flyball webhook";
    for (object, id, (field, name), change, change_text) in [
        (
            "mediatype",
            "mediatypeid",
            ("name", webhook),
            json!({ "status": "1" }),
            "media type Flyball webhook\n         status",
        ),
        (
            "action",
            "actionid",
            ("name", webhook),
            json!({ "status": "1" }),
            "action Flyball webhook\n         status",
        ),
        (
            "usergroup",
            "usrgrpid",
            ("name", webhook),
            json!({ "users_status": "1" }),
            "user group Flyball webhook\n         users_status",
        ),
        (
            "user",
            "userid",
            ("username", "flyball-webhook"),
            json!({ "medias": medias }),
            "user flyball-webhook\n         medias",
        ),
    ] {
        let ask = json!({ "filter": { field: [name] }, "output": [id] });
        let mut change = change;
        change[id] = stack.api(&format!("{object}.get"), ask)[0][id].clone();
        stack.api(&format!("{object}.update"), change);
        let output = zabbix(place, &["provision"]);
        assert_eq!(
            (output.code, output.stdout),
            (Some(0), format!("update {change_text}\n")),
            "{}",
            output.stderr
        );
    }
    assert_eq!(zabbix(place, &["provision"]).stdout, "");
}

fn a_foreign_host_is_not_touched(stack: &Stack, token: &std::path::Path) {
    let host = json!({ "host": "shop", "groups": [{ "groupid": "2" }] });
    let made = stack.api("host.create", host);
    let place = place(&api_of(stack), token, "", &["new", "shop"]);
    let before = dump(stack);
    for act in ["provision", "remove"] {
        let output = zabbix(&place, &[act]);
        assert_eq!(output.code, Some(2), "{output:?}");
        let want = "Zabbix has a host \"shop\" that flyball did not create; it was not touched";
        assert!(
            output.stderr.contains(want) && output.stderr.contains("host_prefix"),
            "{}",
            output.stderr
        );
        assert_eq!(differing(&before, &dump(stack)), Vec::<String>::new(), "nothing was done");
    }
    stack.api("host.delete", made["hostids"].clone());
}

pub(crate) fn bad_addresses_are_one_clear_error_each(stack: &Stack) {
    let wrong = stack.path("wrong");
    std::fs::write(&wrong, "0".repeat(64)).unwrap();
    let user = stack.api(
        "user.create",
        json!({
            "username": "reader", "passwd": "not-easily-guessed-1", "roleid": "1",
            "usrgrps": [{ "usrgrpid": "8" }],
        }),
    );
    let reader = stack.token_file("reader", user["userids"][0].as_str().unwrap());
    let admin = stack.path("admin");
    let (api, elsewhere) = (api_of(stack), format!("{}/zabbix/api_jsonrpc.php", stack.web()));
    let (api, trapper) = (api.as_str(), format!("http://127.0.0.1:{}/api", stack.trapper_port));
    for (api, token, part) in [
        (api, &wrong, "does not accept the token"),
        (api, &reader, "the token's user may not call"),
        (elsewhere.as_str(), &admin, "hint: `api` is the frontend"),
        (trapper.as_str(), &admin, "hint: "),
        ("http://127.0.0.1:9/api_jsonrpc.php", &admin, "cannot reach Zabbix at http://127.0.0.1:9"),
    ] {
        let place = place(api, token, "", &["web"]);
        let output = zabbix(&place, &["provision"]);
        assert_eq!((output.code, output.stdout.as_str()), (Some(2), ""), "{output:?}");
        assert!(
            output.stderr.contains(part) && output.stderr.contains("hint: "),
            "{part}: {}",
            output.stderr
        );
        assert_eq!(output.stderr.matches("error: ").count(), 1, "{}", output.stderr);
        let secret = std::fs::read_to_string(token).unwrap();
        assert!(!output.stderr.contains(&secret), "{}", output.stderr);
    }
    stack.api("user.delete", user["userids"].clone());
}
