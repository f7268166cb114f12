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
}

impl Request {
    /// Tells whether a question is out.
    #[must_use]
    pub fn is_out(&self) -> bool {
        self.asked.is_some()
    }

    /// Notes that `<r/>` was sent after stanza `covers`.
    pub fn ask(&mut self, covers: u64, patience: Duration, now: Moment) {
        self.asked = Some(Asked { covers, ping: None, deadline: now + patience });
    }

    /// Notes that a ping with this id was sent after stanza `covers`.
    pub fn ping(&mut self, covers: u64, id: String, patience: Duration, now: Moment) {
        self.asked = Some(Asked { covers, ping: Some(id), deadline: now + patience });
    }

    /// Takes an `<a/>`: an answer to the question, if one is out.
    pub fn answered(&mut self) {
        if self.asked.as_ref().is_some_and(|asked| asked.ping.is_none()) {
            self.asked = None;
        }
    }

    /// Takes the answer to the ping with this id and returns the last stanza that it covers; `None` if
    /// it answers nothing that is out.
    pub fn ping_answered(&mut self, id: &str) -> Option<u64> {
        if self.asked.as_ref()?.ping.as_deref() != Some(id) {
            return None;
        }
        self.asked.take().map(|asked| asked.covers)
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
}
