//! The keys of the file as a whole, of the daemon and of the systems it works with.
//!
//! Decides nothing beyond the table. Invariant: that of the table of keys.

use super::{Fallback, Key, Kind, Section, duration, key};

pub(crate) static ROOT: Section = Section {
    path: "",
    meaning: "",
    keys: &[
        &FLYBALL_TABLE,
        &DOCKER_TABLE,
        &SWARM_TABLE,
        &MESOS_TABLE,
        &MARATHON_TABLE,
        &HA_TABLE,
        &PROXY_TABLE,
        &HAPROXY_TABLE,
        &ZABBIX_TABLE,
        &SERVICES_TABLE,
    ],
};
pub(crate) static FLYBALL_TABLE: Key =
    key("flyball", Kind::Table("flyball"), Fallback::Otherwise("all defaults"), "The daemon.");
pub(crate) static DOCKER_TABLE: Key =
    key("docker", Kind::Table("docker"), Fallback::Otherwise("no labels"), "The Docker host.");
pub(crate) static SWARM_TABLE: Key =
    key("swarm", Kind::Table("swarm"), Fallback::Otherwise("no labels"), "The Docker Swarm.");
pub(crate) static MESOS_TABLE: Key =
    key("mesos", Kind::Table("mesos"), Fallback::Otherwise("all defaults"), "The Mesos cluster.");
pub(crate) static MARATHON_TABLE: Key =
    key("marathon", Kind::Table("marathon"), Fallback::Otherwise("no labels"), "The Marathon.");
pub(crate) static HA_TABLE: Key =
    key("ha", Kind::Table("ha"), Fallback::Otherwise("one flyball"), "Several flyballs.");
pub(crate) static PROXY_TABLE: Key =
    key("proxy", Kind::Table("proxy"), Fallback::Otherwise("all defaults"), "The embedded proxy.");
pub(crate) static HAPROXY_TABLE: Key =
    key("haproxy", Kind::Table("haproxy"), Fallback::Otherwise("all defaults"), "The HAProxy.");
pub(crate) static ZABBIX_TABLE: Key =
    key("zabbix", Kind::Table("zabbix"), Fallback::Otherwise("nothing is reported"), "The Zabbix.");
pub(crate) static SERVICES_TABLE: Key = key(
    "services",
    Kind::Table("services"),
    Fallback::Otherwise("services by labels"),
    "The services, by name.",
);

pub(crate) static FLYBALL: Section = Section {
    path: "flyball",
    meaning: "The daemon itself.",
    keys: &[&DAEMON_LISTEN, &STATE_DIR, &TOKEN_FILE, &READ_TOKEN_FILE],
};
pub(crate) static DAEMON_LISTEN: Key = key(
    "listen",
    Kind::Address,
    Fallback::Is("\"127.0.0.1:7878\""),
    "Where the API and the page are served. Anything but loopback needs `token_file`.",
);
pub(crate) static STATE_DIR: Key = key(
    "state_dir",
    Kind::Path,
    Fallback::Otherwise(
        "`/var/lib/flyball` for root, else `$XDG_STATE_HOME/flyball` or `~/.local/state/flyball`",
    ),
    "Where the journal is kept: a directory of flyball's own, which it closes to other users.",
);
pub(crate) static TOKEN_FILE: Key = key(
    "token_file",
    Kind::Path,
    Fallback::Otherwise("no token"),
    "A file with the secret that changing API calls must present, also on loopback. Read again when it changes. Without it whoever reaches a loopback address may change things, unless a proxy says that it passes the call on.",
);
pub(crate) static READ_TOKEN_FILE: Key = key(
    "read_token_file",
    Kind::Path,
    Fallback::Otherwise("anybody may read"),
    "A file with a second secret, for callers that may only read. Where it is set, reading takes one of the two.",
);

pub(crate) static DOCKER: Section = Section {
    path: "docker",
    meaning: "The Docker host for services with `engine = \"docker\"`. \
              Where this table stands, even empty, services are found by labels, too.",
    keys: &[&HOST, &CGROUP_MOUNT, &FIND_LABELS],
};
pub(crate) static HOST: Key = key(
    "host",
    Kind::DockerHost,
    Fallback::Is("\"unix:///var/run/docker.sock\""),
    "Where Docker listens: `unix:///PATH`, or `tcp://IP:PORT` without encryption.",
);
pub(crate) static CGROUP_MOUNT: Key = key(
    "cgroup_mount",
    Kind::Path,
    Fallback::Is("\"/sys/fs/cgroup\""),
    "Where the cgroups of that host are mounted here; CPU time is read from their files.",
);
pub(crate) static FIND_LABELS: Key = key(
    "labels",
    Kind::Flag,
    Fallback::Is("true"),
    "Whether services are found by the labels of containers.",
);

pub(crate) static SWARM: Section = Section {
    path: "swarm",
    meaning: "The Docker Swarm for services with `engine = \"swarm\"`. \
              Where this table stands, even empty, services are found by labels, too.",
    keys: &[&MANAGERS, &FIND_SWARM_LABELS, &SWARM_AGENT, &SWARM_AGENT_TOKEN_FILE],
};
pub(crate) static MANAGERS: Key = key(
    "managers",
    Kind::Words,
    Fallback::Otherwise("the Docker host"),
    "Where managers listen: `[\"unix:///PATH\"]`, `[\"tcp://IP:PORT\"]` without encryption. Where one does not answer, the next one is asked.",
);
pub(crate) static FIND_SWARM_LABELS: Key = key(
    "labels",
    Kind::Flag,
    Fallback::Is("true"),
    "Whether services are found by the labels of Swarm services.",
);
pub(crate) static SWARM_AGENT: Key = key(
    "agent",
    Kind::Text,
    Fallback::Is("\"flyball-agent\""),
    "What Swarm calls the global service of flyball's agents, which read CPU time on the nodes.",
);
pub(crate) static SWARM_AGENT_TOKEN_FILE: Key = key(
    "agent_token_file",
    Kind::Path,
    Fallback::Otherwise("agents let everybody read"),
    "A file with the secret that agents must be shown. Read again when it changes.",
);

pub(crate) static MESOS: Section = Section {
    path: "mesos",
    meaning: "The Mesos cluster for services with `engine = \"mesos\"`. Flyball is one framework on it, called \
              `flyball`; `state_dir` keeps its id, and whoever loses that loses the tasks.",
    keys: &[&MASTER, &ROLE, &MESOS_TLS, &MESOS_CA_FILE, &PRINCIPAL, &SECRET_FILE],
};
pub(crate) static MASTER: Key = key(
    "master",
    Kind::MesosMaster,
    Fallback::Is("\"http://127.0.0.1:5050\""),
    "Where a master is (with TLS: `https://HOST:PORT`), or the ZooKeeper that its leader is found and followed through: `zk://HOST:PORT,HOST:PORT/mesos`.",
);
pub(crate) static ROLE: Key = key(
    "role",
    Kind::Text,
    Fallback::Is("\"*\""),
    "The role that resources are offered to; `*` for those of nobody.",
);
pub(crate) static MESOS_TLS: Key = key(
    "tls",
    Kind::Flag,
    Fallback::Otherwise("true where `master` begins with `https://`"),
    "Whether masters and agents are asked with TLS; their certificates must name the addresses that they are asked at. Only with `zk://`.",
);
pub(crate) static MESOS_CA_FILE: Key = key(
    "ca_file",
    Kind::Path,
    Fallback::Otherwise("those of the system"),
    "Certificates (PEM) of who may sign for masters and agents.",
);
pub(crate) static PRINCIPAL: Key = key(
    "principal",
    Kind::Text,
    Fallback::Is("\"flyball\""),
    "Who flyball is to masters and agents that want to know (HTTP's basic authentication), with `secret_file`; and whose framework it is.",
);
pub(crate) static SECRET_FILE: Key = key(
    "secret_file",
    Kind::Path,
    Fallback::Otherwise("nobody asks who flyball is"),
    "A file with the principal's secret. Read again when it changes.",
);

pub(crate) static MARATHON: Section = Section {
    path: "marathon",
    meaning: "The Marathon for services with `engine = \"marathon\"`. \
              CPU time is read from the agents of the cluster under `[mesos]`.",
    keys: &[
        &MARATHON_URL,
        &MARATHON_CA_FILE,
        &FIND_APP_LABELS,
        &CREDENTIALS_FILE,
        &MARATHON_TOKEN_FILE,
    ],
};
pub(crate) static MARATHON_URL: Key = key(
    "url",
    Kind::Marathon,
    Fallback::Is("\"http://127.0.0.1:8080\""),
    "Where Marathons are, in the order in which they are tried: `http://HOST:PORT,HOST:PORT`, or with TLS `https://HOST:PORT,HOST:PORT`; or the ZooKeeper that the leader is found and followed through: `zk://HOST:PORT,HOST:PORT/marathon`.",
);
pub(crate) static MARATHON_CA_FILE: Key = key(
    "ca_file",
    Kind::Path,
    Fallback::Otherwise("those of the system"),
    "Certificates (PEM) of who may sign for Marathon.",
);
pub(crate) static FIND_APP_LABELS: Key = key(
    "labels",
    Kind::Flag,
    Fallback::Otherwise("true where the table is there"),
    "Whether services are found by the labels of apps.",
);
pub(crate) static CREDENTIALS_FILE: Key = key(
    "credentials_file",
    Kind::Path,
    Fallback::Otherwise("none are shown"),
    "A file with `USER:PASSWORD` on one line, for a Marathon that wants HTTP basic authentication. Read again for each connection.",
);
pub(crate) static MARATHON_TOKEN_FILE: Key = key(
    "token_file",
    Kind::Path,
    Fallback::Otherwise("none is shown"),
    "A file with a token of DC/OS, instead. Read again for each connection.",
);

pub(crate) static HA: Section = Section {
    path: "ha",
    meaning: "Several flyballs for the same services, of which one acts and the others stand by. \
              All of them have the same services, and reach the same systems.",
    keys: &[&ZOOKEEPER, &SESSION],
};
pub(crate) static ZOOKEEPER: Key = key(
    "zookeeper",
    Kind::Zookeeper,
    Fallback::Required,
    "The ZooKeeper that lets one of them act, and a path on it that nobody else uses: `zk://HOST:PORT,HOST:PORT/flyball`.",
);
pub(crate) static SESSION: Key = key(
    "session",
    duration(1_000, 60_000),
    Fallback::Is("\"6s\""),
    "How long ZooKeeper waits for word from the one that acts; it stops by itself after two thirds of that.",
);

pub(crate) static HAPROXY: Section = Section {
    path: "haproxy",
    meaning: "The HAProxy for services with `balancer = \"haproxy\"`.",
    keys: &[&SOCKET],
};
pub(crate) static SOCKET: Key = key(
    "socket",
    Kind::Socket,
    Fallback::Is("\"/run/haproxy/admin.sock\""),
    "Where its runtime API listens (`stats socket`, `level admin`), or its master (`haproxy -S`): a path, `unix:///PATH` or `tcp://HOST:PORT`, where a name is looked up at each connection; or as HAProxy itself writes it: `unix@PATH`, `ipv4@IP:PORT`, `ipv6@IP:PORT`, `IP:PORT`.",
);
