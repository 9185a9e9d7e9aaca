//! Notifications, told to scripted web servers.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

use crate::support::{Daemon, Place, flyball, free_port, run, shell, until};

/// What a server was posted.
#[derive(Clone, Debug)]
struct Posted {
    path: String,
    headers: Vec<String>,
    body: String,
}

/// A web server that answers each request with one status.
struct Hook {
    at: SocketAddr,
    posted: Receiver<Posted>,
}

impl Hook {
    fn answering(status: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let (sender, posted) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let Some(posted) = read(&stream) else { continue };
                let _closed = write!(&stream, "HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\nno");
                if sender.send(posted).is_err() {
                    return;
                }
            }
        });
        Self { at, posted }
    }

    fn next(&self) -> Posted {
        self.posted.recv_timeout(Duration::from_secs(20)).unwrap()
    }
}

fn read(stream: &TcpStream) -> Option<Posted> {
    let mut lines = BufReader::new(stream);
    let mut line = String::new();
    lines.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        lines.read_line(&mut line).ok()?;
        match line.trim_end() {
            "" => break,
            header => headers.push(header.to_ascii_lowercase()),
        }
    }
    let length = headers.iter().find_map(|header| header.strip_prefix("content-length: "))?;
    let mut body = vec![0; length.parse().ok()?];
    lines.read_exact(&mut body).ok()?;
    Some(Posted { path, headers, body: String::from_utf8(body).ok()? })
}

/// One that accepts and never answers; its connections stay open.
fn hanging() -> (SocketAddr, Arc<Mutex<Vec<TcpStream>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keeps = Arc::clone(&kept);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            keeps.lock().unwrap().push(stream);
        }
    });
    (at, kept)
}

fn target(name: &str, at: SocketAddr, more: &str) -> String {
    format!("[notify.{name}]\nurl = \"http://{at}/{name}\"\n{more}\n")
}

/// A service whose replicas end at once.
fn broken() -> String {
    shell("web", "echo 'no <database> @everyone' >&2; exit 3", "ready = { tcp = true }")
}

#[test]
fn each_target_hears_once_in_its_own_form_whatever_becomes_of_the_others() {
    let good = Hook::answering("200 OK");
    let failing = Hook::answering("500 Internal Server Error");
    let (silent, kept) = hanging();
    let place = Place::new();
    let token = place.write("token", "s3cret-s3cret-s3cret\n");
    let mut text = broken();
    for (name, more) in [
        ("json", String::new()),
        ("slack", "body = \"slack\"".to_owned()),
        ("discord", "body = \"discord\"".to_owned()),
        ("ntfy", format!("body = \"ntfy\"\ntoken_file = {token:?}")),
        ("gotify", format!("body = \"gotify\"\ntoken_file = {token:?}")),
        ("own", "template = '{\"what\": \"{service}/{event}: {text}\"}'".to_owned()),
    ] {
        text += &target(name, good.at, &format!("{more}\nevents = [\"starts_held\"]"));
    }
    let gone = SocketAddr::from(([127, 0, 0, 1], free_port()));
    for (name, at) in [("failing", failing.at), ("silent", silent), ("gone", gone)] {
        text += &target(name, at, "");
    }
    place.configure(&text);
    let daemon = Daemon::start(&place);
    let mut heard: Vec<Posted> = (0..6).map(|_| good.next()).collect();
    heard.sort_by(|a, b| a.path.cmp(&b.path));
    let paths: Vec<&str> = heard.iter().map(|it| it.path.as_str()).collect();
    assert_eq!(paths, ["/discord", "/gotify", "/json", "/ntfy", "/own", "/slack"]);
    let json = |number: usize| serde_json::from_str::<Value>(&heard[number].body).unwrap();
    assert_eq!(json(0)["allowed_mentions"]["parse"], Value::Array(Vec::new()));
    assert_eq!(json(1)["title"], "web: starts_held");
    assert!(heard[1].headers.contains(&"x-gotify-key: s3cret-s3cret-s3cret".to_owned()));
    let plain = json(2);
    assert_eq!((&plain["service"], &plain["state"]), (&"web".into(), &"began".into()));
    assert!(plain["text"].as_str().unwrap().contains("no <database>"), "{plain}");
    assert!(heard[3].headers.contains(&"authorization: bearer s3cret-s3cret-s3cret".to_owned()));
    assert!(heard[3].body.contains("no <database>"), "{:?}", heard[3]);
    assert!(json(4)["what"].as_str().unwrap().starts_with("web/starts_held: "), "{:?}", heard[4]);
    assert!(json(5)["text"].as_str().unwrap().contains("&lt;database&gt;"), "{:?}", heard[5]);
    // Three tries, and then it is said why.
    let tries: Vec<Posted> = (0..3).map(|_| failing.next()).collect();
    assert!(tries.iter().all(|it| it.body == tries[0].body), "{tries:?}");
    until("what did not arrive", || {
        let said = |words: &str| (daemon.log_count(words) > 0).then_some(());
        said("notify.failing: not told that web: ").and(said("notify.gone: not told that web: "))
    });
    assert!(!kept.lock().unwrap().is_empty(), "nobody asked the one that hangs");
    let log = daemon.log();
    assert!(!log.contains("s3cret"), "{log}");
    let (status, log) = daemon.stop();
    assert!(status.success(), "{log}");
    assert!(good.posted.try_recv().is_err(), "something was told twice");
}

#[test]
fn a_test_says_of_each_target_whether_it_took_the_notification() {
    let (good, bad) = (Hook::answering("204 No Content"), Hook::answering("403 Forbidden"));
    let place = Place::new();
    let config = |text: &str| {
        let mut whole = broken();
        write!(whole, "{text}").unwrap();
        place.configure(&whole);
        place.config().display().to_string()
    };
    let path = config(&(target("bad", bad.at, "") + &target("good", good.at, "")));
    let ran = run(&mut flyball(["notify", "test", "-c", &path]));
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let refused = format!("bad: failed: {} answered 403: no\ngood: ok\n", bad.at);
    assert_eq!(ran.stdout, refused);
    let one = run(&mut flyball(["notify", "test", "good", "--json", "-c", &path]));
    assert_eq!(one.code, Some(0), "{one:?}");
    let line: Value = serde_json::from_str(&one.stdout).unwrap();
    assert_eq!((&line["target"], &line["ok"]), (&"good".into(), &true.into()));
    let none = run(&mut flyball(["notify", "test", "nobody", "-c", &path]));
    assert_eq!(none.code, Some(2), "{none:?}");
    assert!(none.stderr.contains("hint: its targets are bad, good"), "{none:?}");
    let path = config("");
    let empty = run(&mut flyball(["notify", "test", "-c", &path]));
    assert!(empty.stderr.contains("hint: add [notify.NAME] with url"), "{empty:?}");
}
