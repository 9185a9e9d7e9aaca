//! Checks Zabbix without sending a value or changing anything. A read-only token is enough.

use std::time::Duration;

use flyball_config::{Config, Service, Zabbix};
use flyball_zabbix::{Api, Setup, ZabbixError, inspect};

use super::{api, sender, setup};
use crate::failure::Failure;
use crate::finding::Finding;

/// A frontend that takes longer is of no use to a running flyball either.
const LIMIT: Duration = Duration::from_secs(10);

/// Whether the trapper takes values, which Zabbix the API is of, and whether the services' hosts
/// there are such that values get through.
pub(crate) async fn check(config: &Config, services: &[Service], zabbix: &Zabbix) -> Vec<Finding> {
    let trapper = async {
        sender(zabbix)?.send(&[]).await?;
        Ok::<_, Failure>(format!("{} accepts values", zabbix.trapper))
    };
    let mut findings = vec![finding("trapper", trapper.await)];
    if zabbix.api.is_none() {
        return findings;
    }
    match api(zabbix, Some(LIMIT)).await {
        Err(failure) => findings.push(finding("api", Err(failure))),
        Ok(api) => {
            findings.push(finding("api", Ok(format!("Zabbix {}", api.version()))));
            match setup(config, services, zabbix) {
                Ok(setup) => findings.extend(hosts(&setup, &api).await),
                Err(failure) => findings.push(finding("webhook", Err(failure))),
            }
        }
    }
    findings
}

async fn hosts(setup: &Setup, api: &Api) -> Vec<Finding> {
    match inspect(api, setup).await {
        Err(error @ ZabbixError::NoProxy { .. }) => vec![finding("proxy", Err(error.into()))],
        Err(error) => vec![finding("hosts", Err(error.into()))],
        Ok(hosts) => {
            let wrong = |(what, hint): (String, String)| Failure::new(what).hint(hint);
            hosts.into_iter().map(|host| finding("hosts", host.found.map_err(wrong))).collect()
        }
    }
}

fn finding(key: &str, found: Result<String, Failure>) -> Finding {
    let key = format!("zabbix.{key}");
    match found {
        Ok(text) => Finding::good(key, text),
        Err(failure) => Finding::failed(key, failure),
    }
}
