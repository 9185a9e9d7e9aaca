//! Monitor Zabbix: exports what flyball sees ([`Sender`]), creates what that needs ([`provision`]),
//! and reads triggers back ([`Api`]). A token is never shown.

mod api;
mod error;
mod frame;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod http;
mod peer;
mod proxies;
mod replica_hosts;
mod reporter;
mod send_queue;
mod sender;
mod setup;
mod triggers;
mod value;
mod version;

pub use api::{Api, ApiSettings, ApiToken};
pub use error::ZabbixError;
pub use flyball_net::TlsSettings;
pub use http::ApiUrl;
pub use peer::Peer;
pub use reporter::{Replica, Reporter, ReporterStatus};
pub use sender::{Counts, PACKET_VALUES_MAX, Sender};
pub use setup::{
    Change, HostSetup, Inspected, Mode, Outcome, Setup, Thresholds, Verb, Webhook, inspect,
    provision, remove,
};
pub use triggers::{Advice, Triggers};
pub use value::{TEXT_MAX, Value, ValueKind, ValueTime, ValueTimes};
pub use version::Version;
