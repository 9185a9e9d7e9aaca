//! Runs the scripted Marathon from a terminal: starts it, creates one app and waits for the end.
#![expect(clippy::print_stdout, reason = "a command for people at a terminal")]

use std::io::Read as _;

use clap::Parser;
use flyball_testkit::marathon::{Lab, LabSettings};
use serde_json::json;

#[derive(Parser)]
#[command(name = "cargo xtask lab marathon", about = "A scripted Marathon on 127.0.0.1")]
struct Cli {
    /// The port of the leader; the other Marathon has the next one
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// What each task runs; `$PORT0` is its port
    #[arg(long, default_value = "flyball sample-service --port $PORT0")]
    cmd: String,
    /// How many tasks the app begins with
    #[arg(long, default_value_t = 2)]
    instances: usize,
}

fn main() {
    let Cli { port, cmd, instances } = Cli::parse();
    let lab = Lab::start(LabSettings::default(), Some(port));
    let check = json!({ "protocol": "HTTP", "path": "/healthz" });
    lab.put(
        json!({ "id": "/shop/web", "cmd": cmd, "cpus": 1, "healthChecks": [check] }),
        instances,
    );
    let (at, other) = (lab.at(0), lab.at(1));
    println!(
        "marathon on http://{at} (leads) and http://{other}, app /shop/web, until the end of its input"
    );
    println!("  curl http://{at}/v2/apps/shop/web?embed=app.tasks");
    println!("  curl -X PATCH -d '{{\"instances\":5}}' http://{at}/v2/apps/shop/web");
    println!("  curl -X PUT -d '{{\"status\":503}}' http://{at}/lab     (GET shows all knobs)");
    let mut input = Vec::new();
    let _ended_either_way = std::io::stdin().read_to_end(&mut input);
    drop(lab);
}
