//! Kinds of tables: with keys of their own, and of variables.

use std::collections::BTreeMap;

use super::error::ConfigError;
use super::key::{Form, Key};
use super::kinds::{Kind, Read};
use super::section::Keys;
use super::table::TableReader;
use super::value::{Node, Value};

pub(crate) const VARIABLES: Kind<BTreeMap<String, String>> =
    Kind { form: Form::Variables, read: Read::Node(variables) };

/// A table with keys of its own.
pub(crate) const fn table<T: Keys>() -> Kind<T> {
    Kind { form: Form::Table(T::SECTION), read: Read::Node(table_of_keys) }
}

fn table_of_keys<T: Keys>(
    reader: &mut TableReader<'_>,
    key: &'static Key,
    node: Node,
) -> Option<T> {
    let found = node.show();
    let Value::Table(table) = node.value else {
        let (path, syntax) = (reader.path_of(key.name), reader.around.syntax);
        let instead = syntax.table_hint(&reader.path, key.name, T::SECTION);
        reader.reports.add(ConfigError::not_a(&path, &found, "a table", instead), &node.span);
        return None;
    };
    Some(reader.child(key, node.span, table))
}

/// Texts by name, which may be secrets: their values are in no message.
fn variables(
    reader: &mut TableReader<'_>,
    key: &'static Key,
    node: Node,
) -> Option<BTreeMap<String, String>> {
    let (path, syntax) = (reader.path_of(key.name), reader.around.syntax);
    let found = node.name();
    let Value::Table(table) = node.value else {
        reader.reports.secrets.push(node.span.clone());
        let instead = syntax.variables_hint(&reader.path, key.name);
        let fault = ConfigError::not_a(&path, found, "a table of texts", instead);
        reader.reports.add(fault, &node.span);
        return None;
    };
    let mut variables = Some(BTreeMap::new());
    for (name, entry) in table {
        reader.reports.secrets.push(entry.node.span.clone());
        match variable(&syntax.named(&path, &name), &name, &entry.node) {
            Ok(value) => drop(variables.as_mut().map(|all| all.insert(name, value))),
            Err(fault) => {
                reader.reports.add(fault, &entry.key_span);
                variables = None;
            }
        }
    }
    variables
}

fn variable(path: &str, name: &str, node: &Node) -> Result<String, ConfigError> {
    let refuse = |found: &str, wanted: &str, instead: &str| {
        Err(ConfigError::not_a(path, found, wanted, instead.to_owned()))
    };
    if name.is_empty() || name.contains(['=', '\0']) {
        return refuse("this name", "the name of a variable", "remove every =");
    }
    match &node.value {
        Value::Text(text) if !text.contains('\0') => Ok(text.clone()),
        Value::Text(_) => refuse("a text with a NUL", "a value", "remove the NUL"),
        _ => refuse(node.name(), "a text", "put it in quotes"),
    }
}
