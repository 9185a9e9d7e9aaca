//! The states that must not be missed, each derived from a decision.

use crate::scripted::{NOW_WALL_MS, view};
use flyball_core::estimate::growth::Misses;
use flyball_core::guard::{Adjustment, Guard};
use flyball_core::memory::{Futile, Lateness, ObjectiveTerm};
use flyball_core::observation::{Ask, Source};
use flyball_core::plan::HeldStarts;
use flyball_core::policy::Bounds;
use flyball_core::rules::{Arithmetic, Recommendation, Utilization};
use flyball_core::sleep::{Sleep, SleepState, Wake, WakeCause};
use flyball_core::trouble::{FailedStarts, LastMinute, NotReady, Silence};
use flyball_core::units::{ReplicaId, Timestamp};
use flyball_web::{ManualView, Notice, NoticeKind, ServiceView, notices, summary};

fn noticed(change: impl FnOnce(&mut ServiceView)) -> Vec<(NoticeKind, String)> {
    let mut view = view("web");
    change(&mut view);
    notices(&view).into_iter().map(|Notice { kind, text, .. }| (kind, text)).collect()
}

#[test]
fn a_calm_service_has_no_notice() {
    assert_eq!(noticed(|_| {}), []);
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
    decision.signals.blind_since = Some(Timestamp::from_ms(at - 3_000));
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
    let expected =
        "4 starts failed one after another, the last: exit status 1; the next start is delayed";
    assert_eq!(all[1].text, expected);
}

#[test]
fn replicas_that_bring_nothing_are_a_notice_with_what_they_brought() {
    let mut view = view("web");
    let decision = view.decision.as_mut().unwrap();
    let until = Timestamp::from_ms(decision.at.as_ms() + 60_000);
    let futile = Futile { ready: (4, 11), answered_per_s: (59.8, 60.2), cpu: 0.09, until };
    decision.adjustments.push(Adjustment { before: 11, after: 11, guard: Guard::Futile(futile) });
    let all = notices(&view);
    assert_eq!(
        (all[0].kind, all[0].until_wall_ms),
        (NoticeKind::Futile, Some(NOW_WALL_MS + 60_000))
    );
    let expected = "7 more replicas answer 60.2/s instead of 59.8/s and use 9 % of their CPU: \
                something else is too slow";
    assert_eq!(all[0].text, expected);
}

#[test]
fn an_objective_that_comes_too_late_is_a_notice_and_beyond_the_maximum_the_maximum_is() {
    let kinds = |max: u32| {
        let mut view = view("web");
        let decision = view.decision.as_mut().unwrap();
        decision.bounds = Bounds { min: 0, max };
        decision.desired = decision.desired.min(max);
        decision.adjustments.clear();
        decision.recommendations = vec![missed()];
        notices(&view).into_iter().map(|notice| notice.kind).collect::<Vec<_>>()
    };
    assert!(kinds(50).contains(&NoticeKind::ObjectiveMissed));
    assert!(!kinds(2).contains(&NoticeKind::ObjectiveMissed));
    assert!(kinds(2).contains(&NoticeKind::AtMaximum));
}

/// A recommendation whose objective of 1 % was broken by rises of three times.
fn missed() -> Recommendation {
    let objective = ObjectiveTerm {
        late: 0.01,
        within_ms: 250,
        growth: 1.5,
        learnt_ms: 86_400_000,
        kept_ms: 0,
        misses: Some(Misses { share: 0.06, growth: 3.0, top_per_s: 90.0 }),
        reserve: 0.8,
        trim: 1.0,
        lateness: Lateness::Counted,
        was_late: Some(0.03),
    };
    let arithmetic = Arithmetic::Utilization(Utilization {
        arrivals_per_s: 30.0,
        window_ms: 1_000,
        level_per_s: 30.0,
        level_window_ms: 1_000,
        work_s: 0.05,
        busy_cap: 0.97,
        objective: Some(objective),
    });
    Recommendation { count: arithmetic.count(), arithmetic }
}

#[test]
fn the_ceiling_is_a_notice_unless_it_is_the_floor_too() {
    let at_max = |max| {
        noticed(|view| {
            let decision = view.decision.as_mut().unwrap();
            (decision.bounds, decision.desired) = (Bounds { min: 2, max }, max);
        })
    };
    assert_eq!(at_max(20)[0], (NoticeKind::AtMaximum, "at its maximum of 20".to_owned()));
    assert_eq!(at_max(2), []);
}

/// A decision that wants `asked` by CPU, and comes to `desired`.
fn wants(view: &mut ServiceView, asked: u32, desired: u32) {
    let decision = view.decision.as_mut().unwrap();
    let arithmetic = Arithmetic::Asked { count: asked, by: "api".to_owned() };
    decision.recommendations = vec![Recommendation { count: asked, arithmetic }];
    let guard = Guard::Protected { count: desired };
    decision.adjustments = vec![Adjustment { before: asked, after: desired, guard }];
    decision.desired = desired;
}

#[test]
fn a_surplus_at_the_ceiling_is_held_and_no_limit() {
    let at_max = |asked| {
        noticed(|view| {
            view.decision.as_mut().unwrap().bounds = Bounds { min: 1, max: 4 };
            wants(view, asked, 4);
        })
    };
    assert_eq!(
        at_max(2),
        [(NoticeKind::Held, "held at its maximum of 4, 2 would be enough".to_owned())]
    );
    let expected = "at its maximum of 4, but 6 are needed".to_owned();
    assert_eq!(at_max(6), [(NoticeKind::AtMaximum, expected)]);
    assert_eq!(at_max(4), [(NoticeKind::AtMaximum, "at its maximum of 4".to_owned())]);
}

#[test]
fn a_silent_source_is_one_notice_with_its_cause() {
    let silent = |source, why: &str| {
        let mut view = view("web");
        let decision = view.decision.as_mut().unwrap();
        let since = Timestamp::from_ms(decision.at.as_ms() - 9_000);
        decision.signals.blind_since = Some(since);
        decision.signals.trouble.silent = vec![Silence { source, since, why: why.to_owned() }];
        let all = notices(&view);
        assert_eq!((all.len(), all[0].kind), (1, NoticeKind::Blind));
        all[0].text.clone()
    };
    let expected = silent(Source::Engine, "docker is not running at unix:///d.sock");
    assert_eq!(
        expected,
        "blind, so nothing is started or removed: docker is not running at unix:///d.sock"
    );
    let expected = silent(Source::Balancer, "");
    assert_eq!(expected, "blind, so nothing is removed: no reading from the balancer");
    // Both are away for the same reason.
    let mut view = view("web");
    let decision = view.decision.as_mut().unwrap();
    let (since, why) = (decision.at, "no route to host");
    let silence = |source| Silence { source, since, why: why.to_owned() };
    decision.signals.blind_since = Some(since);
    decision.signals.trouble.silent = vec![silence(Source::Engine), silence(Source::Balancer)];
    decision.desired = decision.bounds.max;
    let all = notices(&view);
    let expected = "blind, so nothing is started or removed: no route to host";
    assert_eq!((all.len(), all[0].text.as_str()), (1, expected));
}

fn late(view: &mut ServiceView, ready: u32, for_ms: u64) {
    let decision = view.decision.as_mut().unwrap();
    decision.signals.ready = ready;
    decision.signals.trouble.not_ready = Some(NotReady {
        replica: ReplicaId::new("web-1"),
        since: Timestamp::from_ms(decision.at.as_ms() - for_ms),
        why: "GET /healthz at 127.0.0.1:41001 answers 404".to_owned(),
        more: 0,
    });
}

#[test]
fn a_replica_that_is_not_ready_has_its_reason_shown_once_that_matters() {
    let expected = "web-1 is not ready: GET /healthz at 127.0.0.1:41001 answers 404";
    let (kind, calm) = (NoticeKind::NotReady, []);
    assert_eq!(
        noticed(|view| late(view, 0, 3_000)),
        [(kind, expected.to_owned())],
        "nothing serves"
    );
    assert_eq!(noticed(|view| late(view, 1, 3_000)), calm, "others serve, and starts take a while");
    assert_eq!(
        noticed(|view| late(view, 1, 12_000)),
        [(kind, expected.to_owned())],
        "longer than usual"
    );
    let measured = |for_ms| {
        noticed(|view| {
            late(view, 1, for_ms);
            let seen = &mut view.decision.as_mut().unwrap().signals;
            (seen.start_lag_measured, seen.start_lag_ms) = (true, 20_000);
        })
    };
    assert_eq!(measured(39_000), calm);
    assert_eq!(measured(41_000), [(kind, expected.to_owned())]);
    let mut view = view("web");
    late(&mut view, 0, 12_000);
    assert_eq!(notices(&view)[0].since_wall_ms, Some(NOW_WALL_MS - 12_000));
}

#[test]
fn a_failed_start_and_the_next_one_that_fails_alike_are_one_notice() {
    let mut view = view("web");
    late(&mut view, 0, 4_000);
    let decision = view.decision.as_mut().unwrap();
    let failed = FailedStarts { count: 2, why: "web-9 was not ready after 300 s".to_owned() };
    decision.signals.trouble.failed_starts = Some(failed);
    let all = notices(&view);
    let expected = "web-1 is not ready: GET /healthz at 127.0.0.1:41001 answers 404; 2 starts before \
                it failed";
    assert_eq!((all.len(), all[0].kind, all[0].text.as_str()), (1, NoticeKind::NotReady, expected));
    let decision = view.decision.as_mut().unwrap();
    let (until, why) = (decision.at, "web-9: exit status 1".to_owned());
    decision.held_starts = Some(HeldStarts { count: 1, failures: 1, until, why });
    let all = notices(&view);
    let expected = "the last start failed: web-9: exit status 1; the next start is delayed";
    assert_eq!(
        (all.len(), all[0].kind, all[0].text.as_str()),
        (1, NoticeKind::StartsHeld, expected)
    );
}

#[test]
fn a_service_whose_replicas_do_not_start_lacks_those_and_no_higher_maximum() {
    let kinds = |ready: u32| {
        let all = noticed(|view| {
            wants(view, 6, 4);
            late(view, ready, 12_000);
            view.decision.as_mut().unwrap().bounds = Bounds { min: 1, max: 4 };
        });
        all.into_iter().map(|(kind, _)| kind).collect::<Vec<_>>()
    };
    assert_eq!(kinds(1), [NoticeKind::NotReady]);
    assert_eq!(kinds(4), [NoticeKind::NotReady, NoticeKind::AtMaximum]);
}

#[test]
fn requests_that_fail_are_a_notice_beyond_the_limit_of_the_service() {
    let failing = |failed, error_limit| {
        noticed(|view| {
            view.error_limit = error_limit;
            let by_replicas = failed;
            view.decision.as_mut().unwrap().signals.last_minute = Some(LastMinute {
                window_ms: 60_000,
                arrivals: 200.0,
                failed,
                by_replicas,
                ..LastMinute::default()
            });
        })
    };
    let expected =
        "4 of 200 requests in the last minute failed (2.0 %): answered with an error by a replica";
    assert_eq!(failing(4.0, 0.01), [(NoticeKind::Failing, expected.to_owned())]);
    assert_eq!(failing(4.0, 0.05), []);
    assert_eq!(failing(2.0, 0.0), [], "two of two hundred are chance");
}

#[test]
fn a_service_that_sleeps_is_shown_as_such() {
    let mut decision = crate::scripted::decision("web", NOW_WALL_MS);
    decision.desired = 0;
    decision.signals.balancer_age_ms = Some(1);
    decision.adjustments.clear();
    decision.plan.clear();
    assert_eq!(summary(Some(&decision), None), "asleep until the next request");
    let why = "asleep: no requests are waiting; the next one starts a replica";
    assert_eq!(decision.reason(), why);
    let text = decision.to_string();
    assert!(text.contains("asleep      no requests are waiting") && !text.contains("none usable"));
    let since = decision.at;
    decision.at = since.plus_ms(180_000);
    let cause = WakeCause::Waiting { requests: 2 };
    let last_wake = Some(Wake { at: since, cause });
    let state = SleepState::Asleep { since };
    decision.sleep = Some(Sleep { after_ms: 600_000, state, last_wake });
    let why = "asleep: for 3 min; last woken 3 min ago by 2 requests that waited; no requests are \
               waiting; the next one starts a replica";
    assert_eq!(decision.reason(), why);
    decision.signals.waiting = 1;
    assert_eq!(summary(Some(&decision), None), "0 replicas ready");
}

#[test]
fn notices_of_the_daemon_are_kept_and_sorted_by_how_pressing_they_are() {
    let all = noticed(|view| {
        let manual = ManualView { ask: Ask::Pause, until_wall_ms: None, by: "api".to_owned() };
        view.manual = Some(manual);
        view.notices.push(Notice::trouble("the engine is busy with a rollout"));
    });
    let kinds: Vec<_> = all.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, [NoticeKind::Trouble, NoticeKind::Paused]);
}

#[test]
fn the_summary_gives_the_count_and_where_it_goes() {
    let mut decision = crate::scripted::decision("web", NOW_WALL_MS);
    decision.signals.ready = 6;
    decision.signals.starting = 4;
    decision.desired = 10;
    let line = summary(Some(&decision), None);
    assert_eq!(line, "6 replicas ready, 4 starting, going to 10");
    decision.signals.starting = 0;
    decision.desired = 6;
    assert_eq!(summary(Some(&decision), None), "6 replicas ready");
    decision.signals.engine_age_ms = None;
    let line = summary(Some(&decision), None);
    assert_eq!(line, "6 replicas wanted, current number unknown");
}
