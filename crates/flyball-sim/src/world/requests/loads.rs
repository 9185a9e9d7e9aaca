//! How many requests each replica holds, kept so that the least busy one is found without asking
//! them all: a tree of minima over their places. Next among equals is the first one behind a given
//! place, around. Each node of the tree is the smaller of its two children.

/// Marks a replica that gets no requests.
pub(super) const CLOSED: u32 = u32::MAX;

/// Idle replicas are looked for so far from the given place before the tree is asked: most of the
/// time one of the next few is.
const NEAR: usize = 8;

/// Requests held, by place.
#[derive(Clone, Debug)]
pub(super) struct Loads {
    /// Node 1 is the root, 2n and 2n + 1 are the children of n, and places are the leaves.
    tree: Vec<u32>,
    leaves: usize,
    len: usize,
    open: u32,
}

impl Loads {
    /// Of no replica.
    pub(super) fn new() -> Self {
        Self { tree: vec![CLOSED; 2], leaves: 1, len: 0, open: 0 }
    }

    /// How many places there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// How many replicas are not closed.
    pub(super) fn open(&self) -> u32 {
        self.open
    }

    /// The load at `place`.
    pub(super) fn at(&self, place: usize) -> u32 {
        self.tree[self.leaves + place]
    }

    /// One more place, which is closed.
    pub(super) fn add(&mut self) {
        if self.len == self.leaves {
            let mut grown = Self {
                tree: vec![CLOSED; 4 * self.leaves],
                leaves: 2 * self.leaves,
                len: self.len,
                open: 0,
            };
            (0..self.len).for_each(|place| grown.set(place, self.at(place)));
            *self = grown;
        }
        self.len += 1;
    }

    /// The load at `place` is `load` now.
    pub(super) fn set(&mut self, place: usize, load: u32) {
        let mut node = self.leaves + place;
        let before = std::mem::replace(&mut self.tree[node], load);
        self.open -= u32::from(before != CLOSED);
        self.open += u32::from(load != CLOSED);
        while node > 1 {
            let least = self.tree[node].min(self.tree[node ^ 1]);
            node /= 2;
            if self.tree[node] == least {
                return;
            }
            self.tree[node] = least;
        }
    }

    /// The first of the least busy from `from` on, around; none unless it holds fewer than `limit`.
    pub(super) fn least(&self, from: usize, limit: u32) -> Option<usize> {
        let near = from..self.len.min(from.saturating_add(NEAR));
        if limit > 0
            && let Some(idle) = near.into_iter().find(|place| self.at(*place) == 0)
        {
            return Some(idle);
        }
        let fewest = self.tree[1];
        if fewest >= limit {
            return None;
        }
        self.first(from, fewest).or_else(|| self.first(0, fewest))
    }

    /// The first place from `from` on that holds at most `load`.
    fn first(&self, from: usize, load: u32) -> Option<usize> {
        if from >= self.len {
            return None;
        }
        let mut node = self.leaves + from;
        while self.tree[node] > load {
            // On to what lies right of this node: from a right child that is up first.
            while node % 2 == 1 {
                node /= 2;
                if node == 0 {
                    return None;
                }
            }
            node += 1;
        }
        while node < self.leaves {
            node *= 2;
            node += usize::from(self.tree[node] > load);
        }
        Some(node - self.leaves)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::{Purpose, Seed};
    use crate::world::requests::arrivals::below;

    /// What asking them all gives.
    fn asked(loads: &[u32], from: usize, limit: u32) -> Option<usize> {
        let (before, after) = loads.split_at(from.min(loads.len()));
        let around = (from..).zip(after).chain((0..).zip(before));
        let (mut best, mut fewest) = (None, limit);
        for (place, load) in around {
            if *load < fewest {
                (best, fewest) = (Some(place), *load);
            }
        }
        best
    }

    #[test]
    fn the_tree_finds_whom_asking_all_of_them_finds() {
        let mut chance = Seed(1).stream(Purpose::Faults);
        let mut draw = |end: u64| usize::try_from(below(end, &mut chance)).unwrap();
        let (mut loads, mut list) = (Loads::new(), Vec::new());
        assert_eq!(loads.least(0, 5), None);
        for _ in 0..50_000 {
            if list.is_empty() || draw(500) == 0 {
                loads.add();
                list.push(CLOSED);
            }
            let place = draw(list.len() as u64);
            let load = if draw(4) == 0 { CLOSED } else { u32::try_from(draw(4)).unwrap() };
            loads.set(place, load);
            list[place] = load;
            let (from, limit) = (draw(list.len() as u64 + 2), u32::try_from(draw(5)).unwrap());
            assert_eq!(loads.least(from, limit), asked(&list, from, limit), "{list:?} {from}");
            let open = list.iter().filter(|load| **load != CLOSED).count();
            assert_eq!((loads.open() as usize, loads.len()), (open, list.len()));
        }
    }
}
