//! Clients that take up room and never complete a request, beside clients that do.
//! `FLYBALL_CROWD=2000` makes 2000 of them, and a tenth as many that read nothing.

/// Measures memory and latency.
mod alone {
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpStream};
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    use crate::support::{Daemon, FLYBALL, Place, ask, clean, free_port, installed, sample, until};

    /// Beyond what any socket buffers.
    const ANSWER_BYTES: usize = 20_000_000;

    /// Clients of a crowd.
    fn crowd_size() -> usize {
        // Each takes a descriptor here, and one or two there.
        let maximum = getrlimit(Resource::Nofile).maximum;
        setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
        let set = std::env::var("FLYBALL_CROWD").ok().and_then(|text| text.parse().ok());
        set.unwrap_or(400)
    }

    fn large(name: &str, more: &str) -> String {
        let size = format!("\"--answer-bytes\", \"{ANSWER_BYTES}\", \"--work-ms\"");
        sample(name, 0.0, 1.0, more).replace("\"--work-ms\"", &size)
    }

    fn memory_kib(pid: u32) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// The most memory within two seconds.
    fn settled_kib(pid: u32) -> u64 {
        let begun = Instant::now();
        let mut most = 0;
        while begun.elapsed() < Duration::from_secs(2) {
            most = most.max(memory_kib(pid));
            std::thread::sleep(Duration::from_millis(50));
        }
        most
    }

    /// Clients that have sent `what` and read nothing of the answer.
    fn silent(target: SocketAddr, count: usize, what: &str) -> Vec<TcpStream> {
        let connect = |_| {
            let mut stream = TcpStream::connect(target).unwrap();
            // One that is turned away may be so before it has sent anything.
            let _ = stream.write_all(what.as_bytes());
            stream
        };
        (0..count).map(connect).collect()
    }

    /// How much larger process `pid` is with slow heads and slow readers at `target`.
    fn growth_kib(pid: u32, target: SocketAddr, count: usize) -> u64 {
        let before = settled_kib(pid);
        let head = format!("GET / HTTP/1.1\r\nhost: a\r\nx-long: {}", "x".repeat(4_000));
        let _heads = silent(target, count, &head);
        let _readers = silent(target, count / 10, "GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        settled_kib(pid).saturating_sub(before)
    }

    /// A process that ends with the test.
    struct Running(Child);

    impl Drop for Running {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    /// A HAProxy in front of a replica of its own.
    fn haproxy(place: &Place, program: &std::path::Path) -> (Vec<Running>, SocketAddr) {
        let (front, back) = (free_port(), free_port());
        let config = format!(
            "global\n  maxconn 4000\n\
             defaults\n  mode http\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n\
             \x20 timeout http-request 60s\n\
             frontend web\n  bind 127.0.0.1:{front}\n  default_backend web\n\
             backend web\n  server one 127.0.0.1:{back}\n"
        );
        let path = place.write("haproxy.cfg", &config);
        let mut replica = Command::new(FLYBALL);
        clean(&mut replica);
        let (port, size) = (back.to_string(), ANSWER_BYTES.to_string());
        replica.args(["sample-service", "--port", &port, "--answer-bytes", &size]);
        let mut balancer = Command::new(program);
        balancer.args(["-db", "-q", "-f"]).arg(path).stdin(Stdio::null()).stdout(Stdio::null());
        let running = [balancer, replica].map(|mut command| Running(command.spawn().unwrap()));
        let target = SocketAddr::from(([127, 0, 0, 1], front));
        until("HAProxy and its replica", || {
            ask(target, "GET", "/healthz", None).ok().filter(|answer| answer.status == 200)
        });
        (running.into(), target)
    }

    #[test]
    fn slow_heads_and_slow_readers_take_no_more_than_three_times_what_they_take_of_haproxy() {
        let Some(program) = installed("haproxy", "haproxy") else { return };
        let count = crowd_size();
        let place = Place::with(&large("web", "policy = \"external\""));
        let daemon = Daemon::start(&place);
        daemon.until_settled("web", 1);
        let (running, rival) = haproxy(&place, &program);
        let theirs = growth_kib(running[0].0.id(), rival, count);
        let ours = growth_kib(daemon.pid(), daemon.address_of("web"), count);
        println!(
            "{count} slow heads and {} slow readers: {ours} KiB, HAProxy {theirs} KiB",
            count / 10
        );
        assert!(theirs > 0 && ours <= 3 * theirs, "{ours} KiB, HAProxy {theirs} KiB");
    }

    #[test]
    fn with_little_memory_a_crowd_is_turned_away_and_flyball_lives() {
        let count = crowd_size();
        let place = Place::with(&large("web", "policy = \"external\""));
        let config = place.config();
        let bounded = "ulimit -v 400000 && exec \"$0\" run -c \"$1\"";
        let mut command = Command::new("sh");
        clean(&mut command);
        command.args(["-c", bounded, FLYBALL]).arg(&config);
        let daemon = Daemon::spawn(&place, command);
        daemon.until_settled("web", 1);
        let target = daemon.address_of("web");
        let mut readers = silent(target, count, "GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        until("a client turned away", || {
            let metrics = daemon.get("/metrics").body;
            let name = "flyball_refusals_total{service=\"web\",reason=\"too-many-connections\"} ";
            let turned_away = metrics.lines().find_map(|line| line.strip_prefix(name))?;
            (turned_away.parse::<f64>().ok()? > 0.0).then_some(())
        });
        let view = daemon.service("web");
        let notices = view["notices"].to_string();
        assert!(
            notices.contains("clients are turned away: all ")
                && notices.contains(" allowed connections are open"),
            "{notices}"
        );
        // The last one came when all was full, and got that answer.
        let mut answer = String::new();
        let mut last = readers.pop().unwrap();
        last.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let _ = last.read_to_string(&mut answer);
        assert!(answer.starts_with("HTTP/1.1 503 ") || answer.is_empty(), "{answer}");
        drop(readers);
        until("room again", || {
            let answer = ask(target, "GET", "/healthz", None).ok()?;
            (answer.status == 200).then_some(())
        });
        let lines = daemon.log_count("turned away");
        assert!((1..=4).contains(&lines), "{lines} lines for {count} clients");
    }

    /// The time that 99 of 100 requests at `target` need, in the middle one of five rounds: what
    /// else the machine does falls into one or two of them, what flyball does into all.
    fn p99(target: SocketAddr) -> Duration {
        let mut rounds: [Duration; 5] = std::array::from_fn(|_| p99_of_round(target));
        rounds.sort();
        rounds[2]
    }

    fn p99_of_round(target: SocketAddr) -> Duration {
        let mut times: Vec<Duration> = (0..500)
            .map(|_| {
                let begun = Instant::now();
                assert_eq!(ask(target, "GET", "/", None).unwrap().status, 200);
                begun.elapsed()
            })
            .collect();
        times.sort();
        times[494]
    }

    #[test]
    fn idle_connections_to_one_service_leave_the_others_as_quick_as_they_were() {
        let count = crowd_size();
        let services = sample("crowded", 0.0, 1.0, "policy = \"external\"")
            + &sample("calm", 0.0, 1.0, "policy = \"external\"");
        let place = Place::with(&format!("[proxy]\nconnections = {}\n{services}", count / 2));
        let daemon = Daemon::start(&place);
        daemon.until_settled("calm", 1);
        daemon.until_settled("crowded", 1);
        let calm = daemon.address_of("calm");
        let before = p99(calm);
        let _idle = silent(daemon.address_of("crowded"), count, "");
        until("a client turned away", || (daemon.log_count("turned away") > 0).then_some(()));
        let after = p99(calm);
        println!("p99 beside {count} idle connections: {before:?} -> {after:?}");
        // Below a millisecond the machine's own noise decides.
        assert!(after <= 2 * before.max(Duration::from_millis(1)), "{before:?} -> {after:?}");
        assert_eq!(daemon.get("/healthz").status, 200);
    }
}
