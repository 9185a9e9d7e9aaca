//! The keys of a service. What an engine or a balancer makes of them is in its own file.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use flyball_core::policy::{Rule, Surge};

use super::balancer::BackendKeys;
use super::ready::{READY, Ready};
use super::rollout::SURGE;
use super::sleep::SleepKeys;
use crate::bytes::BYTES_MAX;
use crate::policies::POLICY;
use crate::reader::{
    ADDRESS, CORES, DAY_MS, FLAG, HOST_NAMES, HOUR_MS, IP, Only, PATH, PORT, REPLICAS_MAX, TEXT,
    VARIABLES, WORDS, bytes, choice, count, duration, section, share, table,
};

pub(super) const ENGINES: [&str; 5] = ["process", "docker", "swarm", "mesos", "marathon"];
pub(super) const BALANCERS: [&str; 3] = ["proxy", "haproxy", "none"];
const PROCESS: Only = Only("engine", &["process"]);
const CONTAINER: Only = Only("engine", &["docker"]);
const SWARM: Only = Only("engine", &["swarm"]);
const MARATHON: Only = Only("engine", &["marathon"]);
/// Where replicas have a port of their own inside.
const PORTED: Only = Only("engine", &["docker", "swarm", "mesos", "marathon"]);
/// Where flyball says how requests reach a replica.
const REACHED: Only = Only("engine", &["docker", "swarm", "mesos"]);
/// Where an engine does not know what a replica may use.
const MEASURED: Only = Only("engine", &["process", "docker", "swarm", "mesos"]);
/// Where replicas may be in networks of their own.
const NETWORKED: Only = Only("engine", &["docker", "swarm"]);
/// Where flyball starts and ends each replica.
const STARTED: Only = Only("engine", &["process", "docker", "mesos"]);
/// Where flyball replaces replicas of an old generation.
const ROLLED: Only = Only("engine", &["process", "docker"]);
/// Engines whose replicas are containers that flyball defines.
const IMAGED: Only = Only("engine", &["docker", "mesos"]);

/// Docker's own least, in bytes.
const MEMORY_MIN: u64 = 6 << 20;

section! {
    /// One service. `NAME` is 1 to 63 characters of `a-z`, `0-9` and `-`, and does not start with
    /// `-`.
    ServiceKeys "services.NAME" {
        /// Where the replicas run.
        engine: Option<&'static str> = choice(&ENGINES), optional "required", label Never;
        /// What distributes requests among the replicas.
        balancer: &'static str = choice(&BALANCERS), default
            "\"proxy\"", label Always;
        /// The address on which the proxy accepts this service's requests. Port 0 picks a free
        /// port.
        listen: SocketAddr = ADDRESS, required "\"127.0.0.1:8080\"", label Allowed,
            only [Only("balancer", &["proxy"])];
        /// The HAProxy backend that the replicas are servers of.
        haproxy: BackendKeys = table::<BackendKeys>(), implied "all defaults", label Always,
            only [Only("balancer", &["haproxy"])];
        /// The service's name in Swarm; for a service `NAME` of a stack `STACK`, it is
        /// `STACK_NAME`.
        swarm_service: Option<String> = TEXT, optional "the service's name", label Never,
            only [SWARM];
        /// The id of the Marathon app, with its groups: `/GROUP/NAME`.
        app: Option<String> = TEXT, optional "`/` and the service's name", label Never,
            only [MARATHON];
        /// The image that replicas are created from.
        image: Option<String> = TEXT, optional
            "required, unless there is a container to copy: with `adopt = true` and for services defined by labels, the newest one",
            label Allowed, only [IMAGED];
        /// Whether containers that flyball did not start join the service by their label
        /// `flyball.service=NAME`, as replicas that flyball never removes. `false`: only containers
        /// that flyball started are replicas.
        adopt: bool = FLAG, default "false", label Never, only [CONTAINER];
        /// The program that a replica runs, and its arguments. `{port}` is replaced by the port to
        /// serve on.
        command: Option<Vec<String>> = WORDS, optional
            "required for a process; otherwise the image's own", label Allowed, only [STARTED];
        /// Environment variables to add. Their values are never shown.
        env: BTreeMap<String, String> = VARIABLES, default "{}", label Allowed, only [STARTED];
        /// The working directory of a replica.
        directory: Option<PathBuf> = PATH, optional "that of flyball", label Never, only [PROCESS];
        /// The port that a replica serves on inside its container. With `reach = "host"`, it
        /// applies only to containers that flyball did not start.
        port: Option<u16> = PORT, optional
            "required; with `engine = \"marathon\"`, the first port of the app",
            label Always, only [PORTED];
        /// How requests reach a replica. `"published"`: at a free port of the host (Swarm: the port
        /// that its node publishes in host mode). `"container"`: at the container's own address
        /// (Swarm: in an overlay network). `"host"`: in the host's network, at a free port that the
        /// replica gets as the variable `PORT` and as `{port}` (not with Swarm). On Mesos, the port
        /// is one from the offer, and `"container"` is refused.
        reach: &'static str = choice(&["published", "container", "host"]), default
            "\"published\"", label Allowed, only [REACHED];
        /// The host address on which the port is published.
        publish_on: IpAddr = IP, default "\"127.0.0.1\"", label Allowed,
            only [CONTAINER, Only("reach", &["published"])];
        /// The network in which requests reach a replica. A copy joins all networks of the copied
        /// container, and this must be one of them; the short name from a Compose file works. A
        /// replica made from `image` joins this network. With Swarm and `reach = "container"`, it
        /// is the one of the service's networks to use (by default the first).
        network: Option<String> = TEXT, optional
            "the only network of the copied container, or the one that the balancer is also in; without a container to copy, Docker's default",
            label Within, only [NETWORKED, Only("reach", &["published", "container"])];
        /// CPU cores that one replica may use; at least 0.01 for a container. With Swarm, CPU usage
        /// is relative to this where the service sets no limit.
        cpus: Option<f64> = CORES, optional
            "1.0 for a process or a Mesos task; otherwise that of the copied container, or no limit",
            label Within, only [MEASURED];
        /// Memory that one replica may use; at least 32MiB for a Mesos task.
        memory: Option<u64> = bytes(MEMORY_MIN, BYTES_MAX), optional
            "256MiB for a Mesos task; otherwise that of the copied container, or no limit",
            label Within, only [IMAGED];
        /// Labels to add to a replica, besides flyball's own.
        labels: BTreeMap<String, String> = VARIABLES, default "{}", label Allowed, only [IMAGED];
        /// The Docker log driver and its options: `{ driver = "json-file", max-size = "10m" }`. The
        /// values are never shown.
        log: BTreeMap<String, String> = VARIABLES, empty
            "that of the copied container, or Docker's default", label Allowed, only [CONTAINER];
        /// The fewest replicas, kept even without measurements. With 0, the service sleeps (see
        /// `sleep`) until a request arrives. `balancer = "none"` sees no requests, so 0 then
        /// requires `policy = "external"`.
        min: u32 = count(0, REPLICAS_MAX), default "1", label Always;
        /// The most replicas.
        max: u32 = count(1, REPLICAS_MAX), default "10", label Always;
        /// When a service with `min = 0` sleeps, and how.
        sleep: SleepKeys = table::<SleepKeys>(), implied
            "all defaults; with `policy = \"external\"`, only the API sets the count to 0",
            label Always;
        /// When a started replica counts as ready. `"tcp"` is short for `{ tcp = true }`.
        ready: Option<Ready> = READY, optional
            "any HTTP response to `GET /` except a server error (5xx other than 501 and 505)",
            label Always;
        /// Time between two probes of a ready replica, with the probe of `ready`. A replica that
        /// fails three times in a row is sick. `"0s"` turns probing of ready replicas off.
        liveness: u64 = duration(0, HOUR_MS), default "\"5s\"", label Always;
        /// How long a replica may be sick before it is replaced. A sick replica gets no requests
        /// and does not count as capacity.
        sick_after: u64 = duration(0, DAY_MS), default "\"30s\"", label Always;
        /// The largest share of replicas that may be taken out of balancing because they fail: at
        /// least one, never all. `"0%"`: none.
        eject_max: f64 = share(1.0), default "\"50%\"", label Always;
        /// How long a replica that is being removed may take to finish its requests.
        drain: u64 = duration(0, DAY_MS), default "\"30s\"", label Always;
        /// How long a replica may take to exit after SIGTERM, or its own stop signal, before it
        /// gets SIGKILL.
        grace: Option<u64> = duration(0, HOUR_MS), optional
            "`\"10s\"`; with `engine = \"docker\"`, the container's own (`stop_grace_period`, `--stop-timeout`), or Docker's 10 s",
            label Always, only [STARTED];
        /// How long a replica may take to become ready before it is abandoned.
        start_limit: u64 = duration(100, DAY_MS), default "\"5m\"", label Always, only [STARTED];
        /// How many replicas may run beyond the desired count while replicas of a new generation
        /// take the place of others: a number, or a share of the count (`"25%"`, rounded up).
        surge: Surge = SURGE, default "1", label Always, only [ROLLED];
        /// A rollout stops once so many new replicas have failed; the old ones go on.
        abort_after: u32 = count(1, 100), default "3", label Always, only [ROLLED];
        /// `"auto"`: a new generation is rolled out as soon as there is one. `"manual"`: once you
        /// run `flyball deploy`.
        update: &'static str = choice(&["auto", "manual"]), default "\"auto\"", label Always,
            only [ROLLED];
        /// The assumed start-up time of a replica until it has been measured.
        start_lag: Option<u64> = duration(1, DAY_MS), optional
            "1 s for a process, otherwise 2 s", label Always;
        /// Time between two passes of the control loop.
        interval: Option<u64> = duration(10, HOUR_MS), optional
            "a fifth of the start lag, within 100 ms and 2 s", label Always;
        /// Requests that one replica handles at once; in HAProxy, the `maxconn` of a server.
        slots: Option<u32> = count(1, 100_000), optional "unlimited", label Always,
            only [Only("balancer", &["proxy", "haproxy"])];
        /// How long a request may wait for a replica: at the embedded proxy, and at the activator
        /// while no replica is ready. Then it is answered with 503, `Retry-After` and a line of why.
        wait_limit: u64 = duration(100, HOUR_MS), default "\"30s\"", label Always,
            only [Only("balancer", &["proxy", "haproxy"])];
        /// Whether a browser that asks for a page while no replica is ready gets a page that says
        /// so and reloads by itself. Everything else waits. `false`: browsers wait, too.
        page: bool = FLAG, default "false", label Always,
            only [Only("balancer", &["proxy", "haproxy"])];
        /// Where flyball takes the requests that HAProxy gets while no replica is ready. It is a
        /// backup server of the backend, called `fb-activator`.
        activator: Option<SocketAddr> = ADDRESS, optional
            "with `min = 0`, an address of the service's own in 127.0.0.0/8; otherwise none",
            label Allowed, only [Only("balancer", &["haproxy"])];
        /// Host names of the service, for the shared `activator` in `[flyball]`: one, or a list.
        host: BTreeSet<String> = HOST_NAMES, default "[]", label Allowed,
            only [Only("balancer", &["proxy", "haproxy"])];
        /// The share of a minute's requests that may fail (5xx, or no response) before flyball
        /// warns on the dashboard, in `flyball status`, in its log and in its metrics. `"100%"`:
        /// never. It does not affect the count.
        error_limit: f64 = share(1.0), default "\"1%\"", label Always,
            only [Only("balancer", &["proxy", "haproxy"])];
        /// How the replica count is chosen: `"governor"`, `"target"`, `"step"` or `"external"`
        /// (only the API changes it), or a table with one of them. `{ external = "zabbix" }`
        /// follows Zabbix triggers.
        policy: Rule = POLICY, default "\"governor\"", label Always;
    }
}
