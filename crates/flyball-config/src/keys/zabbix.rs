//! Keys of `[zabbix]`, and of a policy that Zabbix drives.

use super::{
    BY, ByLabel, COOLDOWN, Fallback, HOUR_MS, IN_AT, Key, Kind, OUT_AT, Section, duration, key,
};

pub(crate) static ZABBIX: Section = Section {
    path: "zabbix",
    meaning: "The Zabbix, 6.0 or later, that services are reported to. Without this table, nothing is reported. \
              `flyball zabbix provision` creates what flyball needs in Zabbix.",
    keys: &[
        &TRAPPER,
        &ZABBIX_PROXY,
        &REPORT_INTERVAL,
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
    "The address where zabbix_server or a zabbix_proxy accepts values. For a proxy, also set `proxy`.",
);
pub(crate) static ZABBIX_PROXY: Key = key(
    "proxy",
    Kind::Text,
    Fallback::Otherwise("`trapper` is the server"),
    "The name in Zabbix of the zabbix_proxy at `trapper`. `flyball zabbix provision` assigns the hosts to it; Zabbix refuses values that arrive another way. Requires `api`.",
);
pub(crate) static REPORT_INTERVAL: Key = key(
    "interval",
    duration(1_000, HOUR_MS),
    Fallback::Is("\"5s\""),
    "Time between two reports of each replica's CPU usage. Counts and the mean are reported once a second, decisions as they are made; nothing is reported more often than the `interval` of the service.",
);
pub(crate) static HOST_PREFIX: Key = key(
    "host_prefix",
    Kind::Text,
    Fallback::Otherwise("none"),
    "The prefix of host names in Zabbix, before the service's name.",
);
pub(crate) static REPLICA_HOSTS: Key = key(
    "replica_hosts",
    Kind::Flag,
    Fallback::Is("false"),
    "Whether each replica also has its own host in Zabbix, which is created and removed through `api` together with the replica.",
);
pub(crate) static API: Key = key(
    "api",
    Kind::Url,
    Fallback::Otherwise("the API is not used"),
    "The API of the Zabbix frontend, `http://HOST/zabbix/api_jsonrpc.php`, for `flyball zabbix` and for policies that Zabbix drives. Requires `token_file`.",
);
pub(crate) static API_TOKEN_FILE: Key = key(
    "token_file",
    Kind::Path,
    Fallback::Otherwise("none"),
    "A file with an API token: of a Super admin for `flyball zabbix provision`, of a user with read access for `flyball run` (with write access if `replica_hosts` is true).",
);
pub(crate) static CA_FILE: Key = key(
    "ca_file",
    Kind::Path,
    Fallback::Otherwise("the system's"),
    "CA certificates (PEM) to trust for Zabbix.",
);
pub(crate) static CERT_FILE: Key = key(
    "cert_file",
    Kind::Path,
    Fallback::Otherwise("values are sent unencrypted"),
    "Flyball's own certificate (PEM). With it and `key_file`, values are sent with TLS. Pre-shared keys are not supported.",
);
pub(crate) static KEY_FILE: Key =
    key("key_file", Kind::Path, Fallback::Otherwise("none"), "The key of `cert_file` (PEM).");
pub(crate) static WEBHOOK: Key = key(
    "webhook",
    Kind::Url,
    Fallback::Otherwise("Zabbix does not call"),
    "The address at which Zabbix reaches flyball, `http://HOST:7878/`. Zabbix then calls flyball when a trigger fires, so that it reacts at once. Requires `api`.",
);

pub(crate) static EXTERNAL: Section = Section {
    path: "services.NAME.policy.external",
    meaning: "Settings of a policy that another program drives; `external = \"zabbix\"` uses all defaults. \
              Zabbix averages and compares with its triggers; flyball enforces the cooldown and the bounds.",
    keys: &[&FROM, &OUT_AT, &IN_AT, &BY, &COOLDOWN, &ADVICE_WINDOW],
};
pub(crate) static FROM: Key = key(
    "from",
    Kind::Choice(&["zabbix"]),
    Fallback::Is("\"zabbix\""),
    "The program whose triggers are followed. Requires `api` in `[zabbix]`.",
)
.by_label(ByLabel::Always);
pub(crate) static ADVICE_WINDOW: Key = key(
    "window",
    duration(2_000, HOUR_MS),
    Fallback::Is("\"15s\""),
    "The time that Zabbix averages over. It is raised to three times `interval` in `[zabbix]` or the `interval` of the service, whichever is longer.",
)
.by_label(ByLabel::Always);
