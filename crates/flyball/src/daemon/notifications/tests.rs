//! What is told of a service that shows something and then no longer.

use flyball_config::NotifyEvent::{AtMaximum, Count, StartsHeld, Trouble};
use flyball_core::sleep::{Sleep, SleepState, Wake, WakeCause};
use flyball_core::units::Timestamp;
use flyball_web::Notice;

use super::*;
use crate::command::fixture;

/// The service as it shows at `at_s`, with `notices`, and a count of `desired`.
fn told(watcher: &mut Watcher, at_s: u64, desired: u32, shown: &[Notice]) -> Vec<String> {
    let mut view = fixture::service("web").view;
    view.notices = shown.to_vec();
    view.decision.as_mut().unwrap().desired = desired;
    let all = watcher.look(&[view], at_s * 1_000, 0);
    all.iter().map(|it| format!("{} {}: {}", it.event.name(), it.state.word(), it.text)).collect()
}

#[test]
fn what_begins_is_told_once_and_its_end_once() {
    let mut watcher = Watcher::default();
    let full = [Notice::trouble("the disk is full".to_owned())];
    assert_eq!(told(&mut watcher, 0, 2, &[]), [""; 0]);
    assert_eq!(told(&mut watcher, 1, 2, &full), ["trouble began: the disk is full"]);
    assert_eq!(told(&mut watcher, 2, 2, &full), [""; 0]);
    assert_eq!(told(&mut watcher, 3, 2, &[]), ["trouble over: the disk is full"]);
    assert_eq!(told(&mut watcher, 4, 2, &[]), [""; 0]);
}

#[test]
fn a_service_at_its_maximum_is_told_of_after_five_minutes_and_not_if_it_ends_before() {
    let mut watcher = Watcher::default();
    let short = [Notice::new(NoticeKind::AtMaximum, "needs 12, may have 9".to_owned())];
    assert_eq!(told(&mut watcher, 0, 2, &short), [""; 0]);
    assert_eq!(told(&mut watcher, 299, 2, &short), [""; 0]);
    assert_eq!(told(&mut watcher, 299, 2, &[]), [""; 0], "its end is not told either");
    assert_eq!(told(&mut watcher, 300, 2, &short), [""; 0]);
    assert_eq!(told(&mut watcher, 600, 2, &short), ["at_maximum began: needs 12, may have 9"]);
}

#[test]
fn a_count_is_told_when_it_changes_and_not_when_it_is_first_seen() {
    let mut watcher = Watcher::default();
    assert_eq!(told(&mut watcher, 0, 2, &[]), [""; 0]);
    assert_eq!(told(&mut watcher, 1, 5, &[]), ["count once: 2 -> 5 replicas"]);
    assert_eq!(told(&mut watcher, 2, 5, &[]), [""; 0]);
}

#[test]
fn a_service_that_is_gone_or_was_not_looked_at_says_nothing() {
    let mut watcher = Watcher::default();
    let full = [Notice::trouble("the disk is full".to_owned())];
    told(&mut watcher, 0, 2, &full);
    let mut unseen = fixture::service("web").view;
    unseen.decision = None;
    assert_eq!(watcher.look(&[unseen], 1_000, 0), []);
    assert_eq!(watcher.look(&[], 2_000, 0), []);
    assert!(watcher.0.is_empty());
}

#[test]
fn only_what_passes_by_itself_waits_before_it_is_told() {
    let waits = NotifyEvent::ALL.into_iter().filter(|event| lasting_ms(*event) > 0);
    assert_eq!(waits.collect::<Vec<_>>(), [NotifyEvent::Blind, AtMaximum]);
    assert_eq!([Trouble, StartsHeld, Count].map(lasting_ms), [0; 3]);
}

#[test]
fn falling_asleep_and_waking_are_told_and_what_it_did_when_first_seen_is_not() {
    let mut watcher = Watcher::default();
    let mut tell = |state: SleepState| {
        let mut view = fixture::service("web").view;
        let cause = WakeCause::Waiting { requests: 3 };
        let last_wake = Some(Wake { at: Timestamp::from_ms(0), cause });
        view.decision.as_mut().unwrap().sleep = Some(Sleep { after_ms: 1, state, last_wake });
        let all = watcher.look(&[view], 0, 0);
        all.iter().map(|it| format!("{}: {}", it.event.name(), it.text)).collect::<Vec<_>>()
    };
    let asleep = SleepState::Asleep { since: Timestamp::from_ms(0) };
    assert_eq!(tell(SleepState::Unknown), [""; 0]);
    assert_eq!(tell(SleepState::Awake { idle_ms: 0 }), [""; 0]);
    assert_eq!(tell(asleep), ["slept: asleep until the next request"]);
    let woke = tell(SleepState::Awake { idle_ms: 0 });
    assert_eq!(woke, ["woke: woken by 3 requests that waited"]);
}
