//! Monitor: Zabbix. What flyball sees goes there, what it needs there is set up by one command,
//! and where a service wants it, Zabbix's triggers are read back.
//!
//! Decides nothing about counts. Does not know where figures come from. Invariant: everything that
//! is waited for has a deadline and everything that is kept has a bound; a token never shows.
//!
//! In reading order: [`Peer`] and [`Sender`] are the way to the server's trapper, [`Api`] the one
//! to its frontend; [`provision`] sets up what flyball has there, [`remove`] takes it away.

mod api;
mod error;
mod frame;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod http;
mod outbox;
mod peer;
mod proxies;
mod replica_hosts;
mod reporter;
mod sender;
mod setup;
mod triggers;
mod value;
mod version;

pub use api::{Api, ApiSettings, ApiToken};
pub use error::ZabbixError;
pub use flyball_tls::TlsSettings;
pub use http::ApiUrl;
pub use peer::Peer;
pub use reporter::{Replica, Reporter, Standing};
pub use sender::{Counts, PACKET_VALUES_MAX, Sender};
pub use setup::{
    Change, HostSetup, Inspected, Mode, Outcome, Setup, Thresholds, Verb, Webhook, inspect,
    provision, remove,
};
pub use triggers::{Advice, Triggers};
pub use value::{Figure, Moment, Moments, TEXT_MAX, Value};
pub use version::Version;
