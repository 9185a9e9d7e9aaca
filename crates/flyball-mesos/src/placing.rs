//! Picks the offer that a replica starts on. Among offers that fit, the agent with the fewest
//! replicas of the service wins, then the one with the most free cores. No two tasks get the same
//! port of an address.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use crate::agents::Agent;
use crate::offer::{Needs, Offer, Short, Taken};

/// What is offered, and what is where.
#[derive(Debug, Default)]
pub(crate) struct OfferSet {
    pub(crate) offers: Vec<Offer>,
    /// Addresses that tasks have.
    pub(crate) taken: BTreeSet<SocketAddr>,
    /// How many tasks of each service are on each agent.
    pub(crate) tasks_per_agent: BTreeMap<(String, String), usize>,
    /// The port given last at each address: others may still remember its previous owner.
    pub(crate) last_ports: BTreeMap<IpAddr, u16>,
}

/// Where one replica goes.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) offer: String,
    pub(crate) agent_id: String,
    pub(crate) agent: Agent,
    pub(crate) taken: Taken,
}

impl OfferSet {
    /// Takes a place for a replica of `service`; `None` if it fits nowhere.
    pub(crate) fn place(&mut self, service: &str, needs: Needs) -> Option<Place> {
        let tasks_per_agent = |offer: &Offer| {
            let key = (service.to_owned(), offer.agent_id.clone());
            self.tasks_per_agent.get(&key).copied().unwrap_or(0)
        };
        let fits =
            |offer: &&Offer| offer.short_of(needs, |port| self.is_free(offer, port)).is_none();
        let better = |a: &Offer, b: &Offer| {
            let by_room = || b.cpus().total_cmp(&a.cpus());
            tasks_per_agent(a)
                .cmp(&tasks_per_agent(b))
                .then_with(by_room)
                .then_with(|| a.agent_id.cmp(&b.agent_id))
        };
        let best = self.offers.iter().filter(fits).min_by(|a, b| better(a, b))?.id.clone();
        let Self { offers, taken, tasks_per_agent, last_ports } = self;
        let offer = offers.iter_mut().find(|offer| offer.id == best)?;
        let agent = offer.agent.clone();
        let last = last_ports.entry(agent.at.ip()).or_default();
        let got = offer.take(needs, *last, |port| !taken.contains(&agent.address(port)))?;
        *last = got.port;
        taken.insert(agent.address(got.port));
        *tasks_per_agent.entry((service.to_owned(), offer.agent_id.clone())).or_default() += 1;
        let (offer, agent_id) = (offer.id.clone(), offer.agent_id.clone());
        Some(Place { offer, agent_id, agent, taken: got })
    }

    /// Why a replica fits none of the offers, in words.
    pub(crate) fn why_not(&self, needs: Needs) -> String {
        let short = |offer: &Offer| offer.short_of(needs, |port| self.is_free(offer, port));
        let shorts: Vec<Short> = self.offers.iter().filter_map(short).collect();
        let mut reasons = Vec::new();
        let most = |amounts: Vec<f64>| (amounts.len(), amounts.into_iter().fold(0.0, f64::max));
        let of = |pick: fn(&Short) -> Option<f64>| most(shorts.iter().filter_map(pick).collect());
        let (count, cpus) =
            of(|short| if let Short::Cpus(there) = short { Some(*there) } else { None });
        if count > 0 {
            reasons.push(format!("at most {cpus} of {} cpus on {count}", needs.cpus));
        }
        let (count, mib) =
            of(|short| if let Short::Memory(there) = short { Some(*there) } else { None });
        if count > 0 {
            reasons.push(format!("at most {mib:.0} of {} MiB on {count}", needs.memory_mib));
        }
        let (count, _) = of(|short| (*short == Short::Ports).then_some(0.0));
        if count > 0 {
            reasons.push(format!("no port on {count}"));
        }
        let offers = if self.offers.len() == 1 { "offer" } else { "offers" };
        format!("{} {offers} of mesos, none fits: {}", self.offers.len(), reasons.join(", "))
    }

    fn is_free(&self, offer: &Offer, port: u16) -> bool {
        !self.taken.contains(&offer.agent.address(port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::offer::tests::offer;

    const SMALL: Needs = Needs { cpus: 0.5, memory_mib: 64 };

    #[test]
    fn replicas_spread_over_the_agents_before_they_share_one() {
        let offers = vec![offer(1, 8.0, 4096.0), offer(2, 2.0, 4096.0), offer(3, 1.0, 4096.0)];
        let mut offers = OfferSet { offers, ..OfferSet::default() };
        offers.tasks_per_agent.insert(("web".into(), "S3".into()), 1);
        let mut agents = || offers.place("web", SMALL).map(|place| place.agent_id);
        let placed: Vec<_> = std::iter::from_fn(&mut agents).take(5).collect();
        assert_eq!(placed, ["S1", "S2", "S1", "S2", "S3"]);
    }

    #[test]
    fn no_address_is_given_twice_even_where_two_agents_share_it() {
        let (mut one, two) = (offer(1, 8.0, 4096.0), offer(1, 8.0, 4096.0));
        one.id = "other".into();
        one.agent_id = "S9".into();
        let mut offers = OfferSet { offers: vec![one, two], ..OfferSet::default() };
        offers.taken.insert("10.0.0.1:31001".parse().unwrap());
        let mut next = || offers.place("web", SMALL).map(|place| place.taken.port);
        let ports: Vec<_> = std::iter::from_fn(&mut next).collect();
        assert_eq!(ports, [31_000, 31_005]);
        assert_eq!(offers.why_not(SMALL), "2 offers of mesos, none fits: no port on 2");
    }

    #[test]
    fn what_keeps_a_replica_from_starting_is_said_with_both_amounts() {
        let offers = vec![offer(1, 0.25, 64.0), offer(2, 1.0, 32.0)];
        let mut offers = OfferSet { offers, ..OfferSet::default() };
        assert!(offers.place("web", SMALL).is_none());
        let why = "2 offers of mesos, none fits: at most 0.25 of 0.5 cpus on 1, at most 32 of 64 MiB on 1";
        assert_eq!(offers.why_not(SMALL), why);
    }
}
