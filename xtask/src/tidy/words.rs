//! Public types are named with the glossary's words, the field's, or an external system's own.

use std::collections::BTreeSet;

use super::{Finding, Tree};

const ARCHITECTURE: &str = "ARCHITECTURE.md";
const GLOSSARY: &str = "## Words";

/// Words of the field and of external systems, several to a line; `#` begins a comment.
const FIELD: &str = include_str!("words.txt");

/// What makes an item public and begins its name.
const PUBLIC: [&str; 4] = ["pub struct ", "pub enum ", "pub trait ", "pub type "];

/// Every word in the name of a public type is in the glossary or the field's.
pub(super) fn private_words(tree: &Tree) -> Vec<Finding> {
    let glossary = tree.text(ARCHITECTURE).map(glossary).unwrap_or_default();
    let known = |word: &String| glossary.contains(word) || field().contains(word);
    let mut found = Vec::new();
    for (path, text) in tree.ending(".rs").filter(|(path, _)| path.starts_with("crates/")) {
        for (line, name) in public_types(text) {
            found.extend(words_of(name).into_iter().filter(|word| !known(word)).map(|word| {
                let objection = format!(
                    "`{name}`: \"{word}\" is neither in the glossary of {ARCHITECTURE} nor in \
                     xtask/src/tidy/words.txt; use the field's word, or add it with its meaning"
                );
                Finding::new(format!("{path}:{line}"), objection)
            }));
        }
    }
    found
}

/// The words in the first column of the glossary's table, each by itself.
fn glossary(text: &str) -> BTreeSet<String> {
    let section = text.split_once(GLOSSARY).map(|(_, rest)| rest).unwrap_or_default();
    let section = section.split_once("\n## ").map_or(section, |(section, _)| section);
    let first_cells = section.lines().filter_map(|line| line.strip_prefix('|')?.split('|').next());
    first_cells.flat_map(plain_words).collect()
}

fn field() -> BTreeSet<String> {
    let lines = FIELD.lines().filter_map(|line| line.split('#').next());
    lines.flat_map(plain_words).collect()
}

fn plain_words(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect()
}

/// The public types of a file, with the number of the line.
fn public_types(text: &str) -> Vec<(usize, &str)> {
    let named = |line: &'_ str| -> Option<usize> {
        PUBLIC.iter().find(|start| line.starts_with(**start)).map(|start| start.len())
    };
    let lines = text.lines().enumerate().map(|(i, line)| (i + 1, line.trim_start()));
    let types = lines.filter_map(|(number, line)| {
        let rest = &line[named(line)?..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        Some((number, &rest[..end]))
    });
    types.collect()
}

/// `EngineReport` is `engine` and `report`.
fn words_of(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for c in name.chars() {
        match words.last_mut() {
            Some(word) if !c.is_ascii_uppercase() => word.push(c),
            _ => words.push(c.to_ascii_lowercase().to_string()),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: &str = "\
## Words

| word | meaning |
|---|---|
| start lag | time until the first answer |

## Crates

| `crates/a` | yard | nothing |
";

    fn objections(code: &str) -> Vec<String> {
        let tree = Tree::from([(ARCHITECTURE, MAP), ("crates/a/src/lib.rs", code)]);
        private_words(&tree).into_iter().map(|finding| finding.place + &finding.objection).collect()
    }

    #[test]
    fn a_word_of_the_glossary_or_the_field_is_taken() {
        assert_eq!(objections("pub struct StartLag;\npub enum LagError {}\nstruct Yard;"), [""; 0]);
    }

    #[test]
    fn a_private_word_is_found_with_its_line() {
        let found = objections("//! A.\n    pub struct YardError<T>(T);");
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("crates/a/src/lib.rs:2`YardError`: \"yard\""), "{found:?}");
    }
}
