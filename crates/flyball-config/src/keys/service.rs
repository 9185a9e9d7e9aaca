//! Keys of a service.

use crate::bytes::BYTES_MAX;

use super::{
    ByLabel, EJECT_MAX, Fallback, HOUR_MS, Key, Kind, LIVENESS, Only, REPLICAS_MAX, SICK_AFTER,
    Section, duration, key,
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
/// Engines whose replicas are containers that flyball defines.
const IMAGED: Only = Only("engine", &["docker", "mesos"]);

/// Docker's own least, in bytes.
const MEMORY_MIN: u64 = 6 << 20;

pub(crate) static SERVICE: Section = Section {
    path: "services.NAME",
    meaning: "One service. `NAME` is 1 to 63 characters of `a-z`, `0-9` and `-`, and does not start with `-`.",
    keys: &[
        &ENGINE,
        &BALANCER,
        &LISTEN,
        &BACKEND_TABLE,
        &SWARM_SERVICE,
        &APP,
        &IMAGE,
        &ADOPT,
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
        &INTERVAL,
        &SLOTS,
        &ERROR_LIMIT,
        &POLICY_KEY,
    ],
};
pub(crate) static ENGINE: Key = key(
    "engine",
    Kind::Choice(&["process", "docker", "swarm", "mesos", "marathon"]),
    Fallback::Required,
    "Where the replicas run.",
)
.by_label(ByLabel::Never);
pub(crate) static BALANCER: Key = key(
    "balancer",
    Kind::Choice(&["proxy", "haproxy", "none"]),
    Fallback::Is("\"proxy\""),
    "What distributes requests among the replicas.",
)
.by_label(ByLabel::Always);
pub(crate) static LISTEN: Key = key(
    "listen",
    Kind::Address,
    Fallback::Required,
    "The address on which the proxy accepts this service's requests. Port 0 picks a free port.",
)
.only(&[Only("balancer", &["proxy"])])
.by_label(ByLabel::Allowed);
pub(crate) static BACKEND_TABLE: Key = key(
    "haproxy",
    Kind::Table("services.NAME.haproxy"),
    Fallback::Otherwise("all defaults"),
    "The HAProxy backend that the replicas are servers of.",
)
.only(&[Only("balancer", &["haproxy"])])
.by_label(ByLabel::Always);
pub(crate) static SWARM_SERVICE: Key = key(
    "swarm_service",
    Kind::Text,
    Fallback::Otherwise("the service's name"),
    "The service's name in Swarm; for a service `NAME` of a stack `STACK`, it is `STACK_NAME`.",
)
.only(&[SWARM])
.by_label(ByLabel::Never);
pub(crate) static APP: Key = key(
    "app",
    Kind::Text,
    Fallback::Otherwise("`/` and the service's name"),
    "The id of the Marathon app, with its groups: `/GROUP/NAME`.",
)
.only(&[MARATHON])
.by_label(ByLabel::Never);
pub(crate) static IMAGE: Key = key(
    "image",
    Kind::Text,
    Fallback::Otherwise("required, unless there is a container to copy: with `adopt = true` and for services defined by labels, the newest one"),
    "The image that replicas are created from.",
)
.only(&[IMAGED])
.by_label(ByLabel::Allowed);
pub(crate) static ADOPT: Key = key(
    "adopt",
    Kind::Flag,
    Fallback::Is("false"),
    "Whether containers that flyball did not start join the service by their label `flyball.service=NAME`, as replicas that flyball never removes. `false`: only containers that flyball started are replicas.",
)
.only(&[CONTAINER])
.by_label(ByLabel::Never);
pub(crate) static COMMAND: Key = key(
    "command",
    Kind::Words,
    Fallback::Otherwise("required for a process; otherwise the image's own"),
    "The program that a replica runs, and its arguments. `{port}` is replaced by the port to serve on.",
)
.only(&[STARTED])
.by_label(ByLabel::Allowed);
pub(crate) static ENV: Key = key(
    "env",
    Kind::Variables,
    Fallback::Is("{}"),
    "Environment variables to add. Their values are never shown.",
)
.only(&[STARTED])
.by_label(ByLabel::Allowed);
pub(crate) static DIRECTORY: Key = key(
    "directory",
    Kind::Path,
    Fallback::Otherwise("that of flyball"),
    "The working directory of a replica.",
)
.only(&[PROCESS])
.by_label(ByLabel::Never);
pub(crate) static PORT: Key = key(
    "port",
    Kind::Port,
    Fallback::Otherwise("required; with `engine = \"marathon\"`, the first port of the app"),
    "The port that a replica serves on inside its container. With `reach = \"host\"`, it applies only to containers that flyball did not start.",
)
.only(&[PORTED])
.by_label(ByLabel::Always);
pub(crate) static REACH: Key = key(
    "reach",
    Kind::Choice(&["published", "container", "host"]),
    Fallback::Is("\"published\""),
    "How requests reach a replica. `\"published\"`: at a free port of the host (Swarm: the port that its node publishes in host mode). `\"container\"`: at the container's own address (Swarm: in an overlay network). `\"host\"`: in the host's network, at a free port that the replica gets as the variable `PORT` and as `{port}` (not with Swarm). On Mesos, the port is one from the offer, and `\"container\"` is refused.",
)
.only(&[REACHED])
.by_label(ByLabel::Allowed);
pub(crate) static PUBLISH_ON: Key = key(
    "publish_on",
    Kind::Ip,
    Fallback::Is("\"127.0.0.1\""),
    "The host address on which the port is published.",
)
.only(&[CONTAINER, Only("reach", &["published"])])
.by_label(ByLabel::Allowed);
pub(crate) static NETWORK: Key = key(
    "network",
    Kind::Text,
    Fallback::Otherwise(
        "the only network of the copied container, or the one that the balancer is also in; without a container to copy, Docker's default",
    ),
    "The network in which requests reach a replica. A copy joins all networks of the copied container, and this must be one of them; the short name from a Compose file works. A replica made from `image` joins this network. With Swarm and `reach = \"container\"`, it is the one of the service's networks to use (by default the first).",
)
.only(&[NETWORKED, Only("reach", &["published", "container"])])
.by_label(ByLabel::Within);
pub(crate) static CPUS: Key = key(
    "cpus",
    Kind::Cores,
    Fallback::Otherwise(
        "1.0 for a process or a Mesos task; otherwise that of the copied container, or no limit",
    ),
    "CPU cores that one replica may use; at least 0.01 for a container. With Swarm, CPU usage is relative to this where the service sets no limit.",
)
.only(&[MEASURED])
.by_label(ByLabel::Within);
pub(crate) static MEMORY: Key = key(
    "memory",
    Kind::Bytes { from: MEMORY_MIN, to: BYTES_MAX },
    Fallback::Otherwise(
        "256MiB for a Mesos task; otherwise that of the copied container, or no limit",
    ),
    "Memory that one replica may use; at least 32MiB for a Mesos task.",
)
.only(&[IMAGED])
.by_label(ByLabel::Within);
pub(crate) static LABELS: Key = key(
    "labels",
    Kind::Variables,
    Fallback::Is("{}"),
    "Labels to add to a replica, besides flyball's own.",
)
.only(&[IMAGED])
.by_label(ByLabel::Allowed);
pub(crate) static LOG: Key = key(
    "log",
    Kind::Variables,
    Fallback::Otherwise("that of the copied container, or Docker's default"),
    "The Docker log driver and its options: `{ driver = \"json-file\", max-size = \"10m\" }`. The values are never shown.",
)
.only(&[CONTAINER])
.by_label(ByLabel::Allowed);
pub(crate) static MIN: Key = key(
    "min",
    Kind::Count { from: 0, to: REPLICAS_MAX },
    Fallback::Is("1"),
    "The fewest replicas, kept even without measurements. With 0, the service may scale to zero until a request arrives. `balancer = \"none\"` sees no requests, so 0 then requires `policy = \"external\"`.",
)
.by_label(ByLabel::Always);
pub(crate) static MAX: Key =
    key("max", Kind::Count { from: 1, to: REPLICAS_MAX }, Fallback::Is("10"), "The most replicas.")
        .by_label(ByLabel::Always);
pub(crate) static READY: Key = key(
    "ready",
    Kind::Table("services.NAME.ready"),
    Fallback::Otherwise(
        "any HTTP response to `GET /` except a server error (5xx other than 501 and 505)",
    ),
    "When a started replica counts as ready. `\"tcp\"` is short for `{ tcp = true }`.",
)
.by_label(ByLabel::Always);
pub(crate) static DRAIN: Key = key(
    "drain",
    duration(0, 24 * HOUR_MS),
    Fallback::Is("\"30s\""),
    "How long a replica that is being removed may take to finish its requests.",
)
.by_label(ByLabel::Always);
pub(crate) static GRACE: Key = key(
    "grace",
    duration(0, HOUR_MS),
    Fallback::Otherwise("`\"10s\"`; with `engine = \"docker\"`, the container's own (`stop_grace_period`, `--stop-timeout`), or Docker's 10 s"),
    "How long a replica may take to exit after SIGTERM, or its own stop signal, before it gets SIGKILL.",
)
.only(&[STARTED])
.by_label(ByLabel::Always);
pub(crate) static START_LIMIT: Key = key(
    "start_limit",
    duration(100, 24 * HOUR_MS),
    Fallback::Is("\"5m\""),
    "How long a replica may take to become ready before it is abandoned.",
)
.only(&[STARTED])
.by_label(ByLabel::Always);
pub(crate) static START_LAG: Key = key(
    "start_lag",
    duration(1, 24 * HOUR_MS),
    Fallback::Otherwise("1 s for a process, otherwise 2 s"),
    "The assumed start-up time of a replica until it has been measured.",
)
.by_label(ByLabel::Always);
pub(crate) static INTERVAL: Key = key(
    "interval",
    duration(10, HOUR_MS),
    Fallback::Otherwise("a fifth of the start lag, within 100 ms and 2 s"),
    "Time between two passes of the control loop.",
)
.by_label(ByLabel::Always);
pub(crate) static SLOTS: Key = key(
    "slots",
    Kind::Count { from: 1, to: 100_000 },
    Fallback::Otherwise("unlimited"),
    "Requests that one replica handles at once; in HAProxy, the `maxconn` of a server.",
)
.only(&[Only("balancer", &["proxy", "haproxy"])])
.by_label(ByLabel::Always);
pub(crate) static ERROR_LIMIT: Key = key(
    "error_limit",
    Kind::Share { above_zero: false, to: 1.0 },
    Fallback::Is("\"1%\""),
    "The share of a minute's requests that may fail (5xx, or no response) before flyball warns on the dashboard, in `flyball status`, in its log and in its metrics. `\"100%\"`: never. It does not affect the count.",
)
.only(&[Only("balancer", &["proxy", "haproxy"])])
.by_label(ByLabel::Always);
pub(crate) static POLICY_KEY: Key = key(
    "policy",
    Kind::Table("services.NAME.policy"),
    Fallback::Is("\"governor\""),
    "How the replica count is chosen: `\"governor\"`, `\"target\"`, `\"step\"` or `\"external\"` (only the API changes it), or a table with one of them. `{ external = \"zabbix\" }` follows Zabbix triggers.",
)
.by_label(ByLabel::Always);

pub(crate) static READY_TABLE: Section = Section {
    path: "services.NAME.ready",
    meaning: "Set exactly one of these keys.",
    keys: &[&READY_HTTP, &READY_TCP],
};
pub(crate) static READY_HTTP: Key = key(
    "http",
    Kind::HttpPath,
    Fallback::Otherwise("not probed"),
    "A replica is ready once `GET` of this path returns a status below 400.",
)
.by_label(ByLabel::Always);
pub(crate) static READY_TCP: Key = key(
    "tcp",
    Kind::Flag,
    Fallback::Otherwise("not probed"),
    "`true`: a replica is ready once it accepts a connection. At a published port, Docker accepts connections before the replica does.",
)
.by_label(ByLabel::Always);

pub(crate) static BACKEND: Section = Section {
    path: "services.NAME.haproxy",
    meaning: "The HAProxy backend to manage. Each service needs its own.",
    keys: &[&BACKEND_NAME, &FILE, &FILE_LINES, &TEMPLATE_TABLE, &CHECK, &OPTIONS],
};
pub(crate) static BACKEND_NAME: Key = key(
    "backend",
    Kind::HaproxyName,
    Fallback::Otherwise("the service's name"),
    "The name of the backend in HAProxy's configuration.",
)
.by_label(ByLabel::Always);
pub(crate) static FILE: Key = key(
    "file",
    Kind::Path,
    Fallback::Otherwise("no file"),
    "A file below `directory` in `[haproxy]` that holds the whole backend. Flyball creates it at start-up and updates it after every change, so that the servers survive a reload of HAProxy. Once the file exists, start HAProxy with it in addition to its own: `haproxy -f haproxy.cfg -f FILE`.",
)
.by_label(ByLabel::Never);
pub(crate) static FILE_LINES: Key = key(
    "lines",
    Kind::Lines,
    Fallback::Is("[]"),
    "Lines of that file besides the servers, such as `[\"balance leastconn\"]`: backend directives that neither read nor run anything on disk.",
)
.by_label(ByLabel::Never);
pub(crate) static TEMPLATE_TABLE: Key = key(
    "template",
    Kind::Table("services.NAME.haproxy.template"),
    Fallback::Otherwise("servers are created as needed"),
    "The server slots to use with HAProxy before 2.6.",
)
.by_label(ByLabel::Allowed);
pub(crate) static CHECK: Key = key(
    "check",
    Kind::Flag,
    Fallback::Otherwise("true where the backend has `mode http`"),
    "Whether HAProxy also checks the servers, in addition to flyball's own probe, and takes out a server that returns 10 errors in a row (`observe`).",
)
.by_label(ByLabel::Allowed);
pub(crate) static OPTIONS: Key = key(
    "options",
    Kind::Options,
    Fallback::Is("\"\""),
    "More options for each server, such as `\"ssl verify none\"`, in the file and at run time (`default-server` lines do not apply to servers that are created at run time). Options for checks replace flyball's own.",
)
.by_label(ByLabel::Allowed);

pub(crate) static TEMPLATE: Section = Section {
    path: "services.NAME.haproxy.template",
    meaning: "The slots that a line `server-template PREFIX COUNT 127.0.0.1:1 disabled` creates.",
    keys: &[&PREFIX, &COUNT],
};
pub(crate) static PREFIX: Key =
    key("prefix", Kind::HaproxyName, Fallback::Required, "The prefix of the slots' names.")
        .by_label(ByLabel::Allowed);
pub(crate) static COUNT: Key =
    key("count", Kind::Count { from: 1, to: 10_000 }, Fallback::Required, "The number of slots.")
        .by_label(ByLabel::Allowed);
