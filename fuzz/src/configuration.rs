//! `flyball.toml`: parsing never panics and gives a consistent configuration or errors, each with
//! its place, bounded in number and length.

use flyball_config::{ConfigErrors, Env, PROBLEMS_MAX, Service};

/// Bytes of one message at most: a line of the file is shortened before it is shown.
const MESSAGE_MAX: usize = 4_096;

/// A home, and nothing else.
pub(crate) fn env() -> Env {
    Env { home: Some("/home/f".into()), ..Env::default() }
}

/// A text as `flyball.toml`.
pub fn configuration(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match flyball_config::parse(text, "flyball.toml", &env()) {
        Ok(config) => config.services.values().for_each(complete),
        Err(errors) => check_errors(&errors),
    }
}

/// What a service that was taken must be.
pub(crate) fn complete(service: &Service) {
    let bounds = service.policy.bounds;
    assert!(bounds.min <= bounds.max && bounds.max >= 1, "{bounds:?}");
    assert!(!format!("{service:?}").is_empty());
}

/// What errors must be.
pub(crate) fn check_errors(errors: &ConfigErrors) {
    let text = errors.to_string();
    let shown = text.matches("error: ").count();
    assert!(shown >= 1, "an error without a message: {text}");
    assert!(text.len() <= (PROBLEMS_MAX + 1) * MESSAGE_MAX, "{} bytes", text.len());
    let control = |c: char| c.is_control() && c != '\n';
    assert!(!text.contains(control), "what was written reaches the terminal raw: {text:?}");
}
