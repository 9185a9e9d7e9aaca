//! Reads Zabbix's triggers for the services that follow them. Advice is never older than the last
//! answer, and a Zabbix that does not answer delays no control loop.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use flyball_config::Zabbix;
use flyball_core::observation::{Advice, Reading};
use flyball_zabbix::{Advice as Said, Api, Triggers};
use futures_util::future::select_all;
use tokio::sync::watch;
use tokio::time::sleep;

use super::{HostNames, api};
use crate::clock;
use crate::daemon::registry::{Registry, ServiceState};
use crate::failure::Failure;

/// Triggers change at most once in this time, since the items that they are about do.
const INTERVAL: Duration = Duration::from_secs(1);
/// A frontend answers in 20 ms, a busy one in ten times that.
const CALL_LIMIT: Duration = Duration::from_secs(3);
/// Pause after a failed attempt, because the frontend still works on the abandoned request.
const AGAIN: Duration = Duration::from_secs(5);
/// How often to look again while no service follows triggers.
const IDLE: Duration = Duration::from_secs(2);

/// Asks until it is stopped, for all services of `registry` that follow triggers.
pub(crate) async fn follow(
    zabbix: Zabbix,
    registry: Arc<Registry>,
    mut stop: watch::Receiver<bool>,
) {
    let names = HostNames::new(&zabbix);
    let mut adviser = Adviser { zabbix, names, api: None, triggers: None, told: String::new() };
    while !*stop.borrow() {
        let advised: Vec<Arc<ServiceState>> =
            registry.slots().into_iter().filter(|slot| is_advised(slot)).collect();
        if !advised.is_empty() {
            adviser.ask(&advised).await;
        }
        let failed = !adviser.told.is_empty();
        let wait = if advised.is_empty() {
            IDLE
        } else if failed {
            AGAIN
        } else {
            INTERVAL
        };
        tokio::select! {
            () = sleep(wait) => {}
            () = doubted(&advised), if !failed => {}
            _ = stop.changed() => {}
        }
    }
}

fn is_advised(slot: &ServiceState) -> bool {
    slot.settings().policy.rule.is_advised()
}

/// Returns when the advice of a service may be out of date.
async fn doubted(slots: &[Arc<ServiceState>]) {
    if slots.is_empty() {
        return std::future::pending().await;
    }
    let each = slots.iter().map(|slot| Box::pin(slot.doubted.notified()));
    select_all(each).await;
}

struct Adviser {
    zabbix: Zabbix,
    names: HostNames,
    api: Option<Api>,
    /// The readers, and the hosts that they are for.
    triggers: Option<(Vec<String>, Triggers)>,
    /// What was said last of Zabbix itself.
    told: String,
}

impl Adviser {
    async fn ask(&mut self, slots: &[Arc<ServiceState>]) {
        match self.read(slots).await {
            Ok(said) => {
                if !std::mem::take(&mut self.told).is_empty() {
                    tracing::info!("the Zabbix triggers can be read again");
                }
                for slot in slots {
                    let host = self.names.of(slot.name());
                    let unheard = || Said::Unclear("its triggers were not read".to_owned());
                    slot.set_advice(reading(said.get(&*host).cloned().unwrap_or_else(unheard)));
                }
            }
            Err(failure) => {
                // Another version may answer next time.
                self.api = None;
                let why = failure.what().to_owned();
                for slot in slots {
                    slot.set_advice(reading(Said::Unclear(why.clone())));
                }
                if self.told != why {
                    tracing::warn!(
                        "cannot read the Zabbix triggers, so counts stay as they are: \
                                    {why}"
                    );
                    self.told = why;
                }
            }
        }
    }

    async fn read(
        &mut self,
        slots: &[Arc<ServiceState>],
    ) -> Result<BTreeMap<String, Said>, Failure> {
        let api = match self.api.take() {
            Some(api) => api,
            None => api(&self.zabbix, Some(CALL_LIMIT)).await?,
        };
        let hosts: Vec<String> =
            slots.iter().map(|slot| self.names.of(slot.name()).to_string()).collect();
        let mut triggers = match self.triggers.take() {
            Some((of, triggers)) if of == hosts => triggers,
            _ => Triggers::new(hosts.clone()),
        };
        let said = triggers.read(&api).await;
        self.triggers = Some((hosts, triggers));
        self.api = Some(api);
        Ok(said?)
    }
}

fn reading(said: Said) -> Reading<Advice> {
    let at = clock::now();
    let value = match said {
        Said::More => Advice::More,
        Said::Fewer => Advice::Fewer,
        Said::Keep => Advice::Keep,
        Said::Unclear(why) => return Reading::Missing { since: at, why },
    };
    Reading::Taken { at, value }
}
