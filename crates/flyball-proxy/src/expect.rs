//! Whether a body that a client holds back (`Expect: 100-continue`) may come. The replica decides,
//! so an upload can be refused before it is sent. A silent replica holds it back for [`PATIENCE`]
//! at most, since it may not know the header.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::{Sleep, sleep};

/// As long as curl waits before it sends the body unasked.
const PATIENCE: Duration = Duration::from_secs(1);

/// The signal that a body waits for; shared by the body and the reader of the replica's answer.
#[derive(Clone, Default)]
pub(crate) struct PermissionSignal(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    answer: Option<Permission>,
    waker: Option<Waker>,
}

/// What the replica answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Permission {
    /// The body may come.
    Granted,
    /// It answered without it.
    Refused,
}

/// A body's wait for that signal, from when it would be sent.
#[derive(Default)]
pub(crate) struct Patience {
    signal: PermissionSignal,
    timer: Option<Pin<Box<Sleep>>>,
}

impl PermissionSignal {
    /// The first permission counts.
    pub(crate) fn give(&self, permission: Permission) {
        let mut state = self.lock();
        state.answer.get_or_insert(permission);
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }

    /// The replica has answered. Returns whether that was without the body, which is no longer
    /// wanted.
    pub(crate) fn is_body_unwanted(&self) -> bool {
        self.give(Permission::Refused);
        self.lock().answer == Some(Permission::Refused)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Patience {
    pub(crate) fn signal(&self) -> PermissionSignal {
        self.signal.clone()
    }

    /// Ready once there is a permission, or patience is at its end.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Permission> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(PATIENCE)));
        let mut state = self.signal.lock();
        if let Some(permission) = state.answer {
            return Poll::Ready(permission);
        }
        if timer.as_mut().poll(cx).is_ready() {
            state.answer = Some(Permission::Granted);
            return Poll::Ready(Permission::Granted);
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn silence_counts_as_permission_after_a_while() {
        let began = Instant::now();
        let mut patience = Patience::default();
        assert_eq!(poll_fn(|cx| patience.poll(cx)).await, Permission::Granted);
        assert_eq!(began.elapsed(), PATIENCE);
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_permission_counts() {
        let mut patience = Patience::default();
        let signal = patience.signal();
        let waiting = tokio::spawn(async move { poll_fn(|cx| patience.poll(cx)).await });
        tokio::task::yield_now().await;
        signal.give(Permission::Refused);
        signal.give(Permission::Granted);
        assert_eq!(waiting.await.unwrap(), Permission::Refused);
        assert!(signal.is_body_unwanted());
    }
}
