//! A host in Zabbix for each replica, created and removed through the API. Only marked hosts of the
//! same service are removed. A host of the same name without the mark is left alone and reported.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{Notify, watch};
use tokio::time::sleep;

use crate::api::{Api, ApiSettings, list, text};
use crate::error::ZabbixError;
use crate::proxies::{Proxies, assign, host_fields, is_monitored_by};
use crate::setup::{NAME, REPLICA_NAME, REPLICA_TAG};

/// Compared again this often, since any user can remove a host.
const EVERY: Duration = Duration::from_secs(30);
/// Time until another attempt, where one failed.
const AGAIN: Duration = Duration::from_secs(5);
/// Hosts in one call: 50 took 70 ms.
const BATCH: usize = 100;

/// The replicas that there should be hosts of, by the host of their service.
type Wanted = BTreeMap<Arc<str>, BTreeSet<String>>;

/// What is wanted, and the news that it changed.
#[derive(Debug, Default)]
pub(crate) struct ReplicaHosts {
    wanted: Mutex<Wanted>,
    news: Notify,
    /// The name of the proxy that monitors them; `None`: the server does.
    proxy: Option<String>,
}

impl ReplicaHosts {
    pub(crate) fn monitored_by(proxy: Option<&str>) -> Self {
        Self { proxy: proxy.map(str::to_owned), ..Self::default() }
    }

    /// These are the replicas of a service; never waits.
    pub(crate) fn set(&self, service_host: &Arc<str>, replica_hosts: BTreeSet<String>) {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        wanted.insert(Arc::clone(service_host), replica_hosts);
        self.news.notify_one();
    }

    fn wanted(&self) -> Wanted {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps the hosts up to date until stopped.
    pub(crate) async fn keep(
        self: Arc<Self>,
        settings: ApiSettings,
        mut stop: watch::Receiver<bool>,
    ) {
        let mut logged = String::new();
        while !*stop.borrow() {
            let said = match self.compare(&settings).await {
                Ok(foreign) if foreign.is_empty() => String::new(),
                Ok(foreign) => format!(
                    "these hosts in Zabbix were not created by flyball and are left alone: {}",
                    foreign.join(", ")
                ),
                Err(error) => {
                    let hint = error.hint().map(|hint| format!(" (hint: {hint})"));
                    format!(
                        "cannot update the hosts of replicas: {error}{}",
                        hint.unwrap_or_default()
                    )
                }
            };
            if !said.is_empty() && said != logged {
                tracing::warn!("{said}");
            }
            logged = said;
            let calm = logged.is_empty();
            tokio::select! {
                () = sleep(if calm { EVERY } else { AGAIN }) => {}
                () = self.news.notified(), if calm => {}
                changed = stop.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Creates and removes what differs; returns the names that belong to others.
    async fn compare(&self, settings: &ApiSettings) -> Result<Vec<String>, ZabbixError> {
        let wanted = self.wanted();
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let api = Api::open(settings.clone()).await?;
        let services: Vec<&str> = wanted.keys().map(|host| &**host).collect();
        let there = find(&api, &services).await?;
        let proxy = match &self.proxy {
            Some(name) => Some(Proxies::read(&api).await?.id_of(name)?.to_owned()),
            None => None,
        };
        let names: BTreeSet<&str> = there.iter().map(|host| text(host, "host")).collect();
        let kept: BTreeSet<&str> = wanted.values().flatten().map(String::as_str).collect();
        let left: Vec<&str> = there
            .iter()
            .filter(|host| !kept.contains(text(host, "host")))
            .map(|host| text(host, "hostid"))
            .collect();
        for some in left.chunks(BATCH) {
            api.call("host.delete", json!(some)).await?;
        }
        let kept = there.iter().filter(|host| kept.contains(text(host, "host")));
        take_over(&api, kept, proxy.as_deref()).await?;
        let missing: Vec<(&str, &str)> = wanted
            .iter()
            .flat_map(|(service, replicas)| replicas.iter().map(|name| (name.as_str(), &**service)))
            .filter(|(name, _)| !names.contains(name))
            .collect();
        make(&api, missing, proxy.as_deref()).await
    }
}

/// The hosts of replicas of these services.
pub(crate) async fn find(api: &Api, services: &[&str]) -> Result<Vec<Value>, ZabbixError> {
    let output = [&["hostid", "host"], host_fields(api.version())].concat();
    let ask = json!({
        "tags": [{ "tag": REPLICA_TAG, "operator": 4 }], "output": output,
        "selectTags": "extend",
    });
    let mut found = api.list("host.get", ask).await?;
    let ours =
        |tag: &Value| text(tag, "tag") == REPLICA_TAG && services.contains(&text(tag, "value"));
    found.retain(|host| list(host, "tags").iter().any(ours));
    Ok(found)
}

/// Has those of `hosts` monitored by the proxy with this id, or by the server, that are not: they are
/// of before that was set.
async fn take_over(
    api: &Api,
    hosts: impl Iterator<Item = &Value>,
    proxy: Option<&str>,
) -> Result<(), ZabbixError> {
    let version = api.version();
    let update = |host: &Value| {
        let mut params = json!({ "hostid": text(host, "hostid") });
        assign(version, &mut params, proxy);
        params
    };
    let others: Vec<Value> =
        hosts.filter(|host| !is_monitored_by(version, host, proxy)).map(update).collect();
    for some in others.chunks(BATCH) {
        api.call("host.update", json!(some)).await?;
    }
    Ok(())
}

/// Makes hosts, but for those whose name is taken: these are given back.
async fn make(
    api: &Api,
    missing: Vec<(&str, &str)>,
    proxy: Option<&str>,
) -> Result<Vec<String>, ZabbixError> {
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    let group = id_of(api, ("hostgroup.get", "groupid"), "name", NAME).await?;
    let template = id_of(api, ("template.get", "templateid"), "host", REPLICA_NAME).await?;
    let names: Vec<&str> = missing.iter().map(|(name, _)| *name).collect();
    let ask = json!({ "filter": { "host": names }, "output": ["host"] });
    let taken = api.list("host.get", ask).await?;
    let taken: BTreeSet<&str> = taken.iter().map(|host| text(host, "host")).collect();
    let host = |(name, service): &(&str, &str)| {
        let mut params = json!({
            "host": name, "groups": [{ "groupid": group }],
            "templates": [{ "templateid": template }],
            "tags": [{ "tag": REPLICA_TAG, "value": service }],
        });
        if proxy.is_some() {
            assign(api.version(), &mut params, proxy);
        }
        params
    };
    let free: Vec<Value> =
        missing.iter().filter(|(name, _)| !taken.contains(name)).map(host).collect();
    for some in free.chunks(BATCH) {
        api.call("host.create", json!(some)).await?;
    }
    Ok(taken.into_iter().map(str::to_owned).collect())
}

/// The id of what `provision` made under this name.
async fn id_of(
    api: &Api,
    (method, id): (&str, &str),
    field: &str,
    name: &str,
) -> Result<String, ZabbixError> {
    let ask = json!({ "filter": { field: [name] }, "output": [id] });
    let found = api.list(method, ask).await?;
    found.first().map(|found| text(found, id).to_owned()).ok_or_else(|| ZabbixError::Call {
        method: method.to_owned(),
        message: format!("there is no \"{name}\": run `flyball zabbix provision`"),
    })
}
