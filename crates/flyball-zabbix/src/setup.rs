//! What flyball has in Zabbix: [`provision`] creates and updates it, [`remove`] removes it. Only
//! objects with flyball's mark are changed: a uuid for groups and the template, a tag for hosts, a
//! distinctive name for the rest.

mod applier;
mod compare;
mod differing;
mod hosts;
mod inspect;
mod remove;
mod template;
mod thing;
mod webhook;

use std::fmt;

use serde::Serialize;

use crate::api::{Api, ApiToken};
use crate::error::ZabbixError;
use crate::proxies::Proxies;
use applier::{Applier, text};
pub use inspect::{Inspected, inspect};
pub use remove::remove;

/// The host group of the services, and the name of their template.
pub(crate) const NAME: &str = "Flyball";
/// The template of a replica that has a host of its own.
pub(crate) const REPLICA_NAME: &str = "Flyball replica";
/// The tag that says that a host is a replica's; its value is the host of the service.
pub(crate) const REPLICA_TAG: &str = "flyball-replica";
/// The name of everything that the webhook needs.
const WEBHOOK_NAME: &str = "Flyball webhook";
/// The tag that says that a host is flyball's; its value is the service.
const TAG: &str = "flyball";

/// What is wanted.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// A host for each service.
    pub hosts: Vec<HostSetup>,
    /// Where Zabbix calls when a trigger fires or recovers; `None`: nowhere.
    pub webhook: Option<Webhook>,
    /// The name of the proxy that monitors the hosts; `None`: the one that does so already, the
    /// server at first.
    pub proxy: Option<String>,
}

/// One service's host.
#[derive(Clone, Debug, PartialEq)]
pub struct HostSetup {
    /// The host's name in Zabbix.
    pub host: String,
    /// The service's name in flyball.
    pub service: String,
    /// When its triggers fire.
    pub thresholds: Thresholds,
}

/// When triggers fire and when they are over: mean CPU in percent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    /// At or over this: one more.
    pub out_at: f64,
    /// Under this that is over; not more than `out_at`.
    pub out_clear: f64,
    /// At or under this: one fewer; less than `out_at`.
    pub in_at: f64,
    /// Over this that is over; not less than `in_at`.
    pub in_clear: f64,
    /// What the mean is taken over, in seconds; two or three intervals of reports.
    pub window_s: u64,
}

impl Thresholds {
    /// The host's macros. They have the names of the template's.
    fn macros(&self) -> [(&'static str, String); 5] {
        [
            ("{$FLYBALL.OUT}", percent(self.out_at)),
            ("{$FLYBALL.OUT.CLEAR}", percent(self.out_clear)),
            ("{$FLYBALL.IN}", percent(self.in_at)),
            ("{$FLYBALL.IN.CLEAR}", percent(self.in_clear)),
            ("{$FLYBALL.WINDOW}", format!("{}s", self.window_s)),
        ]
    }
}

/// Four decimals at most, and none that say nothing.
fn percent(percent: f64) -> String {
    let text = format!("{percent:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Where Zabbix calls.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// Flyball's address as Zabbix reaches it, `http://HOST:PORT`.
    pub url: String,
    /// Flyball's own token, if it wants one.
    pub token: Option<ApiToken>,
}

/// Whether anything is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Only what would be changed is logged.
    DryRun,
    /// It is changed.
    Apply,
}

/// What is done to a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// It is made.
    Make,
    /// It is brought into line.
    Update,
    /// It is removed.
    Remove,
}

/// One thing that is, or would be, made, updated or removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What is done.
    pub verb: Verb,
    /// To what kind of thing.
    pub what: &'static str,
    /// Its name.
    pub name: String,
    /// In which respects.
    pub details: Vec<String>,
}

/// What was, or would be, done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// In this order.
    pub changes: Vec<Change>,
    /// What else should be known, such as what was left alone and why.
    pub notes: Vec<String>,
    /// What still differs after all of that: Zabbix took it and did not keep it. Another run would
    /// find the same.
    pub left: Vec<Change>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match self.verb {
            Verb::Make => "make",
            Verb::Update => "update",
            Verb::Remove => "remove",
        };
        write!(f, "{verb:<6} {} {}", self.what, self.name)?;
        self.details.iter().try_for_each(|detail| write!(f, "\n         {detail}"))
    }
}

/// Makes Zabbix have what `setup` says, or says what that would change. Everything is looked at
/// before anything is changed, so a name that is taken changes nothing.
///
/// `progress` is called with what is being done, once for each call that changes something.
///
/// # Errors
/// Zabbix cannot be asked or refuses, or has something of ours' name that is not ours.
pub async fn provision(
    api: &Api,
    setup: &Setup,
    mode: Mode,
    progress: &mut (dyn FnMut(&Change) + Send),
) -> Result<Outcome, ZabbixError> {
    let mut looked = Applier::new(api, Mode::DryRun, progress);
    build(&mut looked, setup).await?;
    let outcome = looked.outcome();
    if mode == Mode::DryRun || outcome.changes.is_empty() {
        return Ok(outcome);
    }
    let mut applier = Applier::new(api, Mode::Apply, progress);
    build(&mut applier, setup).await?;
    let mut outcome = applier.outcome();
    let mut looked = Applier::new(api, Mode::DryRun, progress);
    build(&mut looked, setup).await?;
    outcome.left = looked.outcome().changes;
    Ok(outcome)
}

async fn build(applier: &mut Applier<'_>, setup: &Setup) -> Result<(), ZabbixError> {
    let proxies = Proxies::read(applier.api).await?;
    let proxy = setup.proxy.as_deref().map(|name| proxies.id_of(name)).transpose()?;
    let template = template::build(applier).await?;
    let group = hosts::build_group(applier).await?;
    let belongs = hosts::Belongs {
        group: group.as_deref(),
        template: template.as_deref(),
        proxy,
        proxies: &proxies,
    };
    hosts::build(applier, setup, &belongs).await?;
    webhook::build(applier, setup.webhook.as_ref(), group.as_deref()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn macros_are_written_as_a_person_would() {
        assert_eq!([percent(30.0), percent(12.5), percent(100.0 / 3.0)], ["30", "12.5", "33.3333"]);
    }

    #[test]
    fn a_change_says_what_is_done_to_what() {
        let details = vec!["{$FLYBALL.OUT}: 30 -> 40".to_owned()];
        let change = Change { verb: Verb::Update, what: "host", name: "web".to_owned(), details };
        assert_eq!(change.to_string(), "update host web\n         {$FLYBALL.OUT}: 30 -> 40");
    }
}
