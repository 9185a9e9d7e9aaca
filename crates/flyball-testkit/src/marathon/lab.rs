//! Runs the scripted Marathon on its own thread, so tests need not be asynchronous. It ends with
//! its tasks when dropped.

use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::{MissedTickBehavior, interval};

use crate::marathon::LabSettings;
use crate::marathon::server::{Shared, serve};
use crate::marathon::world::{Stage, Task, World};

const TICK: Duration = Duration::from_millis(10);

/// A Marathon with two addresses, of which one leads.
pub struct Lab {
    shared: Shared,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// A task, as it really is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskView {
    /// Its id.
    pub id: String,
    /// Its process, if it has one.
    pub process: Option<u32>,
    /// Whether it runs and was not ordered to end.
    pub runs: bool,
}

impl Lab {
    /// Starts on free ports of 127.0.0.1, or on `port` and the one after it.
    ///
    /// # Panics
    /// The ports are taken.
    pub fn start(knobs: LabSettings, port: Option<u16>) -> Self {
        let (report, started) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                let mut listeners = Vec::new();
                for index in 0..2 {
                    let at = ("127.0.0.1", port.map_or(0, |port| port + index));
                    listeners.push(TcpListener::bind(at).await.expect("a free port"));
                }
                let place = |listener: &TcpListener| listener.local_addr().expect("an address");
                let shared = Shared::new(World::new(knobs), listeners.iter().map(place).collect());
                for (index, listener) in listeners.into_iter().enumerate() {
                    tokio::spawn(serve(listener, index, shared.clone()));
                }
                tokio::spawn(keep_ticking(shared.clone()));
                let _receiver_gone = report.send(shared);
                let _either_way = stopped.await;
            });
        });
        let shared = started.recv().expect("it has started");
        Self { shared, stop: Some(stop), thread: Some(thread) }
    }

    /// Where it answers: the first address, or the second one.
    ///
    /// # Panics
    /// There are two.
    pub fn at(&self, index: usize) -> SocketAddr {
        self.shared.places[index]
    }

    /// Turns knobs.
    pub fn set(&self, turn: impl FnOnce(&mut LabSettings)) {
        let mut world = self.shared.world();
        let mut knobs = world.knobs.clone();
        turn(&mut knobs);
        world.set(knobs);
    }

    /// Makes an app, or changes it.
    pub fn put(&self, definition: Value, instances: usize) {
        self.shared.world().put(definition, instances);
    }

    /// Rolls a new version of an app out externally, and holds it until [`Self::unlock`].
    pub fn lock(&self, app: &str) -> String {
        self.shared.world().deploy(app, "RestartApplication")
    }

    /// That is over.
    pub fn unlock(&self, deployment: &str) {
        self.shared.world().deployments.retain(|it| it.id != deployment);
    }

    /// Changes the count externally; false where a deployment is in the way.
    pub fn scale_by_hand(&self, app: &str, to: usize) -> bool {
        self.shared.world().scale(app, to, false).is_ok()
    }

    /// The count of an app.
    pub fn instances(&self, app: &str) -> usize {
        self.shared.world().apps.get(app).map_or(0, |app| app.instances)
    }

    /// The tasks of an app.
    pub fn tasks(&self, app: &str) -> Vec<TaskView> {
        let world = self.shared.world();
        let of_app = world.tasks.iter().filter(|(_, task)| task.app == app);
        let seen = |(id, task): (&String, &Task)| TaskView {
            id: id.clone(),
            process: task.process.as_ref().map(crate::marathon::process::Process::id),
            runs: task.stage == Stage::Running,
        };
        of_app.map(seen).collect()
    }

    /// A task's agent is unreachable, or is back. The process runs on.
    pub fn lose(&self, task: &str, lost: bool) {
        let mut world = self.shared.world();
        if let Some(task) = world.tasks.get_mut(task) {
            task.stage = if lost { Stage::Unreachable } else { Stage::Running };
        }
        let app = world.tasks.get(task).map(|task| task.app.clone()).unwrap_or_default();
        world.tell_status(task, &app, if lost { "TASK_UNREACHABLE" } else { "TASK_RUNNING" });
    }

    /// Whether any deployment goes on.
    pub fn deploys(&self) -> bool {
        !self.shared.world().deployments.is_empty()
    }

    /// The changes that were asked for so far, as `METHOD PATH?QUERY`.
    pub fn asked(&self) -> Vec<String> {
        self.shared.world().asked.clone()
    }

    /// Has tasks of an app that has no command run at once, as if they had for long.
    pub fn settle(&self, app: &str) {
        let mut world = self.shared.world();
        world.tick();
        let long_ago = Instant::now().checked_sub(Duration::from_secs(3_600));
        for task in world.tasks.values_mut().filter(|task| task.app == app) {
            (task.stage, task.since) = (Stage::Running, long_ago.unwrap_or(task.since));
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
        // Before the last holder of the world.
        self.shared.world().tasks.clear();
    }
}

async fn keep_ticking(shared: Shared) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        shared.world().tick();
    }
}
