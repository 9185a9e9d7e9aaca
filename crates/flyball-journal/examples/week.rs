//! Fills a journal with two weeks of 20 services and measures the queries of charts, as one JSON
//! object. `cargo run --release -p flyball-journal --example week [DIRECTORY]`; the directory
//! should be empty and on a real disk.

use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use flyball_core::record::Sample;
use flyball_journal::{Journal, Reader, Retention};

const SERVICES: u32 = 20;
const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;
const BEGIN_MS: i64 = 1_750_636_800_000;
const END_MS: i64 = BEGIN_MS + 14 * DAY_MS;

fn main() -> Result<(), Box<dyn Error>> {
    let scratch = tempfile::tempdir()?;
    let dir = std::env::args().nth(1).map_or(scratch.path().to_owned(), PathBuf::from);
    let begin = Instant::now();
    let journal = Journal::open(&dir, Retention::default());
    // Days that will only be read as minutes need one sample a minute.
    let recorded = fill(&journal, BEGIN_MS, END_MS - DAY_MS, MINUTE_MS)?
        + fill(&journal, END_MS - DAY_MS, END_MS, 1_000)?;
    let fill_s = begin.elapsed().as_secs_f64();
    let lost = journal.lost();
    journal.close()?;
    let bytes = dir.join("journal.db").metadata()?.len();

    let begin = Instant::now();
    let journal = Journal::open(&dir, Retention::default());
    let open_ms = begin.elapsed().as_secs_f64() * 1e3;
    let reader = journal.reader()?;
    let mut figures = String::new();
    for (name, span_ms) in [
        ("hour", DAY_MS / 24),
        ("eight_hours", DAY_MS / 3),
        ("day", DAY_MS),
        ("week", 7 * DAY_MS),
        ("two_weeks", 14 * DAY_MS),
    ] {
        let (cold_ms, worst_ms, points) = ask(&reader, span_ms)?;
        figures += &format!(
            ",\"{name}\":{{\"points\":{points},\"first_ms\":{cold_ms:.1},\"worst_of_20_ms\":{worst_ms:.1}}}"
        );
    }
    writeln!(
        std::io::stdout(),
        "{{\"services\":{SERVICES},\"recorded\":{recorded},\"lost\":{lost},\"fill_s\":{fill_s:.1},\
         \"bytes\":{bytes},\"open_ms\":{open_ms:.0},\"points_max\":500{figures}}}"
    )?;
    Ok(())
}

/// Records a sample of each service every `every_ms`; gives how many.
fn fill(journal: &Journal, from_ms: i64, to_ms: i64, every_ms: i64) -> Result<u64, Box<dyn Error>> {
    let mut recorded = 0;
    let mut wall_ms = from_ms;
    while wall_ms < to_ms {
        for service in 0..SERVICES {
            let sample = Sample {
                wall_ms,
                desired: 5,
                ready: Some(service),
                mean_cpu: Some(0.3),
                arrivals_per_s: Some(212.5),
                waiting: Some(0),
                in_flight: Some(7),
                p50_ms: Some(3.25),
                p99_ms: Some(41.5),
                errors: Some(12),
                ..Sample::default()
            };
            journal.record_sample(&format!("service-{service}"), &sample);
            recorded += 1;
        }
        if recorded % 4_000 == 0 {
            journal.flush()?;
        }
        wall_ms += every_ms;
    }
    journal.flush()?;
    Ok(recorded)
}

/// The times of the first and of the slowest of 20 questions for the last `span_ms`, and points.
fn ask(reader: &Reader, span_ms: i64) -> Result<(f64, f64, usize), Box<dyn Error>> {
    let (mut first_ms, mut worst_ms, mut points) = (0.0, 0.0_f64, 0);
    for service in 0..SERVICES {
        let begin = Instant::now();
        let service = format!("service-{service}");
        points = reader.samples(&service, END_MS - span_ms, END_MS, 500)?.len();
        let took_ms = begin.elapsed().as_secs_f64() * 1e3;
        worst_ms = worst_ms.max(took_ms);
        if first_ms == 0.0 {
            first_ms = took_ms;
        }
    }
    Ok((first_ms, worst_ms, points))
}
