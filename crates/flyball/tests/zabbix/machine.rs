//! Where the programs of Zabbix are: on this machine, or in another Debian's root on it, which
//! `FLYBALL_ROOT=DIR` names (as `cargo xtask matrix` makes it; `/tmp` is the same there and here).
//! What is missing is installed where the programs are.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// What must be there; named one by one, so that no web server comes with them.
const PACKAGES: [&str; 8] = [
    "zabbix-server-pgsql",
    "zabbix-frontend-php",
    "php-cli",
    "php-pgsql",
    "php-cgi",
    "postgresql",
    "locales",
    // Of the proxy, which cannot be installed beside the server.
    "libsqlite3-0",
];
/// Files that those packages bring.
const FILES: [&str; 6] = [
    "/usr/sbin/zabbix_server",
    "/usr/share/zabbix-server-pgsql/schema.sql.gz",
    "/usr/share/zabbix/api_jsonrpc.php",
    "/usr/bin/php",
    "/usr/lib/postgresql",
    "/usr/bin/localedef",
];
/// Where the proxy's package is unpacked.
const PROXY: &str = "/var/cache/flyball-zabbix-proxy";

/// The programs of one Debian.
#[derive(Debug)]
pub(crate) struct Machine {
    /// `None`: this one.
    root: Option<PathBuf>,
}

impl Machine {
    /// The one that the environment names, with all that is needed; or why it cannot be had.
    pub(crate) fn ready() -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("a stack of its own needs root".to_owned());
        }
        let root = std::env::var_os("FLYBALL_ROOT").map(PathBuf::from);
        let machine = Self { root };
        let there = || FILES.iter().all(|file| machine.file(file).exists());
        if !there() {
            machine.install(&PACKAGES)?;
        }
        machine.unpack_proxy()?;
        if there() { Ok(machine) } else { Err("Debian's packages are not as expected".to_owned()) }
    }

    /// A file of it, by its path from here.
    pub(crate) fn file(&self, path: &str) -> PathBuf {
        match &self.root {
            Some(root) => root.join(path.trim_start_matches('/')),
            None => path.into(),
        }
    }

    /// A program of it, which runs where it is.
    pub(crate) fn command(&self, program: &str) -> Command {
        match &self.root {
            Some(root) => {
                let mut command = Command::new(root.join("enter"));
                command.arg(program);
                command
            }
            None => Command::new(program),
        }
    }

    /// The same as another user of it: PostgreSQL does not run as root.
    pub(crate) fn command_as(&self, user: &str, program: &str) -> Command {
        let mut command = self.command("setpriv");
        let (user, group) = (format!("--reuid={user}"), format!("--regid={user}"));
        command.args([&user, &group, "--init-groups", "--", program]).current_dir("/tmp");
        command
    }

    /// The path in it of a program of the newest PostgreSQL.
    pub(crate) fn postgres(&self, program: &str) -> String {
        let versions = fs::read_dir(self.file("/usr/lib/postgresql")).unwrap().flatten();
        let names = versions.map(|version| version.file_name().into_string().unwrap());
        let newest = names.max_by_key(|name| name.parse::<u32>().unwrap_or(0)).unwrap();
        format!("/usr/lib/postgresql/{newest}/bin/{program}")
    }

    /// zabbix_proxy.
    pub(crate) fn proxy(&self) -> Command {
        self.command(&format!("{PROXY}/usr/sbin/zabbix_proxy"))
    }

    /// Unpacks the proxy's package: Debian does not let it be installed beside a server.
    fn unpack_proxy(&self) -> Result<(), String> {
        if self.file(PROXY).join("usr/sbin/zabbix_proxy").exists() {
            return Ok(());
        }
        let steps = format!(
            "mkdir -p {PROXY} && cd {PROXY} && apt-get download zabbix-proxy-sqlite3 && \
             dpkg-deb --extract *.deb . && rm *.deb"
        );
        let unpack = || {
            let mut command = self.command("sh");
            done(command.args(["-c", &steps]).stdin(Stdio::null()).output())
        };
        let update = || done(self.apt(&["update"]).output());
        if unpack() || update() && unpack() {
            return Ok(());
        }
        Err("apt-get cannot download zabbix-proxy-sqlite3".to_owned())
    }

    /// Installs packages without letting them start anything.
    fn install(&self, packages: &[&str]) -> Result<(), String> {
        let policy = self.file("/usr/sbin/policy-rc.d");
        let ours = !policy.exists();
        if ours {
            fs::write(&policy, "#!/bin/sh\nexit 101\n").map_err(|error| error.to_string())?;
            let _unset = fs::set_permissions(&policy, fs::Permissions::from_mode(0o755));
        }
        let mut words = vec!["install", "-y", "--no-install-recommends"];
        words.extend(packages);
        let apt = |words: &[&str]| done(self.apt(words).output());
        let installed = apt(&words) || apt(&["update"]) && apt(&words);
        if ours {
            let _unset = fs::remove_file(policy);
        }
        if installed { Ok(()) } else { Err(format!("apt-get cannot install {packages:?}")) }
    }

    fn apt(&self, words: &[&str]) -> Command {
        let mut apt = self.command("apt-get");
        apt.args(["-o", "DPkg::Lock::Timeout=300"]).args(words);
        apt.env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
        apt
    }
}

fn done(output: std::io::Result<Output>) -> bool {
    output.is_ok_and(|output| output.status.success())
}

/// Installs packages on this machine, whose browser and Docker are used wherever Zabbix is.
pub(crate) fn install_here(packages: &[&str]) -> Result<(), String> {
    Machine { root: None }.install(packages)
}

/// Reports that something was not run; under `CI=true` that is a failure.
pub(crate) fn not_run(reason: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "zabbix: {reason}");
    let Some(path) = std::env::var_os("FLYBALL_NOT_RUN") else {
        return eprintln!("not run: zabbix: {reason}");
    };
    let mut notes = File::options().create(true).append(true).open(path).unwrap();
    writeln!(notes, "zabbix: {reason}").unwrap();
}
