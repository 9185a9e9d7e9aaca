//! The process of a task: SIGTERM, then SIGKILL after the grace period. It does not outlive its
//! owner.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// A process that is ended when this is dropped.
#[derive(Debug)]
pub(crate) struct Process(Child);

impl Process {
    /// Runs `cmd` as an agent does: in a shell, with its port in the environment.
    pub(crate) fn start(cmd: &str, port: u16) -> std::io::Result<Self> {
        let port = port.to_string();
        let mut command = Command::new("sh");
        command.args(["-c", &format!("exec {cmd}")]).env("PORT0", &port).env("PORT", &port);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.spawn().map(Self)
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// Whether it has ended by now.
    pub(crate) fn is_over(&mut self) -> bool {
        !matches!(self.0.try_wait(), Ok(None))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // One that has ended needs no signal.
            let _ended = kill_process(pid, signal);
        }
    }

    /// User and system time so far, in seconds, at 100 ticks a second.
    pub(crate) fn cpu_s(&self) -> Option<(f64, f64)> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).ok()?;
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
        let mut seconds = || Some(fields.next()?.parse::<f64>().ok()? / 100.0);
        Some((seconds()?, seconds()?))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _over_already = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// A free port of this machine.
pub(crate) fn free_port() -> Option<u16> {
    Some(TcpListener::bind(("127.0.0.1", 0)).ok()?.local_addr().ok()?.port())
}
