//! A replica as a task of an app of Marathon.

use super::ServiceKeys;

/// An app of Marathon whose tasks are the replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarathonApp {
    /// Its id, such as `/shop/web`.
    pub app: String,
    /// The port its tasks serve on inside, or as the app defines it; `None`: the first of its
    /// ports.
    pub port: Option<u16>,
}

pub(super) fn app(keys: &ServiceKeys, name: &str) -> Option<MarathonApp> {
    let app = keys.app.value.clone()?.unwrap_or_else(|| format!("/{name}"));
    Some(MarathonApp { app, port: keys.port.value? })
}
