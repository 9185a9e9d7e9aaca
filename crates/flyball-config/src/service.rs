//! One `[services.NAME]` table to one validated service.
//!
//! Decides what a service's keys mean together. Addresses that two services share are the
//! caller's. Invariant: what is returned can run as it is; what cannot has been reported.

use std::net::SocketAddr;
use std::path::Path;

use flyball_core::policy::{Bounds, Policy, Timing};

use crate::check;
use crate::duration::show_duration;
use crate::fault::Fault;
use crate::fields::{Field, Fields};
use crate::keys;
use crate::value::{Span, Value};
use crate::{Balancer, Engine, Process, Ready, Service, policy};

/// The start lag of a process until it has been measured: an interpreter with a few modules.
const PROCESS_START_LAG_MS: u64 = 1_000;
/// What container engines give a process between SIGTERM and SIGKILL.
const GRACE_MS: u64 = 10_000;

/// Where a service listens, and where in the file it says so.
pub(crate) type Listening = Option<(SocketAddr, Span)>;

/// The service in `fields`, with paths relative to `base`; `None` if anything was reported. Where
/// it listens is told also if the rest is wrong, so that a clash is seen in the same run.
pub(crate) fn service(
    name: &str,
    mut fields: Fields<'_>,
    base: &Path,
) -> (Option<Service>, Listening) {
    let (balancer, slots, listening) = balancer(&mut fields);
    let engine = engine(&mut fields, base);
    let bounds = bounds(&mut fields);
    let timing = timing(&mut fields);
    let ready = ready(&mut fields);
    let rule = policy::rule(&mut fields, slots);
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
        })
    })();
    (service, listening)
}

fn engine(fields: &mut Fields<'_>, base: &Path) -> Option<Engine> {
    let word = fields.take(&keys::ENGINE, check::word);
    let command = fields.take(&keys::COMMAND, check::words);
    let env = fields.take_variables(&keys::ENV);
    let directory = fields.take(&keys::DIRECTORY, check::path).optional();
    let cpus = fields.take(&keys::CPUS, check::cores).or(1.0);
    let grace_ms = fields.take(&keys::GRACE, check::duration_ms).or(GRACE_MS);
    match word {
        Field::Refused => return None,
        Field::Absent => fields.missing(&keys::ENGINE, "\"process\""),
        Field::Given { .. } => {}
    }
    if matches!(command, Field::Absent) {
        fields.missing(&keys::COMMAND, "[\"./server\", \"--port\", \"{port}\"]");
    }
    Some(Engine::Process(Process {
        command: command.optional()??,
        env: env?,
        directory: directory?.map(|path| base.join(path)),
        cpus: cpus?,
        grace_ms: grace_ms?,
    }))
}

fn balancer(fields: &mut Fields<'_>) -> (Option<Balancer>, Option<u32>, Listening) {
    let word = fields.take(&keys::BALANCER, check::word).or("proxy");
    let listen = fields.take(&keys::LISTEN, check::address);
    let slots = fields.take(&keys::SLOTS, check::count);
    match word {
        None => (None, None, None),
        Some("none") => {
            let useless = [
                (&keys::LISTEN, listen.given().map(|(_, span)| span.clone())),
                (&keys::SLOTS, slots.given().map(|(_, span)| span.clone())),
            ];
            for (key, span) in useless {
                let key = fields.path_of(key.name);
                let beside = "balancer = \"none\"";
                if let Some(span) = span {
                    fields.report(Fault::Useless { key, beside }, &span);
                }
            }
            (Some(Balancer::None), None, None)
        }
        Some(_) => {
            if matches!(listen, Field::Absent) {
                fields.missing(&keys::LISTEN, "\"127.0.0.1:8080\"");
            }
            let listening = listen.given().map(|(address, span)| (*address, span.clone()));
            let slots = slots.optional();
            let balancer =
                (|| Some(Balancer::Proxy { listen: listening.as_ref()?.0, slots: slots? }))();
            (balancer, slots.flatten(), listening)
        }
    }
}

fn bounds(fields: &mut Fields<'_>) -> Option<Bounds> {
    let min = fields.take(&keys::MIN, check::count);
    let max = fields.take(&keys::MAX, check::count);
    let span = min.given().or(max.given()).map(|(_, span)| span.clone());
    let (min, max) = (min.or(1), max.or(10));
    let bounds = Bounds { min: min?, max: max? };
    if bounds.min > bounds.max {
        let fault = Fault::Contradicts {
            key: fields.path_of(keys::MIN.name),
            found: bounds.min.to_string(),
            relation: "more than",
            other: keys::MAX.name,
            other_value: bounds.max.to_string(),
            instead: "raise max or lower min",
        };
        fields.report(fault, &span?);
    }
    Some(bounds)
}

fn timing(fields: &mut Fields<'_>) -> Option<Timing> {
    let preset = Timing::default();
    let look_ms = fields.take(&keys::LOOK, check::duration_ms).optional();
    let lag = fields.take(&keys::START_LAG, check::duration_ms);
    let limit = fields.take(&keys::START_LIMIT, check::duration_ms);
    let drain_ms = fields.take(&keys::DRAIN, check::duration_ms).or(preset.drain_limit_ms);
    let span = lag.given().or(limit.given()).map(|(_, span)| span.clone());
    let (lag_ms, limit_ms) = (lag.or(PROCESS_START_LAG_MS), limit.or(preset.start_limit_ms));
    if let (Some(lag_ms), Some(limit_ms), Some(span)) = (lag_ms, limit_ms, span)
        && lag_ms > limit_ms
    {
        let fault = Fault::Contradicts {
            key: fields.path_of(keys::START_LAG.name),
            found: show_duration(lag_ms),
            relation: "more than",
            other: keys::START_LIMIT.name,
            other_value: show_duration(limit_ms),
            instead: "raise start_limit: every start would be given up",
        };
        fields.report(fault, &span);
    }
    let look_ms = look_ms?;
    // Three missed looks, as the preset is for the slowest look interval that flyball chooses.
    let stale_after_ms = preset.stale_after_ms.max(look_ms.unwrap_or(0).saturating_mul(3));
    Some(Timing {
        look_ms,
        start_lag_prior_ms: lag_ms?,
        start_limit_ms: limit_ms?,
        drain_limit_ms: drain_ms?,
        stale_after_ms,
    })
}

fn ready(fields: &mut Fields<'_>) -> Option<Ready> {
    let Some(node) = fields.take_node(&keys::READY) else {
        return Some(Ready::Http { path: "/".to_owned(), any_status: true });
    };
    let key = fields.path_of(keys::READY.name);
    let refuse = |found: String| Fault::NotA {
        key: key.clone(),
        found,
        wanted: "a table with one probe".to_owned(),
        instead: Some("write ready = { http = \"/healthz\" } or { tcp = true }".to_owned()),
    };
    let Value::Table(table) = node.value else {
        fields.report(refuse(node.show()), &node.span);
        return None;
    };
    let mut probe = fields.child(&keys::READY_TABLE, key.clone(), node.span.clone(), table);
    let http = probe.take(&keys::READY_HTTP, check::http_path);
    let tcp = probe.take(&keys::READY_TCP, check::flag);
    probe.finish();
    match (http.optional()?, tcp.optional()?) {
        (Some(path), None | Some(false)) => Some(Ready::Http { path, any_status: false }),
        (None, Some(true)) => Some(Ready::Tcp),
        (http, _) => {
            let found = if http.is_some() { "a table with two" } else { "this table" };
            fields.report(refuse(found.to_owned()), &node.span);
            None
        }
    }
}
