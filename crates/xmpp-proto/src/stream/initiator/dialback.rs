//! Dialback at the initiating end: being believed, and asking for others (XEP-0220 §2.1).

use clock_types::Now;
use xmpp_types::dialback::{Dialback, DialbackAnswer, DialbackWhat};
use xmpp_types::jid::DomainName;
use xmpp_types::xml::Element;

use super::{Initiator, Output, Phase, Purpose};
use crate::dialback::{Pair, Question, Trouble, Verdict};
use crate::failure::{Failure, Stage};

impl Initiator {
    /// Sends our key, unless the stream is only for questions.
    pub(super) fn prove_by_dialback(&mut self, now: Now) {
        let Some(id) = self.stream_id.clone() else {
            return self.fail(Failure::new(Stage::Stream, "the partner's stream header has no id"));
        };
        if self.approach.purpose == Purpose::Ask {
            self.phase = Phase::Asking;
            return self.ask_held(now);
        }
        let pair = self.approach.pair.clone();
        if self.initiating.ask(&pair, now.moment) != Ok(true) {
            return;
        }
        let key = self.secret.key(&pair, &id);
        let (from, to) = (pair.local.as_str().into(), pair.remote.as_str().into());
        let what = DialbackWhat::ResultKey(key.into());
        self.wire.print(&Dialback { from, to, what }.to_element());
        self.phase = Phase::DialingBack;
        self.ask_held(now);
    }

    /// Puts the questions that wait on the wire, once the stream bears them.
    pub(super) fn ask_held(&mut self, now: Now) {
        if !matches!(self.phase, Phase::DialingBack | Phase::Asking | Phase::Resuming | Phase::Ready) {
            return;
        }
        for (question, key) in std::mem::take(&mut self.held_questions) {
            if self.questions.ask(&question, now.moment).is_err() {
                self.outputs.push_back(Output::Verdict(question, Verdict::Error(Trouble::Busy)));
                continue;
            }
            let (from, to) = (question.pair.local.as_str().into(), question.pair.remote.as_str().into());
            let what = DialbackWhat::VerifyKey { id: question.id.into(), key: key.into() };
            self.wire.print(&Dialback { from, to, what }.to_element());
        }
    }

    pub(super) fn handle_dialback(&mut self, element: &Element, now: Now) {
        let Ok(said) = Dialback::from_element(element) else { return };
        let (Ok(remote), Ok(local)) = (DomainName::parse(&said.from), DomainName::parse(&said.to)) else {
            return;
        };
        let pair = Pair { local, remote };
        match said.what {
            DialbackWhat::ResultAnswer(answer) => {
                // An answer that nobody asked for on this stream means nothing (§3.1).
                let Some(verdict) = self.initiating.handle_answer(&pair, verdict_of(answer)) else { return };
                self.conclude(verdict, now);
            }
            DialbackWhat::VerifyAnswer { id, answer } => {
                let question = Question { pair, id: id.to_string() };
                let Some(verdict) = self.questions.handle_answer(&question, verdict_of(answer)) else {
                    return;
                };
                self.outputs.push_back(Output::Verdict(question, verdict));
                self.close_if_answered();
            }
            // Requests belong on the streams that the partner opens.
            DialbackWhat::ResultKey(_) | DialbackWhat::VerifyKey { .. } => {}
        }
    }

    fn conclude(&mut self, verdict: Verdict, now: Now) {
        if self.phase != Phase::DialingBack {
            return;
        }
        let failure = match verdict {
            Verdict::Valid => return self.become_ready(now),
            Verdict::Invalid => {
                Failure::new(Stage::Dialback, "the partner could not verify that we are who we say")
            }
            Verdict::Error(trouble) => {
                Failure::new(Stage::Dialback, "the partner could not reach the server of our domain")
                    .with_peer_text(Some(trouble.condition().to_string()))
            }
        };
        // That our certificate was refused first is worth knowing, too.
        let failure = match self.refusal.take() {
            Some(refusal) => {
                let earlier = refusal.peer_text.unwrap_or_default();
                Failure {
                    reason: format!("{}, after refusing our certificate ({earlier})", failure.reason),
                    ..failure
                }
            }
            None => failure,
        };
        self.fail(failure);
    }

    pub(super) fn close_if_answered(&mut self) {
        if self.phase == Phase::Asking && self.questions.is_empty() && self.held_questions.is_empty() {
            self.wire.close();
            self.hang_up(None);
        }
    }
}

fn verdict_of(answer: DialbackAnswer) -> Verdict {
    match answer {
        DialbackAnswer::Valid => Verdict::Valid,
        DialbackAnswer::Invalid => Verdict::Invalid,
        DialbackAnswer::Error(error) => Verdict::Error(Trouble::Told(error.condition.to_string())),
    }
}
