//! The backup server that takes requests while no replica's server is up. It is no replica's: never
//! adopted, drained or counted.

use crate::change::{Change, What};
use crate::mark;
use crate::settings::Mode;
use crate::stat::{Admin, Snapshot};

use super::order::OrderSettings;

impl OrderSettings {
    /// What brings the backup server there, or away where there is to be none.
    pub(super) fn to_activator(&self, snapshot: &Snapshot) -> Option<Change> {
        // It speaks HTTP. Before servers could be made at run time, it is the configuration's.
        let can_add = snapshot.process.takes_servers();
        let wanted = self.activator.filter(|_| snapshot.backend.mode == Mode::Http);
        let what = match (wanted, snapshot.servers.get(mark::ACTIVATOR)) {
            (None, None) => None,
            (None, Some(_)) => can_add.then_some(What::Delete),
            (Some(address), None) => can_add.then_some(What::AddBackup(address)),
            (Some(address), Some(server)) if server.address != Some(address) => {
                Some(What::Move(address))
            }
            (Some(_), Some(server)) => (server.admin != Admin::Ready).then_some(What::Ready),
        };
        Some(Change { name: mark::ACTIVATOR.to_owned(), what: what? })
    }
}
