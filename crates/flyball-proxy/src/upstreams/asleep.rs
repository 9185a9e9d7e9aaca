//! Who waits while no server is routed, and since when. Somebody who reads the page to wait with
//! counts as one request, or nothing would start.

use std::time::{Duration, Instant};

use flyball_core::observation::Route;

use super::{State, Upstreams};
use crate::start::HeldRequests;

/// A reader of the page counts for so long: it asks again sooner.
const VISIT: Duration = Duration::from_secs(10);

impl Upstreams {
    /// Whether no server is routed.
    pub(crate) fn is_asleep(&self) -> bool {
        self.lock().is_asleep()
    }

    /// Somebody gets the page.
    pub(crate) fn visit(&self) {
        let first = {
            let mut state = self.lock();
            let first = state.waiting() == 0;
            state.visited = Some(Instant::now());
            first
        };
        if first {
            self.news.notify_one();
        }
    }

    /// The requests in line; `None` while there is none.
    pub(crate) fn held(&self) -> Option<HeldRequests> {
        let state = self.lock();
        let since = state.line.values().filter_map(|waiter| waiter.since).min();
        let oldest = since.into_iter().chain(state.reader()).min()?;
        Some(HeldRequests { count: state.waiting(), oldest_ms: whole_ms(oldest.elapsed()) })
    }
}

impl State {
    /// Requests that wait, with readers of the page as one.
    pub(super) fn waiting(&self) -> u32 {
        let waiting = self.line.values().filter(|waiter| waiter.since.is_some()).count();
        let all = waiting + usize::from(self.reader().is_some());
        u32::try_from(all).unwrap_or(u32::MAX)
    }

    /// When somebody last got the page who may still wait for a server.
    fn reader(&self) -> Option<Instant> {
        self.visited.filter(|at| at.elapsed() < VISIT && self.is_asleep())
    }

    fn is_asleep(&self) -> bool {
        !self.servers.iter().any(|entry| entry.route == Route::Routed)
    }
}

fn whole_ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
