//! Requests that neither wake a service nor keep it awake: by their path, or by who sends them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use hyper::Request;
use hyper::header::USER_AGENT;

/// Which requests are ignored.
#[derive(Debug, Default)]
pub(crate) struct IgnoreList {
    paths: Vec<String>,
    /// In lower case.
    agents: Vec<String>,
}

/// One of them, as long as it is served.
pub(crate) struct Ignored(Arc<AtomicU32>);

impl IgnoreList {
    /// What begins with `/` is a path, any other is a part of a `User-Agent`.
    pub(crate) fn new(entries: &[String]) -> Self {
        let (paths, agents): (Vec<&String>, Vec<&String>) =
            entries.iter().partition(|entry| entry.starts_with('/'));
        Self {
            paths: paths.into_iter().cloned().collect(),
            agents: agents.into_iter().map(|agent| agent.to_ascii_lowercase()).collect(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.paths.is_empty() && self.agents.is_empty()
    }

    pub(crate) fn has<B>(&self, request: &Request<B>) -> bool {
        if self.is_empty() {
            return false;
        }
        let path = request.uri().path();
        self.paths.iter().any(|ignored| ignored == path) || self.is_agent(request)
    }

    fn is_agent<B>(&self, request: &Request<B>) -> bool {
        let agent = request.headers().get(USER_AGENT).and_then(|agent| agent.to_str().ok());
        let agent = agent.unwrap_or_default().to_ascii_lowercase();
        self.agents.iter().any(|ignored| agent.contains(ignored.as_str()))
    }
}

impl Ignored {
    /// One more among those that `count` counts, until it is dropped.
    pub(crate) fn new(count: &Arc<AtomicU32>) -> Self {
        count.fetch_add(1, Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Ignored {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_ignored_as_a_whole_and_an_agent_by_a_part_of_its_name() {
        let list = IgnoreList::new(&["/healthz".to_owned(), "UptimeRobot".to_owned()]);
        let request = |path: &str, agent: &str| {
            Request::builder().uri(path).header(USER_AGENT, agent).body(()).unwrap()
        };
        assert!(list.has(&request("/healthz?a=1", "curl")));
        assert!(!list.has(&request("/healthz/x", "curl")));
        assert!(list.has(&request("/", "Mozilla/5.0+(compatible; uptimerobot/2.0)")));
        assert!(!list.has(&Request::new(())));
        assert!(!IgnoreList::default().has(&request("/healthz", "")));
    }
}
