use std::fs::{OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;

use crate::error::StoreError;
use crate::schema;

/// Bounds of a store.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// How many pages of 4 KiB the file may have; beyond them it is as if the disk were full.
    pub pages_max: Option<u32>,
}

/// Opens the file and brings it to today's schema. This is also the recovery after a crash: SQLite
/// plays what the log holds whole and drops a torn end.
pub(crate) fn open(path: &Path, options: Options) -> Result<Connection, StoreError> {
    own(path)?;
    let sqlite = |why: rusqlite::Error| StoreError::from_sqlite(path, &why);
    let mut connection = Connection::open(path).map_err(sqlite)?;
    prepare(&connection, options).map_err(sqlite)?;
    check(path, &connection)?;
    schema::migrate(&mut connection, schema::MIGRATIONS).map_err(|why| why.into_error(path))?;
    Ok(connection)
}

/// Makes the file if there is none; in any case only its owner may read it.
fn own(path: &Path) -> Result<(), StoreError> {
    let unreadable =
        |why: std::io::Error| StoreError::Unreadable { path: path.to_owned(), reason: why.to_string() };
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(unreadable)?;
    file.set_permissions(Permissions::from_mode(0o600)).map_err(unreadable)
}

fn prepare(connection: &Connection, options: Options) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_millis(500))?;
    // One process owns the file; a second one is told so.
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
    connection.pragma_update(None, "cache_size", -16_384)?;
    if let Some(pages) = options.pages_max {
        connection.pragma_update(None, "max_page_count", pages)?;
    }
    connection.set_prepared_statement_cache_capacity(16);
    connection.execute_batch("BEGIN IMMEDIATE; COMMIT;")
}

fn check(path: &Path, connection: &Connection) -> Result<(), StoreError> {
    let sqlite = |why: rusqlite::Error| StoreError::from_sqlite(path, &why);
    let found: String =
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(sqlite)?;
    if found != "ok" {
        return Err(StoreError::Damaged { path: path.to_owned(), reason: found });
    }
    Ok(())
}
