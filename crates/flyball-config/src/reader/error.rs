//! What can be wrong with a configuration, and what you can do about it; the place is in `problem`.
//! No error carries the value of a service's variable or of a token.

use thiserror::Error;

/// One thing that is wrong.
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
    /// A setting that is wrong, missing or without effect.
    #[error("{key}{wrong}")]
    Setting {
        /// The full path of its key, such as `services.web.min`.
        key: String,
        /// What is wrong with it: `: missing`.
        wrong: String,
        /// What to write.
        instead: Option<String>,
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
    pub(crate) fn setting(key: &str, wrong: &str, instead: impl Into<Option<String>>) -> Self {
        Self::Setting { key: key.to_owned(), wrong: wrong.to_owned(), instead: instead.into() }
    }

    /// A value of the wrong type or form.
    pub(crate) fn not_a(
        key: &str,
        found: &str,
        wanted: &str,
        instead: impl Into<Option<String>>,
    ) -> Self {
        Self::setting(key, &format!(": {found} is not {wanted}"), instead)
    }

    /// A value outside what is possible; `limit` is what it must be: "at least 1".
    pub(crate) fn out_of_range(key: &str, found: &str, limit: &str) -> Self {
        let instead = format!("the value must be {limit}");
        Self::setting(key, &format!(": {found} is out of range"), instead)
    }

    /// A key that has no effect because of another.
    pub(crate) fn useless(key: &str, beside: &str, instead: String) -> Self {
        Self::setting(key, &format!(" has no effect with {beside}"), instead)
    }

    /// A service name that cannot be used everywhere.
    pub(crate) fn bad_name(key: &str) -> Self {
        let instead = "use 1 to 63 characters of a-z, 0-9 and -, not starting with -".to_owned();
        Self::setting(key, ": invalid service name", instead)
    }

    /// With its hint as one writes labels: without quotes around values. Lists stay in TOML, which
    /// labels take, too.
    pub(crate) fn in_words_of_labels(mut self) -> Self {
        if let Self::Setting { instead: Some(hint), .. } = &mut self
            && !hint.contains('[')
        {
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
            Self::Setting { instead, .. } => return instead.clone(),
            Self::NoStateDir { .. } => "set state_dir = \"/var/lib/flyball\"".to_owned(),
        })
    }
}
