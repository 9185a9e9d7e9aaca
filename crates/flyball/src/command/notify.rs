//! `flyball notify test`: one notification to each target, at once and without tries again. Exit
//! status 1 means that a target did not take it.

use std::process::ExitCode;

use flyball_config::NotifyEvent;
use flyball_notify::{Notification, State, Target};
use serde_json::json;

use crate::cli::{NotifyAct, NotifyTest};
use crate::clock;
use crate::command::configuration;
use crate::failure::Failure;
use crate::output::print;

pub(crate) async fn notify(act: NotifyAct) -> Result<ExitCode, Failure> {
    let NotifyAct::Test(options) = act;
    let targets = targets(&options)?;
    let mut all_told = true;
    for target in targets {
        let text = "this is a test of flyball's notifications; nothing happened";
        let (event, state) = (NotifyEvent::Trouble, State::Once);
        let told = Notification::new("flyball", event, state, text, clock::wall_ms());
        let failed = target.tell(&told).await.err().map(|error| error.to_string());
        all_told &= failed.is_none();
        print(&line(&target.name, failed.as_deref(), options.json))?;
    }
    Ok(if all_told { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn targets(options: &NotifyTest) -> Result<Vec<Target>, Failure> {
    let config = configuration(&options.file)?;
    let known: Vec<String> = config.notify.keys().cloned().collect();
    if known.is_empty() {
        return Err(Failure::new("the configuration names no target of notifications")
            .hint("add [notify.NAME] with url"));
    }
    let wanted = |name: &str| options.target.as_ref().is_none_or(|target| target == name);
    let found: Vec<Target> = config
        .notify
        .into_iter()
        .filter(|(name, _)| wanted(name))
        .map(|(name, settings)| Target::new(&name, settings))
        .collect();
    match &options.target {
        Some(target) if found.is_empty() => {
            Err(Failure::new(format!("the configuration has no target {target:?}"))
                .hint(format!("its targets are {}", known.join(", "))))
        }
        _ => Ok(found),
    }
}

fn line(target: &str, failed: Option<&str>, as_json: bool) -> String {
    match (as_json, failed) {
        (true, failed) => {
            json!({ "target": target, "ok": failed.is_none(), "error": failed }).to_string()
        }
        (false, None) => format!("{target}: ok"),
        (false, Some(why)) => format!("{target}: failed: {why}"),
    }
}
