//! The gateway as one machine.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use clock_types::{Ids, Moment, Now, earliest};
use net_types::{Event, Order};
use sip_proto::endpoint::{self, Endpoint, PaceState, RequestKey};
use sip_proto::msrp::{LateReport, SessionKey};
use sip_proto::session::About;
use sip_types::Request;
use translate::message::MessageToSip;
use xmpp_proto::link::ReceivedId;
use xmpp_types::outline::Bodies;

use crate::conversation::{Asker, ConversationState, Conversations, Fallback, Pair, SessionId};
use crate::delivery::{Number, StoreOrder, ToSip, ToXmpp};
use crate::dispositions::Dispositions;
use crate::links::{LinkEvent, Links, Sent};
use crate::notice::{Notice, Trace};
use crate::partners::Partners;
use crate::policy::Policy;
use crate::record::{NotStored, Record, Recovered, Ticket};
use crate::settings::Settings;
use crate::unknown::Unknown;
use crate::watch::{WatchCount, WatchRequest, WatchState, Watches};
use crate::watching::{Unkept, Unsaid, Unshown};
use crate::written::Written;

/// What the gateway wants done, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// For the network.
    Order(Order),
    /// For the store; answered by [`Gateway::handle_stored`]. The gateway itself waits for that before it
    /// tells anybody that a message is safe.
    Record {
        /// Its name.
        ticket: Ticket,
        /// The change.
        record: Record,
    },
    /// For the operator.
    Notice(Notice),
    /// After [`Gateway::handle_stop`]: nothing is left to do.
    Stopped,
}

/// How much is under way, for `gangway status`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Messages from SIP that are not settled.
    pub to_xmpp: usize,
    /// Messages from XMPP that are not settled.
    pub to_sip: usize,
    /// Each proxy's name, and whether its link is open.
    pub links: Vec<(String, bool)>,
    /// Requests to SIP servers that wait for their turn, by server.
    pub paced: Vec<PaceState>,
    /// Whether the gateway is stopping.
    pub stopping: bool,
}

/// The gateway.
#[derive(Debug)]
pub struct Gateway {
    pub(crate) settings: Arc<Settings>,
    pub(crate) ids: Ids,
    pub(crate) endpoint: Endpoint,
    pub(crate) links: Links,
    pub(crate) to_xmpp: ToXmpp,
    pub(crate) to_sip: ToSip,
    /// SIP requests that wait for their answer.
    pub(crate) asked: BTreeMap<Number, Asker>,
    /// What is needed to tell the senders of accepted messages by MSRP that they arrived after all.
    pub(crate) late: BTreeMap<Number, (SessionKey, LateReport)>,
    /// What names the messages from SIP that are not settled, in both protocols.
    pub(crate) to_xmpp_traces: BTreeMap<Number, Arc<Trace>>,
    pub(crate) to_sip_traces: BTreeMap<Number, Arc<Trace>>,
    /// Messages from SIP by the id of their stanza, so that an error finds its message.
    pub(crate) by_stanza: BTreeMap<String, Number>,
    /// Messages from XMPP that the link does not know as settled.
    pub(crate) received: BTreeMap<Number, (usize, ReceivedId)>,
    /// Messages from XMPP that are translated and wait for their turn.
    pub(crate) translated: BTreeMap<Number, Box<MessageToSip>>,
    /// Our own requests.
    pub(crate) requests: BTreeMap<RequestKey, Ours>,
    pub(crate) next_request: u64,
    pub(crate) unknown: Unknown,
    /// What the proxies say of their partners.
    pub(crate) partners: Arc<Partners>,
    pub(crate) written: Written,
    pub(crate) conversations: Conversations,
    pub(crate) dispositions: Dispositions,
    /// The INVITEs of each session: their 2xx may come again.
    pub(crate) invites: BTreeMap<SessionId, Vec<RequestKey>>,
    /// How many BYEs of ours have no answer.
    pub(crate) farewells: usize,
    /// Reports that are to be said in conversations.
    pub(crate) reports: BTreeMap<Number, Box<MessageToSip>>,
    /// Until when somebody watches.
    watched_until: Option<Moment>,
    pub(crate) watches: Watches,
    pub(crate) next_watch_ticket: u64,
    /// Presence stanzas that are settled once a record is stored.
    pub(crate) unstored: BTreeMap<Ticket, (usize, ReceivedId)>,
    pub(crate) unshown: Unshown,
    pub(crate) unsaid: Unsaid,
    pub(crate) unkept: Unkept,
    stopping: Option<Moment>,
    stopped: bool,
    pub(crate) outputs: VecDeque<Output>,
}

/// What a request of ours is about.
#[derive(Clone, Debug)]
pub(crate) enum Ours {
    /// A message from XMPP.
    Message {
        number: Number,
        receipt: Option<Box<xmpp_types::xml::Element>>,
        sent: Moment,
        /// Whose conversation it is, if it goes by itself because his programs took no session.
        paged: Option<Arc<Pair>>,
    },
    /// The report of a message from SIP that was not delivered.
    Report(Number),
    /// A request of a session.
    Session { session: SessionId, about: About, is_invite: bool },
    /// What became of a text from SIP, as a courtesy.
    Told,
    /// A SUBSCRIBE or NOTIFY of a watch.
    Watch { name: WatchRequest, sent: Moment },
}

impl Gateway {
    /// Returns a gateway that goes on from what an earlier process left in the store.
    #[must_use]
    pub fn new(settings: Settings, mut recovered: Recovered, mut ids: Ids, now: Now) -> Self {
        let links = Links::new(&settings.name, &settings.proxies, &mut ids);
        let settings = Arc::new(settings);
        let mut gateway = Self {
            endpoint: Endpoint::new(settings.sip.clone(), ids.fork()),
            conversations: Conversations::new(Arc::clone(&settings), ids.fork()),
            watches: Watches::new(
                Arc::clone(&settings),
                std::mem::take(&mut recovered.watches),
                ids.fork(),
                now,
            ),
            dispositions: Dispositions::default(),
            next_watch_ticket: 0,
            unstored: BTreeMap::new(),
            unshown: Unshown::default(),
            unsaid: Unsaid::default(),
            unkept: Unkept::default(),
            links,
            to_xmpp: ToXmpp::new(settings.delivery),
            to_sip: ToSip::new(settings.delivery),
            asked: BTreeMap::new(),
            late: BTreeMap::new(),
            to_xmpp_traces: BTreeMap::new(),
            to_sip_traces: BTreeMap::new(),
            by_stanza: BTreeMap::new(),
            received: BTreeMap::new(),
            translated: BTreeMap::new(),
            requests: BTreeMap::new(),
            next_request: 0,
            unknown: Unknown::default(),
            partners: Arc::default(),
            written: Written::recover(std::mem::take(&mut recovered.written)),
            invites: BTreeMap::new(),
            farewells: 0,
            reports: BTreeMap::new(),
            watched_until: None,
            stopping: None,
            stopped: false,
            outputs: VecDeque::new(),
            settings,
            ids,
        };
        gateway.recover(recovered, now);
        gateway.pump(now);
        gateway
    }

    /// Takes what happened on the network.
    pub fn handle_event(&mut self, event: Event, now: Now) {
        match self.links.take(event, now) {
            None => {}
            Some(event) if self.conversations.concerns(&event) => self.conversations.handle_net(event, now),
            Some(event) => self.endpoint.handle_net(event, now),
        }
        self.pump(now);
    }

    /// Takes the outcome of an order to the store.
    pub fn handle_stored(&mut self, ticket: Ticket, stored: Result<(), NotStored>, now: Now) {
        if let Err(NotStored { reason }) = &stored {
            self.outputs.push_back(Output::Notice(Notice::StoreFailed { reason: reason.clone() }));
        }
        self.to_xmpp.handle_stored(ticket, stored.clone(), now);
        self.watch_stored(ticket, &stored, now);
        self.to_sip.handle_stored(ticket, stored, now);
        self.pump(now);
    }

    /// Puts other settings into effect: the SIP domains with their routes, who may federate, how messages cross. Our
    /// name, the listeners and limits of the SIP side, the links and the times of delivery are those of the start.
    pub fn handle_settings(&mut self, settings: Settings, now: Now) {
        let started = &*self.settings;
        self.settings = Arc::new(Settings {
            name: started.name.clone(),
            sip: started.sip.clone(),
            msrp: started.msrp.clone(),
            proxies: started.proxies.clone(),
            delivery: started.delivery,
            stop_within: started.stop_within,
            ..settings
        });
        self.conversations.handle_settings(Arc::clone(&self.settings));
        self.watches.handle_settings(Arc::clone(&self.settings), now);
        self.pump(now);
    }

    /// Shows messages to somebody as they cross, until a moment that he puts off again and again.
    pub fn handle_watch(&mut self, bodies: Bodies, until: Moment, now: Now) {
        if self.links.watched() != Some(bodies) {
            self.notice(Notice::Watched { bodies });
        }
        self.watched_until = Some(until);
        self.links.watch(Some(bodies));
        self.endpoint.watch();
        self.pump(now);
    }

    fn end_watch(&mut self) {
        self.watched_until = None;
        self.links.watch(None);
        self.endpoint.unwatch();
    }

    /// Begins to end in good order: new requests are answered 503, what is held goes to disk, the link
    /// is closed, [`Output::Stopped`] follows.
    pub fn handle_stop(&mut self, now: Now) {
        if self.stopping.is_some() {
            return;
        }
        self.stopping = Some(now.moment + self.settings.stop_within);
        self.endpoint.handle_stop(now);
        self.to_xmpp.handle_stop(now);
        self.to_sip.handle_stop(now);
        self.conversations.handle_stop(now);
        self.watches.handle_stop(now);
        self.pump(now);
    }

    /// Does what the clock asks for.
    pub fn handle_timeout(&mut self, now: Now) {
        self.links.handle_timeout(now);
        self.endpoint.handle_timeout(now);
        self.to_xmpp.handle_timeout(now);
        self.to_sip.handle_timeout(now);
        self.conversations.handle_timeout(now);
        self.watches.handle_timeout(now);
        self.keep_again(now);
        self.answer_for_refused(now);
        self.pump(now);
    }

    /// Returns when to call [`Self::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Moment> {
        if self.stopped {
            return None;
        }
        let sip = earliest(self.endpoint.poll_timeout(), self.links.poll_timeout());
        let delivery = earliest(self.to_xmpp.poll_timeout(), self.to_sip.poll_timeout());
        let waiting = earliest(self.unknown.poll_timeout(), self.stopping);
        let waiting = earliest(waiting, self.unkept.poll_timeout());
        let users = earliest(self.conversations.poll_timeout(), self.watches.poll_timeout());
        earliest(earliest(sip, delivery), earliest(users, waiting))
    }

    /// Returns what is wanted next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Returns how much is under way.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            to_xmpp: self.to_xmpp.unsettled(),
            to_sip: self.to_sip.unsettled(),
            links: self.links.states(),
            paced: self.endpoint.paced(),
            stopping: self.stopping.is_some(),
        }
    }

    /// Returns who may federate.
    #[must_use]
    pub fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.settings.policy)
    }

    /// Returns every conversation that has a session, with how many messages wait for it.
    #[must_use]
    pub fn conversations(&self) -> Vec<(ConversationState, usize)> {
        let states = self.conversations.states().into_iter();
        states.map(|state| (self.to_sip.waiting(&state.pair.key).len(), state)).map(|(n, s)| (s, n)).collect()
    }

    /// Returns what SIP users' programs were found not to do.
    #[must_use]
    pub fn learned(&self) -> Vec<(String, Fallback)> {
        self.conversations.fallbacks().map(|(user, fallback)| (user.to_owned(), fallback)).collect()
    }

    /// Returns the watches in which a user takes part, by his bare address; all of them without one.
    #[must_use]
    pub fn watches(&self, user: Option<&str>, now: Now) -> Vec<WatchState> {
        self.watches.states(user, now)
    }

    /// Returns how many watches there are.
    #[must_use]
    pub fn watch_count(&self) -> WatchCount {
        self.watches.count()
    }

    /// Lets the parts tell each other until none has anything to say.
    fn pump(&mut self, now: Now) {
        if self.stopped {
            return;
        }
        if self.watched_until.is_some_and(|until| until <= now.moment) {
            self.end_watch();
        }
        loop {
            if let Some(output) = self.endpoint.poll_output() {
                self.handle_endpoint(output, now);
            } else if let Some(event) = self.links.poll() {
                self.handle_link(event, now);
            } else if let Some(effect) = self.conversations.poll_output() {
                self.handle_effect(effect, now);
            } else if self.pump_watch(now) {
                // Until they want nothing more.
            } else if let Some(output) = self.to_xmpp.poll_output() {
                self.handle_to_xmpp(output, now);
            } else if let Some(output) = self.to_sip.poll_output() {
                self.handle_to_sip(output, now);
            } else {
                break;
            }
        }
        self.stop_if_quiet(now);
    }

    fn stop_if_quiet(&mut self, now: Now) {
        let Some(deadline) = self.stopping else { return };
        let has_left = self.conversations.is_quiet()
            && self.farewells == 0
            && self.watches.is_quiet()
            && self.unshown.is_empty()
            && self.unsaid.is_empty();
        let safe = has_left && !self.to_xmpp.is_answering() && !self.to_sip.is_exposed();
        if !safe && now.moment < deadline {
            return;
        }
        self.stopped = true;
        self.links.stop(now);
        while let Some(event) = self.links.poll() {
            if let LinkEvent::Order(order) = event {
                self.outputs.push_back(Output::Order(order));
            }
        }
        self.outputs.push_back(Output::Stopped);
    }

    fn handle_endpoint(&mut self, output: endpoint::Output, now: Now) {
        match output {
            endpoint::Output::Order(order) => self.outputs.push_back(Output::Order(order)),
            endpoint::Output::Request { key, request, source } => {
                self.handle_request(key, request, &source, now)
            }
            endpoint::Output::Response { key, response } => self.handle_response(key, response, now),
            endpoint::Output::Failed { key, failure } => self.handle_failure(key, failure, now),
            endpoint::Output::Notice(notice) => {
                if let endpoint::Notice::Oversized { key, .. } = &notice
                    && let Some(Ours::Watch { name, .. }) = self.requests.get(key)
                {
                    self.watches.handle_oversized(*name, now);
                }
                self.notice(Notice::Sip(notice));
            }
            endpoint::Output::Ack { request, source } => self.handle_ack(&request, &source, now),
            // Every INVITE is answered at once, so that there is nothing left to cancel.
            endpoint::Output::Cancelled { .. } => {}
            // The sender gave up; the message goes its way, and its end is noted.
            endpoint::Output::Expired { key } => {
                self.asked
                    .retain(|_, asker| !matches!(asker, Asker::Request { key: other, .. } if *other == key));
            }
        }
    }

    fn handle_link(&mut self, event: LinkEvent, now: Now) {
        match event {
            LinkEvent::Order(order) => self.outputs.push_back(Output::Order(order)),
            LinkEvent::Notice(notice) => self.notice(notice),
            LinkEvent::Stanza { link, n, stanza } => {
                if let Some(shown) = self.links.show_received(link, &stanza) {
                    self.notice(shown);
                }
                // A stopping gateway takes nothing new: the proxy keeps it for the next one.
                if self.stopping.is_none() {
                    self.handle_stanza(link, n, stanza, now);
                }
            }
            LinkEvent::Settled(Sent::Message(number)) => self.to_xmpp.handle_settled(number, now),
            LinkEvent::Settled(Sent::Report(number)) => self.to_sip.handle_reported(number, now),
            LinkEvent::Settled(Sent::Word(name)) => self.watches.handle_told(name),
            LinkEvent::Settled(Sent::Check(name)) => self.watches.handle_checked(name, now),
            LinkEvent::Settled(Sent::Courtesy) => {}
            LinkEvent::Up { proxy, renewed } => {
                self.notice(Notice::LinkUp { proxy });
                if renewed && self.stopping.is_none() {
                    self.watches.handle_renewed(now);
                }
            }
            LinkEvent::Broken(domain) if self.stopping.is_none() => self.watches.handle_broken(&domain, now),
            LinkEvent::Broken(_) => {}
            LinkEvent::Partners { link, table } => self.handle_partners(link, table, now),
        }
    }

    pub(crate) fn notice(&mut self, notice: Notice) {
        self.outputs.push_back(Output::Notice(notice));
    }

    pub(crate) fn store(&mut self, order: StoreOrder) {
        self.outputs.push_back(Output::Record { ticket: order.ticket, record: order.record });
    }

    /// Sends a request of our own.
    pub(crate) fn send(
        &mut self,
        about: Ours,
        request: Request,
        route: &endpoint::Route,
        now: Now,
    ) -> RequestKey {
        self.next_request += 1;
        let key = RequestKey(self.next_request);
        self.requests.insert(key, about);
        self.endpoint.send(key, request, route, now);
        key
    }
}
