//! Containers behind HAProxy, measured: the real program, a Docker daemon and a HAProxy of the
//! benchmark's own, on 127.0.0.1 (root). Figures go to stdout, progress to stderr; a missed target
//! is exit status 1.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that measures"
)]

mod course;
mod figures;
#[path = "../../tests/containers/load.rs"]
mod load;
mod looks;
mod outage;
mod pulse;
#[path = "../../tests/containers/stage.rs"]
#[allow(dead_code, reason = "it is shared, and this uses its own part of it")]
mod stage;
mod starts;
mod steps;
#[path = "../../tests/program/support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "it is shared, and this uses its own part of it")]
mod support;
mod volume;

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use serde_json::{Map, Value, json};

use figures::{Measured, load_average};
use stage::Stage;
use support::Place;

#[derive(Parser)]
pub(crate) struct Args {
    /// What to measure; everything if nothing is named.
    parts: Vec<Part>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// Only with containers that are reached in this way; in each way if nothing is named.
    #[arg(long)]
    reach: Option<Reach>,
    /// Starts per way to reach a container.
    #[arg(long, default_value_t = 50)]
    starts: u32,
    /// Load steps per way to reach a container.
    #[arg(long, default_value_t = 10)]
    steps: u32,
    /// Scale actions at least.
    #[arg(long, default_value_t = 200)]
    actions: u32,
    /// Requests at least while they are made.
    #[arg(long, default_value_t = 300_000)]
    requests: u32,
    /// Containers looked at.
    #[arg(long, default_value_t = 100)]
    containers: u64,
    /// What `cargo bench` adds.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// From the order to the first request served, beside what Docker itself needs.
    Starts,
    /// From a load four times as high to the first request served by a new container.
    Steps,
    /// Requests that fail while containers come and go.
    Volume,
    /// CPU of flyball and of dockerd.
    Looks,
    /// Requests and containers while HAProxy's socket is away.
    Outage,
}

impl Part {
    /// With each way to reach a container, where that matters.
    fn ways(self) -> Vec<(Self, Reach)> {
        match self {
            Self::Starts | Self::Steps => vec![(self, Reach::Published), (self, Reach::Host)],
            Self::Volume | Self::Outage => vec![(self, Reach::Published)],
            Self::Looks => vec![(self, Reach::Host)],
        }
    }
}

/// How flyball's containers are reached.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Reach {
    /// By a port published on 127.0.0.1.
    Published,
    /// In the host's own network.
    Host,
}

impl Reach {
    /// As in `flyball.toml`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Host => "host",
        }
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let all = [Part::Starts, Part::Steps, Part::Volume, Part::Looks, Part::Outage];
    let parts = if args.parts.is_empty() { &all[..] } else { &args.parts[..] };
    let Some(mut stage) = Stage::set() else { return ExitCode::from(2) };
    let mut report = Map::from_iter([("conditions".to_owned(), conditions(&stage))]);
    let mut met = true;
    let ways = parts.iter().flat_map(|part| part.ways());
    for (part, reach) in ways.filter(|(_, reach)| args.reach.is_none_or(|only| only == *reach)) {
        // Each its own state directory: nothing of one is known in the next.
        stage.place = Place::new();
        let Measured { name, missed, table, json } = measure(part, reach, &stage, &args);
        eprintln!("{name}: load average {}", load_average());
        if !args.json {
            println!("{table}");
        }
        for target in &missed {
            eprintln!("missed: {name}: {target}");
        }
        met &= missed.is_empty();
        report.insert(name, json);
    }
    report.insert("within_targets".to_owned(), met.into());
    if args.json {
        println!("{}", Value::Object(report));
    }
    if met { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn measure(part: Part, reach: Reach, stage: &Stage, args: &Args) -> Measured {
    match part {
        Part::Starts => starts::measure(stage, reach, args.starts),
        Part::Steps => steps::measure(stage, reach, args.steps),
        Part::Volume => volume::measure(stage, args.actions, args.requests),
        Part::Looks => looks::measure(stage, args.containers),
        Part::Outage => outage::measure(stage),
    }
}

fn conditions(stage: &Stage) -> Value {
    let docker = stage.wait(async { stage.lab.client().await.version().await.unwrap() });
    let haproxy = stage.wait(stage.rig.ask("show info"));
    let haproxy = haproxy.lines().find_map(|line| line.strip_prefix("Version: "));
    json!({
        "docker": docker.version,
        "haproxy": haproxy,
        "kernel": docker.kernel_version,
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "load_average_before": load_average(),
    })
}
