//! A real Zabbix server with its database and frontend, set up, watched and obeyed as people would.
//!
//! One test with one stack, since that takes ten seconds to start; one file for each promise.
//! Invariant: everything is on 127.0.0.1 and in one directory, and ends with the test.
#![expect(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, reason = "a test may")]

mod drive;
mod follow;
mod outage;
mod picture;
mod provision;
mod relay;
mod stack;
#[path = "../program/support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "it is shared, and this uses its own part of it")]
mod support;

/// Loads the machine with a database, a server and a browser.
mod alone {
    use std::time::Instant;

    use crate::stack::Stack;

    #[test]
    fn zabbix_is_set_up_told_everything_and_obeyed() {
        let Some(mut stack) = Stack::up() else { return };
        let phase = |name: &str, began: Instant| {
            println!("{name}: {:.1} s", began.elapsed().as_secs_f64());
        };
        let began = Instant::now();
        crate::provision::twice_changes_once_and_remove_leaves_nothing(&stack);
        phase("provision", began);
        let began = Instant::now();
        crate::provision::bad_doors_are_one_clear_error_each(&stack);
        phase("bad doors", began);
        let began = Instant::now();
        crate::drive::triggers_move_the_count_and_doubt_does_not(&stack);
        phase("drive", began);
        let began = Instant::now();
        crate::outage::every_sample_arrives_once_whatever_happens_to_zabbix(&mut stack);
        phase("outage", began);
    }
}
