//! The `[flyball]` table. Other machines may reach the API only with a token that can be read and
//! is not empty. The token itself is not kept here.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use crate::address;
use crate::check;
use crate::config_error::ConfigError;
use crate::keys::Key;
use crate::table_reader::{Field, TableReader};
use crate::value::show_path;
use crate::{Daemon, Env, keys};

/// Where the API is by default: loopback, and a port that nothing else is registered for.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 7878);

/// The largest token file, in bytes.
const TOKEN_MAX: u64 = 4_096;

/// The daemon when nothing is said of it; `None` where its state has no place.
pub(crate) fn preset(env: &Env) -> Option<Daemon> {
    Some(Daemon {
        listen: LISTEN,
        state_dir: env.state_dir()?,
        token_file: None,
        read_token_file: None,
    })
}

/// The daemon in `fields`, with paths relative to `base`; `None` if anything was reported.
pub(crate) fn daemon(mut fields: TableReader<'_>, base: &Path, env: &Env) -> Option<Daemon> {
    let listen = fields.take(&keys::DAEMON_LISTEN, address::address);
    let state_dir = fields.take(&keys::STATE_DIR, check::path);
    let token = fields.take(&keys::TOKEN_FILE, check::path);
    let read = fields.take(&keys::READ_TOKEN_FILE, check::path);
    for (key, field) in [(&keys::TOKEN_FILE, &token), (&keys::READ_TOKEN_FILE, &read)] {
        refuse_bad_token(&mut fields, key, field, base);
    }
    if let Some((address, span)) = listen.given()
        && !address.ip().to_canonical().is_loopback()
        && matches!(token, Field::Absent)
    {
        let key = fields.path_of(keys::DAEMON_LISTEN.name);
        fields.report(ConfigError::TokenNeeded { key, address: *address }, span);
    }
    let state_dir = match state_dir.optional() {
        Some(None) => {
            let dir = env.state_dir();
            if dir.is_none() {
                let key = fields.path_of(keys::STATE_DIR.name);
                let span = fields.span.clone();
                fields.report(ConfigError::NoStateDir { key }, &span);
            }
            dir
        }
        given => given.flatten().map(|path| base.join(path)),
    };
    fields.finish();
    Some(Daemon {
        listen: listen.or(LISTEN)?,
        state_dir: state_dir?,
        token_file: token.optional()?.map(|path| base.join(path)),
        read_token_file: read.optional()?.map(|path| base.join(path)),
    })
}

/// Reports a file of `key` that holds no secret.
pub(crate) fn refuse_bad_token(
    fields: &mut TableReader<'_>,
    key: &Key,
    given: &Field<PathBuf>,
    base: &Path,
) {
    if let Some((path, span)) = given.given()
        && let Err(why) = read_token(&base.join(path))
    {
        let key = fields.path_of(key.name);
        let path = show_path(&base.join(path));
        fields.report(ConfigError::BadToken { key, path, why }, span);
    }
}

fn read_token(path: &Path) -> Result<(), String> {
    match flyball_file::read_text(path, TOKEN_MAX) {
        Ok(token) if token.trim().is_empty() => Err("is empty".to_owned()),
        Ok(_) => Ok(()),
        Err(error) => Err(format!("cannot be used: {error}")),
    }
}
