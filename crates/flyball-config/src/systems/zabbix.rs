//! The `[zabbix]` table. Connects to nothing. An API has a readable token file that is not empty, a
//! certificate has its key, and hosts of replicas, a proxy and a webhook have an API.

use std::path::PathBuf;

use flyball_core::policy::Policy;

use crate::reader::{
    ConfigError, FLAG, Form, Given, HOUR_MS, Keys, Kind, PATH, PEER, Read, Reports, TEXT,
    TOKEN_FILE, URL, duration, section, url,
};

/// Three reports are the fewest whose mean survives one that is late.
const WINDOW_INTERVALS: u64 = 3;
/// The longest that anything is averaged over.
const WINDOW_MS_MAX: u64 = HOUR_MS;

section! {
    /// The Zabbix, 6.0 or later, that services are reported to. Without this table, nothing is
    /// reported. `flyball zabbix provision` creates what flyball needs in Zabbix.
    ZabbixKeys "zabbix" => pub Zabbix {
        /// The address where zabbix_server or a zabbix_proxy accepts values. For a proxy, also set
        /// `proxy`.
        trapper: String = PEER, default "\"127.0.0.1:10051\"";
        /// The name in Zabbix of the zabbix_proxy at `trapper`. `flyball zabbix provision` assigns
        /// the hosts to it; Zabbix refuses values that arrive another way. Requires `api`.
        proxy: Option<String> = Kind::plain("text", host_name), optional "`trapper` is the server";
        /// Time between two reports of each replica's CPU usage. Counts and the mean are reported
        /// once a second, decisions as they are made; nothing is reported more often than the
        /// `interval` of the service.
        interval_ms("interval"): u64 = duration(1_000, HOUR_MS), default "\"5s\"";
        /// The prefix of host names in Zabbix, before the service's name.
        host_prefix: String = TEXT, empty "none";
        /// Whether each replica also has its own host in Zabbix, which is created and removed
        /// through `api` together with the replica.
        replica_hosts: bool = FLAG, default "false";
        /// Its API, if it is to be asked.
        api: Option<ZabbixApi> = API, group "";
        /// CA certificates (PEM) to trust for Zabbix.
        ca_file: Option<PathBuf> = PATH, optional "the system's";
        /// Flyball's own certificate and its key: values are sent with TLS.
        own_certificate: Option<(PathBuf, PathBuf)> = OWN_CERTIFICATE, group "";
        /// The address at which Zabbix reaches flyball, `http://HOST:7878/`. Zabbix then calls
        /// flyball when a trigger fires, so that it reacts at once. Requires `api`.
        webhook: Option<String> = Kind::plain("`http://` or `https://` address", webhook),
            optional "Zabbix does not call";
    }
}

section! {
    /// Zabbix's API, and who flyball is there.
    ApiKeys "" {
        /// The API of the Zabbix frontend, `http://HOST/zabbix/api_jsonrpc.php`, for `flyball
        /// zabbix` and for policies that Zabbix drives. Requires `token_file`.
        api: Option<String> = URL, optional "the API is not used";
        /// A file with an API token: of a Super admin for `flyball zabbix provision`, of a user
        /// with read access for `flyball run` (with write access if `replica_hosts` is true).
        token_file: Option<PathBuf> = TOKEN_FILE, optional "none";
    }
}

section! {
    /// Who flyball is to Zabbix.
    CertificateKeys "" {
        /// Flyball's own certificate (PEM). With it and `key_file`, values are sent with TLS.
        /// Pre-shared keys are not supported.
        cert_file: Option<PathBuf> = PATH, optional "values are sent unencrypted";
        /// The key of `cert_file` (PEM).
        key_file: Option<PathBuf> = PATH, optional "none";
    }
}

/// An API with its token.
const API: Kind<Option<ZabbixApi>> = Kind {
    form: Form::Group(ApiKeys::SECTION),
    read: Read::Group(|reader| {
        let ApiKeys { api, token_file } = ApiKeys::read(reader);
        if api.given().is_some() && token_file.is_absent() {
            token_file.report_missing("\"/etc/flyball/zabbix-token\"", reader.reports);
        }
        let (url, token_file) = (api.value?, token_file.value?);
        Some(url.zip(token_file).map(|(url, token_file)| ZabbixApi { url, token_file }))
    }),
};

/// A certificate with its key.
const OWN_CERTIFICATE: Kind<Option<(PathBuf, PathBuf)>> = Kind {
    form: Form::Group(CertificateKeys::SECTION),
    read: Read::Group(|reader| {
        let CertificateKeys { cert_file, key_file } = CertificateKeys::read(reader);
        match (cert_file.is_absent(), key_file.is_absent()) {
            (false, true) => {
                key_file.report_missing("\"/etc/flyball/zabbix.key\"", reader.reports);
            }
            (true, false) => {
                cert_file.report_missing("\"/etc/flyball/zabbix.crt\"", reader.reports);
            }
            _ => {}
        }
        Some(cert_file.value?.zip(key_file.value?))
    }),
};

/// Zabbix's API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZabbixApi {
    /// An http or https address.
    pub url: String,
    /// A file that held a token when it was checked.
    pub token_file: PathBuf,
}

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
        policy.rule.follow_window(window_ms);
    }
}

impl ZabbixKeys {
    pub(crate) fn zabbix(self, reports: &mut Reports) -> Option<Zabbix> {
        let needs_api = self.replica_hosts.value == Some(true)
            || self.proxy.given().is_some()
            || self.webhook.given().is_some();
        if needs_api && self.api.value == Some(None) {
            self.api.report_missing("\"http://127.0.0.1/zabbix/api_jsonrpc.php\"", reports);
        }
        self.all()
    }
}

/// A name as Zabbix allows for hosts and proxies: with spaces, but not around it.
fn host_name(given: Given<'_>) -> Result<String, ConfigError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || " ._-".contains(c);
    let fine = |text: &str| !text.is_empty() && text.trim() == text && text.chars().all(allowed);
    given.text_that(fine, "the name of a Zabbix proxy", "\"NAME\"")
}

/// Flyball's own address, without a slash at the end.
fn webhook(given: Given<'_>) -> Result<String, ConfigError> {
    url(given).map(|url| url.trim_end_matches('/').to_owned())
}
