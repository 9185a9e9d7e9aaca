//! Keys of the daemon and of the systems that it works with.

use super::{Fallback, Key, Kind, REPLICAS_MAX, Section, duration, key};

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
    "The address of the API and the dashboard. Any address other than loopback requires `token_file`.",
);
pub(crate) static STATE_DIR: Key = key(
    "state_dir",
    Kind::Path,
    Fallback::Otherwise(
        "`/var/lib/flyball` for root, otherwise `$XDG_STATE_HOME/flyball` or `~/.local/state/flyball`",
    ),
    "The state directory, which holds the journal. It belongs to flyball alone, and flyball makes it private.",
);
pub(crate) static TOKEN_FILE: Key = key(
    "token_file",
    Kind::Path,
    Fallback::Otherwise("no token"),
    "A file with the secret that API calls must present to change anything, also on loopback. It is read again when it changes. Without it, every client on loopback may make changes, unless the call was forwarded by a proxy that says so.",
);
pub(crate) static READ_TOKEN_FILE: Key = key(
    "read_token_file",
    Kind::Path,
    Fallback::Otherwise("every client may read"),
    "A file with a second secret, for clients that may only read. If it is set, reading requires one of the two.",
);

pub(crate) static DOCKER: Section = Section {
    path: "docker",
    meaning: "The Docker host for services with `engine = \"docker\"`. \
              With this table, even an empty one, services are also found by labels.",
    keys: &[
        &HOST,
        &CGROUP_MOUNT,
        &FIND_LABELS,
        &LABELS_MAX,
        &LABELS_MAY,
        &LABELS_FROM_IMAGES,
        &TRUST_MARKS,
    ],
};
pub(crate) static HOST: Key = key(
    "host",
    Kind::DockerHost,
    Fallback::Is("\"unix:///var/run/docker.sock\""),
    "The address of Docker: `unix:///PATH`, or `tcp://IP:PORT` without encryption.",
);
pub(crate) static CGROUP_MOUNT: Key = key(
    "cgroup_mount",
    Kind::Path,
    Fallback::Is("\"/sys/fs/cgroup\""),
    "Where the cgroups of that host are mounted here. CPU usage is read from their files.",
);
pub(crate) static FIND_LABELS: Key = key(
    "labels",
    Kind::Flag,
    Fallback::Is("true"),
    "Whether services are found by the labels of containers. `false`: all labels are ignored.",
);
pub(crate) static LABELS_MAX: Key = key(
    "labels_max",
    Kind::Count { from: 1, to: REPLICAS_MAX },
    Fallback::Is("20"),
    "The largest `max` that labels may set.",
);
pub(crate) static LABELS_MAY: Key = key(
    "labels_may",
    Kind::LabelKeys,
    Fallback::Is("[]"),
    "Keys that labels may set although they affect more than the service, such as `[\"image\", \"reach\"]`. They are marked \"with permission\" below. See [who may do what](../guide/trust.md).",
);
pub(crate) static LABELS_FROM_IMAGES: Key = key(
    "labels_from_images",
    Kind::Flag,
    Fallback::Is("false"),
    "Whether labels that a container inherits from its image count, so that the authors of an image can configure its services.",
);
pub(crate) static TRUST_MARKS: Key = key(
    "trust_marks",
    Kind::Flag,
    Fallback::Is("false"),
    "Whether flyball treats a container with `flyball.managed=true` as its own even if it is not signed with the key in `state_dir`. Use this if that directory is not kept or was lost. Anyone who may label containers can then join any service.",
);

pub(crate) static SWARM: Section = Section {
    path: "swarm",
    meaning: "The Docker Swarm for services with `engine = \"swarm\"`. \
              With this table, even an empty one, services are also found by labels.",
    keys: &[
        &MANAGERS,
        &FIND_SWARM_LABELS,
        &LABELS_MAX,
        &LABELS_MAY,
        &SWARM_AGENT,
        &SWARM_AGENT_TOKEN_FILE,
    ],
};
pub(crate) static MANAGERS: Key = key(
    "managers",
    Kind::Words,
    Fallback::Otherwise("the Docker host"),
    "The addresses of managers: `[\"unix:///PATH\"]`, or `[\"tcp://IP:PORT\"]` without encryption. If one does not answer, flyball tries the next.",
);
pub(crate) static FIND_SWARM_LABELS: Key = key(
    "labels",
    Kind::Flag,
    Fallback::Is("true"),
    "Whether services are found by the labels of Swarm services. `false`: all labels are ignored.",
);
pub(crate) static SWARM_AGENT: Key = key(
    "agent",
    Kind::Text,
    Fallback::Is("\"flyball-agent\""),
    "The name in Swarm of the global service that runs flyball's agents, which read CPU usage on the nodes.",
);
pub(crate) static SWARM_AGENT_TOKEN_FILE: Key = key(
    "agent_token_file",
    Kind::Path,
    Fallback::Otherwise("agents require no secret"),
    "A file with the secret that agents require. It is read again when it changes.",
);

pub(crate) static MESOS: Section = Section {
    path: "mesos",
    meaning: "The Mesos cluster for services with `engine = \"mesos\"`. Flyball registers as one framework named \
              `flyball`. Its id is in `state_dir`; if you lose that, flyball loses its tasks.",
    keys: &[&MASTER, &ROLE, &MESOS_TLS, &MESOS_CA_FILE, &PRINCIPAL, &SECRET_FILE],
};
pub(crate) static MASTER: Key = key(
    "master",
    Kind::MesosMaster,
    Fallback::Is("\"http://127.0.0.1:5050\""),
    "The address of a master (with TLS: `https://HOST:PORT`), or the ZooKeeper through which flyball finds and follows the leading master: `zk://HOST:PORT,HOST:PORT/mesos`.",
);
pub(crate) static ROLE: Key = key(
    "role",
    Kind::Text,
    Fallback::Is("\"*\""),
    "The role whose resources are used; `*` for unreserved resources.",
);
pub(crate) static MESOS_TLS: Key = key(
    "tls",
    Kind::Flag,
    Fallback::Otherwise("true where `master` begins with `https://`"),
    "Whether to connect to masters and agents with TLS. Their certificates must name the addresses that flyball connects to. Only with `zk://`.",
);
pub(crate) static MESOS_CA_FILE: Key = key(
    "ca_file",
    Kind::Path,
    Fallback::Otherwise("the system's"),
    "CA certificates (PEM) to trust for masters and agents.",
);
pub(crate) static PRINCIPAL: Key = key(
    "principal",
    Kind::Text,
    Fallback::Is("\"flyball\""),
    "The principal of the framework. With `secret_file`, it is also the user name for masters and agents that require HTTP basic authentication.",
);
pub(crate) static SECRET_FILE: Key = key(
    "secret_file",
    Kind::Path,
    Fallback::Otherwise("no authentication"),
    "A file with the principal's secret. It is read again when it changes.",
);

pub(crate) static MARATHON: Section = Section {
    path: "marathon",
    meaning: "The Marathon for services with `engine = \"marathon\"`. \
              CPU usage is read from the agents of the cluster in `[mesos]`.",
    keys: &[
        &MARATHON_URL,
        &MARATHON_CA_FILE,
        &FIND_APP_LABELS,
        &LABELS_MAX,
        &LABELS_MAY,
        &CREDENTIALS_FILE,
        &MARATHON_TOKEN_FILE,
    ],
};
pub(crate) static MARATHON_URL: Key = key(
    "url",
    Kind::Marathon,
    Fallback::Is("\"http://127.0.0.1:8080\""),
    "The addresses of Marathon instances, in the order in which they are tried: `http://HOST:PORT,HOST:PORT`, or with TLS `https://HOST:PORT,HOST:PORT`. Or the ZooKeeper through which flyball finds and follows the leader: `zk://HOST:PORT,HOST:PORT/marathon`.",
);
pub(crate) static MARATHON_CA_FILE: Key = key(
    "ca_file",
    Kind::Path,
    Fallback::Otherwise("the system's"),
    "CA certificates (PEM) to trust for Marathon.",
);
pub(crate) static FIND_APP_LABELS: Key = key(
    "labels",
    Kind::Flag,
    Fallback::Otherwise("true if this table is present"),
    "Whether services are found by the labels of apps. `false`: all labels are ignored.",
);
pub(crate) static CREDENTIALS_FILE: Key = key(
    "credentials_file",
    Kind::Path,
    Fallback::Otherwise("no credentials"),
    "A file with `USER:PASSWORD` on one line, for a Marathon that requires HTTP basic authentication. It is read again for each connection.",
);
pub(crate) static MARATHON_TOKEN_FILE: Key = key(
    "token_file",
    Kind::Path,
    Fallback::Otherwise("no token"),
    "A file with a DC/OS token, as an alternative to `credentials_file`. It is read again for each connection.",
);

pub(crate) static HA: Section = Section {
    path: "ha",
    meaning: "Several flyballs for the same services, of which one is the leader and the others are on standby. \
              All of them must have the same services and reach the same systems.",
    keys: &[&ZOOKEEPER, &SESSION],
};
pub(crate) static ZOOKEEPER: Key = key(
    "zookeeper",
    Kind::Zookeeper,
    Fallback::Required,
    "The ZooKeeper that elects the leader, and a path on it that nothing else uses: `zk://HOST:PORT,HOST:PORT/flyball`.",
);
pub(crate) static SESSION: Key = key(
    "session",
    duration(1_000, 60_000),
    Fallback::Is("\"6s\""),
    "How long ZooKeeper waits for a sign of life from the leader. A leader without contact stops acting after two thirds of that.",
);

pub(crate) static HAPROXY: Section = Section {
    path: "haproxy",
    meaning: "The HAProxy for services with `balancer = \"haproxy\"`.",
    keys: &[&SOCKET, &BACKENDS, &FILES_DIRECTORY],
};
pub(crate) static BACKENDS: Key = key(
    "backends",
    Kind::HaproxyNames,
    Fallback::Is("[]"),
    "The backends that labels may name. Labels may also name any backend that opts in with a disabled server called `flyball`: `server flyball 127.0.0.1:1 disabled`. Services in this file need neither.",
);
pub(crate) static FILES_DIRECTORY: Key = key(
    "directory",
    Kind::Path,
    Fallback::Is("\"/etc/haproxy\""),
    "The directory that must contain every `file` of a backend. No link is followed on the way to such a file, not even above this directory.",
);
pub(crate) static SOCKET: Key = key(
    "socket",
    Kind::Socket,
    Fallback::Is("\"/run/haproxy/admin.sock\""),
    "The address of HAProxy's runtime API (`stats socket`, `level admin`) or of its master (`haproxy -S`): a path, `unix:///PATH` or `tcp://HOST:PORT` (the name is resolved for each connection), or in HAProxy's own notation: `unix@PATH`, `ipv4@IP:PORT`, `ipv6@IP:PORT`, `IP:PORT`.",
);
