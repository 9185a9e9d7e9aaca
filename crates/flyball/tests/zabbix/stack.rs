//! Zabbix 6.0 as Debian has it: PostgreSQL, zabbix_server and the frontend under PHP's own server.
//!
//! Installed where that is possible and needed. Invariant: all of it is in one directory and on
//! loopback, no service of the system is started or touched, and it ends with the test.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::{Value, json};

use crate::support::ask;

/// Seconds until the server sees a new item; the suite has no time for the usual 60.
const CACHE_S: u32 = 2;
const LIMIT: Duration = Duration::from_secs(60);
/// What must be there; named one by one, so that no web server comes with them.
const PACKAGES: [&str; 7] = [
    "zabbix-server-pgsql",
    "zabbix-frontend-php",
    "php-cli",
    "php-pgsql",
    "php-cgi",
    "postgresql",
    "locales",
];

/// The whole of it.
pub(crate) struct Stack {
    directory: tempfile::TempDir,
    postgres: Option<Child>,
    server: Option<Child>,
    php: Option<Child>,
    pub(crate) trapper_port: u16,
    http_port: u16,
    session: String,
}

impl Stack {
    /// Brings it up; `None` where this machine cannot have one, which is noted, or is a failure
    /// under `CI=true`.
    pub(crate) fn up() -> Option<Self> {
        if let Err(reason) = ready_machine() {
            not_run(&reason);
            return None;
        }
        // Short, since paths of sockets are.
        let directory = tempfile::Builder::new().prefix("fbz").tempdir_in("/tmp").unwrap();
        let mut stack = Self {
            directory,
            postgres: None,
            server: None,
            php: None,
            trapper_port: port_below_32768(),
            http_port: crate::support::free_port(),
            session: String::new(),
        };
        let began = Instant::now();
        stack.make_database();
        stack.start_server();
        stack.start_frontend();
        let login = json!({ "username": "Admin", "password": "zabbix" });
        stack.session = stack.api("user.login", login).as_str().unwrap().to_owned();
        println!("zabbix is up after {:.1} s", began.elapsed().as_secs_f64());
        Some(stack)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Where the frontend is.
    pub(crate) fn web(&self) -> String {
        format!("http://127.0.0.1:{}", self.http_port)
    }

    /// Calls the API as the administrator.
    #[track_caller]
    pub(crate) fn api(&self, method: &str, params: Value) -> Value {
        let answer = self.try_api(method, &params);
        assert!(answer["error"].is_null(), "{method} {params}: {}", answer["error"]);
        answer["result"].clone()
    }

    fn try_api(&self, method: &str, params: &Value) -> Value {
        let mut call = json!({ "jsonrpc": "2.0", "method": method, "params": params, "id": 1 });
        if !self.session.is_empty() {
            call["auth"] = self.session.as_str().into();
        }
        let address = ([127, 0, 0, 1], self.http_port).into();
        match ask(address, "POST", "/api_jsonrpc.php", Some(&call)) {
            Ok(answer) => serde_json::from_str(&answer.body).unwrap_or(json!({ "error": "HTML" })),
            Err(error) => json!({ "error": error.to_string() }),
        }
    }

    /// A token of the user `userid`, in a file.
    pub(crate) fn token_file(&self, name: &str, userid: &str) -> PathBuf {
        let made = self.api("token.create", json!({ "name": name, "userid": userid }));
        let made = self.api("token.generate", json!([made["tokenids"][0]]));
        let path = self.path(name);
        fs::write(&path, made[0]["token"].as_str().unwrap()).unwrap();
        path
    }

    fn make_database(&mut self) {
        let data = self.path("pg");
        fs::set_permissions(self.directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
        for name in ["sock", "srv", "tmp"] {
            fs::create_dir(self.path(name)).unwrap();
            fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o777)).unwrap();
        }
        let mut init = as_user("postgres", &postgres("initdb"));
        init.arg("-D").arg(&data).args(["-U", "postgres", "-A", "trust", "-E", "UTF8"]);
        run(init.args(["--locale=C.UTF-8", "--no-sync", "--no-instructions"]));
        self.start_database();
        let import = self.path("import.php");
        fs::write(&import, IMPORT).unwrap();
        run(Command::new("php")
            .args(["-d", "memory_limit=512M"])
            .arg(import)
            .arg(self.path("sock")));
    }

    /// Starts PostgreSQL on a socket only; what it has is there again.
    pub(crate) fn start_database(&mut self) {
        let mut command = as_user("postgres", &postgres("postgres"));
        command.arg("-D").arg(self.path("pg"));
        let sockets = format!("unix_socket_directories={}", self.path("sock").display());
        // A database for minutes needs no care for its disk.
        for setting in [
            "listen_addresses=",
            &sockets,
            "fsync=off",
            "synchronous_commit=off",
            "full_page_writes=off",
            "wal_level=minimal",
            "max_wal_senders=0",
            "jit=off",
        ] {
            command.args(["-c", setting]);
        }
        self.postgres = Some(self.spawn(command, "postgres.log"));
        until("the database", LIMIT, || self.path("sock/.s.PGSQL.5432").exists().then_some(()));
    }

    /// Ends PostgreSQL at once and in order.
    pub(crate) fn stop_database(&mut self) {
        end(&mut self.postgres, Signal::INT, false);
    }

    /// Starts the server and waits until it answers.
    pub(crate) fn start_server(&mut self) {
        let conf = self.path("server.conf");
        let (at, port) = (self.directory.path().display(), self.trapper_port);
        fs::write(
            &conf,
            format!(
                "ListenIP=127.0.0.1\nListenPort={port}\nSourceIP=127.0.0.1\nLogType=file\n\
                 LogFile={at}/srv/server.log\nPidFile={at}/srv/server.pid\nSocketDir={at}/srv\n\
                 TmpDir={at}/tmp\nDBHost={at}/sock\nDBName=zabbix\nDBUser=zabbix\nUser=zabbix\n\
                 DBPassword=zbx\nStartPollers=1\nStartPollersUnreachable=1\nStartPreprocessors=1\n\
                 StartHistoryPollers=2\nStartTrappers=3\nStartPingers=0\nStartDiscoverers=0\n\
                 StartHTTPPollers=0\nStartAlerters=2\nStartDBSyncers=2\nStartLLDProcessors=1\n\
                 HousekeepingFrequency=0\nCacheUpdateFrequency={CACHE_S}\nTimeout=4\n"
            ),
        )
        .unwrap();
        let mut command = Command::new("/usr/sbin/zabbix_server");
        command.arg("-f").arg("-c").arg(conf).process_group(0);
        self.server = Some(self.spawn(command, "server.out"));
        until("the server", LIMIT, || {
            std::net::TcpStream::connect(("127.0.0.1", self.trapper_port)).ok()
        });
    }

    /// Kills the server and all its children: what they had in memory is lost.
    pub(crate) fn kill_server(&mut self) {
        end(&mut self.server, Signal::KILL, true);
    }

    /// Ends the server in order.
    pub(crate) fn stop_server(&mut self) {
        end(&mut self.server, Signal::TERM, false);
    }

    fn start_frontend(&mut self) {
        let (own, at) = (self.path("frontend"), self.directory.path().display().to_string());
        run(Command::new("cp").args(["-rL", "/usr/share/zabbix"]).arg(&own));
        let constant = own.join("include/classes/core/CConfigFile.php");
        let text = fs::read_to_string(&constant).unwrap();
        let text = text.replace("/etc/zabbix/zabbix.conf.php", &format!("{at}/zabbix.conf.php"));
        fs::write(&constant, text).unwrap();
        let conf = CONF.replace("@DIR@", &at).replace("@PORT@", &self.trapper_port.to_string());
        fs::write(self.path("zabbix.conf.php"), conf).unwrap();
        fs::write(self.path("php.ini"), INI.replace("@DIR@", &at)).unwrap();
        // Without this locale every page is an error box.
        let locale = self.path("locale/en_US.UTF-8");
        fs::create_dir_all(locale.parent().unwrap()).unwrap();
        let made = Command::new("localedef")
            .args(["--no-archive", "-i", "en_US", "-f", "UTF-8"])
            .arg(&locale)
            .output();
        assert!(locale.exists(), "{made:?}");
        let mut command = Command::new("php");
        command.arg("-c").arg(self.path("php.ini")).process_group(0);
        command.args(["-S", &format!("127.0.0.1:{}", self.http_port), "-t"]).arg(own);
        command
            .env("PHP_CLI_SERVER_WORKERS", "4")
            .env("LOCPATH", self.path("locale"))
            .env_remove("LC_ALL");
        self.php = Some(self.spawn(command, "php.log"));
        until("the frontend", LIMIT, || {
            let answer = self.try_api("apiinfo.version", &json!([]));
            answer["result"].as_str().map(str::to_owned)
        });
    }

    fn spawn(&self, mut command: Command, log: &str) -> Child {
        let mut options = OpenOptions::new();
        let log = options.create(true).append(true).open(self.path(log)).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for (who, log) in [("server", "srv/server.log"), ("frontend", "php.log")] {
                let log = fs::read_to_string(self.path(log)).unwrap_or_default();
                let tail: Vec<&str> = log.lines().rev().take(15).collect();
                let tail: Vec<&str> = tail.into_iter().rev().collect();
                eprintln!("the {who} said:\n{}", tail.join("\n"));
            }
        }
        end(&mut self.php, Signal::KILL, true);
        end(&mut self.server, Signal::KILL, true);
        end(&mut self.postgres, Signal::INT, false);
    }
}

/// Sends a signal to a child, or to its whole group, and waits for it.
fn end(child: &mut Option<Child>, signal: Signal, group: bool) {
    let Some(mut child) = child.take() else { return };
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    let _gone = if group { kill_process_group(pid, signal) } else { kill_process(pid, signal) };
    let _gone = child.wait();
}

/// Asks again every few milliseconds until there is an answer, for as long as `limit`.
#[track_caller]
pub(crate) fn until<T>(what: &str, limit: Duration, mut seen: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = seen() {
            return value;
        }
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The server refuses ports from 32768 on, and those below are seldom handed out.
fn port_below_32768() -> u16 {
    let free = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let start = 20_000 + u16::try_from(std::process::id() % 10_000).unwrap();
    (start..32_768).find(free).unwrap()
}

fn postgres(program: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").unwrap().flatten();
    let programs = versions.map(|version| version.path().join("bin").join(program));
    programs.filter(|path| path.exists()).max().unwrap()
}

/// A command as another user: PostgreSQL does not run as root.
fn as_user(user: &str, program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args([&format!("--reuid={user}"), &format!("--regid={user}"), "--init-groups", "--"]);
    command.arg(program).current_dir("/tmp");
    command
}

#[track_caller]
fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {said}");
}

fn ready_machine() -> Result<(), String> {
    if !rustix::process::geteuid().is_root() {
        return Err("a stack of its own needs root".to_owned());
    }
    let there = || {
        let files = [
            "/usr/sbin/zabbix_server",
            "/usr/share/zabbix-server-pgsql/schema.sql.gz",
            "/usr/share/zabbix/api_jsonrpc.php",
            "/usr/bin/php",
            "/usr/lib/postgresql",
            "/usr/bin/localedef",
        ];
        files.iter().all(|file| Path::new(file).exists())
    };
    if there() {
        return Ok(());
    }
    install(&PACKAGES)?;
    if there() { Ok(()) } else { Err("Debian's packages are not as expected".to_owned()) }
}

/// Installs packages without letting them start anything.
pub(crate) fn install(packages: &[&str]) -> Result<(), String> {
    let fence = Path::new("/usr/sbin/policy-rc.d");
    let ours = !fence.exists();
    if ours {
        fs::write(fence, "#!/bin/sh\nexit 101\n").map_err(|error| error.to_string())?;
        let _unset = fs::set_permissions(fence, fs::Permissions::from_mode(0o755));
    }
    let apt = |words: &[&str]| {
        let mut apt = Command::new("apt-get");
        apt.args(["-o", "DPkg::Lock::Timeout=300"]).args(words);
        apt.env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null()).output()
    };
    let mut words = vec!["install", "-y", "--no-install-recommends"];
    words.extend(packages);
    let done = |output: std::io::Result<std::process::Output>| {
        output.is_ok_and(|output| output.status.success())
    };
    let installed = done(apt(&words)) || (done(apt(&["update"])) && done(apt(&words)));
    if ours {
        let _unset = fs::remove_file(fence);
    }
    if installed { Ok(()) } else { Err(format!("apt-get cannot install {packages:?}")) }
}

/// Says that something was not run; under `CI=true` that is a failure.
pub(crate) fn not_run(reason: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "zabbix: {reason}");
    let Some(path) = std::env::var_os("FLYBALL_NOT_RUN") else {
        return eprintln!("not run: zabbix: {reason}");
    };
    let mut notes = File::options().create(true).append(true).open(path).unwrap();
    writeln!(notes, "zabbix: {reason}").unwrap();
}

/// Each file in one round trip: 173,000 single statements take three times as long.
const IMPORT: &str = r#"<?php
$all = pg_connect("host=$argv[1] dbname=postgres user=postgres") or exit(1);
pg_query($all, "create role zabbix login password 'zbx'") or exit(1);
pg_query($all, "create database zabbix owner zabbix encoding 'UTF8' template template0") or exit(1);
$own = pg_connect("host=$argv[1] dbname=zabbix user=postgres") or exit(1);
pg_query($own, "set role zabbix; set client_min_messages=error") or exit(1);
foreach (['schema', 'images', 'data'] as $name)
    pg_query($own, file_get_contents("compress.zlib:///usr/share/zabbix-server-pgsql/$name.sql.gz")) or exit(1);
pg_query($own, "update hosts set status=1 where host='Zabbix server'") or exit(1);
// Else it is a minute until the database knows its tables, and trigger.get takes as long.
pg_query($own, "reset role; analyze") or exit(1);
"#;

const CONF: &str = "<?php
$DB = ['TYPE' => 'POSTGRESQL', 'SERVER' => '@DIR@/sock', 'PORT' => '0', 'DATABASE' => 'zabbix',
 'USER' => 'zabbix', 'PASSWORD' => 'zbx', 'SCHEMA' => '', 'ENCRYPTION' => false, 'KEY_FILE' => '',
 'CERT_FILE' => '', 'CA_FILE' => '', 'VERIFY_HOST' => false, 'CIPHER_LIST' => '', 'VAULT_URL' => '',
 'VAULT_DB_PATH' => '', 'VAULT_TOKEN' => '', 'DOUBLE_IEEE754' => true];
$ZBX_SERVER = '127.0.0.1'; $ZBX_SERVER_PORT = '@PORT@'; $ZBX_SERVER_NAME = 'flyball';
$IMAGE_FORMAT_DEFAULT = IMAGE_FORMAT_PNG;
";

const INI: &str = "post_max_size = 64M
max_execution_time = 300
max_input_time = 300
memory_limit = 256M
date.timezone = UTC
display_errors = Off
log_errors = On
session.save_path = @DIR@/tmp
sys_temp_dir = @DIR@/tmp
opcache.enable_cli = 1
";
