//! Whether a container belongs to a service, and by what right.
//!
//! Replicas, templates for copies and label-defined services all follow this one decision.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::labels::{is_managed, service_in};
use crate::owner::Owner;
use crate::provenance::Provenance;
use crate::signature::Signer;

/// Which containers are replicas of a service beside those that flyball started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Members {
    /// None.
    #[default]
    Started,
    /// All that name the service in a label of their own.
    Adopted,
    /// Those of them that belong to this owner: the service exists because of its labels.
    Owned(Owner),
}

/// With what right a container names a service.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Standing {
    /// Flyball started it, as its signature shows.
    Started(Arc<Provenance>),
    /// Set by the person who ran it.
    Declared(Arc<Provenance>),
    /// Its labels mean nothing, and why.
    Nothing(Why),
}

/// Why the labels of a container mean nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// The name of its service is its image's word.
    Image,
    /// `docker build` made it.
    Building,
    /// It carries flyball's marks without flyball's signature.
    Unsigned,
}

impl Standing {
    /// What `labels` and where they are from come to.
    pub(crate) fn of(
        labels: &HashMap<String, String>,
        provenance: Arc<Provenance>,
        signer: &Signer,
    ) -> Self {
        if signer.knows(labels) {
            Self::Started(provenance)
        } else if is_managed(&provenance.own) {
            Self::Nothing(Why::Unsigned)
        } else if provenance.building {
            Self::Nothing(Why::Building)
        } else if service_in(|name| provenance.own.get(name)).is_some() {
            Self::Declared(provenance)
        } else {
            Self::Nothing(Why::Image)
        }
    }

    pub(crate) fn is_started(&self) -> bool {
        matches!(self, Self::Started(_))
    }

    /// Whom it belongs to; `None` where its labels mean nothing.
    pub(crate) fn owner(&self) -> Option<Owner> {
        match self {
            Self::Started(provenance) | Self::Declared(provenance) => {
                Some(Owner::of(&provenance.own))
            }
            Self::Nothing(_) => None,
        }
    }

    /// The labels that mean something.
    pub(crate) fn labels(&self) -> Option<&BTreeMap<String, String>> {
        match self {
            Self::Started(provenance) | Self::Declared(provenance) => Some(&provenance.own),
            Self::Nothing(_) => None,
        }
    }
}

impl Members {
    /// Whether a container with this standing, which names the service, is a replica of it.
    pub(crate) fn admit(&self, standing: &Standing) -> bool {
        match (self, standing) {
            (_, Standing::Started(_)) => true,
            (_, Standing::Nothing(_)) | (Self::Started, Standing::Declared(_)) => false,
            (Self::Adopted, Standing::Declared(_)) => true,
            (Self::Owned(owner), Standing::Declared(provenance)) => {
                Owner::of(&provenance.own) == *owner
            }
        }
    }
}

impl Why {
    /// As a sentence about a container.
    pub fn says(self) -> &'static str {
        match self {
            Self::Image => {
                "its labels come from its image, and an image may not describe a service \
                 (labels_from_images = true in [docker] allows it)"
            }
            Self::Building => {
                "it was created from a bare image id, as docker build does; run the containers of \
                 a service by image name"
            }
            Self::Unsigned => {
                "its labels say that flyball started it, but this flyball did not sign them. If \
                 the state directory was lost, remove it (docker rm -f), or set trust_marks = true \
                 in [docker]"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labels::{COMPOSE_PROJECT, COMPOSE_SERVICE, MANAGED, REPLICA, SERVICE, SIGNATURE};

    fn labels(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    /// The standing of a container with labels of its own and of its image.
    fn standing(own: &[(&str, &str)], image: &[(&str, &str)], signer: &Signer) -> Standing {
        let provenance = Provenance {
            own: labels(own).into_iter().collect(),
            of_image: image.iter().map(|(name, _)| (*name).to_owned()).collect(),
            ..Provenance::default()
        };
        let mut all = labels(own);
        all.extend(labels(image));
        Standing::of(&all, Arc::new(provenance), signer)
    }

    #[test]
    fn only_what_was_signed_was_started_and_only_whoever_ran_it_declares_a_service() {
        let signer = Signer::passing().unwrap();
        let signature = signer.sign("web", "web-1", None);
        let signed =
            [(SERVICE, "web"), (REPLICA, "web-1"), (MANAGED, "true"), (SIGNATURE, &signature)];
        assert!(standing(&signed, &[], &signer).is_started());
        let forged = standing(&signed[..3], &[], &signer);
        assert_eq!(forged, Standing::Nothing(Why::Unsigned));
        let image = standing(&[], &signed[..3], &signer);
        assert_eq!(image, Standing::Nothing(Why::Image));
        // A mark of the image takes nothing from the labels of the user.
        let declared = standing(&signed[..1], &[(MANAGED, "true")], &signer);
        assert!(matches!(declared, Standing::Declared(_)));
    }

    #[test]
    fn a_service_admits_what_was_started_and_else_only_whom_it_is_for() {
        let signer = Signer::passing().unwrap();
        let compose = |project| {
            let labels = [(SERVICE, "web"), (COMPOSE_PROJECT, project), (COMPOSE_SERVICE, "web")];
            standing(&labels, &[], &signer)
        };
        let shop = Members::Owned(compose("shop").owner().unwrap());
        assert!(shop.admit(&compose("shop")) && !shop.admit(&compose("evil")));
        assert!(!shop.admit(&standing(&[(SERVICE, "web")], &[], &signer)));
        assert!(Members::Adopted.admit(&compose("evil")));
        assert!(!Members::Started.admit(&compose("shop")));
        assert!(!Members::Adopted.admit(&Standing::Nothing(Why::Image)));
    }
}
