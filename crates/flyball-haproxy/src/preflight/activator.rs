//! Whether requests reach the activator while no replica is ready, and are left there long enough.

use crate::finding::{Edit, Finding};
use crate::mark::ACTIVATOR;
use crate::settings::{HaproxySettings, Mode};
use crate::source::Source;
use crate::stat::Snapshot;

pub(super) fn look_at(
    settings: &HaproxySettings,
    seen: Option<&Snapshot>,
    source: &Source,
) -> Vec<Finding> {
    let (Some(address), Some(seen)) = (settings.activator, seen) else { return Vec::new() };
    let backend = &settings.backend;
    if seen.backend.mode == Mode::Tcp {
        let what = format!("backend `{backend}` is no HTTP: without a replica, connections fail");
        let hint = "the activator speaks HTTP: use `mode http`, or min = 1";
        return vec![Finding::wrong(what, Vec::new()).with_hint(hint)];
    }
    if let Some(word) = settings.server_options.beyond_plain_http() {
        let what = format!("the activator passes on plain HTTP/1, but servers have `{word}`");
        let hint = "set min = 1, or let replicas take plain HTTP";
        return vec![Finding::wrong(what, Vec::new()).with_hint(hint)];
    }
    let mut findings = vec![match seen.servers.get(ACTIVATOR) {
        Some(server) if !server.is_backup => {
            let what = format!("server `{ACTIVATOR}` of `{backend}` is no backup server");
            Finding::wrong(what, vec![line(settings, source, address)])
        }
        None if !seen.process.takes_servers() => {
            let what = format!(
                "HAProxy {} answers 503 without a replica: it takes no activator at run time",
                seen.process.version
            );
            Finding::wrong(what, vec![line(settings, source, address)])
        }
        _ => Finding::well(format!("without a replica, requests wait at the activator, {address}")),
    }];
    findings.extend(goes_first(settings, seen));
    findings.extend(patience(settings, source));
    findings
}

/// HAProxy uses one backup server, and of several the first.
fn goes_first(settings: &HaproxySettings, seen: &Snapshot) -> Option<Finding> {
    let mut backups = seen.servers.iter().filter(|(_, server)| server.is_backup);
    let (name, _) = backups.find(|(name, server)| *name != ACTIVATOR && server.takes_requests())?;
    let backend = &settings.backend;
    let what = format!("backup server `{name}` of `{backend}` goes before the activator");
    let hint = "remove it, or set min = 1: while it answers, nothing wakes the service";
    Some(Finding::wrong(what, Vec::new()).with_hint(hint))
}

/// The line that has to be in the configuration.
fn line(settings: &HaproxySettings, source: &Source, address: std::net::SocketAddr) -> Edit {
    let section = super::title(settings, source);
    Edit::Add { section, line: format!("server {ACTIVATOR} {address} backup no-check") }
}

/// HAProxy gives up on an answer after `timeout server`, whatever the activator would do.
fn patience(settings: &HaproxySettings, source: &Source) -> Option<Finding> {
    let read = source.configuration.as_ref().ok()?;
    let whole = match &settings.file {
        Some(file) => read.with_own(&settings.backend, &file.lines),
        None => read.clone(),
    };
    let section = whole.backends(&settings.backend).last()?;
    let lines = whole.lines(section);
    let words = lines.last("timeout server")?;
    let limit_ms = milliseconds(words.first()?)?;
    let wanted_ms = settings.activator_wait_ms;
    (limit_ms <= wanted_ms).then(|| {
        let s = wanted_ms.div_ceil(1_000) + 5;
        let what = format!(
            "`timeout server {}` ends requests before they may have waited for a replica \
             (wait_limit)",
            words.join(" ")
        );
        let (section, old) = (super::title(settings, source), "timeout server".to_owned());
        Finding::advice(
            what,
            vec![Edit::Replace { section, old, line: format!("timeout server {s}s") }],
        )
    })
}

/// A time as HAProxy writes it; without a unit it is in milliseconds.
fn milliseconds(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "us" => return Some(number.parse::<u64>().ok()? / 1_000),
        "" | "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::milliseconds;

    #[test]
    fn times_are_read_as_haproxys_manual_says() {
        for (text, ms) in [("30s", 30_000), ("250", 250), ("2m", 120_000), ("900us", 0)] {
            assert_eq!(milliseconds(text), Some(ms), "{text}");
        }
        assert_eq!(milliseconds("5w"), None);
    }
}
