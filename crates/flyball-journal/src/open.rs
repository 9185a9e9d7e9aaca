//! Opens the file: its directory, its lock, and a check for damage. Only files that this attempt
//! created are deleted or overwritten: a damaged file is renamed, a file of a newer flyball stays,
//! and both are reported.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use flyball_file::{keep_private, open_lock};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::error::JournalError;
use crate::schema;

/// How long the file is checked for damage at start-up. Damage that is not found by then is found
/// and reported when it is read.
const CHECK_LIMIT: Duration = Duration::from_secs(2);

/// How long an earlier process may take to end. A child that it was just starting when it was
/// killed has the lock, too, until it runs its own program.
const LOCK_LIMIT: Duration = Duration::from_secs(1);

/// A file that was found and is not written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnusedFile {
    /// It was of no use, and has another name now.
    Damaged {
        /// Where it is.
        moved_to: PathBuf,
        /// What was wrong with it.
        why: String,
    },
    /// A newer flyball wrote it. It is where it was, for the day that one runs again.
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest version that this flyball knows.
        known: i64,
        /// The journal that is written in its place.
        instead: PathBuf,
        /// Whether `instead` was begun just now, so that it holds nothing yet.
        begun: bool,
    },
}

/// A journal that is ready to be written.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) path: PathBuf,
    pub(crate) connection: Connection,
    /// Held for as long as anybody writes.
    pub(crate) lock: File,
    pub(crate) aside: Option<UnusedFile>,
}

/// Why a file cannot be used as it is.
enum Refused {
    /// It is moved aside, and a new one begun.
    Damaged(String),
    /// Nothing is touched.
    Error(JournalError),
}

impl From<rusqlite::Error> for Refused {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::Damaged("it is not a database".to_owned()),
            Some(ErrorCode::DatabaseCorrupt) => Self::Damaged(error.to_string()),
            _ => Self::Error(error.into()),
        }
    }
}

/// Where the journal of `dir` is, as far as can be known without opening it for writing.
pub(crate) fn file(dir: &Path) -> PathBuf {
    let path = dir.join("journal.db");
    let version = || -> rusqlite::Result<i64> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        schema::header(&Connection::open_with_flags(&path, flags)?, "user_version")
    };
    if version().is_ok_and(|found| found > schema::VERSION) { instead_of_newer(dir) } else { path }
}

/// The journal beside one that a newer flyball wrote.
fn instead_of_newer(dir: &Path) -> PathBuf {
    dir.join(format!("journal-v{}.db", schema::VERSION))
}

/// Opens or begins the journal in `dir`.
pub(crate) fn open(dir: &Path) -> Result<Opened, JournalError> {
    let lock = lock(dir)?;
    take_from_others(dir);
    let path = dir.join("journal.db");
    match usable_or_replaced(dir, &path) {
        Ok((connection, aside)) => Ok(Opened { path, connection, lock, aside }),
        Err(JournalError::Newer { path, found, known }) => {
            let instead = instead_of_newer(dir);
            let begun = instead.symlink_metadata().is_err();
            let (connection, _) = usable_or_replaced(dir, &instead)?;
            let aside = UnusedFile::Newer { path, found, known, instead: instead.clone(), begun };
            Ok(Opened { path: instead, connection, lock, aside: Some(aside) })
        }
        Err(error) => Err(error),
    }
}

/// The journal at `path`; where that is damaged, a new one in its place.
fn usable_or_replaced(
    dir: &Path,
    path: &Path,
) -> Result<(Connection, Option<UnusedFile>), JournalError> {
    let why = match usable(path) {
        Ok(connection) => return Ok((connection, None)),
        Err(Refused::Error(error)) => return Err(error),
        Err(Refused::Damaged(why)) => why,
    };
    let moved_to = move_aside(dir, path).map_err(|error| cannot_keep(dir, &error))?;
    match usable(path) {
        Ok(connection) => Ok((connection, Some(UnusedFile::Damaged { moved_to, why }))),
        Err(Refused::Error(error)) => Err(error),
        Err(Refused::Damaged(why)) => Err(JournalError::Directory { dir: dir.to_owned(), why }),
    }
}

/// A connection that can write, set up but not looked at.
pub(crate) fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    schema::prepare(&connection)?;
    Ok(connection)
}

/// Makes `dir` if need be and takes its lock, which the kernel gives back however the process ends.
fn lock(dir: &Path) -> Result<File, JournalError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(|error| cannot_keep(dir, &error))?;
    let lock = open_lock(&dir.join("journal.lock")).map_err(|error| cannot_keep(dir, &error))?;
    let end = Instant::now() + LOCK_LIMIT;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) if Instant::now() < end => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(TryLockError::WouldBlock) => {
                return Err(JournalError::InUse { dir: dir.to_owned() });
            }
            Err(TryLockError::Error(error)) => return Err(cannot_keep(dir, &error)),
        }
    }
}

/// Log tails of replicas may hold secrets, so files of earlier versions, which every user could
/// read, are made private, too. One of another user stays as it is: the rights of the directory
/// hide it.
fn take_from_others(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with("journal") {
            let _of_another_user = keep_private(&entry.path());
        }
    }
}

fn cannot_keep(dir: &Path, error: &dyn std::error::Error) -> JournalError {
    JournalError::Directory { dir: dir.to_owned(), why: error.to_string() }
}

/// The file at `path` as a sound journal of this version, created if missing.
fn usable(path: &Path) -> Result<Connection, Refused> {
    look_at_files(path)?;
    let new = path.symlink_metadata().is_err();
    let opened = begin(path, new);
    if new && opened.is_err() {
        // Half a file would count as damaged at the next try, and one would be left each minute.
        for suffix in ["-wal", "-shm", ""] {
            let _never_made = fs::remove_file(beside(path, suffix));
        }
    }
    opened
}

fn begin(path: &Path, new: bool) -> Result<Connection, Refused> {
    if new {
        // SQLite gives its log the rights that the file has.
        let made = File::options().write(true).create_new(true).mode(0o600).open(path);
        let dir = path.parent().unwrap_or(path);
        made.map_err(|error| Refused::Error(cannot_keep(dir, &error)))?;
    }
    let mut connection = connect(path)?;
    // Until the file is known to be sound, its log stays beside it as it is.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    make_usable(&mut connection, path)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    Ok(connection)
}

fn make_usable(connection: &mut Connection, path: &Path) -> Result<(), Refused> {
    if schema::is_blank(connection)? {
        // Has to be set before there is anything in the file.
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        use_log(connection, path)?;
        return Ok(schema::create(connection)?);
    }
    if schema::header(connection, "application_id")? != schema::APPLICATION {
        return Err(Refused::Damaged("it is the database of another program".to_owned()));
    }
    let found = schema::header(connection, "user_version")?;
    if found > schema::VERSION {
        let newer = JournalError::Newer { path: path.to_owned(), found, known: schema::VERSION };
        return Err(Refused::Error(newer));
    }
    use_log(connection, path)?;
    check(connection)
}

fn use_log(connection: &Connection, path: &Path) -> Result<(), Refused> {
    if schema::use_log(connection)? {
        Ok(())
    } else {
        Err(Refused::Error(JournalError::NoLog { path: path.to_owned() }))
    }
}

/// What can be known without opening the file.
fn look_at_files(path: &Path) -> Result<(), Refused> {
    let damaged = |why: &str| Err(Refused::Damaged(why.to_owned()));
    match path.symlink_metadata() {
        Ok(file) if file.is_dir() => damaged("it is a directory"),
        Ok(file) if !file.is_file() => damaged("it is not a regular file"),
        Ok(file) if file.len() == 0 => damaged("it is empty"),
        Ok(_) => look_at_header(path),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let log = beside(path, "-wal").metadata().map_or(0, |log| log.len());
            if log > 0 { damaged("only its log exists") } else { Ok(()) }
        }
        Err(error) => {
            let dir = path.parent().unwrap_or(path);
            Err(Refused::Error(cannot_keep(dir, &error)))
        }
    }
}

/// Whether the file begins as every SQLite database does. Checked here, because SQLite would remove
/// a log beside a file that it cannot read.
fn look_at_header(path: &Path) -> Result<(), Refused> {
    let mut header = [0; 16];
    match File::open(path).and_then(|mut file| file.read_exact(&mut header)) {
        Ok(()) if header == *b"SQLite format 3\0" => Ok(()),
        Err(error) if error.kind() != ErrorKind::UnexpectedEof => {
            Err(Refused::Error(cannot_keep(path.parent().unwrap_or(path), &error)))
        }
        _ => Err(Refused::Damaged("it is not a database".to_owned())),
    }
}

/// Looks through the file for as long as [`CHECK_LIMIT`] allows.
fn check(connection: &Connection) -> Result<(), Refused> {
    let end = Instant::now() + CHECK_LIMIT;
    connection.progress_handler(10_000, Some(move || Instant::now() > end))?;
    let verdict = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
    connection.progress_handler(0, None::<fn() -> bool>)?;
    match verdict {
        Ok(verdict) if verdict == "ok" => Ok(()),
        Ok(verdict) => Err(Refused::Damaged(verdict)),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Renames the journal at `path` and its log; gives the new name.
fn move_aside(dir: &Path, path: &Path) -> std::io::Result<PathBuf> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let free = |name: &PathBuf| name.symlink_metadata().is_err();
    let moved_to = (now..now + 1_000)
        .map(|wall_ms| dir.join(format!("journal-damaged-{wall_ms}.db")))
        .find(free)
        .ok_or(ErrorKind::AlreadyExists)?;
    // The log first: if this is cut short, there is never an old log beside a new file.
    for suffix in ["-wal", "-shm", ""] {
        match fs::rename(beside(path, suffix), beside(&moved_to, suffix)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(moved_to)
}

pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
