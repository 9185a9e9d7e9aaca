//! `flyball check`: what is wrong with a configuration, and with what it names.
//!
//! Decides what is worth looking at before a start. Starts nothing and changes nothing: a port is
//! tried and let go. Invariant: each finding names the key or the place in the file that it is
//! about, and how to mend it.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::ExitCode;

use flyball_config::{Balancer, Config, Engine, Env, Problem, Service};
use flyball_process::ProcessSettings;
use serde::Serialize;

use crate::cli::Check;
use crate::failure::Failure;
use crate::output::print;

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    /// The key it is about, or the place in the file.
    key: String,
    /// Whether it will do.
    ok: bool,
    /// What was found.
    text: String,
    /// How to mend it.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

pub(crate) async fn check(options: Check) -> Result<ExitCode, Failure> {
    let findings = match flyball_config::load(&options.file.config, &Env::of_process()) {
        Ok(config) => look_at(&config),
        Err(errors) if options.json => errors.problems.iter().map(in_the_file).collect(),
        Err(errors) => {
            Failure::from(errors).print();
            return Ok(ExitCode::FAILURE);
        }
    };
    for finding in &findings {
        let line = if options.json { json_line(finding)? } else { text_line(finding) };
        print(&line)?;
    }
    let good = findings.iter().all(|finding| finding.ok);
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn json_line(finding: &Finding) -> Result<String, Failure> {
    serde_json::to_string(finding).map_err(Failure::new)
}

fn text_line(finding: &Finding) -> String {
    let mark = if finding.ok { "ok   " } else { "wrong" };
    let hint =
        finding.hint.as_ref().map(|hint| format!("\n      hint: {hint}")).unwrap_or_default();
    format!("{mark} {}: {}{hint}", finding.key, finding.text)
}

fn in_the_file(problem: &Problem) -> Finding {
    let place = &problem.place;
    let key = match place.position {
        Some((line, column)) => format!("{}:{line}:{column}", place.file),
        None => place.file.clone(),
    };
    let (text, hint) = (problem.fault.to_string(), problem.fault.hint());
    Finding { key, ok: false, text, hint }
}

fn look_at(config: &Config) -> Vec<Finding> {
    let mut findings = vec![
        listening("flyball.listen", config.daemon.listen),
        writable("flyball.state_dir", &config.daemon.state_dir),
    ];
    for (name, service) in &config.services {
        findings.push(runnable(name, service));
        if let Balancer::Proxy { listen, .. } = service.balancer {
            findings.push(listening(&format!("services.{name}.listen"), listen));
        }
    }
    findings
}

fn runnable(name: &str, service: &Service) -> Finding {
    let key = format!("services.{name}.command");
    let Engine::Process(process) = &service.engine else {
        let text = "engine docker: not connected yet".to_owned();
        return Finding { key, ok: false, text, hint: None };
    };
    let mut settings = ProcessSettings::new(name, process.command.clone());
    settings.env.clone_from(&process.env);
    settings.directory.clone_from(&process.directory);
    settings.cpu_limit_cores = process.cpus;
    match settings.find_command() {
        Ok(path) => Finding { key, ok: true, text: path.display().to_string(), hint: None },
        Err(error) => Finding { key, ok: false, text: error.to_string(), hint: error.hint() },
    }
}

fn listening(key: &str, address: SocketAddr) -> Finding {
    let (ok, text, hint) = match TcpListener::bind(address) {
        Ok(_) => (true, format!("{address} is free"), None),
        Err(error) => {
            let hint = "is flyball running already? otherwise choose another port";
            (false, format!("cannot listen on {address}: {error}"), Some(hint.to_owned()))
        }
    };
    Finding { key: key.to_owned(), ok, text, hint }
}

fn writable(key: &str, directory: &Path) -> Finding {
    // The nearest part that exists decides whether the rest can be made.
    let existing = directory.ancestors().find(|part| part.exists()).unwrap_or(Path::new("/"));
    let (ok, text, hint) = match tempfile::Builder::new().prefix(".flyball").tempfile_in(existing) {
        Ok(_) => (true, format!("{} can be written to", directory.display()), None),
        Err(error) => (
            false,
            format!("{} cannot be written to: {error}", directory.display()),
            Some("set state_dir to a directory that this user may write to".to_owned()),
        ),
    };
    Finding { key: key.to_owned(), ok, text, hint }
}
