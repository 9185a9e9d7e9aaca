//! What a child does between fork and exec: new session and group, parent-death signal, signal
//! reset. Only system calls are made there. This is the only unsafe code.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use nix::sys::signal::{SigHandler, Signal, signal};
use rustix::process::{
    Pid, Resource, Rlimit, getpid, getppid, getrlimit, set_parent_process_death_signal, setrlimit,
    setsid,
};

/// How a child stands to flyball. Every child leads a session of its own.
#[derive(Debug)]
pub(crate) enum ChildKind {
    /// It is killed when the thread that forked it ends; it joins the group behind the descriptor
    /// of a `cgroup.procs`, if it can.
    Replica {
        /// The group's `cgroup.procs`.
        group: Option<OwnedFd>,
        /// The soft bound of descriptors that it begins with; `None` for flyball's own.
        descriptors: Option<u64>,
    },
    /// It outlives flyball and does not hear what ends flyball.
    Watchdog,
}

/// Forks and executes `command`.
///
/// The thread that calls this must live as long as the replicas that it starts.
pub(crate) fn spawn(command: &mut Command, kind: ChildKind) -> io::Result<Child> {
    let parent = getpid();
    #[expect(
        unsafe_code,
        reason = "the closure makes only system calls: it neither allocates nor takes a lock, so \
                  it is sound in the only thread left after a fork"
    )]
    // SAFETY: `cut_off` is async-signal-safe, as its own comment says.
    unsafe {
        command.pre_exec(move || cut_off(&kind, parent));
    }
    command.spawn()
}

/// Async-signal-safe: `setsid`, `prctl`, `getppid`, `write`, `prlimit` and `sigaction`, and errors
/// that are bare numbers.
fn cut_off(kind: &ChildKind, parent: Pid) -> io::Result<()> {
    setsid()?;
    match kind {
        ChildKind::Replica { group, descriptors } => {
            set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
            // The parent may have died before it was asked to take this child with it.
            if getppid() != Some(parent) {
                return Err(rustix::io::Errno::SRCH.into());
            }
            if let Some(group) = group {
                // Without the group it still runs; its parent checks whether it is in.
                let _ = rustix::io::write(group, b"0");
            }
            if let Some(descriptors) = descriptors {
                let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
                setrlimit(Resource::Nofile, Rlimit { current: Some(*descriptors), maximum })?;
            }
        }
        ChildKind::Watchdog => ignore([Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM])?,
    }
    Ok(())
}

fn ignore(signals: [Signal; 3]) -> io::Result<()> {
    for number in signals {
        #[expect(unsafe_code, reason = "ignoring a signal installs no handler that could run")]
        // SAFETY: no function is called on such a signal, so none can be unsound.
        unsafe {
            signal(number, SigHandler::SigIgn)?;
        }
    }
    Ok(())
}
