//! Replicas start, run, exit and are stopped, with real processes and both kinds of containment.

#![expect(clippy::unwrap_used, reason = "a test may")]

mod rig;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flyball_cgroup::ProcessStat;
use flyball_core::observation::Phase;
use flyball_process::{Launcher, LauncherSettings, ProcessSettings};
use rig::{
    Way, carriers, engine, engine_of, id, launcher_settings, mark, phase, report, until,
    until_exit, until_gone, until_started,
};

const WAYS: [Way; 2] = [Way::Cgroup, Way::Session];

#[tokio::test]
async fn a_replica_gets_a_port_of_its_own_as_argument_and_in_its_environment() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(
        Way::Session,
        "echo $PORT $FLYBALL_REPLICA $GREETING $1 > $1.new; mv $1.new $1; exec sleep 60",
        |settings| {
            settings.command.extend(["sh".into(), "{port}".into()]);
            settings.directory = Some(dir.path().to_owned());
            settings.env.insert("GREETING".into(), "hello".into());
        },
    );
    engine.start(&id(1), None);
    engine.start(&id(2), None);
    let ports = [until_started(&engine, 1).await, until_started(&engine, 2).await]
        .map(|replica| replica.address.unwrap());
    assert_ne!(ports[0], ports[1]);
    for (number, address) in (1..).zip(ports) {
        assert!(address.ip().is_loopback());
        let file = dir.path().join(address.port().to_string());
        let written = until(&engine, "the file", |_| fs::read_to_string(&file).ok()).await;
        assert_eq!(written, format!("{0} web-{number} hello {0}\n", address.port()));
    }
    engine.shutdown().await;
}

#[tokio::test]
async fn a_server_answers_at_its_address_and_is_ready_once_marked_so() {
    let server = "import http.server, os; http.server.HTTPServer(('127.0.0.1', int(os.environ['PORT'])), http.server.SimpleHTTPRequestHandler).serve_forever()";
    let engine = engine(Way::Cgroup, "", |settings| {
        settings.command = ["python3", "-c", server].map(str::to_owned).into();
        settings.directory = Some("/usr".into());
    });
    engine.start(&id(1), None);
    engine.set_ready(&id(1));
    assert_eq!(phase(&engine, 1), Some(Phase::Starting), "ready without an address");
    let address = until_started(&engine, 1).await.address.unwrap();
    let mut connection = until(&engine, "a connection", |_| TcpStream::connect(address).ok()).await;
    connection.write_all(b"HEAD / HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
    engine.set_ready(&id(1));
    let ready = report(&engine, 1).unwrap();
    assert_eq!(ready.phase, Phase::Ready);
    assert!(ready.ready_at.unwrap() >= ready.asked_at);
    engine.shutdown().await;
    assert_eq!(engine.observe().exits, []);
}

#[tokio::test]
async fn starting_is_seen_at_once_and_only_once() {
    let engine = engine(Way::Session, "exec sleep 60", |_| ());
    engine.start(&id(1), None);
    engine.start(&id(1), None);
    assert_eq!(phase(&engine, 1), Some(Phase::Starting));
    assert_eq!(engine.observe().replicas.len(), 1);
    let address = until_started(&engine, 1).await.address;
    engine.start(&id(1), None);
    assert_eq!(report(&engine, 1).unwrap().address, address);
    assert_eq!(engine.observe().replicas.len(), 1);
    engine.shutdown().await;
    engine.start(&id(2), None);
    assert_eq!(engine.observe().replicas, [], "a start after the shutdown");
}

#[tokio::test]
async fn replicas_are_listed_in_the_order_of_their_names() {
    let engine = engine(Way::Session, "exec sleep 60", |_| ());
    for number in [3, 1, 2] {
        engine.start(&id(number), None);
    }
    let names: Vec<String> =
        engine.observe().replicas.iter().map(|replica| replica.id.to_string()).collect();
    assert_eq!(names, ["web-1", "web-2", "web-3"]);
    engine.shutdown().await;
}

#[tokio::test]
async fn a_killed_replica_is_seen_within_50_ms_with_its_signal_and_its_time() {
    for way in WAYS {
        let (name, value) = ("TEST_MARK", mark());
        let engine = engine(way, "exec sleep 60", |settings| {
            settings.env.insert(name.into(), value.clone());
        });
        engine.start(&id(1), None);
        until_started(&engine, 1).await;
        engine.set_ready(&id(1));
        let carrier = format!("{name}={value}");
        let alone = || <[u32; 1]>::try_from(carriers(&carrier)).ok();
        let [pid] = until(&engine, "its process", |_| alone()).await;
        while tokio::time::timeout(Duration::from_millis(20), engine.changed()).await.is_ok() {}
        let killed = Instant::now();
        let pid = rustix::process::Pid::from_raw(pid.try_into().unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        engine.changed().await;
        let seen = killed.elapsed();
        assert_ne!(phase(&engine, 1), Some(Phase::Ready));
        let exit = until_exit(&engine).await;
        println!("{way:?}: death seen after {seen:?}, all cleared after {:?}", killed.elapsed());
        assert!(seen < Duration::from_millis(50), "{way:?}: {seen:?}");
        assert_eq!(exit.reason, "killed by SIGKILL");
        assert!(exit.ready_ms.is_some());
    }
}

#[tokio::test]
async fn one_that_exits_at_once_reports_its_status_and_log_tail() {
    for way in WAYS {
        let engine =
            engine(way, "echo starting; echo one >&2; echo 'no database' >&2; exit 3", |_| ());
        engine.start(&id(1), None);
        let exit = until_exit(&engine).await;
        assert_eq!(exit.reason, "exit status 3: one | no database", "{way:?}");
        assert_eq!((exit.replica, exit.ready_ms), (id(1), None));
        assert_eq!(engine.observe().replicas, []);
    }
}

#[tokio::test]
async fn only_the_latest_20_exits_are_kept() {
    let engine = engine(Way::Session, "exit 1", |_| ());
    for number in 1..=25 {
        engine.start(&id(number), None);
        until_gone(&engine).await;
    }
    let exits = engine.observe().exits;
    assert_eq!(exits.len(), 20);
    assert_eq!(exits.last().unwrap().replica, id(25));
}

/// The first one leaves a process behind that keeps its output open and cannot be found: its
/// clean-up takes 200 ms longer than that of the other.
const SLOW_TO_CLEAR: &str = "test $FLYBALL_REPLICA = web-1 || exit 2; \
    env -i setsid /bin/sleep 1 & /bin/sleep 0.1; exit 1";

#[tokio::test]
async fn an_exit_that_is_cleared_late_is_later_than_those_reported_before_it() {
    // On a busy machine the second one may take longer all the same.
    for _ in 0..10 {
        let engine = engine(Way::Session, SLOW_TO_CLEAR, |_| ());
        engine.start(&id(1), None);
        until(&engine, "its end", |e| (phase(e, 1) == Some(Phase::Stopping)).then_some(())).await;
        engine.start(&id(2), None);
        until_gone(&engine).await;
        let exits = engine.observe().exits;
        assert!(exits[0].at < exits[1].at, "{exits:?}");
        if exits[0].replica == id(2) {
            return;
        }
    }
    panic!("the one that ended first was never cleared last");
}

#[tokio::test]
async fn a_command_that_vanished_is_an_exit_and_a_reason_for_pending() {
    let dir = tempfile::tempdir().unwrap();
    let server = dir.path().join("server");
    fs::copy("/bin/sh", &server).unwrap();
    let engine = engine(Way::Cgroup, "exec sleep 60", |settings| {
        settings.command[0] = server.display().to_string();
    });
    fs::remove_file(&server).unwrap();
    engine.start(&id(1), None);
    let exit = until_exit(&engine).await;
    assert!(exit.reason.contains("cannot start") && exit.reason.contains("No such file"));
    assert_eq!(exit.ready_ms, None);
    assert_eq!(engine.observe().pending, Some(exit.reason));
    fs::copy("/bin/sh", &server).unwrap();
    engine.start(&id(2), None);
    until_started(&engine, 2).await;
    assert_eq!(engine.observe().pending, None);
    engine.shutdown().await;
}

#[tokio::test]
async fn one_that_ignores_sigterm_is_killed_after_the_grace() {
    let dir = tempfile::tempdir().unwrap();
    for way in WAYS {
        let deaf = dir.path().join(format!("{way:?}"));
        let script = "trap '' TERM; touch $1; while :; do sleep 0.05; done";
        let engine = engine(way, script, |settings| {
            settings.command.extend(["sh".into(), deaf.display().to_string()]);
            settings.grace_ms = 300;
        });
        engine.start(&id(1), None);
        until(&engine, "its being deaf", |_| deaf.exists().then_some(())).await;
        let asked = Instant::now();
        engine.stop(&id(1));
        assert_eq!(phase(&engine, 1), Some(Phase::Stopping));
        engine.stop(&id(1));
        until_gone(&engine).await;
        let took = asked.elapsed();
        assert!(took >= Duration::from_millis(300), "{way:?}: {took:?}");
        assert!(took < Duration::from_secs(2), "{way:?}: {took:?}");
        assert_eq!(engine.observe().exits, []);
    }
}

#[tokio::test]
async fn a_stop_while_the_fork_is_under_way_ends_it_too() {
    let value = mark();
    let engine = engine(Way::Session, "exec sleep 60", |settings| {
        settings.env.insert("TEST_MARK".into(), value.clone());
    });
    engine.start(&id(1), None);
    engine.stop(&id(1));
    assert_eq!(phase(&engine, 1), Some(Phase::Stopping));
    engine.set_ready(&id(1));
    assert_eq!(phase(&engine, 1), Some(Phase::Stopping));
    until_gone(&engine).await;
    assert_eq!(carriers(&format!("TEST_MARK={value}")), Vec::<u32>::new());
    assert_eq!(engine.observe().exits, []);
}

#[tokio::test]
async fn a_daemon_in_a_session_of_its_own_ends_with_its_replica() {
    for way in WAYS {
        let value = mark();
        let variable = format!("TEST_MARK={value}");
        let script = "(setsid sh -c 'setsid sleep 61 & exec sleep 62' &) ; exec sleep 63";
        let engine = engine(way, script, |settings| {
            settings.env.insert("TEST_MARK".into(), value);
        });
        engine.start(&id(1), None);
        until(&engine, "three processes", |_| (carriers(&variable).len() == 3).then_some(())).await;
        engine.stop(&id(1));
        until_gone(&engine).await;
        assert_eq!(carriers(&variable), Vec::<u32>::new(), "{way:?}");
    }
}

#[tokio::test]
async fn a_daemon_that_hid_from_its_mark_and_session_still_ends_as_a_descendant() {
    let value = mark();
    let script = "setsid env -i sleep 67 & exec sleep 63";
    let engine = engine(Way::Session, script, |settings| {
        settings.env.insert("TEST_MARK".into(), value.clone());
        settings.grace_ms = 0;
    });
    engine.start(&id(1), None);
    let hidden = || {
        let [parent] = carriers(&format!("TEST_MARK={value}"))[..] else { return None };
        let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
        let child: u32 = children.trim().parse().ok()?;
        let name = fs::read_to_string(format!("/proc/{child}/comm")).ok()?;
        (name == "sleep\n").then_some(child)
    };
    let hidden = until(&engine, "a hidden child", |_| hidden()).await;
    engine.stop(&id(1));
    until_gone(&engine).await;
    let lives = ProcessStat::of(hidden).is_ok_and(|process| !process.ended);
    assert!(!lives, "process {hidden} lives");
}

#[tokio::test]
async fn the_cpu_of_a_burning_grandchild_counts() {
    for way in WAYS {
        let engine = engine(way, "sh -c 'sh -c \"while :; do :; done\" & wait' & wait", |_| ());
        engine.start(&id(1), None);
        let used = until(&engine, "100 ms of CPU", |engine| {
            report(engine, 1)?.cpu.filter(|cpu| cpu.used_ns > 100_000_000)
        })
        .await;
        let later = until(&engine, "more CPU", |engine| {
            report(engine, 1)?.cpu.filter(|cpu| cpu.used_ns > used.used_ns)
        })
        .await;
        assert!(later.at >= used.at);
        engine.shutdown().await;
    }
}

#[tokio::test]
async fn the_cpu_counter_does_not_fall_when_a_grandchild_ends() {
    for way in WAYS {
        let burn = "i=0; while [ $i -lt 40000 ]; do i=$((i+1)); done";
        let script =
            format!("sh -c 'sh -c \"{}\"; :'; touch $1; exec sleep 60", burn.replace('$', "\\$"));
        let dir = tempfile::tempdir().unwrap();
        let done = dir.path().join("done");
        let engine = engine(way, &script, |settings| {
            settings.command.extend(["sh".into(), done.display().to_string()]);
        });
        engine.start(&id(1), None);
        let mut last = 0;
        until(&engine, "the end of the grandchild", |engine| {
            let used = report(engine, 1)?.cpu?.used_ns;
            assert!(used >= last, "{way:?}: {used} after {last}");
            last = used;
            done.exists().then_some(())
        })
        .await;
        let used = report(&engine, 1).unwrap().cpu.unwrap().used_ns;
        assert!(used >= last && used > 20_000_000, "{way:?}: {used} after {last}");
        engine.shutdown().await;
    }
}

fn open_descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

#[tokio::test]
async fn a_replica_takes_no_more_descriptors_than_documented() {
    for way in WAYS {
        let engine = engine(way, "exec sleep 60", |_| ());
        engine.start(&id(1), None);
        until_started(&engine, 1).await;
        engine.observe();
        let before = open_descriptors();
        (2..=11).for_each(|number| engine.start(&id(number), None));
        for number in 2..=11 {
            until_started(&engine, number).await;
        }
        engine.observe();
        let each = flyball_process::DESCRIPTORS_OF_A_REPLICA * 10;
        let most = before + usize::try_from(each).unwrap();
        until(&engine, "no more than that", |_| (open_descriptors() <= most).then_some(())).await;
        engine.shutdown().await;
    }
}

#[tokio::test]
async fn a_replica_begins_with_the_bound_of_descriptors_that_it_is_given() {
    let dir = tempfile::tempdir().unwrap();
    let settings = LauncherSettings { descriptors: Some(777), ..launcher_settings(Way::Session) };
    let launcher = Arc::new(Launcher::start(settings).unwrap());
    let script = "ulimit -Sn > new; mv new bound; exec sleep 60";
    let engine = engine_of(launcher, script, |settings| {
        settings.directory = Some(dir.path().to_owned());
    });
    engine.start(&id(1), None);
    let file = dir.path().join("bound");
    let written = until(&engine, "the file", |_| fs::read_to_string(&file).ok()).await;
    assert_eq!(written, "777\n");
    engine.shutdown().await;
}

#[tokio::test]
async fn one_replica_more_than_there_is_room_for_is_not_started_and_the_reason_is_given() {
    let settings = LauncherSettings { replicas_max: 2, ..launcher_settings(Way::Session) };
    let launcher = Arc::new(Launcher::start(settings).unwrap());
    let engine = engine_of(launcher, "exec sleep 60", |_| ());
    engine.start(&id(1), None);
    engine.start(&id(2), None);
    until_started(&engine, 1).await;
    until_started(&engine, 2).await;
    engine.start(&id(3), None);
    let exit = until_exit(&engine).await;
    assert!(exit.reason.contains("allows 2 process replicas"), "{}", exit.reason);
    assert!(engine.observe().pending.is_some_and(|why| why.contains("LimitNOFILE")));
    engine.stop(&id(1));
    until(&engine, "room", |engine| report(engine, 1).is_none().then_some(())).await;
    engine.start(&id(4), None);
    until_started(&engine, 4).await;
    engine.shutdown().await;
}

#[tokio::test]
async fn a_replica_is_made_of_the_generation_that_was_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(Way::Session, "echo $WHAT > $WHAT-$PORT; exec sleep 60", |settings| {
        settings.directory = Some(dir.path().to_owned());
        settings.env.insert("WHAT".into(), "old".into());
    });
    let first = engine.observe().generation.unwrap();
    engine.start(&id(1), Some(first));
    let script = "echo $WHAT > $WHAT-$PORT; exec sleep 60";
    let command = ["sh", "-c", script].map(str::to_owned).into();
    let mut settings = ProcessSettings::new("web", command);
    settings.directory = Some(dir.path().to_owned());
    settings.env.insert("WHAT".into(), "new".into());
    let second = engine.reconfigure(settings).unwrap();
    assert_eq!(engine.observe().generation, Some(second));
    engine.start(&id(2), Some(second));
    engine.start(&id(3), Some(first));
    for (number, generation, word) in [(1, first, "old"), (2, second, "new"), (3, first, "old")] {
        let replica = until_started(&engine, number).await;
        assert_eq!(replica.generation, Some(generation));
        let port = replica.address.unwrap().port();
        let file = dir.path().join(format!("{word}-{port}"));
        until(&engine, "its word", |_| file.exists().then_some(())).await;
    }
    let third = engine.deploy().unwrap();
    let known: Vec<_> = engine.generations().iter().map(|info| info.generation).collect();
    assert_eq!(known, [first, second, third]);
    assert!(!format!("{:?}", engine.generations()).contains("new"), "no value of a variable");
    engine.shutdown().await;
}
