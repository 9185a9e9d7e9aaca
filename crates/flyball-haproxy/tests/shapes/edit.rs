//! Applies a hint as a user would: adds, replaces and removes lines.

use flyball_haproxy::Edit;

const SECTIONS: [&str; 12] = [
    "backend",
    "cache",
    "defaults",
    "frontend",
    "global",
    "http-errors",
    "listen",
    "mailers",
    "peers",
    "resolvers",
    "ring",
    "userlist",
];

/// `text` with one edit carried out.
pub(crate) fn applied(text: &str, edit: &Edit) -> String {
    match edit {
        Edit::Add { section, line } => in_section(text, section, "", Some(line)),
        Edit::Replace { section, old, line } => in_section(text, section, old, Some(line)),
        Edit::Remove { section, line } => in_section(text, section, line, None),
        Edit::Section { section, line } => format!("{text}{section}\n  {line}\n"),
        Edit::Flyball { .. } => text.to_owned(),
    }
}

fn in_section(text: &str, section: &str, old: &str, line: Option<&String>) -> String {
    let (mut out, mut inside, mut found) = (String::new(), false, false);
    let begins = |text: &str| text.split_whitespace().next().is_some_and(|w| SECTIONS.contains(&w));
    let close = |out: &mut String| out.extend(line.map(|line| format!("  {line}\n")));
    for present in text.lines() {
        if begins(present) {
            if inside {
                close(&mut out);
            }
            inside = words(present).starts_with(&words(section));
            found |= inside;
        }
        if inside && !old.is_empty() && words(present).starts_with(&words(old)) {
            continue;
        }
        out.push_str(present);
        out.push('\n');
    }
    if inside {
        close(&mut out);
    }
    assert!(found, "there is no section `{section}`");
    out
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}
