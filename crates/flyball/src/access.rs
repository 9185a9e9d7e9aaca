//! Who can change things without a token, and which secret files are open to others; used by
//! `check` and the log.

use flyball_config::Config;
use flyball_file::may_others_read;

/// What it means that no token is set; `None` where one is.
pub(crate) fn without_token(config: &Config) -> Option<String> {
    if config.daemon.token_file.is_some() {
        return None;
    }
    Some(format!(
        "no token_file is set: every user of this machine can scale and pause services at {}, and \
         so can anyone who reaches it through a proxy that does not identify itself \
         (X-Forwarded-For)",
        config.daemon.listen
    ))
}

/// The keys whose files other users of this machine can read, each with the words for it.
pub(crate) fn open_secrets(config: &Config) -> Vec<(&'static str, String, String)> {
    let open = config.secret_files().into_iter().filter(|(_, path)| may_others_read(path));
    let said = open.map(|(key, path)| {
        let what = format!("every user of this machine can read {}", path.display());
        (key, what, format!("chmod 600 {}", path.display()))
    });
    said.collect()
}

/// Says both at the start.
pub(crate) fn say(config: &Config) {
    for (key, what, remedy) in open_secrets(config) {
        tracing::warn!("{key}: {what}; hint: {remedy}");
    }
    if let Some(what) = without_token(config) {
        tracing::info!("{what}");
    }
}
