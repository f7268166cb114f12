//! What all parts of the proxy share: settings, names, and the way out.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use clock_types::{Ids, Moment, Now};
use net_types::{Bytes, ConnectionId, Order, QueryId, TlsClient};
use xmpp_proto::dialback::{Pair, Question, Secret, Verdict};
use xmpp_proto::discovery::{Start, Target};
use xmpp_proto::failure::Failure;
use xmpp_proto::link::{Gateway, ReceivedId};
use xmpp_proto::posh::{Cache, Known};
use xmpp_proto::stream::{Received, StreamSettings};
use xmpp_types::jid::DomainName;
use xmpp_types::outline::{Bodies, outline};
use xmpp_types::xml::Element;

use crate::courier::CourierId;
use crate::notice::{Direction, Notice};
use crate::proxy::Output;
use crate::sessions::SessionKey;
use crate::settings::{Partner, Settings};
use crate::timers::Timers;

/// The shared part.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) settings: Arc<Settings>,
    pub(crate) stream_settings: Arc<StreamSettings>,
    pub(crate) secret: Secret,
    pub(crate) ids: Ids,
    pub(crate) timers: Timers,
    pub(crate) is_stopping: bool,
    /// Until when somebody watches, and what he may see.
    pub(crate) watched: Option<(Moment, Bodies)>,
    pub(crate) outputs: VecDeque<Output>,
    /// What one part has to tell another; handled before the proxy returns.
    pub(crate) effects: VecDeque<Effect>,
    /// Who owns a connection.
    pub(crate) owners: BTreeMap<ConnectionId, Owner>,
    /// Who asked the DNS, and by which number.
    pub(crate) queries: BTreeMap<QueryId, (CourierId, u32)>,
    /// What partners' web servers say of their certificates.
    pub(crate) posh: Cache,
    last_query: u64,
    last_dialled: u64,
    last_token: u64,
}

/// Who owns a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Incoming,
    Courier(CourierId),
    Gateway,
}

/// Where a stanza on its way to a partner came from, and who must learn what became of it.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// A gateway waits for it to be settled.
    Gateway(Gateway, ReceivedId),
    /// We made it ourselves; the partner's stanza that it refuses is settled by it.
    Answer(Option<Source>),
}

/// Where a stanza of a partner came from: it is settled there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    /// A stream that the partner opened.
    Incoming(SessionKey, u64),
    /// A stream that we opened and that is used both ways, by the number of its session.
    Outgoing(CourierId, u64, u64),
}

/// What one part has to tell another.
#[derive(Debug)]
pub(crate) enum Effect {
    /// A partner has acknowledged a stanza.
    Delivered(Origin),
    /// A stanza could not be handed to a partner.
    Undeliverable { origin: Origin, stanza: Element, bounce: Bounce },
    /// A partner sent a stanza on a stream that we opened.
    FromPartner(Source, Box<Received>),
    /// We answer a partner ourselves.
    ToPartner(Box<Element>, Option<Source>),
    /// How a question of dialback ended.
    Verdict(Question, Verdict),
    /// A stanza goes out on a stream that the partner opened and that is used both ways.
    SendVia(ConnectionId, u64, Element),
}

/// The error that a stanza is answered with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bounce {
    pub(crate) condition: xmpp_types::stanza_error::StanzaCondition,
    pub(crate) text: String,
}

impl Bounce {
    pub(crate) fn new(condition: xmpp_types::stanza_error::StanzaCondition, text: impl Into<String>) -> Self {
        Self { condition, text: text.into() }
    }

    /// Returns what a sender is told of a failure: the stage and the reason, in words.
    pub(crate) fn from_failure(remote: &DomainName, failure: &Failure) -> Self {
        use xmpp_types::stanza_error::StanzaCondition::{RemoteServerNotFound, RemoteServerTimeout};
        let condition = if failure.not_found { RemoteServerNotFound } else { RemoteServerTimeout };
        Self::new(condition, format!("{remote} could not be reached: {failure}"))
    }
}

impl World {
    pub(crate) fn new(
        settings: Arc<Settings>,
        stream_settings: StreamSettings,
        secret: Secret,
        ids: Ids,
    ) -> Self {
        Self {
            settings,
            stream_settings: Arc::new(stream_settings),
            secret,
            ids,
            timers: Timers::default(),
            is_stopping: false,
            watched: None,
            outputs: VecDeque::new(),
            effects: VecDeque::new(),
            owners: BTreeMap::new(),
            queries: BTreeMap::new(),
            posh: Cache::default(),
            last_query: 0,
            last_dialled: 0,
            last_token: 0,
        }
    }

    pub(crate) fn order(&mut self, order: Order) {
        self.outputs.push_back(Output::Order(order));
    }

    /// Gives a stanza back to whom it came from.
    pub(crate) fn bounce(&mut self, origin: Origin, stanza: Element, bounce: Bounce) {
        self.effects.push_back(Effect::Undeliverable { origin, stanza, bounce });
    }

    pub(crate) fn notice(&mut self, notice: Notice) {
        self.outputs.push_back(Output::Notice(notice));
    }

    /// Shows a stanza to whoever watches.
    pub(crate) fn show(&mut self, stanza: &Element, pair: &Pair, direction: Direction, now: Now) {
        let Some((until, bodies)) = self.watched else { return };
        if until <= now.moment {
            self.watched = None;
            return;
        }
        self.notice(Notice::Stanza {
            pair: pair.clone(),
            direction,
            stanza: Box::new(outline(stanza, bodies)),
        });
    }

    pub(crate) fn send(&mut self, connection: ConnectionId, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            self.order(Order::Send { connection, bytes: Bytes::from(bytes) });
        }
    }

    /// Takes back what was about to be sent on a connection that a partner opened.
    pub(crate) fn take_sends(&mut self, connection: ConnectionId) -> Vec<(u64, Element)> {
        let mut sends = Vec::new();
        for effect in std::mem::take(&mut self.effects) {
            match effect {
                Effect::SendVia(on, token, stanza) if on == connection => sends.push((token, stanza)),
                effect => self.effects.push_back(effect),
            }
        }
        sends
    }

    /// Closes a connection and forgets whose it was.
    pub(crate) fn close(&mut self, connection: ConnectionId) {
        self.owners.remove(&connection);
        self.order(Order::Close { connection });
    }

    pub(crate) fn next_query(&mut self, courier: CourierId, number: u32) -> QueryId {
        self.last_query += 1;
        let query = QueryId(self.last_query);
        self.queries.insert(query, (courier, number));
        query
    }

    pub(crate) fn next_connection(&mut self, courier: CourierId) -> ConnectionId {
        self.last_dialled += 1;
        let connection = ConnectionId::dialled(self.last_dialled);
        self.owners.insert(connection, Owner::Courier(courier));
        connection
    }

    pub(crate) fn next_token(&mut self) -> u64 {
        self.last_token += 1;
        self.last_token
    }

    /// Returns what a partner's web server says of its certificates, if it is to be believed.
    pub(crate) fn vouched_by_web(&self, remote: &DomainName, now: Now) -> Option<Known> {
        let is_asked = self.settings.partner(remote).is_some_and(Partner::has_posh);
        self.posh.get(remote, now).filter(|_| is_asked).cloned()
    }

    /// Returns how to shake hands with a partner for a domain of ours.
    pub(crate) fn tls_client(
        &self,
        local: &DomainName,
        remote: &DomainName,
        target: Option<&Target>,
    ) -> TlsClient {
        let start = target.map_or(Start::InBand, |target| target.start);
        self.settings.tls_client(local, remote, start)
    }
}
