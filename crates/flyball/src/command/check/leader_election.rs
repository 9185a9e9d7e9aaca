//! Checks the ZooKeeper that elects the leader. It joins no election and does not disturb a running
//! pair.

use flyball_config::Ha;
use flyball_zookeeper::ElectionReport;

use crate::finding::Finding;
use crate::leadership::ensemble;

const KEY: &str = "ha.zookeeper";

pub(super) async fn look_at(ha: &Ha) -> Vec<Finding> {
    let ensemble = ensemble(&ha.zookeeper);
    let (away, survey) = tokio::join!(ensemble.unreachable(), ensemble.survey(ha.session_ms));
    let mut findings = vec![servers(&ensemble.servers, &away)];
    match survey {
        Ok(survey) => findings.extend([place(ha, &survey), members(&survey)]),
        Err(error) => findings.push(Finding::failed(KEY, error)),
    }
    findings
}

/// How many servers answer. Without a majority ZooKeeper does not work.
fn servers(all: &str, away: &[String]) -> Finding {
    let count = all.split(',').count();
    let text = match away {
        [] => format!("{count} of {count} servers answer"),
        _ => format!(
            "{} of {count} servers answer; no answer from {}",
            count - away.len(),
            away.join(", ")
        ),
    };
    let hint = (!away.is_empty()).then(|| "start them, or remove them from the list".to_owned());
    Finding { key: KEY.to_owned(), ok: away.is_empty(), text, hint }
}

/// Whether the path can be used, and how long sessions are.
fn place(ha: &Ha, survey: &ElectionReport) -> Finding {
    let path = &ha.zookeeper.path;
    if !survey.open {
        let text = format!("no permission to create nodes in {path}");
        let hint = format!("in zkCli.sh: setAcl {path} world:anyone:cdrwa, or use another path");
        return Finding::wrong(KEY, text).hint(hint);
    }
    let there = if survey.exists { "exists" } else { "will be created" };
    let session = if survey.session_ms == ha.session_ms {
        format!("sessions of {} ms", survey.session_ms)
    } else {
        let bounds = "its minSessionTimeout and maxSessionTimeout allow no other";
        format!("sessions of {} ms instead of {}: {bounds}", survey.session_ms, ha.session_ms)
    };
    Finding::good(KEY, format!("{path} {there}, {session}"))
}

/// Who joined the election. Two under one name cannot be told apart when the leader is looked up.
fn members(survey: &ElectionReport) -> Finding {
    let key = "ha";
    let mut sorted = survey.standing.clone();
    sorted.sort();
    if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        let text = format!("two flyballs joined the election as {}", pair[0]);
        let hint = "give each machine its own name, or each flyball its own listen";
        return Finding::wrong(key, text).hint(hint);
    }
    let text = match survey.standing.as_slice() {
        [] => "no flyball is in the election now".to_owned(),
        [leader] => format!("{leader} is the leader, without a standby"),
        [leader, others @ ..] => format!("{leader} is the leader, {} on standby", others.len()),
    };
    Finding::good(key, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survey(standing: &[&str]) -> ElectionReport {
        let standing = standing.iter().map(|word| (*word).to_owned()).collect();
        ElectionReport { session_ms: 6_000, exists: true, open: true, standing }
    }

    #[test]
    fn two_of_one_name_are_wrong_and_servers_that_are_away_are_named() {
        assert!(members(&survey(&["a", "b"])).ok);
        assert_eq!(members(&survey(&["a"])).text, "a is the leader, without a standby");
        let twins = members(&survey(&["a", "b", "a"]));
        assert!(!twins.ok && twins.text.ends_with("as a"), "{twins:?}");
        let away = servers("x:1,y:1,z:1", &["y:1".to_owned()]);
        assert_eq!(
            (away.ok, away.text.as_str()),
            (
                false,
                "2 of 3 servers answer; no answer from \
                                                           y:1"
            )
        );
    }
}
