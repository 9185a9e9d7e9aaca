//! What `flyball check` found about one key or place of a configuration.

use flyball_config::Problem;
use serde::Serialize;

use crate::failure::Failure;

/// The result of one check.
#[derive(Debug, Serialize)]
pub(crate) struct Finding {
    /// The key it is about, or the place in the file.
    pub(crate) key: String,
    /// Whether it needs no fix.
    pub(crate) ok: bool,
    /// What was found.
    pub(crate) text: String,
    /// How to fix it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hint: Option<String>,
}

impl Finding {
    /// What is as it should be.
    pub(crate) fn good(key: impl Into<String>, text: impl Into<String>) -> Self {
        Self { key: key.into(), ok: true, text: text.into(), hint: None }
    }

    /// What must be fixed.
    pub(crate) fn wrong(key: impl Into<String>, text: impl Into<String>) -> Self {
        Self { key: key.into(), ok: false, text: text.into(), hint: None }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// What could not be had.
    pub(crate) fn failed(key: impl Into<String>, failure: impl Into<Failure>) -> Self {
        let failure = failure.into();
        Self { hint: failure.way_out(), ..Self::wrong(key, failure.what()) }
    }

    /// What an engine found about a service.
    pub(crate) fn about(name: &str, found: flyball_engine::Finding) -> Self {
        let flyball_engine::Finding { fatal, text, hint } = found;
        Self { key: format!("services.{name}"), ok: !fatal, text, hint }
    }

    /// What an engine found about a service, or why it could not be asked; all is `well` where it
    /// found nothing.
    pub(crate) fn of_service(
        name: &str,
        found: Result<Vec<Self>, Failure>,
        well: &str,
    ) -> Vec<Self> {
        let key = format!("services.{name}");
        match found {
            Err(failure) => vec![Self::failed(key, failure)],
            Ok(found) if found.is_empty() => vec![Self::good(key, well)],
            Ok(found) => found,
        }
    }

    /// A mistake in the file, or in a container's labels.
    pub(crate) fn of_problem(problem: &Problem) -> Self {
        let place = &problem.place;
        let key = match place.position {
            Some((line, column)) => format!("{}:{line}:{column}", place.file),
            None => place.file.clone(),
        };
        Self { hint: problem.fault.hint(), ..Self::wrong(key, problem.fault.to_string()) }
    }

    /// A finding that must be fixed is not `ok`, even if flyball can start with it.
    pub(crate) fn mark(&self) -> &'static str {
        match (self.ok, &self.hint) {
            (true, None) => "ok   ",
            (true, Some(_)) => "warn ",
            (false, _) => "wrong",
        }
    }
}
