use std::time::Duration;

use clock_types::Moment;

use super::initiating::TooManyPairs;
use super::waiting::Waiting;
use super::{Pair, Verdict};

/// The receiving server's questions to an authoritative server, on one outgoing stream (§2.1.2).
#[derive(Clone, Debug)]
pub struct Questions {
    open: Waiting<Question>,
}

/// "Is this key yours?": what `from`, `to` and `id` of `<db:verify/>` name together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Question {
    /// Our domain that stanzas are for, and theirs that they claim to come from.
    pub pair: Pair,
    /// The id of the incoming stream that brought the key.
    pub id: String,
}

impl Questions {
    /// Returns a machine that keeps at most `open_max` questions open, each for `patience`.
    #[must_use]
    pub fn new(open_max: usize, patience: Duration) -> Self {
        Self { open: Waiting::new(open_max, patience) }
    }

    /// Notes that we ask.
    ///
    /// # Errors
    /// If too many questions wait.
    pub fn ask(&mut self, question: &Question, now: Moment) -> Result<(), TooManyPairs> {
        if self.open.add(question, now) { Ok(()) } else { Err(TooManyPairs) }
    }

    /// Takes an answer; `None` if nobody asked on this stream.
    pub fn handle_answer(&mut self, question: &Question, verdict: Verdict) -> Option<Verdict> {
        self.open.end(question).then_some(verdict)
    }

    /// Returns the questions whose answer is overdue, and forgets them.
    pub fn handle_timeout(&mut self, now: Moment) -> Vec<Question> {
        self.open.take_overdue(now)
    }

    /// Returns all that is open and forgets it: the stream is gone, and they count as errors (§2.1.2).
    pub fn take_all(&mut self) -> Vec<Question> {
        self.open.take_all()
    }

    /// Tells whether an answer is waited for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Returns when the next answer is overdue.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Moment> {
        self.open.poll_timeout()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use xmpp_types::jid::DomainName;

    fn question(id: &str) -> Question {
        let local = DomainName::parse("us.example").unwrap();
        let remote = DomainName::parse("them.example").unwrap();
        Question { pair: Pair { local, remote }, id: id.into() }
    }

    #[test]
    fn an_answer_fits_only_the_stream_id_that_was_asked_about() {
        let mut questions = Questions::new(2, Duration::from_secs(30));
        questions.ask(&question("1"), Moment::ZERO).unwrap();

        assert_eq!(questions.handle_answer(&question("2"), Verdict::Valid), None);
        assert_eq!(questions.handle_answer(&question("1"), Verdict::Invalid), Some(Verdict::Invalid));
        assert!(questions.is_empty());
    }

    #[test]
    fn what_is_open_when_the_stream_ends_is_handed_back() {
        let mut questions = Questions::new(2, Duration::from_secs(30));
        questions.ask(&question("1"), Moment::ZERO).unwrap();
        questions.ask(&question("2"), Moment::ZERO).unwrap();

        assert_eq!(questions.ask(&question("3"), Moment::ZERO), Err(TooManyPairs));
        assert_eq!(questions.take_all(), [question("1"), question("2")]);
        assert_eq!(questions.poll_timeout(), None);
    }
}
