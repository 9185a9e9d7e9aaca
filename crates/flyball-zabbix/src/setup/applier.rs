//! Makes changes, or only records them in a dry run.

use serde_json::Value;

use super::{Change, Mode, Outcome, Verb};
use crate::api::Api;
use crate::error::ZabbixError;

pub(super) use crate::api::{list, text};

/// One run over everything.
pub(super) struct Applier<'a> {
    pub(super) api: &'a Api,
    mode: Mode,
    outcome: Outcome,
    progress: &'a mut (dyn FnMut(&Change) + Send),
}

impl<'a> Applier<'a> {
    pub(super) fn new(
        api: &'a Api,
        mode: Mode,
        progress: &'a mut (dyn FnMut(&Change) + Send),
    ) -> Self {
        Self { api, mode, outcome: Outcome::default(), progress }
    }

    pub(super) fn outcome(self) -> Outcome {
        self.outcome
    }

    pub(super) fn note(&mut self, note: String) {
        self.outcome.notes.push(note);
    }

    /// Makes a thing; its id is the first under `ids`. `None` in a dry run.
    pub(super) async fn make(
        &mut self,
        (what, name): (&'static str, &str),
        details: Vec<String>,
        (method, ids): (&str, &str),
        params: Value,
    ) -> Result<Option<String>, ZabbixError> {
        let change = Change { verb: Verb::Make, what, name: name.to_owned(), details };
        if !self.begin(change) {
            return Ok(None);
        }
        self.api.make(method, params, ids).await.map(Some)
    }

    /// Updates or removes a thing.
    pub(super) async fn change(
        &mut self,
        verb: Verb,
        (what, name): (&'static str, &str),
        details: Vec<String>,
        (method, params): (&str, Value),
    ) -> Result<(), ZabbixError> {
        let change = Change { verb, what, name: name.to_owned(), details };
        if self.begin(change) {
            self.api.call(method, params).await?;
        }
        Ok(())
    }

    /// Another call that belongs to the change before.
    pub(super) async fn also(&self, method: &str, params: Value) -> Result<(), ZabbixError> {
        if self.mode == Mode::Apply {
            self.api.call(method, params).await?;
        }
        Ok(())
    }

    fn begin(&mut self, change: Change) -> bool {
        let apply = self.mode == Mode::Apply;
        if apply {
            (self.progress)(&change);
        }
        self.outcome.changes.push(change);
        apply
    }
}
