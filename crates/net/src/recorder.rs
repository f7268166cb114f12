use std::fmt;
use std::sync::Arc;

/// Where a role's records go: the handle of a store.
pub trait Recorder<Record, Stored>: Send {
    /// Takes the records of one turn, in order, and tells `done` what became of them.
    ///
    /// It must not wait: it hands over and returns. The role itself holds back what it may only say
    /// once the records are durable; it hears of that by `handle_stored`.
    fn commit(&mut self, records: Vec<Record>, done: Completion<Stored>);
}

/// Brings the outcome of records back to the role that made them; for any thread.
pub struct Completion<Stored> {
    tell: Arc<dyn Fn(Stored) + Send + Sync>,
}

impl<Stored> Completion<Stored> {
    pub(crate) fn new(tell: Arc<dyn Fn(Stored) + Send + Sync>) -> Self {
        Self { tell }
    }

    /// Tells the role one outcome, without waiting. A batch may have several; once the role is gone they
    /// are for nobody.
    pub fn tell(&self, stored: Stored) {
        (self.tell)(stored);
    }
}

impl<Stored> Clone for Completion<Stored> {
    fn clone(&self) -> Self {
        Self { tell: Arc::clone(&self.tell) }
    }
}

impl<Stored> fmt::Debug for Completion<Stored> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Completion")
    }
}

/// A recorder for roles that record nothing; it keeps nothing and tells nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Forgetful;

impl<Record, Stored> Recorder<Record, Stored> for Forgetful {
    fn commit(&mut self, _records: Vec<Record>, _done: Completion<Stored>) {}
}
