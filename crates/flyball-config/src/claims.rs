//! What a service wants for itself, as its keys say: `reservations` decides who gets it.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::reader::{Field, Span};

/// What a service wants for itself.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    pub(crate) listen: Option<Claim<SocketAddr>>,
    pub(crate) activator: Option<Claim<SocketAddr>>,
    pub(crate) hosts: Vec<Claim<String>>,
    pub(crate) backend: Option<Claim<String>>,
    pub(crate) file: Option<Claim<PathBuf>>,
}

/// One such thing, with the full path of its key and its place.
#[derive(Debug)]
pub(crate) struct Claim<T> {
    pub(crate) key: String,
    pub(crate) value: T,
    pub(crate) span: Span,
}

impl<T> Claim<T> {
    /// To `value`, which the key of `field` says or implies.
    pub(crate) fn of<F>(field: &Field<F>, value: Option<T>) -> Option<Self> {
        let (key, span) = (field.path.clone(), field.place().clone());
        value.map(|value| Self { key, value, span })
    }
}
