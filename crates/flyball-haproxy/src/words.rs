//! The words of a line of HAProxy's configuration.
//!
//! Decides what HAProxy's quoting means. Knows no keyword. Invariant: a line that HAProxy would
//! read as other words is not read as these; where a quote does not end, the rest is one word.

/// The words of `line`: `#` begins a comment, `\` takes the next character as it is, `"..."` and
/// `'...'` hold blanks.
pub(crate) fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(end), letter) if letter == end => quote = None,
            (Some('\''), letter) => word.get_or_insert_default().push(letter),
            (_, '\\') => word.get_or_insert_default().extend(letters.next()),
            (Some(_), letter) => word.get_or_insert_default().push(letter),
            (None, '"' | '\'') => {
                word.get_or_insert_default();
                quote = Some(letter);
            }
            (None, '#') => break,
            (None, letter) if letter.is_whitespace() => words.extend(word.take()),
            (None, letter) => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_as_haproxy_quotes_them() {
        for (line, expected) in [
            ("  balance   leastconn # the usual", vec!["balance", "leastconn"]),
            (r"http-request set-header X a\ b", vec!["http-request", "set-header", "X", "a b"]),
            (r#"log-format "%ci # %b""#, vec!["log-format", "%ci # %b"]),
            (r"acl a path_reg '^/\d+$'", vec!["acl", "a", "path_reg", r"^/\d+$"]),
            (r#""program" x"#, vec!["program", "x"]),
            (r#"a "" b"#, vec!["a", "", "b"]),
            ("#all of it", vec![]),
            ("open 'to the end", vec!["open", "to the end"]),
        ] {
            assert_eq!(words(line), expected, "{line}");
        }
    }
}
