//! The life of one replica, from fork to the end of its last process. The first process is reaped
//! last, so that its process id, which is also its session's, cannot be reused earlier.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use flyball_cgroup::ProcessStat;
use flyball_core::units::ReplicaId;
use flyball_engine::ports::Port;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::timeout;

use crate::containment::{ReplicaGroup, kill_group};
use crate::exit::{collect, describe};
use crate::finder::ProcessFinder;
use crate::launcher::Spawned;
use crate::meter::Meter;
use crate::output::Output;
use crate::state::{Ordered, Shared};
use crate::version::Version;

/// How long a replica's processes may take to be gone once they are killed, before it is logged.
const KILL_LIMIT: Duration = Duration::from_secs(5);
/// How long to wait for the rest of the log tail once every process that could write it is gone.
const WORDS_LIMIT: Duration = Duration::from_millis(200);

/// What systemd gives to a service that it started, and to nobody else.
const OF_SYSTEMD: [&str; 6] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
];

/// Runs replica `id` until nothing of it is left, and reports to the engine what happens to it.
pub(crate) async fn run_replica(engine: Arc<Shared>, id: ReplicaId, ordered: Ordered) {
    let Ordered { version, stopped } = ordered;
    match Running::start(&engine, &id, &version).await {
        Ok(running) => {
            let grace = Duration::from_millis(version.settings.grace_ms);
            let reason = running.until_ended(&engine, &id, stopped, grace).await;
            engine.ended(&id, reason);
        }
        Err(error) => engine.failed_to_start(&id, &version, &error),
    }
}

/// A replica whose first process was started.
struct Running {
    process: Pid,
    session: u32,
    /// Readable when the first process has died.
    pidfd: AsyncFd<OwnedFd>,
    output: Output,
    leftovers: Leftovers,
    _port: Port,
    _place: OwnedSemaphorePermit,
}

/// What finds everything of a replica that its first process leaves behind.
#[derive(Debug)]
struct Leftovers {
    group: Option<ReplicaGroup>,
    hunt: ProcessFinder,
}

impl Running {
    async fn start(engine: &Shared, id: &ReplicaId, version: &Version) -> io::Result<Self> {
        let place = engine.launcher.place()?;
        let port = engine.launcher.take_port()?;
        let command = command(engine, id, version, port.number());
        let spawned = engine.launcher.spawn(id.to_string(), command).await?;
        let meter = Meter::of(&spawned)
            .inspect_err(|error| tracing::warn!(replica = %id, %error, "no CPU reading"))
            .ok();
        let marks = engine.launcher.marks().only_replica(&engine.service, id);
        let Spawned { pid, session, pidfd, stdout, stderr, group } = spawned;
        let mut hunt = ProcessFinder::for_marks(marks);
        hunt.add_session(session);
        let leftovers = Leftovers { group, hunt };
        let watched =
            watch(pidfd).and_then(|pidfd| Ok((pidfd, Output::listen(stdout, stderr, id)?)));
        match watched {
            Ok((pidfd, output)) => {
                let address = (Ipv4Addr::LOCALHOST, port.number()).into();
                engine.started(id, address, meter);
                Ok(Self {
                    process: pid,
                    session: session.id,
                    pidfd,
                    output,
                    leftovers,
                    _port: port,
                    _place: place,
                })
            }
            Err(error) => {
                leftovers.kill(id).await;
                collect(pid);
                engine.launcher.ended(session.id);
                Err(error)
            }
        }
    }

    /// Gives the reason of its end.
    async fn until_ended(
        mut self,
        engine: &Shared,
        id: &ReplicaId,
        stop: oneshot::Receiver<()>,
        grace: Duration,
    ) -> String {
        let asked = tokio::select! {
            biased;
            () = death(&self.pidfd) => false,
            _ = stop => true,
        };
        if asked {
            self.leftovers.remember(engine.descendants(id));
            // It leads its group and is not collected: the id is its own. It may be gone already.
            let _ = kill_process_group(self.process, Signal::TERM);
            let _ = timeout(grace, death(&self.pidfd)).await;
        }
        self.leftovers.remember(engine.descendants(id));
        engine.leaving(id);
        self.leftovers.kill(id).await;
        // Whatever resists being killed still exists, and is shown as long as it does.
        death(&self.pidfd).await;
        let last_words = self.output.last_words(WORDS_LIMIT).await;
        let status = collect(self.process);
        engine.launcher.ended(self.session);
        describe(status.as_ref(), &last_words)
    }
}

impl Leftovers {
    /// Who has lost every other kind to the replica by the time it is dead.
    fn remember(&mut self, descendants: Vec<ProcessStat>) {
        if self.group.is_none() {
            self.hunt.add_known(descendants);
        }
    }

    async fn kill(self, id: &ReplicaId) {
        let gone = tokio::task::spawn_blocking(move || self.kill_now()).await;
        if !gone.unwrap_or(false) {
            tracing::warn!(replica = %id, "could not end every process of a replica");
        }
    }

    /// Nothing leaves a group without the rights of root, so where there is one no process needs to
    /// be looked for.
    fn kill_now(&self) -> bool {
        let by_group =
            self.group.as_ref().is_some_and(|group| kill_group(group.directory(), KILL_LIMIT));
        by_group || self.hunt.kill_all(KILL_LIMIT) == 0
    }
}

async fn death(pidfd: &AsyncFd<OwnedFd>) {
    // An error means that the runtime is ending, and this with it.
    let _ = pidfd.readable().await;
}

/// Readable when the process has died.
#[expect(
    deprecated,
    reason = "unsound only for types that let go of their descriptor: an OwnedFd does not, and \
              what replaces this is an unsafe function"
)]
fn watch(pidfd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(pidfd, Interest::READABLE)
}

fn command(engine: &Shared, id: &ReplicaId, version: &Version, port: u16) -> Command {
    let settings = &version.settings;
    let port = port.to_string();
    let mut words = settings.command.iter().map(|word| word.replace("{port}", &port));
    let mut command = Command::new(&version.program);
    command.arg0(words.next().unwrap_or_default()).args(words);
    // What systemd gave to flyball is not a replica's to use.
    for name in OF_SYSTEMD {
        command.env_remove(name);
    }
    command.envs(&settings.env).env("PORT", port);
    command.envs(engine.launcher.marks().of_replica(&engine.service, id));
    if let Some(directory) = &settings.directory {
        command.current_dir(directory);
    }
    command
}
