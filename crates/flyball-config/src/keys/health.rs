//! Keys for failing replicas and for the embedded proxy.

use super::{ByLabel, Fallback, HOUR_MS, Key, Kind, Section, duration, key};

pub(crate) static LIVENESS: Key = key(
    "liveness",
    duration(0, HOUR_MS),
    Fallback::Is("\"5s\""),
    "Time between two probes of a ready replica, with the probe of `ready`. A replica that fails three times in a row is sick. `\"0s\"` turns probing of ready replicas off.",
)
.by_label(ByLabel::Always);
pub(crate) static SICK_AFTER: Key = key(
    "sick_after",
    duration(0, 24 * HOUR_MS),
    Fallback::Is("\"30s\""),
    "How long a replica may be sick before it is replaced. A sick replica gets no requests and does not count as capacity.",
)
.by_label(ByLabel::Always);
pub(crate) static EJECT_MAX: Key = key(
    "eject_max",
    Kind::Share { above_zero: false, to: 1.0 },
    Fallback::Is("\"50%\""),
    "The largest share of replicas that may be taken out of balancing because they fail: at least one, never all. `\"0%\"`: none.",
)
.by_label(ByLabel::Always);

pub(crate) static PROXY: Section = Section {
    path: "proxy",
    meaning: "The embedded proxy, for all services with `balancer = \"proxy\"` together.",
    keys: &[&TRUSTED_PROXIES, &CONNECTIONS, &CONNECTIONS_PER_CLIENT],
};
pub(crate) static TRUSTED_PROXIES: Key = key(
    "trusted_proxies",
    Kind::Networks,
    Fallback::Is("[\"127.0.0.0/8\", \"::1/128\"]"),
    "Addresses or networks of trusted proxies. Their `X-Forwarded-*`, `X-Real-IP` and `Forwarded` headers are passed on, and they may open any number of connections, since they act for many clients. These headers are removed from requests of all other clients.",
);
pub(crate) static CONNECTIONS: Key = key(
    "connections",
    Kind::Count { from: 16, to: 1_000_000 },
    Fallback::Otherwise("as many as file descriptors and memory allow, at most 20000"),
    "The most client connections open at once. One half is divided evenly among the services as guaranteed shares; the other half is first come, first served. Clients beyond that get a 503.",
);
pub(crate) static CONNECTIONS_PER_CLIENT: Key = key(
    "connections_per_client",
    Kind::Count { from: 1, to: 1_000_000 },
    Fallback::Otherwise("a quarter of `connections`"),
    "The most connections of one client: an IPv4 address or an IPv6 /64 network.",
);
