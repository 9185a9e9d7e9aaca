//! Predicts which tasks Swarm removes when the count is lowered. The order is total, so the
//! prediction is stable. Swarm orders equal tasks at random: in one case in sixty it takes another
//! task, which is then drained while it is being stopped.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::tasks::Task;

/// The tasks of a service, first to go first.
///
/// Swarm sorts slots by whether they are seen running, then by number; counts each as the n-th on its
/// node; and keeps the smallest n. Slots without a node, or with two tasks, go before all others
/// (swarmkit, `manager/orchestrator/replicated/services.go` and `slot.go`).
pub(super) fn predict_removals<'a>(tasks: impl IntoIterator<Item = &'a Task>) -> Vec<&'a Task> {
    let mut tasks: Vec<&Task> = tasks.into_iter().collect();
    let mut in_slot: BTreeMap<u64, usize> = BTreeMap::new();
    for task in &tasks {
        *in_slot.entry(task.slot).or_default() += 1;
    }
    tasks.sort_by_key(|task| (!task.is_running(), task.slot, task.id.clone()));
    let mut on_node: BTreeMap<&str, u64> = BTreeMap::new();
    let mut ranked: Vec<(u64, &Task)> = Vec::with_capacity(tasks.len());
    for task in tasks {
        let alone = in_slot.get(&task.slot).is_none_or(|count| *count == 1);
        let rank = match task.node.as_deref().filter(|_| alone) {
            Some(node) => {
                let rank = on_node.entry(node).or_default();
                *rank += 1;
                *rank
            }
            None => u64::MAX,
        };
        ranked.push((rank, task));
    }
    // The last of the kept order goes first.
    ranked.reverse();
    ranked.sort_by_key(|(rank, _)| Reverse(*rank));
    ranked.into_iter().map(|(_, task)| task).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(tasks: &[(u64, Option<&str>, &str)]) -> Vec<u64> {
        let task = |&(slot, node, state): &(u64, Option<&str>, &str)| Task {
            id: format!("t{slot}"),
            slot,
            node: node.map(str::to_owned),
            state: state.to_owned(),
            desired: "running".to_owned(),
            ..Task::default()
        };
        let tasks: Vec<Task> = tasks.iter().map(task).collect();
        predict_removals(&tasks).into_iter().map(|task| task.slot).collect()
    }

    #[test]
    fn the_fullest_node_loses_its_highest_slots_first() {
        let (a, b) = (Some("a"), Some("b"));
        // a holds slots 1, 2 and 4; b holds 3.
        let tasks = [(1, a, "running"), (2, a, "running"), (3, b, "running"), (4, a, "running")];
        assert_eq!(order(&tasks), [4, 2, 3, 1]);
    }

    #[test]
    fn who_has_no_node_goes_first_and_who_does_not_run_before_who_does() {
        let (a, b) = (Some("a"), Some("b"));
        let tasks =
            [(1, a, "starting"), (2, a, "running"), (3, None, "pending"), (4, b, "running")];
        // On a the running slot 2 counts as the first, slot 1 as the second.
        assert_eq!(order(&tasks), [3, 1, 4, 2]);
    }
}
