//! Reading a trace from CSV, a line at a time. Does not guess: a gap is not filled, a time not
//! sorted. Memory is bounded whatever the input is: a line by [`LINE_BYTES_MAX`], the trace by
//! [`ROWS_MAX`].

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flyball_core::units::seconds;
use flyball_file::FileError;

use super::{Trace, Unit};

/// Longer lines are refused; two numbers need 50 bytes at most.
pub const LINE_BYTES_MAX: usize = 1_024;
/// Larger values are refused: a thousand requests a second for each person on earth are fewer.
pub const VALUE_MAX: f64 = 1e13;
/// More rows are refused: half a year of seconds, 128 MB.
pub const ROWS_MAX: usize = 16_000_000;
/// Longer traces are refused: a hundred years, far from where sums of times in nanoseconds
/// overflow.
pub const DURATION_MAX_MS: u64 = 100 * 365 * 86_400_000;

/// A trace that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{name}:{line}: {fault}")]
pub struct TraceError {
    /// The file or what it was called.
    pub name: String,
    /// The line, from 1; 0 if it is about the whole.
    pub line: usize,
    /// What is wrong.
    pub fault: Fault,
}

/// What is wrong with a trace.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It could not be read.
    #[error(
        "cannot read: {0}\nhint: check that it is a file that you may read; `-` reads standard input"
    )]
    Unreadable(#[from] FileError),
    /// There is nothing in it.
    #[error("no values\nhint: a header and at least two lines such as `0,12.5` and `60,13`")]
    Empty,
    /// The first line is not one of the two known.
    #[error("unknown header `{0}`\nhint: `seconds,requests_per_second` or `seconds,cores`")]
    Header(String),
    /// A line has not two columns.
    #[error("{0} columns where there must be 2\nhint: `60,12.5`")]
    Columns(usize),
    /// A cell is no number.
    #[error("`{0}` is not a number\nhint: write 12.5, with a point")]
    NotANumber(String),
    /// A number is NaN, infinite or negative.
    #[error(
        "`{0}` is not a finite number of at least 0\nhint: do not leave values out; a missing value is not zero"
    )]
    OutOfRange(String),
    /// A number is too large.
    #[error("`{0}` is more than {VALUE_MAX:e}\nhint: values are requests per second, or cores")]
    TooLarge(String),
    /// The first time is not zero.
    #[error("the first time is {0} s\nhint: count seconds from the start of the trace, 0")]
    Start(f64),
    /// A time is not later than the one before.
    #[error(
        "time {time_s} s is not after {before_s} s\nhint: sort by time, with one value for each time"
    )]
    Unsorted {
        /// The line's.
        time_s: f64,
        /// The one before.
        before_s: f64,
    },
    /// A time is not one step later.
    #[error(
        "{time_s} s follows {before_s} s in a trace with a step of {step_s} s\nhint: fill the gap, or use a coarser step"
    )]
    Gap {
        /// The line's.
        time_s: f64,
        /// The one before.
        before_s: f64,
        /// The step, as the first two lines give it.
        step_s: f64,
    },
    /// The step is not a whole number of milliseconds.
    #[error("a step of {0} s is not a whole number of milliseconds\nhint: 0.001 s is the finest")]
    Step(f64),
    /// A line is too long.
    #[error("longer than {LINE_BYTES_MAX} bytes\nhint: check that it is a text file")]
    LongLine,
    /// A line is not UTF-8.
    #[error("not UTF-8\nhint: check that it is a text file")]
    NotText,
    /// It lasts too long.
    #[error(
        "over 100 years after {0} values in steps of {1} s\nhint: the first column is in seconds"
    )]
    TooLate(usize, f64),
    /// There are too many lines.
    #[error("more than {ROWS_MAX} values\nhint: use means over a coarser step")]
    TooLong,
}

/// Opens and reads a file; the trace is called after it.
pub fn open(path: &Path) -> Result<Trace, TraceError> {
    let name = path.display().to_string();
    let file = flyball_file::open(path).map_err(|error| TraceError {
        name: name.clone(),
        line: 0,
        fault: Fault::Unreadable(error),
    })?;
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let trace = read(&name, BufReader::new(file))?;
    Ok(Trace { name: stem, ..trace })
}

/// Reads a trace called `name`. A byte-order mark, CRLF and empty lines at the end are accepted.
pub fn read(name: &str, source: impl BufRead) -> Result<Trace, TraceError> {
    read_at_most(ROWS_MAX, name, source)
}

fn read_at_most(
    rows_max: usize,
    name: &str,
    mut source: impl BufRead,
) -> Result<Trace, TraceError> {
    let mut line = 0;
    let mut rows = Rows { rows_max, unit: None, step_s: None, last_s: None, values: Vec::new() };
    rows.read(&mut source, &mut line).and_then(|()| rows.finish(name)).map_err(|fault| TraceError {
        name: name.to_owned(),
        line,
        fault,
    })
}

struct Rows {
    rows_max: usize,
    unit: Option<Unit>,
    step_s: Option<f64>,
    last_s: Option<f64>,
    values: Vec<f64>,
}

impl Rows {
    fn read(&mut self, source: &mut impl BufRead, line: &mut usize) -> Result<(), Fault> {
        let mut text = String::new();
        loop {
            *line += 1;
            if !next_line(source, &mut text)? {
                return Ok(());
            }
            let content = text.trim_end_matches(['\n', '\r']);
            match self.unit {
                None => self.unit = Some(header(content.trim_start_matches('\u{feff}'))?),
                Some(_) if content.is_empty() && source.fill_buf()?.is_empty() => return Ok(()),
                Some(_) => self.row(content)?,
            }
        }
    }

    fn row(&mut self, content: &str) -> Result<(), Fault> {
        let columns = content.split(',').count();
        let Some((time, value)) = content.split_once(',').filter(|_| columns == 2) else {
            return Err(Fault::Columns(columns));
        };
        let time_s = number(time)?;
        let value = load(value)?;
        match (self.last_s, self.step_s) {
            (None, _) if time_s != 0.0 => return Err(Fault::Start(time_s)),
            (None, _) => {}
            (Some(before_s), _) if time_s <= before_s => {
                return Err(Fault::Unsorted { time_s, before_s });
            }
            (Some(_), None) if whole_ms(time_s).is_none() => return Err(Fault::Step(time_s)),
            (Some(_), None) => self.step_s = Some(time_s),
            (Some(before_s), Some(step_s)) => {
                // Times are written with few digits: half a millisecond is rounding.
                if (time_s - before_s - step_s).abs() > 0.000_5 {
                    return Err(Fault::Gap { time_s, before_s, step_s });
                }
            }
        }
        if self.values.len() == self.rows_max {
            return Err(Fault::TooLong);
        }
        // A value stands for the step that it begins.
        let ends_s = time_s + self.step_s.unwrap_or(0.0);
        if ends_s > seconds(DURATION_MAX_MS) {
            return Err(Fault::TooLate(self.values.len(), self.step_s.unwrap_or(0.0)));
        }
        self.last_s = Some(time_s);
        self.values.push(value);
        Ok(())
    }

    fn finish(&mut self, name: &str) -> Result<Trace, Fault> {
        let (Some(unit), Some(step_s)) = (self.unit, self.step_s) else {
            return Err(Fault::Empty);
        };
        let step_ms = whole_ms(step_s).ok_or(Fault::Step(step_s))?;
        let values = std::mem::take(&mut self.values);
        Ok(Trace { name: name.to_owned(), unit, step_ms, values: values.into() })
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Unreadable(error.into())
    }
}

/// The next line into `text`; `false` at the end.
fn next_line(source: &mut impl BufRead, text: &mut String) -> Result<bool, Fault> {
    text.clear();
    let mut bytes = std::mem::take(text).into_bytes();
    let limit = LINE_BYTES_MAX as u64 + 1;
    Read::take(&mut *source, limit).read_until(b'\n', &mut bytes)?;
    if bytes.len() > LINE_BYTES_MAX {
        return Err(Fault::LongLine);
    }
    *text = String::from_utf8(bytes).map_err(|_| Fault::NotText)?;
    Ok(!text.is_empty())
}

fn header(content: &str) -> Result<Unit, Fault> {
    match content {
        "seconds,requests_per_second" => Ok(Unit::RequestsPerSecond),
        "seconds,cores" => Ok(Unit::Cores),
        other => Err(Fault::Header(other.chars().take(80).collect())),
    }
}

fn number(cell: &str) -> Result<f64, Fault> {
    let shown = || cell.chars().take(40).collect();
    let number: f64 = cell.trim().parse().map_err(|_| Fault::NotANumber(shown()))?;
    let good = number.is_finite() && number >= 0.0;
    if good { Ok(number) } else { Err(Fault::OutOfRange(shown())) }
}

fn load(cell: &str) -> Result<f64, Fault> {
    let load = number(cell)?;
    let good = load <= VALUE_MAX;
    if good { Ok(load) } else { Err(Fault::TooLarge(cell.chars().take(40).collect())) }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a positive time; the cast saturates and is compared with what it came from"
)]
fn whole_ms(seconds: f64) -> Option<u64> {
    let ms = (seconds * 1000.0).round();
    let whole = ms >= 1.0 && (seconds * 1000.0 - ms).abs() < 1e-6 && ms < 1e15;
    whole.then_some(ms as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Trace, TraceError> {
        read("t.csv", text.as_bytes())
    }

    #[track_caller]
    fn refused(text: &str, words: &str) {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.starts_with(words), "{error}");
        assert!(error.contains("\nhint: "), "{error}");
    }

    #[test]
    fn both_headers_a_byte_order_mark_and_crlf_are_read() {
        let trace = parse("\u{feff}seconds,cores\r\n0,1.5\r\n10,2\r\n\r\n").unwrap();
        assert_eq!((trace.unit, trace.step_ms), (Unit::Cores, 10_000));
        assert_eq!(*trace.values, [1.5, 2.0]);
        assert_eq!(parse("seconds,requests_per_second\n0,1\n0.5,2").unwrap().step_ms, 500);
    }

    #[test]
    fn what_is_not_a_trace_is_refused_with_its_line_and_a_hint() {
        refused("", "t.csv:1: no values");
        refused("seconds,cores\n", "t.csv:2: no values");
        refused("seconds,cores\n0,1\n", "t.csv:3: no values");
        refused("time,cores\n0,1\n", "t.csv:1: unknown header `time,cores`");
        refused("seconds,cores,more\n0,1,2\n", "t.csv:1: unknown header");
        refused("seconds,cores\n0,1,2\n", "t.csv:2: 3 columns");
        refused("seconds,cores\n0\n", "t.csv:2: 1 columns");
        refused("seconds,cores\n0,1\n\n60,2\n", "t.csv:3: 1 columns");
        refused("seconds,cores\n0,one\n", "t.csv:2: `one` is not a number");
        refused("seconds,cores\n0,NaN\n", "t.csv:2: `NaN` is not a finite");
        refused("seconds,cores\n0,inf\n", "t.csv:2: `inf` is not a finite");
        refused("seconds,cores\n0,-1\n", "t.csv:2: `-1` is not a finite");
        refused("seconds,cores\n0,1e14\n", "t.csv:2: `1e14` is more than 1e13");
        refused("seconds,cores\n5,1\n", "t.csv:2: the first time is 5 s");
        refused("seconds,cores\n0,1\n60,1\n30,1\n", "t.csv:4: time 30 s is not after 60 s");
        refused("seconds,cores\n0,1\n60,1\n60,1\n", "t.csv:4: time 60 s is not after 60 s");
        refused("seconds,cores\n0,1\n60,1\n180,1\n", "t.csv:4: 180 s follows 60 s");
        refused("seconds,cores\n0,1\n0.0001,1\n", "t.csv:3: a step of 0.0001 s");
        refused("seconds,cores\n0,1\n1600000000,1\n", "t.csv:3: over 100 years after 1 values");
    }

    #[test]
    fn an_endless_line_is_refused_after_its_first_kilobyte() {
        let endless = io::BufReader::new(io::repeat(b'7'));
        let error = read("endless", endless).unwrap_err();
        assert!(matches!(error.fault, Fault::LongLine), "{error}");
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        let error = read("t.csv", &b"seconds,cores\n0,\xff\n"[..]).unwrap_err();
        assert!(matches!(error.fault, Fault::NotText), "{error}");
    }

    /// Rows without end, as a file of 10 GB has them.
    struct Endless(usize);

    impl Read for Endless {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let line = match self.0 {
                0 => "seconds,cores\n".to_owned(),
                row => format!("{},1\n", row - 1),
            };
            self.0 += 1;
            let bytes = line.as_bytes();
            out[..bytes.len()].copy_from_slice(bytes);
            Ok(bytes.len())
        }
    }

    #[test]
    fn rows_without_end_are_refused_at_the_stated_limit() {
        let error = read_at_most(1_000, "endless", BufReader::new(Endless(0))).unwrap_err();
        assert!(matches!(error.fault, Fault::TooLong), "{error}");
        assert_eq!(error.line, 1_002);
    }
}
