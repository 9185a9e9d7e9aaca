//! What else goes wrong with a deploy: a registry that wants a login, a network that is gone, a
//! container that is removed while its copies follow it. The old generation serves on.

/// Loads the machine.
mod alone {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread;
    use std::time::Duration;

    use flyball_testkit::compose::Compose;

    use crate::project::{Project, versions};
    use crate::stage::Stage;
    use crate::support::{Daemon, flyball, until, until_within};
    use crate::versions::Versions;

    const PER_S: u32 = 100;
    const ROLL_LIMIT: Duration = Duration::from_secs(60);
    const MORE: &str = "policy = \"external\"\nmin = 2\nmax = 6\ndrain = \"2s\"\n\
        start_limit = \"5s\"\nabort_after = 2\n";
    /// `user:secret`, as HTTP has it.
    const LOGIN: &str = "dXNlcjpzZWNyZXQ=";

    /// A registry on loopback that has no image, and says so only to who logs in. Gives its address.
    fn private_registry() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                thread::spawn(move || {
                    let mut request = [0; 4096];
                    let length = stream.read(&mut request).unwrap_or(0);
                    let request = String::from_utf8_lossy(&request[..length]).into_owned();
                    let status = match request.contains(&format!("Basic {LOGIN}")) {
                        false => "401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"shop\"",
                        true if request.starts_with("GET /v2/ ") => "200 OK",
                        true => "404 Not Found",
                    };
                    let answer = format!(
                        "HTTP/1.1 {status}\r\nDocker-Distribution-Api-Version: registry/2.0\r\n\
                         Content-Length: 2\r\nConnection: close\r\n\r\n{{}}"
                    );
                    // The daemon may have gone.
                    let _ = stream.write_all(answer.as_bytes());
                });
            }
        });
        address
    }

    fn begin(stage: &Stage, more: &str, login_at: &str) -> Daemon {
        stage.wait(stage.lab.image("v0", &["ENV VERSION=v0"]));
        let service = stage.service("web", more).replace("flyball-lab:1", "flyball-lab:v0");
        stage.place.configure(&service);
        let auth = format!("{{\"auths\":{{{login_at:?}:{{\"auth\":\"{LOGIN}\"}}}}}}");
        stage.place.write("config.json", &auth);
        let config = stage.place.config();
        let mut command = flyball(["run", "-c", config.to_str().unwrap()]);
        command.env("DOCKER_CONFIG", stage.place.path());
        let daemon = Daemon::spawn(&stage.place, command);
        daemon.until_settled("web", 2);
        stage.until_served();
        daemon
    }

    #[test]
    fn a_registry_that_wants_a_login_gets_the_one_of_docker_or_is_named_as_the_cause() {
        let Some(stage) = Stage::set() else { return };
        let (known, other) = (private_registry(), private_registry());
        let daemon = begin(&stage, MORE, &known);
        let before = stage.containers("web");
        let load = Versions::start(stage.front(), PER_S);
        let refused = [
            (other, "the registry refuses image"),
            // It took the login: what is missing is the image.
            (known, "image not found"),
        ];
        for (registry, why) in refused {
            let image = format!("{registry}/shop:1");
            let ran = daemon.ask(&["deploy", "web", "--image", &image, "--wait"]);
            assert_eq!(ran.code, Some(1), "{ran:?}");
            assert!(ran.stderr.contains(why) && ran.stderr.contains("hint: "), "{ran:?}");
            let notices = daemon.service("web")["notices"].to_string();
            assert!(notices.contains(why), "{notices}");
            assert!(daemon.status().contains(why), "{}", daemon.status());
        }
        daemon.until_settled("web", 2);
        assert_eq!(stage.containers("web"), before);
        let told = load.finish();
        told.assert_none_failed();
        told.assert_in_order(&[]);
    }

    #[test]
    fn a_network_that_is_gone_ends_the_rollout_with_its_name() {
        let Some(stage) = Stage::set() else { return };
        stage.wait(stage.lab.image("v1", &["ENV VERSION=v1"]));
        let daemon = begin(&stage, MORE, "none.test");
        let before = stage.containers("web");
        let load = Versions::start(stage.front(), PER_S);
        let gone = format!("{MORE}network = \"gone\"\n");
        let service = stage.service("web", &gone).replace("flyball-lab:1", "flyball-lab:v0");
        stage.place.configure(&service);
        let ran = daemon.ask(&["reload"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let why = until_within(ROLL_LIMIT, "the end of the rollout", || {
            let rollout = daemon.service("web")["rollout"].clone();
            (rollout["state"] == "aborted").then(|| rollout["why"].to_string())
        });
        assert!(why.contains("network") && why.contains("gone"), "{why}");
        assert!(daemon.status().contains("aborted"), "{}", daemon.status());
        assert_eq!(stage.containers("web"), before);
        let told = load.finish();
        told.assert_none_failed();
        told.assert_in_order(&[]);
    }

    #[test]
    fn a_container_that_is_removed_while_its_copies_follow_takes_nothing_down() {
        let labels = [
            ("flyball.service", "web"),
            ("flyball.port", "8080"),
            ("flyball.min", "4"),
            ("flyball.max", "6"),
            ("flyball.drain", "2s"),
            ("flyball.balancer", "haproxy"),
            ("flyball.policy", "external"),
            ("flyball.ready.http", "/"),
        ];
        let Some(compose) = Compose::new() else { return };
        let Some(stage) = Stage::set() else { return };
        let project = Project::new(&stage, &compose, "shop");
        let daemon = project.begin(&stage, &labels, 4);
        let load = Versions::start(stage.front(), PER_S);
        project.write("v1", &labels);
        project.run(&["up", "-d"]);
        until_within(ROLL_LIMIT, "a new copy", || {
            let found = versions(&stage, "web");
            let new =
                |(name, version): (&String, &String)| name.contains("-fb-") && version == "v1";
            found.iter().any(new).then_some(())
        });
        stage.stop("shop-web-1");
        stage.remove("shop-web-1");
        until_within(ROLL_LIMIT, "copies in its place", || {
            let found = versions(&stage, "web");
            (found.len() == 4 && found.values().all(|it| it == "v1")).then_some(())
        });
        // Before the service is given up for want of a container of its own.
        project.run(&["up", "-d"]);
        until("the container is back", || {
            versions(&stage, "web").keys().any(|name| name == "/shop-web-1").then_some(())
        });
        daemon.until_settled("web", 4);
        assert_eq!(daemon.log_count("draining and removing"), 0, "it was let go: {}", daemon.log());
        load.finish().assert_none_failed();
    }
}
