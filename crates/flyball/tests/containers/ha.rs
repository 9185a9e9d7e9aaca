//! Two flyballs for the same tasks or containers: one leads, and the other takes over.
//!
//! `FLYBALL_OUTAGE_S=30` makes the time without a quorum half a minute.

/// Loads the machine.
mod alone {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::{Duration, Instant};

    use rustix::process::Signal;

    use crate::mesos::alone::{configure, framework, set, tasks};
    use crate::stage::Stage;
    use crate::support::{Place, Steady, flyball, signal, until, until_within};
    use flyball_testkit::zookeeper::{Servers, relay};

    const SESSION: Duration = Duration::from_secs(2);

    /// A flyball that may have to wait until it leads.
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
            log.lines().filter(|line| line.contains("dashboard and API on")).count()
        }

        /// What it did, each with its time and the number of the term.
        fn actions(&self) -> Vec<Action> {
            self.log().lines().filter_map(Action::read).collect()
        }

        fn log(&self) -> String {
            std::fs::read_to_string(self.place.path().join("log")).unwrap()
        }
    }

    impl Drop for Flyball {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("log of a flyball:\n{}", self.log());
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
        until("the first leads", || (first.terms() == 1).then_some(()));
        let second = Flyball::start(place());
        until("three tasks", || (tasks(&stage).len() == 3).then_some(()));
        stage.until_served();
        until("the second is on standby", || second.log().contains("the leader is").then_some(()));
        let (before, id) = (tasks(&stage), framework(&first.place));
        let load = Steady::start(stage.front(), 100);

        first.child.kill().unwrap();
        first.child.wait().unwrap();
        let at = Instant::now();
        until("the second leads", || (second.terms() == 1).then_some(()));
        let took = at.elapsed();
        until("the same framework", || {
            let file = second.place.state().join("mesos-framework");
            (std::fs::read_to_string(file).ok()? == id).then_some(())
        });
        println!("killed: the other acted after {took:?}");
        assert!(took < SESSION + Duration::from_secs(2), "{took:?}");

        // One that is halted for longer than a session is no leader when it goes on.
        let third = Flyball::start(place());
        until("the third is on standby", || third.log().contains("the leader is").then_some(()));
        signal(second.child.id(), Signal::STOP);
        let at = Instant::now();
        until("the third leads", || (third.terms() == 1).then_some(()));
        println!("halted: the other acted after {:?}", at.elapsed());
        signal(second.child.id(), Signal::CONT);
        until("the halted one restarts", || second.log().contains("lost leadership").then_some(()));
        until("it is on standby", || {
            (second.log().matches("standby: joined the election at").count() == 2).then_some(())
        });
        assert_eq!(second.terms(), 1);
        let report = load.finish();
        assert_eq!(report.failed, 0, "{:?}", report.failures);
        assert_eq!(tasks(&stage), before);
    }

    /// A line of a log: `2026-11-26T07:10:11.123456Z  INFO web: start web-4 term=4294967301`.
    #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
    struct Action {
        at: String,
        term: i64,
    }

    impl Action {
        fn read(line: &str) -> Option<Self> {
            let (at, _) = line.split_once(' ')?;
            let (_, term) = line.rsplit_once(" term=")?;
            let acts = line.contains("INFO web: ");
            acts.then(|| Self { at: at.to_owned(), term: term.parse().unwrap() })
        }
    }

    /// A flyball's own ways to ZooKeeper, which can be cut.
    struct Ways {
        addresses: String,
        cuts: Vec<Arc<AtomicBool>>,
    }

    impl Ways {
        fn to(stage: &Stage, servers: &Servers) -> Self {
            let all = servers.addresses();
            let ways = all.split(',').map(|server| stage.wait(relay(server.to_owned())));
            let (addresses, cuts): (Vec<_>, Vec<_>) = ways.unzip();
            Self { addresses: addresses.join(","), cuts }
        }

        fn set(&self, cut: bool) {
            self.cuts.iter().for_each(|way| way.store(cut, Ordering::Relaxed));
        }
    }

    fn on_docker(stage: &Stage, ways: &Ways) -> Flyball {
        let place = Place::new();
        let at = &ways.addresses;
        let ha = format!("[ha]\nzookeeper = \"zk://{at}/flyball\"\nsession = \"2s\"\n");
        let service = stage.service("web", "policy = \"external\"\nmin = 3\nmax = 3");
        place.configure(&format!("{service}{ha}"));
        Flyball::start(place)
    }

    /// Gives the leader something to do until there is an answer.
    fn disturbed<T>(
        stage: &Stage,
        limit: Duration,
        what: &str,
        found: impl Fn() -> Option<T>,
    ) -> T {
        let mut next = Instant::now();
        until_within(limit, what, || {
            if next <= Instant::now() {
                let running = stage.containers("web");
                stage.kill(running.keys().next());
                next = Instant::now() + Duration::from_millis(500);
            }
            std::thread::sleep(Duration::from_millis(20));
            found()
        })
    }

    /// Without a quorum there may be no leader: how long, and how long after that there was one.
    fn outage(stage: &Stage, servers: &mut Servers, all: &[&Flyball]) -> (Duration, Duration) {
        let done = || all.iter().map(|one| one.actions().len()).sum::<usize>();
        let set = std::env::var("FLYBALL_OUTAGE_S").ok().and_then(|text| text.parse().ok());
        let lasts = Duration::from_secs(set.unwrap_or(4)).max(2 * SESSION);
        servers.kill(0);
        servers.kill(1);
        let at = Instant::now();
        disturbed(stage, 2 * SESSION, "a session", || (at.elapsed() > SESSION).then_some(()));
        let before = done();
        disturbed(stage, 2 * lasts, "the outage's end", || (at.elapsed() > lasts).then_some(()));
        assert_eq!(done(), before, "acted without a quorum");
        servers.start(0);
        servers.start(1);
        servers.until_leading();
        let back = Instant::now();
        disturbed(stage, Duration::from_secs(20), "leads again", || {
            (done() > before).then_some(())
        });
        (lasts, back.elapsed())
    }

    #[test]
    fn terms_do_not_overlap_when_one_dies_or_is_cut_off_and_without_a_quorum_there_is_no_leader() {
        let Some(stage) = Stage::set() else { return };
        let Some(mut servers) = Servers::up() else { return };
        let ways = [(); 3].map(|()| Ways::to(&stage, &servers));
        let limit = Duration::from_secs(30);
        let mut first = on_docker(&stage, &ways[0]);
        until("the first leads", || (first.terms() == 1).then_some(()));
        let second = on_docker(&stage, &ways[1]);
        disturbed(&stage, limit, "work", || (first.actions().len() > 12).then_some(()));

        first.child.kill().unwrap();
        first.child.wait().unwrap();
        let at = Instant::now();
        until("the second leads", || (second.terms() == 1).then_some(()));
        let killed = at.elapsed();
        let third = on_docker(&stage, &ways[2]);
        disturbed(&stage, limit, "work", || (second.actions().len() > 8).then_some(()));

        ways[1].set(true);
        let at = Instant::now();
        until("the third leads", || (third.terms() == 1).then_some(()));
        let cut = at.elapsed();
        disturbed(&stage, limit, "work", || (third.actions().len() > 8).then_some(()));
        ways[1].set(false);
        println!("killed: the other acted after {killed:?}; cut off: after {cut:?}");
        assert!(killed.max(cut) < SESSION + Duration::from_secs(2));
        assert!(second.log().contains("lost leadership"));

        let (lasted, back) = outage(&stage, &mut servers, &[&second, &third]);
        println!("no quorum for {lasted:?}; one acted again {back:?} after its end");
        let all = [&first, &second, &third];
        let mut actions: Vec<_> = all.iter().flat_map(|one| one.actions()).collect();
        actions.sort();
        let mut terms: Vec<i64> = actions.iter().map(|action| action.term).collect();
        println!("{} actions of {:?}", terms.len(), all.map(|one| one.actions().len()));
        assert!(terms.is_sorted(), "an action of an older term came later: {actions:#?}");
        terms.dedup();
        assert!(terms.len() >= 4, "{terms:?}");
        for term in terms {
            let own = |one: &&&Flyball| one.actions().iter().any(|action| action.term == term);
            assert_eq!(all.iter().filter(own).count(), 1, "two had the term {term}");
        }
    }
}
