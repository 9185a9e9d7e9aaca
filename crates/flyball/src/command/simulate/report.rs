//! Writes an HTML report that contains Plotly.js, data and style, and loads nothing from elsewhere.
//! `assets/report.*` draws it.

use std::path::Path;

use flyball_sim::run::Outcome;
use flyball_sim::trace::Unit;
use serde_json::{Value, json};

use super::{Case, result};
use crate::failure::Failure;

const PAGE: &str = include_str!("../../../assets/report.html");
const STYLE: &str = include_str!("../../../assets/report.css");
const SCRIPT: &str = include_str!("../../../assets/report.js");

/// Writes the page; a file that is there is replaced.
pub(super) fn write(path: &Path, cases: &[Case], outcomes: &[Outcome]) -> Result<(), Failure> {
    let policies = outcomes.len() / cases.len().max(1);
    let runs = cases.iter().zip(outcomes.chunks(policies.max(1)));
    let data: Vec<Value> = runs.map(|(case, outcomes)| trace(case, outcomes)).collect();
    std::fs::write(path, page(&Value::from(data)).as_bytes()).map_err(|error| {
        Failure::new(format!("cannot write {}: {error}", path.display()))
            .hint("check that its directory exists and that you may write there")
    })
}

fn page(data: &Value) -> String {
    // A name with `</script>` in it must not end the script.
    let data = data.to_string().replace("</", "<\\/");
    PAGE.replace("/*STYLE*/", STYLE)
        .replace("/*SCRIPT*/", SCRIPT)
        .replace("/*DATA*/[]", &data)
        .replace("/*PLOTLY*/", flyball_web::PLOTLY)
}

fn trace(case: &Case, outcomes: &[Outcome]) -> Value {
    let front = result::front(outcomes);
    let runs: Vec<Value> =
        outcomes.iter().zip(front).map(|(outcome, front)| run(outcome, front)).collect();
    json!({
        "name": case.trace.name,
        "step_s": flyball_core::units::seconds(case.steps.step_ms),
        "capacity": case.capacity,
        "unit": match case.trace.unit {
            Unit::RequestsPerSecond => "requests/s",
            Unit::Cores => "cores",
        },
        "demand": case.steps.demand(case.capacity),
        "runs": runs,
    })
}

fn run(outcome: &Outcome, front: bool) -> Value {
    let changes: Vec<Value> = outcome
        .changes
        .iter()
        .map(|change| json!([change.at_ms / 1000, change.before, change.after, change.reason]))
        .collect();
    json!({
        "policy": outcome.policy,
        "start_lag_s": flyball_core::units::seconds(outcome.start_lag_ms),
        "start_lag_p99_s": outcome.start_lag_p99_ms.map(flyball_core::units::seconds),
        "settled": outcome.settled,
        "front": front,
        "score": outcome.score,
        "serving": outcome.supply.iter().map(|supply| supply.serving).collect::<Vec<_>>(),
        "changes_in_all": outcome.changes.len() + outcome.changes_dropped,
        "changes": changes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_whole_and_loads_nothing() {
        let page = page(&json!([{ "name": "</script><b>" }]));
        assert!(!page.contains("/*PLOTLY*/") && !page.contains("/*DATA*/"));
        assert!(!page.contains("/*STYLE*/") && !page.contains("/*SCRIPT*/"));
        assert!(page.contains(r#""<\/script><b>""#));
        for loads in ["<script src", "<link rel=\"stylesheet\"", "@import"] {
            assert!(!PAGE.contains(loads) && !STYLE.contains(loads), "{loads}");
        }
    }
}
