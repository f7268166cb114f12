//! Going on where a connection broke, at the receiving end (XEP-0198 §5).

use std::time::Duration;

use clock_types::Now;
use xmpp_types::ack::StreamManagement;
use xmpp_types::stanza_error::StanzaCondition;
use xmpp_types::stream::{StreamCondition, StreamError};

use super::{Acceptor, Output, Phase};
use crate::dialback::Pair;
use crate::failure::Stage;
use crate::stream::flow::{Flow, failed};
use crate::stream::handled_too_high;
use crate::stream::session::{Parties, Session, Terms};

impl Acceptor {
    /// Returns what the peer must say to resume this stream; `None` if it cannot be resumed.
    #[must_use]
    pub fn session_id(&self) -> Option<&str> {
        self.terms.as_ref().map(|terms| terms.id.as_str())
    }

    /// Returns who speaks over the stream, once the header has said so.
    #[must_use]
    pub fn parties(&self) -> Option<Parties> {
        let (local, remote) = (self.peer.local.clone()?, self.peer.remote.clone()?);
        Some(Parties {
            pair: Pair { local, remote },
            proved: self.proved.clone(),
            is_secure: self.peer.tls.is_some(),
            is_both_ways: self.peer.is_both_ways,
        })
    }

    /// Tells whether this stream's peer is the same as that of another one, proved at least as well, so that it
    /// may have the other's session.
    #[must_use]
    pub fn may_take_over(&self, other: &Self) -> bool {
        self.parties().zip(other.parties()).is_some_and(|(ours, former)| ours.may_resume(&former))
    }

    /// Closes a stream whose peer goes on with its session over another connection.
    pub fn supersede(&mut self, _now: Now) {
        if self.phase == Phase::Proved {
            self.wire.refuse(&StreamError::new(StreamCondition::Conflict));
            self.break_off("the partner goes on over another connection");
        }
    }

    /// Counts as if so many stanzas had crossed each way.
    #[cfg(test)]
    pub(in crate::stream) fn count_from(&mut self, n: u64) {
        self.flow.count_from(n);
    }

    /// Takes what the stream leaves behind, if it is over and the peer may come back for it.
    pub fn take_session(&mut self) -> Option<Session> {
        if self.phase != Phase::Ended || !self.is_unfinished || !self.flow.is_counting() {
            return None;
        }
        let parties = self.parties()?;
        let terms = self.terms.take()?;
        let flow = std::mem::replace(&mut self.flow, Flow::new(self.settings.acknowledgement));
        Some(Session::new(flow, terms, parties))
    }

    /// Goes on with a former session, as the peer asked with [`Output::Resume`]: what it has not handled is sent
    /// again.
    pub fn resume(&mut self, session: Session, now: Now) {
        let Phase::Resuming(h) = self.phase else { return };
        let Session { flow, terms, .. } = session;
        self.phase = Phase::Proved;
        self.flow = flow;
        let outputs = &mut self.outputs;
        if let Err(error) =
            self.flow.resume(h, now.moment, |token| outputs.push_back(Output::Delivered(token)))
        {
            return self.refuse(&handled_too_high(error), Stage::Stream);
        }
        let resumed = StreamManagement::Resumed { previd: terms.id.as_str().into(), h: self.flow.announce() };
        self.wire.print(&resumed.to_element());
        self.flow.send_again(&mut self.wire);
        // An answer to an old ping comes after the news that the session goes on.
        self.flush();
        self.terms = Some(terms);
        self.release_pongs();
        self.ask(now);
        self.pump(now);
    }

    /// Tells the peer that there is no such session for it, and how many of its stanzas were settled in it, if
    /// that is known.
    pub fn refuse_resumption(&mut self, h: Option<u32>, now: Now) {
        if let Phase::Resuming(_) = self.phase {
            let refusal = StreamManagement::Failed { condition: StanzaCondition::ItemNotFound, h };
            self.wire.print(&refusal.to_element());
            self.phase = Phase::Proved;
            self.pump(now);
        }
    }

    /// Takes `<enable/>` or `<resume/>` on a stream that does not count yet; tells whether it was one.
    pub(super) fn handle_wish(&mut self, management: &StreamManagement, now: Now) -> bool {
        match management {
            StreamManagement::Enable { resume, max } if !self.flow.is_counting() => {
                self.terms = if *resume { self.terms(*max) } else { None };
                self.flow.begin(self.terms.as_ref(), &mut self.wire);
                self.outputs.push_back(Output::Counting);
                self.ask(now);
                true
            }
            StreamManagement::Resume { previd, h } if self.flow.is_fresh() => {
                if self.settings.resumption.is_some() {
                    self.phase = Phase::Resuming(*h);
                    self.outputs.push_back(Output::Resume { previd: previd.to_string(), h: *h });
                } else {
                    self.wire.print(&failed(StanzaCondition::FeatureNotImplemented));
                }
                true
            }
            _ => false,
        }
    }

    /// Returns the terms for a new session; the peer may wish for a shorter time than ours.
    fn terms(&mut self, max: Option<u32>) -> Option<Terms> {
        let offered = self.settings.resumption.as_ref()?;
        let wished = max.map_or(offered.max, |max| Duration::from_secs(max.into()));
        Some(Terms {
            id: self.ids.token("session"),
            max: wished.min(offered.max),
            location: offered.location.clone(),
        })
    }
}
