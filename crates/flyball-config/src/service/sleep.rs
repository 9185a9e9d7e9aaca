//! When a service without a minimum sleeps, and how: the `sleep` of a service.

use flyball_core::policy::{Bounds, Rule, SleepPolicy};

use super::{Balancer, ServiceKeys};
use crate::reader::{
    ConfigError, DAY_MS, Given, Kind, Reports, Syntax, Value, choice, duration, section,
};

/// Requests that are ignored may be named by so many texts.
const IGNORE_MAX: usize = 64;

section! {
    /// When a service with `min = 0` has no replica, and what becomes of its containers. See [the
    /// guide](../guide/sleep.md).
    SleepKeys "services.NAME.sleep" {
        /// How long nothing may have used the service before it sleeps: no request arrived, none
        /// was in flight (an open WebSocket or a download is), and none waited.
        after: u64 = duration(1_000, 30 * DAY_MS), default "\"10m\"", label Always;
        /// What happens to a container that flyball did not start. `"stop"`: it is stopped, and
        /// started again. `"pause"`: it is frozen; its memory stays in use, and it serves again at
        /// once. Containers that flyball started are removed.
        mode: &'static str = choice(&["stop", "pause"]), default "\"stop\"", label Always;
        /// Requests that neither wake the service nor keep it awake, such as those of monitors. An
        /// entry that starts with `/` is a path; any other is a part of the `User-Agent`. A label has
        /// them with commas in between. While the service sleeps, they get 503 with `Retry-After`.
        ignore: Vec<String> = IGNORE, default "[]", label Always;
    }
}

const IGNORE: Kind<Vec<String>> = Kind::plain("list of paths and parts of user agents", ignore);

/// What happens to a container that sleeps and that flyball did not start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SleepMode {
    /// It is stopped, and stays.
    Stop,
    /// It is frozen.
    Pause,
}

fn ignore(given: Given<'_>) -> Result<Vec<String>, ConfigError> {
    let (wanted, example) = ("a list of paths and parts of user agents", "[\"/healthz\"]");
    let fine = |text: &str| {
        let is_text = text.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
        (is_text && text.trim().len() > 1).then(|| text.to_owned())
    };
    let found: Vec<String> = match (&given.node.value, given.around.syntax) {
        // A label is always a text.
        (Value::Text(text), Syntax::Labels) => {
            let each = text.split(',').map(|entry| fine(entry.trim()));
            each.collect::<Option<_>>().ok_or_else(|| given.not_like(wanted, "/healthz"))?
        }
        _ => given.each(fine, wanted, example)?,
    };
    if found.len() > IGNORE_MAX {
        return Err(given.not_a(wanted, format!("name {IGNORE_MAX} at most")));
    }
    Ok(found)
}

/// When a service of `bounds` sleeps.
pub(super) fn sleep(keys: &ServiceKeys, rule: &Rule, bounds: Bounds) -> Option<SleepPolicy> {
    // Whoever sets the count of an external policy decides about the last replica, too, unless the
    // service is told to sleep.
    let sleeps = bounds.min == 0 && !(rule.is_external() && keys.sleep.is_absent());
    let after_ms = keys.sleep.value.as_ref()?.after.value?;
    sleeps.then_some(SleepPolicy { after_ms })
}

/// How containers that flyball did not start sleep; `None` where the service does not.
pub(super) fn mode(keys: &ServiceKeys) -> Option<SleepMode> {
    let external = keys.policy.value.as_ref()?.is_external() && keys.sleep.is_absent();
    let sleeps = keys.min.value == Some(0) && !external;
    let mode = if keys.sleep.value.as_ref()?.mode.value? == "pause" {
        SleepMode::Pause
    } else {
        SleepMode::Stop
    };
    sleeps.then_some(mode)
}

/// The requests that keep nothing awake.
pub(super) fn ignored(keys: &ServiceKeys) -> Option<Vec<String>> {
    keys.sleep.value.as_ref()?.ignore.value.clone()
}

/// Says where `sleep` would have no effect.
pub(super) fn check(keys: &ServiceKeys, balancer: Option<&Balancer>, reports: &mut Reports) {
    let Some((sleep, _)) = keys.sleep.given() else { return };
    if keys.min.value.is_some_and(|min| min > 0) {
        let instead = format!("add {}, or remove {}", keys.min.assign("0"), keys.sleep.path);
        keys.sleep.refuse("a service sleeps only where min is 0", &instead, reports);
    }
    if balancer == Some(&Balancer::None) {
        let instead = "remove it: without a balancer, nobody sees whether the service is used";
        keys.sleep.refuse("sleep requires a balancer", instead, reports);
    }
    let is_proxy = keys.balancer.value.is_none_or(|balancer| balancer == "proxy");
    if !sleep.ignore.is_absent() && !is_proxy {
        let instead = "remove it, and have HAProxy answer monitors itself: see \
                       docs/guide/sleep.md";
        sleep.ignore.refuse_beside("balancer = \"haproxy\"", instead, reports);
    }
    let is_docker = keys.engine.value.flatten().is_none_or(|engine| engine == "docker");
    if !sleep.mode.is_absent() && !is_docker {
        let instead = "remove it: this engine removes replicas while the service sleeps";
        sleep.mode.refuse(
            "only containers of the Docker host are stopped or paused",
            instead,
            reports,
        );
    }
}
