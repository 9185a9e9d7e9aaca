//! The table of systems, versions and suites of the matrix. Another version needs only another row:
//! suites take their programs from the root that `FLYBALL_ROOT` names.

/// One system in one version.
pub(super) struct Row {
    /// What it is called on the command line.
    pub(super) name: &'static str,
    /// What it is called in the table.
    pub(super) system: &'static str,
    /// The release of Debian that has it; `None`: this machine's.
    pub(super) release: Option<&'static str>,
    /// Debian's packages, installed into the release's root. The first one gives the version.
    pub(super) packages: &'static [&'static str],
    /// What nextest is asked to run.
    pub(super) suite: &'static [&'static str],
    /// What else the suite finds in its environment.
    pub(super) environment: &'static [(&'static str, &'static str)],
}

const ZABBIX: [&str; 8] = [
    "zabbix-server-pgsql",
    "zabbix-frontend-php",
    "php-cli",
    "php-pgsql",
    "php-cgi",
    "postgresql",
    "locales",
    "libsqlite3-0",
];

pub(super) static ROWS: [Row; 2] = [
    Row {
        name: "zabbix",
        system: "Zabbix",
        release: None,
        packages: &ZABBIX,
        suite: &["-p", "flyball", "--test", "zabbix"],
        environment: &[],
    },
    Row {
        name: "zabbix-7.0",
        system: "Zabbix",
        release: Some("trixie"),
        packages: &ZABBIX,
        suite: &["-p", "flyball", "--test", "zabbix"],
        environment: &[],
    },
];
