//! The keys of `[zabbix]`, and of a policy that Zabbix drives.
//!
//! Decides nothing beyond the table. Invariant: that of the table of keys.

use super::{BY, COOLDOWN, Fallback, HOUR_MS, IN_AT, Key, Kind, OUT_AT, Section, duration, key};

pub(crate) static ZABBIX: Section = Section {
    path: "zabbix",
    meaning: "The Zabbix that services are reported to, from 6.0 on. Nothing is reported where this table is missing. \
              `flyball zabbix provision` makes what it needs there.",
    keys: &[
        &TRAPPER,
        &ZABBIX_PROXY,
        &INTERVAL,
        &HOST_PREFIX,
        &REPLICA_HOSTS,
        &API,
        &API_TOKEN_FILE,
        &CA_FILE,
        &CERT_FILE,
        &KEY_FILE,
        &WEBHOOK,
    ],
};
pub(crate) static TRAPPER: Key = key(
    "trapper",
    Kind::Peer,
    Fallback::Is("\"127.0.0.1:10051\""),
    "Where zabbix_server or a zabbix_proxy takes values; for a proxy set `proxy`, too.",
);
pub(crate) static ZABBIX_PROXY: Key = key(
    "proxy",
    Kind::Text,
    Fallback::Otherwise("`trapper` is the server"),
    "The name in Zabbix of the zabbix_proxy at `trapper`. `flyball zabbix provision` has the hosts monitored by it; Zabbix refuses values that take another way. Needs `api`.",
);
pub(crate) static INTERVAL: Key = key(
    "interval",
    duration(1_000, HOUR_MS),
    Fallback::Is("\"5s\""),
    "Time between two reports of each replica's CPU. Counts and the mean are reported once a second, decisions as they come; nothing more often than `look`.",
);
pub(crate) static HOST_PREFIX: Key = key(
    "host_prefix",
    Kind::Text,
    Fallback::Otherwise("none"),
    "What the hosts in Zabbix are called before the service's name.",
);
pub(crate) static REPLICA_HOSTS: Key = key(
    "replica_hosts",
    Kind::Flag,
    Fallback::Is("false"),
    "Whether each replica has a host of its own in Zabbix, too, made and removed through `api` as replicas come and go.",
);
pub(crate) static API: Key = key(
    "api",
    Kind::Url,
    Fallback::Otherwise("the API is not asked"),
    "The frontend's API, `http://HOST/zabbix/api_jsonrpc.php`: for `flyball zabbix` and for policies that Zabbix drives. Needs `token_file`.",
);
pub(crate) static API_TOKEN_FILE: Key = key(
    "token_file",
    Kind::Path,
    Fallback::Otherwise("none"),
    "A file with an API token: of a Super admin to provision, of a user who may read to run (and write, with `replica_hosts`).",
);
pub(crate) static CA_FILE: Key = key(
    "ca_file",
    Kind::Path,
    Fallback::Otherwise("those of the system"),
    "Certificates (PEM) of who may sign for Zabbix.",
);
pub(crate) static CERT_FILE: Key = key(
    "cert_file",
    Kind::Path,
    Fallback::Otherwise("values are sent without encryption"),
    "Flyball's own certificate (PEM), with `key_file`: values are then sent with TLS. Pre-shared keys are not supported.",
);
pub(crate) static KEY_FILE: Key =
    key("key_file", Kind::Path, Fallback::Otherwise("none"), "The key of `cert_file` (PEM).");
pub(crate) static WEBHOOK: Key = key(
    "webhook",
    Kind::Url,
    Fallback::Otherwise("Zabbix does not call"),
    "Flyball's own address as Zabbix reaches it, `http://HOST:7878/`. Zabbix then calls when a trigger fires, so that flyball looks at once. Needs `api`.",
);

pub(crate) static EXTERNAL: Section = Section {
    path: "services.NAME.policy.external",
    meaning: "Settings of a policy that another program drives; `external = \"zabbix\"` stands for all defaults. \
              Zabbix averages and compares by its triggers, flyball keeps the pace and the bounds.",
    keys: &[&FROM, &OUT_AT, &IN_AT, &BY, &COOLDOWN, &ADVICE_WINDOW],
};
pub(crate) static FROM: Key = key(
    "from",
    Kind::Choice(&["zabbix"]),
    Fallback::Is("\"zabbix\""),
    "Whose triggers are followed; needs `api` in `[zabbix]`.",
);
pub(crate) static ADVICE_WINDOW: Key = key(
    "window",
    duration(2_000, HOUR_MS),
    Fallback::Is("\"15s\""),
    "What Zabbix averages over; raised to three times the longer of `interval` in `[zabbix]` and `look`.",
);
