//! How masters and agents are spoken to: with TLS or without, and as whom.
//!
//! Decides nothing. Knows no address. Invariant: the secret is in no `Debug`, no error and no log
//! line; it goes to masters, and to the agents that a master names.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flyball_tls::Tls;
use flyball_token::Token;
use hyper::header::HeaderValue;

/// The same for all of a cluster. The default is in the open and as nobody.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// With TLS, whose certificates must name the addresses that are asked; `None`: without.
    pub tls: Option<Tls>,
    /// As whom; `None`: as nobody.
    pub credential: Option<Credential>,
}

/// Somebody whom Mesos knows (`--credentials`), and what shows it.
#[derive(Clone, Debug)]
pub struct Credential {
    /// The name, without a colon.
    pub principal: String,
    /// What only the two know. Read again with its file, if somebody follows that.
    pub secret: Token,
}

impl Access {
    /// The header of HTTP's basic authentication; `None` as nobody.
    pub(crate) fn authorization(&self) -> Option<HeaderValue> {
        let Credential { principal, secret } = self.credential.as_ref()?;
        let both = BASE64_STANDARD.encode(format!("{principal}:{}", secret.expose()));
        let mut value = HeaderValue::try_from(format!("Basic {both}")).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// As whom.
    pub(crate) fn principal(&self) -> Option<&str> {
        self.credential.as_ref().map(|credential| credential.principal.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_principal_is_shown_with_its_secret_to_mesos_and_to_nobody_else() {
        let secret = Token::new("open sesame").unwrap();
        let credential = Some(Credential { principal: "Aladdin".into(), secret });
        let access = Access { tls: None, credential };
        let header = access.authorization().unwrap();
        assert_eq!(header, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        let shown = format!("{access:?} {header:?}");
        assert!(shown.contains("Aladdin") && !shown.contains("sesame"), "{shown}");
        assert!(!shown.contains("QWxh"), "{shown}");
    }
}
