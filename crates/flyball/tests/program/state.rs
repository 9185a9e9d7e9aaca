//! The state directory: one daemon at a time, and trouble with it stops no decision.

use std::fs::{self, File, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::UNIX_EPOCH;

use insta::assert_snapshot;
use rustix::process::{Signal, getuid};
use serde_json::{Value, json};

use crate::support::{
    Daemon, FLYBALL, Place, Steady, ask, clean, flyball, run, sample, signal, until,
};

/// A user that owns nothing.
const NOBODY: u32 = 65_534;

/// The daemon of `place`, as a user that may write nothing there.
fn unattended(place: &Place) -> Daemon {
    let program = place.path().join("program");
    fs::copy(FLYBALL, &program).unwrap();
    fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    let text = fs::read_to_string(place.config()).unwrap();
    place.write("flyball.toml", &text.replace(FLYBALL, program.to_str().unwrap()));
    let mut command = Command::new(&program);
    command.arg("run").arg("-c").arg(place.config());
    clean(&mut command);
    if getuid().is_root() {
        chown(place.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        command.uid(NOBODY).gid(NOBODY).current_dir("/");
    }
    Daemon::spawn(place, command)
}

#[test]
fn in_a_state_directory_that_may_not_be_written_all_but_history_works() {
    let place = Place::with(&sample("web", 1.0, 0.5, "min = 2"));
    fs::create_dir(place.state()).unwrap();
    fs::set_permissions(place.state(), Permissions::from_mode(0o500)).unwrap();
    let daemon = unattended(&place);
    daemon.until_settled("web", 2);
    let warning =
        "history is not being kept; everything else continues: cannot keep the journal in";
    until("a warning", || (daemon.log_count(warning) == 1).then_some(()));
    assert!(notices(&daemon).iter().any(|text| text.starts_with("history is not being kept: ")));
    let metrics = daemon.get("/metrics").body;
    assert!(metrics.contains("\nflyball_journal_up 0\n"), "{metrics}");
    until("records are counted as lost", || {
        let metrics = daemon.get("/metrics").body;
        let line =
            metrics.lines().find(|l| l.starts_with("flyball_journal_lost_records_total "))?;
        (line != "flyball_journal_lost_records_total 0").then_some(())
    });
    let status = run(&mut flyball(["status", "--daemon", &daemon.api.to_string()]));
    assert!(status.stdout.contains("history is not being kept"), "{status:?}");
    assert_eq!(daemon.get("/api/v1/services/web/samples").status, 503);
    daemon.post("/api/v1/services/web/scale", &json!({ "to": 3 }));
    daemon.until_settled("web", 3);
    assert_eq!(daemon.log_count(warning), 1, "logged once: {}", daemon.log());
    let (status, log) = daemon.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    assert_eq!(fs::read_dir(place.state()).unwrap().count(), 0);
}

#[test]
fn the_journal_of_a_newer_flyball_keeps_nothing_from_starting_and_is_left_as_it_is() {
    let place = Place::with(&sample("web", 1.0, 0.5, ""));
    let daemon = Daemon::start(&place);
    daemon.until_settled("web", 1);
    daemon.post("/api/v1/services/web/scale", &json!({ "to": 2, "for": "1h" }));
    daemon.stop();
    let path = place.state().join("journal.db");
    let newer = rusqlite::Connection::open(&path).unwrap();
    newer.pragma_update(None, "user_version", 99).unwrap();
    drop(newer);
    let before = fs::read(&path).unwrap();
    let daemon = Daemon::start(&place);
    daemon.until_settled("web", 2);
    until("a warning", || {
        (daemon.log_count("journal.db was written by a newer flyball") == 1).then_some(())
    });
    assert!(daemon.get("/metrics").body.contains("\nflyball_journal_up 1\n"));
    let history = || daemon.get("/api/v1/services/web/decisions").json();
    until("new history", || (!history().as_array()?.is_empty()).then_some(()));
    daemon.stop();
    assert_eq!(fs::read(&path).unwrap(), before);
    assert!(place.state().join("journal-v1.db").exists());
}

#[test]
fn with_a_full_disk_from_the_start_all_but_history_works() {
    let place = Place::with(&sample("web", 1.0, 0.5, "min = 2"));
    let state = place.state();
    let Some(disk) = Small::mount(&state) else {
        return not_run(
            "with_a_full_disk_from_the_start_all_but_history_works",
            "mounting takes root",
        );
    };
    disk.fill();
    let daemon = Daemon::start(&place);
    daemon.until_settled("web", 2);
    until("a warning", || (daemon.log_count("history is not being kept") == 1).then_some(()));
    let (status, log) = daemon.stop();
    assert_eq!(status.code(), Some(0), "{log}");
}

#[test]
fn a_second_daemon_on_the_same_state_directory_is_refused_and_the_first_goes_on() {
    let place = Place::with(&sample("web", 1.0, 0.5, "min = 2"));
    let daemon = Daemon::start(&place);
    daemon.until_settled("web", 2);
    let before = place.replicas();
    let output = run(&mut flyball(["run", "-c", place.config().to_str().unwrap()]));
    assert_eq!(output.code, Some(2), "{output:?}");
    assert_snapshot!(place.plain(&output.stderr), @r"
    error: another flyball uses the state directory PLACE/state
    hint: stop it, or give this one its own state_dir
    ");
    assert_eq!(place.replicas(), before);
    daemon.until_settled("web", 2);
}

#[test]
fn a_damaged_journal_is_moved_aside_and_reported_once_and_the_start_goes_on() {
    let place = Place::with(&sample("web", 1.0, 0.5, ""));
    fs::create_dir(place.state()).unwrap();
    let rubbish = "not a database at all\n".repeat(1_000);
    place.write("state/journal.db", &rubbish);
    let daemon = Daemon::start(&place);
    daemon.until_settled("web", 1);
    assert_eq!(daemon.log_count("the journal was damaged"), 1, "{}", daemon.log());
    let kept = fs::read_dir(place.state()).unwrap().flatten().map(|entry| entry.path());
    let kept: Vec<PathBuf> =
        kept.filter(|path| fs::read(path).is_ok_and(|text| text == rubbish.as_bytes())).collect();
    assert_eq!(kept.len(), 1, "the damaged file is kept");
    assert!(daemon.log().contains(kept[0].to_str().unwrap()), "{}", daemon.log());
    let history = || daemon.get("/api/v1/services/web/decisions").json();
    until("new history", || (!history().as_array()?.is_empty()).then_some(()));
}

/// A file system of 1 MiB; gone when this is dropped.
struct Small<'a>(&'a Path);

impl<'a> Small<'a> {
    /// `None` where this user may not mount anything.
    fn mount(at: &'a Path) -> Option<Self> {
        fs::create_dir(at).unwrap();
        let output =
            run(Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "none"]).arg(at));
        (output.code == Some(0)).then_some(Self(at))
    }

    /// Takes every byte that is left.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("filler");
        let mut file = File::create(&path).unwrap();
        for length in [4096, 1] {
            loop {
                match file.write_all(&vec![0; length]) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => panic!("{error}"),
                }
            }
        }
        path
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        // Lazily, because a daemon that is being killed may still have files open.
        run(Command::new("umount").arg("-l").arg(self.0));
    }
}

/// Reports that a test was not run, as CONTRIBUTING.md asks for.
fn not_run(test: &str, reason: &str) {
    let notes = std::env::var("FLYBALL_NOT_RUN").unwrap_or_else(|_| panic!("{test}: {reason}"));
    let mut notes = File::options().append(true).open(notes).unwrap();
    writeln!(notes, "{test}: {reason}").unwrap();
}

fn notices(daemon: &Daemon) -> Vec<String> {
    let view = daemon.service("web");
    let notices = view["notices"].as_array().unwrap();
    notices.iter().map(|notice| notice["text"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_full_disk_costs_history_and_nothing_else() {
    let place = Place::with(&sample("web", 1.0, 0.5, "min = 2"));
    let state = place.state();
    let Some(disk) = Small::mount(&state) else {
        return not_run("a_full_disk_costs_history_and_nothing_else", "mounting takes root");
    };
    let daemon = Daemon::start(&place);
    daemon.until_settled("web", 2);
    let filler = disk.fill();
    let trouble = |text: &String| text.starts_with("history is not being kept: ");
    until("a notice", || notices(&daemon).iter().any(trouble).then_some(()));
    let status = run(&mut flyball(["status", "--daemon", &daemon.api.to_string()]));
    assert!(status.stdout.contains("history is not being kept"), "{status:?}");
    let before = place.replicas();
    signal(before[0], Signal::KILL);
    until("another replica", || {
        let now = place.replicas();
        (now.len() == 2 && now != before).then_some(())
    });
    daemon.until_settled("web", 2);
    let scaled = ask(daemon.api, "POST", "/api/v1/services/web/scale", Some(&json!({ "to": 3 })));
    // A manual override counts in an incident; the log warns that a restart forgets it.
    assert_eq!(scaled.unwrap().status, 200);
    daemon.until_settled("web", 3);
    fs::remove_file(filler).unwrap();
    until("history again", || (!notices(&daemon).iter().any(trouble)).then_some(()));
    let (status, _) = daemon.stop();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_measured_start_lag_is_kept_across_restarts() {
    let place = Place::with(&sample("web", 1.0, 0.5, "policy = \"external\"\nmin = 1\nmax = 3"));
    let daemon = Daemon::start(&place);
    let load = Steady::start(daemon.address_of("web"), 20);
    until("a measured start lag", || {
        let measured = &daemon.service("web")["decision"]["signals"]["start_lag_measured"];
        (*measured == true).then_some(())
    });
    // A decision that changes the count is recorded at once.
    daemon.post("/api/v1/services/web/scale", &json!({ "to": 2 }));
    daemon.until_settled("web", 2);
    load.finish();
    daemon.stop();
    let restarted = UNIX_EPOCH.elapsed().unwrap().as_millis();
    let daemon = Daemon::start(&place);
    assert_eq!(
        daemon.log_count("ago; this counts until new ones are measured"),
        1,
        "{}",
        daemon.log()
    );
    // The newest first.
    let decisions = until("the first decision", || {
        let all = daemon.get("/api/v1/services/web/decisions?limit=50").json();
        let all: Vec<Value> = all.as_array()?.iter().map(|one| one["decision"].clone()).collect();
        is_after(all.first()?, restarted).then_some(all)
    });
    let first = decisions.iter().rfind(|one| is_after(one, restarted)).unwrap();
    let last = decisions.iter().find(|one| !is_after(one, restarted)).unwrap();
    assert_eq!(last["signals"]["start_lag_measured"], true, "{last}");
    assert_eq!(first["signals"]["start_lag_ms"], last["signals"]["start_lag_ms"], "{first}");
}

fn is_after(decision: &Value, wall_ms: u128) -> bool {
    u128::from(decision["wall_ms"].as_u64().unwrap()) >= wall_ms
}
