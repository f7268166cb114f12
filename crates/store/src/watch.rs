//! Watches as rows.

use std::collections::HashMap;
use std::sync::Arc;

use clock_types::Date;
use gateway_role::{Authorisation, KeptDialog, KeptWatch, Pair, WatchDirection, WatchRecord};
use rusqlite::{Connection, Row, params};

/// Applies one change inside the open transaction.
pub(crate) fn apply(connection: &Connection, record: &WatchRecord) -> rusqlite::Result<()> {
    match record {
        WatchRecord::Authorisation { direction, pair, authorisation } => {
            let mut insert = connection.prepare_cached(
                "INSERT INTO watch (direction, pair, authorisation) VALUES (?1, ?2, ?3) \
                 ON CONFLICT DO UPDATE SET authorisation = excluded.authorisation",
            )?;
            let authorisation = row_of_authorisation(*authorisation);
            insert.execute(params![row_of_direction(*direction), &*pair.key, authorisation])?;
        }
        WatchRecord::Forgotten { direction, pair } => {
            let key = params![row_of_direction(*direction), &*pair.key];
            for sql in [
                "DELETE FROM watch WHERE direction = ?1 AND pair = ?2",
                "DELETE FROM dialog WHERE direction = ?1 AND pair = ?2",
            ] {
                connection.prepare_cached(sql)?.execute(key)?;
            }
            if *direction == WatchDirection::Outward {
                show(connection, pair, &[])?;
            }
        }
        WatchRecord::Shown { pair, devices } => show(connection, pair, devices)?,
        WatchRecord::Dialog { direction, pair, kept } => keep(connection, *direction, pair, kept)?,
        WatchRecord::DialogEnded { tag } => {
            connection.prepare_cached("DELETE FROM dialog WHERE tag = ?1")?.execute([&**tag])?;
        }
    }
    Ok(())
}

fn show(connection: &Connection, pair: &Pair, devices: &[Box<str>]) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM shown WHERE pair = ?1")?.execute([&*pair.key])?;
    let mut insert =
        connection.prepare_cached("INSERT OR IGNORE INTO shown (pair, device) VALUES (?1, ?2)")?;
    devices.iter().try_for_each(|device| insert.execute([&*pair.key, device]).map(drop))
}

fn keep(
    connection: &Connection,
    direction: WatchDirection,
    pair: &Pair,
    kept: &KeptDialog,
) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT OR REPLACE INTO dialog (tag, direction, pair, call_id, local, remote, local_seq, remote_seq, \
         target, routes, secure, event, authorised, expires) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    )?;
    insert.execute(params![
        kept.tag,
        row_of_direction(direction),
        &*pair.key,
        kept.call_id,
        kept.local,
        kept.remote,
        kept.local_seq,
        kept.remote_seq,
        kept.target,
        kept.routes.join(&b'\n'),
        kept.secure,
        kept.event,
        kept.authorised,
        kept.expires.unix_millis(),
    ])?;
    Ok(())
}

/// Returns all watches. A row that does not say what a row says, because somebody wrote into the file, is left out.
pub(crate) fn read_all(connection: &Connection) -> rusqlite::Result<Vec<KeptWatch>> {
    let mut dialogs = read_dialogs(connection)?;
    let mut shown = read_shown(connection)?;
    let mut statement =
        connection.prepare("SELECT direction, pair, authorisation FROM watch ORDER BY direction, pair")?;
    let mut rows = statement.query([])?;
    let mut watches = Vec::with_capacity(dialogs.len());
    while let Some(row) = rows.next()? {
        let name: (i64, String) = (row.get(0)?, row.get(1)?);
        let dialogs = dialogs.remove(&name).unwrap_or_default();
        let (direction, key) = (direction_of_row(name.0), name.1);
        let shown = match direction {
            Some(WatchDirection::Outward) => shown.remove(&key).unwrap_or_default(),
            _ => Vec::new(),
        };
        let read = (direction, Pair::of_key(&key), authorisation_of_row(row.get(2)?));
        if let (Some(direction), Some(pair), Some(authorisation)) = read {
            watches.push(KeptWatch { direction, pair: Arc::new(pair), authorisation, shown, dialogs });
        }
    }
    Ok(watches)
}

fn read_shown(connection: &Connection) -> rusqlite::Result<HashMap<String, Vec<Box<str>>>> {
    let mut statement = connection.prepare("SELECT pair, device FROM shown ORDER BY pair, device")?;
    let mut rows = statement.query([])?;
    let mut shown: HashMap<String, Vec<Box<str>>> = HashMap::new();
    while let Some(row) = rows.next()? {
        shown.entry(row.get(0)?).or_insert_with(one).push(row.get(1)?);
    }
    Ok(shown)
}

/// Reads the table as it lies: in the order of the index each row would be looked up by itself.
fn read_dialogs(connection: &Connection) -> rusqlite::Result<HashMap<(i64, String), Vec<KeptDialog>>> {
    let mut statement = connection.prepare(
        "SELECT direction, pair, tag, call_id, local, remote, local_seq, remote_seq, target, routes, secure, event, \
         authorised, expires FROM dialog NOT INDEXED ORDER BY tag",
    )?;
    let mut rows = statement.query([])?;
    let mut dialogs: HashMap<(i64, String), Vec<KeptDialog>> = HashMap::new();
    while let Some(row) = rows.next()? {
        dialogs.entry((row.get(0)?, row.get(1)?)).or_insert_with(one).push(dialog_of(row)?);
    }
    Ok(dialogs)
}

/// Most users have one device and one program, and there are very many: no room is made for more.
fn one<T>() -> Vec<T> {
    Vec::with_capacity(1)
}

fn dialog_of(row: &Row<'_>) -> rusqlite::Result<KeptDialog> {
    let routes: Vec<u8> = row.get(9)?;
    let routes = routes.split(|octet| *octet == b'\n').filter(|route| !route.is_empty());
    Ok(KeptDialog {
        tag: row.get(2)?,
        call_id: row.get(3)?,
        local: row.get(4)?,
        remote: row.get(5)?,
        local_seq: row.get(6)?,
        remote_seq: row.get(7)?,
        target: row.get(8)?,
        routes: routes.map(<[u8]>::to_vec).collect(),
        secure: row.get(10)?,
        event: row.get(11)?,
        authorised: row.get(12)?,
        expires: Date::from_unix_millis(row.get(13)?),
    })
}

const fn row_of_direction(direction: WatchDirection) -> i64 {
    match direction {
        WatchDirection::Outward => 1,
        WatchDirection::Inward => 2,
    }
}

const fn direction_of_row(row: i64) -> Option<WatchDirection> {
    match row {
        1 => Some(WatchDirection::Outward),
        2 => Some(WatchDirection::Inward),
        _ => None,
    }
}

const fn row_of_authorisation(authorisation: Authorisation) -> i64 {
    match authorisation {
        Authorisation::Pending => 1,
        Authorisation::Granted => 2,
        Authorisation::Denied => 3,
    }
}

const fn authorisation_of_row(row: i64) -> Option<Authorisation> {
    match row {
        1 => Some(Authorisation::Pending),
        2 => Some(Authorisation::Granted),
        3 => Some(Authorisation::Denied),
        _ => None,
    }
}
