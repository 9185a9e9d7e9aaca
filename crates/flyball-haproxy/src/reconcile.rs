//! The reconcile pass: read HAProxy's state and carry out what is missing. It runs at once after an
//! order and often while something is pending. Each change is tried once per pass, so a broken
//! HAProxy is never flooded.

use std::mem::{Discriminant, discriminant};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flyball_core::units::Timestamp;
use flyball_engine::Hint as _;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use crate::change::{Change, Outcome};
use crate::desired_state::DesiredState;
use crate::error::HaproxyError;
use crate::server_file::ServerFile;
use crate::settings::{HaproxySettings, Mode};
use crate::watched::Watched;
use crate::wire::Wire;

/// One adapter, as its task and its callers see it.
pub(crate) struct Shared {
    pub(crate) settings: HaproxySettings,
    pub(crate) clock: fn() -> Timestamp,
    pub(crate) wire: Wire,
    backend: Watched,
    state: Mutex<DesiredState>,
    /// What was logged last, so that it is logged once.
    said: Mutex<Option<Discriminant<HaproxyError>>>,
    /// The weight that servers of others were last said to have.
    said_weight: Mutex<Option<u16>>,
    /// The last look or round failed: what it left undone is tried again after the next good look.
    undone: AtomicBool,
    /// There is something to do.
    pub(crate) work: Notify,
    /// There is something that the loop should look at.
    pub(crate) news: Notify,
}

impl Shared {
    pub(crate) fn new(settings: HaproxySettings, clock: fn() -> Timestamp) -> Self {
        let wire = Wire::new(settings.socket.clone(), settings.call_limit_ms);
        let state = Mutex::new(DesiredState::new(&settings, clock()));
        let backend = Watched::new(&settings.backend);
        let (work, news) = (Notify::new(), Notify::new());
        let (said, said_weight) = (Mutex::default(), Mutex::default());
        let undone = AtomicBool::new(false);
        Self { settings, clock, wire, backend, state, said, said_weight, undone, work, news }
    }

    /// Held for microseconds and never across a wait.
    pub(crate) fn state(&self) -> MutexGuard<'_, DesiredState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One look, recorded in the desired state.
    pub(crate) async fn look(&self) -> Result<(), HaproxyError> {
        let at = (self.clock)();
        let limit = Duration::from_millis(self.settings.call_limit_ms);
        let seen = timeout(limit, self.backend.look(&self.wire)).await;
        match seen.unwrap_or_else(|_| Err(self.wire.silent())) {
            Ok(snapshot) => {
                if self.state().take_in(at, snapshot) {
                    self.news.notify_one();
                }
                Ok(())
            }
            Err(error) => {
                self.state().look_failed(&error);
                self.undone.store(true, Relaxed);
                Err(error)
            }
        }
    }

    /// Whether a round has something to do, as of the last look.
    pub(crate) fn has_work(&self) -> bool {
        self.undone.load(Relaxed) || !self.state().changes((self.clock)()).is_empty()
    }

    /// Carries out one change.
    async fn carry_out(&self, change: &Change) -> Result<Outcome, HaproxyError> {
        // Changes follow from a look, so the mode is known.
        let mode = self.state().mode().unwrap_or(Mode::Http);
        let commands = change.commands(&self.settings, mode);
        let answer = self.wire.ask(&commands).await?;
        let outcome = change.judge(&self.settings, mode, &answer)?;
        tracing::debug!(service = %self.settings.service, ?outcome, "{commands}");
        Ok(outcome)
    }

    /// Takes the activator out of the backend, if it is there. What fails is left: the next flyball
    /// moves it.
    pub(crate) async fn retire_activator(&self) {
        let Some(change) = self.state().activator_leaves() else { return };
        if let Err(error) = self.carry_out(&change).await {
            let service = &self.settings.service;
            tracing::warn!("{service}: the activator stays in HAProxy: {}", error.with_hint());
        }
    }

    /// Says once what flyball's servers take from those of others.
    fn tell_weight(&self) {
        let (weight, others) = {
            let state = self.state();
            (state.weight(), state.others())
        };
        let now = (!others.is_empty()).then_some(weight);
        let mut said = self.said_weight.lock().unwrap_or_else(PoisonError::into_inner);
        if *said != now && now.is_some() {
            tracing::info!(
                "{}: backend {} has servers that flyball does not manage ({}): flyball's own get \
                 their lowest weight, {weight}",
                self.settings.service,
                self.settings.backend,
                others.join(", ")
            );
        }
        *said = now;
    }

    /// Says what is wrong once, and once that it is over. A refusal is part of what is observed,
    /// and the caller reports it.
    pub(crate) fn report(&self, error: Option<&HaproxyError>) {
        if error.is_some_and(HaproxyError::is_refusal) {
            return;
        }
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        // By its kind: the same trouble words itself differently from look to look.
        let now = error.map(discriminant);
        if *said == now {
            return;
        }
        let service = &self.settings.service;
        match error {
            Some(error) => tracing::warn!("{service}: {}", error.with_hint()),
            None => tracing::info!("{service}: HAProxy recovered"),
        }
        *said = now;
    }
}

/// Runs until stopped. Unfinished work then stays as it is.
pub(crate) async fn run(
    shared: Arc<Shared>,
    mut file: Option<ServerFile>,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let undone = shared.undone.load(Relaxed);
        let pace_ms = shared.state().pace_ms((shared.clock)()).filter(|_| !undone);
        tokio::select! {
            () = shared.work.notified() => {}
            () = sleep(Duration::from_millis(pace_ms.unwrap_or(0))), if pace_ms.is_some() => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        let outcome = round(&shared, file.as_mut()).await;
        shared.report(outcome.as_ref().err());
        let refusal = outcome.as_ref().err().filter(|error| error.is_refusal());
        shared.state().round_ended(refusal);
        shared.undone.store(outcome.is_err(), Relaxed);
    }
}

/// Looks, changes what has to change, and looks again if anything was changed.
async fn round(shared: &Shared, file: Option<&mut ServerFile>) -> Result<(), HaproxyError> {
    shared.look().await?;
    if let Some(refused) = shared.state().not_asked() {
        return Err(refused);
    }
    shared.tell_weight();
    let (changes, lines, shortage, weight) = {
        let state = shared.state();
        (
            state.changes((shared.clock)()),
            state.lines().zip(state.mode()),
            state.shortage(),
            state.weight(),
        )
    };
    let write = async {
        match file.zip(lines) {
            Some((file, (lines, mode))) => file.keep(&lines, mode, weight).await,
            None => Ok(()),
        }
    };
    let (written, changed) = tokio::join!(write, change_all(shared, &changes));
    changed?;
    written?;
    shortage.map_or(Ok(()), Err)
}

/// One failure does not keep the other servers from their change; the first is reported.
async fn change_all(shared: &Shared, changes: &[Change]) -> Result<(), HaproxyError> {
    let mut first = Ok(());
    for change in changes {
        let outcome = shared.carry_out(change).await;
        // Nothing listens: the rest would wait in vain too.
        let is_gone =
            matches!(outcome, Err(HaproxyError::Unreachable { .. } | HaproxyError::Silent { .. }));
        first = first.and(outcome.map(drop));
        if is_gone {
            return first;
        }
    }
    if !changes.is_empty() {
        first = first.and(shared.look().await);
    }
    first
}
