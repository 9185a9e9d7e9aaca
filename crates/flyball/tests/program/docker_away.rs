//! A Docker that does not answer is reported once, with one hint, and logged at a quiet pace.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;
use std::{fs, io::Read, io::Write};

use rustix::process::getuid;

use crate::support::{Daemon, FLYBALL, Place, clean, flyball, run, sample, until};

/// A user that owns nothing.
const NOBODY: u32 = 65_534;

/// Two services on the Docker at `socket`.
fn place(socket: &Path) -> Place {
    let service = |name: &str| {
        format!(
            "[services.{name}]\nengine = \"docker\"\nbalancer = \"none\"\nimage = \"x:1\"\nport = 80\n"
        )
    };
    let host = format!("unix://{}", socket.display());
    Place::with(&format!("[docker]\nhost = {host:?}\n{}{}", service("api"), service("web")))
}

/// What is wrong according to `flyball check`, for a user who may do nothing if `as_nobody`.
fn wrong(place: &Place, socket: &Path, unprivileged: bool) -> String {
    let mut command = flyball(["check", "-c", place.config().to_str().unwrap()]);
    if unprivileged {
        let program = place.path().join("flyball");
        fs::copy(FLYBALL, &program).unwrap();
        fs::set_permissions(place.path(), fs::Permissions::from_mode(0o777)).unwrap();
        command = std::process::Command::new(program);
        command.args(["check", "-c", place.config().to_str().unwrap()]);
        clean(&mut command);
        command.uid(NOBODY).gid(NOBODY).current_dir("/");
    }
    let output = run(&mut command);
    assert_eq!(output.code, Some(1), "{output:?}");
    let (mut lines, mut goes_on) = (Vec::new(), false);
    for line in output.stdout.lines() {
        goes_on = line.starts_with("wrong") || (goes_on && line.starts_with(' '));
        lines.extend(goes_on.then_some(line));
    }
    lines.join("\n").replace(&socket.display().to_string(), "SOCKET")
}

/// Answers every request in the same way, for as long as the test lasts.
fn answering(socket: &Path, answer: &'static str) {
    let listener = UnixListener::bind(socket).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _request = stream.read(&mut [0; 4096]);
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n";
            let length = answer.len();
            let _gone = write!(stream, "{head}Content-Length: {length}\r\n\r\n{answer}");
        }
    });
}

#[test]
fn each_way_to_be_away_is_reported_once_with_one_hint() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let socket = folder.path().join("none.sock");
    insta::assert_snapshot!(wrong(&place(&socket), &socket, false), @r"
    wrong docker.host: docker is not running at unix://SOCKET: there is no SOCKET
          hint: start it (systemctl start docker), or set host
    ");
    let socket = folder.path().join("old.sock");
    answering(&socket, r#"{"ApiVersion":"1.12","Version":"1.0"}"#);
    insta::assert_snapshot!(wrong(&place(&socket), &socket, false), @r"
    wrong docker.host: docker at unix://SOCKET speaks API 1.12; flyball needs 1.25
          hint: update docker
    ");
    if getuid().is_root() {
        let socket = folder.path().join("closed.sock");
        answering(&socket, "{}");
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o600)).unwrap();
        insta::assert_snapshot!(wrong(&place(&socket), &socket, true), @r"
        wrong docker.host: no permission to use docker at unix://SOCKET
              hint: add the user to the group docker (usermod -aG docker USER) and log in again
        ");
    }
}

#[test]
fn while_docker_is_away_one_warning_is_logged_and_one_decision_kept() {
    let folder = tempfile::tempdir().unwrap();
    let place = place(&folder.path().join("none.sock"));
    let daemon = Daemon::start(&place);
    until("a warning", || (daemon.log_count("WARN") > 0).then_some(()));
    sleep(Duration::from_secs(3));
    assert_eq!(daemon.log_count("WARN"), 1, "{}", daemon.log());
    assert_eq!(daemon.log_count("hint: start it"), 1, "{}", daemon.log());
    let kept = daemon.get("/api/v1/services/web/decisions").json();
    let kept = kept.as_array().unwrap().len();
    assert_eq!(kept, 1);
}

/// Found by labels in a Swarm elsewhere, services need no Docker here.
#[test]
fn a_controller_of_a_swarm_starts_without_a_docker_of_its_own() {
    let place = Place::new();
    let nowhere = format!("unix://{}", place.path().join("none.sock").display());
    place.configure(&format!(
        "[docker]\nhost = {nowhere:?}\nlabels = false\n[swarm]\nmanagers = [\"tcp://127.0.0.1:1\"]\n"
    ));
    let daemon = Daemon::start(&place);
    assert_eq!(daemon.get("/api/v1/services").json(), serde_json::json!([]));
}

/// What follows labels may be at any point of its work, in the middle of a question, too.
#[test]
fn a_stop_while_labels_are_followed_loses_no_history() {
    let folder = tempfile::tempdir().unwrap();
    let mute = folder.path().join("mute.sock");
    let _never_answers = UnixListener::bind(&mute).unwrap();
    for (socket, stops) in [(folder.path().join("none.sock"), 8), (mute, 2)] {
        let host = format!("unix://{}", socket.display());
        let service = sample("web", 1.0, 0.5, "");
        let place = Place::with(&format!("[docker]\nhost = {host:?}\n{service}"));
        for _ in 0..stops {
            let daemon = Daemon::start(&place);
            daemon.until_settled("web", 1);
            let (status, log) = daemon.stop();
            assert_eq!(status.code(), Some(0), "{log}");
            assert!(!log.contains("may be lost"), "{log}");
        }
    }
}
