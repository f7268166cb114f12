//! What became of each message of one run: the generators write here, and nothing else is believed.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// How messages are offered.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// So many are under way at any time: as fast as their ends come back.
    Window(usize),
    /// One after the other at this interval, whatever becomes of them.
    Every(Duration),
}

/// One run.
#[derive(Debug)]
pub struct Run {
    /// How messages are offered.
    pub pace: Pace,
    /// For how long they are.
    pub lasts: Duration,
    begun: Instant,
    next: AtomicU32,
    messages: Box<[Message]>,
    arrived: AtomicU32,
    settled: AtomicU32,
    is_offered: AtomicBool,
    repeated: AtomicU32,
    retransmitted: AtomicU32,
    refused: AtomicU32,
    strange: AtomicU32,
}

/// Nanoseconds since the run began, 0 for never.
#[derive(Debug, Default)]
struct Message {
    sent: AtomicU64,
    arrived: AtomicU64,
    settled: AtomicU64,
}

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Messages offered.
    pub sent: u32,
    /// Messages that arrived, and whose sender was told so.
    pub delivered: u32,
    /// Messages that arrived a second time.
    pub repeated: u32,
    /// Datagrams that came again.
    pub retransmitted: u32,
    /// Messages whose sender was told that they failed.
    pub refused: u32,
    /// Messages that were never sent in this run.
    pub strange: u32,
    /// From the first sent to the last settled.
    pub took: Duration,
    /// From sent to arrived, sorted.
    pub one_way: Vec<Duration>,
    /// From sent until the sender was told, sorted.
    pub told: Vec<Duration>,
}

impl Run {
    /// Returns a run of at most `most` messages that begins at once.
    pub fn new(pace: Pace, lasts: Duration, most: usize) -> Self {
        let messages = std::iter::repeat_with(Message::default).take(most).collect();
        Self {
            pace,
            lasts,
            begun: Instant::now(),
            next: AtomicU32::new(0),
            messages,
            arrived: AtomicU32::new(0),
            settled: AtomicU32::new(0),
            is_offered: AtomicBool::new(false),
            repeated: AtomicU32::new(0),
            retransmitted: AtomicU32::new(0),
            refused: AtomicU32::new(0),
            strange: AtomicU32::new(0),
        }
    }

    /// Returns the number of the next message to send, and notes when that was; none when the run is over.
    pub fn begin(&self) -> Option<u32> {
        let number = self.next.load(Relaxed);
        let Some(message) = self.messages.get(number as usize).filter(|_| self.begun.elapsed() < self.lasts)
        else {
            self.is_offered.store(true, Relaxed);
            return None;
        };
        self.next.store(number + 1, Relaxed);
        message.sent.store(self.now(), Relaxed);
        Some(number)
    }

    /// Notes that a message has arrived at its receiver.
    pub fn arrived(&self, number: u32) {
        self.arrived_or(number, &self.repeated);
    }

    /// Notes that a message has arrived by datagram: one that was lost, or is answered late, is sent again
    /// (RFC 3261 §17.1.2.2), which is no second message.
    pub fn arrived_by_datagram(&self, number: u32) {
        self.arrived_or(number, &self.retransmitted);
    }

    fn arrived_or(&self, number: u32, again: &AtomicU32) {
        match self.messages.get(number as usize) {
            Some(message) if message.arrived.load(Relaxed) == 0 => {
                message.arrived.store(self.now(), Relaxed);
                self.arrived.fetch_add(1, Relaxed);
            }
            Some(_) => _ = again.fetch_add(1, Relaxed),
            None => self.strange(),
        }
    }

    /// Notes that the sender was told that a message was delivered.
    pub fn settled(&self, number: u32) {
        if let Some(message) = self.messages.get(number as usize)
            && message.settled.load(Relaxed) == 0
        {
            message.settled.store(self.now(), Relaxed);
            self.settled.fetch_add(1, Relaxed);
        }
    }

    /// Notes that the sender was told that a message was not delivered.
    pub fn refused(&self, number: u32) {
        self.refused.fetch_add(1, Relaxed);
        self.settled(number);
    }

    /// Notes something that nobody should have sent.
    pub fn strange(&self) {
        self.strange.fetch_add(1, Relaxed);
    }

    /// Tells whether everything was offered, has arrived or was refused, and every sender was told.
    pub fn is_over(&self) -> bool {
        let [next, settled, arrived, refused] =
            [&self.next, &self.settled, &self.arrived, &self.refused].map(|count| count.load(Relaxed));
        self.is_offered.load(Relaxed) && settled == next && arrived + refused >= next
    }

    /// Tells whether as long has passed as the run lasts, and `more` besides.
    pub fn is_late(&self, more: Duration) -> bool {
        self.begun.elapsed() > self.lasts + more
    }

    /// Adds up.
    pub fn outcome(&self) -> Outcome {
        let sent = self.next.load(Relaxed);
        let mut outcome = Outcome {
            sent,
            repeated: self.repeated.load(Relaxed),
            retransmitted: self.retransmitted.load(Relaxed),
            refused: self.refused.load(Relaxed),
            strange: self.strange.load(Relaxed),
            ..Outcome::default()
        };
        let mut last = 0;
        for message in &self.messages[..sent as usize] {
            let [sent, arrived, settled] =
                [&message.sent, &message.arrived, &message.settled].map(|time| time.load(Relaxed));
            if arrived > 0 && settled > 0 {
                outcome.delivered += 1;
                outcome.one_way.push(Duration::from_nanos(arrived.saturating_sub(sent)));
                outcome.told.push(Duration::from_nanos(settled - sent));
            }
            last = last.max(settled).max(arrived);
        }
        let first = self.messages.first().map_or(0, |message| message.sent.load(Relaxed));
        outcome.took = Duration::from_nanos(last.saturating_sub(first));
        outcome.one_way.sort_unstable();
        outcome.told.sort_unstable();
        outcome
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX).max(1)
    }
}

impl Outcome {
    /// Tells whether every message arrived once and every sender was told so.
    pub fn is_whole(&self) -> bool {
        self.sent > 0
            && self.delivered == self.sent
            && self.refused == 0
            && self.repeated == 0
            && self.strange == 0
    }

    /// Returns delivered messages a second.
    pub fn rate(&self) -> f64 {
        f64::from(self.delivered) / self.took.as_secs_f64().max(1e-9)
    }
}

/// Returns the time that `share` of sorted times do not exceed.
pub fn percentile(sorted: &[Duration], share: f64) -> Duration {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a place in a list that fits into memory"
    )]
    let place = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(place.saturating_sub(1)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_arrived_and_was_not_told_is_not_counted() {
        let run = Run::new(Pace::Window(2), Duration::from_secs(60), 2);
        let (first, second) = (run.begin().unwrap(), run.begin().unwrap());
        assert_eq!(run.begin(), None);

        run.arrived(first);
        run.settled(first);
        run.arrived(second);

        assert!(!run.is_over());
        assert_eq!(run.outcome().delivered, 1);
        assert!(!run.outcome().is_whole());
        run.settled(second);
        assert!(run.is_over());
        assert!(run.outcome().is_whole());
    }

    #[test]
    fn what_arrives_twice_is_noted() {
        let run = Run::new(Pace::Window(1), Duration::from_secs(60), 1);
        let number = run.begin().unwrap();

        run.arrived(number);
        run.arrived(number);
        run.settled(number);

        assert_eq!(run.outcome().repeated, 1);
        assert!(!run.outcome().is_whole());
    }

    #[test]
    fn a_percentile_is_one_of_the_times() {
        let times: Vec<_> = (1..=100).map(Duration::from_millis).collect();

        assert_eq!(percentile(&times, 0.5), Duration::from_millis(50));
        assert_eq!(percentile(&times, 0.99), Duration::from_millis(99));
        assert_eq!(percentile(&[], 0.5), Duration::ZERO);
    }
}
