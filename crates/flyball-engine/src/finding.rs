//! What a preflight check of a service found.

use crate::Hint;

/// One thing that is wrong, or worth knowing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether the service cannot work because of it; otherwise it is a remark.
    pub fatal: bool,
    /// What was found.
    pub text: String,
    /// How to fix it.
    pub hint: Option<String>,
}

impl Finding {
    /// What keeps the service from working.
    pub fn fatal(error: &impl Hint) -> Self {
        Self { fatal: true, text: error.to_string(), hint: error.hint() }
    }

    /// What is worth knowing.
    pub fn note(text: String) -> Self {
        Self { fatal: false, text, hint: None }
    }

    /// What is worth knowing, with what to do about it.
    pub fn remark(text: String, hint: &str) -> Self {
        Self { fatal: false, text, hint: Some(hint.to_owned()) }
    }
}
