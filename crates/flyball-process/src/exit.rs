//! Why a replica ended: its exit status is collected, and described with its log tail.

use nix::sys::signal::Signal;
use rustix::process::{Pid, WaitId, WaitIdOptions, WaitIdStatus, waitid};

/// Collects a first process that has died; `None` if it has not, or was collected by others.
pub(crate) fn collect(process: Pid) -> Option<WaitIdStatus> {
    waitid(WaitId::Pid(process), WaitIdOptions::EXITED | WaitIdOptions::NOHANG).ok().flatten()
}

/// `status` and the replica's log tail; `None` for a replica that could not be collected.
pub(crate) fn describe(status: Option<&WaitIdStatus>, last_words: &str) -> String {
    let end = match status.map(|status| (status.exit_status(), status.terminating_signal())) {
        Some((Some(code), _)) => format!("exit status {code}"),
        Some((None, Some(number))) => match Signal::try_from(number) {
            Ok(signal) => format!("killed by {signal}"),
            Err(_) => format!("killed by signal {number}"),
        },
        Some((None, None)) | None => "ended for an unknown reason".into(),
    };
    if last_words.is_empty() { end } else { format!("{end}: {last_words}") }
}
