//! The `[zabbix]` table: where Zabbix is and how it is reached.
//!
//! Decides which of its keys need each other. Connects to nothing. Invariant: an API has a token
//! file that could be read and is not empty, a certificate has its key, and
//! hosts of replicas have an API that makes them.

use std::path::{Path, PathBuf};

use crate::fields::{Field, Fields};
use crate::{Zabbix, ZabbixApi, address, check, daemon, keys};

/// Three reports are the fewest whose mean survives one that is late.
const WINDOW_INTERVALS: u64 = 3;

impl Zabbix {
    /// What a mean is taken over where nothing else is said, in milliseconds.
    pub fn window_ms(&self) -> u64 {
        self.interval_ms * WINDOW_INTERVALS
    }
}

/// The Zabbix that `root` names, if it does; `None` if anything was reported.
pub(crate) fn zabbix(root: &mut Fields<'_>, base: &Path) -> Option<Option<Zabbix>> {
    if !root.names().contains(&keys::ZABBIX_TABLE.name) {
        return Some(None);
    }
    let mut fields = root.take_table(&keys::ZABBIX_TABLE, &keys::ZABBIX)?;
    let trapper = fields.take(&keys::TRAPPER, address::peer_name);
    let interval_ms = fields.take(&keys::INTERVAL, check::duration_ms);
    let prefix = fields.take(&keys::HOST_PREFIX, check::text);
    let replica_hosts = fields.take(&keys::REPLICA_HOSTS, check::flag);
    let api = api(&mut fields, base);
    if replica_hosts.given().is_some_and(|(on, _)| *on) && matches!(api, Some(None)) {
        fields.missing(&keys::API, "\"http://127.0.0.1/zabbix/api_jsonrpc.php\"");
    }
    let ca_file = fields.take(&keys::CA_FILE, check::path).optional();
    let own = own(&mut fields, base);
    let webhook = fields.take(&keys::WEBHOOK, address::url);
    fields.finish();
    Some(Some(Zabbix {
        trapper: trapper.or("127.0.0.1:10051".to_owned())?,
        interval_ms: interval_ms.or(5_000)?,
        host_prefix: prefix.or(String::new())?,
        replica_hosts: replica_hosts.or(false)?,
        api: api?,
        ca_file: ca_file?.map(|path| base.join(path)),
        own_certificate: own?,
        webhook: webhook.optional()?.map(|url| url.trim_end_matches('/').to_owned()),
    }))
}

fn api(fields: &mut Fields<'_>, base: &Path) -> Option<Option<ZabbixApi>> {
    let url = fields.take(&keys::API, address::url);
    let token = fields.take(&keys::API_TOKEN_FILE, check::path);
    daemon::refuse_bad_token(fields, &keys::API_TOKEN_FILE, &token, base);
    if url.given().is_some() && matches!(token, Field::Absent) {
        fields.missing(&keys::API_TOKEN_FILE, "\"/etc/flyball/zabbix-token\"");
    }
    let token_file = token.optional()?.map(|path| base.join(path));
    Some(url.optional()?.and_then(|url| Some(ZabbixApi { url, token_file: token_file? })))
}

fn own(fields: &mut Fields<'_>, base: &Path) -> Option<Option<(PathBuf, PathBuf)>> {
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
