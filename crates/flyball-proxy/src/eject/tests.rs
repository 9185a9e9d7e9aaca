//! The record of one server by itself: when it is ejected, and when it comes back.

use super::*;

const FAILED: Failure = Failure::Status(StatusCode::INTERNAL_SERVER_ERROR);

fn answers(good: u64, bad: u64) -> Answers {
    Answers { good, bad }
}

/// This many failures in a row while the others answer one request well for each.
fn row(conduct: &mut Conduct, count: u64, theirs: Answers) -> Option<String> {
    let now = Instant::now();
    let mut why = None;
    for number in 1..=count {
        let others = Others { good: number, recent: theirs };
        why = conduct.failed(now, FAILED, answers(0, number), others);
    }
    why
}

#[test]
fn the_fifth_failure_in_a_row_puts_a_server_out_where_others_do_well() {
    let mut conduct = Conduct::default();
    assert_eq!(row(&mut conduct, 4, answers(100, 0)), None);
    let mut conduct = Conduct::default();
    let why = row(&mut conduct, 5, answers(100, 0)).unwrap();
    assert_eq!(why, "5 requests in a row failed, the last with status 500");
}

#[test]
fn a_good_answer_ends_the_row() {
    let mut conduct = Conduct::default();
    row(&mut conduct, 4, answers(100, 0));
    assert!(!conduct.answered(Instant::now(), false));
    assert_eq!(row(&mut conduct, 4, answers(100, 0)), None);
}

#[test]
fn a_fault_that_all_share_ejects_none() {
    let mut conduct = Conduct::default();
    let others = Others { good: 1_000, recent: answers(50, 1) };
    for number in 1..=1_000 {
        assert_eq!(conduct.failed(Instant::now(), FAILED, answers(0, number), others), None);
    }
    assert!(conduct.is_failing(Instant::now()), "which is reported, nevertheless");
    // One good answer of the others is enough to see the difference.
    let others = Others { good: 1_001, ..others };
    assert!(conduct.failed(Instant::now(), FAILED, answers(0, 1_001), others).is_some());
}

#[test]
fn where_every_other_request_fails_five_in_a_row_are_chance() {
    let half = answers(100, 100);
    assert_eq!(row(&mut Conduct::default(), 19, half), None);
    assert!(row(&mut Conduct::default(), 20, half).is_some());
}

#[test]
fn a_share_of_failures_far_above_the_others_puts_a_server_out() {
    let judged = |own: Answers, theirs: Answers| {
        let mut conduct = Conduct::default();
        let began = Instant::now();
        conduct.mark(began, answers(0, 0));
        let others = Others { good: 1_000, recent: theirs };
        conduct.failed(began + WINDOW / 2, FAILED, own, others)
    };
    let why = judged(answers(60, 40), answers(99, 1)).unwrap();
    assert_eq!(
        why,
        "40 % of 100 requests in 10 s failed, the last with status 500, and 1 % of the others'"
    );
    assert_eq!(judged(answers(60, 40), answers(80, 20)), None, "they are hardly better");
    assert_eq!(judged(answers(24, 25), answers(99, 1)), None, "too few to judge");
    assert_eq!(judged(answers(60, 40), answers(9, 0)), None, "too few to compare with");
}

#[test]
fn what_was_answered_before_the_window_is_forgotten() {
    let mut conduct = Conduct::default();
    let began = Instant::now();
    for second in 0..30_u64 {
        let at = began + Duration::from_secs(second);
        conduct.mark(at, answers(second * 10, 0));
        conduct.mark(at + Duration::from_millis(1), answers(0, 99));
    }
    assert_eq!(conduct.recent(answers(300, 5)), answers(110, 5));
    assert!(conduct.marks.len() <= 12, "{}", conduct.marks.len());
}

#[test]
fn it_is_tried_with_one_request_ever_more_seldom() {
    let mut conduct = Conduct::default();
    let now = Instant::now();
    assert_eq!(conduct.put_out(now, "it failed".to_owned()), OUT_FIRST);
    let mut pauses = Vec::new();
    for _ in 0..5 {
        assert!(conduct.trial_failed().is_none(), "no request was under way");
        conduct.try_again(conduct.times());
        assert!(conduct.is_due());
        conduct.begin_trial();
        assert!(!conduct.is_due(), "one at a time");
        pauses.push(conduct.trial_failed().unwrap().as_secs());
    }
    assert_eq!(pauses, [10, 20, 40, 60, 60]);
    assert_eq!(conduct.why_out(), Some("it failed"));
}

#[test]
fn one_good_answer_brings_it_back_and_a_relapse_is_remembered() {
    let mut conduct = Conduct::default();
    let now = Instant::now();
    conduct.put_out(now, String::new());
    assert!(conduct.answered(now, true));
    assert!(!conduct.is_out());
    assert_eq!(conduct.put_out(now, String::new()), OUT_FIRST * 2);
    conduct.answered(now, true);
    assert_eq!(conduct.put_out(now + OUT_MAX, String::new()), OUT_FIRST, "it was well for long");
}

#[test]
fn while_it_is_out_only_the_trial_counts() {
    let mut conduct = Conduct::default();
    let now = Instant::now();
    conduct.put_out(now, String::new());
    assert!(!conduct.answered(now, false), "that one was sent before");
    assert!(conduct.is_out());
    conduct.try_again(conduct.times() + 1);
    assert!(!conduct.is_due(), "that timer is of another time");
    conduct.try_again(conduct.times());
    conduct.begin_trial();
    conduct.abandon_trial();
    assert!(conduct.is_due(), "its client left");
}
