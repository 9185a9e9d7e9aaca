//! Tests that need access to internals: a full disk, and deleting old history.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use flyball_core::observation::Ask;
use flyball_core::record::Sample;
use rusqlite::Connection;

use crate::retention::{Bite, bite};
use crate::writer::Message;
use crate::{
    IgnoredOrder, Journal, Retention, StoredDeploy, StoredManual, StoredOrder, StoredRollout, open,
    rows,
};

const DAY_MS: i64 = 24 * 3_600_000;
const MONDAY_MS: i64 = 1_750_636_800_000;

fn sample(number: i64) -> Sample {
    Sample { wall_ms: MONDAY_MS + number * 1_000, ready: Some(1), ..Sample::default() }
}

/// A file system of 2 MiB, while it lasts.
struct Tiny(PathBuf);

impl Tiny {
    /// `None` where one may not be mounted.
    fn mount(at: &Path) -> Option<Self> {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=2m", "flyball-journal-test"])
            .arg(at)
            .output();
        mounted.is_ok_and(|output| output.status.success()).then(|| Self(at.to_owned()))
    }
}

impl Drop for Tiny {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).output();
    }
}

/// Records until `done`, or fails after 20 s.
fn record_until(journal: &Journal, what: &str, done: impl Fn(&Journal) -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    for number in 0.. {
        if done(journal) {
            return;
        }
        assert!(Instant::now() < end, "{what}: {:?}", journal.fault());
        for row in 0..200 {
            journal.record_sample("web", &sample(number * 200 + row));
        }
        journal.flush().unwrap();
    }
}

/// The disk is full, then it is not: `fill` and `free` see to that.
fn full_and_free(journal: &Journal, fill: impl Fn(), free: impl Fn()) {
    journal.record_sample("web", &sample(0));
    journal.flush().unwrap();
    assert_eq!((journal.lost(), journal.fault()), (0, None));
    fill();
    record_until(journal, "a full disk is a fault", |journal| journal.fault().is_some());
    assert!(journal.fault().unwrap().contains("full"), "{:?}", journal.fault());
    assert!(journal.lost() > 0);
    assert!(!journal.reader().unwrap().samples("web", 0, i64::MAX, 100).unwrap().is_empty());
    free();
    record_until(journal, "room again ends the fault", |journal| journal.fault().is_none());
    let lost = journal.lost();
    record_until(journal, "and nothing more is lost", |journal| journal.lost() == lost);
}

#[test]
fn a_full_disk_loses_records_and_stops_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path(), Retention::default());
    let limit = |pages| journal.queue.send(Message::LimitPages(pages)).unwrap();
    full_and_free(&journal, || limit(30), || limit(u32::MAX - 1));
}

#[test]
fn a_file_system_without_room_loses_records_and_stops_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let Some(tiny) = Tiny::mount(dir.path()) else {
        println!("not run: no file system may be mounted here");
        return;
    };
    let journal = Journal::open(&tiny.0, Retention::default());
    let ballast = tiny.0.join("ballast");
    let fill = || drop(std::fs::write(&ballast, vec![0; 4 << 20]));
    full_and_free(&journal, fill, || std::fs::remove_file(&ballast).unwrap());
    journal.close().unwrap();
}

fn pin() -> StoredManual {
    StoredManual { ask: Ask::Pin(4), until_wall_ms: None, by: "cli".to_owned() }
}

#[track_caller]
fn until(what: &str, done: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// How often it is tried here; a minute, otherwise.
const RETRY: Duration = Duration::from_millis(20);

#[test]
fn with_a_full_disk_from_the_start_history_begins_once_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let Some(tiny) = Tiny::mount(dir.path()) else {
        println!("not run: no file system may be mounted here");
        return;
    };
    let ballast = tiny.0.join("ballast");
    drop(std::fs::write(&ballast, vec![0; 4 << 20]));
    let journal = Journal::open_again(&tiny.0, Retention::default(), RETRY);
    assert!(journal.fault().unwrap().contains("full"), "{:?}", journal.fault());
    journal.record_sample("web", &sample(0));
    assert!(journal.set_manual("web", Some(&pin())).is_err());
    until("the record is counted as lost", || journal.lost() == 1);
    // Longer than some tries.
    std::thread::sleep(10 * RETRY);
    let left: Vec<_> = std::fs::read_dir(&tiny.0).unwrap().flatten().collect();
    let names: Vec<_> = left.iter().map(std::fs::DirEntry::file_name).collect();
    assert!(names.iter().all(|name| name == "ballast" || name == "journal.lock"), "{names:?}");
    std::fs::remove_file(&ballast).unwrap();
    until("it is kept", || journal.fault().is_none() && journal.openings() == 1);
    journal.record_sample("web", &sample(1));
    journal.close().unwrap();
    assert_eq!((journal.lost(), journal.take_late()), (1, StoredOrder::default()));
    let journal = Journal::open(&tiny.0, Retention::default());
    assert_eq!(journal.manuals(), [("web".to_owned(), pin())].into());
}

#[test]
fn in_a_directory_that_can_only_be_read_what_is_there_is_known_and_nothing_kept() {
    let dir = tempfile::tempdir().unwrap();
    let Some(tiny) = Tiny::mount(dir.path()) else {
        println!("not run: no file system may be mounted here");
        return;
    };
    let remount = |how: &str| {
        let done = Command::new("mount").args(["-o", how]).arg(&tiny.0).status();
        assert!(done.is_ok_and(|status| status.success()), "mount -o {how}");
    };
    let journal = Journal::open(&tiny.0, Retention::default());
    journal.record_sample("web", &sample(0));
    journal.set_manual("web", Some(&pin())).unwrap();
    journal.close().unwrap();
    remount("remount,ro");
    let journal = Journal::open_again(&tiny.0, Retention::default(), RETRY);
    let fault = journal.fault().unwrap();
    assert!(fault.contains("Read-only") && !fault.contains("not known"), "{fault}");
    assert_eq!(journal.manuals(), [("web".to_owned(), pin())].into());
    let samples = |journal: &Journal| {
        let (from, to) = (MONDAY_MS, MONDAY_MS + 100_000);
        let samples = journal.reader().unwrap().samples("web", from, to, 100_000);
        samples.unwrap().len()
    };
    assert_eq!(samples(&journal), 1);
    remount("remount,rw");
    until("it is kept", || journal.fault().is_none());
    assert_eq!(journal.take_late(), StoredOrder::default(), "they were known");
    journal.record_sample("web", &sample(60));
    journal.flush().unwrap();
    assert_eq!(samples(&journal), 2);
    journal.close().unwrap();
}

#[test]
fn what_another_process_kept_from_being_read_is_reported_once_it_can_be() {
    let dir = tempfile::tempdir().unwrap();
    let other = Journal::open(dir.path(), Retention::default());
    other.set_manual("web", Some(&pin())).unwrap();
    other.set_manual("api", Some(&pin())).unwrap();
    let order = StoredRollout { paused: true, ..StoredRollout::default() };
    other.set_rollout("web", Some(&order)).unwrap();
    other.set_rollout("api", Some(&order)).unwrap();
    let journal = Journal::open_again(dir.path(), Retention::default(), RETRY);
    assert!(journal.fault().unwrap().contains("in use"), "{:?}", journal.fault());
    let _not_yet = journal.set_manual("api", None);
    let _not_yet = journal.set_rollout("api", Some(&StoredRollout::default()));
    other.close().unwrap();
    until("it is kept", || journal.fault().is_none());
    let manuals = [("web".to_owned(), pin())].into();
    let rollouts = [("web".to_owned(), order)].into();
    assert_eq!(journal.take_late(), StoredOrder { manuals, rollouts });
    assert_eq!(journal.rollouts()["api"], StoredRollout::default());
    assert_eq!(journal.manuals(), [("web".to_owned(), pin())].into());
}

/// A journal with `rows` samples of one service, each a second after the other.
fn filled(dir: &Path, rows: i64) -> Connection {
    let connection = open::open(dir).unwrap().connection;
    connection.execute_batch("BEGIN; INSERT INTO service VALUES (1, 'web')").unwrap();
    for number in 0..rows {
        rows::insert_sample(&connection, 1, &sample(number)).unwrap();
    }
    connection.execute_batch("COMMIT").unwrap();
    connection
}

/// Bites until there is no more, at most `limit` times; gives the rows that the largest one took.
fn bite_all(connection: &Connection, now_ms: i64, retention: Retention, limit: u32) -> i64 {
    let mut largest = 0;
    for _ in 0..limit {
        let before = count(connection);
        let done = bite(connection, Some(now_ms), retention).unwrap();
        largest = largest.max(before - count(connection));
        if done == Bite::Done {
            return largest;
        }
    }
    panic!("more than {limit} bites");
}

fn count(connection: &Connection) -> i64 {
    connection.query_row("SELECT count(*) FROM sample_second", [], |row| row.get(0)).unwrap()
}

#[test]
fn what_is_too_old_goes_and_what_is_not_stays() {
    let dir = tempfile::tempdir().unwrap();
    let connection = filled(dir.path(), 120_000);
    let now_ms = MONDAY_MS + 15_000 * 1_000 + DAY_MS;
    bite_all(&connection, now_ms, Retention::default(), 100);
    assert_eq!(count(&connection), 120_000 - 15_000, "older than a day");
}

#[test]
fn a_clock_that_jumped_ahead_does_not_empty_the_journal() {
    let dir = tempfile::tempdir().unwrap();
    let connection = filled(dir.path(), 120_000);
    bite_all(&connection, MONDAY_MS + 10_000 * DAY_MS, Retention::default(), 100);
    assert_eq!(count(&connection), 100_000);
}

#[test]
fn records_of_a_clock_that_was_ahead_go_when_their_turn_comes() {
    let dir = tempfile::tempdir().unwrap();
    let connection = filled(dir.path(), 120_000);
    bite_all(&connection, MONDAY_MS - 2 * DAY_MS, Retention::default(), 100);
    assert_eq!(count(&connection), 100_000);
}

#[test]
fn too_many_bytes_go_oldest_first_in_small_bites() {
    let dir = tempfile::tempdir().unwrap();
    let connection = filled(dir.path(), 120_000);
    let retention = Retention { age_ms: u64::MAX, bytes_max: 2 << 20 };
    let largest = bite_all(&connection, MONDAY_MS, retention, 1_000);
    assert!((1..=1_000).contains(&largest), "{largest} rows at once");
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let size = std::fs::metadata(dir.path().join("journal.db")).unwrap().len();
    assert!(size <= retention.bytes_max + (5 << 20), "{size} bytes");
    let oldest: i64 =
        connection.query_row("SELECT min(id) FROM sample_second", [], |row| row.get(0)).unwrap();
    assert_eq!(120_000 - oldest + 1, count(&connection), "what is left is the newest");
    assert!(count(&connection) > 10_000);
}

#[test]
fn an_order_about_a_rollout_is_known_to_the_next_run_also_beside_a_journal_of_before() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path(), Retention::default());
    journal.set_manual("web", Some(&pin())).unwrap();
    journal.close().unwrap();
    let file = Connection::open(dir.path().join("journal.db")).unwrap();
    file.execute("DROP TABLE rollout", []).unwrap();
    drop(file);
    let journal = Journal::open(dir.path(), Retention::default());
    assert_eq!((journal.fault(), journal.rollouts().len()), (None, 0));
    let deployed = StoredDeploy {
        generation: flyball_core::generation::Generation::parse("0123456789ab"),
        image: Some("web:2".to_owned()),
        configured_image: None,
        at_wall_ms: MONDAY_MS,
        by: "cli".to_owned(),
    };
    let order = StoredRollout { paused: true, deployed: Some(deployed), back_to: None };
    journal.set_rollout("web", Some(&order)).unwrap();
    journal.set_rollout("api", Some(&StoredRollout::default())).unwrap();
    journal.set_rollout("api", None).unwrap();
    journal.close().unwrap();
    let journal = Journal::open(dir.path(), Retention::default());
    assert_eq!(journal.rollouts(), [("web".to_owned(), order)].into());
    assert_eq!(journal.manuals(), [("web".to_owned(), pin())].into());
    let file = Connection::open(dir.path().join("journal.db")).unwrap();
    file.execute("UPDATE rollout SET json = '{\"paused\":7}'", []).unwrap();
    journal.close().unwrap();
    let journal = Journal::open(dir.path(), Retention::default());
    let rollouts = ["web".to_owned()].into();
    assert_eq!(journal.take_unreadable(), IgnoredOrder { rollouts, ..IgnoredOrder::default() });
}
