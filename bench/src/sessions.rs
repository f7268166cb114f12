//! Sessions as they are measured: opened and held at a gateway, or opened for the messages that follow.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::pacing::USERS;
use crate::peer::{Command, Opening, Peer};
use crate::process::Process;
use crate::streams::{Held, wait_for};

/// The sessions that a generator has opened.
pub struct Sessions<'a> {
    peer: &'a Peer,
    way: usize,
    asked: usize,
    open: Arc<AtomicUsize>,
    refused: Arc<AtomicUsize>,
}

impl<'a> Sessions<'a> {
    /// Returns none of the sessions that `peer` opens by this way.
    pub fn of(peer: &'a Peer, way: usize) -> Self {
        Self { peer, way, asked: 0, open: Arc::default(), refused: Arc::default() }
    }

    /// Opens one for each pair of users, to write in.
    pub fn open_for_all(&mut self) -> Result<(), String> {
        self.open(USERS as usize)
    }

    fn open(&mut self, count: usize) -> Result<(), String> {
        let (open, refused) = (Arc::clone(&self.open), Arc::clone(&self.refused));
        self.peer.tell(Command::Open(Opening { way: self.way, count, open, refused }));
        self.asked += count;
        wait_for(&self.open, &self.refused, self.asked).map_err(|why| format!("sessions: {why}"))
    }

    /// Opens `count` and measures `process` meanwhile. What is remembered of the requests themselves is forgotten
    /// before memory is looked at, for `rest` long.
    pub fn hold(
        &mut self,
        name: &str,
        process: &Process,
        count: usize,
        rest: Duration,
    ) -> Result<Held, String> {
        // As many are open before: what is built once, and what so many requests take, is not of the sessions.
        self.open(count)?;
        sleep(rest);
        let (memory, used, begun) = (process.resident(), process.used(), Instant::now());
        self.open(count)?;
        let (took, used) = (begun.elapsed().as_secs_f64(), process.used().since(used));
        sleep(rest);
        let grown = process.resident().saturating_sub(memory);
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        let (sessions, grown) = (count as f64, grown as f64);
        Ok(Held {
            name: name.to_owned(),
            streams: count,
            per_second: sessions / took,
            cost: used.sum() * 1e6 / sessions,
            memory: grown / sessions,
        })
    }
}

/// As long as a server remembers what it has answered to an INVITE (RFC 6026, timer L), and somewhat longer.
pub const REST: Duration = Duration::from_secs(45);
