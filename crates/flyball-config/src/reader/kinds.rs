//! What keys take: how a value is read, and the words of a refusal, which always says what to
//! write instead.

use super::error::ConfigError;
use super::key::{Form, Key};
use super::table::{Surroundings, TableReader};
use super::value::{Node, Value};

/// The longest hint, in bytes: one that repeats a long value tells nothing.
const HINT_MAX: usize = 300;

/// What a key takes.
pub(crate) struct Kind<T> {
    pub(crate) form: Form,
    pub(crate) read: Read<T>,
}

/// How a value of a kind is read.
pub(crate) enum Read<T> {
    Value(fn(Given<'_>) -> Result<T, ConfigError>),
    /// With reports of its own.
    Node(fn(&mut TableReader<'_>, &'static Key, Node) -> Option<T>),
    /// From the keys of the same table.
    Group(fn(&mut TableReader<'_>) -> Option<T>),
}

/// A value together with its key and the key's full path, for the words of a refusal.
#[derive(Clone, Copy)]
pub(crate) struct Given<'a> {
    pub(crate) path: &'a str,
    pub(crate) key: &'a Key,
    pub(crate) node: &'a Node,
    pub(crate) around: Surroundings<'a>,
}

impl<T> Kind<T> {
    /// A value that the reference calls `words`.
    pub(crate) const fn plain(
        words: &'static str,
        check: fn(Given<'_>) -> Result<T, ConfigError>,
    ) -> Self {
        Self::of(Form::Plain(words), check)
    }

    pub(super) const fn of(form: Form, check: fn(Given<'_>) -> Result<T, ConfigError>) -> Self {
        Self { form, read: Read::Value(check) }
    }
}

impl Given<'_> {
    pub(crate) fn not_a(&self, wanted: &str, instead: impl Into<Option<String>>) -> ConfigError {
        let instead = instead.into().filter(|hint| hint.len() <= HINT_MAX);
        ConfigError::not_a(self.path, &self.node.show(), wanted, instead)
    }

    /// The same, with a hint to write `value`, which is TOML.
    pub(crate) fn not_like(&self, wanted: &str, value: &str) -> ConfigError {
        self.not_a(wanted, self.example(value))
    }

    pub(crate) fn out_of_range(&self, limit: &str) -> ConfigError {
        ConfigError::out_of_range(self.path, &self.node.show(), limit)
    }

    /// The check is of another form than its key. Kinds are made so that this cannot be.
    pub(super) fn of_another_form(&self) -> ConfigError {
        self.not_a("of the form that this key has", None)
    }

    /// A hint to write `value`, which is TOML.
    pub(crate) fn example(&self, value: &str) -> String {
        format!("write {}", self.around.syntax.assign(self.path, self.key.name, value))
    }

    /// The text, if it is `fine`; otherwise it is not `wanted`, as `example` would be.
    pub(crate) fn text_that(
        &self,
        fine: impl Fn(&str) -> bool,
        wanted: &str,
        example: &str,
    ) -> Result<String, ConfigError> {
        match &self.node.value {
            Value::Text(text) if fine(text) => Ok(text.clone()),
            _ => Err(self.not_like(wanted, example)),
        }
    }

    /// What `item` makes of each text of a list; otherwise it is not `wanted`.
    pub(crate) fn each<T, C: FromIterator<T>>(
        &self,
        item: impl Fn(&str) -> Option<T>,
        wanted: &str,
        example: &str,
    ) -> Result<C, ConfigError> {
        let refuse = || self.not_like(wanted, example);
        let Value::List(items) = &self.node.value else { return Err(refuse()) };
        let text = |node: &Node| match &node.value {
            Value::Text(text) => item(text).ok_or_else(refuse),
            _ => Err(refuse()),
        };
        items.iter().map(text).collect()
    }
}
