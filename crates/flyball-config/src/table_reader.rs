//! One table of the file while its keys are taken out one by one; what is left is unknown. Each
//! refusal is reported exactly once: its reader gets no default that could cause a second report.

use std::collections::BTreeMap;

use crate::check::{self, Given, nearest};
use crate::config_error::ConfigError;
use crate::keys::{Key, Kind, Only, ROOT, SECTIONS, Section};
use crate::syntax::Syntax;
use crate::value::{Node, Span, Table, Value, text_spans};

/// What was found wrong so far, and where secrets stand.
#[derive(Debug, Default)]
pub(crate) struct Reports {
    pub(crate) faults: Vec<(ConfigError, Span)>,
    /// Places of values whose lines are not to be shown.
    pub(crate) secrets: Vec<Span>,
}

/// What a key gave.
#[derive(Clone, Debug)]
pub(crate) enum Field<T> {
    /// It is not there.
    Absent,
    /// It is there and wrong, which has been reported.
    Refused,
    /// It is there and fine.
    Given { value: T, span: Span },
}

impl<T> Field<T> {
    /// The value or its default; `None` if it was refused.
    pub(crate) fn or(self, default: T) -> Option<T> {
        match self {
            Self::Absent => Some(default),
            Self::Refused => None,
            Self::Given { value, .. } => Some(value),
        }
    }

    /// The value, if one was given and is fine.
    pub(crate) fn given(&self) -> Option<(&T, &Span)> {
        match self {
            Self::Given { value, span } => Some((value, span)),
            Self::Absent | Self::Refused => None,
        }
    }

    /// The value, or nothing if it is absent; `None` if it was refused.
    pub(crate) fn optional(self) -> Option<Option<T>> {
        match self {
            Self::Absent => Some(None),
            Self::Refused => None,
            Self::Given { value, .. } => Some(Some(value)),
        }
    }
}

/// A table of the file, its section in the table of keys, and where reports go.
#[derive(Debug)]
pub(crate) struct TableReader<'a> {
    pub(crate) path: String,
    /// Where the table's name stands: the place of what is missing in it.
    pub(crate) span: Span,
    pub(crate) syntax: Syntax,
    section: &'static Section,
    table: Table,
    reports: &'a mut Reports,
}

impl<'a> TableReader<'a> {
    pub(crate) fn new(
        section: &'static Section,
        path: String,
        span: Span,
        table: Table,
        syntax: Syntax,
        reports: &'a mut Reports,
    ) -> Self {
        Self { path, span, syntax, section, table, reports }
    }

    /// The full path of the key `name` in this table.
    pub(crate) fn path_of(&self, name: &str) -> String {
        self.syntax.key(&self.path, name)
    }

    /// How `key` in this table is given `value`, which is TOML.
    pub(crate) fn assign(&self, key: &Key, value: &str) -> String {
        self.syntax.assign(&self.path_of(key.name), key.name, value)
    }

    pub(crate) fn report(&mut self, fault: ConfigError, span: &Span) {
        self.reports.faults.push((fault, span.clone()));
    }

    /// Takes `key` out and has its value checked by `check`.
    pub(crate) fn take<T>(
        &mut self,
        key: &'static Key,
        check: impl FnOnce(Given<'_>) -> Result<T, ConfigError>,
    ) -> Field<T> {
        let Some(node) = self.take_node(key) else { return Field::Absent };
        let path = self.path_of(key.name);
        let given = Given { path: &path, key, node: &node, syntax: self.syntax };
        match check(given) {
            Ok(value) => Field::Given { value, span: node.span },
            Err(fault) => {
                self.report(fault, &node.span);
                Field::Refused
            }
        }
    }

    /// Takes `key` out as it is.
    pub(crate) fn take_node(&mut self, key: &'static Key) -> Option<Node> {
        debug_assert!(
            self.section.keys.iter().any(|listed| std::ptr::eq(*listed, key)),
            "{} is read but not listed in {}",
            key.name,
            self.section.path
        );
        self.table.remove(key.name).map(|entry| entry.node)
    }

    /// The place of `key`'s value; the table's own if it is absent.
    pub(crate) fn span_of(&self, key: &Key) -> Span {
        self.table.get(key.name).map_or(&self.span, |entry| &entry.node.span).clone()
    }

    /// A table in this one, of which the caller took the value.
    pub(crate) fn child(
        &mut self,
        section: &'static Section,
        path: String,
        span: Span,
        table: Table,
    ) -> TableReader<'_> {
        TableReader { path, span, syntax: self.syntax, section, table, reports: self.reports }
    }

    /// Takes `key` out as a table with keys of its own, empty if it is absent; `None` if it was
    /// refused.
    pub(crate) fn take_table_or_empty(
        &mut self,
        key: &'static Key,
        section: &'static Section,
    ) -> Option<TableReader<'_>> {
        if self.table.contains_key(key.name) {
            return self.take_table(key, section);
        }
        let (path, span) = (self.path_of(key.name), self.span.clone());
        Some(self.child(section, path, span, Table::new()))
    }

    /// Takes `key` out as a table with keys of its own; `None` if it is absent or was refused.
    pub(crate) fn take_table(
        &mut self,
        key: &'static Key,
        section: &'static Section,
    ) -> Option<TableReader<'_>> {
        let node = self.take_node(key)?;
        let path = self.path_of(key.name);
        match node.value {
            Value::Table(table) => Some(self.child(section, path, node.span, table)),
            _ => {
                let fault = ConfigError::NotA {
                    key: path,
                    found: node.show(),
                    wanted: "a table".to_owned(),
                    instead: Some(self.syntax.table_hint(&self.path, key.name, section)),
                };
                self.report(fault, &node.span);
                None
            }
        }
    }

    /// Takes `key` out as variables by name; empty if it is absent, `None` if any was refused.
    pub(crate) fn take_variables(&mut self, key: &'static Key) -> Option<BTreeMap<String, String>> {
        let Some(node) = self.take_node(key) else { return Some(BTreeMap::new()) };
        let path = self.path_of(key.name);
        let Value::Table(table) = node.value else {
            self.reports.secrets.push(node.span.clone());
            let fault = ConfigError::NotA {
                key: path,
                found: node.name().to_owned(),
                wanted: "a table of texts".to_owned(),
                instead: Some(self.syntax.variables_hint(&self.path, key.name)),
            };
            self.report(fault, &node.span);
            return None;
        };
        let mut variables = Some(BTreeMap::new());
        for (name, entry) in table {
            self.reports.secrets.push(entry.node.span.clone());
            match (
                check::variable(&self.syntax.named(&path, &name), &name, &entry.node),
                &mut variables,
            ) {
                (Ok(value), Some(variables)) => drop(variables.insert(name, value)),
                (Ok(_), None) => {}
                (Err(fault), _) => {
                    self.report(fault, &entry.key_span);
                    variables = None;
                }
            }
        }
        variables
    }

    /// The keys that are still there, in the order of their names.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.table.keys().map(String::as_str).collect()
    }

    /// Says that `key` must be there.
    pub(crate) fn missing(&mut self, key: &Key, example: &str) {
        let fault = ConfigError::Missing {
            key: self.path_of(key.name),
            instead: format!("add {}", self.assign(key, example)),
        };
        let span = self.span.clone();
        self.report(fault, &span);
    }

    /// Says that every key that means nothing where `chooser` is `word` does so, and takes it out.
    pub(crate) fn refuse_useless(&mut self, chooser: &Key, word: &str) {
        let assign = |word: &str| self.assign(chooser, &format!("\"{word}\""));
        let beside = assign(word);
        let forbids = |only: &&Only| only.0 == chooser.name && !only.1.contains(&word);
        let useless: Vec<_> = self
            .section
            .keys
            .iter()
            .filter_map(|key| Some((*key, key.only.iter().find(forbids)?)))
            .map(|(key, only)| {
                let needed = only.1.first().copied().unwrap_or_default();
                (key, format!("write {}, or remove this key", assign(needed)))
            })
            .collect();
        for (key, instead) in useless {
            let Some(node) = self.take_node(key) else { continue };
            self.reports.secrets.extend(secret_spans(Some(key), &node));
            let (key, beside) = (self.path_of(key.name), beside.clone());
            self.report(ConfigError::Useless { key, beside, instead }, &node.span);
        }
    }

    /// Reports every key that the section does not have. Known ones are still there where what
    /// they depend on was refused.
    pub(crate) fn finish(self) {
        for (name, entry) in &self.table {
            let known = self.section.key(name);
            self.reports.secrets.extend(secret_spans(known, &entry.node));
            if known.is_some() {
                continue;
            }
            let key = self.syntax.named(&self.path, name);
            let fault = ConfigError::UnknownKey { key, instead: self.instead_of(name) };
            self.reports.faults.push((fault, entry.key_span.clone()));
        }
    }

    /// What was most likely meant by the unknown key `name`.
    fn instead_of(&self, name: &str) -> String {
        let name = match self.syntax {
            Syntax::File => name.to_owned(),
            Syntax::Labels => name.replace('-', "_"),
        };
        let elsewhere = |other: &&&Section| other.key(&name).is_some();
        if let Some(other) = SECTIONS.iter().find(elsewhere) {
            return self.syntax.elsewhere(other.path, &name);
        }
        if self.syntax == Syntax::File && !self.path.is_empty() && ROOT.key(&name).is_some() {
            return format!("[{name}] is a table of its own in flyball.toml");
        }
        let known = || self.section.keys.iter().map(|key| key.name);
        let mention = |name: &str| self.syntax.mention(&self.path, name);
        match nearest(&name, known()) {
            Some(near) => format!("did you mean {}?", mention(near)),
            None => format!("valid keys: {}", known().map(mention).collect::<Vec<_>>().join(", ")),
        }
    }
}

/// The places of texts in `node` that may be secrets: values of variables, or a misspelt table of
/// them, perhaps.
fn secret_spans(key: Option<&Key>, node: &Node) -> Vec<Span> {
    let variables = key.is_some_and(|key| matches!(key.kind, Kind::Variables));
    let table = matches!(node.value, Value::Table(_));
    if variables || table { text_spans(node) } else { Vec::new() }
}
