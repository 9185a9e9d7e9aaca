//! CPU usage from the agents of a real Mesos, compared with the kernel's.
#![expect(clippy::unwrap_used, reason = "a test may")]

/// Measures CPU.
mod alone {
    use std::path::Path;
    use std::sync::OnceLock;
    use std::time::{Duration, Instant};

    use bollard::query_parameters::ListContainersOptions;
    use flyball_cgroup::{Group, GroupMeter, Hierarchies};
    use flyball_core::observation::{CpuCounter, ReplicaReport};
    use flyball_core::units::{ReplicaId, Timestamp};
    use flyball_mesos::{
        Access, ClusterSettings, Master, MesosCluster, MesosEngine, MesosSettings,
    };

    use flyball_testkit::docker::{IMAGE, Lab, not_run_here};
    use flyball_testkit::mesos::Mesos;

    const DEADLINE: Duration = Duration::from_secs(30);

    fn clock() -> Timestamp {
        static START: OnceLock<Instant> = OnceLock::new();
        let ms = START.get_or_init(Instant::now).elapsed().as_millis();
        Timestamp::from_ms(1 + u64::try_from(ms).unwrap())
    }

    /// Looks until the replica is as wanted.
    async fn replica<T>(engine: &MesosEngine, wanted: impl Fn(&ReplicaReport) -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            let seen = engine.observe();
            let replicas =
                seen.value().iter().flat_map(|report| &report.replicas).collect::<Vec<_>>();
            if let Some(found) = replicas.first().and_then(|replica| wanted(replica)) {
                return found;
            }
            assert!(began.elapsed() < DEADLINE, "never came: {seen:#?}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// The next counter that is another than `before`, and the kernel's at that moment.
    async fn next(
        engine: &MesosEngine,
        kernel: &GroupMeter,
        before: Option<CpuCounter>,
    ) -> (CpuCounter, u64) {
        let fresh = |replica: &ReplicaReport| replica.cpu.filter(|cpu| Some(*cpu) != before);
        let counter = replica(engine, fresh).await;
        (counter, kernel.used_ns().unwrap())
    }

    #[tokio::test]
    async fn cpu_of_a_busy_task_is_within_a_twentieth_of_the_kernels_count_over_five_seconds() {
        let Some(lab) = Lab::up().await else { return };
        let mesos = match Mesos::up(&lab.socket()) {
            Ok(mesos) => mesos,
            Err(reason) => return not_run_here("mesos", &reason),
        };
        let folder = tempfile::tempdir().unwrap();
        let cluster = MesosCluster::open(ClusterSettings {
            master: Master::At(mesos.at.clone()),
            access: Access::default(),
            role: "*".into(),
            id_file: folder.path().join("id"),
            shared: None,
            clock,
        });
        let mut settings = MesosSettings::new("web", IMAGE, 8080);
        (settings.cpus, settings.memory_bytes) = (0.5, 64 << 20);
        settings.env.insert("BURN".into(), "1".into());
        let engine = MesosEngine::new(cluster.unwrap(), settings).unwrap();
        engine.start(&ReplicaId::numbered("web", 1));
        replica(&engine, |replica| replica.address).await;
        let docker = lab.client().await;
        let listed = docker.list_containers(None::<ListContainersOptions>).await.unwrap();
        let container = listed[0].id.clone().unwrap();
        let hierarchies = Hierarchies::at(Path::new("/sys/fs/cgroup")).unwrap();
        let group = Group::of_container(&hierarchies, &container).unwrap();
        let kernel = GroupMeter::open(&group).unwrap();

        let (mut counter, _) = next(&engine, &kernel, None).await;
        let (first, kernel_first) = next(&engine, &kernel, Some(counter)).await;
        let mut kernel_last = kernel_first;
        while counter.at.ms_since(first.at) < 5_000 {
            (counter, kernel_last) = next(&engine, &kernel, Some(counter)).await;
        }
        let (reported, counted) = (counter.used_ns - first.used_ns, kernel_last - kernel_first);
        #[expect(clippy::cast_precision_loss, reason = "seconds of CPU time")]
        let off = (reported as f64 - counted as f64) / counted as f64;
        println!(
            "mesos reported {reported} ns and the kernel {counted} ns: {:.2} % off",
            off * 100.0
        );
        assert!(off.abs() < 0.05, "{reported} ns reported, {counted} ns counted");
        // And the rate by the times that came with the counters.
        let span_ms = counter.at.ms_since(first.at);
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of seconds")]
        let cores = reported as f64 / (span_ms as f64 * 1e6);
        assert!(cores > 0.3 && cores < 1.1, "{cores} cores of one that burns");
    }
}
