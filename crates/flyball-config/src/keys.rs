//! Every key of the file: what it takes, what it is when left out, what it means.
//!
//! This table is what values are checked against, what an unknown key is compared with and what
//! the reference is printed from. Invariant: a key that is read is in its section's list, and a
//! default that is written here is the one that applies (both are tested).

/// Keys that stand together in one table of the file.
#[derive(Debug)]
pub(crate) struct Section {
    /// Its path; `NAME` stands for a service's name.
    pub(crate) path: &'static str,
    pub(crate) meaning: &'static str,
    pub(crate) keys: &'static [&'static Key],
    /// Keys of later versions, or of other sections, that are known not to belong here yet.
    pub(crate) later: &'static [&'static str],
}

/// One key.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) fallback: Fallback,
    pub(crate) meaning: &'static str,
}

/// What a key takes. Limits are inclusive unless they are called `above`.
#[derive(Debug)]
pub(crate) enum Kind {
    Address,
    Path,
    HttpPath,
    Words,
    Variables,
    Cores,
    Flag,
    Count {
        from: u32,
        to: u32,
    },
    Duration {
        from_ms: u64,
        to_ms: u64,
    },
    Share {
        above_zero: bool,
        to: f64,
    },
    Choice(&'static [&'static str]),
    /// Tables of the file with keys of their own.
    Table(&'static str),
}

/// What a key is when it is left out.
#[derive(Debug)]
pub(crate) enum Fallback {
    /// It must be there.
    Required,
    /// This, as it would be written.
    Is(&'static str),
    /// What these words say.
    Otherwise(&'static str),
}

const HOUR_MS: u64 = 3_600_000;

const fn key(name: &'static str, kind: Kind, fallback: Fallback, meaning: &'static str) -> Key {
    Key { name, kind, fallback, meaning }
}

const fn duration(from_ms: u64, to_ms: u64) -> Kind {
    Kind::Duration { from_ms, to_ms }
}

pub(crate) static ROOT: Section = Section {
    path: "",
    meaning: "",
    keys: &[&FLYBALL_TABLE, &SERVICES_TABLE],
    later: &[
        "docker",
        "swarm",
        "haproxy",
        "mesos",
        "marathon",
        "zookeeper",
        "zabbix",
        "prometheus",
    ],
};
pub(crate) static FLYBALL_TABLE: Key =
    key("flyball", Kind::Table("flyball"), Fallback::Otherwise("all defaults"), "The daemon.");
pub(crate) static SERVICES_TABLE: Key =
    key("services", Kind::Table("services"), Fallback::Required, "The services, by name.");

pub(crate) static FLYBALL: Section = Section {
    path: "flyball",
    meaning: "The daemon itself.",
    keys: &[&DAEMON_LISTEN, &STATE_DIR, &TOKEN_FILE],
    later: &[],
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
    "Where the journal is kept.",
);
pub(crate) static TOKEN_FILE: Key = key(
    "token_file",
    Kind::Path,
    Fallback::Otherwise("no token"),
    "A file with the secret that changing API calls must present.",
);

pub(crate) static SERVICE: Section = Section {
    path: "services.NAME",
    meaning: "One service. `NAME` is 1 to 63 of `a-z`, `0-9` and `-`, with no `-` in front.",
    keys: &[
        &ENGINE,
        &BALANCER,
        &LISTEN,
        &COMMAND,
        &ENV,
        &DIRECTORY,
        &CPUS,
        &MIN,
        &MAX,
        &READY,
        &DRAIN,
        &GRACE,
        &START_LIMIT,
        &START_LAG,
        &LOOK,
        &SLOTS,
        &POLICY_KEY,
    ],
    later: &["image", "port", "haproxy", "docker", "memory", "zabbix"],
};
pub(crate) static ENGINE: Key =
    key("engine", Kind::Choice(&["process"]), Fallback::Required, "What runs the replicas.");
pub(crate) static BALANCER: Key = key(
    "balancer",
    Kind::Choice(&["proxy", "none"]),
    Fallback::Is("\"proxy\""),
    "What spreads requests over the replicas.",
);
pub(crate) static LISTEN: Key = key(
    "listen",
    Kind::Address,
    Fallback::Otherwise("required with `balancer = \"proxy\"`"),
    "Where the proxy takes this service's requests; port 0 takes any free one.",
);
pub(crate) static COMMAND: Key = key(
    "command",
    Kind::Words,
    Fallback::Required,
    "The program of a replica and its arguments; `{port}` stands for the port it is given.",
);
pub(crate) static ENV: Key = key(
    "env",
    Kind::Variables,
    Fallback::Is("{}"),
    "Variables added to a replica's environment. Their values are never shown.",
);
pub(crate) static DIRECTORY: Key = key(
    "directory",
    Kind::Path,
    Fallback::Otherwise("flyball's own"),
    "The directory that a replica runs in.",
);
pub(crate) static CPUS: Key =
    key("cpus", Kind::Cores, Fallback::Is("1.0"), "Cores that one replica may use.");
pub(crate) static MIN: Key = key(
    "min",
    Kind::Count { from: 0, to: REPLICAS_MAX },
    Fallback::Is("1"),
    "The fewest replicas, kept whatever is known or not known.",
);
pub(crate) static MAX: Key =
    key("max", Kind::Count { from: 1, to: REPLICAS_MAX }, Fallback::Is("10"), "The most replicas.");
pub(crate) static READY: Key = key(
    "ready",
    Kind::Table("services.NAME.ready"),
    Fallback::Otherwise("any HTTP reply to `GET /`, whatever its status"),
    "When a started replica counts as ready.",
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
    Fallback::Is("\"10s\""),
    "How long a replica may take to end after SIGTERM before it gets SIGKILL.",
);
pub(crate) static START_LIMIT: Key = key(
    "start_limit",
    duration(100, 24 * HOUR_MS),
    Fallback::Is("\"5m\""),
    "How long a replica may take to become ready before it is given up.",
);
pub(crate) static START_LAG: Key = key(
    "start_lag",
    duration(1, 24 * HOUR_MS),
    Fallback::Is("\"1s\""),
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
    "Requests that one replica works on at once.",
);
pub(crate) static POLICY_KEY: Key = key(
    "policy",
    Kind::Table("services.NAME.policy"),
    Fallback::Is("\"governor\""),
    "How the count is recommended: `\"governor\"`, `\"target\"`, `\"step\"` or `\"external\"` (only the API moves it), or a table with one of the first three.",
);

/// The most replicas a service may have: a bound against slips of the finger, far above any host.
pub(crate) const REPLICAS_MAX: u32 = 100_000;

pub(crate) static READY_TABLE: Section = Section {
    path: "services.NAME.ready",
    meaning: "One of the two.",
    keys: &[&READY_HTTP, &READY_TCP],
    later: &[],
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
    "`true`: ready once a connection is accepted.",
);

pub(crate) static POLICY: Section = Section {
    path: "services.NAME.policy",
    meaning: "One of the three.",
    keys: &[&GOVERNOR_TABLE, &TARGET_TABLE, &STEP_TABLE],
    later: &[],
};
pub(crate) static GOVERNOR_TABLE: Key = key(
    "governor",
    Kind::Table("services.NAME.policy.governor"),
    Fallback::Otherwise("the default policy"),
    "Arrivals times measured work per request, against the capacity already paid for.",
);
pub(crate) static TARGET_TABLE: Key = key(
    "target",
    Kind::Table("services.NAME.policy.target"),
    Fallback::Otherwise("not used"),
    "A mean CPU to keep, by the arithmetic of Kubernetes' horizontal pod autoscaler.",
);
pub(crate) static STEP_TABLE: Key = key(
    "step",
    Kind::Table("services.NAME.policy.step"),
    Fallback::Otherwise("not used"),
    "More above one threshold of mean CPU, fewer below another.",
);

pub(crate) static GOVERNOR: Section = Section {
    path: "services.NAME.policy.governor",
    meaning: "Settings of the default policy.",
    keys: &[&BUSY_CAP, &HOLD],
    later: &[],
};
pub(crate) static BUSY_CAP: Key = key(
    "busy_cap",
    Kind::Share { above_zero: true, to: 1.0 },
    Fallback::Is("\"85%\""),
    "The largest share of its time that a replica should be busy.",
);
pub(crate) static HOLD: Key = key(
    "hold",
    duration(0, 24 * HOUR_MS),
    Fallback::Otherwise("three start lags, at least 5 s"),
    "How long a surplus must last before it is removed.",
);

pub(crate) static TARGET: Section = Section {
    path: "services.NAME.policy.target",
    meaning: "Settings of the target policy; the defaults are Kubernetes' own.",
    keys: &[
        &CPU,
        &TOLERANCE,
        &IN_WINDOW,
        &OUT_WINDOW,
        &OUT_BY,
        &OUT_SHARE,
        &IN_SHARE,
        &TARGET_WINDOW,
    ],
    later: &[],
};
pub(crate) static CPU: Key = key(
    "cpu",
    Kind::Share { above_zero: true, to: 1.0 },
    Fallback::Is("\"80%\""),
    "The mean share of its CPU limit that a replica should use.",
);
pub(crate) static TOLERANCE: Key = key(
    "tolerance",
    Kind::Share { above_zero: false, to: 1.0 },
    Fallback::Is("\"10%\""),
    "A ratio of measured to wanted CPU this close to 1 moves nothing.",
);
pub(crate) static IN_WINDOW: Key = key(
    "in_window",
    duration(0, HOUR_MS),
    Fallback::Is("\"5m\""),
    "Removing goes by the largest count recommended within this time.",
);
pub(crate) static OUT_WINDOW: Key = key(
    "out_window",
    duration(0, HOUR_MS),
    Fallback::Is("\"0s\""),
    "Adding goes by the smallest count recommended within this time.",
);
pub(crate) static OUT_BY: Key = key(
    "out_by",
    Kind::Count { from: 1, to: REPLICAS_MAX },
    Fallback::Is("4"),
    "Within 15 s the count may grow by this many, or by `out_share` if that is more.",
);
pub(crate) static OUT_SHARE: Key = key(
    "out_share",
    Kind::Share { above_zero: false, to: 100.0 },
    Fallback::Is("\"100%\""),
    "See `out_by`.",
);
pub(crate) static IN_SHARE: Key = key(
    "in_share",
    Kind::Share { above_zero: true, to: 1.0 },
    Fallback::Is("\"100%\""),
    "Within 15 s the count may shrink by this share of itself.",
);
pub(crate) static TARGET_WINDOW: Key = key(
    "window",
    duration(1_000, HOUR_MS),
    Fallback::Is("\"15s\""),
    "CPU of a replica is its mean over this time.",
);

pub(crate) static STEP: Section = Section {
    path: "services.NAME.policy.step",
    meaning: "Settings of the step policy.",
    keys: &[&OUT_AT, &IN_AT, &BY, &COOLDOWN, &STEP_WINDOW],
    later: &[],
};
pub(crate) static OUT_AT: Key = key(
    "out_at",
    Kind::Share { above_zero: true, to: 1.0 },
    Fallback::Is("\"30%\""),
    "Mean CPU at or over this share of the limit adds replicas.",
);
pub(crate) static IN_AT: Key = key(
    "in_at",
    Kind::Share { above_zero: false, to: 1.0 },
    Fallback::Is("\"15%\""),
    "Mean CPU at or under this share removes replicas; less than `out_at`.",
);
pub(crate) static BY: Key =
    key("by", Kind::Count { from: 1, to: REPLICAS_MAX }, Fallback::Is("1"), "How many at a time.");
pub(crate) static COOLDOWN: Key = key(
    "cooldown",
    duration(0, 24 * HOUR_MS),
    Fallback::Is("\"1m\""),
    "Time after a change in which there is no other.",
);
pub(crate) static STEP_WINDOW: Key = key(
    "window",
    duration(1_000, HOUR_MS),
    Fallback::Is("\"1m\""),
    "CPU of a replica is its mean over this time.",
);

/// Every section that has keys with values, in the order of the reference.
pub(crate) static SECTIONS: [&Section; 7] =
    [&FLYBALL, &SERVICE, &READY_TABLE, &POLICY, &GOVERNOR, &TARGET, &STEP];
