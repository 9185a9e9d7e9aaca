//! Every command and option of the command line. Parsing has no side effects.

pub(crate) mod simulate;

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use simulate::{Decide, Simulate};

use crate::log::LogFormat;

/// The hidden command that stops replicas when flyball itself was killed.
pub(crate) const WATCHDOG: &str = "watchdog";
/// The hidden command that the demo's replicas run.
pub(crate) const SAMPLE_SERVICE: &str = "sample-service";

/// Keep a pool of identical replicas at the right size for its load
#[derive(Debug, Parser)]
#[command(name = "flyball", version, about, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// Log more (-v: every step, -vv: everything)
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub(crate) verbose: u8,
    /// What a line of the log looks like
    #[arg(
        long,
        value_enum,
        default_value_t,
        global = true,
        env = "FLYBALL_LOG_FORMAT",
        value_name = "FORMAT"
    )]
    pub(crate) log_format: LogFormat,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the whole control loop on this machine under real load; needs nothing else installed
    Demo(Demo),
    /// Run the autoscaler
    Run(ConfigFile),
    /// Validate the configuration, and report what is missing in the systems that it names; change nothing
    Check(Check),
    /// Show the current state of all services, or of one
    Status(Status),
    /// Show all services live in the terminal
    Top(Top),
    /// Explain why a service has its current count
    Explain(Explain),
    /// Print the recent CPU usage of each replica, as a share of its limit
    Cpu(Cpu),
    /// Override the count of a service for a limited time
    Scale(Scale),
    /// Keep the count of a service as it is for a limited time
    Pause(Pause),
    /// End a manual override or a pause, so that the policy decides again
    Resume(Resume),
    /// Replace all replicas of a service by new ones, a few at a time
    Deploy(Deploy),
    /// Go back to the generation that served before
    Rollback(Rollback),
    /// Pause or resume the rollout of a service
    #[command(subcommand)]
    Rollout(RolloutAct),
    /// Read the configuration file again and apply what changed
    Reload(Reload),
    /// Replay a traffic trace against scaling policies and compare cost and latency
    Simulate(Simulate),
    /// Read observations from standard input and print decisions, one JSON object per line
    Decide(Decide),
    /// Create or remove what flyball needs in Zabbix
    #[command(subcommand)]
    Zabbix(ZabbixAct),
    /// Try the targets of notifications
    #[command(subcommand)]
    Notify(NotifyAct),
    /// Serve the CPU usage of this machine's containers to a flyball on another machine
    Agent(Agent),
    /// Print shell completions
    Completions(Completions),
    /// Print the manual page, or write one page per command
    Man(Man),
    #[command(name = WATCHDOG, hide = true)]
    Watchdog,
    #[command(name = SAMPLE_SERVICE, hide = true)]
    SampleService(SampleService),
}

#[derive(Debug, Args)]
pub(crate) struct ConfigFile {
    /// Configuration file; by default flyball.toml in this directory, and without one, services described by container labels
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum NotifyAct {
    /// Send a test notification to every target of the configuration, or to one
    Test(NotifyTest),
}

#[derive(Debug, Args)]
pub(crate) struct NotifyTest {
    /// Send to this target only
    pub(crate) target: Option<String>,
    #[command(flatten)]
    pub(crate) file: ConfigFile,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    pub(crate) file: ConfigFile,
    /// HAProxy's own configuration file, if check does not find it; repeat for several files, in the order in which HAProxy loads them
    #[arg(long, value_name = "FILE")]
    pub(crate) haproxy_config: Vec<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Length of the load in seconds, at least 10
    #[arg(long, default_value_t = 180, value_name = "N", value_parser = clap::value_parser!(u64).range(10..=3600))]
    pub(crate) seconds: u64,
    /// Engine that runs the replicas; docker needs Docker and HAProxy
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
    /// Containers behind a HAProxy that the demo starts
    Docker,
}

/// How to reach the daemon.
#[derive(Debug, Args)]
pub(crate) struct Client {
    /// Address of `flyball run`, or the URL of its dashboard
    #[arg(
        long,
        env = "FLYBALL_DAEMON",
        default_value = "127.0.0.1:7878",
        value_name = "HOST:PORT",
        value_parser = |written: &str| Ok::<_, Infallible>(host_and_port(written).to_owned())
    )]
    pub(crate) daemon: String,
    /// File with the token, if that `flyball run` requires one
    #[arg(long, env = "FLYBALL_TOKEN_FILE", value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// The `HOST:PORT` in `http://HOST:PORT/`, or all of `written` if it is no such URL.
pub(crate) fn host_and_port(written: &str) -> &str {
    let rest = written.strip_prefix("http://");
    rest.map_or(written, |rest| rest.split('/').next().unwrap_or(rest))
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Show only this service
    pub(crate) service: Option<String>,
    #[command(flatten)]
    pub(crate) client: Client,
}

#[derive(Debug, Args)]
pub(crate) struct Top {
    #[command(flatten)]
    pub(crate) client: Client,
}

#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// Shell to print them for
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Write one page per command into this directory
    pub(crate) directory: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Cpu {
    /// Show only this replica
    pub(crate) replica: Option<String>,
    #[command(flatten)]
    pub(crate) client: Client,
}

#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// Name of the service
    pub(crate) service: String,
    /// Explain the decision at this time instead of now: 2026-11-23T14:02:10Z, 14:02, or an age such as 10m
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<String>,
    #[command(flatten)]
    pub(crate) client: Client,
}

#[derive(Debug, Args)]
pub(crate) struct Scale {
    /// Name of the service
    pub(crate) service: String,
    /// +N for N more, -N for N fewer, or N for exactly N
    #[arg(allow_hyphen_values = true, value_name = "COUNT")]
    pub(crate) count: String,
    /// How long it lasts, such as 30m
    #[arg(long = "for", default_value = "1h", value_name = "DURATION")]
    pub(crate) lasts: String,
    #[command(flatten)]
    pub(crate) client: Client,
}

#[derive(Debug, Args)]
pub(crate) struct Pause {
    /// Name of the service
    pub(crate) service: String,
    /// How long it lasts, such as 30m
    #[arg(long = "for", default_value = "1h", value_name = "DURATION")]
    pub(crate) lasts: String,
    #[command(flatten)]
    pub(crate) client: Client,
}

#[derive(Debug, Args)]
pub(crate) struct Resume {
    /// Name of the service
    pub(crate) service: String,
    #[command(flatten)]
    pub(crate) client: Client,
}

#[derive(Debug, Args)]
pub(crate) struct Deploy {
    pub(crate) service: String,
    /// The image to run from now on; without it, the one in use, looked up anew
    #[arg(long, value_name = "IMAGE")]
    pub(crate) image: Option<String>,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
    #[command(flatten)]
    pub(crate) client: Client,
}

/// Whether a command waits for the end of a rollout.
#[derive(Debug, Args)]
pub(crate) struct Waiting {
    /// Wait until every replica is new; exit status 1 if the rollout is aborted
    #[arg(long)]
    pub(crate) wait: bool,
    /// How long to wait at most; the rollout goes on afterwards
    #[arg(long, default_value = "15m", value_name = "DURATION", requires = "wait")]
    pub(crate) timeout: String,
}

#[derive(Debug, Args)]
pub(crate) struct Rollback {
    pub(crate) service: String,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
    #[command(flatten)]
    pub(crate) client: Client,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RolloutAct {
    /// Replace no further replica until it is resumed
    Pause(RolloutOf),
    /// Go on with a rollout that was paused
    Resume(RolloutOf),
}

#[derive(Debug, Args)]
pub(crate) struct RolloutOf {
    pub(crate) service: String,
    #[command(flatten)]
    pub(crate) client: Client,
}

#[derive(Debug, Args)]
pub(crate) struct Reload {
    #[command(flatten)]
    pub(crate) client: Client,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ZabbixAct {
    /// Create the host group, template, hosts, triggers, dashboard and webhook; a second run changes nothing
    Provision(ZabbixOptions),
    /// Remove exactly what provision created
    Remove(ZabbixOptions),
}

#[derive(Debug, Args)]
pub(crate) struct ZabbixOptions {
    #[command(flatten)]
    pub(crate) file: ConfigFile,
    /// Print what would change, and change nothing; the exit status is 1 if anything would
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Agent {
    /// Address to listen on; an address other than loopback needs --token-file or --insecure
    #[arg(long, default_value = "0.0.0.0:9810", value_name = "ADDRESS:PORT")]
    pub(crate) listen: SocketAddr,
    /// File with the token that the other flyball must send, such as a Docker secret
    #[arg(long, env = "FLYBALL_AGENT_TOKEN_FILE", value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Where the cgroups of this host are mounted
    #[arg(long, default_value = "/sys/fs/cgroup", value_name = "DIRECTORY")]
    pub(crate) cgroup_mount: PathBuf,
    /// Serve without a token: anyone who reaches the address can read
    #[arg(long)]
    pub(crate) insecure: bool,
    /// Query the agent at this address once, as the other flyball does, and report what is wrong
    #[arg(long, value_name = "HOST:PORT", conflicts_with_all = ["listen", "cgroup_mount", "insecure"])]
    pub(crate) check: Option<String>,
}

/// The demo's sample service.
#[derive(Debug, Args)]
pub(crate) struct SampleService {
    /// Port to listen on
    #[arg(long)]
    pub(crate) port: u16,
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1")]
    pub(crate) address: IpAddr,
    /// CPU time of one request, in milliseconds
    #[arg(long, default_value_t = 5.0)]
    pub(crate) work_ms: f64,
    /// Share of a core that it may use
    #[arg(long, default_value_t = 0.1)]
    pub(crate) share: f64,
    /// Size of each response
    #[arg(long, default_value_t = 3)]
    pub(crate) answer_bytes: usize,
    /// Name of the replica that answers 500 at once, except at /healthz
    #[arg(long)]
    pub(crate) broken: Option<String>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    /// Each option in a page's table with its documented default; `column` is the column of the
    /// defaults, from 1.
    fn documented(page: &str, column: usize) -> Vec<(String, String)> {
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
    fn the_daemon_is_a_host_with_a_port_or_the_url_of_its_page() {
        let daemon = |written: &str| {
            let cli = Cli::try_parse_from(["flyball", "status", "--daemon", written]).unwrap();
            let Command::Status(status) = cli.command else { panic!("{:?}", cli.command) };
            status.client.daemon
        };
        for written in ["10.0.0.7:7878", "http://10.0.0.7:7878", "http://10.0.0.7:7878/"] {
            assert_eq!(daemon(written), "10.0.0.7:7878");
        }
        assert_eq!(daemon("http://[::1]:7878/#service=web"), "[::1]:7878");
        assert_eq!(daemon("https://10.0.0.7:7878"), "https://10.0.0.7:7878", "refused later");
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
            let rows = documented(page, column);
            assert!(rows.len() >= 5, "{name}: {rows:?}");
            for (option, written) in rows {
                let found = command.get_arguments().find(|arg| arg.get_long() == Some(&option));
                let arg = found.unwrap_or_else(|| panic!("{name} has no --{option}"));
                let applies: Vec<_> =
                    arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
                let written = if ["none", "no"].contains(&&*written) { "" } else { &*written };
                let flag = applies == ["false"] && written.is_empty();
                assert!(
                    flag || applies.join(", ") == written,
                    "{name} --{option}: {applies:?}, {written:?}"
                );
            }
        }
    }
}
