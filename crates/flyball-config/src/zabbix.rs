//! The `[zabbix]` table. Connects to nothing. An API has a readable token file that is not empty, a
//! certificate has its key, and hosts of replicas, a proxy and a webhook have an API.

use std::path::{Path, PathBuf};

use flyball_core::policy::{Policy, Rule};

use crate::check::Given;
use crate::config_error::ConfigError;
use crate::table_reader::{Field, TableReader};
use crate::value::Value;
use crate::{Zabbix, ZabbixApi, address, check, daemon, keys};

/// Three reports are the fewest whose mean survives one that is late.
const WINDOW_INTERVALS: u64 = 3;
/// The longest that anything is averaged over.
const WINDOW_MS_MAX: u64 = 3_600_000;

impl Zabbix {
    /// What a mean of a service is taken over where nothing else is said, in milliseconds: three
    /// reports, which are no more frequent than looks.
    pub fn window_ms(&self, policy: &Policy) -> u64 {
        let report_ms = self.interval_ms.max(policy.timing.interval_ms.unwrap_or(0));
        (report_ms * WINDOW_INTERVALS).min(WINDOW_MS_MAX)
    }

    /// Has a policy that Zabbix drives go by the window that Zabbix averages over: no mean is of
    /// fewer than three reports.
    pub(crate) fn widen_window(&self, policy: &mut Policy) {
        let window_ms = self.window_ms(policy);
        if let Rule::Advised(rule) = &mut policy.rule {
            rule.cpu_window_ms = rule.cpu_window_ms.max(window_ms);
        }
    }
}

/// The Zabbix that `root` names, if it does; `None` if anything was reported.
pub(crate) fn zabbix(root: &mut TableReader<'_>, base: &Path) -> Option<Option<Zabbix>> {
    if !root.names().contains(&keys::ZABBIX_TABLE.name) {
        return Some(None);
    }
    let mut fields = root.take_table(&keys::ZABBIX_TABLE, &keys::ZABBIX)?;
    let trapper = fields.take(&keys::TRAPPER, address::peer_name);
    let proxy = fields.take(&keys::ZABBIX_PROXY, host_name);
    let interval_ms = fields.take(&keys::REPORT_INTERVAL, check::duration_ms);
    let prefix = fields.take(&keys::HOST_PREFIX, check::text);
    let replica_hosts = fields.take(&keys::REPLICA_HOSTS, check::flag);
    let api = api(&mut fields, base);
    let webhook = fields.take(&keys::WEBHOOK, address::url);
    let needs_api = replica_hosts.given().is_some_and(|(on, _)| *on)
        || proxy.given().is_some()
        || webhook.given().is_some();
    if needs_api && matches!(api, Some(None)) {
        fields.missing(&keys::API, "\"http://127.0.0.1/zabbix/api_jsonrpc.php\"");
    }
    let ca_file = fields.take(&keys::CA_FILE, check::path).optional();
    let own = own(&mut fields, base);
    fields.finish();
    Some(Some(Zabbix {
        trapper: trapper.or("127.0.0.1:10051".to_owned())?,
        proxy: proxy.optional()?,
        interval_ms: interval_ms.or(5_000)?,
        host_prefix: prefix.or(String::new())?,
        replica_hosts: replica_hosts.or(false)?,
        api: api?,
        ca_file: ca_file?.map(|path| base.join(path)),
        own_certificate: own?,
        webhook: webhook.optional()?.map(|url| url.trim_end_matches('/').to_owned()),
    }))
}

/// A name as Zabbix allows for hosts and proxies: with spaces, but not around it.
fn host_name(given: Given<'_>) -> Result<String, ConfigError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || " ._-".contains(c);
    let fine = |text: &String| {
        !text.is_empty() && text.trim() == text.as_str() && text.chars().all(allowed)
    };
    match &given.node.value {
        Value::Text(text) if fine(text) => Ok(text.clone()),
        _ => Err(given.not_a("the name of a Zabbix proxy", given.example("\"NAME\""))),
    }
}

fn api(fields: &mut TableReader<'_>, base: &Path) -> Option<Option<ZabbixApi>> {
    let url = fields.take(&keys::API, address::url);
    let token = fields.take(&keys::API_TOKEN_FILE, check::path);
    daemon::refuse_bad_token(fields, &keys::API_TOKEN_FILE, &token, base);
    if url.given().is_some() && matches!(token, Field::Absent) {
        fields.missing(&keys::API_TOKEN_FILE, "\"/etc/flyball/zabbix-token\"");
    }
    let token_file = token.optional()?.map(|path| base.join(path));
    Some(url.optional()?.and_then(|url| Some(ZabbixApi { url, token_file: token_file? })))
}

fn own(fields: &mut TableReader<'_>, base: &Path) -> Option<Option<(PathBuf, PathBuf)>> {
    let certificate = fields.take(&keys::CERT_FILE, check::path);
    let key = fields.take(&keys::KEY_FILE, check::path);
    match (&certificate, &key) {
        (Field::Given { .. }, Field::Absent) => {
            fields.missing(&keys::KEY_FILE, "\"/etc/flyball/zabbix.key\"");
        }
        (Field::Absent, Field::Given { .. }) => {
            fields.missing(&keys::CERT_FILE, "\"/etc/flyball/zabbix.crt\"");
        }
        _ => {}
    }
    let both = certificate.optional()?.zip(key.optional()?);
    Some(both.map(|(certificate, key)| (base.join(certificate), base.join(key))))
}
