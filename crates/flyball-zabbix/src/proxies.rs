//! The zabbix_proxies of a Zabbix, and which of them monitors a host.
//!
//! People name a proxy, the API uses its id. For an unknown name, the error lists the known ones.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::api::{Api, text};
use crate::error::ZabbixError;
use crate::version::Version;

/// In `monitored_by`: no proxy has to do with the host.
const BY_SERVER: &str = "0";
/// In `monitored_by`: the host has a proxy of its own.
const BY_PROXY: &str = "1";
/// In `monitored_by`: one of a group of proxies takes care of the host.
const BY_GROUP: &str = "2";

/// All proxies, their names by their ids.
#[derive(Debug)]
pub(crate) struct Proxies {
    version: Version,
    url: String,
    names: BTreeMap<String, String>,
}

impl Proxies {
    /// Every user may read them.
    pub(crate) async fn read(api: &Api) -> Result<Self, ZabbixError> {
        let version = api.version();
        let name = if version.has_monitored_by() { "name" } else { "host" };
        let found = api.list("proxy.get", json!({ "output": ["proxyid", name] })).await?;
        let pair =
            |proxy: &Value| (text(proxy, "proxyid").to_owned(), text(proxy, name).to_owned());
        let names = found.iter().map(pair).collect();
        Ok(Self { version, url: api.url().to_string(), names })
    }

    /// The id of the proxy that is called `name`.
    pub(crate) fn id_of(&self, name: &str) -> Result<&str, ZabbixError> {
        let found = self.names.iter().find(|(_, known)| *known == name);
        found.map(|(id, _)| id.as_str()).ok_or_else(|| ZabbixError::NoProxy {
            url: self.url.clone(),
            name: name.to_owned(),
            known: self.names.values().cloned().collect(),
        })
    }

    /// The proxy that `host` is monitored by, if it is by one. The host must have been asked for with
    /// [`host_fields`].
    pub(crate) fn of<'a>(&'a self, host: &'a Value) -> Option<&'a str> {
        let id = own_proxy(self.version, host)?;
        Some(self.names.get(id).map_or(id, String::as_str))
    }

    /// By whom `host` is monitored, in words.
    pub(crate) fn monitor_of(&self, host: &Value) -> String {
        match self.of(host) {
            Some(name) => format!("proxy {name}"),
            None if text(host, "monitored_by") == BY_GROUP => "a group of proxies".to_owned(),
            None => "the server".to_owned(),
        }
    }
}

/// The fields of a host that say by whom it is monitored.
pub(crate) fn host_fields(version: Version) -> &'static [&'static str] {
    if version.has_monitored_by() { &["monitored_by", "proxyid"] } else { &["proxy_hostid"] }
}

/// Whether `host` is monitored by the proxy with this id; `None`: by no single proxy.
pub(crate) fn is_monitored_by(version: Version, host: &Value, id: Option<&str>) -> bool {
    own_proxy(version, host) == id
}

/// Has the host of `params` monitored by the proxy with this id; `None`: by the server.
pub(crate) fn assign(version: Version, params: &mut Value, id: Option<&str>) {
    match (version.has_monitored_by(), id) {
        (true, Some(id)) => {
            params["monitored_by"] = BY_PROXY.into();
            params["proxyid"] = id.into();
        }
        (true, None) => params["monitored_by"] = BY_SERVER.into(),
        (false, id) => params["proxy_hostid"] = id.unwrap_or("0").into(),
    }
}

/// The id of a host's own proxy.
fn own_proxy(version: Version, host: &Value) -> Option<&str> {
    if version.has_monitored_by() {
        (text(host, "monitored_by") == BY_PROXY).then(|| text(host, "proxyid"))
    } else {
        Some(text(host, "proxy_hostid")).filter(|id| !matches!(*id, "" | "0"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(version: &str) -> Proxies {
        let names = [("7", "edge"), ("8", "cellar")].map(|(id, n)| (id.to_owned(), n.to_owned()));
        let version = Version::parse(version).unwrap();
        Proxies { version, url: "http://z".to_owned(), names: names.into() }
    }

    #[test]
    fn by_whom_a_host_is_monitored_is_written_and_read_in_each_versions_fields() {
        let mut old = json!({ "host": "web" });
        assign(Version::OLDEST, &mut old, Some("7"));
        assert_eq!(old, json!({ "host": "web", "proxy_hostid": "7" }));
        assert!(is_monitored_by(Version::OLDEST, &old, Some("7")));
        assert_eq!(proxies("6.0.14").monitor_of(&old), "proxy edge");
        let mut direct = json!({});
        assign(Version::OLDEST, &mut direct, None);
        assert_eq!(direct, json!({ "proxy_hostid": "0" }));
        assert!(is_monitored_by(Version::OLDEST, &direct, None));
        assert_eq!(proxies("6.0.14").monitor_of(&direct), "the server");

        let mut new = json!({ "host": "web" });
        assign(Version::NEWEST, &mut new, Some("8"));
        assert_eq!(new, json!({ "host": "web", "monitored_by": "1", "proxyid": "8" }));
        assert!(!is_monitored_by(Version::NEWEST, &new, Some("7")));
        assert_eq!(proxies("7.0.22").monitor_of(&new), "proxy cellar");
        // The id stays where a group of proxies took over.
        let grouped = json!({ "monitored_by": "2", "proxyid": "0" });
        assert_eq!(proxies("7.0.22").monitor_of(&grouped), "a group of proxies");
    }

    #[test]
    fn a_proxy_that_is_not_there_is_refused_with_those_that_are() {
        let error = proxies("7.0.22").id_of("berlin").unwrap_err();
        assert_eq!(error.to_string(), "Zabbix at http://z has no proxy \"berlin\"");
        let hint = error.hint().unwrap();
        assert!(hint.contains("edge, cellar") || hint.contains("cellar, edge"), "{hint}");
        assert_eq!(proxies("7.0.22").id_of("edge").unwrap(), "7");
    }
}
