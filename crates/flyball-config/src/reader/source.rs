//! The text of a configuration: how it is read, and where in it something stands.
//!
//! Knows nothing of keys. A file of up to [`TEXT_MAX`] bytes is read.

use std::path::Path;

use flyball_file::FileError;

use super::error::ConfigError;
use super::problem::{Excerpt, Place};
use super::value::Span;

/// The largest file that is read, in bytes: 1 MiB, hundreds of times any real one.
pub const TEXT_MAX: usize = 1 << 20;

/// Characters of a source line that a message shows.
const EXCERPT_MAX: usize = 120;

/// A text with the name that messages give it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    pub(crate) name: &'a str,
    pub(crate) text: &'a str,
}

impl Source<'_> {
    /// The place of `span`, with its line unless one of `secrets` stands there too.
    pub(crate) fn place(&self, span: &Span, secrets: &[Span]) -> Place {
        let start = floor_char_boundary(self.text, span.start);
        let line_start = self.text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = self.text[start..].find('\n').map_or(self.text.len(), |at| start + at);
        let end = floor_char_boundary(self.text, span.end).clamp(start, line_end);
        let before = self.text[line_start..start].chars().count();
        let width = self.text[start..end].chars().count();
        let show_line = !secrets.iter().any(|s| s.start <= line_end && s.end >= line_start);
        let line = self.text[..start].matches('\n').count() + 1;
        Place {
            file: self.name.to_owned(),
            position: Some((line, before + 1)),
            excerpt: show_line
                .then(|| excerpt(self.text[line_start..line_end].trim_end(), before, width)),
        }
    }

    /// Whether no line ends between the two.
    pub(crate) fn on_one_line(&self, earlier: usize, later: usize) -> bool {
        self.text.as_bytes().get(earlier..later).is_some_and(|between| !between.contains(&b'\n'))
    }

    /// Whether the line at `span` belongs to a service's variables, by its looks alone: for texts
    /// that could not be parsed.
    pub(crate) fn may_hold_secret(&self, span: &Span) -> bool {
        let start = floor_char_boundary(self.text, span.start);
        let line_end = self.text[start..].find('\n').map_or(self.text.len(), |at| start + at);
        let mut lines = self.text[..line_end].lines().rev();
        if lines.clone().next().is_some_and(|line| line.contains("env")) {
            return true;
        }
        lines
            .find(|line| line.trim_start().starts_with('[') || line.trim_start().starts_with("env"))
            .is_some_and(|line| line.contains("env"))
    }
}

/// The part of `line` around the `width` characters after the first `before` ones, as it can be
/// shown on a terminal: one column for each character, none of them a control character.
fn excerpt(line: &str, before: usize, width: usize) -> Excerpt {
    let skipped = before.saturating_sub(EXCERPT_MAX / 2);
    let shown: String = line
        .chars()
        .skip(skipped)
        .take(EXCERPT_MAX)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let room = shown.chars().count().saturating_sub(before - skipped);
    Excerpt { line: shown, before: before - skipped, width: width.min(room).max(1) }
}

fn floor_char_boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// The text of the file at `path`.
pub(crate) fn read(path: &Path) -> Result<String, ConfigError> {
    flyball_file::read_text(path, TEXT_MAX as u64).map_err(|error| match error {
        FileError::Missing => ConfigError::FileMissing,
        FileError::Directory => ConfigError::IsDirectory,
        FileError::NotRegular { .. } => ConfigError::NotAFile,
        FileError::TooLarge { .. } => ConfigError::TooLarge,
        FileError::NotText { byte, offset, line } => ConfigError::NotUtf8 { byte, offset, line },
        FileError::Unreadable(error) => ConfigError::Unreadable { why: error.to_string() },
    })
}
