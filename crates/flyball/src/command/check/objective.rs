//! Says what tells which requests of a service are late, where its policy has an objective.

use flyball_config::{Balancer, Service};

use crate::finding::Finding;

pub(super) fn look_at(service: &Service) -> Option<Finding> {
    service.policy.rule.objective()?;
    Some(by(&service.name, &service.balancer))
}

fn by(name: &str, balancer: &Balancer) -> Finding {
    let (text, hint) = match balancer {
        Balancer::Proxy { .. } => {
            ("late requests are counted, by their whole time at the embedded proxy", None)
        }
        Balancer::Haproxy { .. } => (
            "HAProxy shows only its queue: a request counts as late that waits there longer than \
             `within`, and no replicas are saved on the word of that queue",
            None,
        ),
        Balancer::None => (
            "an objective has no effect without a balancer: nothing tells how many requests \
             arrive, nor which are late",
            Some("set `balancer`, or remove `objective`: the count then follows CPU"),
        ),
    };
    let key = format!("services.{name}.policy.governor.objective");
    let finding = Finding::good(key, text);
    match hint {
        Some(hint) => finding.hint(hint),
        None => finding,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_balancer_an_objective_is_said_to_have_no_effect() {
        let listen = std::net::SocketAddr::from(([127, 0, 0, 1], 80));
        let counted = by("web", &Balancer::Proxy { listen, slots: None, ignore: Vec::new() });
        assert!(counted.text.contains("counted") && counted.hint.is_none(), "{counted:?}");
        let none = by("web", &Balancer::None);
        assert!(none.text.contains("no effect") && none.hint.is_some(), "{none:?}");
    }
}
