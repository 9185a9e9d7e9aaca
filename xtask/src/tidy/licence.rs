//! Whether allowed licences satisfy an SPDX licence expression: `OR`, `AND`, `WITH`, parentheses
//! and the old `/`. An unreadable expression is never satisfied.

use std::collections::BTreeSet;

/// Whether `expression` leaves a choice that needs only `allowed` licences; an error names what
/// cannot be read. A licence with an exception must be allowed together with its exception.
pub(super) fn satisfied(expression: &str, allowed: &BTreeSet<String>) -> Result<bool, String> {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut reader = Reader { words: spaced.split_whitespace().rev().collect(), allowed };
    let answer = reader.any()?;
    match reader.words.pop() {
        None => Ok(answer),
        Some(word) => Err(format!("`{word}` is out of place in `{expression}`")),
    }
}

/// Words still to read, the next one last.
struct Reader<'a> {
    words: Vec<&'a str>,
    allowed: &'a BTreeSet<String>,
}

impl<'a> Reader<'a> {
    fn any(&mut self) -> Result<bool, String> {
        let mut answer = self.all()?;
        while self.skip("OR") {
            answer |= self.all()?;
        }
        Ok(answer)
    }

    fn all(&mut self) -> Result<bool, String> {
        let mut answer = self.one()?;
        while self.skip("AND") {
            answer &= self.one()?;
        }
        Ok(answer)
    }

    fn one(&mut self) -> Result<bool, String> {
        if self.skip("(") {
            let answer = self.any()?;
            return if self.skip(")") { Ok(answer) } else { Err("a `)` is missing".to_owned()) };
        }
        let licence = self.name()?;
        if self.skip("WITH") {
            let exception = self.name()?;
            return Ok(self.allowed.contains(&format!("{licence} WITH {exception}")));
        }
        Ok(self.allowed.contains(licence))
    }

    fn name(&mut self) -> Result<&'a str, String> {
        match self.words.pop() {
            None => Err("the expression ends too early".to_owned()),
            Some(word @ ("OR" | "AND" | "WITH" | "(" | ")")) => {
                Err(format!("`{word}` names nothing"))
            }
            Some(word) => Ok(word),
        }
    }

    fn skip(&mut self, word: &str) -> bool {
        self.words.pop_if(|next| *next == word).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(expression: &str) -> Result<bool, String> {
        let allowed = ["MIT", "Apache-2.0", "Unicode-3.0", "Apache-2.0 WITH LLVM-exception"];
        satisfied(expression, &allowed.map(str::to_owned).into())
    }

    #[test]
    fn one_allowed_choice_is_enough_but_every_part_of_it_counts() {
        assert_eq!(check("MIT"), Ok(true));
        assert_eq!(check("GPL-3.0-only"), Ok(false));
        assert_eq!(check("GPL-3.0-only OR MIT"), Ok(true));
        assert_eq!(check("GPL-3.0-only AND MIT"), Ok(false));
        assert_eq!(check("(MIT OR GPL-3.0-only) AND Unicode-3.0"), Ok(true));
        assert_eq!(check("MIT OR GPL-3.0-only AND GPL-2.0-only"), Ok(true));
        assert_eq!(check("Unlicense/MIT"), Ok(true));
    }

    #[test]
    fn an_exception_belongs_to_its_licence() {
        assert_eq!(check("Apache-2.0 WITH LLVM-exception"), Ok(true));
        assert_eq!(check("MIT WITH LLVM-exception"), Ok(false));
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        for broken in ["", "MIT OR", "(MIT", "MIT MIT", "AND MIT", "MIT)"] {
            assert!(check(broken).is_err(), "{broken}");
        }
    }
}
