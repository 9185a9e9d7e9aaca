//! Turns a peer's message into one line of plain text.
//!
//! A daemon answers in JSON, but a proxy in front of it answers in HTML.

/// As much as a log line or a table row can show.
const CHARS_MAX: usize = 500;
/// Elements whose content is not for reading.
const UNREAD: [&str; 3] = ["head", "script", "style"];

/// `text` without tags where it is HTML, without line breaks, at most 500 characters.
pub fn one_line(text: &str) -> String {
    let plain = if is_html(text) { without_tags(text) } else { text.to_owned() };
    plain.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(CHARS_MAX).collect()
}

/// Whether `text` is a page for browsers.
pub fn is_html(text: &str) -> bool {
    let begin = text.trim_start().get(..200).unwrap_or(text).to_ascii_lowercase();
    ["<!doctype html", "<html", "<head", "<body"].iter().any(|tag| begin.contains(tag))
}

fn without_tags(page: &str) -> String {
    let mut text = String::new();
    let mut rest = page;
    while let Some((before, tag)) = rest.split_once('<') {
        text.push_str(before);
        text.push(' ');
        let (tag, behind) = tag.split_once('>').unwrap_or((tag, ""));
        let name = tag.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
        rest = match UNREAD.contains(&name.as_str()) {
            true => after_end_of(&name, behind),
            false => behind,
        };
    }
    text.push_str(rest);
    for (entity, character) in
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&nbsp;", " "), ("&amp;", "&")]
    {
        text = text.replace(entity, character);
    }
    text
}

fn after_end_of<'a>(name: &str, text: &'a str) -> &'a str {
    // ASCII alone changes its case here, so that places stay what they are.
    let end = text.to_ascii_lowercase().find(&format!("</{name}"));
    end.and_then(|at| text.get(at..)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_becomes_what_a_person_would_read_of_it() {
        let haproxy = "<html><body><h1>403 Forbidden</h1>\nRequest forbidden by administrative \
                       rules.\n</body></html>\n";
        let said = "403 Forbidden Request forbidden by administrative rules.";
        assert_eq!(one_line(haproxy), said);
        let nginx = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center>\
                     <h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx/1.22.1</center></body>";
        assert_eq!(one_line(nginx), "502 Bad Gateway nginx/1.22.1");
        let traefik = "<!DOCTYPE html><HEAD><style>p { x: 'é' }</style></HEAD><p>a &lt; b &amp; c";
        assert_eq!(one_line(traefik), "a < b & c");
    }

    #[test]
    fn plain_text_stays_as_it_is_but_for_its_breaks_and_its_length() {
        assert_eq!(one_line(" no such\n image: <none>:<none> "), "no such image: <none>:<none>");
        assert_eq!(one_line(&"é".repeat(3_000)).chars().count(), CHARS_MAX);
        assert_eq!(one_line("<html"), "");
        assert!(!is_html("a < b") && is_html("  <!DOCTYPE HTML PUBLIC"));
    }
}
