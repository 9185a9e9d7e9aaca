//! Measures the cost of the export from a look to the packet. The test fails if anything that was
//! due is left or dropped.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use flyball_core::decide::decide;
use flyball_core::memory::Memory;
use flyball_core::observation::{EngineReport, Observation, Reading};
use flyball_core::policy::{Bounds, Governor, Policy, RolloutPolicy, Rule, Timing};
use flyball_zabbix::{Peer, Sender};
use rustix::time::{ClockId, clock_gettime};

use super::*;

const REPLICAS: u64 = 5_000;
/// Looks, and the time between two: CPU is told at every third, each 6 s.
const LOOKS: u64 = 16;
const LOOK_MS: u64 = 2_000;
const INTERVAL_MS: u64 = 5_000;

mod alone {
    use super::*;

    #[test]
    fn five_thousand_replicas_are_reported_for_less_than_three_percent_of_a_core() {
        let largest = Arc::new(AtomicUsize::new(0));
        let peer = Peer::parse(&trapper(&largest)).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let busy_s = runtime.block_on(report(Sender::new(peer, None).unwrap()));
        #[expect(clippy::cast_precision_loss, reason = "seconds")]
        let share = busy_s / (LOOKS * LOOK_MS) as f64 * 1_000.0;
        let largest = largest.load(Ordering::Relaxed);
        println!("{:.2} % of a core, the largest packet has {largest} bytes", share * 100.0);
        assert!(share < 0.03, "{:.2} % of a core", share * 100.0);
        assert!(largest < 256 * 1024, "a packet of {largest} bytes");
    }
}

/// Reports some looks, one after another without the time in between; gives the CPU time of this
/// thread, which does all of it.
async fn report(sender: Sender) -> f64 {
    let reporter = Reporter::start(sender, || 0);
    let mut exporter = Exporter {
        names: HostNames::prefixed(""),
        interval_ms: INTERVAL_MS,
        replica_hosts: false,
        moments: ValueTimes::default(),
        services: BTreeMap::new(),
    };
    let mut memory = Memory::default();
    let looks: Vec<Looked> = (0..LOOKS).map(|look| seen(look, &mut memory)).collect();
    let began_s = cpu_s();
    for look in &looks {
        exporter.tell(look, &reporter);
        while reporter.standing().waiting > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    let busy_s = cpu_s() - began_s;
    let stands = reporter.standing();
    // Each packet holds a thousand values at most, and CPU is told five times.
    assert!(stands.dropped + stands.given_up == 0 && stands.packets >= 25, "{stands:?}");
    busy_s
}

fn seen(look: u64, memory: &mut Memory) -> Looked {
    let policy = Policy {
        service: "web".into(),
        bounds: Bounds { min: 1, max: 10_000 },
        rule: Rule::Governor(Governor::default()),
        timing: Timing::default(),
        rollout: RolloutPolicy::default(),
        sleep: None,
    };
    let at = Timestamp::from_ms(look * LOOK_MS);
    let replicas = (1..=REPLICAS).map(|number| replica(number, at)).collect();
    let engine = EngineReport { replicas, ..EngineReport::default() };
    let seen = Observation {
        wall_ms: 1_700_000_000_000 + i64::try_from(look * LOOK_MS).unwrap(),
        ..Observation::new(at, Reading::Taken { at, value: engine.clone() })
    };
    let decision = decide(&policy, memory, &seen);
    let sample = Some(Sample::of(&decision, None));
    let share = |r: &ReplicaReport| (r.id.clone(), (memory.busy_share(r), None));
    let shares = engine.replicas.iter().map(share).collect();
    let live = Live {
        nodes: Vec::new(),
        decision,
        engine: Some(engine),
        balancer: None,
        shares,
        draining: std::collections::BTreeSet::new(),
        counters: crate::daemon::counters::LoopCounters::default(),
        latency: None,
        crowded: None,
        held: None,
        refusals: Vec::new(),
    };
    Looked { live: Arc::new(live), sample }
}

fn replica(number: u64, at: Timestamp) -> ReplicaReport {
    let zero = Timestamp::from_ms(0);
    ReplicaReport {
        ready_at: Some(zero),
        cpu: Some(CpuCounter { at, used_ns: at.ms_since(zero) * (200_000 + number) }),
        ..ReplicaReport::new(ReplicaId::numbered("web", number), Phase::Ready, zero)
    }
}

fn cpu_s() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap()).as_secs_f64()
}

/// The address of a trapper that takes everything.
fn trapper(largest: &Arc<AtomicUsize>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, largest) = (listener.local_addr().unwrap(), Arc::clone(largest));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // The reporter may hang up as the test ends.
            largest.fetch_max(take(stream).unwrap_or(0), Ordering::Relaxed);
        }
    });
    address.to_string()
}

/// Takes a packet of any size and says that all of it was processed; gives its size in bytes.
fn take(mut stream: TcpStream) -> std::io::Result<usize> {
    let mut head = [0; 13];
    stream.read_exact(&mut head)?;
    let len = u32::from_le_bytes(head[5..9].try_into().unwrap());
    std::io::copy(&mut (&stream).take(len.into()), &mut std::io::sink())?;
    let answer = br#"{"response":"success","info":"processed: 1; failed: 0; total: 1"}"#;
    let mut frame = b"ZBXD\x01".to_vec();
    frame.extend_from_slice(&u64::try_from(answer.len()).unwrap().to_le_bytes());
    frame.extend_from_slice(answer);
    stream.write_all(&frame)?;
    Ok(head.len() + usize::try_from(len).unwrap())
}
