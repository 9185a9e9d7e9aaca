//! A deadline that runs only while nothing moves. It needs no timer while every poll makes
//! progress.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// Silence with a limit. The timer is made at the first silence, then reused.
pub(crate) struct Stall {
    limit: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    silent: bool,
}

impl Stall {
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit, timer: None, silent: false }
    }

    /// Something moved.
    pub(crate) fn moved(&mut self) {
        self.silent = false;
    }

    /// Nothing moved: ready once that has been so for the whole limit; else the task is woken then.
    pub(crate) fn poll_silent(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| {
            self.silent = true;
            Box::pin(sleep(self.limit))
        });
        if !self.silent {
            self.silent = true;
            timer.as_mut().reset(Instant::now() + self.limit);
        }
        timer.as_mut().poll(cx)
    }
}
