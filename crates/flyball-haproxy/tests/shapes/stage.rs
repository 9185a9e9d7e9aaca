//! One HAProxy with one configuration, and a replica that speaks its servers' protocol.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use flyball_haproxy::{
    Edit, Finding, Haproxy, HaproxySettings, OwnedFile, Socket, TemplateServers,
};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use super::collection::Shape;
use super::edit::applied;
use super::versions::Version;
use flyball_testkit::haproxy;

pub(crate) struct Stage {
    pub(crate) settings: HaproxySettings,
    /// Where a replica of the kind that the shape has answers.
    pub(crate) replica: SocketAddr,
    folder: TempDir,
    version: Version,
    text: String,
    front: SocketAddr,
    child: Option<Child>,
    peer: haproxy::Replica,
}

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A certificate with its key, for whatever speaks TLS here.
fn certificate() -> &'static str {
    static PEM: OnceLock<String> = OnceLock::new();
    PEM.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let [key, cert] = ["key.pem", "cert.pem"].map(|name| folder.path().join(name));
        let words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30";
        let mut command = Command::new("openssl");
        command.args(words.split(' ')).args(["-subj", "/CN=web.test", "-keyout"]).arg(&key);
        command.arg("-out").arg(&cert).stdin(Stdio::null()).stderr(Stdio::null());
        assert!(command.status().unwrap().success(), "openssl makes no certificate");
        fs::read_to_string(cert).unwrap() + &fs::read_to_string(key).unwrap()
    })
}

impl Stage {
    pub(crate) async fn prepare(shape: &Shape, version: &Version) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let (front, replica) = (free(), free());
        fs::write(at("site.pem"), certificate()).unwrap();
        fs::write(at("hosts.map"), "shop.test shop\n").unwrap();
        let text = shape
            .text()
            .replace("{socket}", &at("admin.sock"))
            .replace("{folder}", &folder.path().display().to_string())
            .replace("{pem}", &at("site.pem"))
            .replace("{host}", fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim())
            .replace("{front}", &front.to_string())
            .replace("{replica}", &replica.to_string())
            .replace("{other}", &free().to_string())
            .replace("{third}", &free().to_string());
        let socket = Socket::Unix(at("admin.sock").into());
        let mut settings =
            HaproxySettings { call_limit_ms: 2_000, ..HaproxySettings::new(socket, shape.backend) };
        (shape.settings)(&mut settings);
        if let Some(OwnedFile { path, directory, .. }) = &mut settings.file {
            *path = at("flyball.cfg").into();
            folder.path().clone_into(directory);
        }
        let peer = haproxy::Replica::start("replica", Duration::ZERO).await;
        let replica = if shape.has_own_replica() { replica } else { peer.address };
        let version = version.clone();
        Self { settings, replica, folder, version, text, front, child: None, peer }
    }

    fn files(&self) -> Vec<PathBuf> {
        let own = self.folder.path().join("haproxy.cfg");
        let owned = self.settings.file.iter().map(|file| file.path.clone());
        [own].into_iter().chain(owned.filter(|path| path.exists())).collect()
    }

    /// Starts HAProxy, which must accept its configuration without a warning.
    pub(crate) async fn start(&mut self, case: &str) {
        fs::write(self.folder.path().join("haproxy.cfg"), &self.text).unwrap();
        let log = self.folder.path().join("log");
        let file = fs::File::create(&log).unwrap();
        let mut command = self.version.command();
        command.arg("-db").stdout(file.try_clone().unwrap()).stderr(file);
        for name in self.files() {
            command.arg("-f").arg(name);
        }
        self.child = Some(command.spawn().unwrap());
        let began = Instant::now();
        while !self.answers().await {
            let output = fs::read_to_string(&log).unwrap_or_default();
            let ended = self.child.as_mut().unwrap().try_wait().unwrap().is_some();
            let slow = began.elapsed() > haproxy::DEADLINE;
            assert!(!ended && !slow, "{case}: HAProxy does not start: {output}\n{}", self.text);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let output = fs::read_to_string(&log).unwrap_or_default();
        let objects = output.lines().any(|line| {
            // A server that is not there goes down: that is no objection to a line.
            let of_a_line = line.contains("parsing [") || line.contains("config :");
            of_a_line && (line.contains("WARNING") || line.contains("ALERT"))
        });
        assert!(!objects, "{case}: HAProxy objects: {output}\n{}", self.text);
    }

    async fn answers(&self) -> bool {
        let Ok(mut stream) = UnixStream::connect(self.folder.path().join("admin.sock")).await
        else {
            return false;
        };
        let mut text = String::new();
        stream.write_all(b"show info\n").await.is_ok()
            && stream.read_to_string(&mut text).await.is_ok()
            && text.contains("Pid: ")
    }

    pub(crate) fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let _ = child.kill();
        let _ = child.wait();
    }

    pub(crate) async fn check(&self) -> Vec<Finding> {
        Haproxy::check(&self.settings, &self.files()).await
    }

    /// Follows the hints, in HAProxy's file and in flyball's.
    pub(crate) fn change(&mut self, edits: &[Edit]) {
        for edit in edits {
            match edit {
                Edit::Flyball { key, value } => self.set(key, value),
                Edit::Add { section, line } | Edit::Replace { section, line, .. }
                    if section == "lines" =>
                {
                    let file = self.settings.file.as_mut().unwrap();
                    file.lines.push_str(&format!("\n{line}"));
                }
                edit => self.text = applied(&self.text, edit),
            }
        }
    }

    fn set(&mut self, key: &str, value: &str) {
        match key {
            "haproxy.options" => {
                value.trim_matches('"').clone_into(&mut self.settings.server_options.words);
            }
            "haproxy.template" => {
                self.settings.template_servers =
                    Some(TemplateServers { prefix: "fb".to_owned(), count: 20 });
            }
            "slots" => self.settings.server_options.slots = Some(value.parse().unwrap()),
            other => panic!("unknown key {other}"),
        }
    }

    /// One request through the front.
    pub(crate) async fn ask(&self) -> Result<String, String> {
        let ask = async {
            let mut stream = TcpStream::connect(self.front).await?;
            let head = "GET /app HTTP/1.1\r\nhost: web.test\r\n\
                        authorization: Basic YWRtaW46c2VjcmV0\r\nconnection: close\r\n\r\n";
            stream.write_all(head.as_bytes()).await?;
            let mut text = Vec::new();
            // Behind `mode tcp` the connection is not closed.
            while !text.ends_with(b"replica") && stream.read_buf(&mut text).await? > 0 {}
            std::io::Result::Ok(String::from_utf8_lossy(&text).into_owned())
        };
        let text = tokio::time::timeout(haproxy::DEADLINE, ask).await.map_err(|e| e.to_string())?;
        let text = text.map_err(|error| error.to_string())?;
        let _ = &self.peer;
        if text.starts_with("HTTP/1.1 200") { Ok(text) } else { Err(text) }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.stop();
    }
}
