//! The one thread that forks. The kernel kills a replica when the *thread* that forked it ends, so
//! no other thread may fork one, and this one lives as long as the launcher.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use flyball_cgroup::ProcessStat;
use flyball_engine::ports::{Port, Ports};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::containment::{Containment, ReplicaGroup, kill_group};
use crate::env_markers::EnvMarkers;
use crate::exit::collect;
use crate::finder::{ProcessFinder, Session};
use crate::fork::{self, ChildKind};
use crate::watchdog::Watchdog;
use crate::{LauncherSettings, ProcessError};

/// Orders that may wait for the thread; one takes about a millisecond.
const QUEUE: usize = 1024;
/// How long a fork with its exec may take, all that wait before it included.
const SPAWN_LIMIT: Duration = Duration::from_secs(10);
/// How long leftovers of an earlier run may take to be gone.
const LEFTOVERS_LIMIT: Duration = Duration::from_secs(5);

/// Does every fork of one flyball. Dropping it kills whatever replicas are left and waits for the
/// watchdog to end (at most a few seconds).
#[derive(Debug)]
pub struct Launcher {
    orders: Option<SyncSender<Order>>,
    thread: Option<JoinHandle<()>>,
    marks: EnvMarkers,
    containment: Containment,
    ports: Ports,
    /// One permit for each replica that may be there.
    room: Arc<Semaphore>,
    replicas_max: usize,
}

#[derive(Debug)]
enum Order {
    Spawn { name: String, command: Box<Command>, reply: oneshot::Sender<io::Result<Spawned>> },
    Ended { session: u32 },
}

/// A replica's first process, just started.
#[derive(Debug)]
pub(crate) struct Spawned {
    pub(crate) pid: Pid,
    pub(crate) session: Session,
    pub(crate) pidfd: OwnedFd,
    pub(crate) stdout: OwnedFd,
    pub(crate) stderr: OwnedFd,
    pub(crate) group: Option<ReplicaGroup>,
}

impl Launcher {
    /// Ends what an earlier run with the same home left, then starts the thread and the watchdog.
    ///
    /// Blocks for some milliseconds, and for at most 5 s while leftovers resist.
    ///
    /// # Errors
    /// [`ProcessError::HomeInUse`] if that run still lives, [`ProcessError::Leftovers`] if
    /// something of it cannot be ended, [`ProcessError::Mark`] and [`ProcessError::Start`].
    pub fn start(settings: LauncherSettings) -> Result<Self, ProcessError> {
        let marks = EnvMarkers::new(&settings)?;
        end_leftovers(&marks)?;
        let mount = settings.cgroup_mount.as_deref();
        let containment = Containment::establish(mount, marks.home(), marks.run());
        let (orders, queue) = sync_channel(QUEUE);
        let (started, start) = std::sync::mpsc::channel();
        let forker = Forker {
            run: marks.run().to_owned(),
            containment: containment.clone(),
            descriptors: settings.descriptors,
        };
        let replicas_max = settings.replicas_max.min(Semaphore::MAX_PERMITS);
        let failed = |what| move |source| ProcessError::Start { what, source };
        let thread = thread::Builder::new()
            .name("launcher".into())
            .spawn(move || match forker.watchdog(settings.watchdog) {
                Ok(watchdog) => {
                    // The one who waits for this has nothing else to do.
                    let _ = started.send(Ok(()));
                    forker.serve(&queue, watchdog);
                }
                Err(error) => {
                    forker.clear();
                    let _ = started.send(Err(error));
                }
            })
            .map_err(failed("launcher thread"))?;
        let result = start.recv().unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into()));
        result.map_err(failed("watchdog"))?;
        let (orders, thread, ports) = (Some(orders), Some(thread), Ports::default());
        let room = Arc::new(Semaphore::new(replicas_max));
        Ok(Self { orders, thread, marks, containment, ports, room, replicas_max })
    }

    /// What holds the processes of a replica together on this machine, or why nothing better does.
    pub fn containment(&self) -> &Containment {
        &self.containment
    }

    pub(crate) fn marks(&self) -> &EnvMarkers {
        &self.marks
    }

    /// A port of 127.0.0.1 that is free and not handed out.
    pub(crate) fn take_port(&self) -> io::Result<Port> {
        let port = self.ports.take(Ipv4Addr::LOCALHOST, &BTreeSet::new())?;
        port.ok_or_else(|| io::Error::new(io::ErrorKind::AddrInUse, "no free port on 127.0.0.1"))
    }

    /// A place for one more replica, given back when this is dropped.
    pub(crate) fn place(&self) -> io::Result<OwnedSemaphorePermit> {
        Arc::clone(&self.room).try_acquire_owned().map_err(|_| {
            io::Error::other(format!(
                "flyball's file descriptor limit allows {} process replicas, and all of them \
                 exist; raise it (LimitNOFILE= of a systemd unit, ulimit -Hn)",
                self.replicas_max
            ))
        })
    }

    /// Starts `command` with its output in pipes; `name` is for people.
    pub(crate) async fn spawn(&self, name: String, command: Command) -> io::Result<Spawned> {
        let (reply, answer) = oneshot::channel();
        self.order(Order::Spawn { name, command: Box::new(command), reply })?;
        match tokio::time::timeout(SPAWN_LIMIT, answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(stopped()),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// No process is left in the session.
    pub(crate) fn ended(&self, session: u32) {
        if let Err(error) = self.order(Order::Ended { session }) {
            tracing::warn!(%error, session, "could not tell the watchdog that a session ended");
        }
    }

    fn order(&self, order: Order) -> io::Result<()> {
        let orders = self.orders.as_ref().ok_or_else(stopped)?;
        orders.try_send(order).map_err(|error| match error {
            TrySendError::Full(_) => io::Error::other("the launcher is overloaded"),
            TrySendError::Disconnected(_) => stopped(),
        })
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        drop(self.orders.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn stopped() -> io::Error {
    io::Error::other("the launcher has stopped")
}

fn end_leftovers(marks: &EnvMarkers) -> Result<(), ProcessError> {
    let hunt = ProcessFinder::for_marks(marks.only_home());
    if let Some(pid) = hunt.living_owner() {
        return Err(ProcessError::HomeInUse { home: marks.home().to_owned(), pid });
    }
    match hunt.kill_all(LEFTOVERS_LIMIT) {
        0 => Ok(()),
        left => Err(ProcessError::Leftovers { home: marks.home().to_owned(), left }),
    }
}

/// What the thread has.
struct Forker {
    run: String,
    containment: Containment,
    descriptors: Option<u64>,
}

impl Forker {
    fn watchdog(&self, command: Option<Vec<OsString>>) -> io::Result<Option<Watchdog>> {
        let group = self.containment.directory().map(ToOwned::to_owned);
        command.map(|command| Watchdog::start(command, &self.run, group)).transpose()
    }

    fn serve(&self, queue: &Receiver<Order>, mut watchdog: Option<Watchdog>) {
        let mut number = 0;
        for order in queue {
            match (order, &mut watchdog) {
                (Order::Spawn { name, command, reply }, watchdog) => {
                    number += 1;
                    let result = self.fork(number, &name, *command);
                    if let (Ok(spawned), Some(watchdog)) = (&result, watchdog) {
                        watchdog.began(spawned.session);
                    }
                    if let Err(Ok(unwanted)) = reply.send(result) {
                        unwanted.discard();
                    }
                }
                (Order::Ended { session }, Some(watchdog)) => watchdog.ended(session),
                (Order::Ended { .. }, None) => {}
            }
        }
        self.clear();
        if let Some(watchdog) = watchdog {
            watchdog.close();
        }
    }

    /// Ends what is left of the run, if anything is.
    fn clear(&self) {
        if let Some(directory) = self.containment.directory() {
            kill_group(directory, LEFTOVERS_LIMIT);
        }
        ProcessFinder::for_marks(EnvMarkers::only_run(&self.run)).kill_all(LEFTOVERS_LIMIT);
    }

    fn fork(&self, number: u64, name: &str, mut command: Command) -> io::Result<Spawned> {
        let group = self.containment.directory().and_then(|run| {
            ReplicaGroup::create(run, number, name)
                .inspect_err(|error| tracing::warn!(%error, name, "no cgroup for a replica"))
                .ok()
        });
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let door = group.as_ref().and_then(|group| group.door().ok());
        let child = fork::spawn(
            &mut command,
            ChildKind::Replica { group: door, descriptors: self.descriptors },
        );
        match child.and_then(Spawned::take_over) {
            Ok(spawned) => Ok(spawned.in_group(group)),
            Err(error) => {
                if let Some(group) = group {
                    kill_group(group.directory(), LEFTOVERS_LIMIT);
                }
                Err(error)
            }
        }
    }
}

impl Spawned {
    /// A child that is not reaped yet, so that its id is certainly its own.
    fn take_over(mut child: Child) -> io::Result<Self> {
        Self::of(&mut child).inspect_err(|_| {
            let _ = child.kill();
            let _ = child.wait();
        })
    }

    fn of(child: &mut Child) -> io::Result<Self> {
        let pid = Pid::from_child(child);
        let pidfd = pidfd_open(pid, PidfdFlags::NONBLOCK)?;
        let stat = ProcessStat::of(child.id()).map_err(io::Error::other)?;
        let session = Session { id: child.id(), started_ticks: stat.started_ticks };
        let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let (stdout, stderr) = (stdout.into(), stderr.into());
        Ok(Self { pid, session, pidfd, stdout, stderr, group: None })
    }

    /// Keeps `group` if the process has joined it; one that has ended already joined before that.
    fn in_group(mut self, group: Option<ReplicaGroup>) -> Self {
        let Some(group) = group else { return self };
        let ended = || ProcessStat::of(self.session.id).is_ok_and(|stat| stat.ended);
        if group.holds(self.session.id) || ended() {
            self.group = Some(group);
        } else {
            tracing::warn!(pid = self.session.id, "a replica could not join its cgroup");
            kill_group(group.directory(), Duration::ZERO);
        }
        self
    }

    /// Ends a replica that is no longer waited for.
    fn discard(self) {
        if let Some(group) = &self.group {
            kill_group(group.directory(), LEFTOVERS_LIMIT);
        }
        let mut hunt = ProcessFinder::default();
        hunt.add_session(self.session);
        hunt.kill_all(LEFTOVERS_LIMIT);
        collect(self.pid);
    }
}
