//! What can be wrong with a configuration, and what you can do about it; the place is in `problem`.
//! No error carries the value of a service's variable or of a token.

use std::net::SocketAddr;

use thiserror::Error;

/// One thing that is wrong. `key` is the full path of a key, such as `services.web.min`.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum ConfigError {
    /// There is no such file.
    #[error("there is no such file")]
    FileMissing,
    /// It is a directory.
    #[error("this is a directory, not a file")]
    IsDirectory,
    /// It is a pipe, a socket or a device.
    #[error("this is not a regular file")]
    NotAFile,
    /// It cannot be opened or read.
    #[error("cannot read this file: {why}")]
    Unreadable {
        /// The system's message.
        why: String,
    },
    /// It is larger than [`crate::TEXT_MAX`].
    #[error("this file is larger than 1 MiB")]
    TooLarge,
    /// It is not text.
    #[error("byte 0x{byte:02x} at offset {offset}, in line {line}, is not UTF-8")]
    NotUtf8 {
        /// The first byte that is not.
        byte: u8,
        /// Bytes before it.
        offset: usize,
        /// Its line, from 1.
        line: usize,
    },
    /// It is not TOML.
    #[error("{message}")]
    Syntax {
        /// The parser's message.
        message: String,
    },
    /// It holds no service.
    #[error("no services")]
    NoServices,
    /// A key that does not exist.
    #[error("{key}: unknown key")]
    UnknownKey {
        /// The key.
        key: String,
        /// The key or word that was most likely meant, or all that exist.
        instead: String,
    },
    /// A word that the key does not take.
    #[error("{key}: \"{word}\" is not a valid value")]
    UnknownWord {
        /// The key.
        key: String,
        /// The word.
        word: String,
        /// The key or word that was most likely meant, or all that exist.
        instead: String,
    },
    /// A value of the wrong type or form.
    #[error("{key}: {found} is not {wanted}")]
    NotA {
        /// The key.
        key: String,
        /// The value, or what kind of value it is.
        found: String,
        /// What the key takes.
        wanted: String,
        /// What to write.
        instead: Option<String>,
    },
    /// A value outside what is possible.
    #[error("{key}: {found} is out of range")]
    OutOfRange {
        /// The key.
        key: String,
        /// The value.
        found: String,
        /// What it must be: "at least 1".
        limit: String,
    },
    /// A value that contradicts another.
    #[error("{key}: {found} is {relation} {other} = {other_value}")]
    Contradicts {
        /// The key.
        key: String,
        /// Its value.
        found: String,
        /// How they are related: "more than".
        relation: &'static str,
        /// The other key's last part.
        other: &'static str,
        /// The other key's value.
        other_value: String,
        /// What to do.
        instead: &'static str,
    },
    /// A key that must be there and is not.
    #[error("{key}: missing")]
    Missing {
        /// The key.
        key: String,
        /// What to write.
        instead: String,
    },
    /// A minimum of 0 where no balancer sees the request that would wake the service.
    #[error("{key}: 0 requires a balancer")]
    ZeroWithoutBalancer {
        /// The key.
        key: String,
    },
    /// A key that has no effect because of another.
    #[error("{key} has no effect with {beside}")]
    Useless {
        /// The key.
        key: String,
        /// The other key and its value.
        beside: String,
        /// What to do.
        instead: String,
    },
    /// A label for a key that only the operator may set.
    #[error("{key}: labels may not set this key")]
    NotByLabel {
        /// The label.
        key: String,
        /// What to do.
        instead: String,
    },
    /// A label that asks for more than labels may.
    #[error("{key}: {found} is more than labels may set ({most})")]
    MoreThanALabelMay {
        /// The label.
        key: String,
        /// Its value.
        found: String,
        /// The most that it may set.
        most: String,
        /// What to do.
        instead: String,
    },
    /// A service name that cannot be used everywhere.
    #[error("{key}: invalid service name")]
    BadName {
        /// The service, or the label that names it.
        key: String,
    },
    /// Two things listen at the same address.
    #[error("{key}: {address} is already used by {other}")]
    AddressTaken {
        /// The key.
        key: String,
        /// The address.
        address: SocketAddr,
        /// The key that has it, with its address if that is written in another way.
        other: String,
    },
    /// Two services have something that only one can have.
    #[error("{key}: {found} is already used by {other}")]
    Reservations {
        /// The key.
        key: String,
        /// Its value.
        found: String,
        /// Who has it.
        other: String,
    },
    /// The API can be reached from other machines and no token protects it.
    #[error("{key}: {address} can be reached from other machines, but token_file is not set")]
    TokenNeeded {
        /// The key.
        key: String,
        /// The address.
        address: SocketAddr,
    },
    /// The token cannot be used.
    #[error("{key}: {path} {why}")]
    BadToken {
        /// The key.
        key: String,
        /// The file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// There is no default state directory.
    #[error("{key}: missing, and neither HOME nor XDG_STATE_HOME gives a default")]
    NoStateDir {
        /// The key.
        key: String,
    },
}

/// The smallest file that works.
pub const MINIMAL: &str = r#"[services.web]
engine = "process"
listen = "127.0.0.1:8080"
command = ["./server", "--port", "{port}"]"#;

impl ConfigError {
    /// With its hint as one writes labels: without quotes around values. Lists stay in TOML, which
    /// labels take, too.
    pub(crate) fn in_words_of_labels(mut self) -> Self {
        let hint = match &mut self {
            Self::UnknownKey { instead, .. }
            | Self::UnknownWord { instead, .. }
            | Self::Useless { instead, .. }
            | Self::Missing { instead, .. } => Some(instead),
            Self::NotA { instead, .. } => instead.as_mut(),
            _ => None,
        };
        if let Some(hint) = hint.filter(|hint| !hint.contains('[')) {
            hint.retain(|c| c != '"');
        }
        self
    }

    /// What to do about it; `None` where the message is enough.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::FileMissing => {
                format!("name the file with -c, or write one like this:\n{MINIMAL}")
            }
            Self::NoServices => format!(
                "add [docker] to find services by container labels, or a service like this:\n{MINIMAL}"
            ),
            Self::IsDirectory => {
                "name a file in this directory, such as DIRECTORY/flyball.toml".to_owned()
            }
            Self::NotAFile => "copy it into a regular file first".to_owned(),
            Self::Unreadable { .. } => "make it readable for flyball's user".to_owned(),
            Self::TooLarge => "check that this is the right file".to_owned(),
            Self::NotUtf8 { .. } => "save the file as UTF-8".to_owned(),
            Self::Syntax { .. } => return None,
            Self::NotByLabel { instead, .. }
            | Self::MoreThanALabelMay { instead, .. }
            | Self::UnknownKey { instead, .. }
            | Self::UnknownWord { instead, .. }
            | Self::Useless { instead, .. }
            | Self::Missing { instead, .. } => instead.clone(),
            Self::NotA { instead, .. } => return instead.clone(),
            Self::OutOfRange { limit, .. } => format!("the value must be {limit}"),
            Self::Contradicts { instead, .. } => (*instead).to_owned(),
            Self::ZeroWithoutBalancer { .. } => {
                "write min = 1: without a balancer, no request can wake the service".to_owned()
            }
            Self::BadName { .. } => {
                "use 1 to 63 characters of a-z, 0-9 and -, not starting with -".to_owned()
            }
            Self::AddressTaken { .. } => {
                "give each its own port, or use port 0 for any free port".to_owned()
            }
            Self::Reservations { .. } => "use a different one for each service".to_owned(),
            Self::TokenNeeded { .. } => {
                "listen on 127.0.0.1, or set token_file to a file that holds a secret".to_owned()
            }
            Self::BadToken { .. } => {
                "write a one-line secret into it: head -c 32 /dev/urandom | base64".to_owned()
            }
            Self::NoStateDir { .. } => "set state_dir = \"/var/lib/flyball\"".to_owned(),
        })
    }
}
