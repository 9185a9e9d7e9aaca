//! Reads the load of a service from its journal, next to a daemon that writes. It uses the longest
//! stretch without a gap, because a missing minute is not a quiet one.

use std::path::Path;

use flyball_core::record::Sample;
use flyball_journal::Reader;
use flyball_sim::trace::{Trace, Unit};

use crate::cli::ConfigFile;
use crate::command::configuration;
use crate::failure::Failure;
use crate::output::note;

const MINUTE_MS: i64 = 60_000;
/// Fewer minutes say nothing about a policy.
const MINUTES_MIN: usize = 10;

/// A load from a journal.
pub(super) struct Recorded {
    pub(super) trace: Trace,
    /// Requests per second that one replica would serve if it were always busy, where measured.
    pub(super) capacity: Option<f64>,
}

/// The load of `service` in the last `since_ms`.
pub(super) fn read(service: &str, since_ms: u64, file: &ConfigFile) -> Result<Recorded, Failure> {
    let config = configuration(file)?;
    let reader = Reader::beside(&config.daemon.state_dir)?;
    let to_ms = jiff::Timestamp::now().as_millisecond();
    let from_ms = to_ms.saturating_sub(i64::try_from(since_ms).unwrap_or(i64::MAX));
    let points = u32::try_from((to_ms - from_ms) / MINUTE_MS + 2).unwrap_or(u32::MAX);
    known(&reader, service, &config.daemon.state_dir)?;
    let samples = reader.samples(service, from_ms, to_ms, points)?;
    let minutes = by_minute(&samples);
    let stretch = longest_stretch(&minutes);
    if stretch.len() < MINUTES_MIN {
        return Err(too_short(service, stretch.len()));
    }
    if stretch.len() < minutes.len() {
        note(&format!(
            "the journal has gaps: replaying its longest stretch, {} of {} minutes",
            stretch.len(),
            minutes.len()
        ));
    }
    let values = stretch.iter().map(|minute| minute.per_s).collect();
    let step_ms = MINUTE_MS.unsigned_abs();
    let trace = Trace { name: service.to_owned(), unit: Unit::RequestsPerSecond, step_ms, values };
    Ok(Recorded { trace, capacity: capacity(&samples) })
}

/// A name that the journal in `dir` does not have is a mistake, and not a service without a history.
fn known(reader: &Reader, service: &str, dir: &Path) -> Result<(), Failure> {
    let names = reader.services()?;
    if names.iter().any(|name| name == service) {
        return Ok(());
    }
    let what = format!("the journal in {} has no service {service:?}", dir.display());
    Err(Failure::new(what).hint(match names.as_slice() {
        [] => "it has none yet: run flyball with this configuration, or select another with -c"
            .to_owned(),
        names => format!("it has {}; select another configuration with -c", names.join(", ")),
    }))
}

fn too_short(service: &str, minutes: usize) -> Failure {
    let what = match minutes {
        0 => format!("the journal has no minute of {service} in which arrivals were counted"),
        1 => format!("the journal has 1 minute of {service}"),
        _ => format!("the journal has {minutes} consecutive minutes of {service}"),
    };
    let missing = MINUTES_MIN - minutes;
    Failure::new(format!("{what}; a simulation needs {MINUTES_MIN}")).hint(format!(
        "run flyball for {missing} min more with incoming requests, or look further back with \
         --since"
    ))
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Minute {
    number: i64,
    per_s: f64,
}

/// Means over whole minutes; one without arrivals that were measured is left out.
fn by_minute(samples: &[Sample]) -> Vec<Minute> {
    let number = |sample: &Sample| sample.wall_ms.div_euclid(MINUTE_MS);
    let minute = |samples: &[Sample]| {
        let known: Vec<f64> = samples.iter().filter_map(|s| s.arrivals_per_s).collect();
        #[expect(clippy::cast_precision_loss, reason = "the samples of a minute")]
        let per_s = known.iter().sum::<f64>() / known.len() as f64;
        (!known.is_empty()).then(|| Minute { number: number(&samples[0]), per_s })
    };
    samples.chunk_by(|a, b| number(a) == number(b)).filter_map(minute).collect()
}

fn longest_stretch(minutes: &[Minute]) -> &[Minute] {
    let stretches = minutes.chunk_by(|a, b| b.number == a.number + 1);
    stretches.max_by_key(|stretch| stretch.len()).unwrap_or_default()
}

/// Arrivals for each busy replica, over all samples that have both.
fn capacity(samples: &[Sample]) -> Option<f64> {
    let known = samples.iter().filter_map(|sample| {
        let busy = sample.mean_cpu? * f64::from(sample.ready?);
        Some((sample.arrivals_per_s?, busy))
    });
    let (arrivals, busy) =
        known.fold((0.0, 0.0), |(a, b), (arrivals, busy)| (a + arrivals, b + busy));
    (arrivals > 0.0 && busy > 0.0).then(|| arrivals / busy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(minute: i64, per_s: f64) -> Sample {
        let (ready, mean_cpu) = (Some(2), Some(0.5));
        let arrivals_per_s = Some(per_s);
        Sample { wall_ms: minute * MINUTE_MS, ready, mean_cpu, arrivals_per_s, ..Sample::default() }
    }

    #[test]
    fn the_longest_stretch_without_a_hole_is_replayed() {
        let blind = Sample { arrivals_per_s: None, ..sample(4, 0.0) };
        let samples = [sample(1, 1.0), sample(2, 2.0), sample(3, 3.0), blind, sample(5, 5.0)];
        let minutes = by_minute(&samples);
        let rates: Vec<f64> = longest_stretch(&minutes).iter().map(|m| m.per_s).collect();
        assert_eq!(rates, [1.0, 2.0, 3.0]);
        assert!(longest_stretch(&[]).is_empty());
    }

    #[test]
    fn a_history_that_is_too_short_is_told_how_much_is_needed() {
        let said = too_short("web", 3).to_string();
        assert!(said.starts_with(
            "error: the journal has 3 consecutive minutes of web; a simulation needs 10"
        ));
        assert!(said.contains("hint: run flyball for 7 min more"), "{said}");
        assert!(too_short("web", 0).to_string().contains("no minute of web in which arrivals"));
    }

    #[test]
    fn a_replicas_capacity_is_what_it_would_serve_if_always_busy() {
        assert_eq!(capacity(&[sample(1, 20.0), sample(2, 20.0)]), Some(20.0));
        assert_eq!(capacity(&[sample(1, 0.0)]), None);
    }
}
