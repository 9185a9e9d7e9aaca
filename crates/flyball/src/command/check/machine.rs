//! Checks this machine: who can change things, who can read secrets, and how many files may be
//! open.

use flyball_config::Config;

use crate::access;
use crate::daemon::state_dir::{OWN_DIRECTORY, open_to_others};
use crate::descriptors::{Budget, highest};
use crate::finding::Finding;

pub(super) fn look_at(config: &Config) -> Vec<Finding> {
    let mut findings = vec![token(config)];
    findings.extend(secrets(config));
    findings.extend(state_dir(config));
    findings.push(descriptors(&Budget::of(config, highest())));
    findings
}

fn token(config: &Config) -> Finding {
    let key = "flyball.token_file";
    match access::without_token(config) {
        None => Finding::good(key, "changes require the token in it"),
        Some(text) => Finding::good(key, text)
            .hint("set it if others have accounts on this machine, or if a proxy is in front"),
    }
}

fn secrets(config: &Config) -> Vec<Finding> {
    let open = access::open_secrets(config).into_iter();
    open.map(|(key, text, remedy)| Finding::wrong(key, text).hint(remedy)).collect()
}

/// One that holds only what is flyball's is closed to others at the start.
fn state_dir(config: &Config) -> Option<Finding> {
    let text = open_to_others(&config.daemon.state_dir)?;
    Some(Finding::wrong("flyball.state_dir", text).hint(OWN_DIRECTORY))
}

fn descriptors(budget: &Budget) -> Finding {
    let key = "descriptors";
    match budget.shortage() {
        None => Finding::good(key, budget.describe()),
        Some((text, remedy)) => Finding::wrong(key, text).hint(remedy),
    }
}
