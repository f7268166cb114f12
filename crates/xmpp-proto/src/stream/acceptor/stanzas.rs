//! First-level elements at the receiving end.

use clock_types::Now;
use xmpp_types::ack::StreamManagement;
use xmpp_types::dialback::Dialback;
use xmpp_types::jid::DomainName;
use xmpp_types::negotiation::{Bidi, TlsNegotiation};
use xmpp_types::ns;
use xmpp_types::sasl::Sasl;
use xmpp_types::stanza::{self, StanzaKind};
use xmpp_types::stanza_error::StanzaCondition;
use xmpp_types::stream::{StreamCondition, StreamError};
use xmpp_types::xml::Element;

use super::{Acceptor, Output, Phase};
use crate::dialback::Pair;
use crate::failure::{Failure, Stage, shortened};
use crate::stream::flow::{Managed, failed};
use crate::stream::judge::{Verdict, judge};
use crate::stream::{Received, handled_too_high};

impl Acceptor {
    pub(super) fn handle_element(&mut self, element: Element, now: Now) {
        if let Some(kind) = StanzaKind::of(&element) {
            return match self.phase {
                Phase::Proved => self.handle_stanza(element, kind, now),
                Phase::Greeting | Phase::Unproved | Phase::Securing | Phase::Resuming(_) | Phase::Ended => {
                    self.refuse(
                        &StreamError::new(StreamCondition::NotAuthorized)
                            .with_text("prove your domain before you send stanzas"),
                        Stage::Auth,
                    )
                }
            };
        }
        if Dialback::concerns(&element) {
            return self.handle_dialback(&element, now);
        }
        if let Some(said) = TlsNegotiation::from_element(&element) {
            return self.handle_tls_negotiation(said);
        }
        if let Some(said) = Sasl::from_element(&element) {
            return match self.phase {
                Phase::Proved => self.refuse(
                    &StreamError::new(StreamCondition::NotAuthorized)
                        .with_text("the stream is authenticated"),
                    Stage::Auth,
                ),
                Phase::Greeting | Phase::Unproved | Phase::Securing | Phase::Resuming(_) | Phase::Ended => {
                    self.handle_sasl(said, now);
                }
            };
        }
        if let Some(management) = StreamManagement::from_element(&element) {
            return self.handle_management(management, now);
        }
        if Bidi::from_element(&element).is_some() && self.phase == Phase::Unproved && self.peer.tls.is_some()
        {
            self.peer.is_both_ways = self.settings.both_ways;
            return;
        }
        if let Some(error) = StreamError::from_element(&element) {
            self.wire.close();
            let failure = Failure::new(Stage::Stream, "the peer ended the stream")
                .with_peer_text(Some(shortened(&error.to_string())));
            return self.end(Some(failure));
        }
        if element.namespace() == ns::COMPRESS {
            // XEP-0138 is never offered: a small octet must not become a large one.
            let failure = Element::new(ns::COMPRESS, "failure")
                .with_child(Element::new(ns::COMPRESS, "unsupported-method"));
            return self.wire.print(&failure);
        }
        self.refuse_type();
    }

    fn handle_stanza(&mut self, stanza: Element, kind: StanzaKind, now: Now) {
        let Some(local) = self.peer.local.clone() else { return };
        let is_proved =
            |domain: &DomainName| self.proved.contains_key(domain) && self.rules.policy(domain).is_some();
        match judge(&stanza, kind, &local, is_proved, |domain| self.rules.serves(domain)) {
            Verdict::Accept { from, to } => {
                // One that came before a resumption is at work already.
                let Some(n) = self.flow.receive() else { return };
                if to.local().is_none() && to.resource().is_none() && stanza::is_ping(&stanza) {
                    self.flow.hold_pong(n, stanza::iq_result(&stanza));
                    self.release_pongs();
                    self.ask(now);
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

    fn handle_management(
        &mut self,
        management: Result<StreamManagement, xmpp_types::ack::AckMalformed>,
        now: Now,
    ) {
        let Ok(management) = management else {
            return self.refuse(
                &StreamError::new(StreamCondition::InvalidXml).with_text("an acknowledgement has no number"),
                Stage::Stream,
            );
        };
        if self.phase != Phase::Proved {
            // XEP-0198 §3: not before the stream is authenticated.
            return self.wire.print(&failed(StanzaCondition::UnexpectedRequest));
        }
        if self.handle_wish(&management, now) {
            return;
        }
        let outputs = &mut self.outputs;
        let delivered = |token| outputs.push_back(Output::Delivered(token));
        match self.flow.handle(&management, &mut self.wire, now.moment, delivered) {
            Managed::Done => self.ask(now),
            Managed::TooHigh(error) => self.refuse(&handled_too_high(error), Stage::Stream),
            Managed::Unexpected => self.refuse_type(),
        }
    }

    /// Answers the pings whose turn has come: what came before them is settled.
    pub(super) fn release_pongs(&mut self) {
        while let Some(answer) = self.flow.next_pong() {
            self.outputs.push_back(Output::Answer(Box::new(answer)));
        }
    }

    pub(super) fn ask(&mut self, now: Now) {
        if let Some(pair) = self.pair_both_ways() {
            self.flow.ask(&pair, &mut self.ids, &mut self.wire, now.moment);
        }
    }

    fn pair_both_ways(&self) -> Option<Pair> {
        if !self.peer.is_both_ways {
            return None;
        }
        let (local, remote) = (self.peer.local.clone()?, self.peer.remote.clone()?);
        Some(Pair { local, remote })
    }
}
