//! The states that must not be missed, each told from a decision.

use crate::scripted::{NOW_WALL_MS, view};
use flyball_core::guard::{Futile, Guard, Move};
use flyball_core::observation::Ask;
use flyball_core::plan::HeldStarts;
use flyball_core::policy::Bounds;
use flyball_core::units::Timestamp;
use flyball_web::{ManualView, Notice, NoticeKind, ServiceView, notices, summary};

fn told(change: impl FnOnce(&mut ServiceView)) -> Vec<(NoticeKind, String)> {
    let mut view = view("web");
    change(&mut view);
    notices(&view).into_iter().map(|Notice { kind, text, .. }| (kind, text)).collect()
}

#[test]
fn a_calm_service_has_no_notice() {
    assert_eq!(told(|_| {}), []);
}

#[test]
fn pause_and_pin_say_who_and_until_when() {
    for (ask, kind, text) in [
        (Ask::Pause, NoticeKind::Paused, "paused by cli"),
        (Ask::Pin(4), NoticeKind::Pinned, "pinned at 4 by cli"),
    ] {
        let mut view = view("web");
        let until_wall_ms = Some(NOW_WALL_MS + 5);
        view.manual = Some(ManualView { ask, until_wall_ms, by: "cli".to_owned() });
        let all = notices(&view);
        assert_eq!(all[0].until_wall_ms, until_wall_ms);
        assert_eq!((all[0].kind, all[0].text.as_str()), (kind, text));
    }
}

#[test]
fn blind_and_held_starts_carry_wall_clock_times() {
    let mut view = view("web");
    let decision = view.decision.as_mut().unwrap();
    let at = decision.at.as_ms();
    decision.seen.blind_since = Some(Timestamp::from_ms(at - 3_000));
    decision.held_starts = Some(HeldStarts {
        count: 2,
        failures: 4,
        until: Timestamp::from_ms(at + 8_000),
        why: "exit status 1".to_owned(),
    });
    let all = notices(&view);
    assert_eq!(all[0].kind, NoticeKind::Blind);
    assert_eq!(all[0].since_wall_ms, Some(NOW_WALL_MS - 3_000));
    assert_eq!(all[1].kind, NoticeKind::StartsHeld);
    assert_eq!(all[1].until_wall_ms, Some(NOW_WALL_MS + 8_000));
    assert_eq!(all[1].text, "2 starts held back after 4 failures: exit status 1");
}

#[test]
fn replicas_that_bring_nothing_are_a_notice_with_what_they_brought() {
    let mut view = view("web");
    let decision = view.decision.as_mut().unwrap();
    let until = Timestamp::from_ms(decision.at.as_ms() + 60_000);
    let futile = Futile { ready: (4, 11), answered_per_s: (59.8, 60.2), cpu: 0.09, until };
    decision.moves.push(Move { before: 11, after: 11, guard: Guard::Futile(futile) });
    let all = notices(&view);
    assert_eq!(
        (all[0].kind, all[0].until_wall_ms),
        (NoticeKind::Futile, Some(NOW_WALL_MS + 60_000))
    );
    let said = "7 more replicas answer 60.2/s instead of 59.8/s and use 9 % of their CPU: \
                something else is too slow";
    assert_eq!(all[0].text, said);
}

#[test]
fn the_ceiling_is_a_notice_unless_it_is_the_floor_too() {
    let at_max = |max| {
        told(|view| {
            view.bounds = Bounds { min: 2, max };
            view.decision.as_mut().unwrap().desired = max;
        })
    };
    assert_eq!(at_max(20)[0], (NoticeKind::AtMaximum, "at its maximum of 20".to_owned()));
    assert_eq!(at_max(2), []);
}

#[test]
fn notices_of_the_daemon_are_kept_and_sorted_by_how_pressing_they_are() {
    let all = told(|view| {
        let manual = ManualView { ask: Ask::Pause, until_wall_ms: None, by: "api".to_owned() };
        view.manual = Some(manual);
        view.notices.push(Notice {
            kind: NoticeKind::Trouble,
            text: "the engine is busy with a rollout".to_owned(),
            since_wall_ms: None,
            until_wall_ms: None,
        });
    });
    let kinds: Vec<_> = all.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, [NoticeKind::Trouble, NoticeKind::Paused]);
}

#[test]
fn the_summary_says_where_it_is_and_where_it_goes() {
    let mut decision = crate::scripted::decision("web", NOW_WALL_MS);
    decision.seen.ready = 6;
    decision.seen.starting = 4;
    decision.desired = 10;
    let line = summary(Some(&decision), None);
    assert_eq!(line, "6 replicas ready, 4 starting, going to 10");
    decision.seen.starting = 0;
    decision.desired = 6;
    assert_eq!(summary(Some(&decision), None), "6 replicas ready");
    decision.seen.engine_age_ms = None;
    let line = summary(Some(&decision), None);
    assert_eq!(line, "6 replicas wanted, how many run is unknown");
}
