//! Standard output and the log. A reader that closes the pipe (`flyball status | head`) is not an
//! error.

use std::io::{ErrorKind, IsTerminal as _, Write as _};

use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::debug_fn;
use tracing_subscriber::util::SubscriberInitExt;

use crate::failure::Failure;
use crate::plain::one_line;

/// Writes a line of data.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    gone_is_fine(writeln!(out, "{text}").and_then(|()| out.flush()))
}

/// Writes data as it is.
pub(crate) fn write_out(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    gone_is_fine(out.write_all(bytes).and_then(|()| out.flush()))
}

/// A reader that has gone away has seen all that it wanted.
fn gone_is_fine(written: std::io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::new(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Writes a line that is not data.
pub(crate) fn note(text: &str) {
    // There is no place to report that standard error is gone.
    let _unwritable = writeln!(std::io::stderr(), "{text}");
}

/// Sends the log to standard error; `FLYBALL_LOG` overrides the level. `quiet`: only warnings,
/// where a progress bar says the rest.
pub(crate) fn start_log(verbose: u8, quiet: bool) {
    let level = match verbose {
        0 if quiet => "warn",
        0 => "warn,flyball=info",
        1 => "info,flyball=debug",
        _ => "debug",
    };
    let filter = EnvFilter::try_from_env("FLYBALL_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    log_to(std::io::stderr, std::io::stderr().is_terminal(), filter).init();
}

/// A log of one line for each event, whatever words of others are in it.
fn log_to<W: for<'w> MakeWriter<'w> + Send + Sync + 'static>(
    writer: W,
    ansi: bool,
    filter: EnvFilter,
) -> impl SubscriberInitExt + Subscriber + Send + Sync {
    let fields = debug_fn(|writer, field, value| {
        let value = format!("{value:?}");
        match field.name() {
            "message" => writer.write_str(&one_line(&value)),
            name => write!(writer, "{name}={}", one_line(&value)),
        }
    });
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(ansi)
        .with_target(false)
        .fmt_fields(fields.delimited(" "))
        .finish()
}

/// Rows as a table: columns two spaces apart, the first row as the head.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn no_word_of_others_makes_a_line_of_the_log() {
        let log = Arc::new(Mutex::new(Vec::new()));
        let subscriber = log_to(Mutex::new(Kept(Arc::clone(&log))), false, EnvFilter::new("info"));
        let evil = "web\n2026-11-30T03:00:00Z ERROR forged\x1b[2J";
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(service = %evil, replica = ?evil, other = evil, "{evil}: ended");
        });
        let said = String::from_utf8(log.lock().unwrap().clone()).unwrap();
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(!said.contains('\x1b'), "{said:?}");
        let kept = "WARN web | 2026-11-30T03:00:00Z ERROR forged\\u{1b}[2J: ended service=web | ";
        assert!(said.contains(kept), "{said}");
    }

    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn columns_line_up_and_nothing_trails() {
        let row = |a: &str, b: &str| vec![a.to_owned(), b.to_owned()];
        let text = super::table(&[row("service", "ready"), row("w", "12"), row("web-long", "3")]);
        assert_eq!(text, "service   ready\nw         12\nweb-long  3");
    }
}
