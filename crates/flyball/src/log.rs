//! The log, on standard error: one line for each event, whatever words of others are in it.

use std::fmt;
use std::io::IsTerminal as _;

use clap::ValueEnum;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::plain::one_line;

/// What a line looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Time, level and message
    #[default]
    Text,
    /// One JSON object per line
    Json,
    /// For the journal of systemd: its level, and no time, since the journal has its own
    Journald,
}

/// Starts the log; `FLYBALL_LOG` overrides the level. `quiet`: only warnings, where a progress bar
/// says the rest.
pub(crate) fn start_log(format: LogFormat, verbose: u8, quiet: bool) {
    let level = match verbose {
        0 if quiet => "warn",
        0 => "warn,flyball=info",
        1 => "info,flyball=debug",
        _ => "debug",
    };
    let filter = EnvFilter::try_from_env("FLYBALL_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let ansi = std::io::stderr().is_terminal();
    match format {
        LogFormat::Text => text_to(std::io::stderr, ansi, filter).init(),
        LogFormat::Json => json_to(std::io::stderr, filter).init(),
        LogFormat::Journald => journald_to(std::io::stderr, filter).init(),
    }
}

fn text_to<W: for<'w> MakeWriter<'w> + Send + Sync + 'static>(
    writer: W,
    ansi: bool,
    filter: EnvFilter,
) -> impl SubscriberInitExt + Subscriber + Send + Sync {
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(ansi)
        .with_target(false)
        .fmt_fields(fields())
        .finish()
}

fn json_to<W: for<'w> MakeWriter<'w> + Send + Sync + 'static>(
    writer: W,
    filter: EnvFilter,
) -> impl SubscriberInitExt + Subscriber + Send + Sync {
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_env_filter(filter)
        .with_writer(writer)
        .with_target(false)
        .finish()
}

fn journald_to<W: for<'w> MakeWriter<'w> + Send + Sync + 'static>(
    writer: W,
    filter: EnvFilter,
) -> impl SubscriberInitExt + Subscriber + Send + Sync {
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(false)
        .fmt_fields(fields())
        .event_format(Prioritized)
        .finish()
}

/// Each value on one line, without control characters.
fn fields() -> impl for<'w> FormatFields<'w> + 'static {
    let one = debug_fn(|writer, field, value| {
        let value = format!("{value:?}");
        match field.name() {
            "message" => writer.write_str(&one_line(&value)),
            name => write!(writer, "{name}={}", one_line(&value)),
        }
    });
    one.delimited(" ")
}

/// Lines that begin with `<PRIORITY>`, as sd-daemon(3) describes them.
struct Prioritized;

impl<S, N> FormatEvent<S, N> for Prioritized
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let priority = match *event.metadata().level() {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            Level::DEBUG | Level::TRACE => 7,
        };
        write!(writer, "<{priority}>")?;
        context.format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    const EVIL: &str = "web\n2026-11-30T03:00:00Z ERROR forged\x1b[2J";

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// What is written of one warning with words of others.
    fn logged<S: Subscriber + Send + Sync + 'static>(
        log: impl FnOnce(Mutex<Kept>, EnvFilter) -> S,
    ) -> String {
        let kept = Kept::default();
        let subscriber = log(Mutex::new(kept.clone()), EnvFilter::new("info"));
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(service = %EVIL, replica = ?EVIL, other = EVIL, "{EVIL}: ended");
        });
        let said = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(!said.contains('\x1b'), "{said:?}");
        said
    }

    #[test]
    fn no_word_of_others_makes_a_line_of_the_log() {
        let said = logged(|writer, filter| text_to(writer, false, filter));
        let kept = "WARN web | 2026-11-30T03:00:00Z ERROR forged\\u{1b}[2J: ended service=web | ";
        assert!(said.contains(kept), "{said}");
    }

    #[test]
    fn a_line_of_json_is_one_object() {
        let said = logged(json_to);
        let object: serde_json::Value = serde_json::from_str(&said).unwrap();
        assert_eq!(object["level"], "WARN");
        assert_eq!(object["message"], format!("{EVIL}: ended"));
        assert_eq!(object["other"], EVIL);
        assert!(object["timestamp"].is_string(), "{said}");
    }

    #[test]
    fn a_line_for_the_journal_begins_with_its_priority() {
        let said = logged(journald_to);
        assert!(said.starts_with("<4>web | 2026"), "{said}");
    }
}
