//! What must be reported of each service of the collection, and what must become of it.

use Ran::{Ready, Refused};
use Verdict::{Notice, Ok, Warning, Wrong};

/// What `flyball check` makes of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verdict {
    /// There is nothing to report.
    Ok,
    /// There is something to know.
    Notice,
    /// There is something to do, although flyball can start.
    Warning,
    /// It cannot be scaled.
    Wrong,
}

/// What `flyball run` makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ran {
    /// It has its two replicas.
    Ready,
    /// It has not, and the log contains these words.
    Refused(&'static str),
}

/// A service.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Its name, as flyball knows it.
    pub(super) name: &'static str,
    pub(super) verdict: Verdict,
    /// What `check` reports, with its hint.
    pub(super) words: &'static str,
    pub(super) ran: Ran,
}

const fn ok(name: &'static str) -> Shape {
    Shape { name, verdict: Ok, words: "containers can be started", ran: Ready }
}

const fn notice(name: &'static str, words: &'static str) -> Shape {
    Shape { name, verdict: Notice, words, ran: Ready }
}

const fn warning(name: &'static str, words: &'static str, ran: Ran) -> Shape {
    Shape { name, verdict: Warning, words, ran }
}

const fn wrong(name: &'static str, words: &'static str, log: &'static str) -> Shape {
    Shape { name, verdict: Wrong, words, ran: Refused(log) }
}

/// All of them, in the order of the file.
pub(super) const SHAPES: &[Shape] = &[
    ok("random-port"),
    ok("short-port"),
    notice("fixed-port", "copies do not have its HostConfig.PortBindings (8080/tcp at "),
    ok("expose-only"),
    ok("no-port"),
    ok("two-ports"),
    ok("udp-only"),
    warning(
        "wrong-port",
        ":8081: connection refused, nothing listens there; the label flyball.port (or port) must be \
         where the application listens",
        Refused(":8081: connection refused, nothing listens there"),
    ),
    wrong(
        "host-network",
        "cannot be copied: it is in the host's network, where every copy would listen on port ",
        "cannot be copied: it is in the host's network",
    ),
    ok("host-reached"),
    wrong(
        "shared-network",
        "cannot be copied: it shares the network of container ",
        "cannot be copied: it shares the network of container ",
    ),
    wrong(
        "no-network",
        "container shapes_no-network_1 has no network; give it a network",
        "container shapes_no-network_1 has no network; hint: give it a network",
    ),
    ok("two-networks"),
    ok("named-network"),
    wrong(
        "misspelt-network",
        "flyball.network: bakc is more than labels may set (its container has shapes_back, \
         shapes_front); remove it",
        "flyball.network: bakc is more than labels may set",
    ),
    ok("external-network"),
    ok("aliases"),
    notice(
        "static-address",
        "({\"IPv4Address\":\"10.213.96.40\"}): no two containers may have one",
    ),
    ok("links"),
    ok("resolving"),
    notice(
        "container-name",
        "do not have its name the-one-and-only: they are called shapes-container-name-fb-NUMBER",
    ),
    notice("hostname", "copies do not have its Config.MacAddress (02:42:0a:d5:60:63)"),
    ok("depends-on"),
    ok("restart-always"),
    ok("stop-signal"),
    warning(
        "exited",
        "container shapes_exited_1 has ended with exit status 3; copies of it may end, too; docker \
         logs shapes_exited_1 may say why it did",
        Refused("exit status 3: cannot open the shop"),
    ),
    ok("healthy"),
    warning(
        "never-healthy",
        "container shapes_never-healthy_1 is unhealthy: a replica takes no requests while its own \
         health check fails; docker inspect shapes_never-healthy_1 shows",
        Refused("but its own health check has not passed yet"),
    ),
    ok("health-disabled"),
    ok("read-only"),
    ok("named-volume"),
    ok("anonymous-volume"),
    ok("bind-mount"),
    ok("volumes-from"),
    ok("secret"),
    ok("confined"),
    ok("limits"),
    warning("no-limit", "has no CPU limit: its load is measured against one core; set cpus", Ready),
    ok("deploy-limit"),
    ok("logging"),
    ok("deploy-replicas"),
    ok("scaled"),
    ok("list-of-labels"),
    wrong(
        "quoted-values",
        "flyball.port: \"\\\"8080\\\"\" is not a port; write flyball.port=8080",
        "is not a port",
    ),
    wrong("min-over-max", "flyball.min: 5 is more than max = 3; raise", "5 is more than max = 3"),
    wrong(
        "max-too-large",
        "flyball.max: 200 is more than labels may set (20); lower it, or raise labels_max",
        "flyball.max: 200 is more than labels may set (20)",
    ),
    wrong("misspelt-label", "unknown key; did you mean flyball.port?", "flyball.prt: unknown key"),
    wrong("port-missing", "flyball.port: missing; add flyball.port=8080", "flyball.port: missing"),
    wrong(
        "image-label",
        "flyball.image: labels may not set this key; remove it, or write labels_may = [\"image\"]",
        "flyball.image: labels may not set this key",
    ),
    wrong(
        "listen-label",
        "flyball.listen: labels may not set this key; remove it, or write labels_may = [\"listen\"]",
        "flyball.listen: labels may not set this key",
    ),
    notice(
        "twin",
        "container shapes_twin-too_1 is ignored and not a replica: it belongs to service",
    ),
    notice(
        "described",
        "is not a replica: the configuration file defines the service without adopt = true",
    ),
    ok("web"),
    wrong(
        "missing-backend",
        "HAProxy has no backend `missing-backend`; add a section `backend missing-backend`",
        "HAProxy has no backend `missing-backend`",
    ),
    wrong(
        "backend-of-others",
        "backend `fixed` does not opt in to flyball, and only a label names it; in `backend fixed`: \
         server flyball 127.0.0.1:1 disabled",
        "backend `fixed` does not opt in to flyball, and only a label names it",
    ),
];
