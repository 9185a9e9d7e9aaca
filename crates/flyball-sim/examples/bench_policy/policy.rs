//! The runs: which, on how many cores, and where the traces are; not what results mean. Every race
//! is run once, and the order of results does not depend on which core was faster.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use flyball_sim::seed::Seed;
use flyball_sim::sweep::field::{self, Family};
use flyball_sim::sweep::load::{Load, Span};
use flyball_sim::sweep::pool::PoolModel;
use flyball_sim::sweep::race::{Result as Raced, race};
use flyball_sim::sweep::verdict::Entry;
use flyball_sim::trace::Trace;

#[path = "interval.rs"]
mod interval;
#[path = "page.rs"]
mod page;

/// Each start lag with the length of what is run and its tick (in ms): 5,400 to 8,640 ticks each,
/// around the busiest hours. A tick is a fifth of a short lag (flyball's own look interval is at
/// most 2 s), half of the shortest, since Erlang's formula already has the chance within a tick,
/// and longer where replicas are slow, so that the whole takes minutes; that is kinder to policies
/// that look seldom.
const LAGS: [(u64, u64, u64); 4] =
    [(1, 3_600, 500), (10, 3 * 3_600, 2_000), (60, 12 * 3_600, 5_000), (300, 2 * 86_400, 20_000)];

/// What is run.
pub(crate) struct Settings {
    folder: PathBuf,
    seeds: u64,
    json: bool,
    only: Vec<String>,
    traces: Vec<String>,
    lags: Vec<u64>,
    nature: String,
    with: Option<PathBuf>,
    interval: bool,
    threads: Option<usize>,
    command: String,
}

/// A trace with its entry in stats.json.
struct Known {
    trace: Trace,
    capacity: f64,
    hot_middle_ms: u64,
}

struct Job {
    setting: String,
    load: usize,
    lag_s: u64,
    nature: PoolModel,
    seed: Seed,
}

/// Runs what `arguments` ask for; the text to print.
pub(crate) fn run(arguments: impl Iterator<Item = String>) -> Result<String, String> {
    let settings = parse(arguments)?;
    let known = read(&settings)?;
    if settings.interval {
        return interval::run(&known, settings.seeds);
    }
    let field: Vec<Family> = field::families()
        .into_iter()
        .filter(|f| settings.only.is_empty() || settings.only.iter().any(|o| f.name.starts_with(o)))
        .collect();
    let mut loads = Vec::new();
    let mut jobs = Vec::new();
    for (lag_s, length_s, tick_ms) in LAGS.into_iter().filter(|lag| settings.lags.contains(&lag.0))
    {
        for known in &known {
            for seed in (1..=settings.seeds).map(Seed) {
                let span =
                    Span { middle_ms: known.hot_middle_ms, length_ms: length_s * 1_000, tick_ms };
                loads.push(Load::draw(&known.trace, known.capacity, span, seed));
                let nature = nature(&settings.nature, lag_s * 1_000)?;
                for setting in field.iter().flat_map(|family| &family.settings) {
                    let (setting, load) = (setting.clone(), loads.len() - 1);
                    jobs.push(Job { setting, load, lag_s, nature, seed });
                }
            }
        }
    }
    let started = std::time::Instant::now();
    let raced = race_all(&jobs, &loads, settings.threads)?;
    let mut entries = merge(&jobs, &loads, &raced);
    if let Some(path) = &settings.with {
        entries.extend(earlier(path, &entries)?);
    }
    if settings.json {
        return serde_json::to_string(&entries).map_err(|error| error.to_string());
    }
    let minutes = started.elapsed().as_secs_f64() / 60.0;
    eprintln!("{} races in {minutes:.1} min", jobs.len());
    Ok(page::write(&settings.command, &entries, &field::families(), settings.seeds, known.len()))
}

/// Entries that an earlier run printed with `--json`, but for those that were run again.
fn earlier(path: &std::path::Path, again: &[Entry]) -> Result<Vec<Entry>, String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let entries: Vec<Entry> = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let family = |setting: &str| setting.split(':').next().unwrap_or_default().to_owned();
    let run: Vec<String> = again.iter().map(|entry| family(&entry.setting)).collect();
    Ok(entries.into_iter().filter(|entry| !run.contains(&family(&entry.setting))).collect())
}

fn parse(arguments: impl Iterator<Item = String>) -> Result<Settings, String> {
    let words: Vec<String> = arguments.collect();
    let mut arguments = words.iter().cloned();
    let mut settings = Settings {
        folder: PathBuf::new(),
        seeds: 2,
        json: false,
        only: Vec::new(),
        traces: Vec::new(),
        lags: LAGS.map(|lag| lag.0).into(),
        nature: "plain".to_owned(),
        with: None,
        interval: false,
        threads: None,
        command: "FOLDER".to_owned(),
    };
    let list = |text: String| text.split(',').map(str::to_owned).collect::<Vec<String>>();
    while let Some(word) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{word} takes a value"));
        match word.as_str() {
            "--json" => settings.json = true,
            "--interval" => settings.interval = true,
            "--seeds" => settings.seeds = value()?.parse().map_err(|_| "--seeds takes a count")?,
            "--threads" => {
                settings.threads = Some(value()?.parse().map_err(|_| "--threads takes a count")?);
            }
            "--only" => settings.only = list(value()?),
            "--traces" => settings.traces = list(value()?),
            "--lags" => {
                settings.lags = list(value()?).iter().filter_map(|l| l.parse().ok()).collect()
            }
            "--with" => settings.with = Some(value()?.into()),
            "--nature" => settings.nature = value()?,
            folder if !folder.starts_with("--") => settings.folder = folder.into(),
            _ => return Err(format!("unknown argument {word}")),
        }
    }
    let folder = settings.folder.to_string_lossy();
    let options = words.iter().filter(|word| **word != folder).map(|word| format!(" {word}"));
    settings.command = format!("FOLDER{}", options.collect::<String>());
    Ok(settings)
}

/// How the pool differs from the governor's model of it.
fn nature(name: &str, start_lag_ms: u64) -> Result<PoolModel, String> {
    let plain = PoolModel::plain(start_lag_ms);
    match name {
        "plain" => Ok(plain),
        "burn" => Ok(PoolModel { start_burn: 1.0, ..plain }),
        "double" => Ok(PoolModel { work_factor: 2.0, ..plain }),
        "queue" => Ok(PoolModel { counts_late: false, ..plain }),
        "uneven" => Ok(PoolModel { slowest: 0.5, ..plain }),
        _ => Err(format!("`{name}` is no nature\nhint: plain, burn, double, queue or uneven")),
    }
}

fn read(settings: &Settings) -> Result<Vec<Known>, String> {
    let path = settings.folder.join("stats.json");
    let text = std::fs::read_to_string(&path).map_err(|error| {
        format!(
            "cannot read {}: {error}\nhint: cargo xtask bench policy -- FOLDER, where FOLDER has stats.json and open/*.csv",
            path.display()
        )
    })?;
    let stats: Vec<serde_json::Value> = serde_json::from_str(&text).map_err(|e| e.to_string())?;
    let mut known = Vec::new();
    for one in &stats {
        let name = one["name"].as_str().ok_or("a trace without a name")?;
        let path = settings.folder.join("open").join(format!("{name}.csv"));
        let wanted =
            settings.traces.is_empty() || settings.traces.iter().any(|t| name.starts_with(t));
        if !wanted || !path.exists() {
            continue;
        }
        let hot = |i: usize| one["hot_window_s"][i].as_u64().unwrap_or(0);
        known.push(Known {
            trace: flyball_sim::trace::open(&path).map_err(|error| error.to_string())?,
            capacity: one["stats"]["capacity_per_replica"].as_f64().ok_or("no capacity")?,
            hot_middle_ms: u64::midpoint(hot(0), hot(1)) * 1_000,
        });
    }
    if known.is_empty() { Err("no traces to run".to_owned()) } else { Ok(known) }
}

/// All races on so many threads, or on all cores, each result in the place of its job.
fn race_all(jobs: &[Job], loads: &[Load], threads: Option<usize>) -> Result<Vec<Raced>, String> {
    let next = AtomicUsize::new(0);
    let raced = Mutex::new(vec![None; jobs.len()]);
    let cores = threads.unwrap_or_else(all_cores);
    let work = || -> Result<(), String> {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(index) else { return Ok(()) };
            let load = &loads[job.load];
            let runner = field::runner(&job.setting, load, job.lag_s * 1_000)?;
            let result = race(&runner, load, job.nature, job.seed);
            raced.lock().map_err(|_| "a race panicked")?[index] = Some(result);
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|t| t.join().map_err(|_| "a race panicked".to_owned())?)
    })?;
    let raced = raced.into_inner().map_err(|_| "a race panicked")?;
    Ok(raced.into_iter().flatten().collect())
}

fn all_cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The mean over seeds for each setting, trace and start lag, in the order of the jobs.
fn merge(jobs: &[Job], loads: &[Load], raced: &[Raced]) -> Vec<Entry> {
    let mut sums: std::collections::BTreeMap<(u64, String, String), (Raced, u32)> =
        Default::default();
    for (job, result) in jobs.iter().zip(raced) {
        let key = (job.lag_s, loads[job.load].name.clone(), job.setting.clone());
        let (sum, count) = sums.entry(key).or_default();
        sum.cost_ratio += result.cost_ratio;
        sum.over_limit_pct += result.over_limit_pct;
        sum.actions += result.actions;
        sum.broken += result.broken;
        *count += 1;
    }
    let entry =
        |((start_lag_s, trace, setting), (sum, count)): ((u64, String, String), (Raced, u32))| {
            let seeds = f64::from(count);
            let result = Raced {
                cost_ratio: sum.cost_ratio / seeds,
                over_limit_pct: sum.over_limit_pct / seeds,
                actions: sum.actions / count,
                broken: sum.broken,
            };
            Entry { setting, trace, start_lag_s, result }
        };
    sums.into_iter().map(entry).collect()
}
