use std::time::Duration;

use clock_types::Moment;

use super::waiting::Waiting;
use super::{Pair, Trouble, Verdict};

/// The receiving server's side of one incoming stream (§2.2.1): the keys that wait for their verdict.
#[derive(Clone, Debug)]
pub struct Receiving {
    waiting: Waiting<Pair>,
}

/// What to do about a key that came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Ask the sender's own server.
    Ask,
    /// The same pair already waits; its one answer will do.
    Again,
    /// Answer at once.
    Answer(Verdict),
}

impl Receiving {
    /// Returns a machine that lets at most `waiting_max` keys wait, each for `patience`.
    #[must_use]
    pub fn new(waiting_max: usize, patience: Duration) -> Self {
        Self { waiting: Waiting::new(waiting_max, patience) }
    }

    /// Takes a key for a pair that our rules allow to be proved by dialback.
    pub fn handle_key(&mut self, pair: &Pair, now: Moment) -> Heard {
        if self.waiting.has(pair) {
            return Heard::Again;
        }
        if self.waiting.add(pair, now) { Heard::Ask } else { Heard::Answer(Verdict::Error(Trouble::Busy)) }
    }

    /// Takes the verdict of the sender's own server; `None` if no key of this stream waits for it.
    pub fn handle_verdict(&mut self, pair: &Pair, verdict: Verdict) -> Option<Verdict> {
        self.waiting.end(pair).then_some(verdict)
    }

    /// Returns the pairs whose verdict is overdue, and forgets them: they are answered with
    /// `remote-server-timeout`.
    pub fn handle_timeout(&mut self, now: Moment) -> Vec<Pair> {
        self.waiting.take_overdue(now)
    }

    /// Returns when the next verdict is overdue.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Moment> {
        self.waiting.poll_timeout()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use xmpp_types::jid::DomainName;

    fn pair(remote: &str) -> Pair {
        Pair { local: DomainName::parse("us.example").unwrap(), remote: DomainName::parse(remote).unwrap() }
    }

    #[test]
    fn a_key_repeated_while_it_waits_is_asked_about_once() {
        let mut receiving = Receiving::new(2, Duration::from_secs(30));

        assert_eq!(receiving.handle_key(&pair("a.example"), Moment::ZERO), Heard::Ask);
        assert_eq!(receiving.handle_key(&pair("a.example"), Moment::ZERO), Heard::Again);
        assert_eq!(receiving.handle_verdict(&pair("a.example"), Verdict::Valid), Some(Verdict::Valid));
        assert_eq!(receiving.handle_verdict(&pair("a.example"), Verdict::Valid), None);
    }

    #[test]
    fn at_the_bound_a_key_is_refused_and_the_others_go_on() {
        let mut receiving = Receiving::new(1, Duration::from_secs(30));
        receiving.handle_key(&pair("a.example"), Moment::ZERO);

        let heard = receiving.handle_key(&pair("b.example"), Moment::ZERO);

        assert_eq!(heard, Heard::Answer(Verdict::Error(Trouble::Busy)));
        assert_eq!(receiving.handle_timeout(Moment::ZERO + Duration::from_secs(30)), [pair("a.example")]);
    }
}
