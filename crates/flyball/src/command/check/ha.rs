//! What is wrong with the ZooKeeper that lets one of several flyballs act.
//!
//! Decides what of it an operator must mend. Stands for no election. Invariant: a running pair is
//! not disturbed.

use flyball_config::Ha;
use flyball_zookeeper::Survey;

use super::Finding;
use crate::daemon::ensemble;

const KEY: &str = "ha.zookeeper";

pub(super) async fn look_at(ha: &Ha) -> Vec<Finding> {
    let ensemble = ensemble(&ha.zookeeper);
    let (away, survey) = tokio::join!(ensemble.unreachable(), ensemble.survey(ha.session_ms));
    let mut findings = vec![servers(&ensemble.servers, &away)];
    match survey {
        Ok(survey) => findings.extend([place(ha, &survey), members(&survey)]),
        Err(error) => {
            let (text, hint) = (error.to_string(), error.hint());
            findings.push(Finding { key: KEY.to_owned(), ok: false, text, hint });
        }
    }
    findings
}

/// How many answer. With half of them gone the rest can do nothing.
fn servers(all: &str, away: &[String]) -> Finding {
    let count = all.split(',').count();
    let text = match away {
        [] => format!("{count} of {count} servers answer"),
        _ => format!("{} of {count} servers answer, not {}", count - away.len(), away.join(", ")),
    };
    let hint = (!away.is_empty()).then(|| "start them, or take them out of the list".to_owned());
    Finding { key: KEY.to_owned(), ok: away.is_empty(), text, hint }
}

/// Whether the path can be used, and how long sessions are.
fn place(ha: &Ha, survey: &Survey) -> Finding {
    let path = &ha.zookeeper.path;
    if !survey.open {
        let text = format!("nobody may make nodes in {path}");
        let hint = format!("in zkCli.sh: setAcl {path} world:anyone:cdrwa, or use another path");
        return Finding { key: KEY.to_owned(), ok: false, text, hint: Some(hint) };
    }
    let there = if survey.exists { "is there" } else { "will be made" };
    let session = if survey.session_ms == ha.session_ms {
        format!("sessions of {} ms", survey.session_ms)
    } else {
        let bounds = "its minSessionTimeout and maxSessionTimeout allow no other";
        format!("sessions of {} ms instead of {}: {bounds}", survey.session_ms, ha.session_ms)
    };
    Finding {
        key: KEY.to_owned(),
        ok: true,
        text: format!("{path} {there}, {session}"),
        hint: None,
    }
}

/// Who stands there. Two under one name could not be told apart by whoever looks for the leader.
fn members(survey: &Survey) -> Finding {
    let key = "ha".to_owned();
    let mut sorted = survey.standing.clone();
    sorted.sort();
    if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        let text = format!("two flyballs stand there as {}", pair[0]);
        let hint = "give each machine a name of its own, or each flyball its own listen";
        return Finding { key, ok: false, text, hint: Some(hint.to_owned()) };
    }
    let text = match survey.standing.as_slice() {
        [] => "no flyball stands there now".to_owned(),
        [leader] => format!("{leader} acts, and nobody stands by"),
        [leader, others @ ..] => format!("{leader} acts, {} stand by", others.len()),
    };
    Finding { key, ok: true, text, hint: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survey(standing: &[&str]) -> Survey {
        let standing = standing.iter().map(|word| (*word).to_owned()).collect();
        Survey { session_ms: 6_000, exists: true, open: true, standing }
    }

    #[test]
    fn two_of_one_name_are_wrong_and_servers_that_are_away_are_named() {
        assert!(members(&survey(&["a", "b"])).ok);
        assert_eq!(members(&survey(&["a"])).text, "a acts, and nobody stands by");
        let twins = members(&survey(&["a", "b", "a"]));
        assert!(!twins.ok && twins.text.ends_with("as a"), "{twins:?}");
        let away = servers("x:1,y:1,z:1", &["y:1".to_owned()]);
        assert_eq!((away.ok, away.text.as_str()), (false, "2 of 3 servers answer, not y:1"));
    }
}
