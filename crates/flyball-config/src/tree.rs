//! Turns the labels of one container into the table that one would write in the file
//! (`flyball.policy.step.out-at` is `out_at` in `[services.NAME.policy.step]`). Every label is in
//! the table or was reported; places in the table are positions among the labels.

use std::collections::btree_map::Entry as Place;

use crate::reader::{
    ConfigError, Entry, Form, Key, Keys, LABELS_PATH, Node, Reports, Section, Span, Syntax, Table,
    Value, shorten, value_in,
};
use crate::service::ServiceKeys;

/// The table of a service in `labels`, names without prefix and values, in the order of their
/// names.
pub(crate) fn table_of(labels: &[(&str, &str)], reports: &mut Reports) -> Table {
    let mut tree = Tree { labels, reports };
    let mut table = Table::new();
    for (at, (name, _)) in labels.iter().enumerate() {
        tree.insert(&mut table, ServiceKeys::SECTION, LABELS_PATH, name, at);
    }
    table
}

struct Tree<'a> {
    labels: &'a [(&'a str, &'a str)],
    reports: &'a mut Reports,
}

impl Tree<'_> {
    /// Puts label `at`, of whose name `rest` is left, into `table` at `path`. The depth is bounded
    /// by that of the sections.
    fn insert(
        &mut self,
        table: &mut Table,
        section: &'static Section,
        path: &str,
        rest: &str,
        at: usize,
    ) {
        let (head, tail) = rest.split_once('.').map_or((rest, None), |(h, t)| (h, Some(t)));
        let Some(key) = section.key(&head.replace('-', "_")) else {
            return self.insert_unknown(table, rest, at);
        };
        let Some(tail) = tail else { return self.set(table, key, at) };
        let path = Syntax::Labels.key(path, key.name);
        match key.form {
            Form::Variables => {
                let value = self.labels[at].1.to_owned();
                if let Some(variables) = self.descend(table, key, tail, at) {
                    variables.insert(tail.to_owned(), entry(Value::Text(value), at));
                }
            }
            Form::Table(inner) | Form::WordOrTable(inner) => {
                if let Some(table) = self.descend(table, key, tail, at) {
                    self.insert(table, inner, &path, tail, at);
                }
            }
            _ => self.insert_unknown(table, rest, at),
        }
    }

    /// Leaves it to the reader of `table` to say that there is no such key.
    fn insert_unknown(&mut self, table: &mut Table, name: &str, at: usize) {
        table.insert(name.to_owned(), entry(Value::Flag(true), at));
    }

    fn set(&mut self, table: &mut Table, key: &'static Key, at: usize) {
        let (name, value) = self.labels[at];
        match table.entry(key.name.to_owned()) {
            Place::Vacant(place) => drop(place.insert(entry(typed(key.form, value), at))),
            Place::Occupied(place) => {
                let (first, _) = self.labels[place.get().key_span.start];
                let beside = format!("flyball.{}", shorten(first));
                self.report_useless(name, beside, at);
            }
        }
    }

    /// The table that `key` is in `table`, for a label of which `tail` is left. A word that was
    /// given to `key` itself may only repeat what the label says: `flyball.policy=step` beside
    /// `flyball.policy.step.by=2`.
    fn descend<'t>(
        &mut self,
        table: &'t mut Table,
        key: &'static Key,
        tail: &str,
        at: usize,
    ) -> Option<&'t mut Table> {
        let inner = table
            .entry(key.name.to_owned())
            .or_insert_with(|| entry(Value::Table(Table::new()), at));
        if let Value::Text(word) = &inner.node.value {
            let head = tail.split('.').next().unwrap_or(tail);
            let is_table = key.form.section().is_some();
            if !is_table || *word != head.replace('-', "_") {
                let (first, value) = self.labels[inner.key_span.start];
                // Variables may be secrets.
                let value = if is_table { format!("={}", shorten(value)) } else { String::new() };
                let beside = format!("flyball.{}{value}", shorten(first));
                self.report_useless(self.labels[at].0, beside, at);
                return None;
            }
            inner.node.value = Value::Table(Table::new());
        }
        match &mut inner.node.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    fn report_useless(&mut self, name: &str, beside: String, at: usize) {
        let key = Syntax::Labels.named(LABELS_PATH, name);
        let instead = "remove one of the two".to_owned();
        self.reports.add(ConfigError::useless(&key, &beside, instead), &place(at));
    }
}

fn entry(value: Value, at: usize) -> Entry {
    Entry { key_span: place(at), node: Node { span: place(at), value } }
}

fn place(at: usize) -> Span {
    at..at + 1
}

/// `text` as what a key of this kind takes; as a text where it is not that, for a refusal to show.
fn typed(form: Form, text: &str) -> Value {
    let trimmed = text.trim();
    let is_list = |value: &Value| matches!(value, Value::List(_));
    let as_text = || Value::Text(trimmed.to_owned());
    match form {
        Form::Whole { .. } => trimmed.parse().map_or_else(|_| as_text(), Value::Whole),
        Form::Cores => trimmed.parse().map_or_else(|_| as_text(), Value::Real),
        Form::Flag => trimmed.parse().map_or_else(|_| as_text(), Value::Flag),
        Form::Words | Form::Lines if trimmed.starts_with('[') => {
            value_in(trimmed).filter(is_list).unwrap_or_else(as_text)
        }
        // What a shell would make of these is not what splitting makes of them.
        Form::Words if trimmed.contains(['"', '\'', '\\', '$', '`']) => as_text(),
        Form::Words => list_of(trimmed.split_whitespace()),
        Form::Lines => list_of(trimmed.lines()),
        _ => as_text(),
    }
}

fn list_of<'a>(texts: impl Iterator<Item = &'a str>) -> Value {
    let node = |text: &str| Node { span: 0..0, value: Value::Text(text.to_owned()) };
    Value::List(texts.map(node).collect())
}
