//! The tables, their history, and the conversion of records to rows and back.

use std::path::Path;
use std::time::Duration;

use clock_types::Date;
use gateway_role::{ANSWER_WITHIN, AcceptedMessage, Direction, MessageKey, REMEMBERED, Record, Recovered};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::error::StoreError;
use crate::watch;

/// Each brings a store from the schema before it to its own; the first makes it. Never changed once
/// released: a mistake is mended by the next.
pub(crate) const MIGRATIONS: &[&str] = &[
    include_str!("schema/1.sql"),
    include_str!("schema/2.sql"),
    include_str!("schema/3.sql"),
    include_str!("schema/4.sql"),
];

/// Written into the file's header, so that another program's database is known as one: `gang`.
const APPLICATION_ID: i32 = 0x6761_6e67;

/// Why a file cannot be brought to today's schema.
#[derive(Debug)]
pub(crate) enum NotMigrated {
    Foreign,
    Newer { found: u32, known: u32 },
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for NotMigrated {
    fn from(why: rusqlite::Error) -> Self {
        Self::Sqlite(why)
    }
}

impl NotMigrated {
    pub(crate) fn into_error(self, path: &Path) -> StoreError {
        match self {
            Self::Foreign => StoreError::NotAStore { path: path.to_owned() },
            Self::Newer { found, known } => StoreError::Newer { path: path.to_owned(), found, known },
            Self::Sqlite(why) => StoreError::from_sqlite(path, &why),
        }
    }
}

/// Applies the migrations that the file has not had, each in a transaction.
pub(crate) fn migrate(connection: &mut Connection, migrations: &[&str]) -> Result<(), NotMigrated> {
    let application: i32 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let tables: u32 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application != APPLICATION_ID && tables > 0 {
        return Err(NotMigrated::Foreign);
    }
    let known = u32::try_from(migrations.len()).unwrap_or(u32::MAX);
    let found = if tables == 0 {
        0
    } else {
        let sql = "SELECT max(version) FROM schema_version";
        connection.query_row(sql, [], |row| row.get::<_, Option<u32>>(0)).optional()?.flatten().unwrap_or(0)
    };
    if found > known {
        return Err(NotMigrated::Newer { found, known });
    }
    for (version, sql) in (1_u32..).zip(migrations).filter(|(version, _)| *version > found) {
        let transaction = connection.transaction()?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction
            .execute_batch("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER PRIMARY KEY)")?;
        transaction.execute_batch(sql)?;
        transaction.execute("INSERT INTO schema_version (version) VALUES (?1)", [version])?;
        transaction.commit()?;
    }
    Ok(())
}

/// Returns everything that the file holds, oldest first.
pub(crate) fn read_all(connection: &Connection) -> rusqlite::Result<Recovered> {
    let mut statement = connection.prepare(
        "SELECT key, direction, stanza, report_to, accepted, expires, report FROM message ORDER BY id",
    )?;
    let unsettled = statement.query_map([], |row| {
        Ok(AcceptedMessage {
            key: MessageKey(row.get::<_, String>(0)?.into()),
            direction: if row.get::<_, i64>(1)? == TO_XMPP { Direction::ToXmpp } else { Direction::ToSip },
            stanza: row.get(2)?,
            report_to: row.get(3)?,
            accepted: Date::from_unix_millis(row.get(4)?),
            expires: Date::from_unix_millis(row.get(5)?),
            report: row.get(6)?,
        })
    })?;
    let unsettled = unsettled.collect::<rusqlite::Result<_>>()?;
    let mut statement = connection.prepare("SELECT key, date FROM settled ORDER BY date, key")?;
    let settled = statement.query_map([], |row| {
        Ok((MessageKey(row.get::<_, String>(0)?.into()), Date::from_unix_millis(row.get(1)?)))
    })?;
    let settled = settled.collect::<rusqlite::Result<_>>()?;
    let mut statement = connection.prepare("SELECT pair, date FROM written ORDER BY date, pair")?;
    let written = statement
        .query_map([], |row| Ok((row.get::<_, String>(0)?.into(), Date::from_unix_millis(row.get(1)?))))?;
    let written = written.collect::<rusqlite::Result<_>>()?;
    Ok(Recovered { unsettled, settled, watches: watch::read_all(connection)?, written })
}

/// Applies one record inside the open transaction.
pub(crate) fn apply(connection: &Connection, record: &Record) -> rusqlite::Result<()> {
    match record {
        Record::Accepted(message) => {
            // The same key again is the same message: it is ours already.
            let mut insert = connection.prepare_cached(
                "INSERT INTO message (key, direction, stanza, report_to, accepted, expires, report) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (key) DO NOTHING",
            )?;
            insert.execute(params![
                &*message.key.0,
                match message.direction {
                    Direction::ToXmpp => TO_XMPP,
                    Direction::ToSip => TO_SIP,
                },
                message.stanza,
                message.report_to,
                message.accepted.unix_millis(),
                message.expires.unix_millis(),
                message.report,
            ])?;
        }
        Record::Failed { key, report } => {
            let mut update = connection.prepare_cached("UPDATE message SET report = ?2 WHERE key = ?1")?;
            update.execute(params![&*key.0, report])?;
        }
        Record::Settled { key, date } => {
            connection.prepare_cached("DELETE FROM message WHERE key = ?1")?.execute([&*key.0])?;
            let mut insert = connection
                .prepare_cached("INSERT INTO settled (key, date) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET date = excluded.date")?;
            insert.execute(params![&*key.0, date.unix_millis()])?;
        }
        Record::Watch(record) => watch::apply(connection, record)?,
        Record::Wrote { pair, date } => {
            let mut insert = connection
                .prepare_cached("INSERT INTO written (pair, date) VALUES (?1, ?2) ON CONFLICT (pair) DO UPDATE SET date = excluded.date")?;
            insert.execute(params![&**pair, date.unix_millis()])?;
        }
    }
    Ok(())
}

/// Forgets the keys that no retransmission can come for any more at `date`, and to whom it is too late to answer.
pub(crate) fn forget(connection: &Connection, date: Date) -> rusqlite::Result<()> {
    let before =
        |age: Duration| date.unix_millis().saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
    for (sql, age) in [
        ("DELETE FROM settled WHERE date < ?1", REMEMBERED),
        ("DELETE FROM written WHERE date < ?1", ANSWER_WITHIN),
    ] {
        connection.prepare_cached(sql)?.execute([before(age)])?;
    }
    Ok(())
}

const TO_XMPP: i64 = 1;
const TO_SIP: i64 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_brought_from_each_schema_to_the_next() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, &["CREATE TABLE a (x INTEGER); INSERT INTO a VALUES (7)"]).unwrap();

        let both = ["never run again", "ALTER TABLE a ADD COLUMN y INTEGER NOT NULL DEFAULT 1"];
        migrate(&mut connection, &both).unwrap();
        migrate(&mut connection, &both).unwrap();

        let row = connection.query_row("SELECT x, y FROM a", [], |row| Ok((row.get(0)?, row.get(1)?)));
        assert_eq!(row, Ok((7, 1)));
    }

    #[test]
    fn a_migration_that_breaks_off_leaves_the_schema_before() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, &["CREATE TABLE a (x INTEGER)"]).unwrap();

        let broken = migrate(&mut connection, &["", "CREATE TABLE b (x INTEGER); NOT SQL"]);

        assert!(matches!(broken, Err(NotMigrated::Sqlite(_))), "{broken:?}");
        let tables: u32 = connection
            .query_row("SELECT count(*) FROM sqlite_schema WHERE name = 'b'", [], |row| row.get(0))
            .unwrap();
        assert_eq!(tables, 0);
        migrate(&mut connection, &["", "CREATE TABLE b (x INTEGER)"]).unwrap();
    }

    #[test]
    fn a_newer_schema_is_refused() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, &["CREATE TABLE a (x INTEGER)", ""]).unwrap();

        let refused = migrate(&mut connection, &["CREATE TABLE a (x INTEGER)"]);

        assert!(matches!(refused, Err(NotMigrated::Newer { found: 2, known: 1 })), "{refused:?}");
    }

    #[test]
    fn another_programs_database_is_not_touched() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE theirs (x INTEGER)").unwrap();

        let refused = migrate(&mut connection, MIGRATIONS);

        assert!(matches!(refused, Err(NotMigrated::Foreign)), "{refused:?}");
    }
}
