//! What must outlive a process: the gateway's accepted messages and who may see whom, in one SQLite file.
//!
//! One thread owns the file. It takes what is waiting, up to [`GROUP_MAX`] records, commits it at once
//! and tells each batch's owner only after the disk has it (WAL, `synchronous=FULL`). There is no way to
//! stop that leaves another state than a power cut would: [`Store::open`] is the only way back.
//!
//! ```text
//!   submit ─▶ waiting batches ─▶ one transaction ─▶ fsync ─▶ done(Stored), in order
//!                                      └ disk full ─▶ each batch by itself ─▶ done(Refused)
//!                                      └ fsync failed ─▶ done(Fatal), and nothing is written again
//! ```

mod error;
mod open;
mod schema;
mod watch;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;

use gateway_role::{Record, Recovered};

pub use error::StoreError;
pub use open::Options;

/// The handle of an open store.
#[derive(Debug)]
pub struct Store {
    batches: Option<mpsc::Sender<Batch>>,
    waiting: Arc<AtomicUsize>,
    writer: Option<JoinHandle<()>>,
}

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All of it is on the disk.
    Stored,
    /// None of it is; a later batch may fare better.
    Refused {
        /// Why, such as `disk full`.
        reason: String,
    },
    /// Nobody knows how much of it is, and nothing can be written any more: the process must end and
    /// start again, so that what the disk really has is read (never is a failed fsync tried again).
    Fatal {
        /// Why, in words.
        reason: String,
    },
}

pub(crate) struct Batch {
    pub(crate) records: Vec<Record>,
    pub(crate) done: Box<dyn FnOnce(Outcome) + Send>,
}

impl Store {
    /// Opens the store at `path`, or makes it, and returns what it holds.
    ///
    /// # Errors
    /// The file cannot be used; the message says what to do.
    pub fn open(path: &Path) -> Result<(Self, Recovered), StoreError> {
        Self::open_with(path, Options::default())
    }

    /// Opens the store as [`Self::open`] does, within bounds of its own.
    ///
    /// # Errors
    /// The file cannot be used; the message says what to do.
    pub fn open_with(path: &Path, options: Options) -> Result<(Self, Recovered), StoreError> {
        let connection = open::open(path, options)?;
        let recovered = schema::read_all(&connection).map_err(|why| StoreError::from_sqlite(path, &why))?;
        let waiting = Arc::new(AtomicUsize::new(0));
        let (batches, arrivals) = mpsc::channel();
        let writer = writer::Writer::new(connection, arrivals, Arc::clone(&waiting));
        let writer = std::thread::Builder::new()
            .name("store".into())
            .spawn(move || writer.run())
            .map_err(|why| StoreError::Unreadable { path: path.to_owned(), reason: why.to_string() })?;
        Ok((Self { batches: Some(batches), waiting, writer: Some(writer) }, recovered))
    }

    /// Hands over records that become durable together, in order after those of earlier calls. Never
    /// waits; `done` is called from the store's thread, or at once when too much is waiting.
    pub fn submit(&self, records: Vec<Record>, done: impl FnOnce(Outcome) + Send + 'static) {
        let count = records.len();
        let is_new = records.iter().any(|record| matches!(record, Record::Accepted(_)));
        // What ends a message is always taken: there is no more of it than was accepted.
        if is_new && self.waiting.load(Ordering::Relaxed) + count > WAITING_MAX {
            done(Outcome::Refused {
                reason: format!("the disk is too slow: {WAITING_MAX} records wait for it"),
            });
            return;
        }
        self.waiting.fetch_add(count, Ordering::Relaxed);
        let batch = Batch { records, done: Box::new(done) };
        let batches = self.batches.as_ref().expect("the sender is taken only by drop");
        if let Err(mpsc::SendError(batch)) = batches.send(batch) {
            (batch.done)(Outcome::Fatal { reason: "the store has ended".into() });
        }
    }
}

/// Waits until what was handed over is durable and told.
impl Drop for Store {
    fn drop(&mut self) {
        drop(self.batches.take());
        if let Some(writer) = self.writer.take() {
            // A panic there has been reported by its own thread.
            let _ = writer.join();
        }
    }
}

/// How many records one transaction takes at most, but for a batch that is larger by itself.
pub const GROUP_MAX: usize = 256;

/// How many records wait at most before new messages are refused.
pub const WAITING_MAX: usize = 65_536;
