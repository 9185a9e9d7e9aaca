//! Processes of this machine, found by a variable in their environment. Only processes that carry a
//! marker of the test's own are ever signalled.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

/// The processes that carry `NAME=value` and have not ended: those seen in one round and still
/// there in a second, so that two of them were certainly alive at the same time.
pub(crate) fn carriers(variable: &str) -> Vec<u32> {
    let mut found: Vec<u32> = fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| carry(*pid, variable))
        .collect();
    found.retain(|pid| carry(*pid, variable));
    found
}

/// Whether process `pid` carries `variable`; one that has ended carries nothing.
fn carry(pid: u32, variable: &str) -> bool {
    fs::read(format!("/proc/{pid}/environ"))
        .is_ok_and(|bytes| bytes.split(|byte| *byte == 0).any(|v| v == variable.as_bytes()))
}

/// Sends `signal` to process `pid`; one that is gone already is fine.
pub(crate) fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    match kill_process(pid, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => {}
        Err(error) => panic!("cannot signal {pid:?}: {error}"),
    }
}
