//! How masters and agents are reached: TLS and credentials. The secret is in no `Debug`, error or
//! log line; it goes to masters and to the agents that a master names.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flyball_net::{Tls, Token};
use hyper::header::HeaderValue;

/// The same for all of a cluster. The default is plain text and unauthenticated.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// With TLS, whose certificates must name the addresses that are asked; `None`: without.
    pub tls: Option<Tls>,
    /// The principal; `None`: unauthenticated.
    pub credential: Option<Credential>,
}

/// A principal that Mesos knows (`--credentials`), and its secret.
#[derive(Clone, Debug)]
pub struct Credential {
    /// The name, without a colon.
    pub principal: String,
    /// The shared secret. Read again with its file, if that is watched.
    pub secret: Token,
}

impl Access {
    /// The header of HTTP's basic authentication; `None` if unauthenticated.
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
