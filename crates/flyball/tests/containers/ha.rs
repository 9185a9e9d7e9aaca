//! Two flyballs for the same tasks of a real Mesos: one acts, and the other takes over.

/// Loads the machine.
mod alone {
    use std::time::{Duration, Instant};

    use rustix::process::Signal;

    use crate::mesos::alone::{configure, framework, set, tasks};
    use crate::servers::Servers;
    use crate::support::{Place, Steady, flyball, signal, until};

    const SESSION: Duration = Duration::from_secs(2);

    /// A flyball that may have to wait until it acts.
    struct Flyball {
        child: std::process::Child,
        place: Place,
    }

    impl Flyball {
        fn start(place: Place) -> Self {
            let mut command = flyball(["run", "-c", place.config().to_str().unwrap()]);
            let log = std::fs::File::create(place.path().join("log")).unwrap();
            let child = command.stderr(log).spawn().unwrap();
            Self { child, place }
        }

        /// How often it began to act.
        fn terms(&self) -> usize {
            let log = std::fs::read_to_string(self.place.path().join("log")).unwrap();
            log.lines().filter(|line| line.contains("page and API on")).count()
        }

        fn log(&self) -> String {
            std::fs::read_to_string(self.place.path().join("log")).unwrap()
        }
    }

    impl Drop for Flyball {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("a flyball said:\n{}", self.log());
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    #[test]
    fn the_second_flyball_takes_over_framework_and_tasks_and_no_request_fails() {
        let Some((stage, mesos)) = set() else { return };
        let Some(servers) = Servers::up() else { return };
        let place = || {
            let place = Place::new();
            let at = servers.addresses();
            let ha = format!("[ha]\nzookeeper = \"zk://{at}/flyball\"\nsession = \"2s\"\n");
            configure(
                &stage,
                &place,
                &mesos,
                &format!("policy = \"external\"\nmin = 3\nmax = 3\ncpus = 0.5\n{ha}"),
            );
            place
        };
        let mut first = Flyball::start(place());
        until("the first acts", || (first.terms() == 1).then_some(()));
        let second = Flyball::start(place());
        until("three tasks", || (tasks(&stage).len() == 3).then_some(()));
        stage.until_served();
        until("the second stands by", || second.log().contains("acts").then_some(()));
        let (before, id) = (tasks(&stage), framework(&first.place));
        let load = Steady::start(stage.front(), 100);

        first.child.kill().unwrap();
        first.child.wait().unwrap();
        let at = Instant::now();
        until("the second acts", || (second.terms() == 1).then_some(()));
        let took = at.elapsed();
        until("the same framework", || {
            let file = second.place.state().join("mesos-framework");
            (std::fs::read_to_string(file).ok()? == id).then_some(())
        });
        println!("killed: the other acted after {took:?}");
        assert!(took < SESSION + Duration::from_secs(2), "{took:?}");

        // One that is halted for longer than a session has no say when it goes on.
        let third = Flyball::start(place());
        until("the third stands by", || third.log().contains("acts").then_some(()));
        signal(second.child.id(), Signal::STOP);
        let at = Instant::now();
        until("the third acts", || (third.terms() == 1).then_some(()));
        println!("halted: the other acted after {:?}", at.elapsed());
        signal(second.child.id(), Signal::CONT);
        until("the halted one begins anew", || {
            second.log().contains("the term of office is over").then_some(())
        });
        until("it stands by", || {
            (second.log().matches("standing by at").count() == 2).then_some(())
        });
        assert_eq!(second.terms(), 1);
        let report = load.finish();
        assert_eq!(report.failed, 0, "{:?}", report.failures);
        assert_eq!(tasks(&stage), before);
    }
}
