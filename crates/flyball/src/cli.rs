//! What can be typed.
//!
//! Declares commands and options; decides nothing. Invariant: parsing has no side effects.

pub(crate) mod simulate;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use simulate::{Decide, Simulate};

/// The hidden command that ends replicas when flyball itself was killed.
pub(crate) const WATCHDOG: &str = "watchdog";
/// The hidden command that the demo's replicas run.
pub(crate) const SAMPLE_SERVICE: &str = "sample-service";

/// Keeps a pool of identical replicas the right size for its load.
#[derive(Debug, Parser)]
#[command(name = "flyball", version, about, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// Say more (-v: every step, -vv: everything)
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub(crate) verbose: u8,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show the whole loop on this machine, with nothing else installed unless asked for
    Demo(Demo),
    /// Look after the services of a configuration until stopped
    Run(ConfigFile),
    /// Say what is wrong with a configuration, and with what it names
    Check(Check),
    /// Show every service, or one
    Status(Status),
    /// Watch every service in the terminal, live
    Top(Top),
    /// Say why a service has the count it has
    Explain(Explain),
    /// Show the CPU of each replica once: the share of its limit that it used lately
    Cpu(Cpu),
    /// Set a service's count by hand, for a time
    Scale(Scale),
    /// Keep a service as it is, for a time
    Pause(Pause),
    /// Let the policy decide again
    Resume(Resume),
    /// Replay a load through policies: what each costs and how well it serves
    Simulate(Simulate),
    /// Decide on observations from standard input, a JSON object to a line
    Decide(Decide),
    /// Set up what flyball needs in Zabbix, or take it away
    #[command(subcommand)]
    Zabbix(ZabbixAct),
    /// Tell the CPU time of this machine's containers to a controller on another one
    Agent(Agent),
    /// Print completions for a shell
    Completions(Completions),
    /// Print the manual page, or write one for each command
    Man(Man),
    #[command(name = WATCHDOG, hide = true)]
    Watchdog,
    #[command(name = SAMPLE_SERVICE, hide = true)]
    SampleService(SampleService),
}

#[derive(Debug, Args)]
pub(crate) struct ConfigFile {
    /// The configuration; without it flyball.toml here, or else services by the labels of containers
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    pub(crate) file: ConfigFile,
    /// HAProxy's own configuration, where check does not find it; once for each file, in their order
    #[arg(long, value_name = "FILE")]
    pub(crate) haproxy_config: Vec<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// How long the load lasts, at least 10
    #[arg(long, default_value_t = 180, value_name = "N", value_parser = clap::value_parser!(u64).range(10..=3600))]
    pub(crate) seconds: u64,
    /// What runs the replicas; docker needs Docker and HAProxy
    #[arg(long, value_enum, default_value_t = DemoEngine::Process)]
    pub(crate) engine: DemoEngine,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DemoEngine {
    /// Processes behind the embedded balancer
    Process,
    /// Containers behind a HAProxy of the demo's own
    Docker,
}

/// Which daemon to ask.
#[derive(Debug, Args)]
pub(crate) struct Door {
    /// The daemon's address
    #[arg(
        long,
        env = "FLYBALL_DAEMON",
        default_value = "127.0.0.1:7878",
        value_name = "HOST:PORT"
    )]
    pub(crate) daemon: String,
    /// A file that holds the daemon's token, where it wants one
    #[arg(long, env = "FLYBALL_TOKEN_FILE", value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Only this service
    pub(crate) service: Option<String>,
    #[command(flatten)]
    pub(crate) door: Door,
}

#[derive(Debug, Args)]
pub(crate) struct Top {
    #[command(flatten)]
    pub(crate) door: Door,
}

#[derive(Debug, Args)]
pub(crate) struct Completions {
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Write a page for each command into this directory
    pub(crate) directory: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Cpu {
    /// Only this replica
    pub(crate) replica: Option<String>,
    #[command(flatten)]
    pub(crate) door: Door,
}

#[derive(Debug, Args)]
pub(crate) struct Explain {
    pub(crate) service: String,
    /// At that time instead of now: 2026-11-23T14:02:10Z, 14:02, or an age such as 10m
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<String>,
    #[command(flatten)]
    pub(crate) door: Door,
}

#[derive(Debug, Args)]
pub(crate) struct Scale {
    pub(crate) service: String,
    /// +N more, -N fewer, or N
    #[arg(allow_hyphen_values = true, value_name = "COUNT")]
    pub(crate) count: String,
    /// For how long
    #[arg(long = "for", default_value = "1h", value_name = "DURATION")]
    pub(crate) lasts: String,
    #[command(flatten)]
    pub(crate) door: Door,
}

#[derive(Debug, Args)]
pub(crate) struct Pause {
    pub(crate) service: String,
    /// For how long
    #[arg(long = "for", default_value = "1h", value_name = "DURATION")]
    pub(crate) lasts: String,
    #[command(flatten)]
    pub(crate) door: Door,
}

#[derive(Debug, Args)]
pub(crate) struct Resume {
    pub(crate) service: String,
    #[command(flatten)]
    pub(crate) door: Door,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ZabbixAct {
    /// Make the host group, template, hosts, triggers, dashboard and webhook; again, it changes nothing
    Provision(ZabbixOptions),
    /// Take away exactly what provision made
    Remove(ZabbixOptions),
}

#[derive(Debug, Args)]
pub(crate) struct ZabbixOptions {
    #[command(flatten)]
    pub(crate) file: ConfigFile,
    /// Only say what would be changed; status 1 if anything would be
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Agent {
    /// Where to listen; anything but loopback needs a token
    #[arg(long, default_value = "0.0.0.0:9810", value_name = "ADDRESS:PORT")]
    pub(crate) listen: SocketAddr,
    /// A file that holds what a controller must present, such as a Docker secret
    #[arg(long, env = "FLYBALL_AGENT_TOKEN_FILE", value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Where the machine's cgroups are mounted
    #[arg(long, default_value = "/sys/fs/cgroup", value_name = "DIRECTORY")]
    pub(crate) cgroup_mount: PathBuf,
    /// Let everybody read who reaches the address
    #[arg(long)]
    pub(crate) insecure: bool,
    /// Ask the agent there once, as a controller does, and say what is wrong
    #[arg(long, value_name = "HOST:PORT", conflicts_with_all = ["listen", "cgroup_mount", "insecure"])]
    pub(crate) check: Option<String>,
}

/// The demo's sample service.
#[derive(Debug, Args)]
pub(crate) struct SampleService {
    /// Where it listens
    #[arg(long)]
    pub(crate) port: u16,
    /// At which address of its machine
    #[arg(long, default_value = "127.0.0.1")]
    pub(crate) address: IpAddr,
    /// CPU time that a request costs, in milliseconds
    #[arg(long, default_value_t = 5.0)]
    pub(crate) work_ms: f64,
    /// The share of a core that it may use
    #[arg(long, default_value_t = 0.1)]
    pub(crate) share: f64,
    /// Size of each answer
    #[arg(long, default_value_t = 3)]
    pub(crate) answer_bytes: usize,
    /// The replica of this name answers 500 at once, but at /healthz
    #[arg(long)]
    pub(crate) broken: Option<String>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    /// Each option of a page's table with the default that it says there; `column` is that of the
    /// defaults, from 1.
    fn said(page: &str, column: usize) -> Vec<(String, String)> {
        let mut rows = Vec::new();
        for line in page.lines().filter(|line| line.starts_with("| `--")) {
            let cells: Vec<_> = line.split('|').map(str::trim).collect();
            let options: Vec<_> = cells[1].split(", ").collect();
            let defaults: Vec<_> = cells[column].split(", ").collect();
            for (number, option) in options.iter().enumerate() {
                let name = option.trim_matches('`').split(' ').next().unwrap_or_default();
                let default = defaults.get(number).copied().unwrap_or_default().trim_matches('`');
                rows.push((name.trim_start_matches('-').to_owned(), default.to_owned()));
            }
        }
        rows
    }

    #[test]
    fn the_defaults_of_the_reference_are_the_ones_that_apply() {
        let pages = [
            ("simulate", include_str!("../../../docs/reference/simulate.md"), 3),
            ("decide", include_str!("../../../docs/reference/decide.md"), 3),
            ("agent", include_str!("../../../docs/reference/agent.md"), 2),
        ];
        let cli = Cli::command();
        for (name, page, column) in pages {
            let command = cli.find_subcommand(name).unwrap();
            let rows = said(page, column);
            assert!(rows.len() >= 5, "{name}: {rows:?}");
            for (option, said) in rows {
                let found = command.get_arguments().find(|arg| arg.get_long() == Some(&option));
                let arg = found.unwrap_or_else(|| panic!("{name} has no --{option}"));
                let applies: Vec<_> =
                    arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
                let said = if ["none", "no"].contains(&&*said) { "" } else { &*said };
                let flag = applies == ["false"] && said.is_empty();
                assert!(
                    flag || applies.join(", ") == said,
                    "{name} --{option}: {applies:?}, {said:?}"
                );
            }
        }
    }
}
