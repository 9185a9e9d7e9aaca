//! The policy `external` that another program drives: a word, or a table.

use flyball_core::policy::{Advised, Rule};

use super::step::{PACE, PaceKeys};
use crate::reader::{
    ConfigError, Form, HOUR_MS, Key, Keys, Kind, Node, Read, TableReader, Value, choice, duration,
    section, unknown_word,
};

section! {
    /// Settings of a policy that another program drives; `external = "zabbix"` uses all defaults.
    /// Zabbix averages and compares with its triggers; flyball enforces the cooldown and the
    /// bounds.
    ExternalKeys "services.NAME.policy.external" {
        /// The program whose triggers are followed. Requires `api` in `[zabbix]`.
        from: &'static str = choice(&["zabbix"]), default "\"zabbix\"", label Always;
        /// How much, and when.
        pace: PaceKeys = PACE, group "";
        /// The time that Zabbix averages over. It is raised to three times `interval` in `[zabbix]`
        /// or the `interval` of the service, whichever is longer.
        window: u64 = duration(2_000, HOUR_MS), default "\"15s\"", label Always;
    }
}

pub(super) const EXTERNAL: Kind<Rule> =
    Kind { form: Form::WordOrTable(ExternalKeys::SECTION), read: Read::Node(external) };

fn external(reader: &mut TableReader<'_>, key: &'static Key, node: Node) -> Option<Rule> {
    let (found, span) = (node.show(), node.span.clone());
    let path = reader.path_of(key.name);
    let fault = match node.value {
        Value::Text(word) if word == "zabbix" => return Some(Rule::Advised(Advised::default())),
        Value::Text(word) => unknown_word(&path, &word, &["zabbix"]),
        Value::Table(table) => {
            let keys: ExternalKeys = reader.child(key, span, table);
            return keys.rule();
        }
        _ => {
            let instead = format!("write {}", reader.assign(key, "\"zabbix\""));
            ConfigError::not_a(&path, &found, "the name of a program, or a table", instead)
        }
    };
    reader.reports.add(fault, &span);
    None
}

impl ExternalKeys {
    fn rule(self) -> Option<Rule> {
        let pace = self.pace.value?;
        self.from.value?;
        Some(Rule::Advised(Advised {
            out_at: pace.out_at.value?,
            in_at: pace.in_at.value?,
            by: pace.by.value?,
            cooldown_ms: pace.cooldown.value?,
            cpu_window_ms: self.window.value?,
        }))
    }
}
