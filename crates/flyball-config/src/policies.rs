//! The `policy` of a service: a word, or a table with one of four keys.

mod external;
mod governor;
mod step;
mod target;

use flyball_core::policy::{Governor, Rule, StepRule, Target};

use self::external::EXTERNAL;
use self::governor::GovernorKeys;
use self::step::StepKeys;
use self::target::TargetKeys;
use crate::reader::{
    ConfigError, Form, Key, Keys, Kind, Node, Read, TableReader, Value, section, table,
    unknown_word,
};

section! {
    /// Set exactly one of these keys.
    PolicyKeys "services.NAME.policy" {
        /// Compares arrivals times measured work per request with the capacity that already runs.
        governor: Option<GovernorKeys> = table::<GovernorKeys>(), optional "the default policy", label Always;
        /// Keeps mean CPU usage at a target, with the formula of the Kubernetes Horizontal Pod
        /// Autoscaler.
        target: Option<TargetKeys> = table::<TargetKeys>(), optional "not used", label Always;
        /// Adds replicas above one threshold of mean CPU usage and removes them below another.
        step: Option<StepKeys> = table::<StepKeys>(), optional "not used", label Always;
        /// Adds or removes replicas while triggers of another program are active: `"zabbix"`, or a
        /// table.
        external: Option<Rule> = EXTERNAL, optional "not used", label Always;
    }
}

pub(crate) const POLICY: Kind<Rule> =
    Kind { form: Form::WordOrTable(PolicyKeys::SECTION), read: Read::Node(policy) };

/// The rule without the slots of its service.
fn policy(reader: &mut TableReader<'_>, key: &'static Key, node: Node) -> Option<Rule> {
    let (found, span) = (node.show(), node.span.clone());
    let path = reader.path_of(key.name);
    let fault = match node.value {
        Value::Text(word) => match word.as_str() {
            "governor" => return Some(Rule::Governor(Governor::default())),
            "target" => return Some(Rule::Target(Target::default())),
            "step" => return Some(Rule::Step(StepRule::default())),
            "external" => return Some(Rule::External),
            _ => unknown_word(&path, &word, &["governor", "target", "step", "external"]),
        },
        Value::Table(table) => {
            let keys: PolicyKeys = reader.child(key, span.clone(), table);
            match keys.given() {
                1 => return keys.rule(),
                0 => one_policy(&path, "this table"),
                _ => one_policy(&path, "a table with several"),
            }
        }
        _ => {
            let instead = format!("write {}", reader.assign(key, "\"governor\""));
            ConfigError::not_a(&path, &found, "the name of a policy, or a table", instead)
        }
    };
    reader.reports.add(fault, &span);
    None
}

fn one_policy(path: &str, found: &str) -> ConfigError {
    let instead = "set exactly one of governor, target, step and external".to_owned();
    ConfigError::not_a(path, found, "a table with one policy", instead)
}

impl PolicyKeys {
    fn given(&self) -> usize {
        let absent = [
            self.governor.is_absent(),
            self.target.is_absent(),
            self.step.is_absent(),
            self.external.is_absent(),
        ];
        absent.iter().filter(|absent| !**absent).count()
    }

    fn rule(self) -> Option<Rule> {
        if let Some(governor) = self.governor.value? {
            return governor.rule();
        }
        if let Some(target) = self.target.value? {
            return target.rule();
        }
        if let Some(step) = self.step.value? {
            return step.rule();
        }
        self.external.value?
    }
}
