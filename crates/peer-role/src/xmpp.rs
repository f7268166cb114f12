//! An XMPP server of one domain with its users in it, on the stream machines of `xmpp-proto`.
//!
//! It speaks server-to-server as any other does: SRV or a fixed host, STARTTLS, EXTERNAL or dialback, XEP-0198 or
//! pings, XEP-0288. It delivers to its users at once and answers for those who do not exist.

mod partner;
mod roster;
mod sessions;
mod stanzas;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use clock_types::{Ids, Moment, Now, earliest};
use net_types::{ConnectionId, Event, Identity, Order, QueryId, TlsServer, Trust};
use xmpp_proto::dialback::Secret;
use xmpp_proto::stream::{
    Acceptor, AcceptorOutput, Keeper, Methods, Policy, Resumption, Rules, StreamSettings,
};
use xmpp_types::jid::{DomainName, Jid};
use xmpp_types::ns;
use xmpp_types::stanza::{self, MessageType};
use xmpp_types::stream::{StreamCondition, StreamError};
use xmpp_types::xml::Element;

use crate::{Output, Said};
use partner::Partner;

pub use roster::Roster;
pub use stanzas::NO_SUCH_USER;

/// When the server says that it has taken a stanza.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acks {
    /// At once, by counting (XEP-0198).
    Counted,
    /// At once, and it cannot count: only its answers to pings tell (RFC 6120 §10.1, XEP-0199).
    Pinged,
    /// Never, although it offers to count: it takes stanzas, and shows them, and stays silent.
    Withheld,
}

/// What becomes of the stanzas that come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stanzas {
    /// They are for the users, who show and answer as users do.
    Delivered,
    /// They are told as [`Said::Stanza`] and nothing else: a play knows what is answered.
    Told,
}

/// How the server proves its domain, and lets others prove theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proves {
    /// By certificate alone (XEP-0178).
    Certificate,
    /// By dialback inside TLS alone (XEP-0220).
    Dialback,
    /// By whichever comes first.
    Either,
}

/// How an XMPP server is set up.
#[derive(Clone, Debug)]
pub struct XmppSettings {
    /// Its domain.
    pub domain: DomainName,
    /// Its certificate.
    pub identity: Identity,
    /// Whom it judges others by.
    pub trust: Trust,
    /// The localparts of its users. Who is not among them does not exist: `item-not-found`.
    pub users: BTreeSet<String>,
    /// Where partners are reached, `host` or `host:port`; others by DNS.
    pub hosts: BTreeMap<DomainName, String>,
    /// What becomes of the stanzas that come.
    pub stanzas: Stanzas,
    /// When it says that it has taken a stanza.
    pub acks: Acks,
    /// Whether streams are used both ways (XEP-0288).
    pub both_ways: bool,
    /// Whether a stream whose connection broke goes on over another (XEP-0198 §5).
    pub resumes: bool,
    /// How domains are proved.
    pub proves: Proves,
    /// How long a text may wait for a partner before its sender is told that it was not delivered.
    pub report_after: Duration,
}

impl XmppSettings {
    /// Returns the settings of a server that does everything well.
    #[must_use]
    pub const fn new(domain: DomainName, identity: Identity, trust: Trust) -> Self {
        Self {
            domain,
            identity,
            trust,
            users: BTreeSet::new(),
            hosts: BTreeMap::new(),
            stanzas: Stanzas::Delivered,
            acks: Acks::Counted,
            both_ways: true,
            resumes: true,
            proves: Proves::Either,
            report_after: Duration::from_secs(60),
        }
    }

    const fn methods(&self) -> Methods {
        Methods {
            external: matches!(self.proves, Proves::Certificate | Proves::Either),
            dialback_over_tls: matches!(self.proves, Proves::Dialback | Proves::Either),
            dialback_in_clear: false,
        }
    }
}

/// The XMPP side of a conversation.
#[derive(Debug)]
pub struct XmppServer {
    settings: XmppSettings,
    rules: Arc<dyn Rules>,
    streams: Arc<StreamSettings>,
    secret: Secret,
    ids: Ids,
    incoming: BTreeMap<ConnectionId, Acceptor>,
    /// Streams whose connection broke, by the connection they began on.
    kept: Keeper<ConnectionId, ()>,
    /// The sessions that incoming connections go on with.
    sessions: BTreeMap<ConnectionId, ConnectionId>,
    /// Incoming connections whose peer may be about to go on with a former session: nothing is sent on them.
    unbegun: BTreeSet<ConnectionId>,
    partners: BTreeMap<DomainName, Partner>,
    queries: BTreeMap<QueryId, (DomainName, u32)>,
    /// Texts that have no end yet, by the token under which they were sent.
    open: BTreeMap<u64, Open>,
    /// What came and is not said to be taken, by its session.
    withheld: Vec<(ConnectionId, u64)>,
    roster: Roster,
    next_connection: u64,
    next_query: u64,
    next_token: u64,
    outputs: VecDeque<Output>,
}

/// A text on its way.
#[derive(Debug)]
struct Open {
    id: String,
    deadline: Moment,
}

/// Which stream a stanza came on.
#[derive(Clone, Copy, Debug)]
enum Stream<'a> {
    Incoming(ConnectionId),
    Outgoing(&'a DomainName),
}

impl XmppServer {
    /// Returns a server whose listeners the shell has opened.
    #[must_use]
    pub fn new(settings: XmppSettings, mut ids: Ids) -> Self {
        let rules = OneDomain { domain: settings.domain.clone(), methods: settings.methods() };
        let streams = StreamSettings {
            stream_management: !matches!(settings.acks, Acks::Pinged),
            both_ways: settings.both_ways,
            resumption: settings.resumes.then_some(Resumption { max: sessions::KEPT_FOR, location: None }),
            ..StreamSettings::default()
        };
        Self {
            rules: Arc::new(rules),
            streams: Arc::new(streams),
            secret: Secret::fresh(&mut ids),
            ids,
            settings,
            incoming: BTreeMap::new(),
            kept: Keeper::new(sessions::LIMITS),
            sessions: BTreeMap::new(),
            unbegun: BTreeSet::new(),
            partners: BTreeMap::new(),
            queries: BTreeMap::new(),
            open: BTreeMap::new(),
            withheld: Vec::new(),
            roster: Roster::default(),
            next_connection: 0,
            next_query: 0,
            next_token: 0,
            outputs: VecDeque::new(),
        }
    }

    /// Creates a user.
    pub fn add_user(&mut self, localpart: impl Into<String>) {
        self.settings.users.insert(localpart.into());
    }

    /// Starts or ends withholding acknowledgements; what was withheld is said when it ends.
    pub fn set_acks(&mut self, acks: Acks, now: Now) {
        self.settings.acks = acks;
        if acks != Acks::Withheld {
            for (session, n) in std::mem::take(&mut self.withheld) {
                self.settle(session, n, now);
            }
            self.drain(now);
        }
    }

    /// Takes one event of the shell.
    pub fn handle_event(&mut self, event: Event, now: Now) {
        match event {
            Event::Accepted { connection, tls, .. } => {
                let (rules, streams) = (Arc::clone(&self.rules), Arc::clone(&self.streams));
                let ids = self.ids.fork();
                let acceptor = Acceptor::new(rules, streams, self.secret.clone(), tls, ids, now);
                self.incoming.insert(connection, acceptor);
            }
            Event::Connected { connection, tls, .. } => self.handle_connected(connection, tls, now),
            Event::ConnectFailed { connection, reason, .. } => {
                self.handle_connect_failed(connection, &reason, now);
            }
            Event::TlsStarted { connection, facts } => {
                if let Some(acceptor) = self.incoming.get_mut(&connection) {
                    acceptor.handle_tls(facts, now);
                } else if let Some(initiator) = self.initiator_mut(connection) {
                    initiator.handle_tls(facts, now);
                }
            }
            Event::Bytes { connection, bytes } => {
                if let Some(acceptor) = self.incoming.get_mut(&connection) {
                    acceptor.handle_bytes(&bytes, now);
                } else if let Some(initiator) = self.initiator_mut(connection) {
                    initiator.handle_bytes(&bytes, now);
                }
            }
            Event::Closed { connection, reason } => {
                if let Some(acceptor) = self.incoming.get_mut(&connection) {
                    acceptor.handle_closed(reason, now);
                } else if let Some(initiator) = self.initiator_mut(connection) {
                    initiator.handle_closed(reason, now);
                }
            }
            Event::Resolved { query, answer } => self.handle_resolved(query, answer, now),
            Event::Datagram { .. } => {}
        }
        self.drain(now);
    }

    /// Does what the clock asks for.
    pub fn handle_timeout(&mut self, now: Now) {
        for acceptor in self.incoming.values_mut() {
            acceptor.handle_timeout(now);
        }
        self.handle_partners_timeout(now);
        let given_up = self.kept.handle_timeout(now);
        self.hand_back(given_up, now);
        self.drain(now);
        self.give_up(now);
    }

    /// Sends a text from one of our users, `ann@x.example/desk`, to `to`. The id becomes that of the stanza.
    pub fn send_text(&mut self, from: &str, to: &str, text: &str, id: &str, now: Now) {
        self.say(Said::Sent {
            id: id.to_owned(),
            from: from.to_owned(),
            to: to.to_owned(),
            text: text.to_owned(),
        });
        let (Ok(from), Ok(to)) = (Jid::parse(from), Jid::parse(to)) else {
            return self.say(Said::Refused { id: id.to_owned(), answer: "not an XMPP address".to_owned() });
        };
        let stanza = stanza::message(MessageType::Chat, &from, &to)
            .with_attr("id", id)
            .with_child(Element::new(ns::SERVER, "body").with_text(text));
        self.send_stanza(stanza, id, now);
    }

    /// Sends any stanza; that it was taken, or never was, is told under `id`.
    pub fn send_stanza(&mut self, stanza: Element, id: &str, now: Now) {
        self.next_token += 1;
        let deadline = now.moment + self.settings.report_after;
        self.open.insert(self.next_token, Open { id: id.to_owned(), deadline });
        self.route(self.next_token, stanza, now);
        self.drain(now);
    }

    /// Returns the contact lists.
    #[must_use]
    pub const fn roster(&self) -> &Roster {
        &self.roster
    }

    /// Lets a user, or the server, do something with the contact lists.
    pub fn with_roster<T>(&mut self, deed: impl FnOnce(&mut Roster) -> T, now: Now) -> T {
        let result = deed(&mut self.roster);
        self.send_presence(now);
        self.drain(now);
        result
    }

    /// Closes all streams in good order (RFC 6120 §4.9.3.20).
    pub fn handle_stop(&mut self, now: Now) {
        let shutdown = StreamError::new(StreamCondition::SystemShutdown);
        for acceptor in self.incoming.values_mut() {
            acceptor.close(Some(shutdown.clone()), now);
        }
        self.close_partners(&shutdown, now);
        self.drain(now);
    }

    /// Returns the next thing to do or to tell.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Returns when to call [`Self::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Moment> {
        let incoming = self.incoming.values().filter_map(Acceptor::poll_timeout).min();
        let outgoing = self.partners.values().filter_map(Partner::poll_timeout).min();
        // The oldest waits least long.
        let open = self.open.values().next().map(|open| open.deadline);
        earliest(earliest(incoming, outgoing), earliest(open, self.kept.poll_timeout()))
    }

    /// Carries out what the streams want until they want nothing more.
    fn drain(&mut self, now: Now) {
        loop {
            let next = self.incoming.iter_mut().find_map(|(connection, acceptor)| {
                acceptor.poll_output().map(|output| (*connection, output))
            });
            match next {
                Some((connection, output)) => self.carry_out(connection, output, now),
                None if self.drain_partner(now) => {}
                None => return,
            }
        }
    }

    fn carry_out(&mut self, connection: ConnectionId, output: AcceptorOutput, now: Now) {
        match output {
            AcceptorOutput::Send(bytes) => self.order(Order::Send { connection, bytes: bytes.into() }),
            AcceptorOutput::StartTls(_) => {
                let (identity, trust) = (self.settings.identity.clone(), self.settings.trust.clone());
                let server = Box::new(TlsServer { identity, trust });
                self.order(Order::StartTlsAsServer { connection, server });
            }
            AcceptorOutput::Ask(question, key) => self.ask(question, key, now),
            AcceptorOutput::Proved(pair, proof) => {
                self.say(Said::Note(format!("{} is proved by {proof}", pair.remote)));
                self.begin_or_wait(connection, &pair, now);
            }
            AcceptorOutput::Refused(pair, failure) => {
                self.say(Said::Note(format!("{} is not proved: {failure}", pair.remote)));
            }
            AcceptorOutput::Counting => self.begin(connection, now),
            AcceptorOutput::Resume { previd, .. } => self.resume(connection, &previd, now),
            AcceptorOutput::Stanza(received) => {
                self.begin(connection, now);
                self.receive(Stream::Incoming(connection), *received, now);
            }
            AcceptorOutput::Answer(answer) => self.route(0, *answer, now),
            AcceptorOutput::Delivered(token) => self.delivered(token),
            AcceptorOutput::Close => self.order(Order::Close { connection }),
            AcceptorOutput::Ended(failure) => {
                if let Some(acceptor) = self.incoming.remove(&connection) {
                    self.keep(connection, acceptor, now);
                }
                if let Some(failure) = failure {
                    self.say(Said::Note(format!("an incoming stream ended: {failure}")));
                }
            }
        }
    }

    fn delivered(&mut self, token: u64) {
        if let Some(open) = self.open.remove(&token) {
            self.say(Said::Accepted { id: open.id, answer: "acknowledged".to_owned() });
        }
    }

    /// Tells the senders of texts that have waited too long.
    fn give_up(&mut self, now: Now) {
        let late: Vec<_> = self
            .open
            .iter()
            .filter(|(_, open)| open.deadline <= now.moment)
            .map(|(token, _)| *token)
            .collect();
        for token in late {
            let reason = self.forget(token);
            if let Some(open) = self.open.remove(&token) {
                self.say(Said::Unanswered { id: open.id, reason });
            }
        }
    }

    fn order(&mut self, order: Order) {
        self.outputs.push_back(Output::Order(order));
    }

    fn say(&mut self, said: Said) {
        self.outputs.push_back(Output::Said(said));
    }
}

/// Serves one domain and speaks with everybody who can prove theirs.
#[derive(Debug)]
struct OneDomain {
    domain: DomainName,
    methods: Methods,
}

impl Rules for OneDomain {
    fn serves(&self, domain: &DomainName) -> bool {
        self.domain == *domain
    }

    fn policy(&self, _remote: &DomainName) -> Option<Policy> {
        Some(Policy { methods: self.methods, silence_max: Duration::from_secs(600) })
    }
}

impl fmt::Display for Acks {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Counted => "counted",
            Self::Pinged => "pinged",
            Self::Withheld => "withheld",
        })
    }
}
