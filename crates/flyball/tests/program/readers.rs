//! Readers of the event stream cost the loop nothing, whether they read or not.

/// Measures how often the loop looks.
mod alone {
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
    use std::thread::sleep;
    use std::time::{Duration, Instant};

    use crate::support::{Daemon, Place, sample, until};

    /// More than one address may have follow without it.
    const TOKEN: &str = "correct-horse-battery";
    const READERS: usize = 200;
    const STALLED: usize = 20;
    const SPAN: Duration = Duration::from_secs(6);

    fn follow(daemon: &Daemon) -> TcpStream {
        let mut stream = TcpStream::connect(daemon.api).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let head = format!(
            "GET /api/v1/events HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {TOKEN}\r\n\r\n",
            daemon.api
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream
    }

    fn looks(daemon: &Daemon) -> f64 {
        figure(&daemon.get("/metrics").body, "flyball_look_duration_seconds_count{service=\"web\"}")
    }

    fn figure(metrics: &str, name: &str) -> f64 {
        let line = metrics.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().parse().unwrap()
    }

    /// Seconds between two looks, over a while.
    fn interval_s(daemon: &Daemon) -> f64 {
        let (begun, before) = (Instant::now(), looks(daemon));
        sleep(SPAN);
        let (took, after) = (begun.elapsed(), looks(daemon));
        took.as_secs_f64() / (after - before)
    }

    fn memory_kib(pid: u32) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    #[test]
    fn two_hundred_readers_of_which_twenty_read_nothing_leave_the_look_interval_as_it_is() {
        let place = Place::with(&sample("web", 1.0, 0.5, "min = 2"));
        let token = place.write("token", TOKEN);
        let text = std::fs::read_to_string(place.config()).unwrap();
        let listen = format!("[flyball]\ntoken_file = {token:?}");
        place.write("flyball.toml", &text.replace("[flyball]", &listen));
        let daemon = Daemon::start(&place);
        daemon.until_settled("web", 2);
        let (alone_s, before_kib) = (interval_s(&daemon), memory_kib(daemon.pid()));
        let (over, read) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let stalled: Vec<TcpStream> = (0..STALLED).map(|_| follow(&daemon)).collect();
        let mut lively: Vec<TcpStream> = (STALLED..READERS).map(|_| follow(&daemon)).collect();
        let reader = {
            let (over, read) = (Arc::clone(&over), Arc::clone(&read));
            std::thread::spawn(move || {
                let mut bytes = [0; 16 * 1024];
                for stream in &lively {
                    stream.set_nonblocking(true).unwrap();
                }
                while !over.load(Relaxed) {
                    for stream in &mut lively {
                        read.fetch_add(stream.read(&mut bytes).unwrap_or(0), Relaxed);
                    }
                    sleep(Duration::from_millis(50));
                }
            })
        };
        let following = || figure(&daemon.get("/metrics").body, "flyball_event_readers");
        until("all readers", || (following() > 199.0).then_some(()));
        let readers_s = interval_s(&daemon);
        let grown_kib = memory_kib(daemon.pid()).saturating_sub(before_kib);
        over.store(true, Relaxed);
        reader.join().unwrap();
        let ratio = readers_s / alone_s;
        println!("{alone_s:.3} s, {readers_s:.3} s with readers: {ratio:.3}; {grown_kib} KiB more");
        assert!(read.load(Relaxed) > READERS * 1_000, "the readers got events");
        assert!(ratio <= 1.05, "{alone_s} s between looks, {readers_s} s with readers");
        assert!(grown_kib < 64 * 1024, "{grown_kib} KiB for {READERS} readers");
        drop(stalled);
    }
}
