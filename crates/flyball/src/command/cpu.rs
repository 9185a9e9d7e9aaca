//! `flyball cpu`: the CPU of each replica, once.
//!
//! Decides nothing; the daemon has measured it. Invariant: a replica without a reading shows a
//! dash, never 0.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::status::{items, share, word};
use crate::cli::Cpu;
use crate::failure::Failure;
use crate::output::{print, table};

pub(crate) async fn cpu(options: Cpu) -> Result<ExitCode, Failure> {
    let services = items(&options.door.get("/api/v1/services").await?);
    let mut found = services.iter().flat_map(replicas).collect::<Vec<_>>();
    if let Some(wanted) = &options.replica {
        found.retain(|(_, replica)| word(replica, "id") == *wanted);
        if found.is_empty() {
            return Err(Failure::new(format!("there is no replica {wanted:?}"))
                .hint("`flyball cpu` lists all of them"));
        }
    }
    if options.door.json {
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
    rows.extend(found.iter().map(|(_, r)| {
        vec![word(r, "id"), word(r, "state"), share(r.get("cpu")), share(r.get("held_back"))]
    }));
    print(&table(&rows))?;
    Ok(ExitCode::SUCCESS)
}

/// Each replica of a service, beside the service.
fn replicas(service: &Value) -> Vec<(&Value, &Value)> {
    let replicas = service.get("replicas").and_then(Value::as_array);
    replicas.into_iter().flatten().map(|replica| (service, replica)).collect()
}
