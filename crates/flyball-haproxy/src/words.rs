//! Splits a line of HAProxy's configuration into words exactly as HAProxy does. A faulty line is
//! split as well as possible and the fault reported: readers of the operator's lines ignore it, a
//! writer refuses the line.

use std::iter::Peekable;
use std::str::Chars;

/// HAProxy's own bounds: words of a line, and characters in it.
const WORDS_MAX: usize = 64;
const CHARS_MAX: usize = 2_048;

/// The words of a line; none for an empty line or a comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Words {
    pub(crate) all: Vec<String>,
    /// The first reason why HAProxy may read other words.
    pub(crate) flaw: Option<Flaw>,
}

/// Why the words of a line are not certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    Quote,
    Escape,
    Environment,
    Control,
    Length,
}

impl Flaw {
    pub(crate) fn why(self) -> &'static str {
        match self {
            Self::Quote => "a quote is not closed",
            Self::Escape => "a backslash at its end, or \\x without two digits, is invalid",
            Self::Environment => "it reads a variable of HAProxy's environment",
            Self::Control => "it contains a control character",
            Self::Length => "it is longer than 2048 characters or 64 words",
        }
    }
}

/// The words of `line`, which may be of any length.
pub(crate) fn words(line: &str) -> Words {
    let words = Words { all: Vec::new(), flaw: None };
    let mut cut = Cut { rest: line.chars().peekable(), words, word: None };
    cut.all();
    cut.end_word();
    if line.chars().count() > CHARS_MAX || cut.words.all.len() > WORDS_MAX {
        cut.words.flaw = Some(Flaw::Length);
    }
    cut.words
}

struct Cut<'a> {
    rest: Peekable<Chars<'a>>,
    words: Words,
    /// The word that has begun; `Some` and empty after a pair of quotes with nothing in them.
    word: Option<String>,
}

impl Cut<'_> {
    fn all(&mut self) {
        while let Some(c) = self.rest.next() {
            match c {
                '#' => return,
                ' ' | '\t' => self.end_word(),
                '"' => self.weak(),
                '\'' => self.strong(),
                '\\' => self.escape(false),
                c => self.push_plain(c),
            }
        }
    }

    /// Up to the next double quote: escapes count, and variables would.
    fn weak(&mut self) {
        self.word.get_or_insert_default();
        while let Some(c) = self.rest.next() {
            match c {
                '"' => return,
                '\\' => self.escape(true),
                c => {
                    if c == '$' {
                        self.note(Flaw::Environment);
                    }
                    self.push_plain(c);
                }
            }
        }
        self.note(Flaw::Quote);
    }

    /// Up to the next single quote: nothing counts.
    fn strong(&mut self) {
        self.word.get_or_insert_default();
        while let Some(c) = self.rest.next() {
            match c {
                '\'' => return,
                c => self.push_plain(c),
            }
        }
        self.note(Flaw::Quote);
    }

    /// What a backslash and what follows it stand for. Where that is nothing, both stay.
    fn escape(&mut self, weak: bool) {
        let Some(&next) = self.rest.peek() else { return self.note(Flaw::Escape) };
        let stands_for = match next {
            ' ' | '\\' | '#' | '\'' | '"' => next,
            '$' if weak => next,
            't' => '\t',
            'n' => '\n',
            'r' => '\r',
            'x' => return self.hexadecimal(),
            _ => return self.push('\\'),
        };
        self.rest.next();
        self.push(stands_for);
    }

    fn hexadecimal(&mut self) {
        self.rest.next();
        let mut digit = || self.rest.next().and_then(|c| c.to_digit(16));
        let code = digit().zip(digit()).map(|(high, low)| high * 16 + low);
        // A NUL would end the word where HAProxy reads it; above ASCII it would not be text.
        let character = code.and_then(char::from_u32).filter(|c| c.is_ascii() && *c != '\0');
        match character {
            Some(c) => self.push(c),
            None => self.note(Flaw::Escape),
        }
    }

    fn push_plain(&mut self, c: char) {
        if c.is_control() && c != '\t' {
            self.note(Flaw::Control);
        }
        self.push(c);
    }

    fn push(&mut self, c: char) {
        self.word.get_or_insert_default().push(c);
    }

    fn end_word(&mut self) {
        self.words.all.extend(self.word.take());
    }

    fn note(&mut self, flaw: Flaw) {
        self.words.flaw.get_or_insert(flaw);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(line: &str) -> Vec<String> {
        let words = words(line);
        assert_eq!(words.flaw, None, "{line}");
        words.all
    }

    #[test]
    fn words_are_cut_as_haproxys_manual_says() {
        let wanted = ["log-format", "%{+Q}o %t %s %{-Q}r"];
        for line in [
            r"log-format %{+Q}o\ %t\ %s\ %{-Q}r",
            r#"log-format "%{+Q}o %t %s %{-Q}r""#,
            "log-format '%{+Q}o %t %s %{-Q}r'",
            r#"log-format "%{+Q}o %t"' %s %{-Q}r'"#,
            r#"log-format "%{+Q}o %t"' %s'\ %{-Q}r"#,
        ] {
            assert_eq!(cut(line), wanted, "{line}");
        }
        assert_eq!(cut(r#""program" x"#), ["program", "x"]);
        assert_eq!(cut(r"\x70rogram x"), ["program", "x"]);
        assert_eq!(cut(r"pro'gr'am"), ["program"]);
        assert_eq!(cut("  balance\tleastconn # why"), ["balance", "leastconn"]);
        assert_eq!(cut("a#b c"), ["a"]);
        assert_eq!(cut(r#"log-format "%ci # %b""#), ["log-format", "%ci # %b"]);
        assert_eq!(cut(r"acl a path_reg '^/\d+$'"), ["acl", "a", "path_reg", r"^/\d+$"]);
        assert_eq!(cut(r#"a "" b"#), ["a", "", "b"]);
        assert_eq!(cut(r"a\q $b '$c'"), [r"a\q", "$b", "$c"]);
        assert_eq!(cut("# nothing"), [""; 0]);
    }

    #[test]
    fn what_haproxy_may_read_otherwise_is_cut_and_the_flaw_told() {
        for (line, flaw, all) in [
            ("a \"b c", Flaw::Quote, vec!["a", "b c"]),
            ("a 'b c", Flaw::Quote, vec!["a", "b c"]),
            ("a \"$HOME\" b", Flaw::Environment, vec!["a", "$HOME", "b"]),
            ("a \"x${HOME[*]}\"", Flaw::Environment, vec!["a", "x${HOME[*]}"]),
            (r"a \xz1 b", Flaw::Escape, vec!["a", "b"]),
            (r"a \x00b", Flaw::Escape, vec!["a", "b"]),
            (r"a \", Flaw::Escape, vec!["a"]),
            ("a\nbackend b", Flaw::Control, vec!["a\nbackend", "b"]),
            ("a\rb", Flaw::Control, vec!["a\rb"]),
            ("a \"$HOME\" 'b", Flaw::Environment, vec!["a", "$HOME", "b"]),
        ] {
            let all = all.into_iter().map(str::to_owned).collect();
            assert_eq!(words(line), Words { all, flaw: Some(flaw) }, "{line}");
        }
        assert_eq!(words(&"a ".repeat(65)).flaw, Some(Flaw::Length));
        assert_eq!(words(&"a".repeat(2_049)).flaw, Some(Flaw::Length));
    }
}
