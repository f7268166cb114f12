//! Going on where a connection broke, at the initiating end (XEP-0198 §5).

use std::collections::BTreeMap;
use std::time::Duration;

use clock_types::Now;
use xmpp_types::ack::StreamManagement;
use xmpp_types::stream::{StreamCondition, StreamError};

use super::{Initiator, Output, Phase};
use crate::failure::Stage;
use crate::stream::flow::Flow;
use crate::stream::session::{Parties, Session, Terms};
use crate::stream::{Proof, handled_too_high};

impl Initiator {
    /// Wants to go on with what a former stream left behind, as soon as both sides are proved. Without
    /// stanzas of its own it must be said before the first octet comes.
    pub fn resume(&mut self, former: Session) {
        self.former = Some(Box::new(former));
    }

    /// Counts as if so many stanzas had crossed each way.
    #[cfg(test)]
    pub(in crate::stream) fn count_from(&mut self, n: u64) {
        self.flow.count_from(n);
    }

    /// Takes what the stream leaves behind, if it is over and the partner may have kept it as well; or the
    /// former session, if the stream never came so far.
    pub fn take_session(&mut self) -> Option<Session> {
        if self.phase != Phase::Ended {
            return None;
        }
        if let Some(former) = self.former.take() {
            return Some(*former);
        }
        if !self.is_unfinished || !self.flow.is_counting() {
            return None;
        }
        let terms = self.terms.take()?;
        let parties = self.parties();
        let flow = std::mem::replace(&mut self.flow, Flow::new(self.settings.acknowledgement));
        Some(Session::new(flow, terms, parties))
    }

    /// Takes the former session back, if the partner has not been asked for it yet.
    pub fn forgo(&mut self) -> Option<Session> {
        let former = if self.phase == Phase::Resuming { None } else { self.former.take() };
        former.map(|former| *former)
    }

    /// Takes the news that stanza `n` of the former session, which is not resumed yet, is settled.
    pub fn settle_former(&mut self, n: u64) {
        if let Some(former) = &mut self.former {
            former.settle(n);
        }
    }

    fn parties(&self) -> Parties {
        let proof = self.proved_by.unwrap_or(Proof::Dialback);
        Parties {
            pair: self.approach.pair.clone(),
            proved: BTreeMap::from([(self.approach.pair.remote.clone(), proof)]),
            is_secure: self.tls.is_some(),
            is_both_ways: self.is_both_ways,
        }
    }

    /// Asks for the former session; tells whether the answer is to be waited for.
    pub(super) fn ask_to_resume(&mut self) -> bool {
        let parties = self.parties();
        let Some(former) = &mut self.former else { return false };
        if !parties.may_resume(former.parties()) {
            self.give_up_former("the partner is not proved as well as before");
            return false;
        }
        let previd = former.id().into();
        self.wire.print(&StreamManagement::Resume { previd, h: former.flow.announce() }.to_element());
        self.phase = Phase::Resuming;
        true
    }

    /// Takes what the partner says to `<enable/>` or `<resume/>`; tells whether all is done with it.
    pub(super) fn handle_agreement(&mut self, said: &StreamManagement, now: Now) -> bool {
        match (said, self.phase) {
            (StreamManagement::Enabled { id, resume, max, location }, Phase::Ready) => {
                let offered = self.settings.resumption.as_ref();
                let max = max.map(|max| Duration::from_secs(max.into()));
                // COMPAT(Prosody, 0.12): it says that it resumes, but gives no name to resume by.
                let id = id.as_ref().filter(|id| *resume && (1..=NAME_MAX).contains(&id.len()));
                self.terms = offered.zip(id).map(|(offered, id)| Terms {
                    id: id.to_string(),
                    max: max.map_or(offered.max, |max| max.min(offered.max)),
                    location: location.as_ref().filter(|at| at.len() <= HOST_MAX).map(ToString::to_string),
                });
                false
            }
            (StreamManagement::Resumed { previd, h }, Phase::Resuming) => {
                self.go_on(previd, *h, now);
                true
            }
            (StreamManagement::Failed { condition, h }, Phase::Resuming) => {
                self.refused(&condition.to_string(), *h, now);
                true
            }
            // An acknowledgement that crossed our wish belongs to nothing.
            (StreamManagement::Request | StreamManagement::Answer { .. }, Phase::Resuming) => true,
            _ => false,
        }
    }

    fn go_on(&mut self, previd: &str, h: u32, now: Now) {
        let Some(former) = self.former.take_if(|former| former.id() == previd && self.flow.is_fresh()) else {
            return self.refuse(
                &StreamError::new(StreamCondition::UndefinedCondition)
                    .with_text("that is not the session that was asked for"),
                Stage::Stream,
            );
        };
        let Session { flow, terms, .. } = *former;
        (self.flow, self.terms) = (flow, Some(terms));
        let outputs = &mut self.outputs;
        if let Err(error) =
            self.flow.resume(h, now.moment, |token| outputs.push_back(Output::Delivered(token)))
        {
            self.terms = None;
            return self.refuse(&handled_too_high(error), Stage::Stream);
        }
        let again = self.flow.send_again(&mut self.wire);
        self.outputs.push_back(Output::Resumed(again));
        self.begin(now);
        self.release_pongs();
        self.ask_how_far(now);
    }

    /// Begins a new session because the former one is gone; the partner may know how much of it it had.
    fn refused(&mut self, condition: &str, h: Option<u32>, now: Now) {
        let mut concluded = Ok(());
        if let (Some(former), Some(h)) = (&mut self.former, h) {
            let outputs = &mut self.outputs;
            concluded = former.flow.conclude(h, |token| outputs.push_back(Output::Delivered(token)));
        }
        self.give_up_former(&format!("the partner does not have it any more: {condition}"));
        if let Err(error) = concluded {
            return self.refuse(&handled_too_high(error), Stage::Stream);
        }
        self.flow.enable(self.settings.resumption.is_some(), &mut self.wire);
        self.begin(now);
    }

    pub(super) fn give_up_former(&mut self, reason: &str) {
        if let Some(mut former) = self.former.take() {
            let unacknowledged = former.take_unacknowledged();
            self.outputs.push_back(Output::NotResumed { reason: reason.to_owned(), unacknowledged });
        }
    }
}

/// How long the name of a session may be (XEP-0198 §5).
const NAME_MAX: usize = 4000;
/// How long a host with its port may be.
const HOST_MAX: usize = 300;
