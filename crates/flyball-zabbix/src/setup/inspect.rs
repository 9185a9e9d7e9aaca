//! Checks whether Zabbix would accept the values of the services. Read rights are enough.

use serde_json::{Value, json};

use super::{Setup, text};
use crate::api::Api;
use crate::error::ZabbixError;
use crate::proxies::{Proxies, host_fields};

/// What was found of one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspected {
    /// Its name in Zabbix.
    pub host: String,
    /// By whom it is monitored, or what is wrong with it and what to do about it.
    pub found: Result<String, (String, String)>,
}

/// Looks at the host of each service of `setup`.
///
/// # Errors
/// Zabbix cannot be asked, or has no proxy of the name that is set.
pub async fn inspect(api: &Api, setup: &Setup) -> Result<Vec<Inspected>, ZabbixError> {
    let proxies = Proxies::read(api).await?;
    setup.proxy.as_deref().map(|name| proxies.id_of(name)).transpose()?;
    let names: Vec<&str> = setup.hosts.iter().map(|host| host.host.as_str()).collect();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let output = [&["host", "status"], host_fields(api.version())].concat();
    let ask = json!({ "filter": { "host": names }, "output": output });
    let there = api.list("host.get", ask).await?;
    let one = |name: &&str| {
        let host = there.iter().find(|host| text(host, "host") == *name);
        let found = match host {
            Some(host) => look_at(host, setup.proxy.as_deref(), &proxies),
            None => Err((
                format!("there is no host {name} that the token's user may read"),
                "run `flyball zabbix provision`".to_owned(),
            )),
        };
        Inspected { host: (*name).to_owned(), found }
    };
    Ok(names.iter().map(one).collect())
}

fn look_at(
    host: &Value,
    wanted: Option<&str>,
    proxies: &Proxies,
) -> Result<String, (String, String)> {
    let (name, now) = (text(host, "host"), proxies.monitor_of(host));
    if text(host, "status") == "1" {
        let hint = format!("enable the host {name} in Zabbix");
        return Err((format!("host {name} is disabled: Zabbix accepts no values for it"), hint));
    }
    match (wanted, proxies.of(host)) {
        (Some(wanted), proxy) if proxy != Some(wanted) => Err((
            format!(
                "host {name} is monitored by {now}, not by proxy {wanted}: its values are refused"
            ),
            "run `flyball zabbix provision`".to_owned(),
        )),
        (None, Some(proxy)) => Err((
            format!(
                "host {name} is monitored by {now}, and no proxy is set: its values are refused unless `trapper` is that proxy"
            ),
            format!(
                "write proxy = \"{proxy}\" under [zabbix]; if `trapper` is the server, remove the \
                 proxy from the host"
            ),
        )),
        _ => Ok(format!("host {name} is monitored by {now}")),
    }
}
