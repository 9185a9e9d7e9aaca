//! `flyball cpu` prints the CPU usage of each replica and how long its limit throttled it. A
//! missing reading is a dash, never 0.

use std::process::ExitCode;

use flyball_web::{ReplicaView, Service};
use serde_json::json;

use super::status::share;
use crate::cli::Cpu;
use crate::failure::Failure;
use crate::output::{print, table};
use crate::plain::one_line;

pub(crate) async fn cpu(options: Cpu) -> Result<ExitCode, Failure> {
    let services: Vec<Service> = options.client.get("/api/v1/services").await?;
    let mut found: Vec<(&str, &ReplicaView)> = services.iter().flat_map(replicas).collect();
    if let Some(wanted) = &options.replica {
        found.retain(|(_, replica)| replica.id == *wanted);
        if found.is_empty() {
            return Err(Failure::new(format!("there is no replica {wanted:?}"))
                .hint("`flyball cpu` lists all of them"));
        }
    }
    if options.client.json {
        for (service, replica) in &found {
            let object = json!({
                "service": service, "replica": replica.id,
                "cpu": replica.cpu, "held_back": replica.held_back,
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

fn row(replica: &ReplicaView) -> [String; 4] {
    let id = one_line(&replica.id).into_owned();
    [id, replica.state.to_string(), share(replica.cpu), share(replica.held_back)]
}

/// Each replica of a service, beside the service's name.
fn replicas(service: &Service) -> impl Iterator<Item = (&str, &ReplicaView)> {
    let name = service.view.name.as_str();
    service.view.replicas.iter().map(move |replica| (name, replica))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::replica;
    use super::*;

    #[test]
    fn what_was_not_measured_is_a_dash_and_no_zero() {
        let web = ReplicaView { cpu: Some(0.5), held_back: Some(0.0), ..replica("web-1") };
        assert_eq!(row(&web), ["web-1", "ready", "50 %", "0 %"]);
        let process = ReplicaView { cpu: Some(0.5), ..replica("job-1") };
        assert_eq!(row(&process), ["job-1", "ready", "50 %", "-"]);
    }
}
