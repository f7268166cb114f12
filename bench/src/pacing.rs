//! When a sender may send the next message.

use std::sync::Arc;

use clock_types::{Moment, Now};

use crate::ledger::{Pace, Run};

/// The sender's side of a run.
#[derive(Debug)]
pub struct Sending {
    /// The run.
    pub run: Arc<Run>,
    /// Which way.
    pub way: usize,
    due: Option<Moment>,
}

impl Sending {
    /// Begins; returns how many messages may leave at once.
    pub fn begin(run: Arc<Run>, way: usize, now: Now) -> (Self, usize) {
        match run.pace {
            Pace::Window(window) => (Self { run, way, due: None }, window),
            Pace::Every(_) => (Self { run, way, due: Some(now.moment) }, 0),
        }
    }

    /// Returns how many messages may leave because one has come to its end.
    pub fn after_one_settled(&self) -> usize {
        usize::from(matches!(self.run.pace, Pace::Window(_)))
    }

    /// Returns how many are due by the clock.
    pub fn due(&mut self, now: Now) -> usize {
        let (Pace::Every(interval), Some(due)) = (self.run.pace, &mut self.due) else { return 0 };
        let mut count = 0;
        while *due <= now.moment {
            *due += interval;
            count += 1;
        }
        count
    }

    /// Ends what the clock does: nothing more is to be sent.
    pub fn end(&mut self) {
        self.due = None;
    }

    /// Returns when to ask again.
    pub fn next(&self) -> Option<Moment> {
        self.due
    }
}

/// The text of a message: its number first, and then what people might write.
pub fn text(number: u32) -> String {
    format!("{number:010} Shall I compare thee to a summer's day? Thou art more lovely and more temperate.")
}

/// Returns the number that a text begins with.
pub fn number_of(text: &[u8]) -> Option<u32> {
    std::str::from_utf8(text.get(..10)?).ok()?.parse().ok()
}

/// How many users write, and to how many others: each pair keeps its order, and has one request on its way
/// (RFC 3428 §8).
pub const USERS: u32 = 2000;
