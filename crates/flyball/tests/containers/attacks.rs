//! What a container's or an image's author cannot do to the operator, tried on a real Docker and a
//! real HAProxy, with flyball as root on the machine and in a container. The test tries every
//! attack in one run and prints each with its outcome.

/// Loads the machine.
mod alone {
    use std::collections::BTreeMap;
    use std::fs;
    use std::net::{SocketAddr, TcpStream};
    use std::path::PathBuf;
    use std::process::Command;
    use std::time::{Duration, Instant};

    use bollard::models::HostConfig;
    use rustix::process::Signal;
    use serde_json::json;

    use crate::attackers::{self, Attacker, build, build_with_buildkit, dockerfile};
    use crate::load::get;
    use crate::stage::{Stage, published};
    use crate::support::{Daemon, FLYBALL, ask, free_port, signal, until, until_within};

    /// A line that opens a machine to the holder of the key.
    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGNvdCBhIGtleSBhdCBhbGwsIGp1c3QgdGV4dCAx a@b";

    /// Where flyball runs.
    #[derive(Clone, Copy, Debug)]
    enum Way {
        Root,
        Container,
    }

    /// A service, what its labels try, and those of them that differ from the others'.
    type Attack = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

    /// A stage with a foreign backend `shop` beside the operator's own service.
    struct Scene {
        stage: Stage,
        way: Way,
        /// Where requests of the foreign backend go.
        shop: SocketAddr,
        results: Vec<(&'static str, Result<(), String>)>,
    }

    fn pairs<'a>(service: &str, more: &[(&'a str, &str)]) -> Vec<(&'a str, String)> {
        let own = [("flyball.service", service), ("flyball.port", "8080")];
        own.iter().chain(more).map(|(name, value)| (*name, (*value).to_owned())).collect()
    }

    /// A service that asks for a file with lines of its own.
    fn wants_file<'a>(service: &str, file: &str, lines: &str) -> Vec<(&'a str, String)> {
        pairs(
            service,
            &[
                ("flyball.balancer", "haproxy"),
                ("flyball.haproxy.file", file),
                ("flyball.haproxy.lines", lines),
            ],
        )
    }

    impl Scene {
        fn set(way: Way) -> Option<Self> {
            let mut stage = Stage::set_with_owned_file()?;
            let shop = SocketAddr::from(([127, 0, 0, 1], free_port()));
            let theirs = stage.wait(stage.lab.run("theirs", &[], published()));
            let config = stage.rig.path("haproxy.cfg");
            let mut text = fs::read_to_string(&config).unwrap();
            text += &format!(
                "frontend shop\n  bind {shop}\n  default_backend shop\n\
                 backend shop\n  balance roundrobin\n  server theirs 127.0.0.1:{}\n",
                stage.port_of(&theirs)
            );
            fs::write(config, text).unwrap();
            // As many have it: HAProxy reads whatever is in this folder.
            fs::create_dir(stage.rig.path("conf.d")).unwrap();
            stage.rig.read_also("conf.d");
            if matches!(way, Way::Container) {
                image_of_flyball(&stage);
            }
            stage.place.configure(&operators(&stage, ""));
            let daemon = start(&stage, way);
            until("the owned file", || stage.rig.path("flyball.cfg").exists().then_some(()));
            stage.launch();
            daemon.until_settled("web", 2);
            stage.until_served();
            Some(Self { stage, way, shop, results: Vec::new() })
        }

        fn row(&mut self, attack: &'static str, held: bool, seen: impl FnOnce() -> String) {
            let result = if held { Ok(()) } else { Err(seen()) };
            let outcome = match &result {
                Ok(()) => "held".to_owned(),
                Err(why) => format!("BROKEN: {why}"),
            };
            eprintln!("{:?}: {attack}: {outcome}", self.way);
            self.results.push((attack, result));
        }

        fn file(&self, name: &str) -> PathBuf {
            self.stage.place.path().join(name)
        }

        /// An honest service, whose name comes last: once it is served, every service was looked
        /// at.
        fn until_all_were_seen(&self, daemon: &Daemon, name: &'static str) -> bool {
            let labels =
                pairs(name, &[("flyball.balancer", "none"), ("flyball.policy", "external")]);
            Attacker { name, labels, host: published(), ..Default::default() }.run(&self.stage);
            let began = Instant::now();
            let path = format!("/api/v1/services/{name}");
            while !ask(daemon.api, "GET", &path, None).is_ok_and(|answer| answer.status == 200) {
                if began.elapsed() > Duration::from_secs(12) {
                    return false;
                }
                std::thread::sleep(Duration::from_millis(50));
            }
            daemon.until_settled(name, 1);
            true
        }

        /// Which share each body had of this many requests.
        fn answers(&self, at: SocketAddr, requests: u32) -> BTreeMap<String, u32> {
            let mut counts = BTreeMap::new();
            for _ in 0..requests {
                let body = get(at, "/").unwrap_or_else(|why| format!("failed: {why}"));
                *counts.entry(body.trim().to_owned()).or_default() += 1;
            }
            counts
        }
    }

    /// The operator's file: one service that it describes in full, and no permission for labels.
    /// `docker` are further lines of that table.
    fn operators(stage: &Stage, docker: &str) -> String {
        let more = format!("policy = \"external\"\nmin = 2\nmax = 4\n{}", stage.owned_file());
        let text = stage.service("web", &more).replace("backends = [\"web\"]\n", "");
        text.replace("[docker]\n", &format!("[docker]\n{docker}\n"))
    }

    fn start(stage: &Stage, way: Way) -> Daemon {
        let config = stage.place.config().display().to_string();
        match way {
            Way::Root => Daemon::start(&stage.place),
            Way::Container => {
                let mut command = Command::new("docker");
                command.args(["-H", &stage.lab.host(), "run", "--rm", "--network", "host"]);
                command.args(["--name", "flyball"]);
                let lab = stage.lab.socket();
                let shared = [stage.place.path(), stage.rig.folder.path(), lab.parent().unwrap()];
                for folder in shared {
                    command.args(["-v", &format!("{0}:{0}", folder.display())]);
                }
                command.args(["-v", "/sys/fs/cgroup:/sys/fs/cgroup:ro"]);
                command.args(["flyball-self:1", "run", "-c", &config]);
                Daemon::spawn(&stage.place, command)
            }
        }
    }

    /// Ends a daemon at once; its container, too.
    fn end(stage: &Stage, way: Way, mut daemon: Daemon) {
        daemon.kill();
        if matches!(way, Way::Container) {
            let gone = || !stage.wait(stage.lab.names()).contains(&"flyball".to_owned());
            let mut removal = Command::new("docker");
            removal.args(["-H", &stage.lab.host(), "rm", "-f", "flyball"]);
            drop(removal.output());
            until("no flyball", || gone().then_some(()));
        }
    }

    /// The image `flyball-self:1` of the program under test and its libraries.
    fn image_of_flyball(stage: &Stage) {
        let script = "set -eu; root=$(mktemp -d); mkdir -p $root/tmp; cp $1 $root/flyball; \
            for library in $(ldd $1 | grep -o '/[^ ]*'); do \
            mkdir -p $root$(dirname $library); cp -L $library $root$library; done; \
            tar -C $root -c . | docker -H $2 import --change 'ENTRYPOINT [\"/flyball\"]' - \
            flyball-self:1; rm -rf $root";
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh", FLYBALL, &stage.lab.host()]);
        let made = command.output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }

    /// The first process of flyball.
    fn pid(stage: &Stage, way: Way, daemon: &Daemon) -> u32 {
        match way {
            Way::Root => daemon.pid(),
            Way::Container => {
                let seen = stage.wait(async {
                    stage.lab.client().await.inspect_container("flyball", None).await
                });
                u32::try_from(seen.unwrap().state.unwrap().pid.unwrap()).unwrap()
            }
        }
    }

    /// Whether a process of this test's is no more.
    fn has_ended(pid: u32) -> bool {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
        stat.is_ok_and(|stat| stat.contains(") Z ")) || !fs::exists(format!("/proc/{pid}")).unwrap()
    }

    /// The memory that a process uses, in MiB.
    fn memory_mib(pid: u32) -> u64 {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        kib.unwrap_or(0) / 1024
    }

    /// Keys in files, by images and containers, run or only built.
    fn try_files(scene: &mut Scene, daemon: &Daemon) {
        fs::create_dir_all(scene.file("ssh")).unwrap();
        let place = |name: &str| scene.file("ssh").join(name).display().to_string();
        attackers::image(&scene.stage, "evil", &wants_file("a-image", &place("image"), KEY));
        Attacker { name: "a-image", image: Some("evil:1"), ..Default::default() }.run(&scene.stage);
        let labels = wants_file("a-label", &place("label"), KEY);
        Attacker { name: "a-label", labels, ..Default::default() }.run(&scene.stage);
        let classic = dockerfile(&wants_file("a-classic", &place("classic"), KEY));
        let classic = build(&scene.stage, &classic);
        let buildkit = dockerfile(&wants_file("a-buildkit", &place("buildkit"), KEY));
        let buildkit = build_with_buildkit(&scene.stage, &buildkit);
        let rig = scene.stage.rig.folder.path().to_owned();
        let alias = rig.join("..").join(rig.file_name().unwrap()).join("flyball.cfg");
        let run = scene.file("ran-by-haproxy");
        let program = format!("\"program\" x\ncommand touch {}", run.display());
        let read = rig.join("conf.d/zz.cfg").display().to_string();
        let labels = wants_file("a-program", &read, &program);
        Attacker { name: "a-program", labels, ..Default::default() }.run(&scene.stage);
        let before = fs::read_to_string(rig.join("flyball.cfg")).unwrap();
        let mut labels = wants_file("a-alias", &alias.display().to_string(), "balance leastconn");
        labels.push(("flyball.haproxy.backend", "fixed".to_owned()));
        Attacker { name: "a-alias", labels, ..Default::default() }.run(&scene.stage);
        let reading = "http-request return status 200 content-type text/plain file /etc/shadow";
        let labels = wants_file("a-reading", &place("reading"), reading);
        Attacker { name: "a-reading", labels, ..Default::default() }.run(&scene.stage);
        assert!(scene.until_all_were_seen(daemon, "zz-files"), "{}", daemon.log());
        // The classic builder makes the image's lines one after another.
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(8) && !scene.file("ssh/classic").exists() {
            std::thread::sleep(Duration::from_millis(50));
        }
        for (attack, name) in [
            ("an image writes a file as root", "image"),
            ("a container writes a file as root", "label"),
            ("an image that is only built (classic builder) writes a file as root", "classic"),
            ("an image that is only built (BuildKit) writes a file as root", "buildkit"),
            ("a label has HAProxy read any file", "reading"),
        ] {
            let path = scene.file("ssh").join(name);
            let there = || fs::read_to_string(&path).unwrap_or_default();
            scene.row(attack, !path.exists(), there);
        }
        classic.abort();
        if let Some(mut child) = buildkit {
            drop(child.kill());
            drop(child.wait());
        }
        let after = fs::read_to_string(rig.join("flyball.cfg")).unwrap();
        let same = after.contains("server fb-web");
        scene.row("an alias overwrites the operator's kept backend", same, || after.clone());
        fs::write(rig.join("flyball.cfg"), before).unwrap();
        scene.stage.wait(scene.stage.rig.reload());
        let ran = until_or(Duration::from_secs(2), || run.exists());
        scene.row("a quoted section word has HAProxy run a command", !ran, || "it ran".to_owned());
    }

    fn until_or(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
        let began = Instant::now();
        while began.elapsed() < limit {
            if condition() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }

    /// A container that may do nothing, whose labels want more for its copies.
    fn try_confinement(scene: &mut Scene, daemon: &Daemon) {
        scene.stage.wait(scene.stage.lab.network("inner"));
        let confined = || HostConfig {
            readonly_rootfs: Some(true),
            cap_drop: Some(vec!["ALL".to_owned()]),
            network_mode: Some("none".to_owned()),
            nano_cpus: Some(100_000_000),
            memory: Some(64 << 20),
            ..Default::default()
        };
        let open = free_port();
        let listen = format!("0.0.0.0:{open}");
        let attacks: [Attack; 7] = [
            (
                "b-image",
                "flyball.image drops the confinement",
                &[("flyball.image", "flyball-lab:1")],
            ),
            ("b-reach", "flyball.reach=host drops the confinement", &[("flyball.reach", "host")]),
            ("b-net", "flyball.network joins another network", &[("flyball.network", "inner")]),
            (
                "b-on",
                "flyball.publish-on opens a port to the world",
                &[("flyball.publish-on", "0.0.0.0")],
            ),
            ("b-memory", "flyball.memory raises the limit", &[("flyball.memory", "1GiB")]),
            ("b-cpus", "flyball.cpus raises the limit", &[("flyball.cpus", "1")]),
            ("b-listen", "flyball.listen opens a port to the world", &[]),
        ];
        for (service, _, more) in &attacks {
            let mut labels = pairs(service, more);
            labels.extend(pairs(service, &[("flyball.min", "2"), ("flyball.policy", "external")]));
            match *service {
                "b-listen" => labels.push(("flyball.listen", listen.clone())),
                _ => labels.push(("flyball.balancer", "none".to_owned())),
            }
            Attacker { name: service, labels, host: confined(), ..Default::default() }
                .run(&scene.stage);
        }
        assert!(scene.until_all_were_seen(daemon, "zz-confinement"), "{}", daemon.log());
        let listens = TcpStream::connect(("127.0.0.1", open)).is_ok();
        for (service, attack, _) in attacks {
            let copied = || scene.stage.containers(service).len() > 1;
            until_or(Duration::from_secs(2), copied);
            let free: Vec<String> = scene.stage.containers(service).into_keys().collect();
            let free: Vec<String> = free.iter().filter_map(|id| freer(&scene.stage, id)).collect();
            let held = free.is_empty() && !(service == "b-listen" && listens);
            scene.row(attack, held, || format!("{free:?} {listens}"));
        }
    }

    /// In what a container is freer than the confined one.
    fn freer(stage: &Stage, id: &str) -> Option<String> {
        let seen = stage.wait(async { stage.lab.client().await.inspect_container(id, None).await });
        let host = seen.ok()?.host_config?;
        let bound = format!("{:?}", host.port_bindings);
        let free = [
            ("root file system", host.readonly_rootfs != Some(true)),
            ("capabilities", host.cap_drop != Some(vec!["ALL".to_owned()])),
            ("network", host.network_mode.as_deref() != Some("none")),
            ("cpus", host.nano_cpus.is_none_or(|nano| nano > 100_000_000 || nano == 0)),
            ("memory", host.memory.is_none_or(|bytes| bytes > 64 << 20 || bytes == 0)),
            ("ports", bound.contains("0.0.0.0")),
        ];
        let free: Vec<&str> = free.iter().filter(|(_, is)| *is).map(|(what, _)| *what).collect();
        (!free.is_empty()).then(|| free.join(", "))
    }

    /// Containers that want to be replicas of a service of another user.
    fn try_joining(scene: &mut Scene, daemon: &Daemon, honest: &'static str) {
        let name = |name: &str| vec![format!("FLYBALL_REPLICA={name}")];
        let labels = pairs("web", &[]);
        let host = published();
        let env = name("intruder");
        Attacker { name: "c-join", labels, env, host, ..Default::default() }.run(&scene.stage);
        let marks = [
            ("flyball.managed", "true"),
            ("flyball.replica", "web-7"),
            ("flyball.copy", "true"),
            ("flyball.mark", "5f0c1c7e3b2a"),
        ];
        let labels = pairs("web", &marks);
        let (host, env) = (published(), name("forged"));
        Attacker { name: "c-forged", labels, env, host, ..Default::default() }.run(&scene.stage);
        let marked = pairs("web", &[("flyball.managed", "true"), ("flyball.replica", "web-8")]);
        attackers::image(&scene.stage, "joining", &marked);
        let (host, env) = (published(), name("image"));
        let image = Some("joining:1");
        Attacker { name: "c-image", image, env, host, ..Default::default() }.run(&scene.stage);
        // Where labels mean nothing, the time of two listings shows as much.
        if !scene.until_all_were_seen(daemon, honest) {
            std::thread::sleep(Duration::from_secs(1));
        }
        let answers = scene.answers(scene.stage.front(), 80);
        for (attack, body) in [
            ("a container joins a service of the file", "intruder"),
            ("forged marks join a service of the file", "forged"),
            ("an image joins a service of the file", "image"),
        ] {
            let held =
                !answers.contains_key(body) && answers.keys().any(|it| it.starts_with("web-"));
            scene.row(attack, held, || format!("{answers:?}"));
        }
        let left = scene.stage.wait(scene.stage.lab.names());
        let theirs = ["c-join", "c-forged", "c-image"];
        let gone: Vec<_> = theirs.iter().filter(|name| !left.contains(&(**name).into())).collect();
        let attack = "forged marks have flyball remove a container that it did not start";
        scene.row(attack, gone.is_empty(), || format!("{gone:?} are gone"));
        for name in theirs.iter().filter(|name| left.contains(&(**name).into())) {
            scene.stage.remove(name);
        }
    }

    /// A label that names a backend which the operator never gave to flyball.
    fn try_backend(scene: &mut Scene, daemon: &Daemon) {
        let more = [("flyball.balancer", "haproxy"), ("flyball.haproxy.backend", "shop")];
        let (labels, host) = (pairs("d-shop", &more), published());
        let env = vec!["FLYBALL_REPLICA=taker".to_owned()];
        Attacker { name: "d-shop", labels, env, host, ..Default::default() }.run(&scene.stage);
        assert!(scene.until_all_were_seen(daemon, "zz-backend"), "{}", daemon.log());
        until_or(Duration::from_secs(3), || {
            let state = scene.stage.wait(scene.stage.rig.ask("show servers state shop"));
            state.contains(" fb-")
        });
        let answers = scene.answers(scene.shop, 100);
        let held = !answers.contains_key("taker");
        scene.row("a label takes over a foreign backend", held, || format!("{answers:?}"));
    }

    /// The newest container of a service, of another project.
    fn try_speaking(scene: &mut Scene, daemon: &Daemon) {
        let project = |project: &str, more: &[(&'static str, &str)]| {
            let mut labels =
                pairs("e-honest", &[("flyball.balancer", "none"), ("flyball.max", "4")]);
            labels.extend(pairs("e-honest", more));
            labels.push(("flyball.policy", "external".to_owned()));
            labels.push(("com.docker.compose.project", project.to_owned()));
            labels.push(("com.docker.compose.service", "web".to_owned()));
            labels
        };
        let (labels, host) = (project("shop", &[]), published());
        Attacker { name: "shop-web", labels, host, ..Default::default() }.run(&scene.stage);
        assert!(scene.until_all_were_seen(daemon, "zz-speaking"), "{}", daemon.log());
        let env = vec!["EVIL=1".to_owned()];
        let (labels, host) = (project("evil", &[]), published());
        Attacker { name: "evil-web", labels, env, host, ..Default::default() }.run(&scene.stage);
        assert!(scene.until_all_were_seen(daemon, "zz-spoken"), "{}", daemon.log());
        daemon.post("/api/v1/services/e-honest/scale", &json!({ "to": 4 }));
        until("copies", || (scene.stage.containers("e-honest").len() >= 4).then_some(()));
        let copies = scene.stage.labelled("flyball.managed=true");
        let evil = copies.into_iter().filter(|(id, _)| {
            let seen = scene
                .stage
                .wait(async { scene.stage.lab.client().await.inspect_container(id, None).await });
            let env = seen.unwrap().config.unwrap().env.unwrap_or_default();
            env.contains(&"EVIL=1".to_owned())
        });
        let evil: Vec<String> = evil.map(|(_, name)| name).collect();
        scene.row("another project's container is copied", evil.is_empty(), || format!("{evil:?}"));
        let view = daemon.service("e-honest").to_string();
        let joined = view.contains("evil-web\"");
        scene.row("another project's container is a replica", !joined, || view.clone());
        let lines = daemon.log_count("evil-web");
        scene.row("and that is logged once", lines == 1, || format!("{lines} times"));
    }

    /// What keeps discovery from going on, each with a daemon of its own.
    fn try_strange_files(scene: &mut Scene) {
        let fifo = scene.file("fifo");
        drop(Command::new("mkfifo").arg(&fifo).status());
        let labels = wants_file("f-fifo", &fifo.display().to_string(), "balance leastconn");
        let daemon = start(&scene.stage, scene.way);
        Attacker { name: "f-fifo", labels, ..Default::default() }.run(&scene.stage);
        let went_on = scene.until_all_were_seen(&daemon, "zz-fifo");
        scene.row("a FIFO stops discovery", went_on, || "no other service was found".to_owned());
        let began = Instant::now();
        signal(pid(&scene.stage, scene.way, &daemon), Signal::TERM);
        let mut ended = false;
        while !ended && began.elapsed() < Duration::from_secs(20) {
            ended = has_ended(daemon.pid());
            std::thread::sleep(Duration::from_millis(20));
        }
        scene.row("a FIFO keeps SIGTERM from ending flyball", ended, || "20 s later".to_owned());
        end(&scene.stage, scene.way, daemon);
        scene.stage.remove("f-fifo");
        let daemon = start(&scene.stage, scene.way);
        let pid = pid(&scene.stage, scene.way, &daemon);
        let before = memory_mib(pid);
        let labels = wants_file("g-zero", "/dev/zero", "balance leastconn");
        Attacker { name: "g-zero", labels, ..Default::default() }.run(&scene.stage);
        until_or(Duration::from_secs(6), || memory_mib(pid) > before + 200);
        let after = memory_mib(pid);
        let held = after < before + 100;
        scene.row("/dev/zero costs memory", held, || format!("{before} MiB before, {after} after"));
        end(&scene.stage, scene.way, daemon);
    }

    fn try_everything(way: Way) {
        let Some(mut scene) = Scene::set(way) else { return };
        if matches!(way, Way::Container) {
            // The daemon of the scene has ended with its command; its container is left.
            drop(
                Command::new("docker")
                    .args(["-H", &scene.stage.lab.host(), "rm", "-f", "flyball"])
                    .output(),
            );
        }
        let daemon = start(&scene.stage, way);
        until_within(Duration::from_secs(30), "web", || {
            (daemon.seen("web", "ready") >= Some(2)).then_some(())
        });
        try_files(&mut scene, &daemon);
        try_confinement(&mut scene, &daemon);
        try_joining(&mut scene, &daemon, "zz-joining");
        try_backend(&mut scene, &daemon);
        try_speaking(&mut scene, &daemon);
        end(&scene.stage, way, daemon);
        scene.stage.place.configure(&operators(&scene.stage, "labels = false"));
        let daemon = start(&scene.stage, way);
        try_joining(&mut scene, &daemon, "zz-labels-off");
        let found = daemon.get("/api/v1/services/zz-labels-off").status == 200;
        scene.row("labels = false is obeyed", !found, || "a labelled service was found".to_owned());
        end(&scene.stage, way, daemon);
        scene.stage.place.configure(&operators(&scene.stage, ""));
        try_strange_files(&mut scene);
        let broken: Vec<_> = scene.results.iter().filter(|(_, result)| result.is_err()).collect();
        assert!(
            broken.is_empty(),
            "{} of {} attacks: {broken:#?}",
            broken.len(),
            scene.results.len()
        );
    }

    #[test]
    fn no_label_reaches_beyond_its_service_while_flyball_is_root() {
        try_everything(Way::Root);
    }

    #[test]
    fn no_label_reaches_beyond_its_service_while_flyball_is_in_a_container() {
        try_everything(Way::Container);
    }
}
