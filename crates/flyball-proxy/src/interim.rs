//! Forwards interim answers (103 and other 1xx) to a client. hyper's server cannot send them, so
//! they are written to the client's socket directly when that is safe. At most [`BYTES_MAX`] wait;
//! the rest is dropped.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use hyper::StatusCode;
use hyper::header::HeaderMap;

use crate::headers;

/// As much as a page of `Link` fields.
const BYTES_MAX: usize = 16 * 1024;

/// The interim answers of one client connection.
#[derive(Clone, Default)]
pub(crate) struct Interim(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// Whether there is anything, so that the socket need not take the lock to see that.
    waiting: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    sent: usize,
    waker: Option<Waker>,
}

impl Interim {
    /// The task to wake when there is something to write: the connection's.
    pub(crate) fn wakes(&self, waker: &Waker) {
        let mut state = self.lock();
        if !state.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            state.waker = Some(waker.clone());
        }
    }

    /// Takes in an interim answer of a replica, as it is to reach the client.
    pub(crate) fn push(&self, status: StatusCode, fields: &HeaderMap) {
        let mut bytes = format!(
            "HTTP/1.1 {} {}\r\n",
            status.as_u16(),
            status.canonical_reason().unwrap_or_default()
        )
        .into_bytes();
        for (name, value) in headers::end_to_end(fields) {
            bytes.extend_from_slice(name.as_str().as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        let mut state = self.lock();
        if state.bytes.len() + bytes.len() <= BYTES_MAX {
            state.bytes.append(&mut bytes);
            self.0.waiting.store(true, Relaxed);
            if let Some(waker) = &state.waker {
                waker.wake_by_ref();
            }
        }
    }

    /// Needs no lock: `push` wakes the connection's task after it has set this.
    pub(crate) fn is_empty(&self) -> bool {
        !self.0.waiting.load(Relaxed)
    }

    /// Hands what is left to `write`, which returns how much it took, until that is all or it
    /// fails.
    pub(crate) fn write<E>(
        &self,
        mut write: impl FnMut(&[u8]) -> Result<usize, E>,
    ) -> Result<(), E> {
        let mut state = self.lock();
        while state.sent < state.bytes.len() {
            let taken = write(&state.bytes[state.sent..])?;
            state.sent += taken;
        }
        self.clear(&mut state);
        Ok(())
    }

    /// Forgets what waits if nothing of it was written yet. Returns whether nothing is left.
    pub(crate) fn drop_unbegun(&self) -> bool {
        let mut state = self.lock();
        if state.sent == 0 {
            self.clear(&mut state);
        }
        state.bytes.is_empty()
    }

    fn clear(&self, state: &mut State) {
        state.bytes.clear();
        state.sent = 0;
        self.0.waiting.store(false, Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hints(link: &str) -> HeaderMap {
        let fields = [("link", link), ("connection", "x-private"), ("x-private", "1")];
        fields.iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).collect::<HeaderMap>()
    }

    #[test]
    fn an_interim_answer_goes_on_without_what_ends_here() {
        let interim = Interim::default();
        interim.push(StatusCode::EARLY_HINTS, &hints("</a.css>"));
        assert!(!interim.is_empty());
        let mut written = Vec::new();
        // Three bytes at a time, as a slow socket takes them.
        let write = |bytes: &[u8]| {
            let part = &bytes[..bytes.len().min(3)];
            written.extend_from_slice(part);
            Ok::<usize, ()>(part.len())
        };
        interim.write(write).unwrap();
        let wanted = "HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n";
        assert_eq!(String::from_utf8(written).unwrap(), wanted);
        assert!(interim.is_empty());
    }

    #[test]
    fn what_was_begun_is_not_forgotten_and_what_was_not_is() {
        let interim = Interim::default();
        interim.push(StatusCode::PROCESSING, &HeaderMap::new());
        let mut room = 5;
        let full = |bytes: &[u8]| {
            let part = bytes.len().min(std::mem::take(&mut room));
            if part == 0 { Err(()) } else { Ok(part) }
        };
        interim.write(full).unwrap_err();
        assert!(!interim.drop_unbegun());
        interim.write(|bytes| Ok::<usize, ()>(bytes.len())).unwrap();
        interim.push(StatusCode::PROCESSING, &HeaderMap::new());
        assert!(interim.drop_unbegun() && interim.is_empty());
    }

    #[test]
    fn what_does_not_fit_is_left_out() {
        let interim = Interim::default();
        for _ in 0..100 {
            interim.push(StatusCode::EARLY_HINTS, &hints(&"x".repeat(1_000)));
        }
        assert!(interim.lock().bytes.len() <= BYTES_MAX);
    }
}
