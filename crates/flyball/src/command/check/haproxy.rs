//! Adds what follows from the keys of a service to the findings of the HAProxy adapter.

use std::path::PathBuf;

use flyball_config::{Backend, Service};
use flyball_haproxy::{Haproxy, Level};

use super::Finding;
use crate::daemon::{HaproxyPlace, haproxy_settings};

/// `files` are HAProxy's own, where they are named.
pub(super) async fn look_at(
    place: HaproxyPlace,
    service: &Service,
    backend: &Backend,
    slots: Option<u32>,
    files: &[PathBuf],
) -> Vec<Finding> {
    let settings = haproxy_settings(service, backend, slots, place);
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

/// HAProxy does not hold requests, so requests that arrive while there is no replica fail.
fn asleep(service: &Service, key: &str) -> Option<Finding> {
    (service.policy.bounds.min == 0).then(|| Finding {
        key: key.to_owned(),
        ok: true,
        text: "without a replica HAProxy answers 503 at once".to_owned(),
        hint: Some("set min = 1, or use balancer = \"proxy\", which holds requests".to_owned()),
    })
}
