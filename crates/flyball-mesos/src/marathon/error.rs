//! Errors between flyball and Marathon. None contains a secret.

use std::path::PathBuf;

use flyball_engine::Hint;

use crate::MesosError;

/// A Marathon, or an app of it, that does not do what is needed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MarathonError {
    /// The address of a Marathon cannot be one.
    #[error("{at:?} is not a host and port of marathon")]
    Address {
        /// As it was written.
        at: String,
    },
    /// Expected while Marathons elect one of them: there is no leader.
    #[error("marathon has no leader")]
    NoLeader,
    /// Expected when leaders change: another one leads.
    #[error("the leading marathon is {at}")]
    Elsewhere {
        /// The leader's `HOST:PORT`.
        at: String,
    },
    /// Nothing listens there.
    #[error("marathon {at} cannot be reached: {why}")]
    Unreachable {
        /// Where it was looked for.
        at: String,
        /// What the system said.
        why: String,
    },
    /// No answer came in time.
    #[error("marathon {at} did not answer within {limit_ms} ms: {what}")]
    Silent {
        /// Who was asked.
        at: String,
        /// What.
        what: String,
        /// How long it had, in milliseconds.
        limit_ms: u64,
    },
    /// An answer broke off, or was none.
    #[error("marathon {at} gave no usable answer: {what}: {why}")]
    Broken {
        /// Who was asked.
        at: String,
        /// What.
        what: String,
        /// What was wrong with it.
        why: String,
    },
    /// It answered with a refusal.
    #[error("marathon {at} refused: {what}: status {status}: {why}")]
    Refused {
        /// Who was asked.
        at: String,
        /// What.
        what: String,
        /// The HTTP status.
        status: u16,
        /// Its words.
        why: String,
    },
    /// There is no such app.
    #[error("marathon has no app {app}")]
    NoApp {
        /// Its id.
        app: String,
    },
    /// What is called so is a pod, which has other tasks than an app.
    #[error("{app} is a pod: only apps are supported")]
    Pod {
        /// Its id.
        app: String,
    },
    /// Its id cannot be one.
    #[error("service {service}: {app:?} is not an app id")]
    BadId {
        /// Whose.
        service: String,
        /// As it was written.
        app: String,
    },
    /// An external deployment has the app: expected, and the next look sees it.
    #[error("app {app} is left alone: {why}")]
    Locked {
        /// Its id.
        app: String,
        /// By what.
        why: String,
    },
    /// The app was changed externally since it was read: expected, and the next look sees it.
    #[error("app {app} was changed externally in the meantime")]
    Conflict {
        /// Its id.
        app: String,
    },
    /// The file with the credentials cannot be used.
    #[error("cannot use the credentials in {}: {why}", path.display())]
    Credentials {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// There is no tokio runtime to work in.
    #[error("marathon needs a running tokio runtime")]
    NoRuntime,
}

impl MarathonError {
    /// Whether nothing is wrong: the next look decides again.
    pub fn is_expected(&self) -> bool {
        matches!(self, Self::Conflict { .. } | Self::Locked { .. } | Self::Elsewhere { .. })
    }

    /// Whether a change may have been made although this came of it.
    pub(super) fn leaves_doubt(&self) -> bool {
        let late = matches!(self, Self::Refused { status: 502..=504, .. });
        late || matches!(self, Self::Silent { .. } | Self::Broken { .. })
    }
}

impl Hint for MarathonError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Address { .. } => "write url = \"http://HOST:8080\" under [marathon]".into(),
            Self::NoLeader => "check Marathon and ZooKeeper; flyball waits for a leader".into(),
            Self::Unreachable { .. } | Self::Silent { .. } => {
                "is it running there? url under [marathon] sets the address".into()
            }
            Self::Refused { status: 401 | 403, .. } => {
                "set credentials_file or token_file under [marathon]".into()
            }
            Self::NoApp { app } => format!(
                "curl http://HOST:8080/v2/apps lists the ids; create {app}, or set another one \
                 with app = \"/GROUP/NAME\""
            ),
            Self::Pod { .. } => "turn it into an app, or leave it out of flyball".into(),
            Self::BadId { .. } => "write app = \"/GROUP/NAME\", in a-z, 0-9, - and .".into(),
            Self::Credentials { .. } => {
                "put USER:PASSWORD, or for token_file a token, on one line".into()
            }
            Self::Elsewhere { .. }
            | Self::Broken { .. }
            | Self::Refused { .. }
            | Self::Locked { .. }
            | Self::Conflict { .. }
            | Self::NoRuntime => return None,
        })
    }
}

impl From<MesosError> for MarathonError {
    /// What can become of any exchange over HTTP.
    fn from(error: MesosError) -> Self {
        match error {
            MesosError::Unreachable { at, why } => Self::Unreachable { at, why },
            MesosError::Silent { at, what, limit_ms } => Self::Silent { at, what, limit_ms },
            MesosError::Broken { at, what, why } => Self::Broken { at, what, why },
            MesosError::Refused { at, what, status, why } => {
                Self::Refused { at, what, status, why }
            }
            MesosError::Elsewhere { at } => Self::Elsewhere { at },
            other => Self::Unreachable { at: String::new(), why: other.to_string() },
        }
    }
}
