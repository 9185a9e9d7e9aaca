//! The loops of all services, and what they share.
//!
//! Decides what a service needs to run, and what becomes of it when it comes or goes while flyball
//! runs. Knows nothing of counts. Invariant: a service on the board has a loop, and the other way
//! round.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flyball_config::Service;
use flyball_core::observation::Manual;
use flyball_core::policy::Rule;
use flyball_journal::{Journal, StoredManual};
use flyball_web::Daemon as _;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::balancer::Balancer;
use super::board::{Board, Slot};
use super::engine::Engine;
use super::fence::Fence;
use super::hosts::Hosts;
use super::look::{Course, Look};
use super::look_log::LookLog;
use super::probe::Prober;
use super::report::Witness;
use super::telling::Telling;
use crate::clock;
use crate::failure::Failure;

/// All loops.
pub(super) struct Crew {
    pub(super) hosts: Hosts,
    pub(super) board: Arc<Board>,
    pub(super) journal: Arc<Journal>,
    /// What was asked by hand before.
    pub(super) manuals: Mutex<BTreeMap<String, StoredManual>>,
    pub(super) witness: Option<Witness>,
    /// Whether there is somebody who advises services.
    pub(super) advised: bool,
    pub(super) fence: Fence,
    pub(super) loops: Mutex<Loops>,
}

#[derive(Default)]
pub(super) struct Loops {
    running: JoinSet<()>,
    courses: BTreeMap<String, watch::Sender<Course>>,
}

/// A service that could be started, its sources open, but does not look yet.
pub(super) struct Ready {
    look: Look,
    name: String,
}

impl Crew {
    pub(super) fn hosts(&self) -> &Hosts {
        &self.hosts
    }

    /// Opens what `service` needs.
    ///
    /// # Errors
    /// What cannot be had; nothing is left open then.
    pub(super) async fn prepare(&self, service: &Service) -> Result<Ready, Failure> {
        if matches!(service.policy.rule, Rule::Advised(_)) && !self.advised {
            let what = format!(
                "services.{}.policy is driven by Zabbix, which cannot be asked",
                service.name
            );
            return Err(Failure::new(what).hint("set api and token_file under [zabbix]"));
        }
        let engine = Engine::build(service, &self.hosts)?;
        let balancer = Balancer::build(service, &self.hosts).await?;
        let slot = Arc::new(slot(service, &engine, &balancer));
        slot.set_manual(self.manuals().get(&service.name).and_then(still_holds));
        let prober = Prober::new(service.ready.clone(), service.liveness_ms);
        let (policy, journal) = (service.policy.clone(), Arc::clone(&self.journal));
        let telling = Telling::new(self.board.feed().clone(), &service.name);
        let witness = self.witness.clone();
        let (fence, log) = (self.fence.clone(), LookLog::new(&service.name));
        let look =
            Look { policy, engine, balancer, prober, slot, journal, telling, witness, fence, log };
        Ok(Ready { look, name: service.name.clone() })
    }

    /// Begins to look after a service.
    pub(super) fn begin(&self, ready: Ready) {
        let Ready { look, name } = ready;
        let (course, followed) = watch::channel(Course::Keep);
        self.board.add(&name, Arc::clone(&look.slot));
        let mut loops = self.loops();
        loops.courses.insert(name, course);
        loops.running.spawn(look.run(followed));
    }

    /// Has all replicas of a service taken away; its loop ends with the last of them.
    pub(super) fn let_go(&self, name: &str) {
        self.steer(name, Course::LetGo);
    }

    /// Looks after a service again that was let go.
    pub(super) fn keep(&self, name: &str) {
        self.steer(name, Course::Keep);
    }

    /// Ends the loop of a service and leaves its replicas as they are.
    pub(super) fn end(&self, name: &str) {
        self.steer(name, Course::End);
    }

    /// Forgets a service whose loop has ended; false while it has not.
    pub(super) fn forget(&self, name: &str) -> bool {
        let mut loops = self.loops();
        if loops.courses.get(name).is_some_and(|course| !course.is_closed()) {
            return false;
        }
        loops.courses.remove(name);
        self.board.remove(name);
        true
    }

    /// Puts in force what was asked by hand before and became known only now, unless something was
    /// asked since.
    pub(super) fn take_in(&self, late: BTreeMap<String, StoredManual>) {
        for (service, stored) in late {
            if let Some(slot) = self.board.slot(&service)
                && slot.manual(clock::now()).is_none()
            {
                slot.set_manual(still_holds(&stored));
            }
            self.manuals().insert(service, stored);
        }
    }

    fn manuals(&self) -> MutexGuard<'_, BTreeMap<String, StoredManual>> {
        self.manuals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn steer(&self, name: &str, to: Course) {
        if let Some(course) = self.loops().courses.get(name) {
            course.send_replace(to);
        }
    }

    fn loops(&self) -> MutexGuard<'_, Loops> {
        self.loops.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends all loops and waits for them.
    pub(super) async fn stop(&self) {
        let mut running = {
            let mut loops = self.loops();
            for course in loops.courses.values() {
                course.send_replace(Course::End);
            }
            std::mem::take(&mut loops.running)
        };
        while let Some(ended) = running.join_next().await {
            if let Err(error) = ended {
                tracing::error!("the loop of a service failed: {error}");
            }
        }
    }
}

fn slot(service: &Service, engine: &Engine, balancer: &Balancer) -> Slot {
    let names = (engine.name(), balancer.name());
    Slot::new(service.policy.clone(), names, balancer.address(), service.error_limit)
}

/// A wish from before a restart, unless it ended meanwhile.
fn still_holds(stored: &StoredManual) -> Option<Manual> {
    if stored.until_wall_ms.is_some_and(|until| until <= clock::wall_ms()) {
        return None;
    }
    let until = stored.until_wall_ms.map(clock::moment_of);
    Some(Manual { ask: stored.ask, until, by: stored.by.clone() })
}
