//! Zabbix as Debian has it: PostgreSQL, zabbix_server, zabbix_proxy, and the frontend under PHP's
//! own server. All of it is in one directory and on loopback, no service of the system is started
//! or touched, and it ends with the test.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::{Value, json};

use crate::machine::{Machine, not_run};
use crate::support::{ask, free_port};

/// What the proxy is called.
pub(crate) const PROXY: &str = "flyball edge";
/// Seconds until the server sees a new item; the suite has no time for the usual 60.
const CACHE_S: u32 = 2;
const LIMIT: Duration = Duration::from_secs(60);
/// The whole of it.
pub(crate) struct Stack {
    machine: Machine,
    directory: tempfile::TempDir,
    postgres: Option<Child>,
    server: Option<Child>,
    proxy: Option<Child>,
    php: Option<Child>,
    pub(crate) trapper_port: u16,
    /// The proxy's trapper.
    pub(crate) proxy_port: u16,
    http_port: u16,
    session: String,
    /// As in the API: `7.0.22`.
    version: String,
}

impl Stack {
    /// Brings it up; `None` where this machine cannot have one, which is noted, or is a failure
    /// under `CI=true`.
    pub(crate) fn up() -> Option<Self> {
        let machine = match Machine::ready() {
            Ok(machine) => machine,
            Err(reason) => {
                not_run(&reason);
                return None;
            }
        };
        // Short, since paths of sockets are.
        let directory = tempfile::Builder::new().prefix("fbz").tempdir_in("/tmp").unwrap();
        let own = u16::try_from(std::process::id() % 10_000).unwrap();
        let trapper_port = port_from(20_000 + own);
        let mut stack = Self {
            machine,
            directory,
            postgres: None,
            server: None,
            proxy: None,
            php: None,
            trapper_port,
            proxy_port: port_from(trapper_port + 1),
            http_port: free_port(),
            session: String::new(),
            version: String::new(),
        };
        let began = Instant::now();
        stack.make_directories();
        stack.make_database();
        stack.start_server();
        // Not before the server listens: a proxy of 6.0 that is refused asks for its configuration
        // again only two minutes later.
        stack.start_proxy();
        stack.start_frontend();
        let login = json!({ "username": "Admin", "password": "zabbix" });
        stack.session = stack.api("user.login", login).as_str().unwrap().to_owned();
        println!("zabbix {} is up after {:.1} s", stack.version, began.elapsed().as_secs_f64());
        Some(stack)
    }

    /// Whether it is this version or a newer one.
    pub(crate) fn is_from(&self, major: u32, minor: u32) -> bool {
        let mut numbers = self.version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
        (numbers.next().unwrap(), numbers.next().unwrap()) >= (major, minor)
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
            // Taken until 7.0.
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
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    fn make_directories(&self) {
        fs::set_permissions(self.directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
        for name in ["sock", "srv", "tmp"] {
            fs::create_dir(self.path(name)).unwrap();
            fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o777)).unwrap();
        }
    }

    fn make_database(&mut self) {
        let data = self.path("pg");
        let mut init = self.machine.command_as("postgres", &self.machine.postgres("initdb"));
        init.arg("-D").arg(&data).args(["-U", "postgres", "-A", "trust", "-E", "UTF8"]);
        run(init.args(["--locale=C.UTF-8", "--no-sync", "--no-instructions"]));
        self.start_database();
        let import = self.path("import.php");
        fs::write(&import, IMPORT).unwrap();
        let mut php = self.machine.command("php");
        run(php.args(["-d", "memory_limit=512M"]).arg(import).arg(self.path("sock")));
    }

    /// Starts PostgreSQL on a socket only; what it has is there again.
    pub(crate) fn start_database(&mut self) {
        let program = self.machine.postgres("postgres");
        let mut command = self.machine.command_as("postgres", &program);
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
        let mut command = self.machine.command("/usr/sbin/zabbix_server");
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

    /// Starts the proxy, which waits until one of its name exists in Zabbix: it takes some
    /// seconds to make its database.
    fn start_proxy(&mut self) {
        let conf = self.path("proxy.conf");
        let (at, port) = (self.directory.path().display(), self.proxy_port);
        fs::write(
            &conf,
            format!(
                "ProxyMode=0\nHostname={PROXY}\nServer=127.0.0.1:{}\nListenIP=127.0.0.1\n\
                 ListenPort={port}\nSourceIP=127.0.0.1\nLogType=file\nLogFile={at}/srv/proxy.log\n\
                 PidFile={at}/srv/proxy.pid\nSocketDir={at}/tmp\nDBName={at}/srv/proxy.db\n\
                 User=zabbix\nConfigFrequency=1\nDataSenderFrequency=1\nStartPollers=1\n\
                 StartPollersUnreachable=1\nStartPreprocessors=1\nStartTrappers=3\n\
                 StartPingers=0\nStartDiscoverers=0\nStartHTTPPollers=0\nStartDBSyncers=1\n",
                self.trapper_port
            ),
        )
        .unwrap();
        let mut command = self.machine.proxy();
        command.arg("-f").arg("-c").arg(conf).process_group(0);
        self.proxy = Some(self.spawn(command, "proxy.out"));
    }

    fn start_frontend(&mut self) {
        let (own, at) = (self.path("frontend"), self.directory.path().display().to_string());
        run(self.machine.command("cp").args(["-rL", "/usr/share/zabbix"]).arg(&own));
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
        let mut compile = self.machine.command("localedef");
        compile.args(["--no-archive", "-i", "en_US", "-f", "UTF-8"]);
        let made = compile.arg(&locale).output();
        assert!(locale.exists(), "{made:?}");
        let mut command = self.machine.command("php");
        command.arg("-c").arg(self.path("php.ini")).process_group(0);
        command.args(["-S", &format!("127.0.0.1:{}", self.http_port), "-t"]).arg(own);
        command
            .env("PHP_CLI_SERVER_WORKERS", "4")
            .env("LOCPATH", self.path("locale"))
            .env_remove("LC_ALL");
        self.php = Some(self.spawn(command, "php.log"));
        self.version = until("the frontend", LIMIT, || {
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
            let logs =
                [("server", "srv/server.log"), ("proxy", "srv/proxy.log"), ("frontend", "php.log")];
            for (who, log) in logs {
                let log = fs::read_to_string(self.path(log)).unwrap_or_default();
                let tail: Vec<&str> = log.lines().rev().take(15).collect();
                let tail: Vec<&str> = tail.into_iter().rev().collect();
                eprintln!("log of the {who}:\n{}", tail.join("\n"));
            }
        }
        end(&mut self.php, Signal::KILL, true);
        end(&mut self.proxy, Signal::KILL, true);
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

/// A free port from `first` on: server and proxy refuse those from 32768 on, and those below are
/// seldom handed out.
fn port_from(first: u16) -> u16 {
    let free = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok();
    (first..32_768).find(free).unwrap()
}

#[track_caller]
fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {error}");
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
