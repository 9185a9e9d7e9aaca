//! Network plumbing that servers and clients share. It knows no system and no part of flyball.

mod client;
mod clients;
mod connect;
mod server;
mod tls;
mod token;
mod warning_limit;

pub use client::{HeaderLimits, HttpConnection, HttpError, request, whole};
pub use clients::{Clients, Connection, Limits};
pub use connect::{Stream, connect, connect_plain};
pub use server::{HttpServer, ServerSettings};
pub use tls::{Tls, TlsError, TlsSettings};
pub use token::{Token, TokenError};
pub use warning_limit::WarningLimit;
