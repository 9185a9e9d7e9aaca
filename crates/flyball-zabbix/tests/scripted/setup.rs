//! What is provisioned in which version of Zabbix, and which differences are found.

use flyball_zabbix::{
    HostSetup, Inspected, Mode, Outcome, Setup, Thresholds, Webhook, ZabbixError, inspect,
    provision,
};
use serde_json::{Value, json};

use crate::frontend::Frontend;

fn setup(proxy: Option<&str>) -> Setup {
    let thresholds =
        Thresholds { out_at: 30.0, out_clear: 25.0, in_at: 15.0, in_clear: 18.0, window_s: 15 };
    let host = HostSetup { host: "web".into(), service: "web".into(), thresholds };
    Setup { hosts: vec![host], webhook: None, proxy: proxy.map(str::to_owned) }
}

fn with_webhook() -> Setup {
    let webhook = Webhook { url: "http://10.0.0.5:7878".into(), token: None };
    Setup { hosts: Vec::new(), webhook: Some(webhook), proxy: None }
}

async fn provisioned(frontend: &Frontend, setup: &Setup) -> Result<Outcome, ZabbixError> {
    provision(&frontend.api().await, setup, Mode::Apply, &mut |_| ()).await
}

fn nothing(_: &str, _: &Value) -> Value {
    Value::Null
}

#[tokio::test]
async fn what_the_webhook_needs_is_enabled_whatever_the_version_defaults_to() {
    for (version, symptoms) in [("6.0.14", Value::Null), ("7.0.22", "0".into())] {
        let frontend = Frontend::start(version, nothing).await;
        provisioned(&frontend, &with_webhook()).await.unwrap();
        assert_eq!(frontend.calls("mediatype.create")[0]["status"], "0", "{version}");
        assert_eq!(frontend.calls("usergroup.create")[0]["users_status"], "0", "{version}");
        let action = &frontend.calls("action.create")[0];
        assert_eq!((&action["status"], &action["pause_symptoms"]), (&"0".into(), &symptoms));
        assert_eq!(action["eventsource"], "0");
        let medias = &frontend.calls("user.create")[0]["medias"];
        assert_eq!(medias[0]["active"], "0", "{version}");
    }
}

#[tokio::test]
async fn what_zabbix_takes_and_does_not_keep_is_reported() {
    let frontend = Frontend::start("7.0.22", nothing).await;
    let outcome = provisioned(&frontend, &with_webhook()).await.unwrap();
    let name = |change: &flyball_zabbix::Change| format!("{} {}", change.what, change.name);
    let left: Vec<String> = outcome.left.iter().map(name).collect();
    assert!(left.contains(&"media type Flyball webhook".to_owned()), "{left:?}");
    assert_eq!(left.len(), outcome.changes.len(), "nothing was kept");
}

/// A Zabbix with a proxy, and with the host `web` in the given state.
fn with_proxy(
    version: &str,
    host: Option<Value>,
) -> impl Fn(&str, &Value) -> Value + Send + 'static {
    let name = if version.starts_with('6') { "host" } else { "name" };
    move |method, params| match method {
        "proxy.get" => json!([{ "proxyid": "7", name: "edge" }]),
        "host.get" if params["filter"]["host"] == json!(["web"]) => match &host {
            Some(host) => json!([host]),
            None => json!([]),
        },
        _ => Value::Null,
    }
}

#[tokio::test]
async fn a_host_behind_a_proxy_is_made_so_in_each_versions_words() {
    for (version, want) in [
        ("6.0.14", json!({ "proxy_hostid": "7" })),
        ("6.4.0", json!({ "proxy_hostid": "7" })),
        ("7.0.22", json!({ "monitored_by": "1", "proxyid": "7" })),
    ] {
        let frontend = Frontend::start(version, with_proxy(version, None)).await;
        provisioned(&frontend, &setup(Some("edge"))).await.unwrap();
        let made = &frontend.calls("host.create")[0];
        for (field, value) in want.as_object().unwrap() {
            assert_eq!(&made[field], value, "{version}: {made}");
        }
        let without = Frontend::start(version, with_proxy(version, None)).await;
        provisioned(&without, &setup(None)).await.unwrap();
        let made = &without.calls("host.create")[0];
        assert!(want.as_object().unwrap().keys().all(|field| made[field].is_null()), "{made}");
    }
}

#[tokio::test]
async fn a_proxy_that_zabbix_does_not_have_stops_before_anything_is_made() {
    let frontend = Frontend::start("7.0.22", with_proxy("7.0.22", None)).await;
    let error = provisioned(&frontend, &setup(Some("cellar"))).await.unwrap_err();
    assert!(error.to_string().ends_with("has no proxy \"cellar\""), "{error}");
    assert!(error.hint().unwrap().contains("edge"), "{:?}", error.hint());
    assert_eq!(frontend.changes(), Vec::<String>::new());
    assert!(inspect(&frontend.api().await, &setup(Some("cellar"))).await.is_err());
}

async fn inspected(host: Option<Value>, proxy: Option<&str>) -> Result<String, (String, String)> {
    let frontend = Frontend::start("7.0.22", with_proxy("7.0.22", host)).await;
    let mut found = inspect(&frontend.api().await, &setup(proxy)).await.unwrap();
    assert_eq!(frontend.changes(), Vec::<String>::new());
    let Inspected { host, found } = found.remove(0);
    assert_eq!(host, "web");
    found
}

#[tokio::test]
async fn a_host_that_values_cannot_reach_is_found_with_what_to_do() {
    let host = |status: &str, by: &str, proxy: &str| {
        Some(json!({ "host": "web", "status": status, "monitored_by": by, "proxyid": proxy }))
    };
    let behind = || host("0", "1", "7");
    assert_eq!(
        inspected(behind(), Some("edge")).await.unwrap(),
        "host web is monitored by proxy edge"
    );
    let direct = || host("0", "0", "0");
    assert_eq!(inspected(direct(), None).await.unwrap(), "host web is monitored by the server");

    let (what, hint) = inspected(direct(), Some("edge")).await.unwrap_err();
    assert!(what.contains("by the server, not by proxy edge"), "{what}");
    assert_eq!(hint, "run `flyball zabbix provision`");
    let (_, hint) = inspected(behind(), None).await.unwrap_err();
    assert!(hint.starts_with("write proxy = \"edge\" under [zabbix]"), "{hint}");
    let (what, _) = inspected(host("1", "1", "7"), Some("edge")).await.unwrap_err();
    assert!(what.contains("is disabled"), "{what}");
    let (what, _) = inspected(None, None).await.unwrap_err();
    assert!(what.contains("no host web"), "{what}");
}
