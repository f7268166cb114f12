//! The initiating end of a stream between servers.
//!
//! ```text
//!   Greeting ──▶ Choosing ──▶ Securing ──▶ Greeting (anew)
//!                   │
//!                   ├─ EXTERNAL ──▶ Authenticating ──▶ Greeting (anew) ──▶ Choosing ──▶ Ready
//!                   │                   │ refused
//!                   ├─ dialback ──▶ DialingBack ──────────────────────────────────────▶ Ready
//!                   └─ only to ask ──▶ Asking                                 any: Ended
//!
//!   with a former session:  … ──▶ Resuming ── <resumed/> or <failed/> ──▶ Ready
//! ```
//!
//! It carries stanzas ([`Purpose::Speak`]), or only asks whether a key is genuine ([`Purpose::Ask`]).

mod dialback;
mod negotiation;
mod resumption;
mod traffic;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use clock_types::{Ids, Moment, Now, earliest};
use net_types::TlsFacts;
use xmpp_types::features::FeatureSet;
use xmpp_types::stream::{StreamCondition, StreamError, StreamHeader};
use xmpp_types::xml::{Element, Event, Limits};

use super::flow::Flow;
use super::session::{Session, Terms};
use super::{Methods, Proof, Received, StreamSettings};
use crate::dialback::{Initiating, Pair, Question, Questions, Secret, Trouble, Verdict};
use crate::evidence::Evidence;
use crate::failure::{Failure, Stage, shortened};
use crate::wire::Wire;

/// How we approach a partner.
#[derive(Clone, Debug)]
pub struct Approach {
    /// For whom we speak, and to whom.
    pub pair: Pair,
    /// By which methods both sides may be proved.
    pub methods: Methods,
    /// What vouches for the certificate of the server that is approached, beside authorities.
    pub evidence: Evidence,
    /// What the stream is for.
    pub purpose: Purpose,
    /// How long it may take until the stream is ready.
    pub establishment: Duration,
    /// An idle stream is closed after so long.
    pub inactivity: Duration,
    /// How often an idle stream is kept alive by white space.
    pub keep_alive: Duration,
}

/// What an outgoing stream is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Carrying stanzas; questions of dialback may ride along.
    Speak,
    /// Questions of dialback alone; it needs no proof and closes when they are answered.
    Ask,
}

/// What the initiating end wants done or has to tell.
#[derive(Debug, PartialEq)]
pub enum Output {
    /// Send octets.
    Send(Vec<u8>),
    /// Shake hands as the client.
    StartTls,
    /// Stanzas may be sent.
    Ready {
        /// How the partner is proved to us.
        proof: Proof,
        /// Whether it sends its stanzas on this stream as well (XEP-0288).
        is_both_ways: bool,
    },
    /// The former session goes on, and so many stanzas were sent again; followed by [`Output::Ready`].
    Resumed(usize),
    /// The former session cannot go on; followed by [`Output::Ready`].
    NotResumed {
        /// Why not.
        reason: String,
        /// What the partner may lack of it, with its tokens, in order.
        unacknowledged: Vec<(u64, Element)>,
    },
    /// The partner has acknowledged what was sent with this token.
    Delivered(u64),
    /// How a question of dialback ended.
    Verdict(Question, Verdict),
    /// On a stream that is used both ways: a stanza came in.
    Stanza(Box<Received>),
    /// On a stream that is used both ways: we answer for ourselves.
    Answer(Box<Element>),
    /// Close the connection after what was sent has left.
    Close,
    /// The stream is over; with a failure unless both sides wanted it so. What was not acknowledged is
    /// in [`Initiator::take_session`], or else in [`Initiator::take_unacknowledged`].
    Ended(Option<Failure>),
}

/// The initiating end of one stream.
#[derive(Debug)]
pub struct Initiator {
    approach: Approach,
    settings: Arc<StreamSettings>,
    secret: Secret,
    ids: Ids,
    wire: Wire,
    phase: Phase,
    tls: Option<Box<TlsFacts>>,
    /// The stream's identifier, the peer's.
    stream_id: Option<String>,
    features: FeatureSet,
    /// By what the certificate proves the partner's domain, if it does.
    proved_by: Option<Proof>,
    /// Whether SASL has succeeded.
    is_authenticated: bool,
    is_both_ways: bool,
    /// The failure of EXTERNAL, kept in case dialback fails as well.
    refusal: Option<Failure>,
    initiating: Initiating,
    questions: Questions,
    held_questions: Vec<(Question, String)>,
    flow: Flow,
    /// On what terms the flow's session may be resumed.
    terms: Option<Terms>,
    /// The session to go on with.
    former: Option<Box<Session>>,
    /// Whether neither side ended the stream: only the connection did.
    is_unfinished: bool,
    deadline: Moment,
    /// When the last octet came.
    heard: Moment,
    /// When something last crossed, and when white space last did.
    moved: Moment,
    kept_alive: Moment,
    outputs: VecDeque<Output>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Our header is sent.
    Greeting,
    /// Their header came; their features are next.
    Choosing,
    /// `<starttls/>` is sent.
    AskingForTls,
    /// The handshake runs.
    Securing,
    /// `<auth/>` is sent.
    Authenticating,
    /// `<db:result/>` is sent.
    DialingBack,
    /// Questions may be asked.
    Asking,
    /// `<resume/>` is sent.
    Resuming,
    /// Stanzas may be sent.
    Ready,
    /// Over.
    Ended,
}

impl Initiator {
    /// Begins on a connection that is open; with direct TLS the handshake is over and has its facts.
    #[must_use]
    pub fn new(
        approach: Approach,
        settings: Arc<StreamSettings>,
        secret: Secret,
        tls: Option<Box<TlsFacts>>,
        ids: Ids,
        now: Now,
    ) -> Self {
        let mut machine = Self {
            wire: Wire::server(Limits::BEFORE_AUTHENTICATION),
            secret,
            ids,
            phase: Phase::Greeting,
            tls: None,
            stream_id: None,
            features: FeatureSet::default(),
            proved_by: None,
            is_authenticated: false,
            is_both_ways: false,
            refusal: None,
            initiating: Initiating::new(settings.dialbacks_max, settings.dialback),
            questions: Questions::new(settings.dialbacks_max, settings.dialback),
            held_questions: Vec::new(),
            flow: Flow::new(settings.acknowledgement),
            terms: None,
            former: None,
            is_unfinished: false,
            heard: now.moment,
            deadline: now.moment + approach.establishment,
            moved: now.moment,
            kept_alive: now.moment,
            outputs: VecDeque::new(),
            approach,
            settings,
        };
        match tls {
            Some(facts) => machine.secured(facts, now),
            None => machine.greet(),
        }
        machine
    }

    /// Returns for whom it speaks, and to whom.
    #[must_use]
    pub fn pair(&self) -> &Pair {
        &self.approach.pair
    }

    /// Tells whether stanzas may be sent.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.phase == Phase::Ready
    }

    /// Tells whether it is over.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.phase == Phase::Ended
    }

    /// Returns what the handshake showed.
    #[must_use]
    pub fn tls(&self) -> Option<&TlsFacts> {
        self.tls.as_deref()
    }

    /// Returns how the partner is proved, once stanzas may be sent.
    #[must_use]
    pub fn proof(&self) -> Option<Proof> {
        self.is_ready().then_some(self.proved_by.unwrap_or(Proof::Dialback))
    }

    /// Returns the limits that the partner announced, in octets of one stanza (XEP-0478).
    #[must_use]
    pub fn stanza_bytes_max(&self) -> Option<u64> {
        self.features.limits.and_then(|limits| limits.max_bytes)
    }

    /// Returns what the partner offered last.
    #[must_use]
    pub fn features(&self) -> &FeatureSet {
        &self.features
    }

    /// Tells whether the partner has accepted our certificate (EXTERNAL).
    #[must_use]
    pub fn is_authenticated(&self) -> bool {
        self.is_authenticated
    }

    /// Returns why the partner refused our certificate, where dialback was tried after it.
    #[must_use]
    pub fn refusal(&self) -> Option<&Failure> {
        self.refusal.as_ref()
    }

    /// Returns how many stanzas were sent, and how many of them are not acknowledged.
    #[must_use]
    pub fn counts(&self) -> (u64, usize) {
        (self.flow.sent(), self.flow.waiting())
    }

    /// Takes octets of the connection.
    pub fn handle_bytes(&mut self, bytes: &[u8], now: Now) {
        match self.phase {
            // Between our wish for TLS and the handshake only <proceed/> counts; the rest is discarded.
            Phase::Securing | Phase::Ended => return,
            Phase::Greeting
            | Phase::Choosing
            | Phase::AskingForTls
            | Phase::Authenticating
            | Phase::DialingBack
            | Phase::Asking
            | Phase::Resuming
            | Phase::Ready => self.wire.feed(bytes),
        }
        self.heard = now.moment;
        self.pump(now);
    }

    /// Takes the news that the handshake ordered by [`Output::StartTls`] is over.
    pub fn handle_tls(&mut self, facts: Box<TlsFacts>, now: Now) {
        if self.phase == Phase::Securing {
            self.wire.restart(Limits::BEFORE_AUTHENTICATION);
            self.secured(facts, now);
        }
    }

    /// Takes the news that the connection is gone.
    pub fn handle_closed(&mut self, reason: Option<String>, _now: Now) {
        if self.phase == Phase::Ended {
            return;
        }
        let words = reason.unwrap_or_else(|| "the partner closed the connection".into());
        let failure = match self.phase {
            Phase::Ready if self.flow.waiting() == 0 => None,
            Phase::Asking if self.questions.is_empty() => None,
            Phase::Greeting
            | Phase::Choosing
            | Phase::AskingForTls
            | Phase::Asking
            | Phase::Resuming
            | Phase::Ready => Some(Failure::new(Stage::Stream, words)),
            Phase::Securing => Some(Failure::new(Stage::Tls, words)),
            Phase::Authenticating => Some(Failure::new(Stage::Auth, words)),
            // Closing after it refused our certificate, it never looked at our key.
            Phase::DialingBack => {
                Some(self.refusal.take().unwrap_or_else(|| Failure::new(Stage::Dialback, words)))
            }
            Phase::Ended => return,
        };
        self.is_unfinished = self.phase == Phase::Ready;
        self.over(failure);
    }

    /// Sends a stanza; `token` comes back when the partner has acknowledged it. On a stream that is not
    /// ready, or no longer, nothing is sent: the stanza is among [`Self::take_unacknowledged`].
    pub fn send(&mut self, token: u64, stanza: Element, now: Now) {
        if !self.is_ready() {
            return self.flow.keep(token, stanza);
        }
        if self.flow.send(token, stanza, &mut self.wire) {
            self.outputs.push_back(Output::Delivered(token));
        }
        self.moved = now.moment;
        self.ask_how_far(now);
    }

    /// Asks the partner's server whether a key is its own; ends in [`Output::Verdict`].
    pub fn ask(&mut self, question: Question, key: String, now: Now) {
        if self.phase == Phase::Ended || self.held_questions.len() >= self.settings.dialbacks_max {
            self.outputs.push_back(Output::Verdict(question, Verdict::Error(Trouble::Unreachable)));
            return;
        }
        self.held_questions.push((question, key));
        self.ask_held(now);
    }

    /// Takes the answer to a ping that came on another stream; tells whether it was for this one.
    pub fn handle_pong(&mut self, id: &str, now: Now) -> bool {
        let outputs = &mut self.outputs;
        let is_ours = self.flow.handle_pong(id, |token| outputs.push_back(Output::Delivered(token)));
        if is_ours {
            self.moved = now.moment;
            self.ask_how_far(now);
        }
        is_ours
    }

    /// Takes the news that stanza `n` of the partner is settled (on a stream used both ways).
    pub fn settle(&mut self, n: u64, _now: Now) {
        self.flow.settle(n);
        self.release_pongs();
    }

    /// Returns what was sent and not acknowledged, with its tokens, in order.
    pub fn take_unacknowledged(&mut self) -> Vec<(u64, Element)> {
        self.flow.take_waiting()
    }

    /// Lets go of a connection on which nobody answers. The stream is not ended by that: the session may go on.
    fn break_off(&mut self, reason: &str) {
        self.is_unfinished = true;
        self.hang_up(Some(Failure::new(Stage::Stream, reason)));
    }

    /// Closes the stream, with an error or in good order.
    pub fn close(&mut self, error: Option<&StreamError>, _now: Now) {
        match self.phase {
            Phase::Ended => return,
            Phase::Securing => {}
            Phase::Greeting
            | Phase::Choosing
            | Phase::AskingForTls
            | Phase::Authenticating
            | Phase::DialingBack
            | Phase::Asking
            | Phase::Resuming
            | Phase::Ready => match error {
                Some(error) => self.wire.refuse(error),
                None => self.wire.close(),
            },
        }
        self.hang_up(None);
    }

    /// Gives up on a partner that is slow or silent.
    pub fn handle_timeout(&mut self, now: Now) {
        for pair in self.initiating.handle_timeout(now.moment) {
            self.fail(Failure::new(Stage::Dialback, format!("no answer about {pair} came in time")));
        }
        for question in self.questions.handle_timeout(now.moment) {
            self.outputs.push_back(Output::Verdict(question, Verdict::Error(Trouble::Unreachable)));
        }
        match self.phase {
            Phase::Ended => {}
            Phase::Ready => self.handle_ready_timeout(now),
            Phase::Asking => self.close_if_answered(),
            Phase::Greeting
            | Phase::Choosing
            | Phase::AskingForTls
            | Phase::Securing
            | Phase::Authenticating
            | Phase::DialingBack
            | Phase::Resuming => {
                if self.deadline <= now.moment {
                    let (stage, what) = self.whereabouts();
                    self.fail(Failure::new(stage, format!("{what} did not come in time")));
                }
            }
        }
    }

    /// Returns what is wanted next.
    pub fn poll_output(&mut self) -> Option<Output> {
        if self.phase == Phase::Ready {
            self.flow.write_owed(&mut self.wire);
        }
        self.outputs.pop_front().or_else(|| self.wire.take().map(Output::Send))
    }

    /// Returns when to call [`Self::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Moment> {
        let phase = match self.phase {
            Phase::Ended => return None,
            Phase::Ready => earliest(self.flow.poll_timeout(), self.idle_deadline()),
            Phase::Asking => None,
            Phase::Greeting
            | Phase::Choosing
            | Phase::AskingForTls
            | Phase::Securing
            | Phase::Authenticating
            | Phase::DialingBack
            | Phase::Resuming => Some(self.deadline),
        };
        earliest(phase, earliest(self.initiating.poll_timeout(), self.questions.poll_timeout()))
    }

    fn pump(&mut self, now: Now) {
        while !matches!(self.phase, Phase::Securing | Phase::Ended) {
            match self.wire.next() {
                Ok(None) => return,
                Ok(Some(Event::Whitespace)) => {}
                Ok(Some(Event::StreamOpened(header))) => self.handle_header(&header, now),
                Ok(Some(Event::Stanza(element))) => self.handle_element(element, now),
                Ok(Some(Event::Closed)) => self.handle_end_of_stream(),
                Err(error) => {
                    self.wire.refuse(&error.to_stream_error());
                    self.hang_up(Some(Failure::new(
                        Stage::Stream,
                        format!("the partner sent bad XML: {error}"),
                    )));
                }
            }
        }
    }

    fn handle_end_of_stream(&mut self) {
        self.wire.close();
        let wanted = match self.phase {
            Phase::Ready => self.flow.waiting() == 0,
            Phase::Asking => self.questions.is_empty(),
            Phase::Greeting
            | Phase::Choosing
            | Phase::AskingForTls
            | Phase::Securing
            | Phase::Authenticating
            | Phase::DialingBack
            | Phase::Resuming
            | Phase::Ended => false,
        };
        let (stage, _) = self.whereabouts();
        let refusal = self.refusal.take().filter(|_| self.phase == Phase::DialingBack);
        let failure = refusal.unwrap_or_else(|| Failure::new(stage, "the partner closed the stream"));
        self.hang_up((!wanted).then_some(failure));
    }

    fn greet(&mut self) {
        let header = StreamHeader::server()
            .with_from(self.approach.pair.local.as_str())
            .with_to(self.approach.pair.remote.as_str());
        self.wire.greet(&header);
        self.phase = Phase::Greeting;
    }

    /// Returns the stage that the stream is in, and what is waited for.
    fn whereabouts(&self) -> (Stage, &'static str) {
        match self.phase {
            Phase::Greeting => (Stage::Stream, "the partner's stream header"),
            Phase::Choosing => (Stage::Stream, "the partner's features"),
            Phase::AskingForTls => (Stage::Tls, "the partner's consent to TLS"),
            Phase::Securing => (Stage::Tls, "the end of the TLS handshake"),
            Phase::Authenticating => (Stage::Auth, "the answer to EXTERNAL"),
            Phase::DialingBack => (Stage::Dialback, "the answer to dialback"),
            Phase::Asking => (Stage::Dialback, "the answer to a question"),
            Phase::Resuming => (Stage::Stream, "the answer to the wish to resume"),
            Phase::Ready | Phase::Ended => (Stage::Stream, "an acknowledgement"),
        }
    }

    /// Ends the stream in good order because it leads nowhere.
    fn fail(&mut self, failure: Failure) {
        if self.phase != Phase::Ended {
            self.wire.close();
            self.hang_up(Some(failure));
        }
    }

    fn refuse(&mut self, error: &StreamError, stage: Stage) {
        if self.phase == Phase::Ended {
            return;
        }
        self.wire.refuse(error);
        self.hang_up(Some(Failure::new(stage, format!("we closed the stream: {error}"))));
    }

    fn hang_up(&mut self, failure: Option<Failure>) {
        self.flush();
        self.outputs.push_back(Output::Close);
        self.over(failure);
    }

    fn over(&mut self, failure: Option<Failure>) {
        self.phase = Phase::Ended;
        self.outputs.extend(self.flow.suspend().map(Output::Delivered));
        let held = std::mem::take(&mut self.held_questions).into_iter().map(|(question, _)| question);
        for question in self.questions.take_all().into_iter().chain(held) {
            self.outputs.push_back(Output::Verdict(question, Verdict::Error(Trouble::Unreachable)));
        }
        self.outputs.push_back(Output::Ended(failure));
    }

    fn flush(&mut self) {
        if let Some(bytes) = self.wire.take() {
            self.outputs.push_back(Output::Send(bytes));
        }
    }
}

/// What a stream error of the peer means for us.
fn failure_of(error: &StreamError, stage: Stage) -> Failure {
    let failure = Failure::new(stage, "the partner ended the stream");
    let failure = match error.condition {
        StreamCondition::NotAuthorized if stage == Stage::Auth => {
            Failure { reason: "the partner refused to let us prove who we are".into(), ..failure }
        }
        StreamCondition::HostUnknown | StreamCondition::HostGone => {
            Failure { reason: "the partner does not serve that domain".into(), ..failure }
        }
        StreamCondition::InvalidFrom => Failure {
            reason: "the server that was reached refuses our domain as a sender's: perhaps it is our own, and the \
                     partner's host or DNS records lead back to us"
                .into(),
            ..failure
        },
        _ => failure,
    };
    failure.with_peer_text(Some(shortened(&error.to_string())))
}
