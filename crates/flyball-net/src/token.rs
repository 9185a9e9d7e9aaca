//! The secrets that callers present. A token is never shown. If its file cannot be read again, the
//! last token stays in force.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use flyball_file::FileError;
use subtle::ConstantTimeEq as _;

/// How often a file is checked. A new token takes effect within this time, about as long as a
/// person needs to configure it in the next program.
const REREAD: Duration = Duration::from_secs(2);

/// The largest file that is read: secrets are some dozen bytes.
const BYTES_MAX: u64 = 4_096;

/// Why a file gives no token. The caller names the file.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// It cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// There is nothing in it but white space.
    #[error("it contains no token")]
    Empty,
}

impl From<std::io::Error> for TokenError {
    fn from(error: std::io::Error) -> Self {
        FileError::from(error).into()
    }
}

/// A secret, as it is now. `Debug` does not show it.
#[derive(Clone)]
pub struct Token {
    text: Arc<RwLock<String>>,
    file: Option<PathBuf>,
}

impl Token {
    /// The token in `text`, without the white space around it; `None` if nothing is left.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        let own = || Self { text: Arc::new(RwLock::new(text.to_owned())), file: None };
        (!text.is_empty()).then(own)
    }

    /// The token in the file at `path`, read again whenever it changes once a server has it.
    ///
    /// # Errors
    /// The file cannot be read, or holds nothing but white space.
    pub fn of_file(path: &Path) -> Result<Self, TokenError> {
        let text = read(path)?;
        Ok(Self { text: Arc::new(RwLock::new(text)), file: Some(path.to_owned()) })
    }

    /// The secret itself, to be presented to others. Keep it out of messages.
    pub fn expose(&self) -> String {
        self.text.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Compares in a time that depends on the lengths only.
    pub fn is(&self, presented: &[u8]) -> bool {
        let own = self.text.read().unwrap_or_else(PoisonError::into_inner);
        own.as_bytes().ct_eq(presented).into()
    }

    /// Reads the file again and again; returns at once where there is none. Nobody waits for it.
    pub async fn follow(self) {
        let Some(path) = self.file else { return };
        let mut trouble = String::new();
        loop {
            tokio::time::sleep(REREAD).await;
            let from = path.clone();
            let found = tokio::task::spawn_blocking(move || read(&from)).await;
            match found.unwrap_or_else(|died| Err(std::io::Error::other(died).into())) {
                Ok(text) => {
                    trouble.clear();
                    let mut own = self.text.write().unwrap_or_else(PoisonError::into_inner);
                    if *own != text {
                        tracing::info!("the token in {} has changed", path.display());
                        *own = text;
                    }
                }
                Err(error) if trouble != error.to_string() => {
                    trouble = error.to_string();
                    tracing::warn!(
                        "cannot read {}, its last token stays valid: {error}",
                        path.display()
                    );
                }
                Err(_) => {}
            }
        }
    }
}

fn read(path: &Path) -> Result<String, TokenError> {
    let text = flyball_file::read_text(path, BYTES_MAX)?.trim().to_owned();
    if text.is_empty() { Err(TokenError::Empty) } else { Ok(text) }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_compared_whole_and_never_shown() {
        let token = Token::new(" s3cret\n").unwrap();
        assert!(token.is(b"s3cret"));
        for wrong in ["", "s", "s3cre", "s3cret2", "S3cret"] {
            assert!(!token.is(wrong.as_bytes()), "{wrong}");
        }
        assert!(Token::new(" \n").is_none());
        assert!(!format!("{token:?}").contains("s3cret"));
    }
}
