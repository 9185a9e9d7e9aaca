//! Reads Zabbix's triggers of a service. A trigger counts only while it is in problem state *and*
//! evaluated, and its mean is being calculated. Anything doubtful is [`Advice::Unclear`] with its
//! reason.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::api::{Api, list, text};
use crate::error::ZabbixError;

/// The item whose age says whether Zabbix calculates at all.
const MEAN_KEY: &str = "flyball.cpu.mean";
/// A calculated item of one second is at most 3 s old on a busy server.
const MEAN_AGE_MAX: Duration = Duration::from_secs(10);
/// Hosts are looked up again this often, since they may be recreated.
const HOSTS_EVERY: Duration = Duration::from_secs(30);

/// What the triggers of one service say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Mean CPU is high.
    More,
    /// Mean CPU is low.
    Fewer,
    /// Neither.
    Keep,
    /// Nothing that could be acted on, and why.
    Unclear(String),
}

/// Reads the triggers of some hosts, again and again.
#[derive(Debug)]
pub struct Triggers {
    names: Vec<String>,
    /// Host names by their ids in Zabbix.
    hosts: BTreeMap<String, String>,
    hosts_at: Option<Instant>,
    /// The time stamp of each host's mean, and when it last changed here.
    means: BTreeMap<String, (String, Instant)>,
}

impl Triggers {
    /// Of these hosts.
    pub fn new(names: Vec<String>) -> Self {
        Self { names, hosts: BTreeMap::new(), hosts_at: None, means: BTreeMap::new() }
    }

    /// What the triggers of each host say now. Two calls, whatever the number of hosts.
    ///
    /// # Errors
    /// Zabbix cannot be asked or refuses.
    pub async fn read(&mut self, api: &Api) -> Result<BTreeMap<String, Advice>, ZabbixError> {
        let now = Instant::now();
        let old = self.hosts_at.is_none_or(|at| now.duration_since(at) > HOSTS_EVERY);
        if old || self.hosts.len() < self.names.len() {
            self.look_up(api).await?;
            self.hosts_at = Some(now);
        }
        let ids: Vec<&String> = self.hosts.keys().collect();
        let ask = json!({
            "hostids": ids, "tags": [{ "tag": "scale", "operator": 4 }], "monitored": true,
            "output": ["description", "value", "state", "error"], "selectTags": ["tag", "value"],
            "selectHosts": ["hostid"],
        });
        let triggers = api.list("trigger.get", ask).await?;
        let ask = json!({
            "hostids": ids, "filter": { "key_": [MEAN_KEY] }, "monitored": true,
            "output": ["hostid", "lastclock", "state", "error"],
        });
        let means = api.list("item.get", ask).await?;
        let mut said = BTreeMap::new();
        for name in self.names.clone() {
            said.insert(name.clone(), self.of_host(&name, &triggers, &means, now));
        }
        Ok(said)
    }

    async fn look_up(&mut self, api: &Api) -> Result<(), ZabbixError> {
        let ask = json!({ "filter": { "host": self.names }, "output": ["hostid", "host"] });
        let found = api.list("host.get", ask).await?;
        let pair = |host: &Value| (text(host, "hostid").to_owned(), text(host, "host").to_owned());
        self.hosts = found.iter().map(pair).collect();
        Ok(())
    }

    fn of_host(&mut self, name: &str, triggers: &[Value], means: &[Value], now: Instant) -> Advice {
        let Some(id) = self.hosts.iter().find(|(_, host)| *host == name).map(|(id, _)| id.clone())
        else {
            let why = format!("there is no host {name} that the token's user may read");
            return Advice::Unclear(format!("{why}: run `flyball zabbix provision`"));
        };
        let mean = means.iter().find(|mean| text(mean, "hostid") == id);
        let doubt = mean.map_or_else(
            || Some(format!("host {name} has no enabled item {MEAN_KEY}")),
            |mean| self.doubt(&id, mean, now),
        );
        if let Some(doubt) = doubt {
            return Advice::Unclear(doubt);
        }
        let of_host =
            |trigger: &&Value| list(trigger, "hosts").iter().any(|host| text(host, "hostid") == id);
        let own: Vec<&Value> = triggers.iter().filter(of_host).collect();
        advice(&own)
    }

    /// Why the mean is not to be trusted, if it is not. Its age is taken by the clock here, from
    /// when its time stamp last changed, so that the two clocks need not agree.
    fn doubt(&mut self, id: &str, mean: &Value, now: Instant) -> Option<String> {
        if text(mean, "state") == "1" {
            return Some(format!("the mean has no value: {}", text(mean, "error")));
        }
        let stamp = text(mean, "lastclock");
        let Some((last, since)) = self.means.get_mut(id) else {
            self.means.insert(id.to_owned(), (stamp.to_owned(), now));
            return Some("the mean has been seen only once".to_owned());
        };
        if last != stamp {
            (*last, *since) = (stamp.to_owned(), now);
        }
        let age = now.duration_since(*since);
        (age > MEAN_AGE_MAX).then(|| {
            format!(
                "the mean has not been calculated for {} s: is the server running?",
                age.as_secs()
            )
        })
    }
}

/// What these triggers of one host say together.
fn advice(triggers: &[&Value]) -> Advice {
    let mut up = (false, false);
    let mut known = (false, false);
    for trigger in triggers {
        let says = |way: &str| {
            list(trigger, "tags")
                .iter()
                .any(|t| text(t, "tag") == "scale" && text(t, "value") == way)
        };
        if text(trigger, "state") == "1" {
            let (name, why) = (text(trigger, "description"), text(trigger, "error"));
            return Advice::Unclear(format!("trigger \"{name}\" cannot be evaluated: {why}"));
        }
        let problem = text(trigger, "value") == "1";
        known = (known.0 || says("out"), known.1 || says("in"));
        up = (up.0 || problem && says("out"), up.1 || problem && says("in"));
    }
    match (known, up) {
        ((false, _) | (_, false), _) => {
            Advice::Unclear("a trigger with the tag scale=out or scale=in is missing".to_owned())
        }
        (_, (true, true)) => Advice::Unclear("both triggers have fired".to_owned()),
        (_, (true, false)) => Advice::More,
        (_, (false, true)) => Advice::Fewer,
        (_, (false, false)) => Advice::Keep,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trigger(way: &str, value: &str, state: &str) -> Value {
        json!({
            "description": way, "value": value, "state": state, "error": "no data",
            "tags": [{ "tag": "scale", "value": way }], "hosts": [{ "hostid": "1" }],
        })
    }

    fn said(out: (&str, &str), r#in: (&str, &str)) -> Advice {
        let (out, low) = (trigger("out", out.0, out.1), trigger("in", r#in.0, r#in.1));
        advice(&[&out, &low])
    }

    #[test]
    fn a_trigger_counts_in_problem_and_evaluated() {
        assert_eq!(said(("1", "0"), ("0", "0")), Advice::More);
        assert_eq!(said(("0", "0"), ("1", "0")), Advice::Fewer);
        assert_eq!(said(("0", "0"), ("0", "0")), Advice::Keep);
    }

    #[test]
    fn both_up_or_one_unknown_or_one_missing_is_no_advice() {
        assert_eq!(
            said(("1", "0"), ("1", "0")),
            Advice::Unclear("both triggers have fired".into())
        );
        for state in [("0", "1"), ("1", "1")] {
            let Advice::Unclear(why) = said(("0", "0"), state) else { panic!("{state:?}") };
            assert_eq!(why, "trigger \"in\" cannot be evaluated: no data");
        }
        assert!(matches!(advice(&[&trigger("out", "1", "0")]), Advice::Unclear(_)));
        assert!(matches!(advice(&[]), Advice::Unclear(_)));
    }

    #[test]
    fn a_mean_that_stands_still_is_no_ground_for_anything() {
        let mut triggers = Triggers::new(vec!["web".into()]);
        triggers.hosts = [("1".to_owned(), "web".to_owned())].into();
        let start = Instant::now();
        let mut at = |clock: &str, state: &str, s: u64| {
            let mean = json!({ "hostid": "1", "lastclock": clock, "state": state, "error": "x" });
            let (out, low) = (trigger("out", "1", "0"), trigger("in", "0", "0"));
            triggers.of_host("web", &[out, low], &[mean], start + Duration::from_secs(s))
        };
        assert!(matches!(at("7", "0", 0), Advice::Unclear(_)), "seen only once");
        assert_eq!(at("8", "0", 1), Advice::More);
        assert_eq!(at("8", "0", 11), Advice::More);
        let Advice::Unclear(why) = at("8", "0", 12) else { panic!() };
        assert_eq!(why, "the mean has not been calculated for 11 s: is the server running?");
        assert_eq!(at("9", "1", 13), Advice::Unclear("the mean has no value: x".into()));
    }

    #[test]
    fn a_host_that_is_not_there_is_no_ground_either() {
        let mut triggers = Triggers::new(vec!["web".into()]);
        let Advice::Unclear(why) = triggers.of_host("web", &[], &[], Instant::now()) else {
            panic!()
        };
        assert!(why.contains("provision"), "{why}");
    }
}
