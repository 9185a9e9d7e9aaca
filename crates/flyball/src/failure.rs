//! An error that ends a command: a message in lower case without a full stop, and a hint on its own
//! line.

use std::fmt;
use std::io::Write as _;

use crate::plain;

/// An error for a person to read.
#[derive(Debug)]
pub(crate) struct Failure {
    what: String,
    hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(what: impl fmt::Display) -> Self {
        Self { what: what.to_string(), hint: None }
    }

    pub(crate) fn hinted(what: impl fmt::Display, hint: Option<String>) -> Self {
        Self { what: what.to_string(), hint }
    }

    /// Why `service` cannot be run.
    pub(crate) fn of_service(
        service: &str,
        error: &impl fmt::Display,
        hint: Option<String>,
    ) -> Self {
        Self::hinted(format!("service {service}: {error}"), hint)
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What is wrong, without what can be done about it.
    pub(crate) fn what(&self) -> &str {
        &self.what
    }

    /// What can be done about it.
    pub(crate) fn way_out(&self) -> Option<String> {
        self.hint.clone()
    }

    /// Writes it to standard error. Nothing can be done if that fails too.
    pub(crate) fn print(&self) {
        let _unwritable = writeln!(std::io::stderr(), "{}", plain::lines(&self.to_string()));
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Errors of the configuration come with their own first word, one for each problem.
        let prefix = if self.what.starts_with("error: ") { "" } else { "error: " };
        write!(f, "{prefix}{}", self.what)?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

/// Errors of our crates that know a hint.
macro_rules! with_hint {
    ($($error:ty),+) => {$(
        impl From<$error> for $crate::failure::Failure {
            fn from(error: $error) -> Self {
                Self::hinted(&error, error.hint())
            }
        }
    )+};
}
pub(crate) use with_hint;

with_hint!(
    flyball_agent::AgentError,
    flyball_agent::PullError,
    flyball_journal::JournalError,
    flyball_web::WebError,
    flyball_zookeeper::ZookeeperError
);

impl From<flyball_config::ConfigErrors> for Failure {
    fn from(errors: flyball_config::ConfigErrors) -> Self {
        Self::new(errors.to_string().trim_end())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(error)
    }
}
