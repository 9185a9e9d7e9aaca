//! The `policy` of a service: a word, or a table with one of four keys.

use flyball_core::policy::{Advised, Governor, Rule, StepRule, Target};

use crate::check;
use crate::config_error::ConfigError;
use crate::keys;
use crate::share::show_share;
use crate::table_reader::TableReader;
use crate::value::Value;

/// The words that `policy` takes.
const WORDS: [&str; 4] = ["governor", "target", "step", "external"];

/// Takes the policy out of a service's table; `slots` are the service's own. `None` if it was
/// refused.
pub(crate) fn rule(service: &mut TableReader<'_>, slots: Option<u32>) -> Option<Rule> {
    let by_default = Governor { slots, ..Governor::default() };
    let Some(node) = service.take_node(&keys::POLICY_KEY) else {
        return Some(Rule::Governor(by_default));
    };
    let path = service.path_of(keys::POLICY_KEY.name);
    match node.value {
        Value::Text(word) => match word.as_str() {
            "governor" => Some(Rule::Governor(by_default)),
            "target" => Some(Rule::Target(Target::default())),
            "step" => Some(Rule::Step(StepRule::default())),
            "external" => Some(Rule::External),
            _ => {
                service.report(check::unknown_word(&path, &word, &WORDS), &node.span);
                None
            }
        },
        Value::Table(table) => {
            let fields = service.child(&keys::POLICY, path, node.span, table);
            one_of_four(fields, by_default)
        }
        _ => {
            let instead =
                Some(format!("write {}", service.assign(&keys::POLICY_KEY, "\"governor\"")));
            let wanted = "the name of a policy, or a table".to_owned();
            service.report(
                ConfigError::NotA { key: path, found: node.show(), wanted, instead },
                &node.span,
            );
            None
        }
    }
}

fn one_of_four(mut fields: TableReader<'_>, by_default: Governor) -> Option<Rule> {
    let given = fields.names().iter().filter(|name| WORDS.contains(name)).count();
    let rules = [
        fields.take_table(&keys::GOVERNOR_TABLE, &keys::GOVERNOR).map(|f| governor(f, by_default)),
        fields.take_table(&keys::TARGET_TABLE, &keys::TARGET).map(target),
        fields.take_table(&keys::STEP_TABLE, &keys::STEP).map(step),
        external(&mut fields),
    ];
    if given != 1 {
        let found = if given == 0 { "this table" } else { "a table with several" };
        let fault = ConfigError::NotA {
            key: fields.path.clone(),
            found: found.to_owned(),
            wanted: "a table with one policy".to_owned(),
            instead: Some("set exactly one of governor, target, step and external".to_owned()),
        };
        let span = fields.span.clone();
        fields.report(fault, &span);
    }
    fields.finish();
    rules.into_iter().flatten().next().flatten().filter(|_| given == 1)
}

/// `external = "zabbix"`, or a table; `None` if it is absent, an inner one if it was refused.
fn external(fields: &mut TableReader<'_>) -> Option<Option<Rule>> {
    if !fields.names().contains(&keys::EXTERNAL_TABLE.name) {
        return None;
    }
    let path = fields.path_of(keys::EXTERNAL_TABLE.name);
    let node = fields.take_node(&keys::EXTERNAL_TABLE)?;
    let found = node.show();
    let span = node.span;
    match node.value {
        Value::Text(word) if word == "zabbix" => Some(Some(Rule::Advised(Advised::default()))),
        Value::Text(word) => {
            fields.report(check::unknown_word(&path, &word, &["zabbix"]), &span);
            Some(None)
        }
        Value::Table(table) => Some(advised(fields.child(&keys::EXTERNAL, path, span, table))),
        _ => {
            let fault = ConfigError::NotA {
                key: path,
                found,
                wanted: "the name of a program, or a table".to_owned(),
                instead: Some(format!(
                    "write {}",
                    fields.assign(&keys::EXTERNAL_TABLE, "\"zabbix\"")
                )),
            };
            fields.report(fault, &span);
            Some(None)
        }
    }
}

fn advised(mut fields: TableReader<'_>) -> Option<Rule> {
    let preset = Advised::default();
    let from = fields.take(&keys::FROM, check::word).or("zabbix");
    let thresholds = thresholds(&mut fields, (preset.out_at, preset.in_at));
    let by = fields.take(&keys::BY, check::count).or(preset.by);
    let cooldown_ms = fields.take(&keys::COOLDOWN, check::duration_ms).or(preset.cooldown_ms);
    let window = fields.take(&keys::ADVICE_WINDOW, check::duration_ms).or(preset.cpu_window_ms);
    fields.finish();
    let (out_at, in_at) = thresholds?;
    from?;
    Some(Rule::Advised(Advised {
        out_at,
        in_at,
        by: by?,
        cooldown_ms: cooldown_ms?,
        cpu_window_ms: window?,
    }))
}

fn governor(mut fields: TableReader<'_>, by_default: Governor) -> Option<Rule> {
    let busy_cap = fields.take(&keys::BUSY_CAP, check::share).or(by_default.busy_cap);
    let hold_ms = fields.take(&keys::HOLD, check::duration_ms).optional();
    let slo_ms = fields.take(&keys::SLO, check::duration_ms).optional();
    fields.finish();
    let (busy_cap, hold_ms, slo_ms) = (busy_cap?, hold_ms?, slo_ms?);
    Some(Rule::Governor(Governor { busy_cap, hold_ms, slo_ms, ..by_default }))
}

fn target(mut fields: TableReader<'_>) -> Option<Rule> {
    let preset = Target::default();
    let cpu = fields.take(&keys::CPU, check::share).or(preset.cpu);
    let tolerance = fields.take(&keys::TOLERANCE, check::share).or(preset.tolerance);
    let in_window_ms = fields.take(&keys::IN_WINDOW, check::duration_ms).or(preset.in_window_ms);
    let out_window_ms = fields.take(&keys::OUT_WINDOW, check::duration_ms).or(preset.out_window_ms);
    let out_by = fields.take(&keys::OUT_BY, check::count).or(preset.out_by);
    let out_share = fields.take(&keys::OUT_SHARE, check::share).or(preset.out_share);
    let in_share = fields.take(&keys::IN_SHARE, check::share).or(preset.in_share);
    let window = fields.take(&keys::TARGET_WINDOW, check::duration_ms).or(preset.cpu_window_ms);
    fields.finish();
    Some(Rule::Target(Target {
        cpu: cpu?,
        tolerance: tolerance?,
        in_window_ms: in_window_ms?,
        out_window_ms: out_window_ms?,
        out_by: out_by?,
        out_share: out_share?,
        in_share: in_share?,
        cpu_window_ms: window?,
    }))
}

fn step(mut fields: TableReader<'_>) -> Option<Rule> {
    let preset = StepRule::default();
    let thresholds = thresholds(&mut fields, (preset.out_at, preset.in_at));
    let by = fields.take(&keys::BY, check::count).or(preset.by);
    let cooldown_ms = fields.take(&keys::COOLDOWN, check::duration_ms).or(preset.cooldown_ms);
    let window = fields.take(&keys::STEP_WINDOW, check::duration_ms).or(preset.cpu_window_ms);
    fields.finish();
    let (out_at, in_at) = thresholds?;
    Some(Rule::Step(StepRule {
        out_at,
        in_at,
        by: by?,
        cooldown_ms: cooldown_ms?,
        cpu_window_ms: window?,
    }))
}

/// `out_at` and `in_at`, which must not meet.
fn thresholds(fields: &mut TableReader<'_>, preset: (f64, f64)) -> Option<(f64, f64)> {
    let out_at = fields.take(&keys::OUT_AT, check::share);
    let in_at = fields.take(&keys::IN_AT, check::share);
    let span = in_at.given().or(out_at.given()).map(|(_, span)| span.clone());
    let (out_at, in_at) = (out_at.or(preset.0), in_at.or(preset.1));
    if let (Some(out_at), Some(in_at), Some(span)) = (out_at, in_at, span)
        && in_at >= out_at
    {
        let fault = ConfigError::Contradicts {
            key: fields.path_of(keys::IN_AT.name),
            found: show_share(in_at),
            relation: "not less than",
            other: keys::OUT_AT.name,
            other_value: show_share(out_at),
            instead: "set in_at to half of out_at so that the count does not oscillate",
        };
        fields.report(fault, &span);
    }
    out_at.zip(in_at)
}
