//! The options of `flyball simulate` and `flyball decide`. A value that cannot be parsed is
//! rejected here.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use flyball_config::parse_duration;
use flyball_core::policy::Bounds;
use flyball_sim::contender::{Name, name};
use flyball_sim::run::Settings;

const STATUSES: &str = "Exit status: 0 done, 2 invalid input or setting, 3 a decision broke an \
    invariant (a bug), 4 the count of a policy did not settle under the last value of the load";

/// Replays a load through policies.
#[derive(Debug, Args)]
#[command(after_help = STATUSES)]
pub(crate) struct Simulate {
    /// Trace to replay: CSV with the header `seconds,requests_per_second` or `seconds,cores`, or - for standard input; repeat for more
    #[arg(long, value_name = "FILE", required_unless_present = "service")]
    pub(crate) trace: Vec<PathBuf>,
    /// Replay the load of a service from the journal instead: its longest stretch without a gap, at least 10 minutes
    #[arg(long, value_name = "NAME", conflicts_with = "trace")]
    pub(crate) service: Option<String>,
    /// How far to look back in the journal
    #[arg(long, default_value = "7d", value_parser = parse_duration, value_name = "DURATION", requires = "service")]
    pub(crate) since: u64,
    #[command(flatten)]
    pub(crate) file: super::ConfigFile,
    /// Policy to simulate, such as governor:cap=70%, hpa:70 or static:peak; repeat for more
    #[arg(
        long,
        value_name = "NAME",
        value_parser = Name::parse,
        default_value = "governor",
        long_help = policies("Policy to simulate; repeat for more")
    )]
    pub(crate) policy: Vec<Name>,
    /// How requests are simulated
    #[arg(long, value_enum, default_value_t = Mode::Fluid)]
    pub(crate) mode: Mode,
    /// Load that one replica can serve, in the unit of the trace; with --service the default is what the journal measured
    #[arg(long, value_name = "LOAD", required_unless_present = "service")]
    pub(crate) replica_capacity: Option<f64>,
    /// Time from starting a replica until it is ready: 60s for all, or 20s..60s if half of them take up to 20 s and 99 of 100 up to 60 s
    #[arg(long, default_value = "60s", value_parser = parse_start_lag, value_name = "DURATION")]
    pub(crate) start_lag: StartLag,
    /// What happens to load that finds no free replica; the default is lost in mode fluid, waits in mode requests
    #[arg(long, value_enum)]
    pub(crate) overload: Option<Overload>,
    /// How long a client waits before it gives up: in mode fluid for a free replica (with --overload waits), in mode requests for the answer
    #[arg(long, default_value = "30s", value_parser = parse_duration, value_name = "DURATION")]
    pub(crate) patience: u64,
    /// Latency limit: how long a request may wait (mode fluid), or take in total (mode requests)
    #[arg(long, default_value = "250ms", value_parser = parse_duration, value_name = "DURATION")]
    pub(crate) slo: u64,
    /// Age of CPU and balancer counters when the policy reads them
    #[arg(long, default_value = "0s", value_parser = parse_duration, value_name = "DURATION")]
    pub(crate) metric_lag: u64,
    /// Mode requests: number of requests that a replica works on at once
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) slots: u32,
    /// Mode requests: how much the work of requests varies
    #[arg(long, value_enum, default_value_t = Work::Same)]
    pub(crate) work: Work,
    /// Mode requests: CPU time of one request, for a load in cores
    #[arg(long, default_value = "50ms", value_parser = parse_duration, value_name = "DURATION")]
    pub(crate) request_cpu: u64,
    /// Step in which the load is replayed; the default is the step of the trace, and in mode fluid at least a minute
    #[arg(long, value_parser = parse_duration, value_name = "DURATION")]
    pub(crate) grid: Option<u64>,
    /// Time between two passes of the control loop; the default is once per step in mode fluid, as each policy decides in mode requests
    #[arg(long, value_parser = parse_duration, value_name = "DURATION")]
    pub(crate) interval: Option<u64>,
    /// Time without load after which flyball's own policies keep no replica; needs --min 0
    #[arg(long, value_parser = parse_duration, value_name = "DURATION")]
    pub(crate) sleep_after: Option<u64>,
    /// Seed of the random numbers
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) bounds: BoundsArgs,
    /// Print one JSON object per policy and trace
    #[arg(long)]
    pub(crate) json: bool,
    /// Write an HTML page with charts: supply against demand, cost against quality, decisions
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
}

/// The fewest and the most replicas.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct BoundsArgs {
    /// Fewest replicas
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) min: u32,
    /// Most replicas
    #[arg(long, default_value_t = Settings::default().bounds.max, value_name = "N")]
    pub(crate) max: u32,
}

impl BoundsArgs {
    pub(crate) fn bounds(self) -> Bounds {
        Bounds { min: self.min, max: self.max }
    }
}

/// How requests are simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// As a fluid; simulates weeks in seconds
    Fluid,
    /// One by one, with queues and latencies
    Requests,
}

/// How much the work of requests varies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Work {
    /// Not at all
    Same,
    /// Exponentially, as the length of phone calls: one in twenty takes more than three times the mean
    Exponential,
    /// With a heavy tail, twice as wide as exponential
    Heavy,
}

/// How long starts take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StartLag {
    /// Half of them, in milliseconds.
    pub(crate) median_ms: u64,
    /// 99 of 100, where they differ.
    pub(crate) p99_ms: Option<u64>,
}

/// The `--help` text on the names and settings of policies.
fn policies(is: &str) -> String {
    format!("{is}: {}", name::help())
}

fn parse_start_lag(text: &str) -> Result<StartLag, String> {
    let span = |text: &str| parse_duration(text).map_err(|error| error.to_string());
    let Some((median, p99)) = text.split_once("..") else {
        return Ok(StartLag { median_ms: span(text)?, p99_ms: None });
    };
    let (median_ms, p99_ms) = (span(median)?, span(p99)?);
    if median_ms == 0 || p99_ms <= median_ms {
        return Err("the first time must be above 0, and the second must be longer".to_owned());
    }
    Ok(StartLag { median_ms, p99_ms: Some(p99_ms) })
}

/// What happens to load that finds no free replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Overload {
    /// It is lost
    Lost,
    /// It waits
    Waits,
}

/// Decides on observations from standard input.
#[derive(Debug, Args)]
#[command(
    after_help = "docs/reference/decide.md describes the format of a line.\nExit status: 0 done, 2 invalid line or setting"
)]
pub(crate) struct Decide {
    /// Policy, such as governor, target:70 or hpa:70
    #[arg(
        long,
        value_name = "NAME",
        value_parser = Name::parse,
        default_value = "governor",
        long_help = policies("Policy")
    )]
    pub(crate) policy: Name,
    /// Name of the service; new replicas are named after it
    #[arg(long, default_value = "service", value_name = "NAME")]
    pub(crate) service: String,
    #[command(flatten)]
    pub(crate) bounds: BoundsArgs,
    /// Start lag to assume until one was measured
    #[arg(long, default_value = "20s", value_parser = parse_duration, value_name = "DURATION")]
    pub(crate) start_lag: u64,
    /// How old a reading may be before it is ignored
    #[arg(long, default_value = "6s", value_parser = parse_duration, value_name = "DURATION")]
    pub(crate) stale_after: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_lag_is_a_time_or_a_median_and_a_99th_percentile() {
        let lag = |median_ms, p99_ms| Ok(StartLag { median_ms, p99_ms });
        assert_eq!(parse_start_lag("60s"), lag(60_000, None));
        assert_eq!(parse_start_lag("0s"), lag(0, None));
        assert_eq!(parse_start_lag("800ms..1m"), lag(800, Some(60_000)));
        for wrong in ["", "60", "60s..", "60s..20s", "0s..1s", "1s..2s..3s"] {
            assert!(parse_start_lag(wrong).is_err(), "{wrong}");
        }
    }
}
