//! A node's disk: what was committed outlives a crash, what was not may be gone.

use std::collections::{BTreeMap, VecDeque};

use gateway_role::{
    AcceptedMessage, KeptWatch, MessageKey, NotStored, Record, Recovered, Ticket, WatchDirection, WatchRecord,
};

/// One node's disk.
#[derive(Debug, Default)]
pub struct Disk {
    messages: BTreeMap<MessageKey, (u64, AcceptedMessage)>,
    settled: Vec<(MessageKey, clock_types::Date)>,
    watches: BTreeMap<(WatchDirection, std::sync::Arc<str>), KeptWatch>,
    written: BTreeMap<std::sync::Arc<str>, clock_types::Date>,
    order: u64,
    waiting: VecDeque<(Ticket, Record)>,
    full: bool,
    forgetful: bool,
}

impl Disk {
    /// Takes a record that is not yet durable.
    pub fn write(&mut self, ticket: Ticket, record: Record) {
        self.waiting.push_back((ticket, record));
    }

    /// Makes the oldest waiting record durable, or refuses it.
    pub fn commit_next(&mut self) -> Option<(Ticket, Result<(), NotStored>)> {
        let (ticket, record) = self.waiting.pop_front()?;
        if self.full && matches!(record, Record::Accepted(_) | Record::Watch(_)) {
            return Some((ticket, Err(NotStored { reason: "disk full".to_owned() })));
        }
        self.apply(record);
        Some((ticket, Ok(())))
    }

    /// Lets the disk refuse new messages, or take them again.
    pub fn set_full(&mut self, full: bool) {
        self.full = full;
    }

    /// Lets the disk keep nothing of watches.
    pub fn set_forgetful(&mut self) {
        self.forgetful = true;
    }

    /// Forgets what was not committed; the first `survivors` of it were, but nobody was told.
    pub fn crash(&mut self, survivors: usize) {
        for _ in 0..survivors {
            self.commit_next();
        }
        self.waiting.clear();
    }

    /// Returns how many records are not durable yet.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Returns what the next start finds.
    #[must_use]
    pub fn recovered(&self) -> Recovered {
        let mut unsettled: Vec<_> = self.messages.values().cloned().collect();
        unsettled.sort_by_key(|(order, _)| *order);
        Recovered {
            unsettled: unsettled.into_iter().map(|(_, m)| m).collect(),
            settled: self.settled.clone(),
            watches: self.watches.values().cloned().collect(),
            written: self.written.clone().into_iter().collect(),
        }
    }

    fn apply(&mut self, record: Record) {
        match record {
            Record::Accepted(message) => {
                self.order += 1;
                self.messages.insert(message.key.clone(), (self.order, *message));
            }
            Record::Failed { key, report } => {
                if let Some((_, message)) = self.messages.get_mut(&key) {
                    message.report = Some(report);
                }
            }
            Record::Settled { key, date } => {
                if self.messages.remove(&key).is_some() {
                    self.settled.push((key, date));
                }
            }
            Record::Watch(_) if self.forgetful => {}
            Record::Watch(record) => self.apply_watch(*record),
            Record::Wrote { pair, date } => drop(self.written.insert(pair, date)),
        }
    }

    fn apply_watch(&mut self, record: WatchRecord) {
        match record {
            WatchRecord::Authorisation { direction, pair, authorisation } => {
                let key = (direction, std::sync::Arc::clone(&pair.key));
                let watch =
                    KeptWatch { direction, pair, authorisation, shown: Vec::new(), dialogs: Vec::new() };
                self.watches.entry(key).or_insert(watch).authorisation = authorisation;
            }
            WatchRecord::Forgotten { direction, pair } => {
                self.watches.remove(&(direction, std::sync::Arc::clone(&pair.key)));
            }
            WatchRecord::Dialog { direction, pair, kept } => {
                let tag = kept.tag.clone();
                if let Some(watch) = self.watches.get_mut(&(direction, std::sync::Arc::clone(&pair.key))) {
                    watch.dialogs.retain(|known| !is_named(known, &tag));
                    watch.dialogs.push(*kept);
                }
            }
            WatchRecord::Shown { pair, devices } => {
                let key = (WatchDirection::Outward, std::sync::Arc::clone(&pair.key));
                if let Some(watch) = self.watches.get_mut(&key) {
                    watch.shown = devices;
                }
            }
            WatchRecord::DialogEnded { tag } => {
                for watch in self.watches.values_mut() {
                    watch.dialogs.retain(|known| !is_named(known, &tag));
                }
            }
        }
    }
}

fn is_named(kept: &gateway_role::KeptDialog, tag: &str) -> bool {
    kept.tag == tag
}
