use std::fmt;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// Why a store cannot be opened; the text says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// The system does not let us have the file.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why, in words.
        reason: String,
    },
    /// Another process has it.
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// It is no store of ours.
    NotAStore {
        /// The file.
        path: PathBuf,
    },
    /// A newer version of the program wrote it.
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: u32,
        /// The newest schema that this program knows.
        known: u32,
    },
    /// Its pages contradict each other.
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite found.
        reason: String,
    },
    /// The disk is full, so that it cannot be recovered.
    DiskFull {
        /// The file.
        path: PathBuf,
    },
}

impl StoreError {
    pub(crate) fn from_sqlite(path: &Path, why: &rusqlite::Error) -> Self {
        let path = path.to_owned();
        match why.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::InUse { path },
            Some(ErrorCode::NotADatabase) => Self::NotAStore { path },
            Some(ErrorCode::DatabaseCorrupt) => Self::Damaged { path, reason: why.to_string() },
            Some(ErrorCode::DiskFull) => Self::DiskFull { path },
            _ => Self::Unreadable { path, reason: why.to_string() },
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, reason } => {
                write!(
                    out,
                    "the store {} cannot be opened: {reason}; see that its directory exists and is ours to write",
                    path.display()
                )
            }
            Self::InUse { path } => {
                write!(
                    out,
                    "the store {} is in use by another process; stop that gateway first, or give this one a store of its own",
                    path.display()
                )
            }
            Self::NotAStore { path } => {
                write!(
                    out,
                    "{} is not a store of gangway; write another path, or move the file away",
                    path.display()
                )
            }
            Self::Newer { path, found, known } => {
                write!(
                    out,
                    "the store {} was written by a newer gangway (schema {found}, this one knows {known}); start that version again",
                    path.display()
                )
            }
            Self::Damaged { path, reason } => {
                write!(
                    out,
                    "the store {0} is damaged ({reason}); keep a copy of it, then try `sqlite3 {0} .recover | sqlite3 recovered.db`; \
                     or move it away: the messages in it are then neither delivered nor reported",
                    path.display()
                )
            }
            Self::DiskFull { path } => {
                write!(out, "the disk of the store {} is full; make room and start again", path.display())
            }
        }
    }
}

impl std::error::Error for StoreError {}
