//! First-level elements at the initiating end, and keeping a stream alive.

use clock_types::{Moment, Now, earliest};
use xmpp_types::ack::StreamManagement;
use xmpp_types::dialback::Dialback;
use xmpp_types::features::FeatureSet;
use xmpp_types::negotiation::TlsNegotiation;
use xmpp_types::sasl::Sasl;
use xmpp_types::stanza::{self, StanzaKind};
use xmpp_types::stream::{StreamCondition, StreamError};
use xmpp_types::xml::Element;

use super::{Initiator, Output, Phase, failure_of};
use crate::failure::{Failure, Stage};
use crate::stream::flow::Managed;
use crate::stream::judge::{Verdict, judge};
use crate::stream::{Received, handled_too_high, no_meaning};

impl Initiator {
    pub(super) fn handle_element(&mut self, element: Element, now: Now) {
        if let Some(error) = StreamError::from_element(&element) {
            let stage = self.stage_of(&error);
            self.wire.close();
            return self.hang_up(Some(failure_of(&error, stage)));
        }
        match self.phase {
            Phase::Choosing => match FeatureSet::from_element(&element) {
                Some(features) => self.handle_features(features, now),
                None => self.refuse_type(),
            },
            Phase::AskingForTls => match TlsNegotiation::from_element(&element) {
                Some(said) => self.handle_tls_negotiation(said),
                None => self.refuse_type(),
            },
            Phase::Authenticating => match Sasl::from_element(&element) {
                Some(said) => self.handle_sasl(said, now),
                None => self.refuse_type(),
            },
            Phase::DialingBack | Phase::Asking => {
                if Dialback::concerns(&element) {
                    self.handle_dialback(&element, now);
                }
                // A stanza on a stream where nobody may speak yet is not processed, nor is anything else.
            }
            Phase::Resuming | Phase::Ready => self.handle_ready_element(element, now),
            Phase::Greeting | Phase::Securing | Phase::Ended => {}
        }
    }

    fn handle_ready_element(&mut self, element: Element, now: Now) {
        if let Some(management) = StreamManagement::from_element(&element) {
            return self.handle_management(management, now);
        }
        if let Some(kind) = StanzaKind::of(&element) {
            if self.is_both_ways {
                self.handle_stanza(element, kind, now);
            }
            return;
        }
        if Dialback::concerns(&element) {
            self.handle_dialback(&element, now);
        }
    }

    fn handle_management(
        &mut self,
        management: Result<StreamManagement, xmpp_types::ack::AckMalformed>,
        now: Now,
    ) {
        let Ok(management) = management else {
            return self.refuse(&StreamError::new(StreamCondition::InvalidXml), Stage::Stream);
        };
        if self.handle_agreement(&management, now) {
            return;
        }
        let outputs = &mut self.outputs;
        let delivered = |token| outputs.push_back(Output::Delivered(token));
        match self.flow.handle(&management, &mut self.wire, now.moment, delivered) {
            Managed::Done => self.ask_how_far(now),
            Managed::TooHigh(error) => self.refuse(&handled_too_high(error), Stage::Stream),
            Managed::Unexpected => self.refuse_type(),
        }
    }

    /// Takes a stanza that the partner sends on the stream that we opened (XEP-0288): only from the
    /// domain that its certificate proved, only for the domain that we speak for.
    fn handle_stanza(&mut self, stanza: Element, kind: StanzaKind, now: Now) {
        let pair = self.approach.pair.clone();
        let verdict = judge(
            &stanza,
            kind,
            &pair.local,
            |domain| *domain == pair.remote,
            |domain| *domain == pair.local,
        );
        self.moved = now.moment;
        match verdict {
            Verdict::Accept { from, to } => {
                // One that came before a resumption is at work already.
                let Some(n) = self.flow.receive() else { return };
                let for_us = to.local().is_none() && to.resource().is_none();
                if for_us && stanza::is_ping(&stanza) {
                    self.flow.hold_pong(n, stanza::iq_result(&stanza));
                    self.release_pongs();
                } else {
                    self.outputs.push_back(Output::Stanza(Box::new(Received { n, from, to, stanza })));
                }
            }
            Verdict::Void { answer } => {
                let Some(n) = self.flow.receive() else { return };
                self.outputs.extend(answer.map(Output::Answer));
                self.settle(n, now);
            }
            Verdict::End(error) => self.refuse(&error, Stage::Stream),
        }
    }

    pub(super) fn release_pongs(&mut self) {
        while let Some(answer) = self.flow.next_pong() {
            self.outputs.push_back(Output::Answer(Box::new(answer)));
        }
    }

    /// Returns what a stream error of the peer is about. A server that judges our certificate before it offers
    /// anything, as Prosody does, says so by `not-authorized` (RFC 6120 §4.9.3.12): that is about us, and not
    /// about the stream.
    fn stage_of(&self, error: &StreamError) -> Stage {
        let is_unproved = matches!(self.phase, Phase::Greeting | Phase::Choosing) && !self.is_authenticated;
        if is_unproved && self.tls.is_some() && error.condition == StreamCondition::NotAuthorized {
            return Stage::Auth;
        }
        self.whereabouts().0
    }

    pub(super) fn ask_how_far(&mut self, now: Now) {
        self.flow.ask(&self.approach.pair, &mut self.ids, &mut self.wire, now.moment);
    }

    pub(super) fn handle_ready_timeout(&mut self, now: Now) {
        let outputs = &mut self.outputs;
        self.flow.stop_waiting(now.moment, |token| outputs.push_back(Output::Delivered(token)));
        if self.flow.deadline().is_some_and(|deadline| deadline <= now.moment) {
            if self.terms.is_some() && self.flow.asked_since().is_some_and(|since| self.heard <= since) {
                return self.break_off("the partner acknowledged nothing in time");
            }
            let error = StreamError::new(StreamCondition::ConnectionTimeout)
                .with_text("nothing was acknowledged in time");
            self.wire.refuse(&error);
            return self
                .hang_up(Some(Failure::new(Stage::Stream, "the partner acknowledged nothing in time")));
        }
        if self.flow.again().is_some_and(|again| again <= now.moment) {
            self.ask_how_far(now);
        }
        if self.flow.waiting() > 0 || self.flow.at_work() > 0 || !self.questions.is_empty() {
            return;
        }
        if self.moved + self.approach.inactivity <= now.moment {
            self.wire.close();
            self.hang_up(None);
        } else if self.kept_alive + self.approach.keep_alive <= now.moment {
            // White space keeps the way open through firewalls (RFC 6120 §4.6.1).
            self.kept_alive = now.moment;
            self.wire.out().push(b' ');
        }
    }

    pub(super) fn idle_deadline(&self) -> Option<Moment> {
        if self.flow.waiting() > 0 || self.flow.at_work() > 0 || !self.questions.is_empty() {
            return None;
        }
        let idle = self.moved + self.approach.inactivity;
        earliest(Some(idle), Some(self.kept_alive + self.approach.keep_alive))
    }

    fn refuse_type(&mut self) {
        self.refuse(&no_meaning(), Stage::Stream);
    }
}
