//! Flyball dies and leaves nothing behind, at once or after the next start. A test that must kill
//! flyball starts its own binary again, with a role in the environment.

#![expect(clippy::unwrap_used, reason = "a test may")]

mod rig;

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use flyball_process::{Launcher, LauncherSettings, ProcessError, watchdog_main};
use rig::{DEADLINE, Way, carriers, engine_of, id, launcher_settings, mark, until_started};

const ROLE: &str = "FLYBALL_TEST_ROLE";
const RUN: &str = "FLYBALL_TEST_RUN";
const HOME: &str = "FLYBALL_TEST_HOME";

/// Three processes in three sessions: the replica, a daemon of it, and a daemon of that.
const SCRIPT: &str = "(setsid sh -c 'setsid sleep 71 & exec sleep 72' &) ; exec sleep 73";

/// Plays the role that this process was started for; `false` for the test itself.
fn played(test: &str) -> bool {
    match std::env::var(ROLE).as_deref() {
        Ok("watchdog") => {
            assert_eq!(
                format!("{:?}", watchdog_main()),
                format!("{:?}", std::process::ExitCode::SUCCESS)
            );
        }
        Ok(role) => flyball(test, role.parse().unwrap()),
        Err(_) => return false,
    }
    true
}

/// A flyball with two replicas that prints so and then waits to be killed.
fn flyball(test: &str, way: Way) {
    let mut settings = launcher_settings(way);
    settings.run_mark = std::env::var(RUN).unwrap();
    settings.home_mark = std::env::var(HOME).unwrap();
    settings.watchdog = with_watchdog(test);
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let engine = engine_of(Arc::new(Launcher::start(settings).unwrap()), SCRIPT, |_| ());
        for number in [1, 2] {
            engine.start(&id(number), None);
            until_started(&engine, number).await;
        }
        let mut stdout = std::io::stdout();
        stdout.write_all(b"\nreplicas run\n").unwrap();
        stdout.flush().unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
    });
}

fn with_watchdog(test: &str) -> Option<Vec<OsString>> {
    let exe = std::env::current_exe().unwrap();
    let role = format!("{ROLE}=watchdog");
    let command: [OsString; 6] = [
        "env".into(),
        role.into(),
        exe.into(),
        "--exact".into(),
        test.into(),
        "--nocapture".into(),
    ];
    std::env::var_os("WITHOUT_WATCHDOG").is_none().then(|| command.into())
}

fn start_flyball(test: &str, way: Way, run: &str, home: &str) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).stdout(Stdio::piped());
    command.env(ROLE, format!("{way:?}")).env(RUN, run).env(HOME, home);
    if test.contains("leftovers") {
        command.env("WITHOUT_WATCHDOG", "1");
    }
    let mut flyball = command.spawn().unwrap();
    let mut lines = BufReader::new(flyball.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "replicas run"), "flyball started no replicas");
    until("six processes", || (carriers(&format!("FLYBALL_RUN={run}")).len() == 6).then_some(()));
    flyball
}

fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "not within 10 s: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

impl std::str::FromStr for Way {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Cgroup, Self::Session].into_iter().find(|way| format!("{way:?}") == text).ok_or(())
    }
}

#[test]
fn a_sigkill_of_flyball_leaves_no_process_not_even_daemons() {
    let test = "a_sigkill_of_flyball_leaves_no_process_not_even_daemons";
    if played(test) {
        return;
    }
    for way in [Way::Cgroup, Way::Session] {
        let run = mark();
        let mut flyball = start_flyball(test, way, &run, &format!("/home-of-{run}"));
        let killed = Instant::now();
        flyball.kill().unwrap();
        flyball.wait().unwrap();
        let carrier = format!("FLYBALL_RUN={run}");
        until("no process left", || carriers(&carrier).is_empty().then_some(()));
        println!("{way:?}: six processes gone {:?} after the SIGKILL", killed.elapsed());
        let watchdogs = format!("{RUN}={run}");
        until("no watchdog left", || carriers(&watchdogs).is_empty().then_some(()));
        assert!(killed.elapsed() < Duration::from_secs(2));
    }
}

#[test]
fn the_next_start_ends_leftovers_of_its_own_state_directory_and_of_no_other() {
    let test = "the_next_start_ends_leftovers_of_its_own_state_directory_and_of_no_other";
    if played(test) {
        return;
    }
    let (run, other_run) = (mark(), mark());
    let home = format!("/home-of-{run}");
    let settings = |home: &str| LauncherSettings {
        home_mark: home.to_owned(),
        ..launcher_settings(Way::Session)
    };
    let mut other = start_flyball(test, Way::Session, &other_run, &format!("/home-of-{other_run}"));
    let mut flyball = start_flyball(test, Way::Session, &run, &home);
    let refused = Launcher::start(settings(&home)).unwrap_err();
    assert!(matches!(refused, ProcessError::HomeInUse { pid, .. } if pid == flyball.id()));
    flyball.kill().unwrap();
    flyball.wait().unwrap();
    let carrier = format!("FLYBALL_RUN={run}");
    until("first processes killed", || (carriers(&carrier).len() == 4).then_some(()));
    let launcher = Launcher::start(settings(&home)).unwrap();
    assert_eq!(carriers(&carrier), Vec::<u32>::new());
    assert_eq!(carriers(&format!("FLYBALL_RUN={other_run}")).len(), 6);
    drop(launcher);
    other.kill().unwrap();
    other.wait().unwrap();
    drop(Launcher::start(settings(&format!("/home-of-{other_run}"))).unwrap());
    assert_eq!(carriers(&format!("FLYBALL_RUN={other_run}")), Vec::<u32>::new());
}

#[test]
fn a_dropped_launcher_leaves_no_process_although_none_was_stopped() {
    let test = "a_dropped_launcher_leaves_no_process_although_none_was_stopped";
    if played(test) {
        return;
    }
    for watchdog in [with_watchdog(test), None] {
        let settings = LauncherSettings { watchdog, ..launcher_settings(Way::Session) };
        let carrier = format!("FLYBALL_RUN={}", settings.run_mark);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let engine = runtime.block_on(async {
            let engine = engine_of(Arc::new(Launcher::start(settings).unwrap()), SCRIPT, |_| ());
            engine.start(&id(1), None);
            until_started(&engine, 1).await;
            engine
        });
        until("three processes", || (carriers(&carrier).len() == 3).then_some(()));
        drop(runtime);
        drop(engine);
        assert_eq!(carriers(&carrier), Vec::<u32>::new());
    }
}

#[test]
fn a_watchdog_that_cannot_be_started_is_an_error() {
    let mut settings = launcher_settings(Way::Session);
    settings.watchdog = Some(vec!["/no/such/watchdog".into()]);
    let error = Launcher::start(settings).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot start the watchdog: No such file or directory (os error 2)"
    );
}
