//! Turns a `[services.NAME]` table into a validated service. What two services cannot share is
//! checked by the caller.

use std::path::Path;

use flyball_core::policy::{Bounds, Policy, Rule, Timing};

use crate::balancer::balancer;
use crate::check;
use crate::config_error::ConfigError;
use crate::duration::show_duration;
use crate::engine::{self, engine};
use crate::keys;
use crate::reservations::Claims;
use crate::syntax::Syntax;
use crate::table_reader::TableReader;
use crate::value::{Span, Value};
use crate::{Balancer, Ready, Service, policy};

/// Half of Kubernetes' probe period: three failures are noticed within 15 s, and one probe in five
/// seconds costs a replica nothing noticeable.
const LIVENESS_MS: u64 = 5_000;
/// Beyond noise, and long before users give up.
const ERROR_LIMIT: f64 = 0.01;

/// The service in `fields`, with paths relative to `base`; `None` if anything was reported. Its
/// claims are returned even if the rest is wrong, so that the same run reports a clash.
pub(crate) fn service(
    name: &str,
    mut fields: TableReader<'_>,
    base: &Path,
) -> (Option<Service>, Claims) {
    let (balancer, slots, claims) = balancer(&mut fields, name, base);
    let (kind, engine) = engine(&mut fields, name, base);
    let (bounds, floor_span) = bounds(&mut fields);
    let timing = timing(&mut fields, kind.unwrap_or(engine::Kind::Process));
    let ready = ready(&mut fields);
    let liveness = fields.take(&keys::LIVENESS, check::duration_ms).or(LIVENESS_MS);
    let error_limit = fields.take(&keys::ERROR_LIMIT, check::share).or(ERROR_LIMIT);
    let rule = policy::rule(&mut fields, slots);
    if let (Some(bounds), Some(span), Some(rule)) = (bounds, floor_span, &rule)
        && (bounds.min, &balancer) == (0, &Some(Balancer::None))
        && *rule != Rule::External
    {
        let key = fields.path_of(keys::MIN.name);
        fields.report(ConfigError::ZeroWithoutBalancer { key }, &span);
    }
    fields.finish();
    let service = (|| {
        let policy =
            Policy { service: name.to_owned(), bounds: bounds?, rule: rule?, timing: timing? };
        Some(Service {
            name: name.to_owned(),
            policy,
            engine: engine?,
            balancer: balancer?,
            ready: ready?,
            liveness_ms: liveness?,
            error_limit: error_limit?,
        })
    })();
    (service, claims)
}

/// 1 to 63 of a-z, 0-9 and -, no - in front: fits a host name's part, a label and a file name.
pub(crate) fn is_service_name(name: &str) -> bool {
    (1..=63).contains(&name.len())
        && !name.starts_with('-')
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// The bounds, and where the floor stands if it is given.
fn bounds(fields: &mut TableReader<'_>) -> (Option<Bounds>, Option<Span>) {
    let min = fields.take(&keys::MIN, check::count);
    let max = fields.take(&keys::MAX, check::count);
    let floor_span = min.given().map(|(_, span)| span.clone());
    let span = floor_span.clone().or(max.given().map(|(_, span)| span.clone()));
    let (Some(min), Some(max)) = (min.or(1), max.or(10)) else { return (None, floor_span) };
    let bounds = Bounds { min, max };
    if let Some(span) = span
        && bounds.min > bounds.max
    {
        let fault = ConfigError::Contradicts {
            key: fields.path_of(keys::MIN.name),
            found: bounds.min.to_string(),
            relation: "more than",
            other: keys::MAX.name,
            other_value: bounds.max.to_string(),
            instead: "raise max or lower min",
        };
        fields.report(fault, &span);
    }
    (Some(bounds), floor_span)
}

fn timing(fields: &mut TableReader<'_>, engine: engine::Kind) -> Option<Timing> {
    let preset = Timing::default();
    let interval_ms = fields.take(&keys::INTERVAL, check::duration_ms).optional();
    let lag = fields.take(&keys::START_LAG, check::duration_ms);
    let limit = fields.take(&keys::START_LIMIT, check::duration_ms);
    let drain_ms = fields.take(&keys::DRAIN, check::duration_ms).or(preset.drain_limit_ms);
    let sick_ms = fields.take(&keys::SICK_AFTER, check::duration_ms).or(preset.sick_after_ms);
    let eject_max = fields.take(&keys::EJECT_MAX, check::share).or(preset.eject_max);
    let span = lag.given().or(limit.given()).map(|(_, span)| span.clone());
    let (lag_ms, limit_ms) = (lag.or(engine.start_lag_ms()), limit.or(preset.start_limit_ms));
    if let (Some(lag_ms), Some(limit_ms), Some(span)) = (lag_ms, limit_ms, span)
        && lag_ms > limit_ms
    {
        let fault = ConfigError::Contradicts {
            key: fields.path_of(keys::START_LAG.name),
            found: show_duration(lag_ms),
            relation: "more than",
            other: keys::START_LIMIT.name,
            other_value: show_duration(limit_ms),
            instead: "raise start_limit, or every start is abandoned",
        };
        fields.report(fault, &span);
    }
    let interval_ms = interval_ms?;
    // Three missed looks, as the preset is for the slowest look interval that flyball chooses.
    let stale_after_ms = preset.stale_after_ms.max(interval_ms.unwrap_or(0).saturating_mul(3));
    Some(Timing {
        interval_ms,
        start_lag_prior_ms: lag_ms?,
        start_limit_ms: limit_ms?,
        drain_limit_ms: drain_ms?,
        stale_after_ms,
        sick_after_ms: sick_ms?,
        eject_max: eject_max?,
    })
}

fn ready(fields: &mut TableReader<'_>) -> Option<Ready> {
    let Some(node) = fields.take_node(&keys::READY) else {
        return Some(Ready::Http { path: "/".to_owned(), any_but_failure: true });
    };
    let (key, syntax) = (fields.path_of(keys::READY.name), fields.syntax);
    let refuse = |found: String| ConfigError::NotA {
        key: key.clone(),
        found,
        wanted: "a table with one probe".to_owned(),
        instead: Some(match syntax {
            Syntax::File => "write ready = { http = \"/healthz\" } or { tcp = true }".to_owned(),
            Syntax::Labels => "write flyball.ready.http=/healthz or flyball.ready=tcp".to_owned(),
        }),
    };
    if matches!(&node.value, Value::Text(word) if word == "tcp") {
        return Some(Ready::Tcp);
    }
    let Value::Table(table) = node.value else {
        fields.report(refuse(node.show()), &node.span);
        return None;
    };
    let mut probe = fields.child(&keys::READY_TABLE, key.clone(), node.span.clone(), table);
    let http = probe.take(&keys::READY_HTTP, check::http_path);
    let tcp = probe.take(&keys::READY_TCP, check::flag);
    probe.finish();
    match (http.optional()?, tcp.optional()?) {
        (Some(path), None | Some(false)) => Some(Ready::Http { path, any_but_failure: false }),
        (None, Some(true)) => Some(Ready::Tcp),
        (http, _) => {
            let found = if http.is_some() { "a table with two" } else { "this table" };
            fields.report(refuse(found.to_owned()), &node.span);
            None
        }
    }
}
