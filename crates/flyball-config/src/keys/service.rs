//! The keys of a service.
//!
//! Decides nothing beyond the table. Invariant: that of the table of keys.

use crate::bytes::BYTES_MAX;

use super::{
    EJECT_MAX, Fallback, HOUR_MS, Key, Kind, LIVENESS, Only, REPLICAS_MAX, SICK_AFTER, Section,
    duration, key,
};

const PROCESS: Only = Only("engine", &["process"]);
const CONTAINER: Only = Only("engine", &["docker"]);
const SWARM: Only = Only("engine", &["swarm"]);
/// Where replicas have a port of their own inside.
const PORTED: Only = Only("engine", &["docker", "swarm", "mesos", "marathon"]);
/// Where flyball says how requests reach a replica.
const REACHED: Only = Only("engine", &["docker", "swarm", "mesos"]);
/// Where an engine does not know what a replica may use.
const MEASURED: Only = Only("engine", &["process", "docker", "swarm", "mesos"]);
const MARATHON: Only = Only("engine", &["marathon"]);
/// Where replicas may be in networks of their own.
const NETWORKED: Only = Only("engine", &["docker", "swarm"]);
/// Where flyball starts and ends each replica.
const STARTED: Only = Only("engine", &["process", "docker", "mesos"]);
/// What a container is, whoever runs it.
const IMAGED: Only = Only("engine", &["docker", "mesos"]);

/// Docker's own least, in bytes.
const MEMORY_MIN: u64 = 6 << 20;

pub(crate) static SERVICE: Section = Section {
    path: "services.NAME",
    meaning: "One service. `NAME` is 1 to 63 of `a-z`, `0-9` and `-`, with no `-` in front.",
    keys: &[
        &ENGINE,
        &BALANCER,
        &LISTEN,
        &BACKEND_TABLE,
        &SWARM_SERVICE,
        &APP,
        &IMAGE,
        &COMMAND,
        &ENV,
        &DIRECTORY,
        &PORT,
        &REACH,
        &PUBLISH_ON,
        &NETWORK,
        &CPUS,
        &MEMORY,
        &LABELS,
        &LOG,
        &MIN,
        &MAX,
        &READY,
        &LIVENESS,
        &SICK_AFTER,
        &EJECT_MAX,
        &DRAIN,
        &GRACE,
        &START_LIMIT,
        &START_LAG,
        &LOOK,
        &SLOTS,
        &ERROR_LIMIT,
        &POLICY_KEY,
    ],
};
pub(crate) static ENGINE: Key = key(
    "engine",
    Kind::Choice(&["process", "docker", "swarm", "mesos", "marathon"]),
    Fallback::Required,
    "What runs the replicas.",
);
pub(crate) static BALANCER: Key = key(
    "balancer",
    Kind::Choice(&["proxy", "haproxy", "none"]),
    Fallback::Is("\"proxy\""),
    "What spreads requests over the replicas.",
);
pub(crate) static LISTEN: Key = key(
    "listen",
    Kind::Address,
    Fallback::Required,
    "Where the proxy takes this service's requests; port 0 takes any free one.",
)
.only(&[Only("balancer", &["proxy"])]);
pub(crate) static BACKEND_TABLE: Key = key(
    "haproxy",
    Kind::Table("services.NAME.haproxy"),
    Fallback::Otherwise("all defaults"),
    "The backend of HAProxy whose servers the replicas are.",
)
.only(&[Only("balancer", &["haproxy"])]);
pub(crate) static SWARM_SERVICE: Key = key(
    "swarm_service",
    Kind::Text,
    Fallback::Otherwise("the service's name"),
    "What Swarm calls the service; in a stack, `STACK_NAME`.",
)
.only(&[SWARM]);
pub(crate) static APP: Key = key(
    "app",
    Kind::Text,
    Fallback::Otherwise("`/` and the service's name"),
    "The id of the app of Marathon, with its groups: `/GROUP/NAME`.",
)
.only(&[MARATHON]);
pub(crate) static IMAGE: Key = key(
    "image",
    Kind::Text,
    Fallback::Otherwise("the newest container that is labelled `flyball.service=NAME` is copied"),
    "The image that replicas are made from; required for `engine = \"mesos\"`.",
)
.only(&[IMAGED]);
pub(crate) static COMMAND: Key = key(
    "command",
    Kind::Words,
    Fallback::Otherwise("required for a process; else the image's own"),
    "The program of a replica and its arguments; `{port}` stands for the port that it serves on.",
)
.only(&[STARTED]);
pub(crate) static ENV: Key = key(
    "env",
    Kind::Variables,
    Fallback::Is("{}"),
    "Variables added to a replica's environment. Their values are never shown.",
)
.only(&[STARTED]);
pub(crate) static DIRECTORY: Key = key(
    "directory",
    Kind::Path,
    Fallback::Otherwise("flyball's own"),
    "The directory that a replica runs in.",
)
.only(&[PROCESS]);
pub(crate) static PORT: Key = key(
    "port",
    Kind::Port,
    Fallback::Otherwise("required; with `engine = \"marathon\"` the first port of the app"),
    "The port that a replica serves on inside of its container. With `reach = \"host\"` it holds only for containers that flyball did not start.",
)
.only(&[PORTED]);
pub(crate) static REACH: Key = key(
    "reach",
    Kind::Choice(&["published", "container", "host"]),
    Fallback::Is("\"published\""),
    "How requests reach a replica: at a free port of the host (of a Swarm: the port that its node publishes in host mode); at the container's own address (of a Swarm: in an overlay network); or in the host's own network, at a free port that it is told in the variable `PORT` and by `{port}` (not in a Swarm). On Mesos the port is one that was offered, and `\"container\"` is refused.",
)
.only(&[REACHED]);
pub(crate) static PUBLISH_ON: Key = key(
    "publish_on",
    Kind::Ip,
    Fallback::Is("\"127.0.0.1\""),
    "The address of the host that the port is published on.",
)
.only(&[CONTAINER, Only("reach", &["published"])]);
pub(crate) static NETWORK: Key = key(
    "network",
    Kind::Text,
    Fallback::Otherwise(
        "the only one of the copied container, or the one that the balancer is in, too; without a container to copy, Docker's default",
    ),
    "The network that a replica is reached in. A copy stays in all networks of the copied container, of which this is one; the short name in a Compose file will do. A replica of `image` joins this one. Of a Swarm, with `reach = \"container\"`, the one of its networks that it is reached in (the first where none is named).",
)
.only(&[NETWORKED, Only("reach", &["published", "container"])]);
pub(crate) static CPUS: Key = key(
    "cpus",
    Kind::Cores,
    Fallback::Otherwise(
        "1.0 for a process or a task of Mesos; else that of the copied container, or no limit",
    ),
    "Cores that one replica may use; at least 0.01 for a container. In a Swarm, what load is reckoned against where the service sets no limit.",
)
.only(&[MEASURED]);
pub(crate) static MEMORY: Key = key(
    "memory",
    Kind::Bytes { from: MEMORY_MIN, to: BYTES_MAX },
    Fallback::Otherwise(
        "256MiB for a task of Mesos; else that of the copied container, or no limit",
    ),
    "Memory that one replica may use; at least 32MiB for a task of Mesos.",
)
.only(&[IMAGED]);
pub(crate) static LABELS: Key = key(
    "labels",
    Kind::Variables,
    Fallback::Is("{}"),
    "Labels of a replica, beside flyball's own.",
)
.only(&[IMAGED]);
pub(crate) static LOG: Key = key(
    "log",
    Kind::Variables,
    Fallback::Otherwise("that of the copied container, or Docker's default"),
    "Docker's log driver and its options: `{ driver = \"json-file\", max-size = \"10m\" }`. Their values are never shown.",
)
.only(&[CONTAINER]);
pub(crate) static MIN: Key = key(
    "min",
    Kind::Count { from: 0, to: REPLICAS_MAX },
    Fallback::Is("1"),
    "The fewest replicas, kept whatever is known or not known. 0 lets the service sleep until a request comes; with `balancer = \"none\"` only beside `policy = \"external\"`, since nobody else would wake it.",
);
pub(crate) static MAX: Key =
    key("max", Kind::Count { from: 1, to: REPLICAS_MAX }, Fallback::Is("10"), "The most replicas.");
pub(crate) static READY: Key = key(
    "ready",
    Kind::Table("services.NAME.ready"),
    Fallback::Otherwise(
        "any HTTP reply to `GET /` but a server error (5xx other than 501 and 505)",
    ),
    "When a started replica counts as ready; the word `\"tcp\"` stands for `{ tcp = true }`.",
);
pub(crate) static DRAIN: Key = key(
    "drain",
    duration(0, 24 * HOUR_MS),
    Fallback::Is("\"30s\""),
    "How long a replica that leaves may take to finish its requests.",
);
pub(crate) static GRACE: Key = key(
    "grace",
    duration(0, HOUR_MS),
    Fallback::Otherwise("`\"10s\"`; with `engine = \"docker\"` the container's own (`stop_grace_period`, `--stop-timeout`), or Docker's 10 s"),
    "How long a replica may take to end after SIGTERM, or its own stop signal, before it gets SIGKILL.",
)
.only(&[STARTED]);
pub(crate) static START_LIMIT: Key = key(
    "start_limit",
    duration(100, 24 * HOUR_MS),
    Fallback::Is("\"5m\""),
    "How long a replica may take to become ready before it is given up.",
)
.only(&[STARTED]);
pub(crate) static START_LAG: Key = key(
    "start_lag",
    duration(1, 24 * HOUR_MS),
    Fallback::Otherwise("1 s for a process, 2 s for everything else"),
    "How long a start is taken to last until it has been measured.",
);
pub(crate) static LOOK: Key = key(
    "look",
    duration(10, HOUR_MS),
    Fallback::Otherwise("a fifth of the start lag, within 100 ms and 2 s"),
    "Time from one look to the next.",
);
pub(crate) static SLOTS: Key = key(
    "slots",
    Kind::Count { from: 1, to: 100_000 },
    Fallback::Otherwise("not limited"),
    "Requests that one replica works on at once; HAProxy's `maxconn` of a server.",
)
.only(&[Only("balancer", &["proxy", "haproxy"])]);
pub(crate) static ERROR_LIMIT: Key = key(
    "error_limit",
    Kind::Share { above_zero: false, to: 1.0 },
    Fallback::Is("\"1%\""),
    "The share of a minute's requests that may fail (5xx, or no answer) before flyball says so on its page, in `flyball status`, in its log and in its metrics. `\"100%\"`: never. No count depends on it.",
)
.only(&[Only("balancer", &["proxy", "haproxy"])]);
pub(crate) static POLICY_KEY: Key = key(
    "policy",
    Kind::Table("services.NAME.policy"),
    Fallback::Is("\"governor\""),
    "How the count is recommended: `\"governor\"`, `\"target\"`, `\"step\"` or `\"external\"` (only the API moves it), or a table with one of them. In a table, `{ external = \"zabbix\" }` follows Zabbix's triggers.",
);

pub(crate) static READY_TABLE: Section = Section {
    path: "services.NAME.ready",
    meaning: "One of the two.",
    keys: &[&READY_HTTP, &READY_TCP],
};
pub(crate) static READY_HTTP: Key = key(
    "http",
    Kind::HttpPath,
    Fallback::Otherwise("not asked"),
    "Ready once `GET` of this path is answered with a status below 400.",
);
pub(crate) static READY_TCP: Key = key(
    "tcp",
    Kind::Flag,
    Fallback::Otherwise("not asked"),
    "`true`: ready once a connection is accepted. Docker accepts one at a published port before the replica does.",
);

pub(crate) static BACKEND: Section = Section {
    path: "services.NAME.haproxy",
    meaning: "The backend that is kept. No two services may have the same.",
    keys: &[&BACKEND_NAME, &FILE, &FILE_LINES, &TEMPLATE_TABLE, &CHECK, &OPTIONS],
};
pub(crate) static BACKEND_NAME: Key = key(
    "backend",
    Kind::HaproxyName,
    Fallback::Otherwise("the service's name"),
    "Its name in HAProxy's configuration.",
);
pub(crate) static FILE: Key = key(
    "file",
    Kind::Path,
    Fallback::Otherwise("none is kept"),
    "A file with the whole backend that flyball makes when it starts and writes after every change, so that a reload by anybody finds the servers. HAProxy is started with it beside its own, once it is there: `haproxy -f haproxy.cfg -f FILE`.",
);
pub(crate) static FILE_LINES: Key = key(
    "lines",
    Kind::Lines,
    Fallback::Is("[]"),
    "What stands in that file beside the servers, such as `[\"balance leastconn\"]`.",
);
pub(crate) static TEMPLATE_TABLE: Key = key(
    "template",
    Kind::Table("services.NAME.haproxy.template"),
    Fallback::Otherwise("servers are made as needed"),
    "The slots to use with HAProxy before 2.6.",
);
pub(crate) static CHECK: Key = key(
    "check",
    Kind::Flag,
    Fallback::Otherwise("true where the backend has `mode http`"),
    "Whether HAProxy checks the servers, too, beside flyball's own probe, and takes one out that answers 10 errors in a row (`observe`).",
);
pub(crate) static OPTIONS: Key = key(
    "options",
    Kind::Options,
    Fallback::Is("\"\""),
    "More words of each server, such as `\"ssl verify none\"`, in the file and at run time alike: `default-server` lines do not reach servers that are made at run time. Words about checks take the place of flyball's own. Not a label.",
);

pub(crate) static TEMPLATE: Section = Section {
    path: "services.NAME.haproxy.template",
    meaning: "The slots that a line `server-template PREFIX COUNT 127.0.0.1:1 disabled` makes.",
    keys: &[&PREFIX, &COUNT],
};
pub(crate) static PREFIX: Key =
    key("prefix", Kind::HaproxyName, Fallback::Required, "What the names of the slots begin with.");
pub(crate) static COUNT: Key =
    key("count", Kind::Count { from: 1, to: 10_000 }, Fallback::Required, "How many there are.");
