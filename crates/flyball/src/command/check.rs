//! `flyball check` validates a configuration and everything it refers to. It starts and changes
//! nothing; each finding names the key or place in the file, and how to fix it.

mod leader_election;
mod machine;
mod objective;
mod readiness;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use flyball_config::{Config, Service};

use crate::cli::Check;
use crate::command::configuration;
use crate::daemon::balancers::BalancerHosts;
use crate::daemon::engines::hosts::CheckedHosts;
use crate::daemon::preflight::Preflight;
use crate::daemon::{labelled, zabbix};
use crate::descriptors::{self, Budget};
use crate::failure::Failure;
use crate::finding::Finding;
use crate::output::print;
use crate::plain::{lines, one_line};
use crate::ports::Ports;

pub(crate) async fn check(options: Check) -> Result<ExitCode, Failure> {
    let findings = match configuration(&options.file) {
        Ok(config) => look_at(&config, &options.haproxy_config).await?,
        Err(errors) if options.json => errors.problems.iter().map(Finding::of_problem).collect(),
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
    let mark = finding.mark();
    let hint = finding.hint.as_ref();
    let hint = hint.map(|hint| format!("\n      hint: {}", lines(hint))).unwrap_or_default();
    format!("{mark} {}: {}{hint}", one_line(&finding.key), lines(&finding.text))
}

async fn look_at(config: &Config, haproxy: &[PathBuf]) -> Result<Vec<Finding>, Failure> {
    let ports = Ports::of(&config.daemon).await;
    let balancers = BalancerHosts::of(config, &Budget::of(config, descriptors::highest()));
    let mut preflight = Preflight::of(config);
    preflight.findings.extend([
        ports.look_at("flyball.listen", config.daemon.listen),
        writable("flyball.state_dir", &config.daemon.state_dir),
    ]);
    preflight.findings.extend(machine::look_at(config));
    preflight.findings.extend(balancers.check(config));
    if let Some(ha) = &config.ha {
        preflight.findings.extend(leader_election::look_at(ha).await);
    }
    let engines = CheckedHosts::ask(config, &mut preflight).await?;
    let Preflight { services, mut findings } = preflight;
    if let Some(zabbix) = &config.zabbix {
        findings.extend(zabbix::check(config, &services, zabbix).await);
    }
    for service in &services {
        findings.extend(engines.check(config, service).await);
        findings.extend(balancers.check_service(service, &ports, haproxy).await);
        findings.push(readiness::look_at(service));
        findings.extend(objective::look_at(service));
    }
    Ok(findings)
}

/// All services of `config`, including label-defined ones; and why some may be missing.
pub(crate) async fn all_services(config: &Config) -> Result<(Vec<Service>, Vec<String>), Failure> {
    let mut preflight = Preflight::of(config);
    if labelled::anywhere(config) {
        CheckedHosts::ask(config, &mut preflight).await?;
    }
    let wrong = preflight.findings.into_iter().filter(|finding| !finding.ok);
    let missing = wrong.map(|finding| format!("{}: {}", finding.key, finding.text)).collect();
    Ok((preflight.services, missing))
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
