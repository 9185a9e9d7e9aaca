//! What an engine has its owner know, in the log.

use std::collections::BTreeMap;

use flyball_core::units::Timestamp;

/// The same sentence is not written again sooner than this, however often it comes and goes.
const AGAIN_MS: u64 = 3_600_000;
/// More sentences than this are not remembered: an engine has a handful.
const KEPT_MAX: usize = 64;

/// The sentences of one service's engine, and when each was written.
#[derive(Debug, Default)]
pub(super) struct EngineLog {
    written: BTreeMap<String, Timestamp>,
}

impl EngineLog {
    /// Writes what is new among `notices`, as a warning each.
    pub(super) fn write(&mut self, now: Timestamp, service: &str, notices: &[String]) {
        for notice in notices {
            let last = self.written.get(notice);
            if last.is_some_and(|at| now.ms_since(*at) < AGAIN_MS) {
                continue;
            }
            if self.written.len() >= KEPT_MAX {
                self.written.clear();
            }
            self.written.insert(notice.clone(), now);
            tracing::warn!("{service}: {notice}");
        }
    }
}
