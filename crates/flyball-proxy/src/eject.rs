//! When a server has failed so much that it gets no requests for a while. The constants are Envoy's
//! defaults for outlier detection; differences are explained where they occur.

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use hyper::StatusCode;

/// At least this many requests in a row must fail: Envoy's `consecutive_5xx`. (HAProxy's
/// `error-limit` is 10.)
pub(crate) const STREAK: u32 = 5;
/// A row must be so unlikely where a request fails as often as the others' do: otherwise a fault that
/// all share, and that fails every other request, would put out one server after another by chance.
const CHANCE: f64 = 1e-6;
/// Answers are looked back on for so long: Envoy's `interval`.
const WINDOW: Duration = Duration::from_secs(10);
/// The share of failures is judged from this many answers on: Envoy's
/// `failure_percentage_request_volume`.
const ANSWERS_MIN: u64 = 50;
/// It must lie above the others' by this much, which chance does to 50 answers about once in 10,000
/// times. Envoy goes by the standard deviation among five hosts or more; pools here are smaller.
const SHARE_ABOVE: f64 = 0.3;
/// How long a server is out the first time, doubled each time that it fails when it is tried.
/// Shorter than Envoy's 30 s, because it comes back by one request and not at once with all.
const OUT_FIRST: Duration = Duration::from_secs(5);
/// The longest it is out: Envoy's `max_ejection_time` is 300 s, but a sick replica is replaced long
/// before that.
const OUT_MAX: Duration = Duration::from_secs(60);
/// A mark of the counters is kept about every second.
const MARK_EVERY: Duration = Duration::from_secs(1);

/// What went wrong with one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It was answered with a server error.
    Status(StatusCode),
    /// The head of the answer did not come in time.
    Timeout,
    /// The connection broke.
    Broken,
    /// The answer was not HTTP.
    Garbled,
    /// No connection could be made.
    Refused,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "status {}", status.as_u16()),
            Self::Timeout => f.write_str("no answer in time"),
            Self::Broken => f.write_str("a broken connection"),
            Self::Garbled => f.write_str("an answer that is not HTTP"),
            Self::Refused => f.write_str("no connection"),
        }
    }
}

/// Requests that came to an answer, and those that failed, ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answers {
    pub(crate) good: u64,
    pub(crate) bad: u64,
}

impl Answers {
    pub(crate) fn plus(self, other: Self) -> Self {
        Self { good: self.good + other.good, bad: self.bad + other.bad }
    }

    fn since(self, before: Self) -> Self {
        // Cannot underflow: counters only grow, and both are read under the lock of `Upstreams`.
        let (good, bad) = (self.good - before.good, self.bad - before.bad);
        Self { good, bad }
    }

    fn all(self) -> u64 {
        self.good + self.bad
    }

    /// The share that failed; 0 of nothing.
    #[expect(clippy::cast_precision_loss, reason = "a count of 10 s")]
    fn share(self) -> f64 {
        if self.all() == 0 { 0.0 } else { self.bad as f64 / self.all() as f64 }
    }
}

/// How one server has failed within [`WINDOW`].
#[derive(Debug, Default)]
pub(crate) struct Conduct {
    /// Requests that failed since the last that did not.
    streak: u32,
    /// What the others had answered well when that began.
    others_good: u64,
    last: Option<(Instant, Failure)>,
    /// The counters at moments of the last 10 s, and the one before.
    marks: VecDeque<(Instant, Answers)>,
    out: Option<Out>,
    /// How often it was out, or failed when it was tried, without having been well in between.
    times: u32,
    back_at: Option<Instant>,
}

/// A server that is out.
#[derive(Debug)]
struct Out {
    why: String,
    trial: Trial,
}

/// How far a server that is out is from being tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trial {
    /// Not yet.
    Later,
    /// With the next request.
    Due,
    /// One request is on its way.
    Running,
}

/// What the other servers did meanwhile.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Others {
    /// What all of them answered well since the start.
    pub(crate) good: u64,
    /// What those answered in the window that do not fail in a row themselves.
    pub(crate) recent: Answers,
}

impl Conduct {
    /// Keeps the counters of this moment, about once a second.
    pub(crate) fn mark(&mut self, now: Instant, answers: Answers) {
        if self.marks.back().is_some_and(|(at, _)| now.duration_since(*at) < MARK_EVERY) {
            return;
        }
        self.marks.push_back((now, answers));
        // The newest of those that are older than the window is where it begins.
        while self.marks.get(1).is_some_and(|(at, _)| now.duration_since(*at) >= WINDOW) {
            self.marks.pop_front();
        }
    }

    /// What was answered in the window, with `answers` being those until now.
    pub(crate) fn recent(&self, answers: Answers) -> Answers {
        self.marks.front().map_or(Answers::default(), |(_, before)| answers.since(*before))
    }

    /// Takes in a request that failed. Returns why the server should be ejected, if it should.
    pub(crate) fn failed(
        &mut self,
        now: Instant,
        failure: Failure,
        answers: Answers,
        others: Others,
    ) -> Option<String> {
        if self.streak == 0 {
            self.others_good = others.good;
        }
        self.streak = self.streak.saturating_add(1);
        self.last = Some((now, failure));
        if self.out.is_some() {
            return None;
        }
        let (recent, theirs) = (self.recent(answers), others.recent.share());
        let row = self.streak >= STREAK && theirs.powf(f64::from(self.streak)) <= CHANCE;
        // In the same time another server must have answered well; otherwise they share the fault.
        if row && others.good > self.others_good {
            return Some(self.in_words());
        }
        let own = recent.share();
        let judged = recent.all() >= ANSWERS_MIN && others.recent.all() >= ANSWERS_MIN;
        (judged && own - theirs >= SHARE_ABOVE).then(|| {
            let count = recent.all();
            let percent = |share: f64| format!("{:.0} %", share * 100.0);
            format!(
                "{} of {count} requests in 10 s failed, the last with {failure}, and {} of the others'",
                percent(own),
                percent(theirs)
            )
        })
    }

    /// A request was answered well. Returns whether the server is back by that: while it is out,
    /// only the trial request counts, since others were sent before.
    pub(crate) fn answered(&mut self, now: Instant, trial: bool) -> bool {
        if self.is_out() && !trial {
            return false;
        }
        self.streak = 0;
        let back = self.out.take().is_some();
        if back {
            self.back_at = Some(now);
            // Old failures are no reason to put it out again.
            self.marks.clear();
        }
        back
    }

    /// Puts the server out. Returns for how long.
    pub(crate) fn put_out(&mut self, now: Instant, why: String) -> Duration {
        let well = self.back_at.is_some_and(|at| now.duration_since(at) >= OUT_MAX);
        self.times = if well { 1 } else { self.times.saturating_add(1) };
        self.out = Some(Out { why, trial: Trial::Later });
        out_for(self.times)
    }

    /// The request it was tried with failed. Returns for how long it stays out.
    pub(crate) fn trial_failed(&mut self) -> Option<Duration> {
        let out = self.out.as_mut().filter(|out| out.trial == Trial::Running)?;
        out.trial = Trial::Later;
        self.times = self.times.saturating_add(1);
        Some(out_for(self.times))
    }

    /// Its time to be tried has come, unless it was put out `times` times by then and again since.
    pub(crate) fn try_again(&mut self, times: u32) {
        if let Some(out) = self.out.as_mut().filter(|_| times == self.times) {
            out.trial = Trial::Due;
        }
    }

    /// The request it was tried with came to nothing: its client left.
    pub(crate) fn abandon_trial(&mut self) {
        if let Some(out) = self.out.as_mut().filter(|out| out.trial == Trial::Running) {
            out.trial = Trial::Due;
        }
    }

    /// How often it was out without having been well in between.
    pub(crate) fn times(&self) -> u32 {
        self.times
    }

    /// Has it back whatever it did: the others are no better, or gone.
    pub(crate) fn let_back(&mut self) {
        self.out = None;
    }

    pub(crate) fn is_out(&self) -> bool {
        self.out.is_some()
    }

    pub(crate) fn is_due(&self) -> bool {
        self.out.as_ref().is_some_and(|out| out.trial == Trial::Due)
    }

    /// Whether the request that is sent now tries it.
    pub(crate) fn begin_trial(&mut self) -> bool {
        let due = self.out.as_mut().filter(|out| out.trial == Trial::Due);
        due.map(|out| out.trial = Trial::Running).is_some()
    }

    /// Why it is out, if it is.
    pub(crate) fn why_out(&self) -> Option<&str> {
        self.out.as_ref().map(|out| out.why.as_str())
    }

    /// Whether enough requests in a row have failed to eject it.
    pub(crate) fn fails_in_a_row(&self) -> bool {
        self.streak >= STREAK
    }

    /// Whether it fails without being out, and did so within the window.
    pub(crate) fn is_failing(&self, now: Instant) -> bool {
        let was_recent = self.last.is_some_and(|(at, _)| now.duration_since(at) < WINDOW);
        self.fails_in_a_row() && self.out.is_none() && was_recent
    }

    /// `7 requests in a row failed, the last with status 500`.
    pub(crate) fn in_words(&self) -> String {
        let last = self.last.map(|(_, failure)| failure.to_string()).unwrap_or_default();
        format!("{} requests in a row failed, the last with {last}", self.streak)
    }
}

fn out_for(times: u32) -> Duration {
    // Bounded, or the shift would overflow; `OUT_MAX` is reached long before.
    let doublings = times.saturating_sub(1).min(16);
    (OUT_FIRST * (1 << doublings)).min(OUT_MAX)
}

#[cfg(test)]
mod tests;
