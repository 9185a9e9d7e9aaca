//! Two flyballs with one leader: what the standby reports meanwhile, and what it knows when it
//! takes over.

/// Fills the machine with servers, and measures the time of a takeover.
mod alone {
    use std::fs::File;
    use std::net::SocketAddr;
    use std::process::Child;
    use std::time::{Duration, Instant};

    use serde_json::Value;

    use crate::browser::chromium::Chromium;
    use crate::support::{Place, ask, flyball, free_port, installed, run, until};
    use flyball_testkit::zookeeper::Servers;

    const SESSION: Duration = Duration::from_secs(2);

    /// A flyball whose page stays where it is, with a service on a Docker that is not there.
    struct Flyball {
        place: Place,
        at: SocketAddr,
        child: Child,
    }

    impl Flyball {
        fn start(servers: &Servers) -> Self {
            let place = Place::new();
            let at = SocketAddr::from(([127, 0, 0, 1], free_port()));
            let (state, nowhere) = (place.state(), place.path().join("docker.sock"));
            place.write(
                "flyball.toml",
                &format!(
                    "[flyball]\nlisten = \"{at}\"\nstate_dir = {state:?}\n\
                     [ha]\nzookeeper = \"zk://{}/ours/flyball\"\nsession = \"2s\"\n\
                     [docker]\nhost = \"unix://{}\"\n[services.web]\nengine = \"docker\"\n\
                     balancer = \"none\"\nimage = \"x:1\"\nport = 80\nmin = 2\nmax = 6\n",
                    servers.addresses(),
                    nowhere.display(),
                ),
            );
            let mut command = flyball(["run", "-c", place.config().to_str().unwrap()]);
            let log = File::create(place.path().join("log")).unwrap();
            Self { child: command.stderr(log).spawn().unwrap(), place, at }
        }

        fn get(&self, path: &str) -> Option<Value> {
            Some(ask(self.at, "GET", path, None).ok()?.json())
        }

        fn role(&self) -> Option<String> {
            Some(self.get("/api/v1/leader")?["role"].as_str()?.to_owned())
        }

        fn until_it(&self, role: &str) {
            until(&format!("that it {role}"), || (self.role()? == role).then_some(()));
        }

        /// The command line, asked of this one.
        fn command(&self, words: &[&str]) -> crate::support::Ran {
            let at = self.at.to_string();
            run(&mut flyball([words, &["--daemon", &at]].concat()))
        }

        /// What `flyball check` reports of ZooKeeper.
        fn checked(&self) -> String {
            let output = run(&mut flyball(["check", "-c", self.place.config().to_str().unwrap()]));
            let mut lines =
                output.stdout.lines().filter(|line| line.contains(" ha")).collect::<Vec<_>>();
            lines.sort_unstable();
            lines.join("\n")
        }
    }

    impl Drop for Flyball {
        fn drop(&mut self) {
            if std::thread::panicking() {
                let log = std::fs::read_to_string(self.place.path().join("log"));
                eprintln!("log of a flyball:\n{}", log.unwrap_or_default());
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    #[test]
    fn a_standby_names_the_leader_refuses_overrides_and_takes_over_with_them() {
        let Some(servers) = Servers::up() else { return };
        let mut first = Flyball::start(&servers);
        first.until_it("leader");
        let second = Flyball::start(&servers);
        second.until_it("standby");
        let leader = format!("http://{}/ on ", first.at);
        until("that it knows the leader", || {
            second.get("/api/v1/leader")?["leader"].as_str()?.starts_with(&leader).then_some(())
        });
        let status = second.command(&["status"]);
        assert!(
            status.stdout.contains(&format!("on standby; the leader is {leader}")),
            "{status:?}"
        );
        assert!(first.command(&["status"]).stdout.contains("this flyball is the leader, term "));
        let refused = second.command(&["scale", "web", "5"]);
        assert_eq!(refused.code, Some(2), "{refused:?}");
        let hint = format!("hint: ask it: --daemon {}", first.at);
        assert!(refused.stderr.contains(&hint), "{refused:?}");
        let paused = first.command(&["pause", "web", "--for", "1h"]);
        assert_eq!(paused.code, Some(0), "{paused:?}");
        let checked = second.checked();
        assert!(checked.contains("3 of 3 servers answer"), "{checked}");
        assert!(checked.contains("/ours/flyball exists, sessions of 2000 ms"), "{checked}");
        assert!(checked.contains(&leader) && checked.contains("1 on standby"), "{checked}");
        let mut browser = installed("chromium", "chromium").map(|it| Chromium::start(&it));
        if let Some(browser) = &mut browser {
            looked_at(browser, &second, &leader);
        }

        first.child.kill().unwrap();
        first.child.wait().unwrap();
        let at = Instant::now();
        second.until_it("leader");
        let took = at.elapsed();
        println!("killed: the page of the other shows it as leader after {took:?}");
        assert!(took < SESSION + Duration::from_secs(2), "{took:?}");
        // A pause that an operator asked the other one for still holds.
        until("the pause", || {
            (second.get("/api/v1/services/web")?["manual"]["ask"] == "pause").then_some(())
        });
        if let Some(browser) = &mut browser {
            browser.until("document.getElementById('standby').hidden");
            browser.until("document.querySelector('#notices [data-kind=paused]')");
            assert!(browser.complaints().is_empty(), "{:?}", browser.complaints());
        }
    }

    /// The page shows it in words and with a shape, and has nothing to press.
    fn looked_at(browser: &mut Chromium, standby: &Flyball, leader: &str) {
        browser.look_like(1280, "light");
        browser.open(&format!("http://{}/", standby.at));
        browser.until("document.querySelector('#standby-notices [data-kind=standby]')");
        browser.until(&format!(
            "document.getElementById('standby-notices').textContent.includes({leader:?})"
        ));
        browser.until(
            "document.getElementById('standby-title').textContent === 'This flyball is on standby'",
        );
        browser.until("document.getElementById('hand').offsetParent === null");
        for (width, scheme) in [(1280, "light"), (390, "dark")] {
            browser.look_like(width, scheme);
            let wider =
                "document.documentElement.scrollWidth - document.documentElement.clientWidth";
            assert_eq!(browser.value(wider), 0, "nothing sticks out at {width}");
            browser.picture(&format!("standby-{width}-{scheme}"));
        }
    }
}
