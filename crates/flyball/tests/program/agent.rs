//! `flyball agent`: told on the command line, asked by a controller, ended by a signal.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::process::{Child, ExitStatus};

use rustix::process::Signal;

use crate::support::{Place, flyball, run, signal, until};

/// An agent that has said where it listens; dead when this is dropped.
struct Agent {
    child: Child,
    address: SocketAddr,
}

impl Agent {
    #[track_caller]
    fn start(place: &Place, words: &[&str]) -> Self {
        let log = place.path().join("agent.log");
        let mut command = flyball([&["agent", "--listen", "127.0.0.1:0"], words].concat());
        let child = command.stderr(File::create(&log).unwrap()).spawn().unwrap();
        let address = until("the agent's address", || {
            let log = fs::read_to_string(&log).unwrap();
            let (_, rest) = log.split_once(" on http://")?;
            rest.split_once("/v1/cpu\n")?.0.parse().ok()
        });
        Self { child, address }
    }

    #[track_caller]
    fn stop(mut self) -> ExitStatus {
        signal(self.child.id(), Signal::TERM);
        until("the agent's end", || self.child.try_wait().unwrap())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have ended already, and then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A machine with pure v2 and so many containers, in files.
fn machine(place: &Place, containers: usize) -> String {
    let mount = place.path().join("cgroup");
    for n in 0..containers {
        let group = mount.join(format!("system.slice/docker-{n:064x}.scope"));
        fs::create_dir_all(&group).unwrap();
        let stat = "usage_usec 1500\nuser_usec 1000\nsystem_usec 500\nnr_periods 9\nnr_throttled 2\nthrottled_usec 70\n";
        fs::write(group.join("cpu.stat"), stat).unwrap();
    }
    fs::write(mount.join("cgroup.controllers"), "cpu\n").unwrap();
    mount.to_str().unwrap().to_owned()
}

#[test]
fn an_agent_answers_whoever_has_its_token_and_ends_in_order() {
    let place = Place::new();
    let mount = machine(&place, 3);
    let token = place.write("token", "s3cret\n");
    let token = token.to_str().unwrap();
    let agent = Agent::start(&place, &["--cgroup-mount", &mount, "--token-file", token]);
    let address = agent.address.to_string();
    let said = run(&mut flyball(["agent", "--check", &address, "--token-file", token]));
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
    assert!(said.out.starts_with(&format!("{address}: 3 containers on ")), "{said:?}");
    let said = run(&mut flyball(["agent", "--check", &address]));
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{said:?}");
    let wanted = format!("error: the agent at {address} refuses the token\nhint: ");
    assert!(said.err.starts_with(&wanted), "{said:?}");
    assert!(agent.stop().success());
    let said = run(&mut flyball(["agent", "--check", &address]));
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("cannot connect to") && said.err.contains("hint: "), "{said:?}");
}

#[test]
fn an_agent_that_would_tell_everybody_or_has_nothing_to_tell_does_not_start() {
    let place = Place::new();
    let mount = machine(&place, 1);
    let empty = place.write("empty", " \n");
    for (words, wanted) in [
        (vec!["--cgroup-mount", &mount], "cannot listen on 0.0.0.0:9810 without a token"),
        (vec!["--token-file", "/nowhere/token"], "cannot read the token in /nowhere/token"),
        (vec!["--token-file", empty.to_str().unwrap()], "it contains no token"),
        (vec!["--listen", "127.0.0.1:0", "--cgroup-mount", "/nowhere"], "no cgroup hierarchy"),
        (vec!["--check", "nonsense"], "\"nonsense\" is not the address of an agent"),
    ] {
        let said = run(&mut flyball([&["agent"], words.as_slice()].concat()));
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{said:?}");
        assert!(said.err.contains(wanted) && said.err.contains("\nhint: "), "{said:?}");
    }
}

/// Measures CPU time.
mod alone {
    use std::fs::{self, File};
    use std::os::unix::fs::FileExt as _;
    use std::path::{Path, PathBuf};
    use std::thread::sleep;
    use std::time::{Duration, Instant};

    use flyball_agent::ask;
    use flyball_cgroup::TreeMeter;
    use rustix::time::{ClockId, clock_gettime};

    use super::{Agent, machine};
    use crate::support::Place;

    const CONTAINERS: usize = 200;
    const LOOKS: u32 = 30;
    const PAUSE: Duration = Duration::from_millis(200);

    /// Real groups of this machine's kernel, removed on drop.
    struct Groups(Vec<PathBuf>);

    impl Groups {
        /// So many in each hierarchy that counts CPU time; `None` where none may be made.
        fn make(count: usize) -> Option<Self> {
            let mount = Path::new("/sys/fs/cgroup");
            let unified = mount.join("cgroup.controllers").exists();
            let hierarchies: &[&str] = if unified { &[""] } else { &["cpuacct", "cpu"] };
            let mut made = Self(Vec::new());
            for hierarchy in hierarchies {
                let parent =
                    mount.join(hierarchy).join(format!("flyball-test-{}", std::process::id()));
                fs::create_dir(&parent).ok()?;
                made.0.push(parent.clone());
                for n in 0..count {
                    let group = parent.join(format!("{:064x}", n + 0xfe57));
                    fs::create_dir(&group).ok()?;
                    made.0.push(group);
                }
            }
            Some(made)
        }

        /// The file of each with its CPU time.
        fn files(&self) -> Vec<PathBuf> {
            let named = ["cpuacct.usage", "cpu.stat"];
            let file = |group: &PathBuf| {
                named.iter().map(|name| group.join(name)).find(|file| file.exists())
            };
            self.0.iter().skip(1).filter_map(file).take(CONTAINERS).collect()
        }
    }

    impl Drop for Groups {
        fn drop(&mut self) {
            for group in self.0.iter().rev() {
                let _ = fs::remove_dir(group);
            }
        }
    }

    /// The CPU time of an agent while it is asked, as a share of one core, and what it told.
    fn share(agent: &Agent, runtime: &tokio::runtime::Runtime) -> (f64, usize) {
        let ask = || runtime.block_on(ask(agent.address, None)).unwrap().containers.len();
        let mut meter = TreeMeter::open(agent.child.id()).unwrap();
        let told = ask();
        let (before, began) = (meter.used_ns().unwrap(), Instant::now());
        for look in 1..=LOOKS {
            sleep((PAUSE * look).saturating_sub(began.elapsed()));
            assert_eq!(ask(), told);
        }
        let used = Duration::from_nanos(meter.used_ns().unwrap() - before);
        (used.as_secs_f64() / began.elapsed().as_secs_f64(), told)
    }

    /// The share of a core that nothing but reading one file of each container takes at this pace.
    fn floor(files: &[PathBuf]) -> f64 {
        let files: Vec<File> = files.iter().map(|file| File::open(file).unwrap()).collect();
        let used = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap();
        let (mut buffer, before, began) = ([0; 4096], used(), Instant::now());
        for look in 1..=LOOKS {
            sleep((PAUSE * look).saturating_sub(began.elapsed()));
            for file in &files {
                assert!(file.read_at(&mut buffer, 0).unwrap() > 0);
            }
        }
        (used() - before).as_secs_f64() / began.elapsed().as_secs_f64()
    }

    /// One hundredth of a core; where the machine takes two fifths of that for reading alone, the
    /// same as a multiple of it.
    #[track_caller]
    fn assert_cheap(what: &str, share: f64, files: &[PathBuf]) {
        let floor = floor(files);
        let [all, reading] = [share, floor].map(|it| it * 100.0);
        println!("{what}: {all:.2} % of a core, {reading:.2} % to read the files once");
        assert_eq!(files.len(), CONTAINERS);
        assert!(share <= (2.5 * floor).max(0.01), "{share} beside {floor}");
    }

    #[test]
    fn two_hundred_containers_at_five_looks_a_second_cost_at_most_one_hundredth_of_a_core() {
        let place = Place::new();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mount = machine(&place, CONTAINERS);
        let agent = Agent::start(&place, &["--cgroup-mount", &mount]);
        let (in_files, told) = share(&agent, &runtime);
        assert_eq!(told, CONTAINERS);
        drop(agent);
        let slice = fs::read_dir(Path::new(&mount).join("system.slice")).unwrap();
        let files: Vec<PathBuf> = slice.map(|it| it.unwrap().path().join("cpu.stat")).collect();
        assert_cheap("v2 layout in files", in_files, &files);
        // Where no groups may be made, the files above are all that can be shown.
        let Some(groups) = Groups::make(CONTAINERS) else { return };
        let agent = Agent::start(&place, &[]);
        let (in_kernel, told) = share(&agent, &runtime);
        assert!(told >= CONTAINERS, "{told}");
        assert_cheap("groups of this kernel", in_kernel, &groups.files());
    }
}
