//! Leader election with three real ZooKeeper servers.
#![expect(clippy::unwrap_used, reason = "a test may")]

/// Measures time, and fills the machine with servers.
mod alone {
    use std::sync::atomic::Ordering;
    use std::time::{Duration, Instant};

    use flyball_zookeeper::{Candidate, CandidateSettings, Ensemble, Term, follow_mesos};
    use tokio::sync::watch;
    use zookeeper_client::{Acls, Client, CreateMode};

    use flyball_testkit::zookeeper::{Servers, relay};

    const DEADLINE: Duration = Duration::from_secs(20);
    const SESSION: Duration = Duration::from_secs(2);

    fn candidate(servers: &str, word: &str) -> Candidate {
        let ensemble = Ensemble { servers: servers.to_owned(), path: "/flyball".into() };
        let session_ms = u64::try_from(SESSION.as_millis()).unwrap();
        Candidate::stand(CandidateSettings { ensemble, session_ms, word: word.into() })
    }

    /// Asks both again and again until there is an answer, and that they never both have a term.
    struct Watched<'a> {
        both: [&'a Candidate; 2],
        highest: Term,
    }

    impl Watched<'_> {
        async fn until<T>(
            &mut self,
            what: &str,
            wanted: impl Fn([Option<Term>; 2]) -> Option<T>,
        ) -> T {
            let began = Instant::now();
            loop {
                let terms = self.both.map(Candidate::term);
                assert!(terms.iter().any(Option::is_none), "two lead: {terms:?}");
                for term in terms.into_iter().flatten() {
                    assert!(term >= self.highest, "{term:?} after {:?}", self.highest);
                    self.highest = term;
                }
                if let Some(found) = wanted(terms) {
                    return found;
                }
                assert!(began.elapsed() < DEADLINE, "not within {DEADLINE:?}: {what}");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn of_two_one_leads_whatever_is_cut_and_another_within_a_session_and_two_seconds() {
        let Some(mut servers) = Servers::up() else { return };
        let first = servers.addresses().split(',').next().unwrap().to_owned();
        let (way, cut) = relay(first).await;
        let a = candidate(&way, "a");
        let mut alone = Watched { both: [&a, &a], highest: Term { number: 0 } };
        let began = Instant::now();
        while a.term().is_none() {
            assert!(began.elapsed() < DEADLINE, "no leader: {:?}", a.silent());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        alone.highest = a.term().unwrap();
        let b = candidate(&servers.addresses(), "b");
        let mut watched = Watched { both: [&a, &b], highest: alone.highest };
        let known = |_: [Option<Term>; 2]| {
            b.leader().is_some_and(|leader| leader.word == "a").then_some(())
        };
        watched.until("that the other knows", known).await;
        // Both report the same leader, term and start.
        let same = |_: [Option<Term>; 2]| (a.leader() == b.leader()).then_some(());
        watched.until("that both report the same", same).await;
        assert_eq!(b.leader().map(|leader| leader.term), a.term());

        // Its way to the servers is cut: it stops before the other begins.
        cut.store(true, Ordering::Relaxed);
        let at = Instant::now();
        let stopped = watched.until("a's end", |[a, _]| a.is_none().then(|| at.elapsed())).await;
        let took = watched.until("b's term", |[_, b]| b.map(|_| at.elapsed())).await;
        println!("cut off: stopped leading after {stopped:?}, the other leads after {took:?}");
        assert!(took < SESSION + Duration::from_secs(2), "{took:?}");
        cut.store(false, Ordering::Relaxed);

        // The servers' own leader goes: no other flyball needs to lead.
        let before = b.term();
        let leading = servers.leading().unwrap();
        servers.kill(leading);
        let at = Instant::now();
        while at.elapsed() < 2 * SESSION {
            watched.until("nothing", |_| Some(())).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let now = watched.until("one that leads", |[a, b]| a.or(b)).await;
        println!("a server was lost: the term was {before:?} and is {now:?}");

        // No more than half of them are left: there is no leader.
        let other = (0..3).find(|server| *server != leading).unwrap();
        servers.kill(other);
        let at = Instant::now();
        let no_leader = watched.until("that there is no leader", |both| {
            both.iter().all(Option::is_none).then(|| at.elapsed())
        });
        println!("no quorum: no leader after {:?}", no_leader.await);
        while at.elapsed() < 2 * SESSION {
            watched
                .until("nothing", |both| {
                    assert!(both.iter().all(Option::is_none), "leads without a quorum: {both:?}");
                    Some(())
                })
                .await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        servers.start(other);
        servers.start(leading);
        servers.until_leading();
        let at = Instant::now();
        watched.until("one that leads again", |[a, b]| a.or(b)).await;
        println!("quorum back: one leads again after {:?}", at.elapsed());

        // One that leaves by itself makes room at once.
        let (leaves, stays) = if a.term().is_some() { (a, b) } else { (b, a) };
        let at = Instant::now();
        drop(leaves);
        while stays.term().is_none() {
            assert!(at.elapsed() < Duration::from_secs(1), "no term after {:?}", at.elapsed());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        println!("left by itself: the other leads after {:?}", at.elapsed());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_leading_mesos_master_is_followed_and_strange_nodes_are_passed_over() {
        let Some(servers) = Servers::up() else { return };
        let client = Client::connect(&servers.addresses()).await.unwrap();
        let ensemble = Ensemble { servers: servers.addresses(), path: "/mesos".into() };
        let mut leader = follow_mesos(ensemble);
        let lasting = CreateMode::Persistent.with_acls(Acls::anyone_all());
        let passing = CreateMode::EphemeralSequential.with_acls(Acls::anyone_all());
        client.create("/mesos", b"", &lasting).await.unwrap();
        client.create("/mesos/log_replicas", b"", &lasting).await.unwrap();
        client.create("/mesos/json.info_0000000000", b"\xff{", &lasting).await.unwrap();
        let master = |port: u16| {
            format!("{{\"address\":{{\"hostname\":\"m\",\"ip\":\"10.0.0.1\",\"port\":{port}}}}}")
        };
        let mut nodes = Vec::new();
        for port in [5_051, 5_052] {
            let made = client.create("/mesos/json.info_", master(port).as_bytes(), &passing).await;
            nodes.push(format!("/mesos/json.info_{}", made.unwrap().1));
        }
        is(&mut leader, Some("10.0.0.1:5051")).await;
        client.delete(&nodes[0], None).await.unwrap();
        is(&mut leader, Some("10.0.0.1:5052")).await;
        client.delete(&nodes[1], None).await.unwrap();
        is(&mut leader, None).await;
    }

    async fn is(leader: &mut watch::Receiver<Option<String>>, wanted: Option<&str>) {
        let found = leader.wait_for(|leader| leader.as_deref() == wanted);
        tokio::time::timeout(DEADLINE, found).await.unwrap().unwrap();
    }
}
