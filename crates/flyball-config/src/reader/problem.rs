//! Problems of a configuration with their places, as shown on a terminal. A message is bounded in
//! length and contains no control characters from the file.

use std::fmt;

use super::error::ConfigError;
use super::value::Span;

/// Problems that are kept; the rest is only counted.
pub const PROBLEMS_MAX: usize = 50;

/// Everything that is wrong with a configuration, or with the labels of one service, in the order
/// they were written; never empty.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigErrors {
    /// The first [`PROBLEMS_MAX`].
    pub problems: Vec<Problem>,
    /// How many more there are.
    pub more: usize,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// What.
    pub fault: ConfigError,
    /// Where.
    pub place: Place,
}

/// Where something stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, as its caller named it, or the service whose labels they are.
    pub file: String,
    /// Line and column, both from 1, the column in characters; `None` for a
    /// file as a whole and for labels.
    pub position: Option<(usize, usize)>,
    /// The line; `None` where it may hold a secret.
    pub excerpt: Option<Excerpt>,
}

/// A source line as it is shown, and the part of it that is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    /// The line, cut around the meant part if it is long.
    pub line: String,
    /// Characters before the meant part.
    pub before: usize,
    /// Characters of the meant part, at least 1.
    pub width: usize,
}

impl ConfigErrors {
    /// `faults` in the order of their places, of which there is at least one.
    pub(crate) fn sorted(
        mut faults: Vec<(ConfigError, Span)>,
        place: impl Fn(&ConfigError, &Span) -> Place,
    ) -> Self {
        faults.sort_by_key(|(_, span)| span.start);
        let more = faults.len().saturating_sub(PROBLEMS_MAX);
        faults.truncate(PROBLEMS_MAX);
        let problem = |(fault, span)| Problem { place: place(&fault, &span), fault };
        Self { problems: faults.into_iter().map(problem).collect(), more }
    }

    /// The same of the file `name` as a whole.
    pub(crate) fn at_file(mut self, name: &str) -> Self {
        self.problems.iter_mut().for_each(|problem| problem.place = Place::of_file(name));
        self
    }

    /// One fault of the file `name` as a whole.
    pub(crate) fn of_file(fault: ConfigError, name: &str) -> Self {
        Self { problems: vec![Problem { fault, place: Place::of_file(name) }], more: 0 }
    }
}

impl Place {
    /// The file `name` as a whole.
    pub(crate) fn of_file(name: &str) -> Self {
        Self { file: name.to_owned(), position: None, excerpt: None }
    }
}

impl std::error::Error for ConfigErrors {}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        if self.more > 0 {
            writeln!(f, "\n{} more like these", self.more)?;
        }
        Ok(())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "error: {}", self.fault)?;
        write!(f, "{}", self.place)?;
        match self.fault.hint() {
            Some(hint) => writeln!(f, "hint: {hint}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((line, column)) = self.position else {
            return writeln!(f, "  --> {}", self.file);
        };
        writeln!(f, "  --> {}:{line}:{column}", self.file)?;
        let Some(excerpt) = &self.excerpt else { return Ok(()) };
        let gutter = line.to_string().len();
        writeln!(f, "{line} | {}", excerpt.line)?;
        let (before, carets) = (" ".repeat(excerpt.before), "^".repeat(excerpt.width));
        writeln!(f, "{:gutter$} | {before}{carets}", "")
    }
}
