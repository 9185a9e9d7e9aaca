//! A real Zabbix server with its database and frontend: the real program, and real containers
//! behind HAProxy where their CPU is what counts. Everything is on 127.0.0.1 and in one directory,
//! and ends with the test.
#![expect(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, reason = "a test may")]

mod drive;
mod follow;
#[path = "../containers/load.rs"]
#[allow(dead_code, reason = "it is shared, and this uses its own part of it")]
mod load;
mod machine;
mod outage;
mod picture;
mod provision;
mod relay;
mod replica_hosts;
mod stack;
#[path = "../containers/stage.rs"]
#[allow(dead_code, reason = "it is shared, and this uses its own part of it")]
mod stage;
#[path = "../program/support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "it is shared, and this uses its own part of it")]
mod support;

/// Loads the machine with a database, a server and a browser.
mod alone {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::time::Instant;

    use crate::stack::Stack;

    /// One test with one stack, since that takes ten seconds to start. `FLYBALL_OUTAGE_S=180` makes the
    /// outages minutes, `FLYBALL_PICTURES=DIR` keeps the pictures of the guide.
    #[test]
    fn zabbix_is_set_up_sent_everything_and_obeyed() {
        let Some(mut stack) = Stack::up() else { return };
        let mut broken = Vec::new();
        // One promise that is broken does not hide the others.
        let mut check = |promise: &'static str, show: &mut dyn FnMut()| {
            let began = Instant::now();
            if catch_unwind(AssertUnwindSafe(show)).is_err() {
                broken.push(promise);
            }
            println!("{promise}: {:.1} s", began.elapsed().as_secs_f64());
        };
        check("provision", &mut || {
            crate::provision::twice_changes_once_and_remove_leaves_nothing(&stack);
        });
        check("bad addresses", &mut || {
            crate::provision::bad_addresses_are_one_clear_error_each(&stack)
        });
        check("drive", &mut || crate::drive::triggers_move_the_count_and_doubt_does_not(&stack));
        check("hosts of replicas", &mut || {
            crate::replica_hosts::come_and_go_behind_a_proxy(&stack);
        });
        check("outage", &mut || {
            crate::outage::every_sample_arrives_once_whatever_happens_to_zabbix(&mut stack);
        });
        assert!(broken.is_empty(), "broken promises: {broken:?}");
    }
}
