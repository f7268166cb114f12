use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Receiver;

use clock_types::Date;
use gateway_role::Record;
use rusqlite::{Connection, ErrorCode};

use crate::{Batch, GROUP_MAX, Outcome, schema};

/// The thread that owns the file.
pub(crate) struct Writer {
    connection: Connection,
    arrivals: Receiver<Batch>,
    waiting: Arc<AtomicUsize>,
}

/// Why a transaction is not on the disk.
enum Trouble {
    /// The file is as it was before.
    Refused(String),
    /// Nobody knows how the file is.
    Fatal(String),
}

impl Writer {
    pub(crate) fn new(connection: Connection, arrivals: Receiver<Batch>, waiting: Arc<AtomicUsize>) -> Self {
        Self { connection, arrivals, waiting }
    }

    /// Works until every handle is gone and all is told.
    pub(crate) fn run(self) {
        while let Ok(first) = self.arrivals.recv() {
            let mut group = vec![first];
            let mut count = group[0].records.len();
            while count < GROUP_MAX {
                let Ok(next) = self.arrivals.try_recv() else { break };
                count += next.records.len();
                group.push(next);
            }
            self.waiting.fetch_sub(count, Ordering::Relaxed);
            if let Err(reason) = self.settle(group) {
                return self.refuse_all(&reason);
            }
        }
    }

    /// Commits a group and tells its owners; in trouble each batch has its own try.
    fn settle(&self, group: Vec<Batch>) -> Result<(), String> {
        let alone = group.len() == 1;
        let records = group.iter().flat_map(|batch| &batch.records);
        match self.commit(records) {
            Ok(()) => group.into_iter().for_each(|batch| (batch.done)(Outcome::Stored)),
            Err(Trouble::Refused(reason)) if alone => {
                group.into_iter().for_each(|batch| (batch.done)(Outcome::Refused { reason: reason.clone() }));
            }
            // One batch too large for the disk must not take the others with it.
            Err(Trouble::Refused(_)) => {
                let mut group = group.into_iter();
                while let Some(batch) = group.next() {
                    if let Err(reason) = self.settle(vec![batch]) {
                        group.for_each(|batch| (batch.done)(Outcome::Fatal { reason: reason.clone() }));
                        return Err(reason);
                    }
                }
            }
            Err(Trouble::Fatal(reason)) => {
                group.into_iter().for_each(|batch| (batch.done)(Outcome::Fatal { reason: reason.clone() }));
                return Err(reason);
            }
        }
        Ok(())
    }

    fn commit<'a>(&self, records: impl Iterator<Item = &'a Record>) -> Result<(), Trouble> {
        let mut latest: Option<Date> = None;
        let written = self.connection.execute_batch("BEGIN IMMEDIATE").and_then(|()| {
            for record in records {
                schema::apply(&self.connection, record)?;
                if let Record::Settled { date, .. } | Record::Wrote { date, .. } = record {
                    latest = latest.max(Some(*date));
                }
            }
            latest.map_or(Ok(()), |date| schema::forget(&self.connection, date))
        });
        if let Err(why) = written.and_then(|()| self.connection.execute_batch("COMMIT")) {
            let trouble = trouble(&why);
            if !self.connection.is_autocommit() {
                // If even this fails, the next BEGIN tells.
                let _ = self.connection.execute_batch("ROLLBACK");
            }
            return Err(trouble);
        }
        Ok(())
    }

    fn refuse_all(self, reason: &str) {
        while let Ok(batch) = self.arrivals.recv() {
            self.waiting.fetch_sub(batch.records.len(), Ordering::Relaxed);
            (batch.done)(Outcome::Fatal { reason: reason.to_owned() });
        }
    }
}

fn trouble(why: &rusqlite::Error) -> Trouble {
    match why.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Trouble::Refused("disk full".into()),
        Some(
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::OutOfMemory | ErrorCode::TooBig,
        ) => Trouble::Refused(why.to_string()),
        // After a failed write or fsync the system may have dropped pages that it calls clean: what the
        // disk has is known only after it is read again.
        _ => Trouble::Fatal(why.to_string()),
    }
}
