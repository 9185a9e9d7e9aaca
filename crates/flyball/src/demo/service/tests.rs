//! The sample service under real requests over real sockets. Clients are plain threads, so their
//! CPU time is not counted as the service's.

use std::io::{Read, Write};
use std::net::TcpStream as Socket;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use tokio::sync::oneshot;

use super::*;

/// A port of this machine alone.
fn here(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// A service on a thread of its own.
struct Running {
    address: SocketAddr,
    thread_id: String,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<Result<()>>,
}

fn start(share: f64, work_ms: u64) -> Running {
    let replica = Some("sample-7".to_owned());
    let sample = Sample::new(here(0), share, Duration::from_millis(work_ms), replica);
    let (stop, stopped) = oneshot::channel();
    let (tell, told) = mpsc::channel();
    let thread = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        LocalSet::new().block_on(&runtime, async {
            let listener = bind(here(0)).await?;
            tell.send((listener.local_addr()?, rustix::thread::gettid().to_string()))?;
            serve(&sample, listener, async { drop(stopped.await) }).await
        })
    });
    let (address, thread_id) = told.recv_timeout(Duration::from_secs(10)).unwrap();
    Running { address, thread_id, stop, thread }
}

impl Running {
    fn connect(&self) -> Socket {
        let socket = Socket::connect(self.address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        socket
    }

    fn stop(self) -> Result<()> {
        self.stop.send(()).unwrap();
        self.thread.join().unwrap()
    }

    /// CPU that the service's thread has used.
    fn cpu(&self) -> Duration {
        let path = format!("/proc/self/task/{}/schedstat", self.thread_id);
        let text = std::fs::read_to_string(path).unwrap();
        Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
    }

    /// Clients that ask again as soon as they are answered, until `until`; how often they were.
    fn saturate(&self, clients: usize, until: Instant) -> JoinHandle<usize> {
        let sockets: Vec<_> = (0..clients).map(|_| self.connect()).collect();
        thread::spawn(move || {
            let ask_on = move |mut socket: Socket| {
                let times = std::iter::repeat_with(|| ask(&mut socket, "/"));
                times.take_while(|_| Instant::now() < until).count()
            };
            let clients: Vec<_> =
                sockets.into_iter().map(|socket| thread::spawn(move || ask_on(socket))).collect();
            clients.into_iter().map(|client| client.join().unwrap()).sum()
        })
    }
}

/// One request on a kept connection; the whole answer.
fn ask(socket: &mut Socket, path: &str) -> String {
    send(socket, path);
    receive(socket)
}

fn send(socket: &mut Socket, path: &str) {
    socket.write_all(format!("GET {path} HTTP/1.1\r\nHost: sample\r\n\r\n").as_bytes()).unwrap();
}

fn receive(socket: &mut Socket) -> String {
    let mut answer = Vec::new();
    let mut piece = [0; 1024];
    while !answer.ends_with(b"ok\n") {
        let length = socket.read(&mut piece).unwrap();
        assert_ne!(length, 0, "the connection ended early");
        answer.extend_from_slice(&piece[..length]);
    }
    String::from_utf8(answer).unwrap()
}

#[test]
fn every_answer_names_the_replica() {
    let service = start(1.0, 0);
    let mut socket = service.connect();
    for path in ["/", "/healthz"] {
        let answer = ask(&mut socket, path);
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        assert!(answer.contains("x-flyball-replica: sample-7\r\n"), "{answer}");
    }
    service.stop().unwrap();
}

#[test]
fn requests_are_served_in_the_order_in_which_they_came() {
    let service = start(0.2, 4);
    let sockets: Vec<Socket> = (0..5)
        .map(|_| {
            let mut socket = service.connect();
            ask(&mut socket, "/healthz");
            socket
        })
        .collect();
    let (tell, told) = mpsc::channel();
    for (number, mut socket) in sockets.into_iter().enumerate() {
        send(&mut socket, "/");
        // An answer to another request shows that the service has read this one.
        ask(&mut service.connect(), "/healthz");
        let tell = tell.clone();
        thread::spawn(move || {
            receive(&mut socket);
            tell.send(number)
        });
    }
    drop(tell);
    assert_eq!(told.iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    service.stop().unwrap();
}

#[test]
fn an_unfinished_request_is_finished_after_the_signal_and_no_new_one_is_taken() {
    let service = start(0.1, 20);
    let mut socket = service.connect();
    ask(&mut socket, "/healthz");
    send(&mut socket, "/");
    ask(&mut service.connect(), "/healthz");
    let address = service.address;
    let asked = thread::spawn(move || receive(&mut socket));
    service.stop().unwrap();
    assert!(asked.join().unwrap().starts_with("HTTP/1.1 200 OK"));
    assert!(Socket::connect(address).is_err());
}

#[test]
fn idle_connections_do_not_hold_up_the_end() {
    let service = start(1.0, 0);
    let mut idle = service.connect();
    ask(&mut idle, "/");
    let begun = Instant::now();
    service.stop().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_client_that_leaves_does_not_block_the_next() {
    let service = start(0.1, 50);
    let mut leaver = service.connect();
    send(&mut leaver, "/");
    drop(leaver);
    let mut socket = service.connect();
    assert!(ask(&mut socket, "/").starts_with("HTTP/1.1 200 OK"));
    service.stop().unwrap();
}

#[test]
fn a_share_that_is_none_is_refused() {
    for share in [0.0, -0.5, 1.5, f64::NAN] {
        let sample = Sample::new(here(0), share, Duration::ZERO, None);
        let error = run(&sample).unwrap_err().to_string();
        assert!(error.ends_with("is not above 0 and at most 1"), "{error}");
    }
}

#[test]
fn a_name_that_cannot_be_a_header_is_refused() {
    let replica = Some("a\nb".to_owned());
    let error = run(&Sample::new(here(0), 1.0, Duration::ZERO, replica)).unwrap_err();
    assert_eq!(error.to_string(), "FLYBALL_REPLICA is no header value");
}

#[test]
fn a_port_in_use_is_named() {
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = run(&Sample::new(here(port), 1.0, Duration::ZERO, None)).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot listen on 127.0.0.1:{port}"));
}

/// Measurements of time and CPU.
mod alone {
    use super::*;

    const SHARE: f64 = 0.2;
    const WORK_MS: u64 = 5;

    #[test]
    fn a_busy_replica_uses_its_share_and_does_the_work_that_it_pays_for() {
        let service = start(SHARE, WORK_MS);
        let (begun, cpu_before) = (Instant::now(), service.cpu());
        let clients = service.saturate(4, begun + Duration::from_secs(3));
        let served = u32::try_from(clients.join().unwrap()).unwrap();
        let (took, cpu) =
            (begun.elapsed().as_secs_f64(), (service.cpu() - cpu_before).as_secs_f64());
        let share = cpu / took;
        assert!((0.85..1.15).contains(&(share / SHARE)), "used {share:.3} of a core, not {SHARE}");
        // By its CPU, not by the clock: the last requests may wait for the rest of their share.
        let per_cpu_s = f64::from(served) / cpu;
        let wanted = 1.0 / Duration::from_millis(WORK_MS).as_secs_f64();
        let part = per_cpu_s / wanted;
        assert!(
            (0.8..1.1).contains(&part),
            "{per_cpu_s:.1} requests a CPU second, not {wanted:.1}"
        );
        service.stop().unwrap();
    }

    #[test]
    fn the_share_is_spent_smoothly() {
        let service = start(SHARE, 50);
        let clients = service.saturate(2, Instant::now() + Duration::from_secs(2));
        let mut even = 0;
        let (mut at, mut cpu) = (Instant::now(), service.cpu());
        for _ in 0..18 {
            thread::sleep(Duration::from_millis(100));
            let (now, used) = (Instant::now(), service.cpu());
            let share = (used - cpu).as_secs_f64() / (now - at).as_secs_f64();
            even += usize::from((0.7..1.3).contains(&(share / SHARE)));
            (at, cpu) = (now, used);
        }
        clients.join().unwrap();
        assert!(even >= 13, "only {even} of 18 tenths of a second saw about {SHARE} of a core");
        service.stop().unwrap();
    }

    #[test]
    fn health_is_answered_at_once_however_long_the_queue() {
        let service = start(0.1, 20);
        let clients = service.saturate(8, Instant::now() + Duration::from_millis(500));
        let mut socket = service.connect();
        let mut times: Vec<_> = (0..41)
            .map(|_| {
                let asked = Instant::now();
                ask(&mut socket, "/healthz");
                asked.elapsed()
            })
            .collect();
        times.sort();
        assert!(times[20] < Duration::from_millis(20), "median {:?}", times[20]);
        clients.join().unwrap();
        service.stop().unwrap();
    }

    #[test]
    fn idle_time_is_not_saved_up() {
        let service = start(0.1, 5);
        let mut socket = service.connect();
        ask(&mut socket, "/");
        thread::sleep(Duration::from_millis(300));
        let asked = Instant::now();
        ask(&mut socket, "/");
        assert!(asked.elapsed() > Duration::from_millis(40), "took {:?}", asked.elapsed());
        service.stop().unwrap();
    }
}
