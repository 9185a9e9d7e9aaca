//! The `[flyball]` table: where the daemon listens and keeps its state.
//!
//! Decides whether the API may be reached by others. Invariant: it may only with a token that can
//! be read and is not empty. The token itself is not kept here.

use std::fs::File;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use crate::check;
use crate::fault::Fault;
use crate::fields::{Field, Fields};
use crate::value::Span;
use crate::{Daemon, Env, keys};

/// Where the API is by default: loopback, and a port that nothing else is registered for.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 7878);

/// The largest token file, in bytes.
const TOKEN_MAX: u64 = 4_096;

/// The daemon in `fields`, with paths relative to `base`, and where in the file it says where it
/// listens; `None` if anything was reported.
pub(crate) fn daemon(
    mut fields: Fields<'_>,
    base: &Path,
    env: &Env,
) -> (Option<Daemon>, Option<Span>) {
    let listen = fields.take(&keys::DAEMON_LISTEN, check::address);
    let state_dir = fields.take(&keys::STATE_DIR, check::path);
    let token = fields.take(&keys::TOKEN_FILE, check::path);
    if let Some((path, span)) = token.given()
        && let Err(why) = read_token(&base.join(path))
    {
        let key = fields.path_of(keys::TOKEN_FILE.name);
        let path = base.join(path).display().to_string();
        fields.report(Fault::BadToken { key, path, why }, span);
    }
    if let Some((address, span)) = listen.given()
        && !address.ip().to_canonical().is_loopback()
        && matches!(token, Field::Absent)
    {
        let key = fields.path_of(keys::DAEMON_LISTEN.name);
        fields.report(Fault::TokenNeeded { key, address: *address }, span);
    }
    let state_dir = match state_dir.optional() {
        Some(None) => {
            let dir = env.state_dir();
            if dir.is_none() {
                let key = fields.path_of(keys::STATE_DIR.name);
                let span = fields.span.clone();
                fields.report(Fault::NoStateDir { key }, &span);
            }
            dir
        }
        given => given.flatten().map(|path| base.join(path)),
    };
    let listen_span = listen.given().map(|(_, span)| span.clone());
    fields.finish();
    let daemon = (|| {
        Some(Daemon {
            listen: listen.or(LISTEN)?,
            state_dir: state_dir?,
            token_file: token.optional()?.map(|path| base.join(path)),
        })
    })();
    (daemon, listen_span)
}

fn read_token(path: &Path) -> Result<(), String> {
    let plain = |error: std::io::Error| format!("cannot be read: {error}");
    if !path.metadata().map_err(plain)?.is_file() {
        return Err("is not a regular file".to_owned());
    }
    let mut token = String::new();
    File::open(path)
        .and_then(|file| file.take(TOKEN_MAX + 1).read_to_string(&mut token))
        .map_err(plain)?;
    if token.trim().is_empty() {
        Err("is empty".to_owned())
    } else if token.len() as u64 > TOKEN_MAX {
        Err(format!("is longer than {TOKEN_MAX} bytes"))
    } else {
        Ok(())
    }
}
