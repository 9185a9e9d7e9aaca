//! Parses HAProxy's state: the process, the backend and its servers. An answer ends with the
//! backend's own row and an empty line; anything else was cut off and is refused.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;

use flyball_core::observation::FailureCounts;

use crate::error::HaproxyError;
use crate::settings::Mode;

/// One look.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Snapshot {
    pub(crate) process: Process,
    pub(crate) backend: Backend,
    pub(crate) servers: BTreeMap<String, Server>,
}

/// The process that answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) version: String,
    pub(crate) pid: u32,
    /// Seconds since 1970; 0 where HAProxy does not say (before 2.5).
    pub(crate) started_s: u64,
    /// Processes that share the work, each with counters of its own (before 2.5).
    pub(crate) siblings: u32,
}

/// The backend as a whole, foreign servers included.
///
/// Measured on 2.6: `stot` counts each request on arrival, queued ones too, and not again on a
/// retry; `req_tot` counts it when it ends. `hrsp_5xx` already includes every failed connect (503)
/// and broken answer (502), so `econ` and `eresp` are not added; `srv_abrt` counts the answers that
/// broke off after their head, which `hrsp_*` counts as good. The mean times cover the last 1024
/// requests, however old, so they cannot give a percentile, and none is reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Backend {
    pub(crate) arrivals: u64,
    pub(crate) errors: u64,
    /// The same by who made them.
    pub(crate) failures: FailureCounts,
    pub(crate) queued: u32,
    /// Empty where the socket is not allowed to see it.
    pub(crate) algorithm: String,
    pub(crate) cookie: String,
    pub(crate) mode: Mode,
}

/// One server of the backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) admin: Admin,
    /// `None` where there is no IP address, or the socket is not allowed to see it.
    pub(crate) address: Option<SocketAddr>,
    /// Requests it works on and those that wait for it and no other.
    pub(crate) in_flight: u32,
    /// Answers of its own that have ended (connections, where the backend is not HTTP).
    pub(crate) served: u64,
    /// Those of them that were no errors: 1xx to 4xx (connections, where the backend is not HTTP).
    pub(crate) good: u64,
    pub(crate) is_backup: bool,
    /// Its share among all servers, as it was set; 0 takes no new requests.
    pub(crate) weight: Option<u16>,
    /// Its number within the backend; `None` where HAProxy does not say.
    pub(crate) id: Option<u32>,
    /// It is down, and a check has passed since.
    pub(crate) coming: bool,
    /// What HAProxy holds against it; `None` while it gets requests, or would.
    pub(crate) fault: Option<Fault>,
}

/// Why HAProxy sends a server no requests although it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Its answers to requests were errors, one after another (`observe`).
    Answers(String),
    /// A check failed, or an agent says so.
    Check(String),
    /// It is down, and the cause is no longer reported: a later check has already passed.
    Unsaid,
}

/// The state that HAProxy was asked to give a server, whatever its health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admin {
    Ready,
    Drain,
    Maintenance,
}

impl Process {
    /// Differs between any two processes: also where each is process 1 of its own container.
    pub(crate) fn epoch(&self) -> u64 {
        (self.started_s << 32) | u64::from(self.pid)
    }

    /// Its version as far as anything here depends on it; 0.0 where it cannot be read.
    pub(crate) fn release(&self) -> (u32, u32) {
        let mut numbers = self.version.split(|c: char| !c.is_ascii_digit());
        let mut next = || numbers.next().and_then(|n| n.parse::<u32>().ok()).unwrap_or(0);
        (next(), next())
    }

    /// Whether servers can be made at run time: since 2.6. 2.4 and 2.5 do it only on a connection
    /// in experimental mode.
    pub(crate) fn takes_servers(&self) -> bool {
        self.release() >= (2, 6)
    }
}

/// Asks for every backend's own row: the answer is for [`find_backend`].
pub(crate) const BACKENDS: &str = "show stat -1 2 -1";

/// Asks for one backend and its servers: the answer is for [`Snapshot::parse`].
///
/// By number, because a frontend of the same name would be shown in its place.
pub(crate) fn question(number: u32) -> String {
    format!("show info;show stat {number} 6 -1")
}

/// The number of `backend`. It may be another after a reload.
pub(crate) fn find_backend(backend: &str, answer: &str) -> Result<u32, HaproxyError> {
    let table = Table::parse(answer).ok_or_else(|| garbled(BACKENDS, answer))?;
    let number = table.rows().find(|row| row.text("pxname") == backend);
    let number = number.map(|row| row.number("iid").and_then(|n| n.try_into().ok()));
    match number {
        Some(number) => number.ok_or_else(|| garbled(BACKENDS, answer)),
        None => Err(HaproxyError::NoBackend { backend: backend.to_owned() }),
    }
}

impl Snapshot {
    /// Takes in the answer to [`question`]; `None` if `number` is no longer this backend's.
    pub(crate) fn parse(
        backend: &str,
        number: u32,
        answer: &str,
    ) -> Result<Option<Self>, HaproxyError> {
        let garbled = || garbled(&question(number), answer);
        let (info, stat) = answer.split_once("\n\n").ok_or_else(garbled)?;
        let process = Process::parse(info).ok_or_else(garbled)?;
        if info.lines().any(|line| line == "Stopping: 1") {
            return Err(HaproxyError::Stopping { pid: process.pid });
        }
        if NO_BACKEND.contains(&stat.trim()) {
            return Ok(None);
        }
        let table = Table::parse(stat).ok_or_else(garbled)?;
        if table.rows().next().is_none_or(|row| row.text("pxname") != backend) {
            return Ok(None);
        }
        let (backend, servers) = table.read().ok_or_else(garbled)?;
        Ok(Some(Self { process, backend, servers }))
    }
}

/// What HAProxy says of a backend that it does not have.
pub(crate) const NO_BACKEND: [&str; 2] = ["No such proxy.", "No such backend."];

/// An answer that is cut off, or is none of HAProxy's.
fn garbled(command: &str, answer: &str) -> HaproxyError {
    let beginning: String = answer.chars().take(60).collect();
    let why = format!("{} bytes, beginning `{}`", answer.len(), beginning.escape_debug());
    HaproxyError::Garbled { command: command.to_owned(), why }
}

impl Process {
    fn parse(info: &str) -> Option<Self> {
        let fields: HashMap<&str, &str> =
            info.lines().filter_map(|line| line.split_once(": ")).collect();
        let number = |name: &str| fields.get(name).and_then(|text| text.parse::<u64>().ok());
        Some(Self {
            version: (*fields.get("Version")?).to_owned(),
            pid: number("Pid")?.try_into().ok()?,
            started_s: number("Start_time_sec").unwrap_or(0),
            siblings: number("Nbproc").and_then(|n| n.try_into().ok()).unwrap_or(1),
        })
    }
}

impl Backend {
    fn parse(row: &Row<'_>, mode: Mode) -> Option<Self> {
        let errors = match mode {
            Mode::Http => ["hrsp_5xx", "srv_abrt"],
            Mode::Tcp => ["econ", "eresp"],
        };
        let errors = row.number(errors[0])?.saturating_add(row.number(errors[1])?);
        // Where no server is there, or none could be connected to; also a wait in the queue that
        // took too long.
        let unreachable = row.number("econ").unwrap_or(0).min(errors);
        let by_replicas = errors - unreachable;
        Some(Self {
            arrivals: row.number("stot")?,
            errors,
            failures: FailureCounts { by_replicas, by_balancer: 0, unreachable },
            queued: row.number("qcur")?.try_into().ok()?,
            algorithm: row.text("algo").to_owned(),
            cookie: row.text("cookie").to_owned(),
            mode,
        })
    }
}

impl Server {
    fn parse(row: &Row<'_>, mode: Mode) -> Option<Self> {
        const ERRORS: [&str; 2] = ["hrsp_5xx", "hrsp_other"];
        const GOOD: [&str; 4] = ["hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx"];
        let sum = |names: &[&str]| {
            names.iter().try_fold(0, |sum: u64, name| Some(sum.saturating_add(row.number(name)?)))
        };
        let (good, errors) = match mode {
            Mode::Http => (sum(&GOOD)?, sum(&ERRORS)?),
            Mode::Tcp => (row.number("stot")?, 0),
        };
        let in_flight = row.number("scur")?.saturating_add(row.number("qcur")?);
        Some(Self {
            admin: Admin::parse(row.text("status"))?,
            address: row.text("addr").parse().ok(),
            in_flight: in_flight.try_into().unwrap_or(u32::MAX),
            served: good.saturating_add(errors),
            good,
            is_backup: row.number("bck") == Some(1),
            // Before 2.5 HAProxy reports only what is in effect now.
            weight: row
                .number("uweight")
                .or_else(|| row.number("weight"))
                .and_then(|weight| weight.try_into().ok()),
            id: row.number("sid").and_then(|id| id.try_into().ok()),
            coming: row.text("status").starts_with("DOWN ") && row.text("status").contains('/'),
            fault: Fault::parse(row),
        })
    }
}

impl Fault {
    /// In words, as the end of a sentence.
    pub(crate) fn why(&self) -> &str {
        match self {
            Self::Answers(why) | Self::Check(why) => why,
            Self::Unsaid => "HAProxy reports it as down",
        }
    }

    /// From the status and the columns of the last check.
    fn parse(row: &Row<'_>) -> Option<Self> {
        let status = row.text("status");
        if status.starts_with("NOLB") {
            return Some(Self::Check("its check returns 404, which stops new requests".into()));
        }
        if !status.starts_with("DOWN") {
            return None;
        }
        let [check, code, last, what] =
            ["check_status", "check_code", "last_chk", "check_desc"].map(|name| row.text(name));
        let agent = row.text("agent_status");
        Some(match check {
            "HANA" => Self::Answers(format!("HAProxy {}", uncapitalized(last))),
            _ if status.contains("(agent)") => Self::Check(format!("its agent reports {agent}")),
            // What passed is not what took it down.
            "" | "INI" | "SOCKERR" | "L4OK" | "L6OK" | "L7OK" => Self::Unsaid,
            _ => {
                let words = [what, code, last].map(str::trim).into_iter().filter(|w| !w.is_empty());
                let words = words.collect::<Vec<_>>().join(", ");
                Self::Check(format!("HAProxy's check failed: {check} ({})", uncapitalized(&words)))
            }
        })
    }
}

fn uncapitalized(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(rest).collect()
}

impl Server {
    /// Whether it gets new requests. HAProxy says of a server that is down no more whether it was
    /// asked to drain.
    pub(crate) fn takes_requests(&self) -> bool {
        self.admin == Admin::Ready && self.fault.is_none()
    }
}

impl Admin {
    /// From `UP`, `UP 1/2`, `DOWN`, `NOLB`, `no check`, `DRAIN`, `MAINT (via b/s)` and the like.
    fn parse(status: &str) -> Option<Self> {
        match status {
            "" => None,
            _ if status.starts_with("MAINT") => Some(Self::Maintenance),
            _ if status.starts_with("DRAIN") => Some(Self::Drain),
            _ => Some(Self::Ready),
        }
    }
}

/// The answer to `show stat`, whole.
struct Table {
    columns: HashMap<String, usize>,
    rows: Vec<csv::StringRecord>,
}

/// One line of the table.
struct Row<'a> {
    columns: &'a HashMap<String, usize>,
    cells: &'a csv::StringRecord,
}

impl Table {
    /// `None` unless head, rows of the same length and the empty line at the end are there.
    fn parse(stat: &str) -> Option<Self> {
        let text = stat.trim_start_matches('\n').strip_prefix("# ")?.strip_suffix("\n\n")?;
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let names = reader.headers().ok()?.iter().map(str::to_owned);
        let columns = names.zip(0..).collect();
        let rows = reader.records().collect::<Result<_, _>>().ok()?;
        Some(Self { columns, rows })
    }

    fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|cells| Row { columns: &self.columns, cells })
    }

    /// The backend, whose row comes last, and its servers.
    fn read(&self) -> Option<(Backend, BTreeMap<String, Server>)> {
        let mut rows: Vec<Row<'_>> = self.rows().collect();
        let backend = rows.pop().filter(|row| row.text("svname") == "BACKEND")?;
        let mode = if backend.text("mode") == "tcp" { Mode::Tcp } else { Mode::Http };
        let server =
            |row: &Row<'_>| Some((row.text("svname").to_owned(), Server::parse(row, mode)?));
        let servers: Option<_> = rows.iter().map(server).collect();
        Some((Backend::parse(&backend, mode)?, servers?))
    }
}

impl Row<'_> {
    /// Empty where HAProxy has no such column, or nothing in it.
    fn text(&self, name: &str) -> &str {
        self.columns.get(name).and_then(|at| self.cells.get(*at)).unwrap_or("")
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.text(name).parse().ok()
    }
}

#[cfg(test)]
mod tests;
