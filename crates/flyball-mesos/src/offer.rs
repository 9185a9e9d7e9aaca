//! One offer: what an agent has to spare for this framework now. Resources are written back as they
//! were offered, with role and reservation, and never exceed the offer. Amounts are thousandths, as
//! in Mesos.

use serde_json::Value;

use crate::agents::Agent;

/// Resources of one agent, offered once.
#[derive(Clone, Debug)]
pub(crate) struct Offer {
    pub(crate) id: String,
    pub(crate) agent_id: String,
    pub(crate) agent: Agent,
    parts: Vec<Part>,
}

/// Resources of one kind and one owner.
#[derive(Clone, Debug)]
struct Part {
    kind: Kind,
    /// As it was offered; only the amount differs in what is taken.
    entry: Value,
    amount: Amount,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Cpus,
    Memory,
    Ports,
}

#[derive(Clone, Debug)]
enum Amount {
    Thousandths(u64),
    /// Ranges with both ends, in order.
    Ranges(Vec<(u16, u16)>),
}

/// What one task takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Needs {
    pub(crate) cpus: f64,
    pub(crate) memory_mib: u64,
}

/// What was taken for one task.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    pub(crate) port: u16,
    /// For its `resources`.
    pub(crate) resources: Vec<Value>,
}

/// What an offer has too little of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Short {
    /// Cores that are there.
    Cpus(f64),
    /// Memory that is there, in MiB.
    Memory(f64),
    /// No port is left.
    Ports,
}

impl Offer {
    /// Reads one; `None` if it lacks what makes it an offer.
    pub(crate) fn of(offer: &Value) -> Option<Self> {
        let id = |key: &str| Some(offer.get(key)?.get("value")?.as_str()?.to_owned());
        let resources = offer.get("resources").and_then(Value::as_array);
        let parts = resources.into_iter().flatten().filter_map(Part::of).collect();
        let agent = Agent::of_url(offer.get("url")?)?;
        Some(Self { id: id("id")?, agent_id: id("agent_id")?, agent, parts })
    }

    pub(crate) fn cpus(&self) -> f64 {
        real(self.sum(Kind::Cpus))
    }

    /// Why a task does not fit, if it does not. `free` says whether a port may be used.
    pub(crate) fn short_of(&self, needs: Needs, free: impl Fn(u16) -> bool) -> Option<Short> {
        if self.sum(Kind::Cpus) < thousandths(needs.cpus) {
            Some(Short::Cpus(self.cpus()))
        } else if self.sum(Kind::Memory) < needs.memory_mib * 1_000 {
            Some(Short::Memory(real(self.sum(Kind::Memory))))
        } else {
            self.port(0, free).is_none().then_some(Short::Ports)
        }
    }

    /// Takes what a task needs, with the first free port after `after`; `None`, and nothing is
    /// taken, if it does not fit.
    pub(crate) fn take(
        &mut self,
        needs: Needs,
        after: u16,
        free: impl Fn(u16) -> bool,
    ) -> Option<Taken> {
        if self.short_of(needs, &free).is_some() {
            return None;
        }
        let (part, port) = self.port(after, free)?;
        let mut resources = vec![self.parts.get_mut(part)?.cut_port(port)?];
        let wanted =
            [(Kind::Cpus, thousandths(needs.cpus)), (Kind::Memory, needs.memory_mib * 1_000)];
        for (kind, mut missing) in wanted {
            for part in self.parts.iter_mut().filter(|part| part.kind == kind) {
                resources.extend(part.cut(&mut missing));
            }
        }
        Some(Taken { port, resources })
    }

    /// Which part has the first free port after `after`, from the beginning again after the last.
    fn port(&self, after: u16, free: impl Fn(u16) -> bool) -> Option<(usize, u16)> {
        let ranges = self.parts.iter().enumerate().filter_map(|(n, part)| match &part.amount {
            Amount::Ranges(ranges) => Some(ranges.iter().map(move |range| (n, *range))),
            Amount::Thousandths(_) => None,
        });
        let ports = || {
            ranges.clone().flatten().flat_map(|(n, (from, to))| (from..=to).map(move |p| (n, p)))
        };
        let free = |found: &(usize, u16)| free(found.1);
        ports().filter(|(_, port)| *port > after).find(&free).or_else(|| ports().find(&free))
    }

    fn sum(&self, kind: Kind) -> u64 {
        let amount = |part: &Part| match part.amount {
            Amount::Thousandths(amount) if part.kind == kind => amount,
            _ => 0,
        };
        self.parts.iter().map(amount).sum()
    }
}

impl Part {
    /// `None` for what no task of ours takes, and for what may be taken back.
    fn of(entry: &Value) -> Option<Self> {
        if entry.get("revocable").is_some() || entry.get("shared").is_some() {
            return None;
        }
        let scalar = || entry.get("scalar")?.get("value")?.as_f64().map(thousandths);
        let (kind, amount) = match entry.get("name")?.as_str()? {
            "cpus" => (Kind::Cpus, Amount::Thousandths(scalar()?)),
            "mem" => (Kind::Memory, Amount::Thousandths(scalar()?)),
            "ports" => {
                let ranges = entry.get("ranges")?.get("range")?.as_array()?;
                let end = |range: &Value, key: &str| {
                    u16::try_from(range.get(key)?.as_u64()?).ok().filter(|port| *port > 0)
                };
                let range = |range: &Value| Some((end(range, "begin")?, end(range, "end")?));
                (Kind::Ports, Amount::Ranges(ranges.iter().filter_map(range).collect()))
            }
            _ => return None,
        };
        Some(Self { kind, entry: entry.clone(), amount })
    }

    /// Takes as much of `missing` as there is.
    fn cut(&mut self, missing: &mut u64) -> Option<Value> {
        let Amount::Thousandths(there) = &mut self.amount else { return None };
        let taken = (*there).min(*missing);
        *there -= taken;
        *missing -= taken;
        let mut entry = self.entry.clone();
        entry["scalar"] = serde_json::json!({ "value": real(taken) });
        (taken > 0).then_some(entry)
    }

    fn cut_port(&mut self, port: u16) -> Option<Value> {
        let Amount::Ranges(ranges) = &mut self.amount else { return None };
        let at = ranges.iter().position(|(from, to)| (*from..=*to).contains(&port))?;
        let (from, to) = ranges.remove(at);
        if port < to {
            ranges.insert(at, (port + 1, to));
        }
        if port > from {
            ranges.insert(at, (from, port - 1));
        }
        let mut entry = self.entry.clone();
        entry["ranges"] = serde_json::json!({ "range": [{ "begin": port, "end": port }] });
        Some(entry)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float-to-int cast saturates, and NaN becomes 0: both are wanted here"
)]
fn thousandths(amount: f64) -> u64 {
    (amount * 1_000.0).round() as u64
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52 thousandths")]
fn real(thousandths: u64) -> f64 {
    thousandths as f64 / 1_000.0
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    /// An offer of agent `n` at 10.0.0.n, with its cpus in two parts and three ports.
    pub(crate) fn offer(n: u8, cpus: f64, mem: f64) -> Offer {
        let part = |name: &str, amount: f64, role: &str| {
            json!({ "name": name, "type": "SCALAR", "scalar": { "value": amount },
                "allocation_info": { "role": role } })
        };
        let ranges =
            json!([{ "begin": 31_000, "end": 31_001 }, { "begin": 31_005, "end": 31_005 }]);
        let offer = json!({
            "id": { "value": format!("offer-{n}") }, "agent_id": { "value": format!("S{n}") },
            "url": { "path": "/slave(1)",
                "address": { "ip": format!("10.0.0.{n}"), "port": 5051 } },
            "resources": [
                part("cpus", cpus / 2.0, "a"), part("cpus", cpus / 2.0, "b"), part("mem", mem, "a"),
                part("disk", 1e3, "a"), { "name": "gpus" }, 7,
                { "name": "cpus", "scalar": { "value": 99.0 }, "revocable": {} },
                { "name": "ports", "type": "RANGES", "ranges": { "range": ranges } },
            ],
        });
        Offer::of(&offer).unwrap()
    }

    #[test]
    fn a_task_takes_its_amounts_from_all_parts_and_each_part_keeps_its_owner() {
        let mut offer = offer(1, 1.0, 256.0);
        let needs = Needs { cpus: 0.7, memory_mib: 100 };
        let taken = offer.take(needs, 0, |_| true).unwrap();
        let said = |n: usize| {
            let entry = &taken.resources[n];
            (entry["scalar"]["value"].as_f64(), entry["allocation_info"]["role"].as_str())
        };
        assert_eq!(taken.port, 31_000);
        assert_eq!((said(1), said(2)), ((Some(0.5), Some("a")), (Some(0.2), Some("b"))));
        assert_eq!(offer.short_of(needs, |_| true), Some(Short::Cpus(0.3)));
        let small = Needs { cpus: 0.1, memory_mib: 200 };
        assert_eq!(offer.short_of(small, |_| true), Some(Short::Memory(156.0)));
    }

    #[test]
    fn ports_go_round_and_none_is_given_that_is_in_use() {
        let mut offer = offer(1, 4.0, 4096.0);
        let needs = Needs { cpus: 0.1, memory_mib: 32 };
        let mut ports = Vec::new();
        let mut last = 31_000;
        while let Some(taken) = offer.take(needs, last, |port| port != 31_005) {
            ports.push(taken.port);
            last = taken.port;
        }
        assert_eq!(ports, [31_001, 31_000]);
        assert_eq!(offer.short_of(needs, |port| port != 31_005), Some(Short::Ports));
        assert_eq!(offer.short_of(needs, |_| true), None);
    }
}
