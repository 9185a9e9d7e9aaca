//! Serves the page with four services under an invented load, for work on the page.
//! `flyball_core::decide` makes the decisions. Run `cargo run -p flyball-web --example page
//! [ADDRESS]` and end it with Ctrl-C.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use flyball_core::decide::decide;
use flyball_core::decision::Decision;
use flyball_core::memory::Memory;
use flyball_core::observation::{
    Ask, BalancerReport, CpuCounter, EngineReport, Exit, FailureCounts, LatencyReport, Manual,
    Observation, Phase, Reading, ReplicaReport, Route, ServerHealth, ServerReport,
};
use flyball_core::plan::Step;
use flyball_core::policy::{
    Bounds, Governor, Objective, Policy, RolloutPolicy, Rule, StepRule, Timing,
};
use flyball_core::record::{DecisionFilter, Sample};
use flyball_core::units::{ReplicaId, Timestamp};
use flyball_web::{
    AskError, Counters, Daemon, Event, Fault, Feed, LastSeen, LeaderStatus, ManualAsk, ManualView,
    NodeView, Notice, PolicyView, ReloadError, ReloadReport, ReplicaState, ReplicaView, RolloutAsk,
    ServiceView, WebSettings, serve,
};

const LOOK_MS: u64 = 500;
const HISTORY_MS: u64 = 720_000;
/// When the service that goes blind does so.
const BLIND_MS: u64 = HISTORY_MS - 40_000;
const REFUSED: &str =
    "HAProxy takes no server: backend wiki uses balance source, which needs servers in its file";
const START_LAG_MS: u64 = 4_000;
const WORK_S: f64 = 0.031;

/// What goes wrong in a made-up service.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trouble {
    None,
    StartsFail,
    GoesBlind,
    Refused,
}

/// One made-up service.
struct World {
    policy: Policy,
    trouble: Trouble,
    memory: Memory,
    now_ms: u64,
    zero_wall_ms: i64,
    replicas: BTreeMap<ReplicaId, Replica>,
    exits: Vec<Exit>,
    manual: Option<Manual>,
    arrivals: f64,
    waiting: f64,
    samples: Vec<Sample>,
    decisions: Vec<Decision>,
    latest: Option<Decision>,
}

/// One made-up replica.
struct Replica {
    asked_ms: u64,
    routed: bool,
    draining: bool,
    used_s: f64,
    served: f64,
    share: f64,
}

impl World {
    fn new(policy: Policy, trouble: Trouble, zero_wall_ms: i64) -> Self {
        Self {
            policy,
            trouble,
            memory: Memory::default(),
            now_ms: 0,
            zero_wall_ms,
            replicas: BTreeMap::new(),
            exits: Vec::new(),
            manual: None,
            arrivals: 0.0,
            waiting: 0.0,
            samples: Vec::new(),
            decisions: Vec::new(),
            latest: None,
        }
    }

    #[expect(clippy::cast_possible_wrap, reason = "an example runs for hours, not for ages")]
    fn wall_ms(&self, ms: u64) -> i64 {
        self.zero_wall_ms + ms as i64
    }

    fn ready(&self, replica: &Replica) -> bool {
        self.now_ms >= replica.asked_ms + START_LAG_MS
    }

    /// Waves with a burst every three minutes.
    #[expect(clippy::cast_precision_loss, reason = "made-up figures")]
    fn load_per_s(&self) -> f64 {
        let s = self.now_ms as f64 / 1000.0;
        let burst = if (s % 180.0) > 110.0 && (s % 180.0) < 150.0 { 150.0 } else { 0.0 };
        let noise = (s * 7.3).sin() * 6.0 + (s * 2.1).cos() * 5.0;
        (90.0 + 60.0 * (s / 95.0).sin() + burst + noise).max(1.0)
    }

    #[expect(clippy::cast_precision_loss, reason = "made-up figures")]
    fn live(&mut self) {
        let step_s = LOOK_MS as f64 / 1000.0;
        self.now_ms += LOOK_MS;
        let arriving = self.load_per_s() * step_s;
        self.arrivals += arriving;
        let now = self.now_ms;
        let serving: Vec<&mut Replica> = self
            .replicas
            .values_mut()
            .filter(|r| r.routed && now >= r.asked_ms + START_LAG_MS)
            .collect();
        let room = serving.len() as f64 * step_s / WORK_S;
        let done = (arriving + self.waiting).min(room);
        self.waiting = (arriving + self.waiting - done).min(400.0);
        let each = done / (serving.len() as f64).max(1.0);
        for replica in serving {
            replica.served += each;
            replica.used_s += each * WORK_S;
            replica.share = each * WORK_S / step_s;
        }
    }

    fn look(&mut self, feed: &Feed) {
        self.live();
        if self.broken() {
            self.replicas.clear();
        }
        let seen = self.observe();
        let decision = decide(&self.policy, &mut self.memory, &seen);
        self.act(&decision);
        let balancer = seen.balancer.as_ref().and_then(Reading::value);
        let sample = Sample::of(&decision, balancer);
        self.samples.push(sample.clone());
        feed.publish(Event::Sample { service: decision.service.clone(), sample });
        if decision.is_change() {
            self.decisions.push(decision.clone());
            feed.publish(Event::Decision(Box::new(decision.clone())));
        }
        self.latest = Some(decision);
    }

    fn is_blind(&self) -> bool {
        self.trouble == Trouble::GoesBlind && self.now_ms > BLIND_MS
    }

    /// What the engine reported before it fell silent.
    fn last_seen(&self) -> LastSeen {
        let draining = self.replicas.values().filter(|replica| replica.draining).count();
        let starting = self.replicas.values().filter(|replica| !replica.routed).count();
        let count = |replicas: usize| u32::try_from(replicas).unwrap_or(u32::MAX);
        LastSeen {
            wall_ms: self.wall_ms(BLIND_MS),
            ready: count(self.replicas.len() - draining - starting),
            starting: count(starting),
            draining: count(draining),
        }
    }

    fn observe(&self) -> Observation {
        let at = Timestamp::from_ms(self.now_ms);
        let blind = self.is_blind();
        let since = Timestamp::from_ms(BLIND_MS);
        let missing = || "docker does not answer at unix:///var/run/docker.sock".to_owned();
        Observation {
            wall_ms: self.wall_ms(self.now_ms),
            balancer: Some(if blind {
                Reading::Missing { since, why: missing() }
            } else {
                Reading::Taken { at, value: self.balancer(at) }
            }),
            manual: self.manual.clone().filter(|m| m.until.is_none_or(|until| until > at)),
            ..Observation::new(
                at,
                if blind {
                    Reading::Missing { since, why: missing() }
                } else {
                    Reading::Taken { at, value: self.engine(at) }
                },
            )
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "made-up figures, never negative"
    )]
    fn engine(&self, at: Timestamp) -> EngineReport {
        let report = |(id, replica): (&ReplicaId, &Replica)| {
            let ready = self.ready(replica);
            ReplicaReport {
                ready_at: ready.then(|| Timestamp::from_ms(replica.asked_ms + START_LAG_MS)),
                address: ready.then(|| address(id)),
                cpu: ready.then_some(CpuCounter { at, used_ns: (replica.used_s * 1e9) as u64 }),
                ..ReplicaReport::new(
                    id.clone(),
                    if ready { Phase::Ready } else { Phase::Starting },
                    Timestamp::from_ms(replica.asked_ms),
                )
            }
        };
        let replicas = self.replicas.iter().map(report).collect();
        EngineReport { replicas, exits: self.exits.clone(), ..EngineReport::default() }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "made-up figures, never negative"
    )]
    fn balancer(&self, at: Timestamp) -> BalancerReport {
        let server = |replica: &Replica| ServerReport {
            route: if replica.draining { Route::Draining } else { Route::Routed },
            in_flight: (replica.share * 3.0).round() as u32,
            served: replica.served as u64,
            first_served_at: (replica.served >= 1.0)
                .then_some(Timestamp::from_ms(replica.asked_ms + START_LAG_MS + 40).min(at)),
            health: ServerHealth::Up,
        };
        let routed = self.replicas.iter().filter(|(_, r)| r.routed);
        let p50_ms = 31.0 + self.waiting * 1.5;
        BalancerReport {
            epoch: 1,
            arrivals: self.arrivals as u64,
            errors: 0,
            failures: FailureCounts::default(),
            waiting: self.waiting as u32,
            servers: routed.map(|(id, r)| (id.clone(), server(r))).collect(),
            latency: Some(LatencyReport {
                window_ms: 10_000,
                count: 800,
                p50_ms,
                p99_ms: p50_ms * 2.6 + self.load_per_s() * 0.3,
            }),
            late: None,
            trouble: None,
            wakeful: None,
        }
    }

    fn act(&mut self, decision: &Decision) {
        for step in &decision.plan {
            match step {
                Step::Start { replica, .. } => self.start(replica),
                Step::Route { replica, .. } => {
                    if let Some(replica) = self.replicas.get_mut(replica) {
                        (replica.routed, replica.draining) = (true, false);
                    }
                }
                Step::Drain { replica } => {
                    if let Some(replica) = self.replicas.get_mut(replica) {
                        (replica.routed, replica.draining) = (false, true);
                    }
                }
                Step::Stop { replica, .. } => {
                    self.replicas.remove(replica);
                }
                // The engine shown here keeps no count of its own.
                Step::Scale { .. } => {}
            }
        }
    }

    /// From 90 s before the end of the history on, nothing runs or starts any more.
    fn broken(&self) -> bool {
        self.trouble == Trouble::StartsFail && self.now_ms > HISTORY_MS - 90_000
    }

    fn start(&mut self, id: &ReplicaId) {
        if self.broken() {
            self.exits.drain(..self.exits.len().saturating_sub(19));
            let at = Timestamp::from_ms(self.now_ms);
            let reason = "exit status 1: cannot bind 10.0.0.7:8080".to_owned();
            self.exits.push(Exit { replica: id.clone(), at, ready_ms: None, reason });
            return;
        }
        let asked_ms = self.now_ms;
        let new = Replica {
            asked_ms,
            routed: false,
            draining: false,
            used_s: 0.0,
            served: 0.0,
            share: 0.0,
        };
        self.replicas.insert(id.clone(), new);
    }

    fn view(&self) -> ServiceView {
        ServiceView {
            name: self.policy.service.clone(),
            engine: "process".to_owned(),
            balancer: "proxy".to_owned(),
            address: Some("http://127.0.0.1:8080".to_owned()),
            bounds: self.policy.bounds,
            policy: PolicyView::of(&self.policy),
            now_wall_ms: self.wall_ms(self.now_ms),
            decision: self.latest.clone(),
            held: None,
            last_seen: self.is_blind().then(|| self.last_seen()),
            replicas: self.replicas.iter().map(|(id, r)| self.replica(id, r)).collect(),
            error_limit: 0.01,
            nodes: self.nodes(),
            manual: self.manual.as_ref().map(|manual| ManualView {
                ask: manual.ask,
                until_wall_ms: manual.until.map(|until| self.wall_ms(until.as_ms())),
                by: manual.by.clone(),
            }),
            rollout: None,
            deploy: None,
            generations: Vec::new(),
            notices: match self.trouble {
                Trouble::Refused => vec![Notice::trouble(REFUSED)],
                _ => Vec::new(),
            },
            counters: Counters::default(),
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "made-up figures, never negative"
    )]
    fn replica(&self, id: &ReplicaId, replica: &Replica) -> ReplicaView {
        let ready = self.ready(replica);
        let state = match (ready, replica.draining) {
            (_, true) => ReplicaState::Draining,
            (true, false) => ReplicaState::Ready,
            (false, false) => ReplicaState::Starting,
        };
        ReplicaView {
            id: id.to_string(),
            state,
            generation: None,
            reason: None,
            asked_wall_ms: self.wall_ms(replica.asked_ms),
            cpu: ready.then_some(replica.share),
            held_back: None,
            in_flight: ready.then_some((replica.share * 3.0).round() as u32),
            address: ready.then(|| address(id)),
            node: self.spreads().then(|| node(id)),
        }
    }

    fn spreads(&self) -> bool {
        self.trouble == Trouble::None
    }

    /// Three machines, the last of which reports no CPU usage.
    fn nodes(&self) -> Vec<NodeView> {
        let names = ["node-1", "node-2", "node-3"].into_iter().filter(|_| self.spreads());
        let nodes = names.map(|name| NodeView {
            name: name.to_owned(),
            up: true,
            silence: (name == "node-3").then(|| "the agent refuses the token".to_owned()),
            replicas: self
                .replicas
                .keys()
                .filter(|id| node(id) == name)
                .map(ToString::to_string)
                .collect(),
        });
        nodes.collect()
    }
}

fn node(id: &ReplicaId) -> String {
    format!("node-{}", id.number().unwrap_or(0) % 3 + 1)
}

fn address(id: &ReplicaId) -> SocketAddr {
    let port = 20_000 + u16::try_from(id.number().unwrap_or(0) % 20_000).unwrap_or(0);
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// All made-up services.
struct Fair {
    worlds: Mutex<BTreeMap<String, World>>,
    feed: Feed,
}

impl Fair {
    fn with<T>(&self, name: &str, look: impl FnOnce(&mut World) -> T) -> Option<T> {
        self.worlds.lock().unwrap_or_else(PoisonError::into_inner).get_mut(name).map(look)
    }

    fn read<T>(&self, name: &str, look: impl FnOnce(&mut World) -> T) -> Result<T, Fault> {
        self.with(name, look).ok_or_else(|| Fault::UnknownService(name.to_owned()))
    }
}

impl Daemon for Fair {
    fn leader(&self) -> LeaderStatus {
        LeaderStatus::standalone(0)
    }

    fn services(&self) -> Vec<ServiceView> {
        let worlds = self.worlds.lock().unwrap_or_else(PoisonError::into_inner);
        worlds.values().map(World::view).collect()
    }

    fn decisions(&self, name: &str, filter: &DecisionFilter) -> Result<Vec<Decision>, Fault> {
        let within = |d: &&Decision| {
            (filter.from_wall_ms..filter.before_wall_ms).contains(&d.wall_ms)
                && (!filter.moves_only || d.desired != d.signals.committed())
        };
        self.read(name, |world| {
            world
                .decisions
                .iter()
                .rev()
                .filter(within)
                .take(filter.limit as usize)
                .cloned()
                .collect()
        })
    }

    fn feed(&self) -> &Feed {
        &self.feed
    }

    fn decision_at(&self, name: &str, wall_ms: i64) -> Result<Option<Decision>, Fault> {
        self.read(name, |world| {
            world.decisions.iter().rev().find(|d| d.wall_ms <= wall_ms).cloned()
        })
    }

    fn samples(&self, name: &str, from: i64, to: i64, max: usize) -> Result<Vec<Sample>, Fault> {
        self.read(name, |world| {
            let within = |s: &&Sample| (from..to).contains(&s.wall_ms);
            let all: Vec<&Sample> = world.samples.iter().filter(within).collect();
            all.iter().step_by(all.len().div_ceil(max).max(1)).map(|s| (*s).clone()).collect()
        })
    }

    fn roll(&self, name: &str, _: RolloutAsk, _: &str) -> Result<ServiceView, AskError> {
        let what = format!("{name} is made up and has no generations");
        Err(AskError::NotPossible { what, hint: "run a real one".to_owned() })
    }

    fn reload(&self) -> Result<ReloadReport, ReloadError> {
        Err(ReloadError::Unavailable("there is no file".to_owned()))
    }

    fn ask(
        &self,
        name: &str,
        ask: ManualAsk,
        for_ms: Option<u64>,
        by: &str,
    ) -> Result<ServiceView, AskError> {
        let asked = self.with(name, |world| {
            let Bounds { min, max } = world.policy.bounds;
            let current = world.latest.as_ref().map_or(min, |d| d.desired);
            let count = match ask {
                ManualAsk::By(by) => Some(i64::from(current) + i64::from(by)),
                ManualAsk::To(to) => Some(i64::from(to)),
                ManualAsk::Pause | ManualAsk::Resume => None,
            };
            let pin = match count.map(u32::try_from) {
                None => None,
                Some(Ok(count)) if (min..=max).contains(&count) => Some(Ask::Pin(count)),
                Some(_) => {
                    let (service, asked) = (name.to_owned(), count.unwrap_or_default());
                    return Err(AskError::OutsideBounds { service, asked, min, max });
                }
            };
            let until = for_ms.map(|ms| Timestamp::from_ms(world.now_ms).plus_ms(ms));
            world.manual = (ask != ManualAsk::Resume).then(|| Manual {
                ask: pin.unwrap_or(Ask::Pause),
                until,
                by: by.to_owned(),
            });
            Ok(world.view())
        });
        asked.unwrap_or_else(|| Err(AskError::UnknownService(name.to_owned())))
    }
}

fn fair(zero_wall_ms: i64) -> Fair {
    let governor = || {
        Rule::Governor(Governor { objective: Some(Objective::default()), ..Governor::default() })
    };
    let step = StepRule { cooldown_ms: 20_000, cpu_window_ms: 10_000, ..StepRule::default() };
    let kinds = [
        ("web", governor(), Bounds { min: 2, max: 20 }, Trouble::None),
        ("batch", Rule::Step(step), Bounds { min: 1, max: 12 }, Trouble::GoesBlind),
        ("shop", governor(), Bounds { min: 2, max: 8 }, Trouble::StartsFail),
        ("wiki", governor(), Bounds { min: 2, max: 8 }, Trouble::Refused),
    ];
    let timing = Timing { start_lag_prior_ms: START_LAG_MS, ..Timing::default() };
    let feed = Feed::start();
    let worlds = kinds.map(|(name, rule, bounds, trouble)| {
        let policy = Policy {
            service: name.to_owned(),
            bounds,
            rule,
            timing,
            rollout: RolloutPolicy::default(),
            sleep: None,
        };
        let mut world = World::new(policy, trouble, zero_wall_ms);
        while world.now_ms < HISTORY_MS {
            world.look(&feed);
        }
        (name.to_owned(), world)
    });
    Fair { worlds: Mutex::new(BTreeMap::from(worlds)), feed }
}

#[expect(clippy::print_stdout, reason = "it prints where the page is")]
#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let fair = Arc::new(fair(i64::try_from(now.as_millis())? - i64::try_from(HISTORY_MS)?));
    let settings = WebSettings {
        listen: std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".to_owned()),
        token: None,
        read_token: None,
        connections_max: WebSettings::CONNECTIONS_MAX,
        parse_duration_ms: |text| match text {
            "5m" => Ok(300_000),
            "15m" => Ok(900_000),
            "1h" => Ok(3_600_000),
            "8h" => Ok(28_800_000),
            "24h" => Ok(86_400_000),
            _ => Err(format!("\"{text}\" is not a duration")),
        },
    };
    let server = serve(settings, Arc::clone(&fair) as Arc<dyn Daemon>, async {
        let _ = tokio::signal::ctrl_c().await;
    })
    .await?;
    println!("http://{}/", server.address);
    let clock = tokio::spawn(async move {
        let mut tick = tokio::time::interval(Duration::from_millis(LOOK_MS));
        loop {
            tick.tick().await;
            let mut worlds = fair.worlds.lock().unwrap_or_else(PoisonError::into_inner);
            worlds.values_mut().for_each(|world| world.look(&fair.feed));
        }
    });
    server.finished().await;
    clock.abort();
    Ok(())
}
