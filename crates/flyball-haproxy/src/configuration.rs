//! HAProxy's configuration, as far as it affects one backend: `defaults`, then the section.
//!
//! Lines between `.if` and `.endif` are read as if all conditions were true, and that is reported.

use std::path::{Path, PathBuf};

use crate::words::words;

/// What begins a section.
const SECTIONS: [&str; 19] = [
    "acme",
    "backend",
    "cache",
    "crt-store",
    "defaults",
    "fcgi-app",
    "frontend",
    "global",
    "http-errors",
    "listen",
    "log-forward",
    "log-profile",
    "mailers",
    "peers",
    "program",
    "resolvers",
    "ring",
    "traces",
    "userlist",
];

/// All files that HAProxy was started with, in their order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Configuration {
    sections: Vec<Section>,
    /// Whether some lines hold only under a condition.
    pub(crate) is_conditional: bool,
}

/// One section.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) file: PathBuf,
    lines: Vec<Vec<String>>,
    /// Which section's lines come first.
    defaults: Option<usize>,
}

impl Configuration {
    /// Reads `text`, which stands in `file`, behind what was read before.
    pub(crate) fn read(&mut self, file: &Path, text: &str) {
        for line in text.lines().map(|line| words(line).all) {
            let Some(first) = line.first() else { continue };
            if first.starts_with('.') {
                self.is_conditional = true;
            } else if SECTIONS.contains(&first.as_str()) {
                self.begin(file, &line);
            } else if let Some(section) = self.sections.last_mut() {
                section.lines.push(line);
            }
        }
    }

    fn begin(&mut self, file: &Path, head: &[String]) {
        let kind = head.first().cloned().unwrap_or_default();
        let from = head.iter().position(|word| word == "from").and_then(|at| head.get(at + 1));
        let name = head.get(1).filter(|word| *word != "from").cloned().unwrap_or_default();
        let is_defaults = |section: &Section| section.kind == "defaults";
        let defaults = match from {
            Some(from) => self.sections.iter().rposition(|s| is_defaults(s) && s.name == *from),
            // One `defaults` section takes nothing from another, unless it says so.
            None if kind == "defaults" => None,
            None => self.sections.iter().rposition(is_defaults),
        };
        let file = file.to_owned();
        self.sections.push(Section { kind, name, file, lines: Vec::new(), defaults });
    }

    /// The sections that a backend of this name stands in: one, unless HAProxy would not start.
    pub(crate) fn backends(&self, name: &str) -> impl Iterator<Item = &Section> {
        let is_backend = |s: &&Section| matches!(s.kind.as_str(), "backend" | "listen");
        self.sections.iter().filter(is_backend).filter(move |section| section.name == name)
    }

    /// Everything that takes requests from clients.
    pub(crate) fn fronts(&self) -> impl Iterator<Item = &Section> {
        self.sections.iter().filter(|s| matches!(s.kind.as_str(), "frontend" | "listen"))
    }

    /// The lines that hold for `section`, in their order.
    pub(crate) fn lines<'a>(&'a self, section: &'a Section) -> Lines<'a> {
        let mut above = Vec::new();
        let mut next = section.defaults.and_then(|at| self.sections.get(at));
        while let Some(defaults) = next {
            above.push(defaults);
            next = defaults.defaults.and_then(|at| self.sections.get(at));
        }
        let all = above.into_iter().rev().chain([section]);
        Lines(all.flat_map(|section| section.lines.iter().map(Vec::as_slice)).collect())
    }

    /// The lines that hold for a section whose own lines are `own` and which stands behind all that
    /// was read.
    pub(crate) fn with_own(&self, name: &str, own: &str) -> Self {
        let mut all = self.clone();
        // Sections are known by their places, so none may be taken out.
        let older = all.sections.iter_mut().filter(|s| s.kind == "backend" && s.name == name);
        older.for_each(|section| section.name.clear());
        all.read(Path::new(""), &format!("backend {name}\n{own}\n"));
        all
    }
}

impl Section {
    /// As it begins: `backend web`.
    pub(crate) fn title(&self) -> String {
        format!("{} {}", self.kind, self.name).trim_end().to_owned()
    }
}

/// The lines of a section, those it has from `defaults` first.
pub(crate) struct Lines<'a>(Vec<&'a [String]>);

impl Lines<'_> {
    /// The arguments of the last line that begins with `keyword`, which counts.
    pub(crate) fn last(&self, keyword: &str) -> Option<&[String]> {
        self.all(keyword).last()
    }

    /// The arguments of every line that begins with the words of `keyword`.
    pub(crate) fn all(&self, keyword: &str) -> impl Iterator<Item = &[String]> {
        let head: Vec<String> = keyword.split(' ').map(str::to_owned).collect();
        self.0.iter().filter_map(move |line| line.strip_prefix(head.as_slice()))
    }

    /// Whether `option NAME` holds.
    pub(crate) fn has_option(&self, name: &str) -> bool {
        let says = |line: &&[String]| {
            let words: Vec<&str> = line.iter().take(3).map(String::as_str).collect();
            match words.as_slice() {
                ["option", option, ..] if *option == name => Some(true),
                ["no", "option", option] if *option == name => Some(false),
                _ => None,
            }
        };
        self.0.iter().filter_map(says).next_back().unwrap_or(false)
    }

    /// Whether the section passes on HTTP; without the line, TCP.
    pub(crate) fn is_http(&self) -> bool {
        self.last("mode").and_then(|words| words.first()).is_some_and(|mode| mode == "http")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Configuration {
        let mut all = Configuration::default();
        all.read(Path::new("/etc/haproxy/haproxy.cfg"), text);
        all
    }

    #[test]
    fn a_section_has_the_lines_of_the_defaults_before_it_and_its_own() {
        let all = read(
            "global\n  maxconn 5\ndefaults\n  mode http\n  option redispatch\n  balance source\n\
             backend web\n  balance leastconn\n  no option redispatch\n\
             defaults\n  mode tcp\nlisten db\n  bind :3306\n",
        );
        let web = all.backends("web").next().unwrap();
        let lines = all.lines(web);
        assert_eq!(lines.last("balance"), Some(&["leastconn".to_owned()][..]));
        assert!(lines.is_http() && !lines.has_option("redispatch"));
        let db = all.backends("db").next().unwrap();
        assert!(!all.lines(db).is_http() && db.title() == "listen db");
        assert_eq!(all.fronts().count(), 1);
    }

    #[test]
    fn named_defaults_hold_where_they_are_named() {
        let all = read(
            "defaults a\n  mode http\ndefaults b from a\n  retries 1\ndefaults c\n  mode tcp\n\
             backend web from b\nbackend other\n",
        );
        let lines = |name: &str| all.lines(all.backends(name).next().unwrap());
        assert!(lines("web").is_http() && lines("web").last("retries").is_some());
        assert!(!lines("other").is_http(), "the last one before it");
    }

    #[test]
    fn conditions_are_noticed_and_comments_are_not_read() {
        let all =
            read("defaults\n.if defined(X)\n  mode http\n.endif\nbackend web\n  # retries 1\n");
        assert!(all.is_conditional);
        assert!(all.lines(all.backends("web").next().unwrap()).last("retries").is_none());
    }

    #[test]
    fn lines_of_the_owned_file_take_the_place_of_its_section() {
        let all = read("defaults\n  mode http\nbackend web\n  balance source\nbackend b\n");
        let all = all.with_own("web", "balance leastconn");
        let lines = all.lines(all.backends("web").next().unwrap());
        assert_eq!(lines.last("balance"), Some(&["leastconn".to_owned()][..]));
        assert!(lines.is_http());
    }
}
