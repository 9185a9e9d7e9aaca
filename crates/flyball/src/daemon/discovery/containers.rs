//! Services defined by container labels. A service is removed only after complete listings showed
//! none of its original containers for a stated time; nothing changes while Docker does not answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use flyball_config::Service;
use flyball_docker::{Discovery, DockerHost, LabelledService, Owner};

use super::Base;
use crate::daemon::engines::docker::{Claims, described};

/// Containers come and go in seconds, so looking more often would find nothing more. What is looked
/// at is the host's own listing: asking the daemon each time cost it over 1 % of a core for 100
/// containers.
pub(super) const INTERVAL: Duration = Duration::from_secs(2);
/// A service whose own containers were missing this many times in a row, 10 s, is gone. A script
/// that removes a container and runs the next one needs a second, on a loaded machine three: half
/// would take its service down in between; twice keeps unwanted replicas for 20 s.
const ABSENCES_MAX: u32 = 5;

/// The services by label that are known, and how often their own containers were missing.
#[derive(Debug, Default)]
struct Register {
    services: BTreeMap<String, Stay>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stay {
    /// Managed; its own containers were missing this many times in a row.
    Kept { absences: u32 },
    /// Not managed: only copies were there, this many times in a row.
    Orphaned { absences: u32 },
    /// Known from an earlier run; nothing of it was there, this many times in a row.
    Awaited { absences: u32 },
    /// Its copies are being removed.
    Drain,
}

/// What one listing shows of services by label.
struct Listed<'a> {
    /// By name, each of the owner that counts.
    claims: &'a BTreeMap<String, LabelledService>,
    /// Services of which it is not known yet what is there.
    unclear: &'a BTreeSet<String>,
    /// Those that have an owner.
    owned: Vec<String>,
}

impl Listed<'_> {
    fn has_own(&self, name: &str) -> bool {
        self.unclear.contains(name) || self.claims.get(name).is_some_and(|claim| claim.own > 0)
    }
}

/// What is over.
#[derive(Debug, Default, PartialEq, Eq)]
struct Over {
    /// Services whose own containers are gone for good.
    gone: Vec<String>,
    /// Services of which nothing came back.
    forgotten: Vec<String>,
}

impl Register {
    /// Takes in one whole listing.
    fn see(&mut self, listed: &Listed<'_>) -> Over {
        for (name, claim) in listed.claims {
            if claim.own == 0 && claim.copies > 0 {
                self.services.entry(name.clone()).or_insert(Stay::Orphaned { absences: 0 });
            }
        }
        for name in listed.owned.iter().filter(|name| !listed.claims.contains_key(*name)) {
            self.services.entry(name.clone()).or_insert(Stay::Awaited { absences: 0 });
        }
        let mut over = Over::default();
        self.services.retain(|name, stay| {
            let there = listed.claims.contains_key(name) || listed.unclear.contains(name);
            match stay {
                Stay::Drain => true,
                Stay::Kept { absences } if listed.has_own(name) => {
                    *absences = 0;
                    true
                }
                // It begins as any other that is found.
                Stay::Orphaned { .. } if listed.has_own(name) => false,
                Stay::Orphaned { .. } if !there => false,
                Stay::Awaited { .. } if there => false,
                Stay::Kept { absences }
                | Stay::Orphaned { absences }
                | Stay::Awaited { absences } => {
                    *absences += 1;
                    if *absences < ABSENCES_MAX {
                        return true;
                    }
                    let awaited = matches!(stay, Stay::Awaited { .. });
                    if awaited { &mut over.forgotten } else { &mut over.gone }.push(name.clone());
                    !awaited
                }
            }
        });
        over
    }
}

/// Keeps the supervisor in step with the labels on a Docker host.
pub(super) struct Containers {
    pub(super) base: Base<Owner>,
    host: Arc<DockerHost>,
    register: Register,
}

impl Containers {
    pub(super) fn new(base: Base<Owner>, host: Arc<DockerHost>) -> Self {
        Self { base, host, register: Register::default() }
    }

    pub(super) async fn look(&mut self) -> Result<(), String> {
        let found = self.host.discovered().await.map_err(|error| error.to_string())?;
        self.keep_up(&found).await;
        Ok(())
    }

    /// Takes in one whole listing.
    async fn keep_up(&mut self, found: &Discovery) {
        self.end_let_go();
        let claims = Claims::of(&self.base.config, found, &self.base.owners);
        for (name, text) in &claims.remarks {
            self.base.said.say(name, text);
        }
        let labels = claims.labels();
        let mut claimed = claims.chosen;
        claimed.retain(|name, _| !self.base.config.services.contains_key(name));
        for (name, claim) in &claimed {
            self.base.owners.bind(name, claim.owner.clone());
        }
        let owned = self.base.owners.services();
        let listed = Listed { claims: &claimed, unclear: &found.unclear, owned };
        let over = self.register.see(&listed);
        for name in over.forgotten {
            self.base.owners.release(&name);
        }
        for name in over.gone {
            self.drain_service(&name, claimed.get(&name)).await;
        }
        for service in self.base.described(&labels).into_values() {
            if let Some(claim) = claimed.get(&service.name) {
                self.look_after(&service, &claim.owner).await;
            }
        }
        self.base.said.end_round(&self.base.supervisor);
    }

    async fn look_after(&mut self, service: &Service, owner: &Owner) {
        let name = &service.name;
        match self.register.services.get(name) {
            Some(Stay::Kept { .. }) => return self.base.follow_labels(service, Some(owner)),
            Some(Stay::Drain) => {
                tracing::info!("{name}: its original containers are back");
                self.base.supervisor.keep(name);
            }
            Some(Stay::Orphaned { .. } | Stay::Awaited { .. }) | None => {
                let found_by = format!("its labels ({owner})");
                if !self.base.begin(service, Some(owner), found_by).await {
                    return;
                }
            }
        }
        self.register.services.insert(name.clone(), Stay::Kept { absences: 0 });
    }

    /// Drains and removes the copies of a service that has no original container any more.
    async fn drain_service(&mut self, name: &str, left: Option<&LabelledService>) {
        if matches!(self.register.services.get(name), Some(Stay::Orphaned { .. })) {
            let Some(claim) = left else { return };
            let labels = [(name.to_owned(), described(claim))].into();
            let described = self.base.config.labelled(&labels);
            if let Some(why) = described.refused.values().next() {
                return self.base.said.say(name, &why.to_string());
            }
            let Some(service) = described.services.get(name) else { return };
            match self.base.supervisor.prepare(service, Some(&claim.owner)).await {
                Ok(ready) => {
                    self.base.supervisor.begin(ready);
                    self.base.begin_to_follow(service);
                }
                Err(failure) => return self.base.said.say(name, &failure.to_string()),
            }
        }
        let copies = left.map_or(0, |claim| claim.copies);
        tracing::info!(
            "{name}: none of its original containers was there for {} s; draining and removing \
             flyball's copies ({copies})",
            ABSENCES_MAX * u32::try_from(INTERVAL.as_secs()).unwrap_or(u32::MAX)
        );
        self.base.supervisor.drain_service(name);
        self.register.services.insert(name.to_owned(), Stay::Drain);
    }

    /// Forgets those of which nothing is left; then their names are anybody's.
    fn end_let_go(&mut self) {
        let (supervisor, owners) = (&self.base.supervisor, &mut self.base.owners);
        self.register.services.retain(|name, stay| {
            let over = *stay == Stay::Drain && supervisor.forget(name);
            if over {
                owners.release(name);
            }
            !over
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(own: usize, copies: usize) -> BTreeMap<String, LabelledService> {
        let claim = LabelledService {
            service: "web".into(),
            owner: Owner::Unnamed,
            container: "shop-web-1".into(),
            labels: BTreeMap::new(),
            of_image: BTreeSet::new(),
            cpus: None,
            memory_bytes: None,
            networks: BTreeSet::new(),
            project: None,
            running: own,
            own,
            copies,
            since_s: None,
        };
        let there = own + copies > 0;
        there.then(|| ("web".to_owned(), claim)).into_iter().collect()
    }

    fn see(register: &mut Register, own: usize, copies: usize, owned: &[&str]) -> Over {
        let owned = owned.iter().map(|name| (*name).to_owned()).collect();
        let unclear = BTreeSet::new();
        register.see(&Listed { claims: &listing(own, copies), unclear: &unclear, owned })
    }

    fn kept() -> Register {
        Register { services: BTreeMap::from([("web".to_owned(), Stay::Kept { absences: 0 })]) }
    }

    /// At which of the listings the service was given up.
    fn gone_at(mut register: Register, own_and_copies: &[(usize, usize)]) -> Option<usize> {
        let mut gone = |(own, copies): &(usize, usize)| {
            !see(&mut register, *own, *copies, &[]).gone.is_empty()
        };
        own_and_copies.iter().position(&mut gone)
    }

    #[test]
    fn a_service_is_let_go_once_its_own_containers_were_missing_for_the_grace() {
        assert_eq!(gone_at(kept(), &[(1, 2), (0, 2), (0, 2), (0, 2), (0, 2), (0, 2)]), Some(5));
        assert_eq!(gone_at(kept(), &[(0, 0); 5]), Some(4));
    }

    #[test]
    fn a_recreated_container_keeps_its_service_and_so_does_a_stopped_one() {
        assert_eq!(gone_at(kept(), &[(0, 2), (0, 2), (0, 2), (0, 2), (1, 2), (0, 2)]), None);
        assert_eq!(gone_at(kept(), &[(1, 0); 20]), None);
    }

    #[test]
    fn copies_that_an_earlier_run_left_go_after_the_grace_and_others_containers_never() {
        assert_eq!(gone_at(Register::default(), &[(0, 2); 5]), Some(4));
        assert_eq!(gone_at(Register::default(), &[(0, 2), (1, 2), (1, 2), (1, 2), (1, 2)]), None);
        let mut register = Register::default();
        assert!((0..20).all(|_| see(&mut register, 0, 0, &[]) == Over::default()));
    }

    #[test]
    fn a_name_that_was_somebodys_is_free_once_nothing_of_it_came_back() {
        let mut register = Register::default();
        let forgotten: Vec<usize> =
            (0..5).map(|_| see(&mut register, 0, 0, &["web"]).forgotten.len()).collect();
        assert_eq!(forgotten, [0, 0, 0, 0, 1]);
        assert!(register.services.is_empty());
        let mut back = Register::default();
        let listings = [(0, 0), (0, 0), (1, 0), (0, 0), (0, 0), (0, 0)];
        let over = listings.map(|(own, copies)| see(&mut back, own, copies, &["web"]).forgotten);
        assert!(over.iter().all(Vec::is_empty));
    }

    #[test]
    fn what_is_not_known_yet_is_no_absence() {
        let mut register = kept();
        let unclear = BTreeSet::from(["web".to_owned()]);
        let listed = Listed { claims: &listing(0, 0), unclear: &unclear, owned: Vec::new() };
        assert!((0..20).all(|_| register.see(&listed) == Over::default()));
    }
}
