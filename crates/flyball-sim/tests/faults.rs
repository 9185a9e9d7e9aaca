//! A fixed set of seeds: everything may break, nothing happens that must never happen, and once the
//! faults stop every service comes to rest.

#![allow(clippy::print_stdout, reason = "a failing seed prints its story")]

use flyball_sim::world::faults::sweep::{Fall, sweep};

/// Two thousand seeds in four parts, so that they share the cores.
fn stand(seeds: std::ops::Range<u64>) {
    let count = seeds.end - seeds.start;
    let sweep = sweep(seeds, 1);
    let failed: Vec<u64> = sweep.failed.iter().map(|(seed, _)| *seed).collect();
    for (seed, fall) in &sweep.failed {
        let words = match fall {
            Fall::Failed(failed) => failed.to_string(),
            Fall::Crashed => "code panicked".to_owned(),
        };
        println!("seed {seed}: {words}\nagain with: cargo xtask sim --seed {seed}\n");
    }
    assert_eq!(failed, [0; 0], "seeds that did not stand it");
    assert!(sweep.faults > count, "stories without faults show nothing");
    assert!(sweep.settled_looks_max <= 20);
}

#[test]
fn services_stand_faults_and_settle_first_part() {
    stand(0..500);
}

#[test]
fn services_stand_faults_and_settle_second_part() {
    stand(500..1_000);
}

#[test]
fn services_stand_faults_and_settle_third_part() {
    stand(1_000..1_500);
}

#[test]
fn services_stand_faults_and_settle_fourth_part() {
    stand(1_500..2_000);
}
