//! How long a look at many services takes, and how much memory each replica costs. Prints one JSON
//! object. Memory is what the allocator hands out for all memories and last decisions together.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "a benchmark reads the clock and prints"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use flyball_core::decide::decide;
use flyball_core::decision::Decision;
use flyball_core::memory::Memory;
use flyball_core::observation::*;
use flyball_core::policy::*;
use flyball_core::units::{ReplicaId, Timestamp};

const REPLICAS: u64 = 10;
/// Looks before measuring: windows and rings are full then, so memory does not grow any more.
const WARM_UP: u64 = 130;
const MEASURED: usize = 5;

static HELD: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: every call goes to the system's allocator as it is; only sizes are counted beside it.
#[expect(unsafe_code, reason = "an allocator can only be counted from within")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps alloc's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps dealloc's contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Service {
    policy: Policy,
    memory: Memory,
    last: Option<Decision>,
}

/// One thread looks at N services of 10 replicas each, with counters that move: first to warm up,
/// then a few times measured.
fn main() {
    let rows: Vec<serde_json::Value> = [1_000, 10_000, 100_000].map(measure).into();
    let figure = |i: usize, key: &str| rows[i][key].as_f64().unwrap_or(f64::NAN);
    let object = serde_json::json!({
        "bench": "decide",
        "replicas_per_service": REPLICAS,
        "interval_ms": figure(1, "interval_ms"),
        "bytes_per_replica": figure(1, "bytes_per_replica"),
        "growth_1000_to_100000": figure(2, "interval_ms") / figure(0, "interval_ms") / 100.0,
        "runs": rows,
        "conditions": format!("one thread, median of {MEASURED} looks after {WARM_UP} to warm up"),
    });
    println!("{object}");
}

fn measure(count: u64) -> serde_json::Value {
    let before = HELD.load(Ordering::Relaxed);
    let mut services: Vec<Service> = (0..count).map(service).collect();
    // The largest run would warm up for minutes: its rings are as full after fewer, longer looks.
    let warm_up = if count > 10_000 { WARM_UP / 10 } else { WARM_UP };
    for look in 0..warm_up {
        look_at_all(&mut services, look);
    }
    let mut times: Vec<f64> =
        (0..MEASURED).map(|i| look_at_all(&mut services, warm_up + i as u64)).collect();
    times.sort_by(f64::total_cmp);
    let bytes = HELD.load(Ordering::Relaxed) - before;
    serde_json::json!({
        "services": count,
        "interval_ms": times[MEASURED / 2],
        "bytes_per_replica": bytes as f64 / (count * REPLICAS) as f64,
    })
}

fn service(number: u64) -> Service {
    // With an objective, since its terms are the most that a governor can have to work out.
    let objective = Some(Objective::default());
    let policy = Policy {
        service: format!("service-{number}"),
        bounds: Bounds { min: 1, max: 100 },
        rule: Rule::Governor(Governor { objective, ..Governor::default() }),
        timing: Timing::default(),
        rollout: RolloutPolicy::default(),
        sleep: None,
    };
    Service { policy, memory: Memory::default(), last: None }
}

/// Decides for all; milliseconds in `decide` alone, without making the observations.
fn look_at_all(services: &mut [Service], look: u64) -> f64 {
    let mut spent = std::time::Duration::ZERO;
    for (number, service) in services.iter_mut().enumerate() {
        let observation = observe(&service.policy.service, look, number as u64);
        let start = std::time::Instant::now();
        let decision = decide(&service.policy, &mut service.memory, &observation);
        spent += start.elapsed();
        service.last = Some(decision);
    }
    spent.as_secs_f64() * 1000.0
}

fn observe(name: &str, look: u64, number: u64) -> Observation {
    let now = Timestamp::from_ms(1_000 * (look + 100));
    let ids = (1..=REPLICAS).map(|n| ReplicaId::numbered(name, n));
    let replica = |id: ReplicaId| ReplicaReport {
        ready_at: Some(Timestamp::from_ms(500)),
        address: Some(SocketAddr::from(([127, 0, 0, 1], 8080))),
        cpu: Some(CpuCounter { at: now, used_ns: look * 600_000_000 }),
        ..ReplicaReport::new(id, Phase::Ready, Timestamp::from_ms(0))
    };
    let server = |id: ReplicaId| {
        let served = look * (20 + number % 7);
        let first_served_at = Some(Timestamp::from_ms(600));
        let health = ServerHealth::Up;
        (id, ServerReport { route: Route::Routed, in_flight: 2, served, first_served_at, health })
    };
    let replicas = ids.clone().map(replica).collect();
    let servers: BTreeMap<_, _> = ids.map(server).collect();
    let balancer = BalancerReport {
        epoch: 1,
        arrivals: look * (200 + 10 * (number % 7)),
        servers,
        ..BalancerReport::default()
    };
    let engine = EngineReport { replicas, ..EngineReport::default() };
    Observation {
        balancer: Some(Reading::Taken { at: now, value: balancer }),
        ..Observation::new(now, Reading::Taken { at: now, value: engine })
    }
}
