//! The signature that proves that flyball started a container. Anyone can write labels, so
//! `flyball.managed=true` alone proves nothing. The key is in the state directory; flyballs that
//! take over from each other share it.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::Path;

use flyball_file::FileError;
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};

use flyball_core::generation::Generation;

use crate::labels::{GENERATION, REPLICA, SERVICE, SIGNATURE, managed};

const KEY_BYTES: usize = 32;

/// Signs what flyball starts, and knows it again.
pub struct Signer {
    key: hmac::Key,
    /// The key in hexadecimal.
    text: String,
    trusts_marks: bool,
}

impl Signer {
    /// The key in `file`, which is created if missing, readable only by its owner.
    ///
    /// # Errors
    /// The file cannot be read or made, or is none of flyball's.
    pub fn open(file: &Path) -> io::Result<Self> {
        match read(file)? {
            Some(text) => Self::of(&text),
            None => {
                let signer = Self::passing()?;
                write(file, &signer.text)?;
                Ok(signer)
            }
        }
    }

    /// The same without creating a missing file, for read-only commands.
    ///
    /// # Errors
    /// As with [`Signer::open`].
    pub fn peek(file: &Path) -> io::Result<Self> {
        read(file)?.map_or_else(Self::passing, |text| Self::of(&text))
    }

    /// A key that is not stored.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn passing() -> io::Result<Self> {
        let mut key = [0; KEY_BYTES];
        let filled = SystemRandom::new().fill(&mut key);
        filled.map_err(|_| io::Error::other("the system provides no random numbers"))?;
        Self::of(&to_hex(&key))
    }

    /// The key of another flyball, as its [`Self::key`] gave it, kept in `file` from now on.
    ///
    /// # Errors
    /// `text` is no key, or the file cannot be written.
    pub fn take_over(text: &str, file: &Path) -> io::Result<Self> {
        let signer = Self::of(text)?;
        write(file, &signer.text)?;
        Ok(signer)
    }

    /// What another flyball must know to recognize the same containers; a secret.
    pub fn key(&self) -> &str {
        &self.text
    }

    /// Whether flyball's plain marks are trusted too, for users who do not keep the key.
    #[must_use]
    pub fn trusting_marks(self, trusts_marks: bool) -> Self {
        Self { trusts_marks, ..self }
    }

    fn of(text: &str) -> io::Result<Self> {
        let text = text.trim().to_owned();
        let key = from_hex(&text).filter(|key| key.len() == KEY_BYTES);
        let key = key.ok_or_else(|| invalid("it does not hold 64 hexadecimal digits"))?;
        Ok(Self { key: hmac::Key::new(hmac::HMAC_SHA256, &key), text, trusts_marks: false })
    }

    /// The signature for one replica of one service, made as `generation`.
    pub fn sign(&self, service: &str, replica: &str, generation: Option<Generation>) -> String {
        let generation = generation.map(String::from);
        let message = message(service, replica, generation.as_deref());
        to_hex(hmac::sign(&self.key, &message).as_ref())
    }

    /// Whether flyball started the container with these labels.
    pub(crate) fn knows(&self, labels: &HashMap<String, String>) -> bool {
        managed(labels) && (self.trusts_marks || self.is_signed(labels).unwrap_or(false))
    }

    fn is_signed(&self, labels: &HashMap<String, String>) -> Option<bool> {
        let (service, replica) = (labels.get(SERVICE)?, labels.get(REPLICA)?);
        let signature = from_hex(labels.get(SIGNATURE)?)?;
        let generation = labels.get(GENERATION).map(String::as_str);
        let message = message(service, replica, generation);
        Some(hmac::verify(&self.key, &message, &signature).is_ok())
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("trusts_marks", &self.trusts_marks).finish_non_exhaustive()
    }
}

/// The lengths come first, so that no part can run into another. Without a generation it is what
/// flyball signed before there were any.
fn message(service: &str, replica: &str, generation: Option<&str>) -> Vec<u8> {
    let first = service.len();
    match generation {
        None => format!("{first}\n{service}{replica}").into_bytes(),
        Some(generation) => {
            format!("{first} {}\n{service}{replica}{generation}", replica.len()).into_bytes()
        }
    }
}

fn read(file: &Path) -> io::Result<Option<String>> {
    match flyball_file::read_text(file, 4 * KEY_BYTES as u64) {
        Ok(text) => Ok(Some(text)),
        Err(FileError::Missing) => Ok(None),
        Err(FileError::Unreadable(error)) => Err(error),
        Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
    }
}

fn write(file: &Path, text: &str) -> io::Result<()> {
    flyball_file::replace(file, format!("{text}\n").as_bytes()).map_err(io::Error::other)
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_owned())
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|c| c.to_digit(16)).collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2))?;
    digits.chunks(2).map(|two| u8::try_from(two[0] * 16 + two[1]).ok()).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::labels::MANAGED;

    fn signed(signer: &Signer, service: &str, replica: &str) -> HashMap<String, String> {
        let signature = signer.sign(service, replica, None);
        let marks = [(SERVICE, service), (REPLICA, replica), (MANAGED, "true")];
        let marks = marks.into_iter().chain([(SIGNATURE, signature.as_str())]);
        marks.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn a_signature_holds_for_its_own_replica_and_its_own_key_alone() {
        let signer = Signer::passing().unwrap();
        let good = signed(&signer, "web", "web-1");
        assert!(signer.knows(&good));
        assert!(!Signer::passing().unwrap().knows(&good));
        for (name, value) in [
            (REPLICA, "web-2"),
            (SERVICE, "api"),
            (SIGNATURE, "00"),
            (SIGNATURE, "no hexadecimal"),
            (SIGNATURE, ""),
            (MANAGED, "false"),
        ] {
            let mut forged = good.clone();
            forged.insert(name.into(), value.into());
            assert!(!signer.knows(&forged), "{name}={value}");
        }
        let moved = signed(&signer, "web-", "1");
        let split = [(SERVICE, "web"), (REPLICA, "-1")];
        let split = split.into_iter().fold(moved, |mut labels, (name, value)| {
            labels.insert(name.into(), value.into());
            labels
        });
        assert!(!signer.knows(&split), "two names may not run into each other");
    }

    #[test]
    fn a_generation_counts_only_as_it_was_signed() {
        let signer = Signer::passing().unwrap();
        let generation = Generation::parse("0123456789ab").unwrap();
        let mut made = signed(&signer, "web", "web-1");
        made.insert(SIGNATURE.into(), signer.sign("web", "web-1", Some(generation)));
        assert!(!signer.knows(&made), "its generation was taken away");
        made.insert(GENERATION.into(), generation.to_string());
        assert!(signer.knows(&made));
        made.insert(GENERATION.into(), "ba9876543210".into());
        assert!(!signer.knows(&made), "its generation is another one");
        let mut plain = signed(&signer, "web", "web-1");
        assert!(signer.knows(&plain));
        plain.insert(GENERATION.into(), generation.to_string());
        assert!(!signer.knows(&plain), "it had none");
    }

    #[test]
    fn plain_marks_count_only_where_the_operator_says_so() {
        let mut forged = signed(&Signer::passing().unwrap(), "web", "web-1");
        forged.remove(SIGNATURE);
        let signer = Signer::passing().unwrap();
        assert!(!signer.knows(&forged));
        let trusting = signer.trusting_marks(true);
        assert!(trusting.knows(&forged));
        forged.remove(MANAGED);
        assert!(!trusting.knows(&forged));
    }

    #[test]
    fn the_next_run_knows_what_this_one_signed_and_the_key_is_nobody_elses_to_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        assert!(Signer::peek(&file).is_ok() && !file.exists());
        let first = Signer::open(&file).unwrap();
        let good = signed(&first, "web", "web-1");
        assert!(Signer::open(&file).unwrap().knows(&good));
        assert!(Signer::peek(&file).unwrap().knows(&good));
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!format!("{first:?}").contains(first.key()));
    }

    #[test]
    fn a_flyball_that_takes_over_knows_what_the_other_one_signed() {
        let folder = tempfile::tempdir().unwrap();
        let first = Signer::passing().unwrap();
        let good = signed(&first, "web", "web-1");
        let file = folder.path().join("key");
        drop(Signer::open(&file).unwrap());
        assert!(Signer::take_over(first.key(), &file).unwrap().knows(&good));
        assert!(Signer::open(&file).unwrap().knows(&good));
        assert!(Signer::take_over("{", &file).is_err());
    }

    #[test]
    fn what_is_no_key_file_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        std::fs::write(&file, "abc").unwrap();
        assert!(Signer::open(&file).is_err());
        std::fs::remove_file(&file).unwrap();
        let made = std::process::Command::new("mkfifo").arg(&file).status().unwrap();
        assert!(made.success() && Signer::open(&file).is_err());
    }
}
