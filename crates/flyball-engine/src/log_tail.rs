//! The end of a replica's output, as the reason of its exit shows it.

/// How many lines are shown.
pub const LINES: usize = 5;
const CHARS_MAX: usize = 500;

/// The last lines that are not blank, joined by ` | `, without control characters.
pub fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let last = lines.split_at(lines.len().saturating_sub(LINES)).1.join(" | ");
    let clean: Vec<char> = last.chars().filter(|c| !c.is_control()).collect();
    clean.split_at(clean.len().saturating_sub(CHARS_MAX)).1.iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_tail_is_plain_text_of_bounded_length() {
        assert_eq!(last_lines("\n \x1b[31mno port\x1b[0m\r\n\n"), "[31mno port[0m");
        assert_eq!(last_lines("a\nb"), "a | b");
        assert_eq!(last_lines("1\n2\n3\n4\n5\n6"), "2 | 3 | 4 | 5 | 6");
        assert_eq!(last_lines(""), "");
        assert_eq!(last_lines(&"é".repeat(3000)).chars().count(), CHARS_MAX);
    }
}
