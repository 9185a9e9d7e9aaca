//! Counters of real processes that burn CPU time.

#![expect(clippy::unwrap_used, reason = "a test may")]

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use flyball_cgroup::{CgroupError, Group, GroupMeter, Hierarchies, TreeMeter};

/// A shell that is ended, with its children, when the test is over.
struct Shell(Child);

impl Shell {
    fn run(script: &str) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdin(Stdio::piped());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "{what} did not happen within 10 s");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Burns until its standard input ends or it is killed, at most 2 s.
const BURN: &str = "timeout 2 sh -c 'while :; do :; done'";

#[test]
fn a_burning_grandchild_counts() {
    let shell = Shell::run(&format!("sh -c \"{BURN}\" & wait"));
    let mut meter = TreeMeter::open(shell.0.id()).unwrap();
    until("100 ms of use", || (meter.used_ns().unwrap() > 100_000_000).then_some(()));
}

#[test]
fn the_total_does_not_fall_when_processes_end() {
    let shell = Shell::run(
        "for i in 1 2 3; do sh -c 'i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done'; done; read line; :",
    );
    let mut meter = TreeMeter::open(shell.0.id()).unwrap();
    let children = format!("/proc/{0}/task/{0}/children", shell.0.id());
    let mut last = 0;
    let mut seen = std::collections::BTreeSet::new();
    until("three children to come and go", || {
        let used = meter.used_ns().unwrap();
        assert!(used >= last, "{used} after {last}");
        last = used;
        let now = fs::read_to_string(&children).unwrap();
        seen.extend(now.split_whitespace().map(str::to_owned));
        (seen.len() >= 3 && now.is_empty()).then_some(())
    });
    assert!(last > 30_000_000, "{last} ns for three loops of 60,000 rounds");
}

#[test]
fn children_too_short_lived_to_be_seen_still_count() {
    let shell =
        Shell::run("i=0; while [ $i -lt 200 ]; do /bin/true; i=$((i+1)); done; read line; :");
    let mut meter = TreeMeter::open(shell.0.id()).unwrap();
    let waits = || fs::read_to_string(format!("/proc/{}/wchan", shell.0.id())).unwrap();
    until("the shell to wait for input", || waits().contains("pipe").then_some(()));
    let own = {
        let stat = fs::read_to_string(format!("/proc/{}/schedstat", shell.0.id())).unwrap();
        stat.split(' ').next().unwrap().parse::<u64>().unwrap()
    };
    let used = meter.used_ns().unwrap();
    assert!(used > own + 20_000_000, "{used} ns, of which {own} ns are the shell's own");
}

#[test]
fn a_descendant_that_lost_its_parent_stays_in_the_tree() {
    let script =
        "sh -c '(timeout 2 sh -c \"while :; do :; done\") & sleep 0.3' & wait; read line; :";
    let shell = Shell::run(script);
    let mut meter = TreeMeter::open(shell.0.id()).unwrap();
    let children = format!("/proc/{0}/task/{0}/children", shell.0.id());
    until("a child", || (!fs::read_to_string(&children).unwrap().is_empty()).then_some(()));
    until("its end", || {
        meter.used_ns().unwrap();
        fs::read_to_string(&children).unwrap().is_empty().then_some(())
    });
    let before = meter.used_ns().unwrap();
    until("more use", || (meter.used_ns().unwrap() > before + 50_000_000).then_some(()));
}

#[test]
fn a_tree_that_has_ended_is_an_error_and_not_zero() {
    let mut shell = Shell::run("read line; :");
    let mut meter = TreeMeter::open(shell.0.id()).unwrap();
    assert!(meter.used_ns().is_ok());
    drop(shell.0.stdin.take());
    shell.0.wait().unwrap();
    assert!(matches!(meter.used_ns(), Err(CgroupError::Ended { .. })));
    assert!(matches!(TreeMeter::open(shell.0.id()), Err(CgroupError::Ended { .. })));
}

#[test]
fn a_group_of_this_machine_counts_and_is_gone_when_removed() {
    let mount = std::path::Path::new(Hierarchies::USUAL_MOUNT);
    let parent = Hierarchies::at(mount).ok().and_then(|found| found.unified);
    let name = format!("flyball-cgroup-test-{}", std::process::id());
    let directory = parent.map(|root| root.join(name)).filter(|dir| fs::create_dir(dir).is_ok());
    let Some(directory) = directory else {
        assert!(!rustix::process::geteuid().is_root(), "root can make no group of cgroup v2");
        return;
    };
    let meter = GroupMeter::open(&Group::unified(directory.clone())).unwrap();
    assert_eq!(meter.used_ns().unwrap(), 0);
    let mut shell = Shell::run(&format!("read line; exec {BURN}"));
    fs::write(directory.join("cgroup.procs"), shell.0.id().to_string()).unwrap();
    let found = Group::of_process(&Hierarchies::at(mount).unwrap(), shell.0.id(), None).unwrap();
    assert_eq!(found, Group::unified(directory.clone()));
    drop(shell.0.stdin.take());
    until("50 ms of use", || (meter.used_ns().unwrap() > 50_000_000).then_some(()));
    fs::write(directory.join("cgroup.kill"), "1").unwrap();
    shell.0.wait().unwrap();
    until("the removal of the group", || fs::remove_dir(&directory).ok());
    assert!(meter.used_ns().unwrap_err().is_gone());
}
