//! examples/swarm does what its README promises, and its controller moves with the count it had.

/// Loads the machine.
mod alone {
    use std::net::SocketAddr;
    use std::os::unix::fs::symlink;
    use std::path::{Path, PathBuf};
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    use serde_json::Value;

    use crate::node::Node;
    use crate::support::{
        FLYBALL, Place, Steady, ask, flyball, installed, run, until, until_within,
    };
    use crate::swarm::Swarm;

    const IMAGES: [&str; 2] = ["example-flyball:1", "example-haproxy:1"];
    const SECRET: &str = "0123456789abcdef";
    /// Where HAProxy is: not where the controller begins.
    const FRONT: usize = 0;

    struct Example {
        swarm: Swarm,
        place: Place,
        folder: PathBuf,
    }

    impl Example {
        /// The stack, deployed as in its README.
        fn deploy() -> Option<Self> {
            installed("haproxy", "haproxy")?;
            let swarm = Swarm::up(3)?;
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/swarm");
            let example = Self { swarm, place: Place::new(), folder };
            example.load_images();
            let first = &example.swarm.nodes[FRONT];
            let secret = example.place.write("secret", SECRET);
            for name in ["flyball-agent", "flyball-page"] {
                first.docker(&["secret", "create", name, secret.to_str().unwrap()]);
            }
            first.docker(&["node", "update", "--label-add", "front=true", &first.name()]);
            let stack = ["stack", "deploy", "-c", "stack.yml", "--resolve-image", "never", "shop"];
            example.command("docker", &stack);
            let away = format!("node.hostname!={}", first.name());
            // Swarm itself may still change a service that is new.
            let update = ["service", "update", "-d", "--constraint-add", &away, "shop_flyball"];
            until("another place for the controller", || first.try_docker(&update));
            Some(example)
        }

        /// Each machine has its own images: no registry is asked.
        fn load_images(&self) {
            self.command("../docker/build.sh", &[]);
            let tar = self.place.path().join("images.tar");
            let tar = tar.to_str().unwrap();
            self.swarm.docker(&[&["save", "-o", tar][..], &IMAGES].concat());
            for node in &self.swarm.nodes[1..] {
                node.docker(&["load", "-q", "-i", tar]);
            }
        }

        /// Runs a command of the example at the first node.
        fn command(&self, program: &str, words: &[&str]) {
            // On a machine of its own each daemon has the same socket; here they lie side by side.
            for node in &self.swarm.nodes {
                let socket = node.host().replace("unix://", "");
                let _there = symlink(socket, self.place.path().join(node.name()));
            }
            let socket = format!("{}/{{{{.Node.Hostname}}}}", self.place.path().display());
            let mut command = Command::new(program);
            command.args(words).current_dir(&self.folder).stdin(Stdio::null());
            command.env("DOCKER_HOST", self.swarm.nodes[FRONT].host()).env("DOCKER_SOCK", socket);
            let output = command.env("FLYBALL", FLYBALL).output().unwrap();
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{program} {words:?}: {errors}");
        }

        /// The page of the controller, and the node that it is on.
        #[track_caller]
        fn controller(&self, not_on: Option<&Node>) -> (SocketAddr, usize) {
            until("the controller's page", || {
                let numbers = 0..self.swarm.nodes.len();
                numbers
                    .filter(|n| {
                        not_on.is_none_or(|node| node.number != self.swarm.nodes[*n].number)
                    })
                    .find_map(|n| {
                        let page = self.port(n, 7878);
                        ask(page, "GET", "/readyz", None).is_ok().then_some((page, n))
                    })
            })
        }

        fn port(&self, node: usize, port: u16) -> SocketAddr {
            SocketAddr::new(self.swarm.nodes[node].address().parse().unwrap(), port)
        }
    }

    fn web(page: SocketAddr) -> Option<Value> {
        let answer = ask(page, "GET", "/api/v1/services/web", None).ok()?;
        (answer.status == 200).then(|| answer.json())
    }

    /// Waits until this many are ready and the CPU usage of each is known.
    #[track_caller]
    fn until_metered(page: SocketAddr, count: u64) {
        until(&format!("{count} replicas with CPU time"), || {
            let view = web(page)?;
            let metered = view["replicas"].as_array()?.iter().filter(|it| it["cpu"].is_number());
            let ready = view["decision"]["signals"]["ready"] == count;
            (ready && metered.count() as u64 == count).then_some(())
        });
    }

    /// A replica does 20 requests a second: at this rate two are enough, at five times as much they
    /// are not.
    const CALM_PER_S: u32 = 20;

    /// A hold window, widened, and the halves after it.
    const HOLD: Duration = Duration::from_secs(60);

    /// Shows that five times the load, and the load as it was, change the count and fail nothing.
    fn follows_the_load(example: &Example, page: SocketAddr) {
        let front = example.port(FRONT, 8080);
        until("an answer through HAProxy", || {
            ask(front, "GET", "/", None).ok().filter(|answer| answer.status == 200)
        });
        let ready = || web(page)?["decision"]["signals"]["ready"].as_u64();
        let calm = Steady::start(front, CALM_PER_S);
        until("the cost of a request", || {
            web(page)?["decision"]["signals"]["work_s"].is_number().then_some(())
        });
        let before = calm.finish();
        let high = Steady::start(front, 5 * CALM_PER_S);
        let most = until("enough for five times as much", || ready().filter(|count| *count >= 6));
        until_metered_at_least(page, 6);
        let mut nodes = example.swarm.nodes_of("shop_web");
        nodes.dedup();
        assert_eq!(nodes.len(), 3, "{nodes:?}");
        let high = high.finish();
        let calm = Steady::start(front, CALM_PER_S);
        let enough = || ready().filter(|count| *count <= 3);
        let least = until_within(HOLD, "what is enough again", enough);
        let after = calm.finish();
        for report in [&before, &high, &after] {
            assert_eq!(report.failed, 0, "{:?}", report.failures);
        }
        println!(
            "2 -> {most} -> {least} replicas, {} requests, {} over the limit",
            before.requests + high.requests + after.requests,
            before.slow + high.slow + after.slow
        );
    }

    /// Waits until the CPU usage of this many replicas is known.
    #[track_caller]
    fn until_metered_at_least(page: SocketAddr, count: usize) {
        until(&format!("CPU time of {count} replicas"), || {
            let view = web(page)?;
            let metered = view["replicas"].as_array()?.iter().filter(|it| it["cpu"].is_number());
            (metered.count() >= count).then_some(())
        });
    }

    #[test]
    fn the_example_follows_its_load_on_all_nodes_and_its_controller_moves_with_its_count() {
        let Some(example) = Example::deploy() else { return };
        let secret = example.place.write("page", SECRET);
        let token = ["--token-file", secret.to_str().unwrap()];
        let (page, first) = example.controller(Some(&example.swarm.nodes[FRONT]));
        until_metered_at_least(page, 2);
        follows_the_load(&example, page);
        let daemon = page.to_string();
        let more = ["scale", "web", "6", "--daemon", &daemon];
        let output = run(&mut flyball([&more[..], &token].concat()));
        assert_eq!(output.code, Some(0), "{output:?}");
        until_metered(page, 6);
        let mut nodes = example.swarm.nodes_of("shop_web");
        nodes.dedup();
        assert_eq!(nodes.len(), 3, "{nodes:?}");
        let shown = run(&mut flyball(["status", "web", "--daemon", &daemon]));
        let up = |node: &Node| shown.stdout.contains(&format!("\n{}  ", node.name()));
        assert!(example.swarm.nodes.iter().all(up), "{shown:?}");
        // Each agent refuses a client with another secret.
        let wrong = example.place.write("wrong", "another");
        for node in 0..example.swarm.nodes.len() {
            let agent = example.port(node, 9810).to_string();
            let asked = ["agent", "--check", &agent, "--token-file", wrong.to_str().unwrap()];
            let output = run(&mut flyball(asked));
            assert!(
                output.code == Some(1) && output.stderr.contains("refuses the token"),
                "{output:?}"
            );
        }

        let begun = Instant::now();
        let left = &example.swarm.nodes[first];
        example.swarm.docker(&["node", "update", "--availability", "drain", &left.name()]);
        let (page, _) = example.controller(Some(left));
        let view = until("a decision elsewhere", || {
            web(page).filter(|view| view["decision"]["signals"]["ready"].as_u64() > Some(0))
        });
        println!("elsewhere after {:?}", begun.elapsed());
        assert!(begun.elapsed() < Duration::from_secs(20));
        assert_eq!(view["decision"]["desired"], 6, "{view}");
        // Once it sees how little arrives it would remove, and does not for lack of history.
        until("a count that is held", || {
            let decision = web(page)?["decision"].clone();
            assert_eq!(decision["desired"], 6, "{decision}");
            decision["adjustments"].to_string().contains("warm_up").then_some(())
        });
        until_metered(page, 6);
        assert_eq!(example.swarm.spec("shop_web")["Mode"]["Replicated"]["Replicas"], 6);
        example.command("docker", &["stack", "rm", "shop"]);
    }
}
