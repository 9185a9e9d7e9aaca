//! One table of the file while its keys are taken out one by one; what is left is unknown. Each
//! refusal is reported exactly once: its reader gets no default that could cause a second report.

use std::path::{Path, PathBuf};

use super::error::ConfigError;
use super::field::{Field, Reports};
use super::key::{Fallback, Form, Key, Only, Section};
use super::kinds::{Given, Kind, Read};
use super::section::Keys;
use super::syntax::Syntax;
use super::value::{Node, Span, Table, Value, text_spans, value_in};
use super::words::nearest;
use crate::Env;
use crate::root::RootKeys;

/// What a table stands in, apart from the tables around it.
#[derive(Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    pub(crate) syntax: Syntax,
    /// Where relative paths start.
    pub(crate) base: &'a Path,
    pub(crate) env: &'a Env,
}

/// A table of the file, its section, and where reports go.
pub(crate) struct TableReader<'a> {
    pub(crate) path: String,
    /// Where the table's name stands: the place of what is missing in it.
    pub(crate) span: Span,
    pub(crate) around: Surroundings<'a>,
    pub(crate) reports: &'a mut Reports,
    section: &'static Section,
    table: Table,
    /// The words of keys that others depend on.
    chosen: Vec<(&'static str, &'static str)>,
}

impl<'a> TableReader<'a> {
    /// Reads `table` as the section of `T`, and reports every key that it does not have.
    pub(crate) fn read_all<T: Keys>(
        path: String,
        span: Span,
        table: Table,
        around: Surroundings<'a>,
        reports: &'a mut Reports,
    ) -> T {
        let (section, chosen) = (T::SECTION, Vec::new());
        let mut reader = Self { path, span, around, reports, section, table, chosen };
        let keys = T::read(&mut reader);
        reader.finish();
        keys
    }

    /// The same for the table at `key` in this one.
    pub(crate) fn child<T: Keys>(&mut self, key: &Key, span: Span, table: Table) -> T {
        let path = self.path_of(key.name);
        TableReader::read_all(path, span, table, self.around, self.reports)
    }

    /// The full path of the key `name` in this table.
    pub(crate) fn path_of(&self, name: &str) -> String {
        self.around.syntax.key(&self.path, name)
    }

    /// How `key` in this table is given `value`, which is TOML.
    pub(crate) fn assign(&self, key: &Key, value: &str) -> String {
        self.around.syntax.assign(&self.path_of(key.name), key.name, value)
    }

    /// A key that must be there.
    pub(crate) fn required<T>(&mut self, key: &'static Key, kind: Kind<T>) -> Field<T> {
        let applies = self.applies(key);
        let field = self.field(key, &kind, |value| value, |_| None);
        if let (true, true, Fallback::Required(example)) =
            (applies, field.is_absent(), &key.fallback)
        {
            field.report_missing(example, self.reports);
        }
        field
    }

    /// A key with a default.
    pub(crate) fn default<T>(&mut self, key: &'static Key, kind: Kind<T>) -> Field<T> {
        let by_default = |reader: &mut Self| match key.fallback {
            Fallback::Is(text) => reader.read(key, &kind, reader.node(value_in(text)?)),
            _ => None,
        };
        self.field(key, &kind, |value| value, by_default)
    }

    /// A key that may be absent.
    pub(crate) fn optional<T>(&mut self, key: &'static Key, kind: Kind<T>) -> Field<Option<T>> {
        self.field(key, &kind, Some, |_| Some(None))
    }

    /// A key that is nothing where it is absent.
    pub(crate) fn empty<T: Default>(&mut self, key: &'static Key, kind: Kind<T>) -> Field<T> {
        self.field(key, &kind, |value| value, |_| Some(T::default()))
    }

    /// A table that is read as an empty one where it is absent.
    pub(crate) fn implied<T>(&mut self, key: &'static Key, kind: Kind<T>) -> Field<T> {
        let nothing =
            |reader: &mut Self| reader.read(key, &kind, reader.node(Value::Table(Table::new())));
        self.field(key, &kind, |value| value, nothing)
    }

    /// Keys of this table that several sections have in common.
    pub(crate) fn group<T>(&mut self, key: &'static Key, kind: Kind<T>) -> Field<T> {
        // No value is taken: a group may be called as one of its keys is.
        let value = match kind.read {
            Read::Group(read) => read(self),
            Read::Value(_) | Read::Node(_) => None,
        };
        self.gave(key, value, None)
    }

    /// The directory for state, which the environment knows where it is absent.
    pub(crate) fn state_dir(&mut self, key: &'static Key, kind: Kind<PathBuf>) -> Field<PathBuf> {
        self.field(
            key,
            &kind,
            |value| value,
            |reader| {
                let by_env = reader.around.env.state_dir();
                if by_env.is_none() {
                    let fault = ConfigError::NoStateDir { key: reader.path_of(key.name) };
                    reader.reports.add(fault, &reader.span);
                }
                by_env
            },
        )
    }

    /// What `key` gives: its value, as `given` has it, or what it is where it is absent.
    fn field<T, F>(
        &mut self,
        key: &'static Key,
        kind: &Kind<T>,
        given: impl FnOnce(T) -> F,
        absent: impl FnOnce(&mut Self) -> Option<F>,
    ) -> Field<F> {
        let node = self.take(key);
        let span = node.as_ref().map(|node| node.span.clone());
        let value = match node {
            Some(node) => self.read(key, kind, node).map(given),
            None => absent(self),
        };
        self.gave(key, value, span)
    }

    fn gave<T>(&self, key: &Key, value: Option<T>, span: Option<Span>) -> Field<T> {
        let (path, syntax, table) = (self.path_of(key.name), self.around.syntax, self.span.clone());
        Field { value, span, path, name: key.name, syntax, table }
    }

    /// `value` at the place of what is missing.
    fn node(&self, value: Value) -> Node {
        Node { span: self.span.clone(), value }
    }

    fn read<T>(&mut self, key: &'static Key, kind: &Kind<T>, node: Node) -> Option<T> {
        if let (Form::Choice(words), Value::Text(text)) = (key.form, &node.value) {
            let word = words.iter().find(|word| *word == text);
            self.chosen.extend(word.map(|word| (key.name, *word)));
        }
        match kind.read {
            Read::Value(check) => {
                let (path, around) = (self.path_of(key.name), self.around);
                let checked = check(Given { path: &path, key, node: &node, around });
                checked.map_err(|fault| self.reports.add(fault, &node.span)).ok()
            }
            Read::Node(read) => read(self, key, node),
            Read::Group(_) => None,
        }
    }

    /// The value of `key`, unless it means nothing beside what was chosen, which is reported.
    fn take(&mut self, key: &Key) -> Option<Node> {
        let node = self.table.remove(key.name)?.node;
        let forbids = |only: &&Only| self.chosen(only).is_some_and(|word| !only.1.contains(&word));
        let Some(only) = key.only.iter().find(forbids) else { return Some(node) };
        let (syntax, path) = (self.around.syntax, self.path_of(only.0));
        let assign = |word: &str| syntax.assign(&path, only.0, &format!("\"{word}\""));
        let beside = self.chosen(only).map(assign).unwrap_or_default();
        let needed = only.1.first().copied().unwrap_or_default();
        let instead = format!("write {}, or remove this key", assign(needed));
        self.reports.secrets.extend(secret_spans(Some(key), &node));
        self.reports
            .add(ConfigError::useless(&self.path_of(key.name), &beside, instead), &node.span);
        None
    }

    fn chosen(&self, only: &Only) -> Option<&'static str> {
        self.chosen.iter().find(|(name, _)| *name == only.0).map(|(_, word)| *word)
    }

    /// Whether everything is chosen that `key` needs.
    fn applies(&self, key: &Key) -> bool {
        key.only.iter().all(|only| self.chosen(only).is_some_and(|word| only.1.contains(&word)))
    }

    /// Reports every key that the section does not have.
    fn finish(self) {
        for (name, entry) in &self.table {
            self.reports.secrets.extend(secret_spans(None, &entry.node));
            let key = self.around.syntax.named(&self.path, name);
            let fault = ConfigError::setting(&key, ": unknown key", self.instead_of(name));
            self.reports.add(fault, &entry.key_span);
        }
    }

    /// What was most likely meant by the unknown key `name`.
    fn instead_of(&self, name: &str) -> String {
        let syntax = self.around.syntax;
        let name = match syntax {
            Syntax::File => name.to_owned(),
            Syntax::Labels => name.replace('-', "_"),
        };
        let root = RootKeys::SECTION;
        let elsewhere =
            |other: &&'static Section| !other.path.is_empty() && other.key(&name).is_some();
        if let Some(other) = root.with_all_below().into_iter().find(elsewhere) {
            return syntax.elsewhere(other.path, &name);
        }
        if syntax == Syntax::File && !self.path.is_empty() && root.key(&name).is_some() {
            return format!("[{name}] is a table of its own in flyball.toml");
        }
        let known: Vec<_> = self.section.keys().into_iter().map(|key| key.name).collect();
        let mention = |name: &str| syntax.mention(&self.path, name);
        match nearest(&name, known.iter().copied()) {
            Some(near) => format!("did you mean {}?", mention(near)),
            None => {
                let known: Vec<_> = known.into_iter().map(mention).collect();
                format!("valid keys: {}", known.join(", "))
            }
        }
    }
}

/// The places of texts in `node` that may be secrets: values of variables, or a misspelt table of
/// them, perhaps.
fn secret_spans(key: Option<&Key>, node: &Node) -> Vec<Span> {
    let variables = key.is_some_and(|key| matches!(key.form, Form::Variables));
    let table = matches!(node.value, Value::Table(_));
    if variables || table { text_spans(node) } else { Vec::new() }
}
