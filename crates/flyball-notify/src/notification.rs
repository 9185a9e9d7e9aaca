//! What a target is told.

use std::fmt;

use flyball_config::NotifyEvent;

/// The longest text, in characters: replicas' last words are not always short, and chats cut what
/// is longer.
const TEXT_CHARS_MAX: usize = 1_000;

/// Something that happened to a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// The service's name.
    pub service: String,
    /// What happened.
    pub event: NotifyEvent,
    /// Whether it began or is over.
    pub state: State,
    /// The cause in words, on one line.
    pub text: String,
    /// When it was seen, in milliseconds since 1970-01-01 UTC.
    pub wall_ms: i64,
}

/// Where in its course an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It began and goes on.
    Began,
    /// It went on until now.
    Over,
    /// It happened at one moment.
    Once,
}

impl State {
    /// The word that programs get.
    pub fn word(self) -> &'static str {
        match self {
            Self::Began => "began",
            Self::Over => "over",
            Self::Once => "once",
        }
    }
}

impl Notification {
    /// One about `service`; control characters in `text` become spaces.
    pub fn new(service: &str, event: NotifyEvent, state: State, text: &str, wall_ms: i64) -> Self {
        let plain = |c: char| if c.is_control() { ' ' } else { c };
        let mut text: String = text.chars().take(TEXT_CHARS_MAX).map(plain).collect();
        if text.is_empty() {
            text.push_str(event.name());
        }
        Self { service: service.to_owned(), event, state, text, wall_ms }
    }

    /// The time in RFC 3339; the beginning of 1970 for one that no calendar has.
    pub(crate) fn time(&self) -> String {
        jiff::Timestamp::from_millisecond(self.wall_ms).unwrap_or_default().to_string()
    }
}

impl fmt::Display for Notification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { service, text, .. } = self;
        match self.state {
            State::Began | State::Once => write!(f, "{service}: {text}"),
            State::Over => write!(f, "{service}: over: {text}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_one_line_and_has_an_end() {
        let of = |text: &str| Notification::new("web", NotifyEvent::Blind, State::Began, text, 0);
        assert_eq!(of("a\nb\x1b[2J").text, "a b [2J");
        assert_eq!(of(&"x".repeat(5_000)).text.len(), TEXT_CHARS_MAX);
        assert_eq!(of("").text, "blind");
    }

    #[test]
    fn what_is_over_says_so() {
        let over = Notification::new("web", NotifyEvent::Blind, State::Over, "no reading", 0);
        assert_eq!(over.to_string(), "web: over: no reading");
        assert_eq!(over.time(), "1970-01-01T00:00:00Z");
    }
}
