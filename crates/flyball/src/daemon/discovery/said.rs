//! Logs each recurring message about a service once, and shows it on the dashboard while it holds.

use std::collections::BTreeSet;

use crate::daemon::supervisor::Supervisor;

/// Sentences about services, each with the service's name.
type Sentences = BTreeSet<(String, String)>;

/// What was said in this round and in the one before.
#[derive(Debug, Default)]
pub(super) struct Said {
    before: Sentences,
    now: Sentences,
}

impl Said {
    /// Says `text` about `service`, unless it was so already a round ago.
    pub(super) fn say(&mut self, service: &str, text: &str) {
        let sentence = (service.to_owned(), text.to_owned());
        if !self.before.contains(&sentence) && !self.now.contains(&sentence) {
            tracing::warn!("{}: {text}", service.escape_debug());
        }
        self.now.insert(sentence);
    }

    /// Ends a round: what was not said in it is over.
    pub(super) fn end_round(&mut self, supervisor: &Supervisor) {
        let services = |all: &Sentences| -> BTreeSet<String> {
            all.iter().map(|(service, _)| service.clone()).collect()
        };
        for service in services(&self.before).union(&services(&self.now)) {
            let texts = self.now.iter().filter(|(of, _)| of == service);
            supervisor.remark(service, texts.map(|(_, text)| text.clone()).collect());
        }
        self.before = std::mem::take(&mut self.now);
    }
}
