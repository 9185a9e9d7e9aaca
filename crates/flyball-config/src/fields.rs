//! One table of the file while its keys are taken out one by one.
//!
//! Decides which keys are unknown. What a value may be is in `check`; what values mean together is
//! the caller's. Invariant: what is refused is reported exactly once, and so its reader gets no
//! default that could lead to a second report.

use std::collections::BTreeMap;

use crate::check::{self, Given, nearest};
use crate::fault::Fault;
use crate::keys::{Key, SECTIONS, Section};
use crate::value::{Node, Span, Table, Value, shorten, text_spans};

/// What was found wrong so far, and where secrets stand.
#[derive(Debug, Default)]
pub(crate) struct Reports {
    pub(crate) faults: Vec<(Fault, Span)>,
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
pub(crate) struct Fields<'a> {
    pub(crate) path: String,
    /// Where the table's name stands: the place of what is missing in it.
    pub(crate) span: Span,
    section: &'static Section,
    table: Table,
    reports: &'a mut Reports,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(
        section: &'static Section,
        path: String,
        span: Span,
        table: Table,
        reports: &'a mut Reports,
    ) -> Self {
        Self { path, span, section, table, reports }
    }

    /// The full path of `name` in this table.
    pub(crate) fn path_of(&self, name: &str) -> String {
        join(&self.path, name)
    }

    pub(crate) fn report(&mut self, fault: Fault, span: &Span) {
        self.reports.faults.push((fault, span.clone()));
    }

    /// Takes `key` out and has its value checked by `check`.
    pub(crate) fn take<T>(
        &mut self,
        key: &'static Key,
        check: impl FnOnce(Given<'_>) -> Result<T, Fault>,
    ) -> Field<T> {
        let Some(node) = self.take_node(key) else { return Field::Absent };
        let path = self.path_of(key.name);
        match check(Given { path: &path, key, node: &node }) {
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

    /// A table in this one, of which the caller took the value.
    pub(crate) fn child(
        &mut self,
        section: &'static Section,
        path: String,
        span: Span,
        table: Table,
    ) -> Fields<'_> {
        Fields { path, span, section, table, reports: self.reports }
    }

    /// Takes `key` out as a table with keys of its own; `None` if it is absent or was refused.
    pub(crate) fn take_table(
        &mut self,
        key: &'static Key,
        section: &'static Section,
    ) -> Option<Fields<'_>> {
        let node = self.take_node(key)?;
        let path = self.path_of(key.name);
        match node.value {
            Value::Table(table) => Some(self.child(section, path, node.span, table)),
            _ => {
                let fault = Fault::NotA {
                    key: path,
                    found: node.show(),
                    wanted: "a table".to_owned(),
                    instead: Some(format!("write {} = {{ ... }}", key.name)),
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
            let fault = Fault::NotA {
                key: path,
                found: node.name().to_owned(),
                wanted: "a table of texts".to_owned(),
                instead: Some(format!("write {} = {{ NAME = \"value\" }}", key.name)),
            };
            self.report(fault, &node.span);
            return None;
        };
        let mut variables = Some(BTreeMap::new());
        for (name, entry) in table {
            self.reports.secrets.push(entry.node.span.clone());
            match (check::variable(&join(&path, &name), &name, &entry.node), &mut variables) {
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
        let fault = Fault::Missing {
            key: self.path_of(key.name),
            instead: format!("add {} = {example}", key.name),
        };
        let span = self.span.clone();
        self.report(fault, &span);
    }

    /// Reports every key that nobody took.
    pub(crate) fn finish(self) {
        for (name, entry) in &self.table {
            let key = self.path_of(name);
            let fault = if self.section.later.contains(&name.as_str()) {
                Fault::KeyNotYet { key }
            } else {
                Fault::UnknownKey { key, instead: instead_of(name, self.section) }
            };
            let span = entry.key_span.clone();
            // A misspelt env, perhaps.
            if matches!(entry.node.value, Value::Table(_)) {
                self.reports.secrets.extend(text_spans(&entry.node));
            }
            self.reports.faults.push((fault, span));
        }
    }
}

/// What was most likely meant by the unknown key `name` in `section`.
fn instead_of(name: &str, section: &Section) -> String {
    let elsewhere = |other: &&&Section| other.keys.iter().any(|key| key.name == name);
    if let Some(other) = SECTIONS.iter().find(elsewhere) {
        return format!("{name} belongs in [{}]", other.path);
    }
    let known = || section.keys.iter().map(|key| key.name);
    match nearest(name, known()) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("known are {}", known().collect::<Vec<_>>().join(", ")),
    }
}

/// `path` and `name` as one path, the name quoted if TOML would want it so.
pub(crate) fn join(path: &str, name: &str) -> String {
    let bare = !name.is_empty()
        && name.len() <= 64
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let name = if bare { name.to_owned() } else { format!("\"{}\"", shorten(name)) };
    if path.is_empty() { name } else { format!("{path}.{name}") }
}
