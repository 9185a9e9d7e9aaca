//! Fifty replicas come and go and leave nothing. Alone in its binary: it counts descriptors.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test may")]

mod rig;

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flyball_process::Containment;
use rig::{DEADLINE, Way, carriers, engine_of, id, launcher, mark, until, until_gone};

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

async fn churn(way: Way) {
    let launcher = launcher(way);
    let value = mark();
    let engine = engine_of(Arc::clone(&launcher), "sleep 60 & exec sleep 60", |settings| {
        settings.env.insert("TEST_MARK".into(), value.clone());
    });
    let run = |numbers: std::ops::Range<u64>| {
        let engine = &engine;
        async move {
            numbers.clone().for_each(|number| engine.start(&id(number), None));
            until(engine, "all started", |engine| {
                engine.observe().replicas.iter().all(|r| r.address.is_some()).then_some(())
            })
            .await;
            let looked = Instant::now();
            let seen = engine.observe().replicas.iter().filter(|r| r.cpu.is_some()).count();
            let took = looked.elapsed();
            println!("{way:?}: one look at {seen} replicas took {took:?}");
            assert_eq!(seen as u64, numbers.end - numbers.start);
            assert!(took < Duration::from_millis(100), "{way:?}: one look took {took:?}");
            numbers.for_each(|number| engine.stop(&id(number)));
            until_gone(engine).await;
        }
    };
    run(0..1).await;
    let before = descriptors();
    let began = Instant::now();
    run(1..51).await;
    println!("{way:?}: 50 replicas started and stopped in {:?}", began.elapsed());
    assert_eq!(descriptors(), before, "{way:?}: descriptors leaked");
    assert_eq!(carriers(&format!("TEST_MARK={value}")), Vec::<u32>::new(), "{way:?}");
    assert_eq!(engine.observe().exits, []);
    if let Containment::Cgroup { directory } = launcher.containment().clone() {
        let groups = fs::read_dir(&directory).unwrap().flatten();
        assert_eq!(groups.filter(|entry| entry.path().is_dir()).count(), 0);
        drop(engine);
        // The tasks of the last replicas may hold the launcher a moment longer.
        let last = Arc::downgrade(&launcher);
        drop(launcher);
        let deadline = Instant::now() + DEADLINE;
        while last.strong_count() > 0 || directory.exists() {
            assert!(Instant::now() < deadline, "the group of the run is left");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_replicas_come_and_go_and_leave_nothing() {
    churn(Way::Cgroup).await;
    churn(Way::Session).await;
}
