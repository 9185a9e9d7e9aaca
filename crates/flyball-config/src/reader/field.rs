//! What was read of one key, right or wrong, and where everything that is wrong is recorded.

use super::error::ConfigError;
use super::syntax::Syntax;
use super::value::Span;

/// What was found wrong so far, and where secrets stand.
#[derive(Debug, Default)]
pub(crate) struct Reports {
    pub(crate) faults: Vec<(ConfigError, Span)>,
    /// Places of values whose lines are not to be shown.
    pub(crate) secrets: Vec<Span>,
}

impl Reports {
    pub(crate) fn add(&mut self, fault: ConfigError, span: &Span) {
        self.faults.push((fault, span.clone()));
    }
}

/// What a key gave.
#[derive(Clone)]
pub(crate) struct Field<T> {
    /// The value, or what stands for an absent one; `None`: refused or missing, which has been
    /// reported.
    pub(crate) value: Option<T>,
    /// Where the value stands; `None`: absent.
    pub(crate) span: Option<Span>,
    /// The key's full path.
    pub(crate) path: String,
    pub(super) name: &'static str,
    pub(crate) syntax: Syntax,
    /// The place of what is missing.
    pub(super) table: Span,
}

impl<T> Field<T> {
    /// The value, if one was given and is fine.
    pub(crate) fn given(&self) -> Option<(&T, &Span)> {
        self.value.as_ref().zip(self.span.as_ref())
    }

    pub(crate) fn is_absent(&self) -> bool {
        self.span.is_none()
    }

    /// The full path of what its writer called `name` in the table that the value is.
    pub(crate) fn path_of(&self, name: &str) -> String {
        self.syntax.named(&self.path, name)
    }

    /// The place of the value, or of the table where it is absent.
    pub(crate) fn place(&self) -> &Span {
        self.span.as_ref().unwrap_or(&self.table)
    }

    /// How the key is given `value`, which is TOML.
    pub(crate) fn assign(&self, value: &str) -> String {
        self.syntax.assign(&self.path, self.name, value)
    }

    /// Says that the key must be there.
    pub(crate) fn report_missing(&self, example: &str, reports: &mut Reports) {
        let instead = format!("add {}", self.assign(example));
        self.report(ConfigError::setting(&self.path, ": missing", instead), reports);
    }

    /// Reports `fault` where the value stands, or its table if there is none.
    pub(crate) fn report(&self, fault: ConfigError, reports: &mut Reports) {
        reports.add(fault, self.place());
    }

    /// That the value is something that it must not be, and what to write.
    pub(crate) fn fault(&self, what: &str, instead: &str) -> ConfigError {
        ConfigError::setting(&self.path, &format!(": {what}"), instead.to_owned())
    }

    /// Says that.
    pub(crate) fn refuse(&self, what: &str, instead: &str, reports: &mut Reports) {
        self.report(self.fault(what, instead), reports);
    }

    /// Says that the key has no effect with another.
    pub(crate) fn refuse_beside(&self, beside: &str, instead: &str, reports: &mut Reports) {
        self.report(ConfigError::useless(&self.path, beside, instead.to_owned()), reports);
    }
}
