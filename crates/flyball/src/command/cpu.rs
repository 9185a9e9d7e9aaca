//! `flyball cpu` prints the CPU usage of each replica and how long its limit throttled it. A
//! missing reading is a dash, never 0.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::status::{items, share, word};
use crate::cli::Cpu;
use crate::failure::Failure;
use crate::output::{print, table};

pub(crate) async fn cpu(options: Cpu) -> Result<ExitCode, Failure> {
    let services = items(&options.client.get("/api/v1/services").await?);
    let mut found = services.iter().flat_map(replicas).collect::<Vec<_>>();
    if let Some(wanted) = &options.replica {
        found.retain(|(_, replica)| word(replica, "id") == *wanted);
        if found.is_empty() {
            return Err(Failure::new(format!("there is no replica {wanted:?}"))
                .hint("`flyball cpu` lists all of them"));
        }
    }
    if options.client.json {
        for (service, replica) in &found {
            let object = json!({
                "service": word(service, "name"), "replica": replica["id"],
                "cpu": replica["cpu"], "held_back": replica["held_back"],
            });
            print(&object.to_string())?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut rows = vec![["REPLICA", "STATE", "CPU", "HELD BACK"].map(str::to_owned).to_vec()];
    rows.extend(found.iter().map(|(_, replica)| row(replica).to_vec()));
    print(&table(&rows))?;
    Ok(ExitCode::SUCCESS)
}

fn row(replica: &Value) -> [String; 4] {
    let (id, state) = (word(replica, "id"), word(replica, "state"));
    [id, state, share(replica.get("cpu")), share(replica.get("held_back"))]
}

/// Each replica of a service, beside the service.
fn replicas(service: &Value) -> Vec<(&Value, &Value)> {
    let replicas = service.get("replicas").and_then(Value::as_array);
    replicas.into_iter().flatten().map(|replica| (service, replica)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_measured_is_a_dash_and_no_zero() {
        let web = json!({ "id": "web-1", "state": "ready", "cpu": 0.5, "held_back": 0.0 });
        assert_eq!(row(&web), ["web-1", "ready", "50 %", "0 %"]);
        let process = json!({ "id": "job-1", "state": "ready", "cpu": 0.5, "held_back": null });
        assert_eq!(row(&process), ["job-1", "ready", "50 %", "-"]);
    }
}
