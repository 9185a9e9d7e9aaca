//! Settings of a Marathon and of one app.
//!
//! An app id is a full path and can never become another request.

use std::path::PathBuf;

use flyball_core::units::Timestamp;
use flyball_net::Tls;
use tokio::sync::watch;

use super::error::MarathonError;
use crate::{Access, Master};

/// How one Marathon is reached.
#[derive(Clone, Debug)]
pub struct MarathonSettings {
    /// Where it is looked for.
    pub places: MarathonPlaces,
    /// With TLS, whose certificates must name the addresses that are asked; `None`: without.
    pub tls: Option<Tls>,
    /// What it is shown; `None`: nothing.
    pub credentials: Option<Credentials>,
    /// The cluster whose agents count CPU usage; `None`: there is none.
    pub mesos: Option<Master>,
    /// How that cluster is spoken to.
    pub mesos_access: Access,
    /// Whether services are also found by the labels of apps.
    pub labels: bool,
    /// What every reading is stamped with.
    pub clock: fn() -> Timestamp,
}

/// Where Marathon is looked for.
#[derive(Clone, Debug)]
pub enum MarathonPlaces {
    /// At these, each a `HOST:PORT`; the next one is asked where one does not answer.
    At(Vec<String>),
    /// At the `HOST:PORT` that others keep up to date; `None` while there is no leader.
    Elected(watch::Receiver<Option<String>>),
}

/// A file with what Marathon is shown; read again for each connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// `USER:PASSWORD` on one line.
    Basic(PathBuf),
    /// A token of DC/OS.
    Token(PathBuf),
}

/// How one app is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppSettings {
    /// The name of the service.
    pub service: String,
    /// The app's id, such as `/shop/web`.
    pub app: String,
    /// The port that a task serves on inside of its container, or as the app defines it; `None`: the
    /// first that it has.
    pub port: Option<u16>,
    /// Whether requests are spread over its tasks, so that each must have an address.
    pub balanced: bool,
    /// Whether the label `flyball.hold=true` is obeyed.
    pub obeys_hold: bool,
}

impl AppSettings {
    /// Checks what can be checked without Marathon.
    ///
    /// # Errors
    /// [`MarathonError::BadId`].
    pub fn validate(&self) -> Result<(), MarathonError> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b);
        let fine =
            |part: &str| !part.is_empty() && !part.starts_with('.') && part.bytes().all(plain);
        let path = self.app.strip_prefix('/');
        if path.is_some_and(|path| path.split('/').all(fine)) {
            return Ok(());
        }
        Err(MarathonError::BadId { service: self.service.clone(), app: self.app.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_is_named_by_its_whole_path() {
        let named = |app: &str| {
            let settings = AppSettings {
                service: "web".into(),
                app: app.into(),
                port: None,
                balanced: true,
                obeys_hold: true,
            };
            settings.validate()
        };
        assert_eq!(named("/web"), Ok(()));
        assert_eq!(named("/shop/web-2.x"), Ok(()));
        for bad in ["", "/", "web", "/shop/", "//web", "/a/../b", "/web?force=true", "/We b"] {
            assert!(named(bad).is_err(), "{bad}");
        }
    }
}
