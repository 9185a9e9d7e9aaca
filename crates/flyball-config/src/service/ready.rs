//! When a replica counts as ready: the `ready` of a service, a word or a table.

use crate::reader::{
    ConfigError, FLAG, Form, HTTP_PATH, Key, Keys, Kind, Node, Read, Syntax, TableReader, Value,
    section,
};

section! {
    /// Set exactly one of these keys.
    ReadyKeys "services.NAME.ready" {
        /// A replica is ready once `GET` of this path returns a status below 400.
        http: Option<String> = HTTP_PATH, optional "not probed", label Always;
        /// `true`: a replica is ready once it accepts a connection. At a published port, Docker
        /// accepts connections before the replica does.
        tcp: Option<bool> = FLAG, optional "not probed", label Always;
    }
}

/// When a started replica counts as ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ready {
    /// Once `GET path` is answered.
    Http {
        /// The path; starts with `/`.
        path: String,
        /// Whether any reply counts but one that says that the replica fails
        /// ([`flyball_core::observation::is_failure`]); otherwise only a status below 400.
        any_but_failure: bool,
    },
    /// Once a connection is accepted.
    Tcp,
}

pub(super) const READY: Kind<Ready> =
    Kind { form: Form::WordOrTable(ReadyKeys::SECTION), read: Read::Node(ready) };

fn ready(reader: &mut TableReader<'_>, key: &'static Key, node: Node) -> Option<Ready> {
    let (found, span) = (node.show(), node.span.clone());
    let found = match node.value {
        Value::Text(word) if word == "tcp" => return Some(Ready::Tcp),
        Value::Table(table) => {
            let keys: ReadyKeys = reader.child(key, node.span, table);
            match (keys.http.value?, keys.tcp.value?) {
                (Some(path), None | Some(false)) => {
                    return Some(Ready::Http { path, any_but_failure: false });
                }
                (None, Some(true)) => return Some(Ready::Tcp),
                (Some(_), _) => "a table with two".to_owned(),
                (None, _) => "this table".to_owned(),
            }
        }
        _ => found,
    };
    let instead = match reader.around.syntax {
        Syntax::File => "write ready = { http = \"/healthz\" } or { tcp = true }",
        Syntax::Labels => "write flyball.ready.http=/healthz or flyball.ready=tcp",
    };
    let path = reader.path_of(key.name);
    let fault = ConfigError::not_a(&path, &found, "a table with one probe", instead.to_owned());
    reader.reports.add(fault, &span);
    None
}
