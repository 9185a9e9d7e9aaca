//! Which service a request is for that comes to an address of several.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::Request;
use hyper::header::HOST;

use crate::rejection::Rejection;
use crate::shared::{Client, Part};

/// Services by host name, in lower case.
#[derive(Default)]
pub(crate) struct Hosts(Mutex<BTreeMap<String, Part>>);

impl Hosts {
    /// `client` as the service sees it that `request` is for.
    pub(crate) fn client<B>(
        &self,
        client: &Client,
        request: &Request<B>,
    ) -> Result<Arc<Client>, Rejection> {
        let part = host_of(request).and_then(|name| self.lock().get(&name).cloned());
        let Part { shared, phase } = part.ok_or(Rejection::UnknownHost)?;
        Ok(Arc::new(Client {
            shared,
            peer: client.peer.clone(),
            held: client.held.clone(),
            interim: client.interim.clone(),
            phase: phase.subscribe(),
        }))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Part>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name that a request is for, without its port. An absolute target goes before the header.
fn host_of<B>(request: &Request<B>) -> Option<String> {
    let target = request.uri().authority().map(|authority| authority.host().to_owned());
    let header = || {
        let text = request.headers().get(HOST)?.to_str().ok()?;
        Some(text.parse::<hyper::http::uri::Authority>().ok()?.host().to_owned())
    };
    let name = target.or_else(header)?;
    Some(name.trim_end_matches('.').to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_for_the_name_of_its_target_or_of_its_header() {
        let name = |uri: &str, host: Option<&str>| {
            let mut request = Request::builder().uri(uri);
            if let Some(host) = host {
                request = request.header(HOST, host);
            }
            host_of(&request.body(()).unwrap())
        };
        assert_eq!(name("/", Some("Web.Example:8080")).as_deref(), Some("web.example"));
        assert_eq!(name("/", Some("web.example.")).as_deref(), Some("web.example"));
        assert_eq!(name("http://a.example/", Some("b.example")).as_deref(), Some("a.example"));
        assert_eq!(name("/", None), None);
        assert_eq!(name("/", Some("a b")), None);
    }
}
