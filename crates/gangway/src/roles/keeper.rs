use gateway_role::{NotStored, Record, Ticket};
use net::{Completion, Recorder};
use store::{Outcome, Store};

/// What the gateway hears of one record.
pub type Stored = (Ticket, Result<(), NotStored>);

/// The store as the gateway's driver sees it.
pub struct Keeper {
    store: Store,
}

impl Keeper {
    /// Keeps records in `store`.
    pub fn new(store: Store) -> Self {
        Self { store }
    }
}

impl Recorder<(Ticket, Record), Stored> for Keeper {
    fn commit(&mut self, records: Vec<(Ticket, Record)>, done: Completion<Stored>) {
        for (ticket, record) in records {
            let done = done.clone();
            // Each by itself, so that a full disk refuses new messages and lets old ones end; the store
            // commits together what waits.
            self.store.submit(vec![record], move |outcome| match outcome {
                Outcome::Stored => done.tell((ticket, Ok(()))),
                Outcome::Refused { reason } => done.tell((ticket, Err(NotStored { reason }))),
                Outcome::Fatal { reason } => end(&reason),
            });
        }
    }
}

/// Ends the process at once: what the disk really has is known only after a start, and until then nobody
/// may be told anything.
fn end(reason: &str) -> ! {
    tracing::error!(
        reason,
        "the store cannot be written any more; ending, so that a start reads what the disk has"
    );
    std::process::exit(super::BROKEN.into())
}
