//! A user's mistake is reported in one line, once, with what to do.

/// Has Docker to itself.
mod alone {
    use std::fs;
    use std::thread::sleep;
    use std::time::Duration;

    use insta::assert_snapshot;

    use crate::stage::Stage;
    use crate::support::{Daemon, Place, Ran, flyball, run, until};

    fn run_command(command: &str, place: &Place) -> Ran {
        run(&mut flyball([command, "-c", place.config().to_str().unwrap()]))
    }

    /// What `flyball check` reports as wrong.
    fn failed_checks(stage: &Stage) -> String {
        let output = run_command("check", &stage.place);
        assert_eq!(output.code, Some(1), "{output:?}");
        let mut wrong = Vec::new();
        let mut hinted = false;
        for line in output.stdout.lines() {
            hinted = line.starts_with("wrong") || hinted && line.starts_with(' ');
            wrong.extend(hinted.then_some(line));
        }
        stage.plain(&wrong.join("\n"))
    }

    /// What the daemon warned of, without the times and the numbers of replicas.
    fn warnings(stage: &Stage, daemon: &Daemon) -> String {
        let log = daemon.log();
        let lines = log.lines().filter_map(|line| line.split_once(" WARN "));
        let texts: Vec<&str> = lines.map(|(_, text)| text).collect();
        let text = stage.plain(&texts.join("\n"));
        (1..10).fold(text, |text, n| text.replace(&format!("web-{n}:"), "web-N:"))
    }

    #[test]
    fn an_image_that_is_not_there() {
        let Some(stage) = Stage::set() else { return };
        let text = stage.service("web", "min = 1").replace("flyball-lab:1", "127.0.0.1:9/web:1");
        stage.place.configure(&text);
        let daemon = Daemon::start(&stage.place);
        until("a series", || (daemon.log_count("is delayed") > 0).then_some(()));
        assert_snapshot!(warnings(&stage, &daemon), @r#"
        web-1 ended: cannot start: image 127.0.0.1:9/web:1 is not on the host, and its registry cannot be reached: Get "http://127.0.0.1:9/v2/": dial tcp 127.0.0.1:9: connect: connection refused
        web: replicas do not start: image 127.0.0.1:9/web:1 is not on the host, and its registry cannot be reached: Get "http://127.0.0.1:9/v2/": dial tcp 127.0.0.1:9: connect: connection refused
        web: 3 starts failed one after another, the last: web-N: cannot start: image 127.0.0.1:9/web:1 is not on the host, and its registry cannot be reached: Get "http://127.0.0.1:9/v2/": dial tcp 127.0.0.1:9: connect: connection refused; the next start is delayed
        "#);
    }

    #[test]
    fn a_container_that_ends_at_once() {
        let Some(stage) = Stage::set() else { return };
        stage.place.configure(&stage.service("web", "min = 1\nenv = { EXIT = \"3\" }"));
        let daemon = Daemon::start(&stage.place);
        until("a crash loop", || (daemon.log_count("is delayed") > 0).then_some(()));
        sleep(Duration::from_secs(3));
        assert_snapshot!(warnings(&stage, &daemon), @r"
        web-1 ended: exit status 3: cannot open the shop
        web: 3 starts failed one after another, the last: web-N: exit status 3: cannot open the shop; the next start is delayed
        ");
    }

    #[test]
    fn a_backend_that_is_not_there_and_one_that_two_services_want() {
        let Some(stage) = Stage::set() else { return };
        stage.place.configure(&stage.service("shop", ""));
        assert_snapshot!(failed_checks(&stage), @r"
        wrong services.shop.haproxy: HAProxy has no backend `shop`
              hint: add a section `backend shop` with `balance leastconn`, or name another with `backend`; it has: fixed, web
        ");
        let output = run_command("run", &stage.place);
        assert_eq!(output.code, Some(2), "{output:?}");
        assert_snapshot!(stage.plain(&output.stderr), @r"
        error: service shop: HAProxy has no backend `shop`
        hint: add a section `backend shop`, or name another with `backend`
        ");
        let two = format!(
            "{}{}[services.shop.haproxy]\nbackend = \"web\"\n",
            stage.service("web", ""),
            stage.service("shop", "").replace(&stage.tables(), "")
        );
        stage.place.configure(&two);
        let output = run_command("run", &stage.place);
        assert_eq!(output.code, Some(2), "{output:?}");
        assert_snapshot!(stage.plain(&output.stderr), @r#"
        error: services.web.haproxy.backend: "web" is already used by services.shop.haproxy.backend
          --> PLACE/flyball.toml:10:11
        10 | [services.web]
           |           ^^^
        hint: use a different one for each service
        "#);
    }

    #[test]
    fn a_backend_that_another_tool_also_edits() {
        let Some(stage) = Stage::set() else { return };
        stage.place.configure(&stage.service("web", "policy = \"external\"\nmin = 2"));
        let daemon = Daemon::start(&stage.place);
        daemon.until_settled("web", 2);
        stage.until_served();
        let (servers, before) = (stage.wait(stage.rig.servers()), stage.containers("web"));
        let ours = servers[0].split_whitespace().find(|word| word.starts_with("fb-")).unwrap();
        for command in [
            format!("set server web/{ours} state maint; del server web/{ours}"),
            "add server web/blue 127.0.0.1:9 weight 1; set server web/blue state maint".to_owned(),
        ] {
            stage.wait(stage.rig.ask(&command));
        }
        let back = |server: &String| servers.contains(server);
        until("its server", || {
            let now = stage.wait(stage.rig.servers());
            (now.iter().filter(|server| back(server)).count() == 2).then_some(())
        });
        let now = stage.wait(stage.rig.servers());
        assert!(now.iter().any(|server| server.contains("blue")), "{now:?}");
        daemon.until_settled("web", 2);
        assert_eq!(stage.containers("web"), before);
    }

    #[test]
    fn a_docker_that_does_not_run() {
        let Some(mut stage) = Stage::set() else { return };
        stage.place.configure(&stage.service("web", "min = 1"));
        stage.lab.stop_daemon();
        assert_snapshot!(failed_checks(&stage), @r"
        wrong docker.host: docker is not running at DOCKER: there is no DOCKER
              hint: start it (systemctl start docker), or set host
        ");
        let daemon = Daemon::start(&stage.place);
        until("a warning", || (daemon.log_count("WARN") > 0).then_some(()));
        // Several tries later it has still been logged once.
        sleep(Duration::from_secs(2));
        assert_snapshot!(warnings(&stage, &daemon), @"docker is not running at DOCKER: there is no DOCKER; hint: start it (systemctl start docker), or set host");
        assert!(fs::exists(stage.place.state()).unwrap());
        stage.start_docker();
        daemon.until_settled("web", 1);
        stage.until_served();
    }
}
