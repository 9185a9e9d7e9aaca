//! The owner of a label-defined service.
//!
//! Two containers may describe the same service only if their owners are equal.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::labels::{COMPOSE_PROJECT, COMPOSE_SERVICE, OWNER};

/// Whom a container belongs to, by labels that its image does not say.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    /// The owner that its label `flyball.owner` names.
    Named(String),
    /// One service of one Compose project.
    Compose {
        /// The project.
        project: String,
        /// Its service.
        service: String,
    },
    /// Neither is given: a person with access to Docker's socket ran it manually.
    Unnamed,
}

impl Owner {
    /// The owner by `labels`. A name that was given on purpose goes before Compose's, so that two
    /// projects can share a service (blue and green).
    pub(crate) fn of(labels: &BTreeMap<String, String>) -> Self {
        if let Some(name) = labels.get(OWNER).filter(|name| !name.is_empty()) {
            return Self::Named(name.clone());
        }
        match (labels.get(COMPOSE_PROJECT), labels.get(COMPOSE_SERVICE)) {
            (Some(project), Some(service)) => {
                Self::Compose { project: project.clone(), service: service.clone() }
            }
            _ => Self::Unnamed,
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => write!(f, "owner {}", name.escape_debug()),
            Self::Compose { project, service } => {
                let (project, service) = (project.escape_debug(), service.escape_debug());
                write!(f, "service {service} of the Compose project {project}")
            }
            Self::Unnamed => f.write_str("no named owner"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(labels: &[(&str, &str)]) -> Owner {
        Owner::of(&labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
    }

    #[test]
    fn an_owner_is_who_was_named_or_a_compose_service_or_nobody() {
        let compose = [(COMPOSE_PROJECT, "shop"), (COMPOSE_SERVICE, "web")];
        let shop = Owner::Compose { project: "shop".into(), service: "web".into() };
        assert_eq!(of(&compose), shop);
        assert_eq!(of(&compose[..1]), Owner::Unnamed);
        assert_eq!(of(&[compose[0], compose[1], (OWNER, "us")]), Owner::Named("us".into()));
        assert_eq!(of(&[(OWNER, "")]), Owner::Unnamed);
        assert_eq!(shop.to_string(), "service web of the Compose project shop");
    }
}
