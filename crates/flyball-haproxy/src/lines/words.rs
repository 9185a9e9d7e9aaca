//! One line of HAProxy's configuration, cut into words exactly as HAProxy cuts it.
//!
//! What depends on HAProxy's environment is refused, since its words cannot be known here.

use std::iter::Peekable;
use std::str::Chars;

/// HAProxy's own bounds: words of a line, and characters in it.
const WORDS_MAX: usize = 64;
const CHARS_MAX: usize = 2_048;

/// Why a line cannot be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Uncut {
    Quote,
    Escape,
    Environment,
    Control,
    Length,
}

impl Uncut {
    pub(super) fn why(self) -> &'static str {
        match self {
            Self::Quote => "a quote is not closed",
            Self::Escape => "the backslash at its end, or \\x without two digits, means nothing",
            Self::Environment => "it takes a variable from HAProxy's environment",
            Self::Control => "it holds a control character",
            Self::Length => "it is longer than 2048 characters or 64 words",
        }
    }
}

/// The words of `line`; none for an empty line or a comment.
pub(super) fn words(line: &str) -> Result<Vec<String>, Uncut> {
    if line.chars().count() > CHARS_MAX {
        return Err(Uncut::Length);
    }
    let mut cut = Cut { rest: line.chars().peekable(), words: Vec::new(), word: None };
    cut.all()?;
    cut.end_word();
    if cut.words.len() > WORDS_MAX { Err(Uncut::Length) } else { Ok(cut.words) }
}

struct Cut<'a> {
    rest: Peekable<Chars<'a>>,
    words: Vec<String>,
    /// The word that has begun; `Some` and empty after a pair of quotes with nothing in them.
    word: Option<String>,
}

impl Cut<'_> {
    fn all(&mut self) -> Result<(), Uncut> {
        while let Some(c) = self.rest.next() {
            match c {
                '#' => return Ok(()),
                ' ' | '\t' => self.end_word(),
                '"' => self.weak()?,
                '\'' => self.strong()?,
                '\\' => {
                    let escaped = self.escaped(false)?;
                    self.push(escaped);
                }
                c => self.push_plain(c)?,
            }
        }
        Ok(())
    }

    /// Up to the next double quote: escapes count, and variables would.
    fn weak(&mut self) -> Result<(), Uncut> {
        self.word.get_or_insert_default();
        loop {
            match self.rest.next().ok_or(Uncut::Quote)? {
                '"' => return Ok(()),
                '$' => return Err(Uncut::Environment),
                '\\' => {
                    let escaped = self.escaped(true)?;
                    self.push(escaped);
                }
                c => self.push_plain(c)?,
            }
        }
    }

    /// Up to the next single quote: nothing counts.
    fn strong(&mut self) -> Result<(), Uncut> {
        self.word.get_or_insert_default();
        loop {
            match self.rest.next().ok_or(Uncut::Quote)? {
                '\'' => return Ok(()),
                c => self.push_plain(c)?,
            }
        }
    }

    /// What a backslash and what follows it stand for. Where that is nothing, both stay.
    fn escaped(&mut self, weak: bool) -> Result<char, Uncut> {
        let next = *self.rest.peek().ok_or(Uncut::Escape)?;
        let stands_for = match next {
            ' ' | '\\' | '#' | '\'' | '"' => next,
            '$' if weak => next,
            't' => '\t',
            'n' => '\n',
            'r' => '\r',
            'x' => return self.hexadecimal(),
            _ => return Ok('\\'),
        };
        self.rest.next();
        Ok(stands_for)
    }

    fn hexadecimal(&mut self) -> Result<char, Uncut> {
        self.rest.next();
        let mut digit = || self.rest.next().and_then(|c| c.to_digit(16)).ok_or(Uncut::Escape);
        let code = digit()? * 16 + digit()?;
        // A NUL would end the word where HAProxy reads it; above ASCII it would not be text.
        char::from_u32(code).filter(|c| c.is_ascii() && *c != '\0').ok_or(Uncut::Escape)
    }

    fn push_plain(&mut self, c: char) -> Result<(), Uncut> {
        if c.is_control() && c != '\t' {
            return Err(Uncut::Control);
        }
        self.push(c);
        Ok(())
    }

    fn push(&mut self, c: char) {
        self.word.get_or_insert_default().push(c);
    }

    fn end_word(&mut self) {
        self.words.extend(self.word.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(line: &str) -> Vec<String> {
        words(line).unwrap()
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
        assert_eq!(cut(r#"a "" b"#), ["a", "", "b"]);
        assert_eq!(cut(r"a\q $b '$c'"), [r"a\q", "$b", "$c"]);
        assert_eq!(cut("# nothing"), [""; 0]);
    }

    #[test]
    fn what_haproxy_would_read_otherwise_is_not_cut_at_all() {
        for (line, why) in [
            ("a \"b", Uncut::Quote),
            ("a 'b", Uncut::Quote),
            ("a \"$HOME\"", Uncut::Environment),
            ("a \"x${HOME[*]}\"", Uncut::Environment),
            (r"a \xz1", Uncut::Escape),
            (r"a \x00b", Uncut::Escape),
            (r"a \", Uncut::Escape),
            ("a\nbackend b", Uncut::Control),
            ("a\rb", Uncut::Control),
        ] {
            assert_eq!(words(line), Err(why), "{line}");
        }
        assert_eq!(words(&"a ".repeat(65)), Err(Uncut::Length));
        assert_eq!(words(&"a".repeat(2_049)), Err(Uncut::Length));
    }
}
