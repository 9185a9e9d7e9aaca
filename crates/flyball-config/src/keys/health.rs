//! The keys of what becomes of replicas that fail, and of the embedded proxy.
//!
//! Decides nothing beyond the table. Invariant: that of the table of keys.

use super::{Fallback, HOUR_MS, Key, Kind, Section, duration, key};

pub(crate) static LIVENESS: Key = key(
    "liveness",
    duration(0, HOUR_MS),
    Fallback::Is("\"5s\""),
    "Time from one probe of a ready replica to the next; it is the probe of `ready`. One that fails it three times in a row is sick. `\"0s\"`: ready replicas are not probed.",
);
pub(crate) static SICK_AFTER: Key = key(
    "sick_after",
    duration(0, 24 * HOUR_MS),
    Fallback::Is("\"30s\""),
    "How long a replica may be sick before it is replaced. It gets no requests meanwhile and is no capacity.",
);
pub(crate) static EJECT_MAX: Key = key(
    "eject_max",
    Kind::Share { above_zero: false, to: 1.0 },
    Fallback::Is("\"50%\""),
    "The share of the replicas that may be kept from requests because they fail, at least one, never all. `\"0%\"`: nobody is.",
);

pub(crate) static PROXY: Section = Section {
    path: "proxy",
    meaning: "The embedded proxy, for all services with `balancer = \"proxy\"` together.",
    keys: &[&TRUSTED_PROXIES, &CONNECTIONS, &CONNECTIONS_PER_CLIENT],
};
pub(crate) static TRUSTED_PROXIES: Key = key(
    "trusted_proxies",
    Kind::Networks,
    Fallback::Is("[\"127.0.0.0/8\", \"::1/128\"]"),
    "Whose `X-Forwarded-*`, `X-Real-IP` and `Forwarded` are passed on, as addresses or networks, and who may open any number of connections, since they speak for many clients. From everybody else these fields are taken off.",
);
pub(crate) static CONNECTIONS: Key = key(
    "connections",
    Kind::Count { from: 16, to: 1_000_000 },
    Fallback::Otherwise("what descriptors and memory allow, at most 20000"),
    "Client connections open at once. Each service is sure of its part of one half of them; the other half goes to whoever comes first. Beyond that clients are answered with 503.",
);
pub(crate) static CONNECTIONS_PER_CLIENT: Key = key(
    "connections_per_client",
    Kind::Count { from: 1, to: 1_000_000 },
    Fallback::Otherwise("a quarter of `connections`"),
    "The same for one client: an IPv4 address, or a /64 network of IPv6.",
);
