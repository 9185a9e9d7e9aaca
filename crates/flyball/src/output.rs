//! Standard output. A reader that closes the pipe (`flyball status | head`) is not an
//! error.

use std::io::{ErrorKind, Write as _};

use crate::failure::Failure;

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
    #[test]
    fn columns_line_up_and_nothing_trails() {
        let row = |a: &str, b: &str| vec![a.to_owned(), b.to_owned()];
        let text = super::table(&[row("service", "ready"), row("w", "12"), row("web-long", "3")]);
        assert_eq!(text, "service   ready\nw         12\nweb-long  3");
    }
}
