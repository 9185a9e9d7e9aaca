//! The application of the lab's image: serves HTTP and does what its environment asks for. Built
//! alone with `rustc`, statically, so that an image needs nothing else.

use std::env;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::process::exit;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

static SERVED: AtomicU64 = AtomicU64::new(0);
static ILL: AtomicBool = AtomicBool::new(false);
static LEAVING: AtomicBool = AtomicBool::new(false);
static LISTENER: AtomicI32 = AtomicI32::new(-1);

/// The CPU time of the calling thread.
const THREAD_CPU: i32 = 3;

extern "C" {
    fn clock_gettime(clock: i32, seconds_and_ns: *mut [i64; 2]) -> i32;
    fn signal(number: i32, action: extern "C" fn(i32)) -> usize;
    fn _exit(status: i32) -> !;
    fn shutdown(socket: i32, how: i32) -> i32;
}

extern "C" fn end(_signal: i32) {
    unsafe { _exit(0) }
}

extern "C" fn linger(_signal: i32) {
    LEAVING.store(true, Ordering::Relaxed);
    unsafe {
        shutdown(LISTENER.load(Ordering::Relaxed), 2);
    }
}

extern "C" fn stay(_signal: i32) {}

fn number(name: &str) -> Option<u64> {
    env::var(name).ok()?.parse().ok()
}

fn cpu_ns() -> i64 {
    let mut now = [0; 2];
    unsafe {
        clock_gettime(THREAD_CPU, &mut now);
    }
    now[0] * 1_000_000_000 + now[1]
}

fn work(us: u64) {
    let end = cpu_ns() + us as i64 * 1_000;
    while us > 0 && cpu_ns() < end {
        std::hint::spin_loop();
    }
}

/// | variable | does |
/// |---|---|
/// | `PORT` | where it listens; 8080 |
/// | `DELAY_MS` | waits before it listens |
/// | `BURN` | burns this many cores |
/// | `WORK_US` | burns this much CPU time for each request, in microseconds |
/// | `EXIT` | reports it and ends at once with this status |
/// | `LINGER_MS` | stops listening at SIGTERM, and ends that much later |
/// | `DEAF` | does not end at SIGTERM |
/// | `SICK` | `app probe` fails until the container has served this many requests |
/// | `VERSION` | the answer to `GET /version` |
///
/// After `GET /ill` `app probe` fails until `GET /well`. As the first process of a container it ends
/// on SIGTERM only because it asks for that.
fn main() {
    let at_term = match (number("LINGER_MS"), number("DEAF")) {
        (Some(_), _) => linger as extern "C" fn(i32),
        (None, Some(_)) => stay,
        (None, None) => end,
    };
    unsafe {
        signal(15, at_term);
    }
    let port = number("PORT").unwrap_or(8080) as u16;
    if env::args().nth(1).as_deref() == Some("probe") {
        exit(i32::from(!well(port)));
    }
    if let Some(status) = number("EXIT") {
        eprintln!("cannot open the shop");
        exit(status as i32);
    }
    thread::sleep(Duration::from_millis(number("DELAY_MS").unwrap_or(0)));
    for _ in 0..number("BURN").unwrap_or(0) {
        thread::spawn(|| loop {
            std::hint::spin_loop();
        });
    }
    let listener = TcpListener::bind(("0.0.0.0", port)).expect("a free port");
    LISTENER.store(listener.as_raw_fd(), Ordering::Relaxed);
    for stream in listener.incoming() {
        match stream {
            Ok(stream) => drop(thread::spawn(|| serve(stream))),
            Err(_) if LEAVING.load(Ordering::Relaxed) => break,
            Err(_) => {}
        }
    }
    thread::sleep(Duration::from_millis(number("LINGER_MS").unwrap_or(0)));
}

fn well(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let mut answer = String::new();
    let asked = stream.write_all(b"GET /served HTTP/1.0\r\nConnection: close\r\n\r\n");
    asked.is_ok() && stream.read_to_string(&mut answer).is_ok() && {
        let served: Option<u64> =
            answer.rsplit("\r\n\r\n").next().and_then(|body| body.trim().parse().ok());
        served.is_some_and(|served| served >= number("SICK").unwrap_or(0))
    }
}

fn serve(mut stream: TcpStream) {
    let name = env::var("FLYBALL_REPLICA").unwrap_or_default();
    let work_us = number("WORK_US").unwrap_or(0);
    let mut buffer = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        while !buffer.windows(4).any(|four| four == b"\r\n\r\n") {
            match stream.read(&mut chunk) {
                Ok(length @ 1..) => buffer.extend_from_slice(&chunk[..length]),
                _ => return,
            }
        }
        let request = String::from_utf8_lossy(&buffer).into_owned();
        buffer.clear();
        let illness = request.starts_with("GET /ill");
        if illness || request.starts_with("GET /well") {
            ILL.store(illness, Ordering::Relaxed);
        }
        let body = if request.starts_with("GET /served") {
            match ILL.load(Ordering::Relaxed) {
                true => "ill\n".to_owned(),
                false => format!("{}\n", SERVED.load(Ordering::Relaxed)),
            }
        } else if request.starts_with("GET /version") {
            format!("{}\n", env::var("VERSION").unwrap_or_default())
        } else {
            SERVED.fetch_add(1, Ordering::Relaxed);
            work(work_us);
            format!("{name}\n")
        };
        if let Some(ms) = request.strip_prefix("GET /sleep/") {
            let ms = ms.split(' ').next().and_then(|ms| ms.parse().ok()).unwrap_or(0);
            thread::sleep(Duration::from_millis(ms));
        }
        let close = request.contains("Connection: close");
        let answer =
            format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        if stream.write_all(answer.as_bytes()).is_err() || close {
            return;
        }
    }
}
