//! Selects the configuration file. A file that was named must exist.

use std::path::Path;

use flyball_config::{Config, ConfigErrors, Env};

use crate::cli::ConfigFile;

/// Looked for where none is named.
const USUAL: &str = "flyball.toml";

/// The file that was named, else `flyball.toml` here, else services by the labels of containers.
pub(super) fn configuration(file: &ConfigFile) -> Result<Config, ConfigErrors> {
    let env = Env::of_process();
    match &file.config {
        Some(path) => flyball_config::load(path, &env),
        None if Path::new(USUAL).exists() => flyball_config::load(Path::new(USUAL), &env),
        None => Config::of_labels_only(&env),
    }
}
