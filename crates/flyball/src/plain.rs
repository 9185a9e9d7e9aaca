//! Escapes text from others (names, labels, log tails) for the log and the terminal: it can neither
//! start a line of its own nor change the terminal.

use std::borrow::Cow;
use std::fmt::Write as _;

/// `text` as a part of one line: what were several are parted by ` | `.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    let text = text.trim_end_matches(['\n', '\r']);
    if !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    for (number, line) in text.lines().enumerate() {
        if number > 0 {
            plain.push_str(" | ");
        }
        push(&mut plain, line.trim_start());
    }
    Cow::Owned(plain)
}

/// `text` with its line ends, for what is laid out in several lines.
pub(crate) fn lines(text: &str) -> Cow<'_, str> {
    if !text.contains(|c| c != '\n' && steers(c)) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        match line.strip_suffix('\n') {
            Some(line) => {
                push(&mut plain, line);
                plain.push('\n');
            }
            None => push(&mut plain, line),
        }
    }
    Cow::Owned(plain)
}

/// The same in place, where anything has to change.
pub(crate) fn make_one_line(text: &mut String) {
    if let Cow::Owned(plain) = one_line(text) {
        *text = plain;
    }
}

fn push(plain: &mut String, line: &str) {
    for c in line.chars() {
        match c {
            '\t' => plain.push(' '),
            c if steers(c) => drop(write!(plain, "{}", c.escape_unicode())),
            c => plain.push(c),
        }
    }
}

/// Control characters, and those that turn the direction of text or break a line unseen.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_begins_a_line_or_steers_a_terminal() {
        let forged = "web\n2026-11-30T03:00:00Z ERROR all is lost\r\n\x1b[2J\u{202e}x\u{9b}";
        let said = "web | 2026-11-30T03:00:00Z ERROR all is lost | \\u{1b}[2J\\u{202e}x\\u{9b}";
        assert_eq!(one_line(forged), said);
        assert_eq!(one_line("wrong\n  hint: so\n"), "wrong | hint: so");
        assert_eq!(one_line("a\tb\n\n"), "a b");
        assert!(matches!(one_line("größer · 5 %"), Cow::Borrowed(_)));
        assert_eq!(lines("a\n\x1b[31mb\n"), "a\n\\u{1b}[31mb\n");
        assert!(matches!(lines("a\n  b\n"), Cow::Borrowed(_)));
    }
}
