//! `flyball zabbix provision` and `remove`. Only changes go to standard output. Exit status 1 means
//! that a dry run found changes, or that Zabbix did not keep one.

use std::io::{IsTerminal as _, stderr};
use std::process::ExitCode;

use flyball_zabbix::{Api, Change, Mode, Outcome, Setup};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::cli::{ZabbixAct, ZabbixOptions};
use crate::command::check::all_services;
use crate::command::configuration;
use crate::daemon::zabbix;
use crate::failure::Failure;
use crate::output::{note, print};

pub(crate) async fn zabbix(act: ZabbixAct) -> Result<ExitCode, Failure> {
    let (options, removes) = match act {
        ZabbixAct::Provision(options) => (options, false),
        ZabbixAct::Remove(options) => (options, true),
    };
    let config = configuration(&options.file)?;
    let settings = config.zabbix.as_ref().ok_or_else(|| {
        Failure::new("the configuration has no [zabbix] table")
            .hint("add [zabbix] with api and token_file")
    })?;
    let (services, missing) = all_services(&config).await?;
    missing.iter().for_each(|why| note(&format!("some services may be missing: {why}")));
    let setup = zabbix::setup(&config, &services, settings)?;
    let api = zabbix::api(settings, None).await?;
    let outcome = carry_out(&api, &setup, &options, removes).await?;
    tell(&api, &outcome, &options)?;
    let pending = options.dry_run && !outcome.changes.is_empty() || !outcome.left.is_empty();
    Ok(if pending { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn carry_out(
    api: &Api,
    setup: &Setup,
    options: &ZabbixOptions,
    removes: bool,
) -> Result<Outcome, Failure> {
    let bar = bar();
    let mut progress = |change: &Change| {
        bar.set_message(format!("{} {}", change.what, change.name));
        bar.inc(1);
    };
    let mode = if options.dry_run { Mode::DryRun } else { Mode::Apply };
    let outcome = if removes {
        flyball_zabbix::remove(api, setup, mode, &mut progress).await
    } else {
        flyball_zabbix::provision(api, setup, mode, &mut progress).await
    };
    bar.finish_and_clear();
    Ok(outcome?)
}

/// Shown on a terminal while it takes long.
fn bar() -> ProgressBar {
    if !stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {pos} changes, now {msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(std::time::Duration::from_millis(100));
    bar
}

fn tell(api: &Api, outcome: &Outcome, options: &ZabbixOptions) -> Result<(), Failure> {
    if options.json {
        let told = json!({
            "zabbix": api.version().to_string(), "applied": !options.dry_run,
            "changes": outcome.changes, "notes": outcome.notes, "left": outcome.left,
        });
        return print(&told.to_string());
    }
    outcome.changes.iter().try_for_each(|change| print(&change.to_string()))?;
    outcome.notes.iter().for_each(|said| note(said));
    for change in &outcome.left {
        note(&format!("Zabbix accepted this change but did not keep it: {change}"));
    }
    let (url, count) = (api.url(), outcome.changes.len());
    note(&match (count, options.dry_run) {
        (0, _) => format!("nothing to change in {url} (Zabbix {})", api.version()),
        (_, true) => format!("{count} changes would be made in {url} (Zabbix {})", api.version()),
        (_, false) => format!("{count} changes were made in {url} (Zabbix {})", api.version()),
    });
    Ok(())
}
