//! Stanzas in both directions on one stream, and who has acknowledged what.

use std::collections::VecDeque;
use std::io::Write;
use std::time::Duration;

use clock_types::{Ids, Moment, earliest};
use xmpp_types::ack::StreamManagement;
use xmpp_types::jid::Jid;
use xmpp_types::ns;
use xmpp_types::stanza;
use xmpp_types::xml::Element;

use super::session::Terms;
use crate::acks::{HandledTooHigh, Inbound, Outbound, Request};
use crate::dialback::Pair;
use crate::wire::Wire;

/// The counters of one stream.
#[derive(Debug)]
pub(super) struct Flow {
    inbound: Inbound,
    /// Our pings are counted as well, without a token.
    outbound: Outbound<(Option<u64>, Element)>,
    request: Request,
    counting: Counting,
    /// How many stanzas came, and were sent, before the peers began to count.
    inbound_uncounted: u64,
    outbound_uncounted: u64,
    /// The peer asked for an acknowledgement that we could not yet give in full.
    is_owed: bool,
    /// Whether the frontier moved since we last wrote it.
    has_moved: bool,
    /// Pings of the peer that wait for the stanzas before them, with their answers.
    pings: VecDeque<(u64, Element)>,
    patience: Duration,
    barrier: Barrier,
    /// The last stanza of ours that somebody waits for.
    last_wanted: u64,
    /// How far the peer had acknowledged when the session was last resumed.
    resumed_at: Option<u64>,
}

/// A peer that counts may answer on another stream, even where this one could be used both ways, so that its
/// count comes before its error. A ping goes beside `<r/>`: its answer takes the way of the error, and comes
/// after it (RFC 6120 §10.1).
#[derive(Debug, Default)]
struct Barrier {
    request: Request,
    /// How far the last answered ping reaches.
    ponged: u64,
    /// The last stanza that can be answered by an error.
    last_message: u64,
    /// What is counted and not yet covered by a ping, and how long we wait for that.
    counted: VecDeque<(u64, u64, Moment)>,
    /// The peer left a ping unanswered: its count must do, until it answers one.
    is_mute: bool,
}

/// How long a count waits for the ping's answer.
const GRACE: Duration = Duration::from_secs(1);

/// Whether XEP-0198 is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counting {
    /// Neither side counts: pings take its place.
    Off,
    /// We asked, and the answer is under way.
    Asked,
    /// Both sides count.
    On,
}

/// What an element of stream management led to.
#[derive(Debug)]
pub(super) enum Managed {
    /// It is dealt with.
    Done,
    /// The peer broke the rules.
    TooHigh(HandledTooHigh),
    /// The element has no business here.
    Unexpected,
}

impl Flow {
    pub(super) fn new(patience: Duration) -> Self {
        Self {
            inbound: Inbound::default(),
            outbound: Outbound::default(),
            request: Request::default(),
            counting: Counting::Off,
            inbound_uncounted: 0,
            outbound_uncounted: 0,
            is_owed: false,
            has_moved: false,
            pings: VecDeque::new(),
            patience,
            barrier: Barrier::default(),
            last_wanted: 0,
            resumed_at: None,
        }
    }

    /// Tells whether both sides count: the peer knows which of its stanzas are not acknowledged.
    pub(super) fn is_counting(&self) -> bool {
        self.counting == Counting::On
    }

    pub(super) fn at_work(&self) -> usize {
        self.inbound.at_work()
    }

    pub(super) fn received(&self) -> u64 {
        self.inbound.received()
    }

    pub(super) fn sent(&self) -> u64 {
        self.outbound.sent()
    }

    pub(super) fn waiting(&self) -> usize {
        let unacknowledged =
            if self.last_wanted > self.outbound.acknowledged() { self.outbound.waiting() } else { 0 };
        unacknowledged + self.barrier.counted.len()
    }

    /// Sends a stanza; `token` comes back when the peer has acknowledged it. Returns whether that is now: an
    /// answer is not asked about by a ping, since the answer to that would be, without end.
    #[must_use]
    pub(super) fn send(&mut self, token: u64, stanza: Element, wire: &mut Wire) -> bool {
        wire.print(&stanza);
        let is_answer = is_answer(&stanza);
        if is_answer && self.counting == Counting::Off {
            return true;
        }
        self.last_wanted = self.outbound.push((Some(token), stanza));
        if !is_answer {
            self.barrier.last_message = self.last_wanted;
        }
        false
    }

    /// Keeps a stanza that came too late to be sent: it is handed back with what is not acknowledged.
    pub(super) fn keep(&mut self, token: u64, stanza: Element) {
        self.last_wanted = self.outbound.push((Some(token), stanza));
    }

    /// Asks for an acknowledgement, if anything waits for one and no question is out.
    pub(super) fn ask(&mut self, pair: &Pair, ids: &mut Ids, wire: &mut Wire, now: Moment) {
        match self.counting {
            Counting::Asked => {}
            Counting::On => {
                self.ping_beside(pair, ids, wire, now);
                self.ask_to_count(wire, now);
            }
            Counting::Off => {
                if self.outbound.waiting() > 0 && !self.request.is_out() {
                    let id = print_ping(pair, ids, wire).0;
                    // A gateway behind the peer may keep the answer until its own far side has answered.
                    self.request.ping(self.outbound.sent(), id, self.patience * 2, now);
                }
            }
        }
    }

    fn ask_to_count(&mut self, wire: &mut Wire, now: Moment) {
        if self.request.is_out() {
            if self.request.again().is_some_and(|again| again <= now) {
                wire.print(&StreamManagement::Request.to_element());
                self.request.ask_again(now);
            }
        } else if self.last_wanted > self.outbound.acknowledged() {
            wire.print(&StreamManagement::Request.to_element());
            self.request.ask(self.outbound.sent(), self.patience, now);
        }
    }

    fn ping_beside(&mut self, pair: &Pair, ids: &mut Ids, wire: &mut Wire, now: Moment) {
        let covers = self.barrier.last_message;
        let has_more = covers > self.barrier.ponged;
        if !has_more || self.barrier.request.is_out() {
            return;
        }
        let (id, ping) = print_ping(pair, ids, wire);
        // The peer counts the ping as well; nobody waits for it.
        self.outbound.push((None, ping));
        self.barrier.request.ping(covers, id, self.patience, now);
    }

    /// Takes the answer to a ping of ours, whatever it says: it came after what was sent before.
    pub(super) fn handle_pong(&mut self, id: &str, mut delivered: impl FnMut(u64)) -> bool {
        if let Some(covered) = self.barrier.request.ping_answered(id) {
            self.barrier.ponged = covered;
            self.barrier.is_mute = false;
            while let Some((_, token, _)) = self.barrier.counted.pop_front_if(|(n, _, _)| *n <= covered) {
                delivered(token);
            }
            return true;
        }
        let Some(covered) = self.request.ping_answered(id) else { return false };
        self.outbound
            .acknowledge_through(covered, |_, (token, _)| token.into_iter().for_each(&mut delivered));
        true
    }

    /// Ends the wait for pings that were not answered in time: the peer's count must do.
    pub(super) fn stop_waiting(&mut self, now: Moment, mut delivered: impl FnMut(u64)) {
        while let Some((_, token, _)) = self.barrier.counted.pop_front_if(|(_, _, until)| *until <= now) {
            self.barrier.is_mute = true;
            delivered(token);
        }
        if self.barrier.request.deadline().is_some_and(|deadline| deadline <= now) {
            self.barrier.request = Request::default();
            self.barrier.ponged = self.barrier.last_message;
        }
    }

    /// Returns what the peer has counted and no ping has covered: the stream is over, and it will not be.
    pub(super) fn take_counted(&mut self) -> impl Iterator<Item = u64> {
        std::mem::take(&mut self.barrier.counted).into_iter().map(|(_, token, _)| token)
    }

    /// Asks the peer to count with us from here on (XEP-0198 §3), and perhaps to keep the count when the
    /// connection breaks.
    pub(super) fn enable(&mut self, resume: bool, wire: &mut Wire) {
        wire.print(&StreamManagement::Enable { resume, max: None }.to_element());
        self.counting = Counting::Asked;
        self.outbound_uncounted = self.outbound.sent();
    }

    /// Counts from here on because the peer asked for it; with terms, what is counted may be resumed.
    pub(super) fn begin(&mut self, terms: Option<&Terms>, wire: &mut Wire) {
        wire.print(&enabled(terms).to_element());
        self.counting = Counting::On;
        self.inbound_uncounted = self.inbound.received();
        self.outbound_uncounted = self.outbound.sent();
    }

    /// Tells whether nothing was counted or carried yet, so that a former session may take its place.
    pub(super) fn is_fresh(&self) -> bool {
        self.counting == Counting::Off && self.inbound.received() == 0 && self.outbound.sent() == 0
    }

    /// Forgets what was asked on a connection that is gone; a ping counts as a stanza, and will be answered
    /// after it. Returns what the peer had counted: that is delivered, whether it comes back or not.
    pub(super) fn suspend(&mut self) -> impl Iterator<Item = u64> {
        self.request = Request::default();
        self.is_owed = false;
        self.has_moved = false;
        self.take_counted()
    }

    /// Returns our `h` for a peer that will repeat, over another connection, whatever came after it.
    pub(super) fn announce(&mut self) -> u32 {
        self.inbound.expect_repetition(self.inbound_uncounted);
        self.h()
    }

    /// Goes on over another connection: the peer has handled `h` of ours (XEP-0198 §5).
    pub(super) fn resume(
        &mut self,
        h: u32,
        now: Moment,
        mut delivered: impl FnMut(u64),
    ) -> Result<(), HandledTooHigh> {
        if let Managed::TooHigh(error) = self.handle_count(h, now, &mut delivered) {
            return Err(error);
        }
        self.resumed_at = Some(self.outbound.acknowledged());
        Ok(())
    }

    /// Takes the `h` with which a peer refused to go on: that much it has.
    pub(super) fn conclude(&mut self, h: u32, mut delivered: impl FnMut(u64)) -> Result<(), HandledTooHigh> {
        let h = h.wrapping_add(low_half(self.outbound_uncounted));
        self.outbound.acknowledge(h, |_, (token, _)| token.into_iter().for_each(&mut delivered))
    }

    /// Sends all that the peer does not have once more, in order; returns how many there are.
    pub(super) fn send_again(&self, wire: &mut Wire) -> usize {
        self.outbound.iter().map(|(_, (_, stanza))| wire.print(stanza)).count()
    }

    /// Counts as if so many stanzas had crossed each way.
    #[cfg(test)]
    pub(super) fn count_from(&mut self, n: u64) {
        self.outbound.count_from(n);
        self.inbound.count_from(n);
    }

    /// Tells whether the peer has taken nothing since the session was resumed, although something waits: to
    /// resume it once more would lead nowhere.
    pub(super) fn is_stuck(&self) -> bool {
        self.waiting() > 0 && self.resumed_at == Some(self.outbound.acknowledged())
    }

    /// Returns how many stanzas of the peer are settled without a gap, as XEP-0198 counts them.
    pub(super) fn h(&self) -> u32 {
        low_half(self.inbound.frontier().saturating_sub(self.inbound_uncounted))
    }

    /// Returns about how many octets wait for an acknowledgement.
    pub(super) fn octets(&self) -> usize {
        self.outbound.iter().map(|(_, (_, stanza))| stanza.weight()).sum()
    }

    /// Takes an element of stream management on a stream whose peer is proved.
    pub(super) fn handle(
        &mut self,
        management: &StreamManagement,
        wire: &mut Wire,
        now: Moment,
        mut delivered: impl FnMut(u64),
    ) -> Managed {
        match (management, self.counting) {
            (StreamManagement::Enable { .. }, Counting::Off) => {
                self.begin(None, wire);
                Managed::Done
            }
            (StreamManagement::Enabled { .. }, Counting::Asked) => {
                self.counting = Counting::On;
                self.inbound_uncounted = self.inbound.received();
                Managed::Done
            }
            (StreamManagement::Failed { .. }, Counting::Asked) => {
                self.counting = Counting::Off;
                Managed::Done
            }
            (StreamManagement::Request, Counting::On) => {
                self.write_answer(wire);
                self.is_owed = self.inbound.at_work() > 0;
                Managed::Done
            }
            (StreamManagement::Answer { h }, Counting::On) => self.handle_count(*h, now, &mut delivered),
            // Acknowledgements of a peer that does not count say nothing.
            (
                StreamManagement::Answer { .. } | StreamManagement::Request,
                Counting::Off | Counting::Asked,
            ) => Managed::Done,
            (StreamManagement::Resume { .. }, Counting::Off) => {
                wire.print(&failed(xmpp_types::stanza_error::StanzaCondition::ItemNotFound));
                Managed::Done
            }
            (StreamManagement::Enable { .. }, Counting::Asked | Counting::On)
            | (StreamManagement::Resume { .. }, Counting::Asked | Counting::On) => {
                wire.print(&failed(xmpp_types::stanza_error::StanzaCondition::UnexpectedRequest));
                Managed::Done
            }
            (
                StreamManagement::Enabled { .. } | StreamManagement::Failed { .. },
                Counting::Off | Counting::On,
            )
            | (StreamManagement::Resumed { .. }, Counting::Off | Counting::Asked | Counting::On) => {
                Managed::Unexpected
            }
        }
    }

    /// Takes the peer's count: what no error can follow any more is delivered, the rest waits for a ping.
    fn handle_count(&mut self, h: u32, now: Moment, delivered: &mut impl FnMut(u64)) -> Managed {
        let h = h.wrapping_add(low_half(self.outbound_uncounted));
        let barrier = &mut self.barrier;
        let counted = |n, (token, stanza): (Option<u64>, Element)| {
            let Some(token) = token else { return };
            if barrier.is_mute || n <= barrier.ponged || is_answer(&stanza) {
                delivered(token);
            } else {
                barrier.counted.push_back((n, token, now + GRACE));
            }
        };
        match self.outbound.acknowledge(h, counted) {
            Ok(()) => {
                self.request.answered_up_to(self.outbound.acknowledged(), now);
                Managed::Done
            }
            Err(error) => Managed::TooHigh(error),
        }
    }

    /// Counts a stanza that came in; `None` if we have it from before a resumption.
    pub(super) fn receive(&mut self) -> Option<u64> {
        self.inbound.receive()
    }

    /// Keeps the answer to the peer's ping, stanza `n`, until what came before it is settled.
    pub(super) fn hold_pong(&mut self, n: u64, answer: Element) {
        self.pings.push_back((n, answer));
    }

    /// Takes the news that stanza `n` is settled.
    pub(super) fn settle(&mut self, n: u64) {
        self.has_moved |= self.inbound.settle(n);
    }

    /// Returns the answer to the next ping whose turn has come; the ping is settled by it.
    pub(super) fn next_pong(&mut self) -> Option<Element> {
        let (n, _) = self.pings.front()?;
        if self.inbound.frontier() + 1 < *n {
            return None;
        }
        let (n, answer) = self.pings.pop_front()?;
        self.settle(n);
        Some(answer)
    }

    /// Tells the peer how far we are, when it asked and was not told all.
    pub(super) fn write_owed(&mut self, wire: &mut Wire) {
        if std::mem::take(&mut self.has_moved) && self.is_owed && self.counting == Counting::On {
            self.write_answer(wire);
            self.is_owed = self.inbound.at_work() > 0;
        }
    }

    /// Returns what is sent and not acknowledged, in order.
    pub(super) fn take_waiting(&mut self) -> Vec<(u64, Element)> {
        let waiting = self.outbound.take_waiting().into_iter();
        waiting.filter_map(|(token, stanza)| Some((token?, stanza))).collect()
    }

    /// Returns since when the peer has been asked for an acknowledgement that it has not given in full.
    pub(super) fn asked_since(&self) -> Option<Moment> {
        self.request.since()
    }

    /// Returns when patience with the peer's acknowledgement ends.
    pub(super) fn deadline(&self) -> Option<Moment> {
        self.request.deadline()
    }

    /// Returns when something of this is due: patience with an acknowledgement or a ping, or another question.
    pub(super) fn poll_timeout(&self) -> Option<Moment> {
        earliest(self.deadline(), earliest(self.grace(), self.again()))
    }

    /// Returns when to call [`Self::stop_waiting`].
    fn grace(&self) -> Option<Moment> {
        let counted = self.barrier.counted.front().map(|(_, _, until)| *until);
        earliest(counted, self.barrier.request.deadline())
    }

    /// Returns when to ask again, if the peer has not taken all that it was asked about.
    pub(super) fn again(&self) -> Option<Moment> {
        self.request.again()
    }

    fn write_answer(&self, wire: &mut Wire) {
        let h = self.h();
        wire.out()
            .write_fmt(format_args!("<a xmlns='{}' h='{h}'/>", ns::SM3))
            .expect("a vector takes all that is written");
    }
}

/// Whether a stanza answers another, so that no error can answer it (RFC 6120 §8.3.1).
fn is_answer(stanza: &Element) -> bool {
    match stanza.name() {
        "iq" => matches!(stanza.attr("type"), Some("result" | "error")),
        _ => stanza.attr("type") == Some("error"),
    }
}

fn print_ping(pair: &Pair, ids: &mut Ids, wire: &mut Wire) -> (String, Element) {
    let id = ids.token("ping");
    let (from, to) = (Jid::from(pair.local.clone()), Jid::from(pair.remote.clone()));
    let ping = stanza::ping(id.as_str(), &from, &to);
    wire.print(&ping);
    (id, ping)
}

fn enabled(terms: Option<&Terms>) -> StreamManagement {
    let Some(terms) = terms else {
        return StreamManagement::Enabled { id: None, resume: false, max: None, location: None };
    };
    StreamManagement::Enabled {
        id: Some(terms.id.as_str().into()),
        resume: true,
        max: Some(u32::try_from(terms.max.as_secs()).unwrap_or(u32::MAX)),
        location: terms.location.as_deref().map(Into::into),
    }
}

/// `<failed/>` of XEP-0198.
pub(super) fn failed(condition: xmpp_types::stanza_error::StanzaCondition) -> Element {
    StreamManagement::Failed { condition, h: None }.to_element()
}

#[expect(clippy::cast_possible_truncation, reason = "XEP-0198 counts modulo 2^32")]
const fn low_half(n: u64) -> u32 {
    n as u32
}
