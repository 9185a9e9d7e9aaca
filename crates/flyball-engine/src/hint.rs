//! Errors that know what the user can do about them.

use std::fmt;

/// An error with a hint, where there is something to say.
pub trait Hint: fmt::Display {
    /// What the user can do about it.
    fn hint(&self) -> Option<String>;

    /// The error and its hint on one line, as the log shows them.
    fn with_hint(&self) -> String {
        match self.hint() {
            Some(hint) => format!("{self}; hint: {hint}"),
            None => self.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Down(Option<&'static str>);

    impl fmt::Display for Down {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("it is down")
        }
    }

    impl Hint for Down {
        fn hint(&self) -> Option<String> {
            self.0.map(str::to_owned)
        }
    }

    #[test]
    fn a_hint_follows_its_error_on_the_same_line() {
        assert_eq!(Down(Some("start it")).with_hint(), "it is down; hint: start it");
        assert_eq!(Down(None).with_hint(), "it is down");
    }
}
