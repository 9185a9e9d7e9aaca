//! One line of an explanation, as a value: whoever shows it lays it out.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a line is about, and what it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Line {
    /// The source of what it says, in one word: a signal, a guard, a part of the decision.
    pub label: String,
    /// What it says.
    pub text: String,
    /// Whether it is the recommendation that decides.
    pub decides: bool,
}

impl Line {
    /// A line that does not decide.
    pub fn new(label: &str, text: impl Into<String>) -> Self {
        Self { label: label.to_owned(), text: text.into(), decides: false }
    }

    /// The same in one sentence, for use within another text: texts of others may have line breaks.
    pub fn sentence(&self) -> String {
        let words: Vec<&str> = self.text.split_whitespace().collect();
        format!("{}: {}", self.label, words.join(" "))
    }
}

impl fmt::Display for Line {
    /// In two columns: `hold        8 were needed 4.0 s ago, kept for 10 s: 5 -> 8`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { label, text, decides } = self;
        write!(f, "{label:<11} {text}{}", if *decides { "   decides" } else { "" })
    }
}
