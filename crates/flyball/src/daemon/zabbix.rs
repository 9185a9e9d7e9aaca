//! Translates the configuration into the terms of `flyball-zabbix`. The exporter, provisioning, the
//! triggers and the preflight check use the same names, and only [`api`] connects.

mod check;
mod exporter;
mod triggers;

use std::sync::Arc;
use std::time::Duration;

use flyball_config::{Config, Service, Zabbix};
use flyball_core::policy::Rule;
use flyball_core::rules::Triggers;
use flyball_zabbix::{
    Api, ApiSettings, ApiToken, ApiUrl, HostSetup, Peer, Sender, Setup, Thresholds, TlsSettings,
    Webhook, ZabbixError,
};

use crate::failure::{Failure, with_hint};
pub(crate) use check::check;
pub(crate) use exporter::{SampleSink, ZabbixExporter};
pub(crate) use triggers::follow;

with_hint!(ZabbixError);

/// What hosts are called.
#[derive(Clone, Debug)]
pub(crate) struct HostNames(String);

impl HostNames {
    pub(crate) fn new(zabbix: &Zabbix) -> Self {
        Self::prefixed(&zabbix.host_prefix)
    }

    /// The hosts whose names begin with `prefix`.
    pub(crate) fn prefixed(prefix: &str) -> Self {
        Self(prefix.to_owned())
    }

    /// The host of `service`.
    pub(crate) fn of(&self, service: &str) -> Arc<str> {
        format!("{}{service}", self.0).into()
    }
}

/// The way to the trapper.
pub(crate) fn sender(zabbix: &Zabbix) -> Result<Sender, Failure> {
    let peer = Peer::parse(&zabbix.trapper)
        .ok_or_else(|| Failure::new(format!("{:?} is not a trapper address", zabbix.trapper)))?;
    let tls = zabbix.own_certificate.is_some().then(|| tls(zabbix));
    let sender = Sender::new(peer, tls.as_ref())?;
    Ok(match &zabbix.proxy {
        Some(proxy) => sender.with_proxy(proxy),
        None => sender,
    })
}

fn tls(zabbix: &Zabbix) -> TlsSettings {
    TlsSettings { ca_file: zabbix.ca_file.clone(), own: zabbix.own_certificate.clone() }
}

/// Opens the API; `limit` is the longest that a call may take, if not the usual.
pub(crate) async fn api(zabbix: &Zabbix, limit: Option<Duration>) -> Result<Api, Failure> {
    Ok(Api::open(api_settings(zabbix, limit)?).await?)
}

/// Where the API is and how it is asked.
pub(crate) fn api_settings(
    zabbix: &Zabbix,
    limit: Option<Duration>,
) -> Result<ApiSettings, Failure> {
    let api = zabbix.api.as_ref().ok_or_else(|| {
        Failure::new("the address of the Zabbix API is not configured")
            .hint("set api and token_file under [zabbix]")
    })?;
    let url = ApiUrl::parse(&api.url).ok_or_else(|| {
        Failure::new(format!("zabbix.api: {:?} is not an API address", api.url))
            .hint("write http://HOST/zabbix/api_jsonrpc.php")
    })?;
    if url.is_exposed() {
        tracing::warn!("the token for {url} is sent unencrypted; hint: use https");
    }
    let token = read_token(&api.token_file)?;
    let tls = TlsSettings { ca_file: zabbix.ca_file.clone(), own: None };
    Ok(ApiSettings { url, token, tls, limit })
}

/// A token of Zabbix is 64 bytes.
const TOKEN_BYTES_MAX: u64 = 4_096;

fn read_token(path: &std::path::Path) -> Result<ApiToken, Failure> {
    let text = flyball_file::read_text(path, TOKEN_BYTES_MAX)
        .map_err(|error| Failure::new(format!("cannot read {}: {error}", path.display())))?;
    ApiToken::new(&text).ok_or_else(|| {
        Failure::new(format!("{} contains no usable token", path.display()))
            .hint("write the token into it on one line; Zabbix shows it only once")
    })
}

/// All that Zabbix should have for `services`.
pub(crate) fn setup(
    config: &Config,
    services: &[Service],
    zabbix: &Zabbix,
) -> Result<Setup, Failure> {
    let names = HostNames::new(zabbix);
    let host = |service: &Service| HostSetup {
        host: names.of(&service.name).to_string(),
        service: service.name.clone(),
        thresholds: thresholds(&service.policy.rule, zabbix.window_ms(&service.policy)),
    };
    let hosts = services.iter().map(host).collect();
    let webhook = match &zabbix.webhook {
        None => None,
        Some(url) => {
            let token = config.daemon.token_file.as_deref().map(read_token).transpose()?;
            Some(Webhook { url: url.clone(), token })
        }
    };
    Ok(Setup { hosts, webhook, proxy: zabbix.proxy.clone() })
}

/// Trigger thresholds: where the policy scales, as closely as two levels of mean CPU can express.
fn thresholds(rule: &Rule, window_ms: u64) -> Thresholds {
    let Triggers { out_at, in_at, window_ms: own_ms } = rule.triggers();
    let gap = out_at - in_at;
    // A third of the gap down and a fifth up: 30 and 15 % are over at 25 and 18 %, which kept the
    // 2014 sketch's thresholds from flapping; at half the gap each would close the other.
    Thresholds {
        out_at: out_at * 100.0,
        out_clear: (out_at - gap / 3.0) * 100.0,
        in_at: in_at * 100.0,
        in_clear: (in_at + gap / 5.0) * 100.0,
        window_s: own_ms.max(window_ms).div_ceil(1_000),
    }
}

#[cfg(test)]
mod tests {
    use flyball_core::policy::{Advised, Governor};

    use super::*;

    #[test]
    fn triggers_fire_where_the_policy_moves_and_close_between() {
        let at = thresholds(&Rule::Advised(Advised::default()), 15_000);
        let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
        assert!(near(at.out_at, 30.0) && near(at.out_clear, 25.0));
        assert!(near(at.in_at, 15.0) && near(at.in_clear, 18.0));
        assert_eq!(at.window_s, 15);
        let rule = Rule::Governor(Governor::default());
        let at = thresholds(&rule, 3_000);
        assert!(at.in_at < at.in_clear && at.in_clear < at.out_clear && at.out_clear < at.out_at);
        assert_eq!(at.window_s, 3);
    }
}
