//! The journal in trouble: killed, damaged, locked, out of place.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test may")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use flyball_core::observation::Ask;
use flyball_core::record::{DecisionFilter, Sample};
use flyball_journal::{
    IgnoredOrder, Journal, JournalError, Reader, Retention, StoredManual, UnusedFile,
};
use rusqlite::Connection;

const MONDAY_MS: i64 = 1_750_636_800_000;
const CHILD: &str = "FLYBALL_JOURNAL_WRITES_IN";

fn open(dir: &Path) -> (Journal, Option<UnusedFile>) {
    let journal = Journal::open(dir, Retention::default());
    assert_eq!(journal.fault(), None);
    let aside = journal.take_aside();
    (journal, aside)
}

/// Why nothing is kept in `dir`, where that is so.
fn fault(dir: &Path) -> String {
    let journal = Journal::open(dir, Retention::default());
    let fault = journal.fault().unwrap();
    assert!(fault.contains("; hint: "), "{fault}");
    journal.record_sample("web", &sample(1));
    journal.flush().unwrap();
    assert_eq!((journal.lost(), journal.openings()), (1, 0));
    assert_eq!(journal.fault(), Some(fault.clone()), "for as long as it lasts");
    fault
}

fn sample(number: i64) -> Sample {
    Sample { wall_ms: MONDAY_MS + number * 1_000, ready: Some(1), ..Sample::default() }
}

/// A journal of 2,000 samples in `dir`, closed.
fn filled(dir: &Path) -> PathBuf {
    let (journal, damaged) = open(dir);
    assert_eq!(damaged, None);
    (0..2_000).for_each(|number| journal.record_sample("web", &sample(number)));
    journal.close().unwrap();
    dir.join("journal.db")
}

fn count(dir: &Path) -> i64 {
    let connection = Connection::open(dir.join("journal.db")).unwrap();
    let verdict: String =
        connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
    connection.query_row("SELECT count(*) FROM sample_second", [], |row| row.get(0)).unwrap()
}

/// Prints "NUMBER" after every 100 samples that were written, for ever.
fn write_for_ever(dir: &Path) {
    let (journal, damaged) = open(dir);
    assert_eq!(damaged, None);
    for number in 0.. {
        journal.record_sample("web", &sample(number));
        if number % 100 == 99 {
            journal.flush().unwrap();
            println!("{}", number + 1);
        }
    }
}

#[test]
fn killed_ten_times_it_opens_every_time_and_has_all_that_was_written() {
    if let Some(dir) = std::env::var_os(CHILD) {
        return write_for_ever(Path::new(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    let mut had = 0;
    for round in 1..=10 {
        let name = "killed_ten_times_it_opens_every_time_and_has_all_that_was_written";
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([name, "--exact", "--nocapture"])
            .env(CHILD, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // The round decides when: killed at another moment of a batch each time.
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut numbers = lines.filter_map(|line| line.parse::<i64>().ok());
        let written = numbers.nth(round).unwrap();
        std::thread::sleep(Duration::from_micros(700 * u64::try_from(round).unwrap()));
        child.kill().unwrap();
        child.wait().unwrap();
        let has = count(dir.path());
        assert!(has - had >= written, "{has} after {had}, though {written} were written");
        had = has;
    }
    let (journal, damaged) = open(dir.path());
    assert_eq!(damaged, None);
    let points = journal.reader().unwrap().samples("web", 0, i64::MAX, 3).unwrap();
    assert!(!points.is_empty());
}

#[test]
fn a_damaged_file_is_moved_aside_and_reported() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 6] = [
        ("not a database", |path| fs::write(path, [b'x'; 10_000]).unwrap()),
        ("malformed", |path| {
            fs::File::options().write(true).open(path).unwrap().set_len(9_000).unwrap();
        }),
        ("is empty", |path| fs::write(path, b"").unwrap()),
        ("is a directory", |path| {
            fs::remove_file(path).unwrap();
            fs::create_dir(path).unwrap();
        }),
        ("of another program", |path| {
            fs::remove_file(path).unwrap();
            Connection::open(path).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
        }),
        ("", |path| {
            let mut bytes = fs::read(path).unwrap();
            let (middle, end) = (bytes.len() / 2, bytes.len() / 2 + 8_192);
            bytes[middle..end].fill(0xa5);
            fs::write(path, bytes).unwrap();
        }),
    ];
    for (why, damage) in damages {
        let dir = tempfile::tempdir().unwrap();
        damage(&filled(dir.path()));
        let (journal, damaged) = open(dir.path());
        let Some(UnusedFile::Damaged { moved_to, why: reason }) = damaged else {
            panic!("{why}: {damaged:?}")
        };
        assert!(reason.contains(why), "{why}: {reason}");
        assert!(moved_to.exists(), "{why}");
        let name = moved_to.file_name().unwrap().to_str().unwrap();
        assert!(name.starts_with("journal-damaged-") && name.ends_with(".db"), "{name}");
        journal.record_sample("web", &sample(1));
        journal.close().unwrap();
        assert_eq!(count(dir.path()), 1, "{why}");
        assert_eq!(open(dir.path()).1, None, "{why}: reported only once");
    }
}

#[test]
fn a_log_goes_with_its_damaged_file() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("journal.db"), b"garbage, and more than a header of it").unwrap();
    fs::write(dir.path().join("journal.db-wal"), b"log").unwrap();
    let aside = open(dir.path()).1;
    let Some(UnusedFile::Damaged { moved_to, .. }) = aside else { panic!("{aside:?}") };
    let mut log = moved_to.into_os_string();
    log.push("-wal");
    assert_eq!(fs::read(log).unwrap(), b"log");
}

#[test]
fn the_journal_of_a_newer_flyball_is_left_as_it_is_and_another_one_kept_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = filled(dir.path());
    let pin = StoredManual { ask: Ask::Pin(3), until_wall_ms: None, by: "cli".to_owned() };
    let journal = open(dir.path()).0;
    journal.set_manual("web", Some(&pin)).unwrap();
    journal.close().unwrap();
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let before = fs::read(&path).unwrap();
    let beside = dir.path().join("journal-v1.db");
    for begun in [true, false] {
        let (journal, aside) = open(dir.path());
        let (path, instead) = (path.clone(), beside.clone());
        assert_eq!(aside, Some(UnusedFile::Newer { path, found: 99, known: 1, instead, begun }));
        assert_eq!(journal.manuals(), [("web".to_owned(), pin.clone())].into());
        journal.record_sample("web", &sample(5_000));
        journal.close().unwrap();
    }
    assert_eq!(fs::read(&path).unwrap(), before);
    let reader = Reader::beside(dir.path()).unwrap();
    let samples = reader.samples("web", MONDAY_MS, MONDAY_MS + 5_000_000, u32::MAX).unwrap();
    assert!(samples.iter().all(|sample| sample.wall_ms == MONDAY_MS + 5_000_000), "{samples:?}");
    assert!(!samples.is_empty());
}

#[test]
fn two_cannot_have_one_journal() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    assert!(fault(dir.path()).contains("is in use by another process"));
    journal.close().unwrap();
    assert_eq!(open(dir.path()).1, None);
}

#[test]
fn a_missing_directory_is_made_and_an_impossible_one_is_named() {
    let dir = tempfile::tempdir().unwrap();
    open(&dir.path().join("a/b"));
    fs::write(dir.path().join("file"), b"").unwrap();
    let below_a_file = dir.path().join("file/b");
    let why = fault(&below_a_file);
    assert!(why.contains(below_a_file.to_str().unwrap()), "{why}");
    // No user can make a directory here, not even root.
    assert!(
        fault(Path::new("/proc/flyball")).starts_with("cannot keep the journal in /proc/flyball")
    );
}

fn modes(dir: &Path) -> Vec<(String, u32)> {
    let mut modes: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .flatten()
        .map(|entry| {
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            (entry.file_name().into_string().unwrap(), mode)
        })
        .collect();
    modes.sort();
    modes
}

#[test]
fn only_the_owner_may_read_the_journal_also_where_every_user_could() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    journal.record_sample("web", &sample(1));
    journal.flush().unwrap();
    let own = ["journal.db", "journal.db-shm", "journal.db-wal", "journal.lock"];
    let expected: Vec<_> = own.map(|name| (name.to_owned(), 0o600)).into();
    assert_eq!(modes(dir.path()), expected);
    drop(journal);
    for (name, _) in &expected {
        let open_to_all = fs::Permissions::from_mode(0o644);
        // What was a log may be gone by now.
        let _ = fs::set_permissions(dir.path().join(name), open_to_all);
    }
    let before = dir.path().join("journal-damaged-1.db");
    fs::write(&before, "last words").unwrap();
    fs::set_permissions(&before, fs::Permissions::from_mode(0o644)).unwrap();
    let (journal, _) = open(dir.path());
    journal.record_sample("web", &sample(2));
    journal.flush().unwrap();
    assert!(modes(dir.path()).iter().all(|(_, mode)| *mode == 0o600), "{:?}", modes(dir.path()));
}

#[test]
fn an_override_written_by_another_version_is_named_and_the_rest_holds() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    let pause = StoredManual { ask: Ask::Pause, until_wall_ms: None, by: "cli".to_owned() };
    journal.set_manual("api", Some(&pause)).unwrap();
    journal.close().unwrap();
    let other = Connection::open(dir.path().join("journal.db")).unwrap();
    other.execute("INSERT INTO manual VALUES ('web', '\"dream\"', NULL, 'cli')", []).unwrap();
    drop(other);
    let (journal, _) = open(dir.path());
    assert_eq!(journal.manuals(), [("api".to_owned(), pause)].into());
    let manuals = ["web".to_owned()].into();
    assert_eq!(journal.take_unreadable(), IgnoredOrder { manuals, ..IgnoredOrder::default() });
}

#[test]
fn while_the_file_is_locked_recording_does_not_wait_and_what_is_lost_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    let other = Connection::open(dir.path().join("journal.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let begin = Instant::now();
    for number in 0..20_000 {
        journal.record_sample("web", &sample(number));
    }
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?} for 20,000 records");
    assert!(journal.lost() >= 20_000 - 8_192 - 1_000, "{}", journal.lost());
    let end = Instant::now() + Duration::from_secs(20);
    while journal.fault().is_none() {
        assert!(Instant::now() < end, "a locked file is a fault");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(journal.fault().unwrap().contains("locked"), "{:?}", journal.fault());
    other.execute_batch("COMMIT").unwrap();
    journal.flush().unwrap();
    assert_eq!(journal.fault(), None);
    let lost = i64::try_from(journal.lost()).unwrap();
    journal.close().unwrap();
    assert_eq!(count(dir.path()), 20_000 - lost, "each record is either kept or counted");
}

#[test]
fn a_record_of_another_version_is_counted_and_the_rest_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let path = filled(dir.path());
    Connection::open(&path)
        .unwrap()
        .execute_batch(
            "INSERT INTO decision (service, wall_ms, desired, committed, steps, json)
             SELECT id, 5, 1, 1, 0, '{}' FROM service",
        )
        .unwrap();
    let (journal, _) = open(dir.path());
    let reader = journal.reader().unwrap();
    assert_eq!(reader.decisions("web", &DecisionFilter::latest(10)).unwrap().unreadable, 1);
    assert!(matches!(reader.decision_at("web", 6), Err(JournalError::Record { wall_ms: 5, .. })));
}
