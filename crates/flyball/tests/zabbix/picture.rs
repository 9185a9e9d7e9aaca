//! What a user sees: the host's dashboard in a browser. `FLYBALL_PICTURES=DIR` keeps the pictures,
//! which are those of the guide.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;

use crate::machine::{install_here, not_run};
use crate::stack::Stack;

/// An error box has a tenth of this; two charts have four times as much.
const BYTES_MIN: u64 = 15_000;

pub(crate) fn of_the_dashboard(stack: &Stack, host: &str) {
    if !has_browser() {
        return not_run(
            "there is no chromium, and apt-get cannot install it: no picture of the dashboard",
        );
    }
    let ask = json!({ "filter": { "host": [host] }, "output": ["hostid"] });
    let id = stack.api("host.get", ask)[0]["hostid"].as_str().unwrap().to_owned();
    let page = format!(
        "zabbix.php%3Faction%3Dhost.dashboard.view%26hostid%3D{id}%26kiosk%3D1%26from%3Dnow-2m%26to%3Dnow"
    );
    let login = "index.php?name=Admin&password=zabbix&enter=Sign%20in&request=";
    let file = std::env::var_os("FLYBALL_PICTURES")
        .map_or_else(|| stack.path(""), PathBuf::from)
        .join("zabbix-dashboard.png");
    let mut browser = Command::new("chromium");
    browser.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
    ]);
    browser.args(["--disable-background-networking", "--disable-component-update"]);
    browser.args(["--disable-sync", "--window-size=1400,1040", "--virtual-time-budget=8000"]);
    browser.arg(format!("--user-data-dir={}", stack.path("browser").display()));
    browser.arg(format!("--screenshot={}", file.display()));
    browser.arg(format!("{}/{login}{page}", stack.web()));
    let output = browser.stdin(Stdio::null()).output().unwrap();
    let bytes = file.metadata().map_or(0, |file| file.len());
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(bytes > BYTES_MIN, "{} has {bytes} bytes: {error}", file.display());
    println!("a picture of {bytes} bytes: {}", file.display());
}

fn has_browser() -> bool {
    let there = || Path::new("/usr/bin/chromium").exists();
    there() || install_here(&["chromium"]).is_ok() && there()
}
