//! What a service manager hears from flyball, by a scripted one.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use crate::support::{Daemon, Place, flyball, sample};

const WATCHDOG: Duration = Duration::from_millis(400);
/// A loaded machine starts a daemon in some seconds.
const LIMIT: Duration = Duration::from_secs(20);

struct Manager(UnixDatagram);

impl Manager {
    fn new(place: &Place) -> Self {
        let socket = UnixDatagram::bind(place.path().join("notify")).unwrap();
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        Self(socket)
    }

    fn start(&self, place: &Place) -> Daemon {
        let config = place.config().display().to_string();
        let mut command = flyball(["run", "-c", &config]);
        command.env("NOTIFY_SOCKET", place.path().join("notify"));
        command.env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string());
        Daemon::spawn(place, command)
    }

    fn next(&self) -> String {
        let mut buffer = [0; 4096];
        let length = self.0.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }
}

#[test]
fn a_service_manager_hears_that_flyball_is_ready_alive_and_stopping() {
    let place = Place::with(&sample("web", 1.0, 0.5, "min = 2\nmax = 2"));
    let manager = Manager::new(&place);
    let daemon = manager.start(&place);
    assert_eq!(manager.next(), "READY=1\nSTATUS=running\n");
    let looked = daemon.service("web");
    assert!(looked["decision"].is_object(), "ready before the first look: {looked}");
    for _ in 0..3 {
        assert_eq!(manager.next(), "WATCHDOG=1\n");
    }
    daemon.until_settled("web", 2);
    for pid in place.replicas() {
        let env = std::fs::read(format!("/proc/{pid}/environ")).unwrap();
        let env = String::from_utf8_lossy(&env);
        assert!(env.contains("PORT="), "{env}");
        assert!(!env.contains("NOTIFY_SOCKET") && !env.contains("WATCHDOG_USEC"), "{env}");
    }
    let (status, log) = daemon.stop();
    assert!(status.success(), "{log}");
    let last = std::iter::repeat_with(|| manager.next()).find(|said| said != "WATCHDOG=1\n");
    assert_eq!(last.as_deref(), Some("STOPPING=1\nSTATUS=stopping\n"));
}
