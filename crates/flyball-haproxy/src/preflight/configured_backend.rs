//! The configured backend that a preflight check looks at, and edits of its section.

use super::LINES;
use crate::configuration::{Configuration, Lines, Section};
use crate::finding::Edit;
use crate::settings::{HaproxySettings, Mode};
use crate::stat::Snapshot;

/// What is looked at.
pub(super) struct ConfiguredBackend<'a> {
    pub(super) settings: &'a HaproxySettings,
    pub(super) lines: Lines<'a>,
    /// How its section begins.
    pub(super) title: String,
    pub(super) mode: Mode,
}

/// The line that the template servers of a backend are made by.
pub(super) struct TemplateLine {
    pub(super) prefix: String,
    /// Up to the address.
    pub(super) begins: String,
    /// What each of them has: by `default-server`, and by the line itself.
    pub(super) words: String,
}

impl<'a> ConfiguredBackend<'a> {
    pub(super) fn of(
        settings: &'a HaproxySettings,
        whole: &'a Configuration,
        section: &'a Section,
        seen: Option<&Snapshot>,
    ) -> Self {
        let lines = whole.lines(section);
        let written = if lines.is_http() { Mode::Http } else { Mode::Tcp };
        let mode = seen.map_or(written, |seen| seen.backend.mode);
        let title = if settings.file.is_some() { LINES.to_owned() } else { section.title() };
        Self { settings, lines, title, mode }
    }

    /// What servers of the configuration have that do not say otherwise.
    pub(super) fn default_server(&self) -> String {
        let lines = self.lines.all("default-server").map(|words| words.join(" "));
        lines.collect::<Vec<_>>().join(" ")
    }

    /// Where template servers are used, and made by a line that is seen. In flyball's own file each
    /// has a line with all that it is to have.
    pub(super) fn template_line(&self) -> Option<TemplateLine> {
        let template_servers =
            self.settings.template_servers.as_ref().filter(|_| self.settings.file.is_none())?;
        let mut lines = self.lines.all("server-template");
        let line = lines.find(|words| words.first() == Some(&template_servers.prefix))?;
        let (begins, words) = line.split_at_checked(3)?;
        Some(TemplateLine {
            prefix: template_servers.prefix.clone(),
            begins: format!("server-template {}", begins.join(" ")),
            words: format!("{} {}", self.default_server(), words.join(" ")),
        })
    }

    pub(super) fn add(&self, line: &str) -> Edit {
        Edit::Add { section: self.title.clone(), line: line.to_owned() }
    }

    pub(super) fn replace(&self, old: &str, line: &str) -> Edit {
        let (section, old, line) = (self.title.clone(), old.to_owned(), line.to_owned());
        Edit::Replace { section, old, line }
    }
}
