//! A headless Chromium, driven through its debugging pipe; it does not know the page. It is dead
//! when this is dropped, every call has a deadline, and every event in between is kept.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use serde_json::{Value, json};

use crate::support::DEADLINE;

/// The keys that a page can be used with.
#[derive(Clone, Copy)]
pub(crate) enum Key {
    Enter,
    Escape,
    Tab,
}

/// One tab of a browser of its own.
pub(crate) struct Chromium {
    child: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    calls: u64,
    session: Option<String>,
    /// What happened in the tab: requests, console lines, violations.
    events: Vec<Value>,
    _profile: tempfile::TempDir,
}

impl Chromium {
    pub(crate) fn start(program: &Path) -> Self {
        let profile = tempfile::tempdir().unwrap();
        // The browser reads calls from descriptor 3 and answers on 4.
        let mut child = Command::new("sh")
            .args(["-c", "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1", "sh"])
            .arg(program)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"])
            .args(["--no-first-run", "--disable-background-networking"])
            .args(["--disable-component-update", "--disable-sync", "--remote-debugging-pipe"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (to, answers) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (sender, from) = channel();
        std::thread::spawn(move || {
            let parts = BufReader::new(answers).split(0).map_while(Result::ok);
            for value in parts.filter_map(|part| serde_json::from_slice(&part).ok()) {
                if sender.send(value).is_err() {
                    return;
                }
            }
        });
        let (events, session) = (Vec::new(), None);
        let mut browser = Self { child, to, from, calls: 0, session, events, _profile: profile };
        browser.open_tab();
        browser
    }

    fn open_tab(&mut self) {
        let target = self.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = self.call("Target.attachToTarget", attach);
        self.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network", "Audits"] {
            self.call(&format!("{domain}.enable"), json!({}));
        }
        self.call("Emulation.setFocusEmulationEnabled", json!({ "enabled": true }));
    }

    /// Asks the browser for something and waits for its answer.
    #[track_caller]
    pub(crate) fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.calls += 1;
        let mut call = json!({ "id": self.calls, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            call["sessionId"] = session.as_str().into();
        }
        self.to.write_all(format!("{call}\0").as_bytes()).unwrap();
        let end = Instant::now() + DEADLINE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let value =
                self.from.recv_timeout(left).unwrap_or_else(|_| panic!("{method}: no answer"));
            if value["id"] == self.calls {
                assert!(value["error"].is_null(), "{method}: {value}");
                return value["result"].clone();
            }
            self.events.push(value);
        }
    }

    pub(crate) fn open(&mut self, url: &str) {
        self.call("Page.navigate", json!({ "url": url }));
    }

    /// The value of an expression in the page, awaited.
    #[track_caller]
    pub(crate) fn value(&mut self, expression: &str) -> Value {
        let ask = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let answer = self.call("Runtime.evaluate", ask);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// Asks again until the expression is true.
    #[track_caller]
    pub(crate) fn until(&mut self, expression: &str) {
        let end = Instant::now() + 2 * DEADLINE;
        // A page that is just being left has nothing yet.
        let guarded =
            format!("(() => {{ try {{ return !!({expression}); }} catch {{ return false; }} }})()");
        while self.value(&guarded) != true {
            if Instant::now() > end {
                let text = self.value("document.body.innerText");
                panic!(
                    "never: {expression}\nthe page shows: {text}\nheard: {:?}",
                    self.complaints()
                );
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }

    /// A click at a place of the window, as a mouse makes it.
    pub(crate) fn click_at(&mut self, x: f64, y: f64) {
        for (kind, clicks) in [("mouseMoved", 0), ("mousePressed", 1), ("mouseReleased", 1)] {
            let button = if clicks > 0 { "left" } else { "none" };
            let event =
                json!({ "type": kind, "x": x, "y": y, "button": button, "clickCount": clicks });
            self.call("Input.dispatchMouseEvent", event);
        }
    }

    /// A key as a keyboard sends it, with its number and the text that it makes.
    pub(crate) fn press(&mut self, key: Key) {
        let (name, number, text) = match key {
            Key::Enter => ("Enter", 13, "\r"),
            Key::Escape => ("Escape", 27, ""),
            Key::Tab => ("Tab", 9, ""),
        };
        for kind in ["rawKeyDown", "char", "keyUp"] {
            if kind == "char" && text.is_empty() {
                continue;
            }
            let event = json!({ "type": kind, "key": name, "code": name, "text": text,
                "windowsVirtualKeyCode": number });
            self.call("Input.dispatchKeyEvent", event);
        }
    }

    /// Makes the window so wide, and light or dark.
    pub(crate) fn look_like(&mut self, width: u32, scheme: &str) {
        let window =
            json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.call("Emulation.setDeviceMetricsOverride", window);
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.call("Emulation.setEmulatedMedia", json!({ "features": features }));
    }

    /// The whole page as a PNG, in the artefacts of this repository.
    pub(crate) fn picture(&mut self, name: &str) {
        self.keep(name, true);
    }

    /// The same of what the window shows.
    pub(crate) fn window_picture(&mut self, name: &str) {
        self.keep(name, false);
    }

    fn keep(&mut self, name: &str, whole: bool) {
        let ask = json!({ "format": "png", "captureBeyondViewport": whole });
        let answer = self.call("Page.captureScreenshot", ask);
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.artifacts");
        std::fs::create_dir_all(&folder).unwrap();
        let bytes = decode(answer["data"].as_str().unwrap());
        assert!(bytes.starts_with(b"\x89PNG"), "{name} is a picture");
        std::fs::write(folder.join(format!("{name}.png")), bytes).unwrap();
    }

    fn events_of<'a>(&'a self, method: &'a str) -> impl Iterator<Item = &'a Value> {
        let params = move |event: &'a Value| (event["method"] == method).then(|| &event["params"]);
        self.events.iter().filter_map(params)
    }

    /// Every address that the page asked for anything.
    pub(crate) fn requests(&self) -> Vec<String> {
        let requests = self.events_of("Network.requestWillBeSent");
        requests.filter_map(|it| it["request"]["url"].as_str().map(str::to_owned)).collect()
    }

    /// Errors in the console, exceptions, and violations of the content policy. A refused request
    /// that the page itself handles does not count.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let logged = self.events_of("Log.entryAdded").map(|it| &it["entry"]);
        let logged = logged.filter(|it| it["level"] == "error" && it["source"] != "network");
        let console = self.events_of("Runtime.consoleAPICalled").filter(|it| it["type"] == "error");
        let issues = self.events_of("Audits.issueAdded").map(|it| &it["issue"]);
        let issues = issues.filter(|it| it["code"] == "ContentSecurityPolicyIssue");
        let thrown = self.events_of("Runtime.exceptionThrown");
        logged.chain(console).chain(issues).chain(thrown).map(Value::to_string).collect()
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // `sh` has become the browser itself; its helpers end with it.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Base 64 as the protocol writes it.
fn decode(text: &str) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |c: &u8| DIGITS.iter().position(|d| d == c).map(|at| u32::try_from(at).unwrap());
    let digits: Vec<u32> = text.as_bytes().iter().map_while(digit).collect();
    let mut bytes = Vec::with_capacity(digits.len() * 3 / 4);
    for four in digits.chunks(4) {
        let whole = (0..4).fold(0, |sum, i| sum << 6 | four.get(i).copied().unwrap_or(0));
        bytes.extend(&whole.to_be_bytes()[1..four.len()]);
    }
    bytes
}
