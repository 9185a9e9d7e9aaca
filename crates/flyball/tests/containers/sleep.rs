//! A user's own container sleeps: it is stopped or paused, stays where it is, and is woken by a
//! request, by whoever starts it, and also by the next flyball.

/// Loads the machine.
mod alone {
    use std::collections::BTreeMap;
    use std::net::SocketAddr;
    use std::time::{Duration, Instant};

    use bollard::query_parameters::StartContainerOptions;
    use serde_json::Value;

    use crate::load::get;
    use crate::stage::{Stage, published};
    use crate::support::{Daemon, free_port, until};

    const AFTER: Duration = Duration::from_secs(2);

    /// A labelled container behind the embedded proxy, and a flyball.
    struct Sleeper {
        stage: Stage,
        daemon: Option<Daemon>,
        front: SocketAddr,
        id: String,
    }

    impl Sleeper {
        fn new(mode: &str) -> Option<Self> {
            let stage = Stage::set()?;
            let may = "[docker]\nlabels_may = [\"listen\"]\n";
            stage.place.configure(&stage.tables().replacen("[docker]\n", may, 1));
            let front = SocketAddr::from(([127, 0, 0, 1], free_port()));
            let listen = front.to_string();
            let labels = [
                ("flyball.service", "web"),
                ("flyball.port", "8080"),
                ("flyball.min", "0"),
                ("flyball.max", "2"),
                ("flyball.grace", "2s"),
                ("flyball.listen", listen.as_str()),
                ("flyball.sleep.after", "2s"),
                ("flyball.sleep.mode", mode),
            ];
            let id = stage.wait(stage.lab.run("shop-web-1", &labels, published()));
            let daemon = Some(Daemon::start(&stage.place));
            let sleeper = Self { stage, daemon, front, id };
            until("the service", || sleeper.sleep().is_object().then_some(()));
            Some(sleeper)
        }

        fn daemon(&self) -> &Daemon {
            self.daemon.as_ref().unwrap()
        }

        /// What the API says about its sleep; null while it does not know the service.
        fn sleep(&self) -> Value {
            let answer = self.daemon().get("/api/v1/services/web");
            if answer.status == 200 { answer.json()["sleep"].clone() } else { Value::Null }
        }

        fn is_asleep(&self) -> bool {
            self.sleep()["asleep"] == true
        }

        fn until_asleep(&self) -> Value {
            until("sleep", || self.is_asleep().then(|| self.sleep()))
        }

        fn state(&self) -> String {
            let docker =
                async { self.stage.lab.client().await.inspect_container(&self.id, None).await };
            self.stage.wait(docker).unwrap().state.unwrap().status.unwrap().to_string()
        }

        /// One request: how long it took.
        fn ask(&self) -> Duration {
            let began = Instant::now();
            get(self.front, "/").unwrap();
            began.elapsed()
        }

        /// What there is of the service, running or not.
        fn assert_alone(&self) {
            assert_eq!(self.stage.wait(self.stage.lab.names()), ["shop-web-1"]);
        }
    }

    #[test]
    fn a_labelled_container_is_stopped_stays_and_is_started_again_by_a_request() {
        let Some(mut sleeper) = Sleeper::new("stop") else { return };
        sleeper.until_asleep();
        assert_eq!(sleeper.state(), "exited");
        sleeper.assert_alone();
        let took = sleeper.ask();
        println!("woken by a request in {took:?}");
        let woken_by = sleeper.sleep()["woken_by"].clone();
        assert_eq!(woken_by, "a request that waited");
        let running: BTreeMap<String, String> = sleeper.stage.containers("web");
        assert!(running.len() == 1 && running.contains_key(&sleeper.id), "{running:?}");
        // The next flyball knows it by its stopped container.
        sleeper.until_asleep();
        sleeper.daemon.as_mut().unwrap().kill();
        sleeper.daemon = Some(Daemon::start(&sleeper.stage.place));
        until("the service", || sleeper.sleep().is_object().then_some(()));
        let slept = sleeper.until_asleep();
        assert!(slept["since_wall_ms"].is_i64() && slept["woken_by"].is_null(), "{slept}");
        assert_eq!(sleeper.state(), "exited", "{}", sleeper.daemon().log());
        sleeper.ask();
        sleeper.assert_alone();
        let status = sleeper.daemon().status();
        assert!(status.contains("web"), "{status}");
    }

    #[test]
    fn whoever_starts_it_wakes_it_and_it_is_not_stopped_before_its_time() {
        let Some(sleeper) = Sleeper::new("stop") else { return };
        sleeper.until_asleep();
        let started = Instant::now();
        let docker = async {
            let start = None::<StartContainerOptions>;
            sleeper.stage.lab.client().await.start_container(&sleeper.id, start).await
        };
        sleeper.stage.wait(docker).unwrap();
        until("waking", || (!sleeper.is_asleep()).then_some(()));
        assert_eq!(sleeper.sleep()["woken_by"], "shop-web-1, which somebody else started");
        until("its end", || (sleeper.state() == "exited").then_some(()));
        let lasted = started.elapsed();
        assert!(lasted >= AFTER, "stopped after {lasted:?}");
        sleeper.until_asleep();
        sleeper.assert_alone();
        let status = sleeper.daemon().status();
        assert!(status.contains("web: asleep for "), "{status}");
    }

    #[test]
    fn a_paused_container_keeps_its_process_and_answers_at_once() {
        let Some(sleeper) = Sleeper::new("pause") else { return };
        let pid = || {
            let docker = async {
                sleeper.stage.lab.client().await.inspect_container(&sleeper.id, None).await
            };
            sleeper.stage.wait(docker).unwrap().state.unwrap().pid
        };
        let before = pid();
        let mut took = Vec::new();
        for _ in 0..5 {
            sleeper.until_asleep();
            assert_eq!(sleeper.state(), "paused");
            took.push(sleeper.ask());
        }
        took.sort();
        println!("woken from a pause in {took:?}");
        assert_eq!(pid(), before);
        sleeper.assert_alone();
    }
}
