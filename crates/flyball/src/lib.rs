//! The flyball program as a library, for tests and benchmarks that use its [`load`]. Data goes to
//! standard output, everything else to standard error. Exit status: 0 done, 1 a failed check, 2 an
//! error.

mod access;
mod cli;
mod clock;
mod command;
mod daemon;
mod demo;
mod descriptors;
mod failure;
mod finding;
mod http;
mod leadership;
pub mod load;
mod log;
mod output;
mod plain;
mod ports;
mod systemd;

use std::process::ExitCode;

use clap::Parser as _;
use cli::{Cli, Command};
use failure::Failure;
use tokio::runtime::Builder;

/// The program: does what was typed.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    log::start_log(cli.log_format, cli.verbose, matches!(cli.command, Command::Demo(_)));
    match run(cli.command) {
        Ok(code) => code,
        Err(failure) => {
            failure.print();
            ExitCode::from(2)
        }
    }
}

fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        // These two run once for each daemon or replica: no runtime of many threads for them.
        Command::Watchdog => Ok(flyball_process::watchdog_main()),
        Command::SampleService(options) => demo::serve(&options),
        // One on each machine, beside the work: one thread is all that it gets.
        Command::Agent(options) => {
            block_on_in(Builder::new_current_thread(), command::agent(options))
        }
        Command::Demo(options) => block_on(demo::run(options)),
        Command::Run(file) => block_on(command::run(file)),
        Command::Check(options) => block_on(command::check(options)),
        Command::Status(options) => block_on(command::status(options)),
        Command::Top(options) => block_on(command::top(options)),
        Command::Completions(options) => command::completions(&options),
        Command::Man(options) => command::man(&options),
        Command::Cpu(options) => block_on(command::cpu(options)),
        Command::Explain(options) => block_on(command::explain(options)),
        Command::Scale(options) => block_on(command::scale(options)),
        Command::Pause(options) => block_on(command::pause(options)),
        Command::Resume(options) => block_on(command::resume(options)),
        Command::Deploy(options) => block_on(command::deploy(options)),
        Command::Rollback(options) => block_on(command::rollback(options)),
        Command::Rollout(act) => block_on(command::rollout(act)),
        Command::Reload(options) => block_on(command::reload(options)),
        Command::Simulate(options) => command::simulate(&options),
        Command::Decide(options) => command::decide(&options),
        Command::Notify(act) => block_on(command::notify(act)),
        Command::Zabbix(act) => block_on(command::zabbix(act)),
    }
}

fn block_on(task: impl Future<Output = Result<ExitCode, Failure>>) -> Result<ExitCode, Failure> {
    block_on_in(Builder::new_multi_thread(), task)
}

fn block_on_in(
    mut runtime: Builder,
    task: impl Future<Output = Result<ExitCode, Failure>>,
) -> Result<ExitCode, Failure> {
    let runtime = runtime.enable_all().build();
    runtime.map_err(|error| Failure::new(format!("cannot start: {error}")))?.block_on(task)
}
