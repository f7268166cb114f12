//! The receiving end of a stream between servers.
//!
//! ```text
//!            header            <starttls/>            handshake over
//!  Greeting ───────▶ Unproved ─────────────▶ Securing ──────────────▶ Greeting
//!                       │ │ ▲
//!                       │ └─┘ SASL, dialback: wrong, or under way
//!                       │
//!                       │ EXTERNAL ──▶ Greeting (anew) ──▶ Proved
//!                       └ dialback ───────────────────────▶ Proved       any: Ended
//!                                                            │ ▲
//!                                                 <resume/>  ▼ │ the former session, or none
//!                                                           Resuming
//! ```
//!
//! Before a domain is proved the peer has a bounded number of octets and a bounded time, whatever it does
//! with them, and nothing that it sends is kept for later.

mod authentication;
mod dialback;
mod negotiation;
mod resumption;
mod stanzas;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use clock_types::{Ids, Moment, Now, earliest};
use net_types::TlsFacts;
use xmpp_types::jid::DomainName;
use xmpp_types::stream::{StreamCondition, StreamError};
use xmpp_types::xml::{Element, Event, Limits};

use super::flow::Flow;
use super::session::Terms;
use super::{Proof, Received, Rules, StreamSettings};
use crate::dialback::{Pair, Question, Receiving, Secret, Verdict};
use crate::failure::{Failure, Stage};
use crate::wire::Wire;

/// What the receiving end wants done or has to tell.
#[derive(Debug, PartialEq)]
pub enum Output {
    /// Send octets.
    Send(Vec<u8>),
    /// Shake hands as the server, with the certificate of this domain of ours, which the peer wants to speak to.
    /// The peer's is judged by the roots for everybody; [`Rules::own_roots`] are asked when it is to prove a domain.
    StartTls(DomainName),
    /// Ask the sender's own server whether this key is its own; answered by
    /// [`Acceptor::handle_verdict`].
    Ask(Question, String),
    /// A domain is proved on this stream.
    Proved(Pair, Proof),
    /// A domain could not be proved; the stream may go on.
    Refused(Pair, Failure),
    /// A stanza came in; answer with [`Acceptor::settle`].
    Stanza(Box<Received>),
    /// We answer for ourselves; it goes back to the partner on whatever stream leads there.
    Answer(Box<Element>),
    /// On a stream that is used both ways: the peer has acknowledged what was sent with this token.
    Delivered(u64),
    /// The peer begins to count (XEP-0198): it goes on with no former session.
    Counting,
    /// The peer wants to go on with a former session; answer with [`Acceptor::resume`] or
    /// [`Acceptor::refuse_resumption`].
    Resume {
        /// The session's name.
        previd: String,
        /// How many of our stanzas the peer has handled.
        h: u32,
    },
    /// Close the connection after what was sent has left.
    Close,
    /// The stream is over; with a failure unless both sides wanted it so. The peer may come back for
    /// [`Acceptor::take_session`].
    Ended(Option<Failure>),
}

/// The receiving end of one stream.
#[derive(Debug)]
pub struct Acceptor {
    rules: Arc<dyn Rules>,
    settings: Arc<StreamSettings>,
    secret: Secret,
    ids: Ids,
    wire: Wire,
    phase: Phase,
    peer: Peer,
    /// The domains that this stream may speak for.
    proved: BTreeMap<DomainName, Proof>,
    receiving: Receiving,
    flow: Flow,
    /// On what terms the peer may resume what the flow has counted.
    terms: Option<Terms>,
    /// Whether neither side ended the stream: only the connection did.
    is_unfinished: bool,
    clocks: Clocks,
    outputs: VecDeque<Output>,
}

/// What the peer's headers and handshake said.
#[derive(Debug, Default)]
struct Peer {
    /// The domain of ours that it wants to speak to.
    local: Option<DomainName>,
    /// The domain that it claims.
    remote: Option<DomainName>,
    /// The stream's identifier, ours.
    id: String,
    tls: Option<Box<TlsFacts>>,
    /// Whether SASL EXTERNAL is offered on the stream as it is.
    is_external_offered: bool,
    /// Whether an empty challenge is out.
    is_challenged: bool,
    failed_attempts: u32,
    /// Whether the stream is used both ways (XEP-0288).
    is_both_ways: bool,
    /// The domain that SASL proved; the new header must claim it again.
    authenticated: Option<DomainName>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Waiting for a header.
    Greeting,
    /// Features are sent; no domain is proved.
    Unproved,
    /// `<proceed/>` is sent; octets are none of ours until the handshake is over.
    Securing,
    /// At least one domain is proved.
    Proved,
    /// The peer has handled so many stanzas of a former session and wants to go on with it.
    Resuming(u32),
    /// Over.
    Ended,
}

#[derive(Debug)]
struct Clocks {
    /// When the peer must have proved a domain.
    handshake: Moment,
    /// When the last octet came.
    heard: Moment,
    /// When the first octet of an unfinished stanza came.
    half_stanza: Option<Moment>,
    /// Octets that may still come before a domain is proved.
    unproved_bytes: usize,
}

impl Acceptor {
    /// Takes a connection; with direct TLS the handshake is over and has its facts.
    #[must_use]
    pub fn new(
        rules: Arc<dyn Rules>,
        settings: Arc<StreamSettings>,
        secret: Secret,
        tls: Option<Box<TlsFacts>>,
        ids: Ids,
        now: Now,
    ) -> Self {
        Self {
            rules,
            wire: Wire::server(Limits::BEFORE_AUTHENTICATION),
            secret,
            ids,
            phase: Phase::Greeting,
            peer: Peer { tls, ..Peer::default() },
            proved: BTreeMap::new(),
            receiving: Receiving::new(settings.dialbacks_max, settings.dialback),
            flow: Flow::new(settings.acknowledgement),
            terms: None,
            is_unfinished: false,
            clocks: Clocks {
                handshake: now.moment + settings.handshake,
                heard: now.moment,
                half_stanza: None,
                unproved_bytes: settings.unproved_bytes_max,
            },
            settings,
            outputs: VecDeque::new(),
        }
    }

    /// Puts other rules in force; what they no longer allow is refused from here on.
    pub fn set_rules(&mut self, rules: Arc<dyn Rules>) {
        self.rules = rules;
    }

    /// Returns the domain of ours that the peer addressed.
    #[must_use]
    pub fn local(&self) -> Option<&DomainName> {
        self.peer.local.as_ref()
    }

    /// Returns the domain that the peer claims, proved or not.
    #[must_use]
    pub fn remote(&self) -> Option<&DomainName> {
        self.peer.remote.as_ref()
    }

    /// Returns the domains that the stream may speak for, and how each was proved.
    pub fn proved(&self) -> impl Iterator<Item = (&DomainName, Proof)> {
        self.proved.iter().map(|(domain, proof)| (domain, *proof))
    }

    /// Returns what the handshake showed.
    #[must_use]
    pub fn tls(&self) -> Option<&TlsFacts> {
        self.peer.tls.as_deref()
    }

    /// Returns the stream's identifier.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.peer.id
    }

    /// Tells whether we may send stanzas on it (XEP-0288).
    #[must_use]
    pub fn is_both_ways(&self) -> bool {
        self.peer.is_both_ways && self.phase == Phase::Proved
    }

    /// Returns how many stanzas came in, how many of them are not settled, and how many of ours are not
    /// acknowledged.
    #[must_use]
    pub fn counts(&self) -> (u64, usize, usize) {
        (self.flow.received(), self.flow.at_work(), self.flow.waiting())
    }

    /// Tells whether the peer counts its stanzas (XEP-0198): it knows what we have not acknowledged when the
    /// stream ends.
    #[must_use]
    pub fn is_counting(&self) -> bool {
        self.flow.is_counting()
    }

    /// Takes octets of the connection.
    pub fn handle_bytes(&mut self, bytes: &[u8], now: Now) {
        match self.phase {
            // What was sent in clear behind <starttls/> is not part of any stream (RFC 6120 §5.4.3.3).
            Phase::Securing | Phase::Ended => return,
            Phase::Greeting | Phase::Unproved if self.proved.is_empty() => {
                let taken = bytes.len().min(self.clocks.unproved_bytes);
                self.clocks.unproved_bytes -= taken;
                self.wire.feed(&bytes[..taken]);
                self.pump(now);
                if taken < bytes.len() && self.proved.is_empty() && self.phase != Phase::Securing {
                    self.refuse(
                        &StreamError::new(StreamCondition::PolicyViolation)
                            .with_text("too much was sent before a domain was proved"),
                        Stage::Policy,
                    );
                } else if taken < bytes.len() && self.phase == Phase::Proved {
                    self.wire.feed(&bytes[taken..]);
                    self.pump(now);
                }
            }
            Phase::Greeting | Phase::Unproved | Phase::Proved => {
                self.wire.feed(bytes);
                self.pump(now);
            }
            // What follows <resume/> is read when it is answered.
            Phase::Resuming(_) => self.wire.feed(bytes),
        }
        self.clocks.heard = now.moment;
        self.clocks.half_stanza = match self.phase {
            Phase::Proved if self.wire.is_inside_stanza() => self.clocks.half_stanza.or(Some(now.moment)),
            Phase::Greeting
            | Phase::Unproved
            | Phase::Securing
            | Phase::Proved
            | Phase::Resuming(_)
            | Phase::Ended => None,
        };
    }

    /// Takes the news that the handshake ordered by [`Output::StartTls`] is over.
    pub fn handle_tls(&mut self, facts: Box<TlsFacts>, _now: Now) {
        if self.phase == Phase::Securing {
            self.peer.tls = Some(facts);
            self.wire.restart(Limits::BEFORE_AUTHENTICATION);
            self.phase = Phase::Greeting;
        }
    }

    /// Takes the news that the connection is gone.
    pub fn handle_closed(&mut self, reason: Option<String>, _now: Now) {
        if self.phase == Phase::Ended {
            return;
        }
        let failure = match (self.phase, reason) {
            (Phase::Proved | Phase::Resuming(_), None) => None,
            (Phase::Securing, reason) => {
                let reason = reason.unwrap_or_else(|| "the peer closed the connection".into());
                Some(Failure::new(Stage::Tls, reason))
            }
            (Phase::Greeting | Phase::Unproved | Phase::Ended, None) => {
                Some(Failure::new(Stage::Stream, "the peer closed before proving a domain"))
            }
            (
                Phase::Greeting | Phase::Unproved | Phase::Proved | Phase::Resuming(_) | Phase::Ended,
                Some(reason),
            ) => Some(Failure::new(Stage::Stream, reason)),
        };
        self.is_unfinished = self.phase == Phase::Proved;
        self.phase = Phase::Ended;
        self.outputs.extend(self.flow.suspend().map(Output::Delivered));
        self.outputs.push_back(Output::Ended(failure));
    }

    /// Takes the verdict on a key asked about with [`Output::Ask`].
    pub fn handle_verdict(&mut self, pair: &Pair, verdict: Verdict, _now: Now) {
        if self.phase != Phase::Ended
            && let Some(verdict) = self.receiving.handle_verdict(pair, verdict)
        {
            self.conclude(pair, verdict, Proof::Dialback);
        }
    }

    /// Takes the news that stanza `n` is settled: only then does the peer learn that it may forget it.
    pub fn settle(&mut self, n: u64, _now: Now) {
        self.flow.settle(n);
        self.release_pongs();
    }

    /// Sends a stanza on a stream that is used both ways; `token` comes back when it is acknowledged. On a
    /// stream that is over nothing is sent: the stanza is among [`Self::take_unacknowledged`].
    pub fn send(&mut self, token: u64, stanza: Element, now: Now) {
        if self.phase != Phase::Proved {
            return self.flow.keep(token, stanza);
        }
        if self.flow.send(token, stanza, &mut self.wire) {
            self.outputs.push_back(Output::Delivered(token));
        }
        self.ask(now);
    }

    /// Takes the answer to a ping that came on another stream; tells whether it was for this one.
    pub fn handle_pong(&mut self, id: &str, now: Now) -> bool {
        let outputs = &mut self.outputs;
        let is_ours = self.flow.handle_pong(id, |token| outputs.push_back(Output::Delivered(token)));
        if is_ours {
            self.ask(now);
        }
        is_ours
    }

    /// Returns what was sent and not acknowledged, with its tokens, in order.
    pub fn take_unacknowledged(&mut self) -> Vec<(u64, Element)> {
        self.flow.take_waiting()
    }

    /// Closes the stream, with an error or in good order.
    pub fn close(&mut self, error: Option<StreamError>, _now: Now) {
        if self.phase == Phase::Ended {
            return;
        }
        if self.phase != Phase::Securing {
            match &error {
                Some(error) => self.wire.refuse(error),
                None => self.wire.close(),
            }
        }
        self.end(None);
    }

    /// Gives up on a peer that is silent, slow, or does not acknowledge.
    pub fn handle_timeout(&mut self, now: Now) {
        if self.phase == Phase::Ended {
            return;
        }
        for pair in self.receiving.handle_timeout(now.moment) {
            self.conclude(&pair, Verdict::Error(crate::dialback::Trouble::Unreachable), Proof::Dialback);
        }
        let outputs = &mut self.outputs;
        self.flow.stop_waiting(now.moment, |token| outputs.push_back(Output::Delivered(token)));
        let timeout = |text: &str| StreamError::new(StreamCondition::ConnectionTimeout).with_text(text);
        if self.proved.is_empty() && self.clocks.handshake <= now.moment {
            self.refuse(&timeout("no domain was proved in time"), Stage::Stream);
        } else if self.half_stanza_deadline().is_some_and(|deadline| deadline <= now.moment) {
            self.refuse(&timeout("a stanza was not finished in time"), Stage::Stream);
        } else if self.flow.deadline().is_some_and(|deadline| deadline <= now.moment) {
            if self.terms.is_some() && self.flow.asked_since().is_some_and(|since| self.clocks.heard <= since)
            {
                return self.break_off("the partner was silent when it was asked for an acknowledgement");
            }
            self.refuse(&timeout("nothing was acknowledged in time"), Stage::Stream);
        } else if self.silence_deadline().is_some_and(|deadline| deadline <= now.moment) {
            self.wire.refuse(&timeout("the stream was idle for too long"));
            self.end(None);
        } else if self.flow.again().is_some_and(|again| again <= now.moment) {
            self.ask(now);
        }
    }

    /// Returns what is wanted next.
    pub fn poll_output(&mut self) -> Option<Output> {
        if self.phase == Phase::Proved {
            self.flow.write_owed(&mut self.wire);
        }
        // Octets go before what was noted after them; both are in the order of their making, since
        // whatever must follow octets is noted through `flush`.
        self.outputs.pop_front().or_else(|| self.wire.take().map(Output::Send))
    }

    /// Returns when to call [`Self::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Moment> {
        if self.phase == Phase::Ended {
            return None;
        }
        let handshake = self.proved.is_empty().then_some(self.clocks.handshake);
        let peer = earliest(self.half_stanza_deadline(), self.flow.poll_timeout());
        let slow = earliest(handshake, peer);
        earliest(slow, earliest(self.receiving.poll_timeout(), self.silence_deadline()))
    }

    fn pump(&mut self, now: Now) {
        while matches!(self.phase, Phase::Greeting | Phase::Unproved | Phase::Proved) {
            match self.wire.next() {
                Ok(None) => return,
                Ok(Some(Event::Whitespace)) => {}
                Ok(Some(Event::StreamOpened(header))) => self.handle_header(&header, now),
                Ok(Some(Event::Stanza(element))) => self.handle_element(element, now),
                Ok(Some(Event::Closed)) => {
                    self.wire.close();
                    let early = self.proved.is_empty();
                    self.end(early.then(|| {
                        Failure::new(Stage::Stream, "the peer closed the stream before proving a domain")
                    }));
                }
                Err(error) => self.refuse(&error.to_stream_error(), Stage::Stream),
            }
        }
    }

    /// Puts what was printed in its place before something that must come after it.
    fn flush(&mut self) {
        if let Some(bytes) = self.wire.take() {
            self.outputs.push_back(Output::Send(bytes));
        }
    }

    fn refuse(&mut self, error: &StreamError, stage: Stage) {
        if self.phase == Phase::Ended {
            return;
        }
        self.wire.refuse(error);
        self.end(Some(Failure::new(stage, format!("we closed the stream: {error}"))));
    }

    fn end(&mut self, failure: Option<Failure>) {
        self.flush();
        self.phase = Phase::Ended;
        self.outputs.push_back(Output::Close);
        self.outputs.extend(self.flow.suspend().map(Output::Delivered));
        self.outputs.push_back(Output::Ended(failure));
    }

    /// Lets go of a connection on which nobody answers. The stream is not ended by that (XEP-0198, "Unfinished
    /// streams"): the peer may come back for it.
    fn break_off(&mut self, reason: &str) {
        self.is_unfinished = true;
        self.end(Some(Failure::new(Stage::Stream, reason)));
    }

    fn half_stanza_deadline(&self) -> Option<Moment> {
        self.clocks.half_stanza.map(|since| since + self.settings.half_stanza)
    }

    /// When the peer has been silent too long; not while stanzas of its are at work here.
    fn silence_deadline(&self) -> Option<Moment> {
        if self.phase != Phase::Proved || self.flow.at_work() > 0 {
            return None;
        }
        let policy = self.peer.remote.as_ref().and_then(|remote| self.rules.policy(remote))?;
        Some(self.clocks.heard + policy.silence_max)
    }
}
