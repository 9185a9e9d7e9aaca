//! The file or the labels of a container as a tree of values. Every value has the span of bytes at
//! which it was written, or the position of its label among all labels.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Bytes of the text that something was written at.
pub(crate) type Span = Range<usize>;

/// The keys of a table, each with the place of its name.
pub(crate) type Table = BTreeMap<String, Entry>;

/// One key with its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key_span: Span,
    pub(crate) node: Node,
}

/// A value with its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) value: Value,
}

/// What can be written behind an equals sign.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Text(String),
    Whole(i64),
    Real(f64),
    Flag(bool),
    List(Vec<Node>),
    Table(Table),
    /// A date, or a number beyond 64 bits: nothing that any key takes.
    Other(String),
}

/// Characters of a value that a message shows.
const SHOWN_MAX: usize = 60;
/// Characters of a path: the reader of the message needs its end, too.
const PATH_SHOWN_MAX: usize = 255;

impl Node {
    /// The value as a message shows it: short, and with control characters escaped.
    pub(crate) fn show(&self) -> String {
        match &self.value {
            Value::Text(text) => format!("\"{}\"", shorten(text)),
            Value::Whole(number) => number.to_string(),
            Value::Real(number) => number.to_string(),
            Value::Flag(flag) => flag.to_string(),
            Value::Other(text) => shorten(text),
            Value::List(_) | Value::Table(_) => self.name().to_owned(),
        }
    }

    /// What kind of value it is, for messages that must not show the value itself.
    pub(crate) fn name(&self) -> &'static str {
        match &self.value {
            Value::Text(_) => "a text",
            Value::Whole(_) | Value::Real(_) => "a number",
            Value::Flag(_) => "true or false",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
            Value::Other(_) => "a value",
        }
    }
}

/// The places of all texts at or below `node`.
pub(crate) fn text_spans(node: &Node) -> Vec<Span> {
    match &node.value {
        Value::Text(_) => vec![node.span.clone()],
        Value::List(items) => items.iter().flat_map(text_spans).collect(),
        Value::Table(table) => table.values().flat_map(|entry| text_spans(&entry.node)).collect(),
        _ => Vec::new(),
    }
}

/// `text` escaped, and cut after [`SHOWN_MAX`] characters.
pub(crate) fn shorten(text: &str) -> String {
    cut(text, SHOWN_MAX)
}

/// `path` escaped, and cut only where it is longer than people's paths are.
pub(crate) fn show_path(path: &Path) -> String {
    cut(&path.to_string_lossy(), PATH_SHOWN_MAX)
}

fn cut(text: &str, characters_max: usize) -> String {
    let kept = text.chars().take(characters_max);
    let mut shown: String = kept.flat_map(char::escape_debug).collect();
    if text.chars().nth(characters_max).is_some() {
        shown.push_str("...");
    }
    shown
}

/// The value in `text`, as it would be written in the file; `None` if it is no such value.
pub(crate) fn value_in(text: &str) -> Option<Value> {
    DeValue::parse(text).ok().map(|value| node_from(value).value)
}

/// The parser's table as ours.
pub(crate) fn table_from(table: DeTable<'_>) -> Table {
    table
        .into_iter()
        .map(|(key, value)| {
            let key_span = key.span();
            (key.into_inner().into_owned(), Entry { key_span, node: node_from(value) })
        })
        .collect()
}

// The parser bounds how deep values nest (80), and so this recursion.
fn node_from(value: Spanned<DeValue<'_>>) -> Node {
    let span = value.span();
    let value = match value.into_inner() {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Integer(digits) => i64::from_str_radix(digits.as_str(), digits.radix())
            .map_or_else(|_| Value::Other(digits.to_string()), Value::Whole),
        DeValue::Float(digits) => {
            digits.as_str().parse().map_or_else(|_| Value::Other(digits.to_string()), Value::Real)
        }
        DeValue::Boolean(flag) => Value::Flag(flag),
        DeValue::Datetime(date) => Value::Other(date.to_string()),
        DeValue::Array(items) => Value::List(items.into_iter().map(node_from).collect()),
        DeValue::Table(table) => Value::Table(table_from(table)),
    };
    Node { span, value }
}
