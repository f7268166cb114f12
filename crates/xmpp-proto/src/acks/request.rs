use std::time::Duration;

use clock_types::Moment;

/// The one outstanding question "how far are you?": an `<r/>` or a ping. It covers what was sent
/// before it; while it is out, no other is asked.
#[derive(Clone, Debug, Default)]
pub struct Request {
    asked: Option<Asked>,
}

#[derive(Clone, Debug)]
struct Asked {
    /// The last stanza before the question.
    covers: u64,
    /// The ping's id; `None` for an `<r/>`.
    ping: Option<String>,
    deadline: Moment,
    patience: Duration,
    /// When it was asked first.
    since: Moment,
    /// An answer came that did not cover everything: when to ask again.
    again: Option<Moment>,
    /// When it was asked.
    at: Moment,
}

/// How soon a peer that has not taken everything is asked again; one that tells by itself is not.
const REPEAT: Duration = Duration::from_secs(1);
/// How long a peer that lives may take to acknowledge what it was asked about. A gateway waits for its own
/// far side, and a SIP transaction may last 32 seconds.
const PATIENCE_MAX: Duration = Duration::from_secs(120);

impl Asked {
    fn new(covers: u64, ping: Option<String>, patience: Duration, now: Moment) -> Self {
        Self { covers, ping, deadline: now + patience, patience, since: now, again: None, at: now }
    }
}

impl Request {
    /// Tells whether a question is out.
    #[must_use]
    pub fn is_out(&self) -> bool {
        self.asked.is_some()
    }

    /// Notes that `<r/>` was sent after stanza `covers`.
    pub fn ask(&mut self, covers: u64, patience: Duration, now: Moment) {
        self.asked = Some(Asked::new(covers, None, patience, now));
    }

    /// Notes that a ping with this id was sent after stanza `covers`.
    pub fn ping(&mut self, covers: u64, id: String, patience: Duration, now: Moment) {
        self.asked = Some(Asked::new(covers, Some(id), patience, now));
    }

    /// Takes an `<a/>`: an answer to the question, if one is out.
    pub fn answered(&mut self) {
        if self.asked.as_ref().is_some_and(|asked| asked.ping.is_none()) {
            self.asked = None;
        }
    }

    /// Takes an `<a/>` after which everything up to `acknowledged` is. If that is less than was asked about,
    /// the question stays out: asking again at once would only be answered the same, without end. A peer that
    /// answers lives, so patience begins anew, but not for ever.
    pub fn answered_up_to(&mut self, acknowledged: u64, now: Moment) {
        match &mut self.asked {
            Some(asked) if asked.ping.is_none() && acknowledged < asked.covers => {
                asked.again = Some(asked.at + REPEAT);
                asked.deadline = (now + asked.patience).min(asked.since + PATIENCE_MAX);
            }
            Some(_) | None => self.answered(),
        }
    }

    /// Asks about the same once more, with the patience that is left.
    pub fn ask_again(&mut self, now: Moment) {
        if let Some(asked) = &mut self.asked {
            asked.at = now;
            asked.again = None;
        }
    }

    /// Returns when to ask again.
    #[must_use]
    pub fn again(&self) -> Option<Moment> {
        self.asked.as_ref()?.again
    }

    /// Takes the answer to the ping with this id and returns the last stanza that it covers; `None` if
    /// it answers nothing that is out.
    pub fn ping_answered(&mut self, id: &str) -> Option<u64> {
        if self.asked.as_ref()?.ping.as_deref() != Some(id) {
            return None;
        }
        self.asked.take().map(|asked| asked.covers)
    }

    /// Returns when the question was asked first.
    #[must_use]
    pub fn since(&self) -> Option<Moment> {
        self.asked.as_ref().map(|asked| asked.since)
    }

    /// Returns when patience ends.
    #[must_use]
    pub fn deadline(&self) -> Option<Moment> {
        self.asked.as_ref().map(|asked| asked.deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_answer_settles_a_ping() {
        let mut request = Request::default();
        request.ping(7, "ping-1".into(), Duration::from_secs(30), Moment::ZERO);

        request.answered();
        assert_eq!(request.ping_answered("ping-2"), None);
        assert!(request.is_out());
        assert_eq!(request.ping_answered("ping-1"), Some(7));
        assert_eq!(request.ping_answered("ping-1"), None);
    }

    #[test]
    fn patience_ends_at_its_time() {
        let mut request = Request::default();
        request.ask(1, Duration::from_secs(30), Moment::ZERO);

        assert_eq!(request.deadline(), Some(Moment::ZERO + Duration::from_secs(30)));
        request.answered();
        assert_eq!(request.deadline(), None);
    }

    #[test]
    fn an_answer_in_part_leaves_the_question_out_and_is_asked_again_later() {
        let mut request = Request::default();
        request.ask(2, Duration::from_secs(30), Moment::ZERO);

        request.answered_up_to(1, Moment::ZERO);
        assert!(request.is_out());
        assert_eq!(request.again(), Some(Moment::ZERO + REPEAT));
        request.ask_again(Moment::ZERO + REPEAT);
        assert_eq!(request.again(), None);
        assert_eq!(request.deadline(), Some(Moment::ZERO + Duration::from_secs(30)));
        request.answered_up_to(2, Moment::ZERO);
        assert!(!request.is_out());
    }

    #[test]
    fn a_peer_that_is_at_work_is_asked_again_but_not_for_ever() {
        let at = |seconds| Moment::ZERO + Duration::from_secs(seconds);
        let mut request = Request::default();
        request.ask(3, Duration::from_secs(30), at(0));

        let mut asked = 0;
        let mut now = at(0);
        while request.deadline().is_some_and(|deadline| deadline > now) {
            request.answered_up_to(2, now);
            now = request.again().unwrap();
            request.ask_again(now);
            asked += 1;
        }

        assert_eq!((asked, now), (120, at(120)));
        request.answered_up_to(3, now);
        assert!(!request.is_out());
    }
}
