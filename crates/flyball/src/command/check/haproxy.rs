//! What is wrong with the HAProxy of a service.
//!
//! Decides what follows from the service's own keys; the rest is the adapter's to say. Invariant:
//! that of `flyball check`.

use std::path::PathBuf;

use flyball_config::{Backend, Config, Service};
use flyball_haproxy::{Haproxy, Level};

use super::Finding;
use crate::daemon::{haproxy_settings, socket};

/// `files` are HAProxy's own, where they are named.
pub(super) async fn look_at(
    config: &Config,
    service: &Service,
    backend: &Backend,
    slots: Option<u32>,
    files: &[PathBuf],
) -> Vec<Finding> {
    let socket = socket(&config.haproxy.socket);
    let settings = haproxy_settings(service, backend, slots, socket);
    let found = Haproxy::check(&settings, files).await;
    let key = format!("services.{}.haproxy", service.name);
    let finding = |f: flyball_haproxy::Finding| Finding {
        key: key.clone(),
        ok: f.level != Level::Wrong,
        text: f.what,
        hint: f.hint,
    };
    found.into_iter().map(finding).chain(asleep(service, &key)).collect()
}

/// HAProxy holds no request, so that those that come while there is no replica are lost.
fn asleep(service: &Service, key: &str) -> Option<Finding> {
    (service.policy.bounds.min == 0).then(|| Finding {
        key: key.to_owned(),
        ok: true,
        text: "while there is no replica HAProxy answers 503 at once".to_owned(),
        hint: Some("min = 1, or balancer = \"proxy\", which holds requests".to_owned()),
    })
}
