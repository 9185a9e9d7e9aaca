//! Checks this machine: who can change things, who can read secrets, and how many files may be
//! open.

use flyball_config::Config;

use super::Finding;
use crate::access;
use crate::daemon::{OWN_DIRECTORY, open_to_others};
use crate::descriptors::{Budget, highest};

pub(super) fn look_at(config: &Config) -> Vec<Finding> {
    let mut findings = vec![token(config)];
    findings.extend(secrets(config));
    findings.extend(state_dir(config));
    findings.push(descriptors(&Budget::of(config, highest())));
    findings
}

fn token(config: &Config) -> Finding {
    let key = "flyball.token_file".to_owned();
    match access::without_token(config) {
        None => {
            let text = "changes require the token in it".to_owned();
            Finding { key, ok: true, text, hint: None }
        }
        Some(text) => {
            let hint = "set it if others have accounts on this machine, or if a proxy is in front";
            Finding { key, ok: true, text, hint: Some(hint.to_owned()) }
        }
    }
}

fn secrets(config: &Config) -> Vec<Finding> {
    let finding = |(key, text, remedy): (&str, String, String)| Finding {
        key: key.to_owned(),
        ok: false,
        text,
        hint: Some(remedy),
    };
    access::open_secrets(config).into_iter().map(finding).collect()
}

/// One that holds only what is flyball's is closed to others at the start.
fn state_dir(config: &Config) -> Option<Finding> {
    let text = open_to_others(&config.daemon.state_dir)?;
    let (key, hint) = ("flyball.state_dir".to_owned(), Some(OWN_DIRECTORY.to_owned()));
    Some(Finding { key, ok: false, text, hint })
}

fn descriptors(budget: &Budget) -> Finding {
    let key = "descriptors".to_owned();
    match budget.shortage() {
        None => Finding { key, ok: true, text: budget.describe(), hint: None },
        Some((text, remedy)) => Finding { key, ok: false, text, hint: Some(remedy.to_owned()) },
    }
}
