use std::time::Duration;

use clock_types::Moment;

use super::waiting::Waiting;
use super::{Pair, Verdict};

/// The initiating server's side of one outgoing stream (§2.1.1): the pairs that we asked the peer to
/// let us speak for.
#[derive(Clone, Debug)]
pub struct Initiating {
    asked: Waiting<Pair>,
}

/// More pairs are open on the stream than it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyPairs;

impl Initiating {
    /// Returns a machine that keeps at most `pairs_max` questions open, each for `patience`.
    #[must_use]
    pub fn new(pairs_max: usize, patience: Duration) -> Self {
        Self { asked: Waiting::new(pairs_max, patience) }
    }

    /// Notes that we send a key for this pair; `false` if one is already on its way.
    ///
    /// # Errors
    /// If too many pairs wait.
    pub fn ask(&mut self, pair: &Pair, now: Moment) -> Result<bool, TooManyPairs> {
        if self.asked.has(pair) {
            return Ok(false);
        }
        if self.asked.add(pair, now) { Ok(true) } else { Err(TooManyPairs) }
    }

    /// Takes the peer's answer; `None` if nobody asked on this stream, and then it means nothing
    /// (CVE-2012-3525 and its kind).
    pub fn handle_answer(&mut self, pair: &Pair, verdict: Verdict) -> Option<Verdict> {
        self.asked.end(pair).then_some(verdict)
    }

    /// Returns the pairs whose answer is overdue, and forgets them.
    pub fn handle_timeout(&mut self, now: Moment) -> Vec<Pair> {
        self.asked.take_overdue(now)
    }

    /// Returns when the next answer is overdue.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Moment> {
        self.asked.poll_timeout()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use xmpp_types::jid::DomainName;

    fn pair(local: &str) -> Pair {
        Pair { local: DomainName::parse(local).unwrap(), remote: DomainName::parse("them.example").unwrap() }
    }

    #[test]
    fn an_answer_nobody_asked_for_means_nothing() {
        let mut initiating = Initiating::new(4, Duration::from_secs(30));
        initiating.ask(&pair("a.example"), Moment::ZERO).unwrap();

        assert_eq!(initiating.handle_answer(&pair("b.example"), Verdict::Valid), None);
        assert_eq!(initiating.handle_answer(&pair("a.example"), Verdict::Valid), Some(Verdict::Valid));
        assert_eq!(initiating.handle_answer(&pair("a.example"), Verdict::Valid), None);
    }

    #[test]
    fn pairs_are_bounded_and_time_out_one_by_one() {
        let mut initiating = Initiating::new(2, Duration::from_secs(30));
        let later = Moment::ZERO + Duration::from_secs(10);
        assert_eq!(initiating.ask(&pair("a.example"), Moment::ZERO), Ok(true));
        assert_eq!(initiating.ask(&pair("a.example"), later), Ok(false));
        assert_eq!(initiating.ask(&pair("b.example"), later), Ok(true));
        assert_eq!(initiating.ask(&pair("c.example"), later), Err(TooManyPairs));

        let overdue = initiating.handle_timeout(Moment::ZERO + Duration::from_secs(30));

        assert_eq!(overdue, [pair("a.example")]);
        assert_eq!(initiating.poll_timeout(), Some(Moment::ZERO + Duration::from_secs(40)));
    }
}
