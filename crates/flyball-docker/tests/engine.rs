//! The engine against a real Docker daemon, which the lab starts and ends.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod lab;
mod rig;

mod alone {
    use super::lab::{IMAGE, Lab};
    use super::rig::*;
    use flyball_core::observation::Phase;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_replica_starts_serves_and_is_removed_when_it_is_stopped() {
        let Some(lab) = Lab::up().await else { return };
        let engine = engine(&lab, image);
        until_listed(&engine).await;
        engine.start(&id(1));
        engine.start(&id(1));
        assert_eq!(phase(&engine, 1), Some(Phase::Starting));
        let address = until_started(&engine, 1).await.address.unwrap();
        assert!(address.ip().is_loopback());
        until_served(address).await;
        engine.set_ready(&id(1));
        let ready = report(&engine, 1).unwrap();
        assert_eq!(ready.phase, Phase::Ready);
        assert!(ready.cpu.is_some() && (ready.cpu_limit_cores - 0.5).abs() < 1e-9);
        engine.stop(&id(1));
        engine.stop(&id(1));
        assert_eq!(phase(&engine, 1), Some(Phase::Stopping));
        until_gone(&engine).await;
        assert_eq!(lab.names().await, Vec::<String>::new());
        assert!(value(&engine).exits.is_empty());
        let _ = IMAGE;
    }
}
