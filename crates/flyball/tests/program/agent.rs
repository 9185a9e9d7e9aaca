//! `flyball agent`: set up on the command line, asked by a controller, ended by a signal.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::process::{Child, ExitStatus};

use rustix::process::Signal;

use crate::support::{Place, flyball, run, signal, until};

/// An agent that has logged where it listens; dead when this is dropped.
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

/// A machine with pure v2 and `count` containers, in files.
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
fn an_agent_answers_every_client_with_its_token_and_ends_in_order() {
    let place = Place::new();
    let mount = machine(&place, 3);
    let token = place.write("token", "s3cret\n");
    let token = token.to_str().unwrap();
    let agent = Agent::start(&place, &["--cgroup-mount", &mount, "--token-file", token]);
    let address = agent.address.to_string();
    let output = run(&mut flyball(["agent", "--check", &address, "--token-file", token]));
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""), "{output:?}");
    assert!(output.stdout.starts_with(&format!("{address}: 3 containers on ")), "{output:?}");
    let output = run(&mut flyball(["agent", "--check", &address]));
    assert_eq!((output.code, output.stdout.as_str()), (Some(1), ""), "{output:?}");
    let wanted = format!("error: the agent at {address} refuses the token\nhint: ");
    assert!(output.stderr.starts_with(&wanted), "{output:?}");
    assert!(agent.stop().success());
    let output = run(&mut flyball(["agent", "--check", &address]));
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(
        output.stderr.contains("cannot connect to") && output.stderr.contains("hint: "),
        "{output:?}"
    );
}

#[test]
fn an_agent_that_would_answer_everyone_or_has_nothing_to_report_does_not_start() {
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
        let output = run(&mut flyball([&["agent"], words.as_slice()].concat()));
        assert_eq!((output.code, output.stdout.as_str()), (Some(2), ""), "{output:?}");
        assert!(output.stderr.contains(wanted) && output.stderr.contains("\nhint: "), "{output:?}");
    }
}

/// Measures CPU time.
mod alone {
    use std::fs::{self, File};
    use std::os::unix::fs::FileExt as _;
    use std::path::{Path, PathBuf};
    use std::thread::sleep;
    use std::time::{Duration, Instant};

    use flyball_agent::AgentClient;
    use flyball_cgroup::TreeMeter;
    use rustix::time::{ClockId, clock_gettime};
    use tokio::runtime::{Builder, Runtime};

    use super::{Agent, machine};
    use crate::support::Place;

    const CONTAINERS: usize = 200;
    /// A second, within which the agent walks the tree once.
    const LOOKS: u32 = 5;
    const TURNS: u32 = 9;
    const PAUSE: Duration = Duration::from_millis(200);

    /// Real groups of this machine's kernel, removed on drop.
    struct Groups(Vec<PathBuf>);

    impl Groups {
        /// This many in each hierarchy that counts CPU time; `None` where none may be made.
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

    /// Shares of one core.
    struct Cost {
        agent: f64,
        /// Of nothing but reading one file of each container at the same pace.
        floor: f64,
    }

    /// Measures both in turns, a second each, and takes the mean of each over all turns: the speed of
    /// a shared machine changes within seconds, and an agent that met a slow one must not be
    /// compared with a floor that met a fast one. The agent is asked as a controller asks it, on one
    /// connection.
    #[track_caller]
    fn cost(agent: &Agent, runtime: &Runtime, files: &[PathBuf]) -> Cost {
        assert_eq!(files.len(), CONTAINERS);
        let files: Vec<File> = files.iter().map(|file| File::open(file).unwrap()).collect();
        let mut client = runtime.block_on(async { AgentClient::new(agent.address, None) });
        let mut ask = || runtime.block_on(client.ask()).unwrap().containers.len();
        let containers = ask();
        assert!(containers >= CONTAINERS, "{containers}");
        let mut meter = TreeMeter::open(agent.child.id()).unwrap();
        let mut of_agent = || Duration::from_nanos(meter.used_ns().unwrap());
        let of_test = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap();
        let mut mean = Cost { agent: 0.0, floor: 0.0 };
        for _ in 0..TURNS {
            let agent = share(&mut of_agent, || assert_eq!(ask(), containers));
            let floor = share(of_test, || read_once(&files));
            println!("{:.2} % of a core beside {:.2} %", agent * 100.0, floor * 100.0);
            mean.agent += agent / f64::from(TURNS);
            mean.floor += floor / f64::from(TURNS);
        }
        mean
    }

    /// The CPU time that `look` takes at its pace, as a share of one core.
    fn share(mut used: impl FnMut() -> Duration, mut look: impl FnMut()) -> f64 {
        let (before, began) = (used(), Instant::now());
        for n in 1..=LOOKS {
            sleep((PAUSE * n).saturating_sub(began.elapsed()));
            look();
        }
        (used() - before).as_secs_f64() / began.elapsed().as_secs_f64()
    }

    fn read_once(files: &[File]) {
        let mut buffer = [0; 4096];
        for file in files {
            assert!(file.read_at(&mut buffer, 0).unwrap() > 0);
        }
    }

    /// One hundredth of a core; where the machine takes two fifths of that for reading alone, the
    /// same as a multiple of it.
    #[track_caller]
    fn assert_cheap(what: &str, Cost { agent, floor }: Cost) {
        let [all, reading] = [agent, floor].map(|it| it * 100.0);
        println!("{what}: {all:.2} % of a core, {reading:.2} % to read the files once");
        assert!(agent <= (2.5 * floor).max(0.01), "{agent} beside {floor}");
    }

    #[test]
    fn two_hundred_containers_at_five_looks_a_second_cost_at_most_one_hundredth_of_a_core() {
        let place = Place::new();
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let mount = machine(&place, CONTAINERS);
        let slice = fs::read_dir(Path::new(&mount).join("system.slice")).unwrap();
        let files: Vec<PathBuf> = slice.map(|it| it.unwrap().path().join("cpu.stat")).collect();
        let agent = Agent::start(&place, &["--cgroup-mount", &mount]);
        assert_cheap("v2 layout in files", cost(&agent, &runtime, &files));
        drop(agent);
        // Where no groups may be made, the files above are all that can be shown.
        let Some(groups) = Groups::make(CONTAINERS) else { return };
        let agent = Agent::start(&place, &[]);
        assert_cheap("groups of this kernel", cost(&agent, &runtime, &groups.files()));
    }
}
