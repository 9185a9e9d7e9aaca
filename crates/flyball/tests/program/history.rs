//! Two weeks of twenty services stay quick to look at.

/// Measures time, with a journal of some hundred megabytes.
mod alone {
    use std::path::Path;
    use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

    use rusqlite::{Connection, params};
    use serde_json::Value;

    use crate::support::{Daemon, Place, sample, until};

    const SERVICES: usize = 20;
    const DAY_MS: i64 = 86_400_000;
    /// One decision in ten minutes for each service, every second of which moves the count.
    const DECISIONS: i64 = 14 * 24 * 6;

    fn now_ms() -> i64 {
        i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
    }

    /// Twenty services that have been looked at once, and one of their decisions.
    fn begun(place: &Place) -> Value {
        let daemon = Daemon::start(place);
        let decided = |view: &Value| !view["decision"].is_null();
        until("every service", || {
            let views = daemon.get("/api/v1/services").json();
            let all = views.as_array()?;
            (all.len() == SERVICES && all.iter().all(decided)).then_some(())
        });
        let first = until("a decision", || {
            daemon.get("/api/v1/services/s0/decisions?limit=1").json().get(0).cloned()
        });
        daemon.stop();
        first["decision"].clone()
    }

    /// Writes the past in the order in which it would have been recorded.
    fn fill(journal: &Path, decision: &Value) {
        const FIGURES: &str = "desired, ready, starting, draining, mean_cpu, arrivals_per_s, \
                               waiting, in_flight, p50_ms, p99_ms, errors";
        let mut connection = Connection::open(journal).unwrap();
        let all = connection.transaction().unwrap();
        let minute = now_ms() / 60_000 * 60_000;
        for (table, count, step_ms) in
            [("sample_minute", 14 * 24 * 60, 60_000), ("sample_second", 86_400, 1_000)]
        {
            let sql = format!(
                "WITH RECURSIVE t(n) AS (SELECT ?1 UNION ALL SELECT n - 1 FROM t WHERE n > 1)
                 INSERT OR IGNORE INTO {table} (service, wall_ms, {FIGURES})
                 SELECT s.id, ?2 - n * ?3, 4, 3 + n % 2, 1, 0, 0.5, 90.5, n % 7, 12, 3.5, 41.5, n
                 FROM t CROSS JOIN service s"
            );
            all.execute(&sql, params![count, minute, step_ms]).unwrap();
        }
        let mut insert = all
            .prepare(
                "INSERT INTO decision (service, wall_ms, desired, committed, steps, json)
                 SELECT id, ?1, 4, ?2, 1, ?3 FROM service",
            )
            .unwrap();
        let mut decision = decision.clone();
        for n in (1..=DECISIONS).rev() {
            let wall_ms = minute - n * 600_000;
            decision["wall_ms"] = wall_ms.into();
            insert.execute(params![wall_ms, 3 + n % 2, decision.to_string()]).unwrap();
        }
        drop(insert);
        all.commit().unwrap();
    }

    /// The quickest of five answers: what the machine does besides is not the daemon's doing.
    fn quickest(daemon: &Daemon, path: &str) -> (Duration, usize) {
        let ask = || {
            let begun = Instant::now();
            let answer = daemon.get(path);
            let took = begun.elapsed();
            assert_eq!(answer.status, 200, "{path}: {answer:?}");
            (took, answer.json().as_array().map_or(1, Vec::len))
        };
        (0..5).map(|_| ask()).min().unwrap()
    }

    #[test]
    fn two_weeks_of_twenty_services_are_answered_in_time() {
        let services: String =
            (0..SERVICES).map(|n| sample(&format!("s{n}"), 1.0, 0.1, "")).collect();
        let place = Place::with(&services);
        let decision = begun(&place);
        fill(&place.state().join("journal.db"), &decision);
        let daemon = Daemon::start(&place);
        let now = now_ms();
        let (week, two_weeks) = (now - 7 * DAY_MS, now - 14 * DAY_MS);
        let of = |part: String| format!("/api/v1/services/s7/{part}");
        for (path, limit_ms, least) in [
            ("/api/v1/services".to_owned(), 100, SERVICES),
            (of(format!("samples?from={}&points=600", now - 300_000)), 200, 200),
            (of(format!("samples?from={}&points=600", now - DAY_MS)), 200, 400),
            (of(format!("samples?from={week}&points=600")), 200, 400),
            (of(format!("samples?from={two_weeks}&points=600")), 200, 400),
            (of("decisions?limit=100".to_owned()), 200, 100),
            (of(format!("decisions?from={two_weeks}&limit=500&only=moves")), 200, 500),
            (of(format!("explain?at={week}")), 200, 1),
        ] {
            let (took, count) = quickest(&daemon, &path);
            println!("{took:?}: {count} of {path}");
            assert!(count >= least, "{path}: {count}");
            assert!(took <= Duration::from_millis(limit_ms), "{path} took {took:?}");
        }
    }
}
