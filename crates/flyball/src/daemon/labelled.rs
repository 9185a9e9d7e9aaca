//! Whether services may come by labels while flyball runs.

use flyball_config::Config;

/// From any system.
pub(crate) fn anywhere(config: &Config) -> bool {
    config.docker.labels || beside_docker(config)
}

/// From a system that the configuration names.
pub(crate) fn beside_docker(config: &Config) -> bool {
    config.swarm.labels || config.marathon.labels
}
