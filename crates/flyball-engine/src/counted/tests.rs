//! A fake system shows what every counted engine does.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use flyball_core::observation::{EngineCount, Leaving};

use super::*;

/// Changes counts at once, unless it is to fail.
#[derive(Default)]
struct Fake {
    fails: bool,
    /// How many requests it got.
    asked: AtomicU32,
}

#[derive(Clone, Debug, PartialEq)]
struct Away;

impl fmt::Display for Away {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the fake is away")
    }
}

impl Hint for Away {
    fn hint(&self) -> Option<String> {
        None
    }
}

impl CountedSystem for Fake {
    type Settings = &'static str;
    type State = Option<u32>;
    type Connection = ();
    type Error = Away;

    const NAME: &'static str = "the fake";

    fn now(&self) -> Timestamp {
        Timestamp::from_ms(1)
    }

    fn untried() -> Away {
        Away
    }

    fn is_expected(_: &Away) -> bool {
        false
    }

    fn service(settings: &Self::Settings) -> &str {
        settings
    }

    fn wanted(state: &Self::State) -> Option<u32> {
        *state
    }

    fn set_ready(_: &mut Self::State, _: &ReplicaId, _: Timestamp) -> bool {
        true
    }

    fn report(&self, _: &Self::Settings, state: &Self::State, _: Timestamp) -> EngineReport {
        let count = state.map(|wanted| EngineCount { wanted, leaving: Leaving::Chosen });
        EngineReport { count, ..EngineReport::default() }
    }

    async fn scale(
        service: &CountedService<Self>,
        seen: Option<u32>,
        order: Order,
    ) -> Result<(), Away> {
        let system = &service.core.system;
        system.asked.fetch_add(1, Relaxed);
        tokio::task::yield_now().await;
        if system.fails || seen != service.with_state(|state| *state) {
            return Err(Away);
        }
        service.with_state(|state| *state = Some(order.to));
        Ok(())
    }
}

fn service(fails: bool) -> Arc<CountedService<Fake>> {
    Counted::new(Fake { fails, ..Fake::default() }).add("web")
}

fn answer(service: &CountedService<Fake>, count: u32) {
    service.core.heard(&(), Timestamp::from_ms(5));
    service.learn(|state, _| {
        *state = Some(count);
        true
    });
}

fn order(to: u32) -> Order {
    Order { to, leaving: Vec::new() }
}

fn missing(service: &CountedService<Fake>) -> Option<String> {
    match service.observe() {
        Reading::Missing { why, .. } => Some(why),
        Reading::Taken { .. } => None,
    }
}

#[tokio::test]
async fn a_report_is_missing_from_the_loss_until_everything_was_answered_again() {
    let service = service(false);
    assert_eq!(missing(&service).as_deref(), Some("the fake has not been queried yet"));
    answer(&service, 3);
    assert_eq!(missing(&service), None);
    service.core.lost(&Away);
    assert_eq!(missing(&service).as_deref(), Some("the fake is away"));
    assert_eq!(service.core.connection(), Err(Away));
    assert!(service.core.heard(&(), Timestamp::from_ms(6)), "it is back");
    assert_eq!(missing(&service).as_deref(), Some("the fake has not been queried yet"));
    service.learn(|_, _| false);
    assert!(missing(&service).is_some(), "an answer from before an order is none");
    answer(&service, 3);
    assert_eq!(missing(&service), None);
}

#[tokio::test]
async fn the_newest_of_several_orders_is_the_last_and_what_is_so_already_is_not_asked_for() {
    let service = service(false);
    answer(&service, 3);
    service.scale(order(3));
    service.scale(order(4));
    service.scale(order(5));
    service.shutdown().await;
    assert_eq!(service.with_state(|state| *state), Some(5));
    assert_eq!(service.core.system.asked.load(Relaxed), 1, "4 was overtaken before it began");
}

#[tokio::test]
async fn a_failed_order_is_not_tried_again() {
    let service = service(true);
    answer(&service, 3);
    service.scale(order(4));
    service.shutdown().await;
    assert_eq!(service.core.system.asked.load(Relaxed), 1);
    assert_eq!(service.with_state(|state| *state), Some(3));
}

#[tokio::test]
async fn what_differs_in_a_report_is_news_and_what_does_not_is_none() {
    let service = service(false);
    answer(&service, 3);
    service.changed().await;
    answer(&service, 3);
    let quiet = timeout(Duration::from_millis(10), service.changed()).await;
    assert!(quiet.is_err(), "the same again");
    answer(&service, 4);
    service.changed().await;
}

#[tokio::test]
async fn services_without_an_engine_are_forgotten() {
    let first = service(false);
    let core = Arc::clone(&first.core);
    let second = core.add("other");
    drop(first);
    let names: Vec<_> = core.services().iter().map(|service| service.settings).collect();
    assert_eq!(names, ["other"]);
    drop(second);
    assert!(core.services().is_empty());
}
