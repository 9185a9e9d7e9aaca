//! What is recorded comes back: samples, decisions and manual overrides.

#![expect(clippy::unwrap_used, reason = "a test may")]

use std::path::Path;

use flyball_core::decide::decide;
use flyball_core::decision::Decision;
use flyball_core::memory::Memory;
use flyball_core::observation::{Ask, EngineReport, Observation, Reading};
use flyball_core::policy::{Bounds, Governor, Policy, RolloutPolicy, Rule, Timing};
use flyball_core::record::{DecisionFilter, Sample};
use flyball_core::units::Timestamp;
use flyball_journal::{Journal, Reader, Retention, StoredManual};

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;
/// A Monday in 2025, at the beginning of a minute.
const MONDAY_MS: i64 = 1_750_636_800_000;

fn open(dir: &Path) -> Journal {
    let journal = Journal::open(dir, Retention::default());
    assert_eq!((journal.fault(), journal.take_aside()), (None, None));
    journal
}

fn read(journal: &Journal) -> Reader {
    journal.flush().unwrap();
    journal.reader().unwrap()
}

fn sample(wall_ms: i64, ready: u32) -> Sample {
    Sample {
        wall_ms,
        desired: ready + 1,
        ready: Some(ready),
        starting: Some(1),
        draining: Some(2),
        mean_cpu: Some(0.25),
        arrivals_per_s: Some(f64::from(ready)),
        waiting: Some(ready),
        in_flight: Some(3),
        p50_ms: Some(4.5),
        p99_ms: Some(f64::from(ready) * 10.0),
        errors: Some(7),
    }
}

/// What the core decides on seeing no replica at all.
fn decision(service: &str, wall_ms: i64) -> Decision {
    let policy = Policy {
        service: service.to_owned(),
        bounds: Bounds { min: 2, max: 5 },
        rule: Rule::Governor(Governor::default()),
        timing: Timing::default(),
        rollout: RolloutPolicy::default(),
        sleep: None,
    };
    let at = Timestamp::from_ms(wall_ms.unsigned_abs());
    let engine = Reading::Taken { at, value: EngineReport::default() };
    let seen = Observation { wall_ms, ..Observation::new(at, engine) };
    decide(&policy, &mut Memory::default(), &seen)
}

#[test]
fn a_sample_comes_back_as_it_was_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    let bare = Sample { wall_ms: MONDAY_MS + 1_000, ..Sample::default() };
    let odd = Sample { mean_cpu: Some(f64::NAN), errors: Some(u64::MAX), ..sample(MONDAY_MS, 3) };
    journal.record_sample("web", &odd);
    journal.record_sample("web", &bare);
    journal.record_sample("api", &sample(MONDAY_MS, 9));
    let expected =
        vec![Sample { mean_cpu: None, errors: Some(i64::MAX.unsigned_abs()), ..odd.clone() }, bare];
    let all = |journal: &Journal| {
        read(journal).samples("web", MONDAY_MS, MONDAY_MS + 5_000, 100).unwrap()
    };
    assert_eq!(all(&journal), expected);
    journal.close().unwrap();
    assert_eq!(all(&open(dir.path())), expected);
}

#[test]
fn a_service_that_was_never_recorded_has_no_history() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    let reader = read(&journal);
    assert!(reader.samples("web", 0, i64::MAX, 100).unwrap().is_empty());
    assert!(reader.decisions("web", &DecisionFilter::latest(10)).unwrap().decisions.is_empty());
    assert_eq!(reader.decision_at("web", i64::MAX).unwrap(), None);
}

fn before(before_wall_ms: i64, limit: u32) -> DecisionFilter {
    DecisionFilter { before_wall_ms, ..DecisionFilter::latest(limit) }
}

#[test]
fn a_stretch_of_decisions_may_leave_out_those_that_keep_the_count() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    for second in 0..4 {
        let mut decision = decision("web", MONDAY_MS + second * 1_000);
        decision.desired =
            if second == 1 { decision.signals.committed() } else { decision.desired };
        journal.record_decision(&decision);
    }
    let reader = read(&journal);
    let times = |which| {
        let found = reader.decisions("web", &which).unwrap().decisions;
        found.iter().map(|d| (d.wall_ms - MONDAY_MS) / 1_000).collect::<Vec<_>>()
    };
    let from = DecisionFilter { from_wall_ms: MONDAY_MS + 1_000, ..before(MONDAY_MS + 3_000, 9) };
    assert_eq!(times(from), [2, 1]);
    assert_eq!(times(DecisionFilter { moves_only: true, ..from }), [2]);
    assert_eq!(times(DecisionFilter { moves_only: true, ..DecisionFilter::latest(2) }), [3, 2]);
}

#[test]
fn decisions_come_newest_first_and_the_one_that_held_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    for second in 0..5 {
        journal.record_decision(&decision("web", MONDAY_MS + second * 1_000));
        journal.record_decision(&decision("api", MONDAY_MS + second * 1_000));
    }
    let reader = read(&journal);
    let page = reader.decisions("web", &before(MONDAY_MS + 4_000, 3)).unwrap();
    let expected: Vec<_> = [3, 2, 1].map(|s| decision("web", MONDAY_MS + s * 1_000)).into();
    assert_eq!((page.decisions, page.unreadable), (expected, 0));
    let held = reader.decision_at("web", MONDAY_MS + 2_999).unwrap();
    assert_eq!(held, Some(decision("web", MONDAY_MS + 2_000)));
    assert_eq!(reader.decision_at("web", MONDAY_MS - 1).unwrap(), None);
}

#[test]
fn few_points_are_means_and_keep_the_worst_waiting_and_latency() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    for second in 0..40_u32 {
        journal.record_sample("web", &sample(MONDAY_MS + i64::from(second) * 1_000, second % 10));
    }
    let points = read(&journal).samples("web", MONDAY_MS, MONDAY_MS + 39_999, 6).unwrap();
    assert!((4..=6).contains(&points.len()), "{} points", points.len());
    assert!(points.is_sorted_by_key(|point| point.wall_ms));
    assert_eq!(points[0].wall_ms, MONDAY_MS);
    // 0..9 are in each: mean 4.5 (rounded 5), worst 9.
    let middle = &points[1];
    assert_eq!((middle.ready, middle.waiting, middle.p99_ms), (Some(5), Some(9), Some(90.0)));
    assert!((middle.arrivals_per_s.unwrap() - 4.5).abs() < 0.5);
}

#[test]
fn a_long_span_is_answered_from_minutes_and_ends_with_the_running_one() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    for second in 0..(3 * 3_600 + 30) {
        journal.record_sample("web", &sample(MONDAY_MS + second * 1_000, 4));
        if second % 4_000 == 0 {
            journal.flush().unwrap();
        }
    }
    let end = MONDAY_MS + DAY_MS;
    let points = read(&journal).samples("web", MONDAY_MS, end, 500).unwrap();
    assert_eq!(journal.lost(), 0);
    assert!((61..=64).contains(&points.len()), "{}", points.len());
    assert!(points.iter().all(|point| point.ready == Some(4) && point.p99_ms == Some(40.0)));
    assert!(points.last().unwrap().wall_ms >= MONDAY_MS + 3 * 3_600_000 - 60_000);
}

#[test]
fn a_clock_set_back_hides_nothing_and_the_last_record_of_a_moment_wins() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    let mut first = decision("web", MONDAY_MS);
    first.next_look_ms = 1;
    let mut second = first.clone();
    second.next_look_ms = 2;
    for wall_ms in [0, 1_000, 2_000, -3_600_000, -3_599_000] {
        journal.record_sample("web", &sample(MONDAY_MS + wall_ms, 1));
    }
    journal.record_decision(&first);
    journal.record_decision(&decision("web", MONDAY_MS - 3_600_000));
    journal.record_decision(&second);
    let reader = read(&journal);
    let samples = reader.samples("web", MONDAY_MS - DAY_MS, MONDAY_MS + DAY_MS, 1_000_000).unwrap();
    let times: Vec<_> = samples.iter().map(|sample| sample.wall_ms - MONDAY_MS).collect();
    assert_eq!(times, [-3_600_000, -3_599_000, 0, 1_000, 2_000]);
    assert_eq!(reader.decision_at("web", MONDAY_MS).unwrap(), Some(second.clone()));
    assert_eq!(reader.decisions("web", &DecisionFilter::latest(1)).unwrap().decisions, [second]);
}

#[test]
fn a_clock_at_the_end_of_time_harms_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    for wall_ms in [i64::MIN, MONDAY_MS, i64::MAX, MONDAY_MS, i64::MIN, MONDAY_MS] {
        journal.record_sample("web", &sample(wall_ms, 1));
        journal.record_decision(&decision("web", wall_ms.clamp(0, DAY_MS * 1_000_000)));
    }
    let reader = read(&journal);
    assert_eq!((journal.lost(), journal.fault()), (0, None));
    let samples = reader.samples("web", MONDAY_MS, MONDAY_MS + 1_000, 100).unwrap();
    assert_eq!(samples.len(), 1);
    assert!(reader.samples("web", i64::MIN, i64::MAX, 100).is_ok());
    assert!(reader.samples("web", i64::MAX, i64::MIN, 0).unwrap().is_empty());
    journal.close().unwrap();
    assert_eq!(read(&open(dir.path())).samples("web", MONDAY_MS, MONDAY_MS, 3).unwrap().len(), 1);
}

#[test]
fn pins_and_pauses_survive_a_restart_until_they_are_taken_back() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    let manual = |ask, until_wall_ms| StoredManual { ask, until_wall_ms, by: "cli".to_owned() };
    let (pin, pause) = (manual(Ask::Pin(7), Some(MONDAY_MS)), manual(Ask::Pause, None));
    journal.set_manual("web", Some(&pause)).unwrap();
    journal.set_manual("web", Some(&pin)).unwrap();
    journal.set_manual("api", Some(&pause)).unwrap();
    journal.set_manual("old", Some(&pause)).unwrap();
    journal.set_manual("old", None).unwrap();
    journal.set_manual("never", None).unwrap();
    drop(journal.close());
    let journal = open(dir.path());
    let expected = [("api".to_owned(), pause), ("web".to_owned(), pin)];
    assert_eq!(journal.manuals(), expected.into());
}

#[test]
fn many_may_record_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    std::thread::scope(|scope| {
        for service in ["a", "b", "c", "d"] {
            let journal = &journal;
            scope.spawn(move || {
                for second in 0..1_000 {
                    journal.record_sample(service, &sample(MONDAY_MS + second * 1_000, 1));
                }
            });
        }
    });
    let reader = read(&journal);
    for service in ["a", "b", "c", "d"] {
        let samples = reader.samples(service, 0, i64::MAX, u32::MAX).unwrap();
        let recorded = reader.samples(service, MONDAY_MS, MONDAY_MS + 999_999, 100_000).unwrap();
        assert_eq!((recorded.len(), samples.is_empty()), (1_000, false), "{service}");
    }
    assert_eq!(journal.lost(), 0);
}
