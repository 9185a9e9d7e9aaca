//! The `[ha]` table.

use crate::reader::{ZOOKEEPER, duration, section};

section! {
    /// Several flyballs for the same services, of which one is the leader and the others are on
    /// standby. All of them must have the same services and reach the same systems.
    HaKeys "ha" => pub Ha {
        /// The ZooKeeper that elects the leader, and a path on it that nothing else uses:
        /// `zk://HOST:PORT,HOST:PORT/flyball`.
        zookeeper: Ensemble = ZOOKEEPER, required "\"zk://10.0.0.1:2181,10.0.0.2:2181/flyball\"";
        /// How long ZooKeeper waits for a sign of life from the leader. A leader without contact
        /// stops acting after two thirds of that.
        session_ms("session"): u64 = duration(1_000, 60_000), default "\"6s\"";
    }
}

/// Servers of ZooKeeper, and a path on them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ensemble {
    /// `HOST:PORT`, separated by commas; at least one.
    pub servers: String,
    /// Begins with a slash and does not end with one.
    pub path: String,
}
