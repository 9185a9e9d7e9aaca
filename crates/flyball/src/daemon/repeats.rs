//! Limits repeated log lines: one when it begins, ever fewer while it lasts, one when it is over. A
//! fault that lasts or flaps for an hour logs a dozen lines, not thousands.

use std::collections::BTreeMap;

use flyball_core::units::Timestamp;

/// What still holds is said again after 5 min, then after twice as long each time, ...
const AGAIN_MS: u64 = 300_000;
/// ... up to once a day.
const AGAIN_MAX_MS: u64 = 24 * 3_600_000;
/// What does not hold for so long is over. Doubled each time it comes back, so that what comes and
/// goes is taken for one thing.
const CALM_MS: u64 = 30_000;
const CALM_MAX_MS: u64 = 3_600_000;
/// What was over for so long, or happened so long ago, is forgotten, and new when it comes back.
const FORGOTTEN_MS: u64 = 3_600_000;
/// Another cause is said at once, but not the hundredth.
const CHANGES_MAX: u32 = 3;
/// Things remembered; what comes on top of them is written each time.
const KNOWN_MAX: usize = 512;

/// What was written lately.
#[derive(Debug, Default)]
pub(crate) struct Repeats {
    known: BTreeMap<String, Known>,
}

#[derive(Debug)]
struct Known {
    /// The text that was written last.
    text: String,
    is_state: bool,
    /// A state that is not over; always true of what happens.
    open: bool,
    since: Timestamp,
    seen_at: Timestamp,
    again_at: Timestamp,
    pause_ms: u64,
    calm_ms: u64,
    changes: u32,
    /// How often it happened since it was written last.
    unsaid: u64,
}

/// Why a line is written.
enum Due {
    New,
    Again { since: Timestamp, unsaid: u64 },
}

impl Repeats {
    /// `text` is true now, as it may have been at the looks before. Gives the line to write, if any.
    pub(crate) fn holds(&mut self, now: Timestamp, key: &str, text: &str) -> Option<String> {
        Some(match self.due(now, key, text, true)? {
            Due::New => text.to_owned(),
            Due::Again { since, .. } => {
                format!("still, after {}: {text}", span(now.ms_since(since)))
            }
        })
    }

    /// What `key` stands for is still true, and nothing more is known of it: no line, and no end.
    pub(crate) fn goes_on(&mut self, now: Timestamp, key: &str) {
        if let Some(known) = self.known.get_mut(key).filter(|known| known.holds()) {
            known.seen_at = now;
        }
    }

    /// `text` has just happened, as the same may have before. Gives the line to write, if any.
    pub(crate) fn happened(&mut self, now: Timestamp, key: &str, text: &str) -> Option<String> {
        Some(match self.due(now, key, text, false)? {
            Due::New | Due::Again { unsaid: 0, .. } => text.to_owned(),
            Due::Again { unsaid, .. } => {
                format!("{text} (and {unsaid} like it since the last line)")
            }
        })
    }

    /// The states that hold no longer: a line for each, once.
    pub(crate) fn over(&mut self, now: Timestamp) -> Vec<String> {
        let mut lines = Vec::new();
        for known in self.known.values_mut().filter(|known| known.is_state && known.open) {
            if now.ms_since(known.seen_at) >= known.calm_ms {
                known.open = false;
                let lasted = span(known.seen_at.ms_since(known.since));
                lines.push(format!("resolved after {lasted}: {}", known.text));
            }
        }
        self.known.retain(|_, known| now.ms_since(known.seen_at) < FORGOTTEN_MS || known.holds());
        lines
    }

    fn due(&mut self, now: Timestamp, key: &str, text: &str, is_state: bool) -> Option<Due> {
        let Some(known) = self.known.get_mut(key) else {
            if self.known.len() < KNOWN_MAX {
                self.known.insert(key.to_owned(), Known::new(now, text, is_state));
            }
            return Some(Due::New);
        };
        known.seen_at = now;
        if !known.open {
            known.open = true;
            known.since = now;
            known.again_at = now.plus_ms(AGAIN_MS);
            known.pause_ms = AGAIN_MS;
            known.calm_ms = (2 * known.calm_ms).min(CALM_MAX_MS);
            text.clone_into(&mut known.text);
            return Some(Due::New);
        }
        if known.changes < CHANGES_MAX && gist(text) != gist(&known.text) {
            known.changes += 1;
            known.again_at = now.plus_ms(known.pause_ms);
            text.clone_into(&mut known.text);
            return Some(Due::New);
        }
        if now < known.again_at {
            known.unsaid += 1;
            return None;
        }
        known.pause_ms = (2 * known.pause_ms).min(AGAIN_MAX_MS);
        known.again_at = now.plus_ms(known.pause_ms);
        text.clone_into(&mut known.text);
        Some(Due::Again { since: known.since, unsaid: std::mem::take(&mut known.unsaid) })
    }
}

impl Known {
    fn new(now: Timestamp, text: &str, is_state: bool) -> Self {
        Self {
            text: text.to_owned(),
            is_state,
            open: true,
            since: now,
            seen_at: now,
            again_at: now.plus_ms(AGAIN_MS),
            pause_ms: AGAIN_MS,
            calm_ms: CALM_MS,
            changes: 0,
            unsaid: 0,
        }
    }

    fn holds(&self) -> bool {
        self.is_state && self.open
    }
}

/// What a text says without its figures, and without what is added to it: `web-12 ended; the next
/// start is delayed` and `web-13 ended` say the same.
fn gist(text: &str) -> impl PartialEq {
    let (said, _) = text.split_once("; ").unwrap_or((text, ""));
    said.chars().filter(|c| !c.is_ascii_digit() && *c != '.').collect::<String>()
}

/// "45 s", "5 min", "2 h": as much as one wants to know of how long it has lasted.
fn span(ms: u64) -> String {
    match ms / 1000 {
        s @ 0..120 => format!("{s} s"),
        s @ 120..7_200 => format!("{} min", s / 60),
        s => format!("{} h", s / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: u64) -> Timestamp {
        Timestamp::from_ms(s * 1000)
    }

    #[test]
    fn what_lasts_is_said_once_then_ever_more_seldom_and_once_when_it_is_over() {
        let mut repeats = Repeats::default();
        let mut lines = Vec::new();
        for s in 0..3_600 {
            lines.extend(repeats.holds(at(s), "full", &format!("at its maximum, {s} needed")));
            lines.extend(repeats.over(at(s)));
        }
        let said = [
            "at its maximum, 0 needed",
            "still, after 5 min: at its maximum, 300 needed",
            "still, after 15 min: at its maximum, 900 needed",
            "still, after 35 min: at its maximum, 2100 needed",
        ];
        assert_eq!(lines, said);
        assert_eq!(repeats.over(at(3_600 + 28)), [""; 0], "a moment without it is nothing");
        let over = "resolved after 59 min: at its maximum, 2100 needed";
        assert_eq!(repeats.over(at(3_600 + 29)), [over]);
        assert_eq!(repeats.over(at(3_600 + 30)), [""; 0]);
    }

    #[test]
    fn what_comes_and_goes_is_taken_for_one_thing() {
        for period_s in [2, 45, 70, 400, 1_000] {
            let mut repeats = Repeats::default();
            let mut lines = Vec::new();
            for s in 0..3_600 {
                if s % period_s < period_s / 2 {
                    lines.extend(repeats.holds(at(s), "full", "at its maximum"));
                }
                lines.extend(repeats.over(at(s)));
            }
            assert!(lines.len() <= 14, "every {period_s} s: {lines:#?}");
        }
    }

    #[test]
    fn another_cause_is_said_at_once_and_the_hundredth_is_not() {
        let mut repeats = Repeats::default();
        let words = ["no disk", "no database", "no disk", "no memory", "no luck", "no disk"];
        let lines: Vec<_> = (0..600)
            .filter_map(|s| {
                let word = words[usize::try_from(s).unwrap() % words.len()];
                repeats.happened(at(s), "end", &format!("web-{s} ended: {word}"))
            })
            .collect();
        assert_eq!(lines.len(), 5, "{lines:#?}");
        assert_eq!(lines[1], "web-1 ended: no database");
        assert_eq!(lines[4], "web-303 ended: no memory (and 299 like it since the last line)");
    }

    #[test]
    fn what_happens_again_after_an_hour_is_news() {
        let mut repeats = Repeats::default();
        assert!(repeats.happened(at(0), "end", "web-1 ended").is_some());
        assert!(repeats.happened(at(60), "end", "web-2 ended").is_none());
        repeats.over(at(3_700));
        assert_eq!(repeats.happened(at(3_700), "end", "web-3 ended").unwrap(), "web-3 ended");
    }

    #[test]
    fn what_goes_on_is_not_over_and_writes_nothing() {
        let mut repeats = Repeats::default();
        repeats.goes_on(at(0), "starts");
        assert_eq!(repeats.over(at(100)), [""; 0], "it never began");
        assert!(repeats.holds(at(100), "starts", "3 starts failed").is_some());
        for s in 101..200 {
            repeats.goes_on(at(s), "starts");
            assert_eq!(repeats.over(at(s)), [""; 0]);
        }
        assert_eq!(repeats.over(at(229)), ["resolved after 99 s: 3 starts failed"]);
    }

    #[test]
    fn what_is_added_to_a_sentence_is_no_other_cause() {
        let mut repeats = Repeats::default();
        assert!(repeats.holds(at(0), "starts", "3 starts failed: no disk; put off").is_some());
        assert!(repeats.holds(at(1), "starts", "4 starts failed: no disk").is_none());
        assert!(repeats.holds(at(2), "starts", "5 starts failed: no database").is_some());
    }
}
