//! The links to the proxies: dialled, judged, and asked for by those who have a stanza.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use clock_types::{FNV_SEED, Ids, Moment, Now, earliest, fnv};
use net_types::{
    Answer, Bytes, ConnectionId, Event, Failure, Order, QueryId, Question, Record, Remote, TlsFacts,
    TrustVerdict,
};
use sip_proto::endpoint::Way;
use xmpp_proto::link::{Dialer, LinkSettings, Output as DialerOutput, PartnerTable, ReceivedId, SendId};
use xmpp_types::jid::DomainName;
use xmpp_types::outline::{Bodies, outline};
use xmpp_types::xml::Element;

use crate::delivery::Number;
use crate::notice::Notice;
use crate::settings::ProxyLink;
use crate::watch::{WatchCheck, WatchWord};

/// How long dialling a proxy may take, handshake included.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// What a stanza that we sent was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// A message from SIP.
    Message(Number),
    /// The error stanza of a message from XMPP.
    Report(Number),
    /// What a SIP user decided about who may watch him.
    Word(WatchWord),
    /// An answer whose fate changes nothing.
    Courtesy,
    /// A question whether a domain can be reached.
    Check(WatchCheck),
}

/// What comes of the links.
#[derive(Debug)]
pub enum LinkEvent {
    /// For the network.
    Order(Order),
    /// For the operator.
    Notice(Notice),
    /// A stanza came in.
    Stanza {
        /// Which link.
        link: usize,
        /// Its name there.
        n: ReceivedId,
        /// The stanza.
        stanza: Element,
    },
    /// A stanza of ours is settled.
    Settled(Sent),
    /// The link to a proxy is open.
    Up {
        /// Which proxy.
        proxy: String,
        /// Whether it was open before, and the proxy has forgotten what it held for us.
        renewed: bool,
    },
    /// A stream between a proxy and a partner broke.
    Broken(DomainName),
    /// How far a proxy's partners are believed.
    Partners {
        /// Which link.
        link: usize,
        /// All of them.
        table: PartnerTable,
    },
}

/// All links.
#[derive(Debug)]
pub struct Links {
    links: Vec<Link>,
    connections: BTreeMap<ConnectionId, usize>,
    dialled: u64,
    orders: VecDeque<Order>,
    /// What is shown to whoever watches, and whether somebody does.
    shown: VecDeque<Notice>,
    watched: Option<Bodies>,
}

#[derive(Debug)]
struct Link {
    proxy: ProxyLink,
    dialer: Dialer,
    connection: Option<ConnectionId>,
    sent: BTreeMap<SendId, Sent>,
    /// Whether it was open before.
    was_up: bool,
    /// How often it was dialled.
    dialled: u64,
    /// The question where it is, while nobody has answered.
    query: Option<QueryId>,
}

impl Links {
    /// Begins to dial every proxy.
    pub fn new(name: &str, proxies: &[ProxyLink], ids: &mut Ids) -> Self {
        let links = proxies
            .iter()
            .map(|proxy| {
                let settings = LinkSettings {
                    name: name.to_owned(),
                    peer: proxy.name.clone(),
                    ..LinkSettings::default()
                };
                let dialer = Dialer::new(settings, ids.fork());
                Link {
                    proxy: proxy.clone(),
                    dialer,
                    connection: None,
                    sent: BTreeMap::new(),
                    was_up: false,
                    dialled: 0,
                    query: None,
                }
            })
            .collect();
        Self {
            links,
            connections: BTreeMap::new(),
            dialled: 0,
            orders: VecDeque::new(),
            shown: VecDeque::new(),
            watched: None,
        }
    }

    /// Takes an event if it concerns a link, else gives it back.
    pub fn take(&mut self, event: Event, now: Now) -> Option<Event> {
        match event {
            Event::Connected { connection, local, tls } => match self.of(connection) {
                Some(link) => {
                    if let Err(reason) = link.judge(tls.as_deref()) {
                        link.connection = None;
                        link.dialer.handle_closed(Some(reason), now);
                        self.connections.remove(&connection);
                        self.orders.push_back(Order::Close { connection });
                    } else {
                        link.dialer.handle_connected(now);
                    }
                }
                None => return Some(Event::Connected { connection, local, tls }),
            },
            Event::ConnectFailed { connection, stage, reason } => match self.of(connection) {
                Some(link) => {
                    link.connection = None;
                    link.dialer.handle_closed(Some(reason), now);
                    self.connections.remove(&connection);
                }
                None => return Some(Event::ConnectFailed { connection, stage, reason }),
            },
            Event::Bytes { connection, bytes } => match self.of(connection) {
                Some(link) => link.dialer.handle_bytes(&bytes, now),
                None => return Some(Event::Bytes { connection, bytes }),
            },
            Event::Closed { connection, reason } => match self.of(connection) {
                Some(link) => {
                    link.connection = None;
                    link.dialer.handle_closed(reason, now);
                    self.connections.remove(&connection);
                }
                None => return Some(Event::Closed { connection, reason }),
            },
            Event::Resolved { query, answer } => {
                let asked = self.links.iter().position(|link| link.query == Some(query));
                let Some(number) = asked else { return Some(Event::Resolved { query, answer }) };
                self.links[number].found(answer);
                let order = self.dial(number);
                self.orders.push_back(order);
            }
            other @ (Event::Accepted { .. } | Event::TlsStarted { .. } | Event::Datagram { .. }) => {
                return Some(other);
            }
        }
        None
    }

    /// Asks where the proxy is, since it may have moved while it was away; the first time we have just been told.
    fn connect(&mut self, number: usize) -> Order {
        self.dialled += 1;
        let link = &mut self.links[number];
        match &link.proxy.host {
            Some((host, _)) if link.dialled > 0 => {
                let query = QueryId(self.dialled);
                link.query = Some(query);
                Order::Resolve { query, question: Question::Addresses(host.clone()) }
            }
            Some(_) | None => self.dial(number),
        }
    }

    fn dial(&mut self, number: usize) -> Order {
        self.dialled += 1;
        let connection = ConnectionId::dialled(self.dialled);
        let link = &mut self.links[number];
        link.connection = Some(connection);
        link.dialled += 1;
        self.connections.insert(connection, number);
        let tls = link.proxy.tls.clone().map(Box::new);
        Order::Connect { connection, to: link.proxy.remote, tls, timeout: CONNECT_WITHIN }
    }

    /// Hands a stanza to a link that is up, else to the one that will carry it when it is. The same pair of
    /// users keeps to one link while it is up, so that their order is kept.
    pub fn send(
        &mut self,
        stanza: impl Into<Arc<Element>>,
        about: Sent,
        pair: impl FnOnce() -> String,
        now: Now,
    ) {
        let Some(link) = choose(&mut self.links, pair) else { return };
        let stanza = stanza.into();
        if let Some(bodies) = self.watched {
            self.shown.push_back(shown(Way::Out, link, &stanza, bodies));
        }
        let id = link.dialer.send(stanza, now);
        link.sent.insert(id, about);
    }

    /// Hands a stanza to a certain link: the answer to one that came over it.
    pub fn reply(&mut self, link: usize, stanza: Element, about: Sent, now: Now) {
        if let Some(link) = self.links.get_mut(link) {
            if let Some(bodies) = self.watched {
                self.shown.push_back(shown(Way::Out, link, &stanza, bodies));
            }
            let id = link.dialer.send(stanza, now);
            link.sent.insert(id, about);
        }
    }

    /// Takes a stanza back if nothing of it has left; tells whether it could.
    pub fn withdraw(&mut self, about: Sent) -> bool {
        self.links.iter_mut().any(|link| {
            let id = link.sent.iter().find(|(_, sent)| **sent == about).map(|(id, _)| *id);
            id.is_some_and(|id| link.dialer.withdraw(id) && link.sent.remove(&id).is_some())
        })
    }

    /// Tells a proxy that a stanza of its is settled here.
    pub fn settle(&mut self, link: usize, n: ReceivedId, now: Now) {
        if let Some(link) = self.links.get_mut(link) {
            link.dialer.settle(n, now);
        }
    }

    /// Shows stanzas to whoever watches, from here on or no more.
    pub fn watch(&mut self, watched: Option<Bodies>) {
        self.watched = watched;
    }

    /// Returns what whoever watches may see.
    pub const fn watched(&self) -> Option<Bodies> {
        self.watched
    }

    /// Returns what whoever watches sees of a stanza that came in.
    pub fn show_received(&self, link: usize, stanza: &Element) -> Option<Notice> {
        Some(shown(Way::In, self.links.get(link)?, stanza, self.watched?))
    }

    /// Closes every link for good.
    pub fn stop(&mut self, now: Now) {
        for link in &mut self.links {
            link.dialer.stop(now);
        }
    }

    /// Does what the clock asks for.
    pub fn handle_timeout(&mut self, now: Now) {
        for link in &mut self.links {
            if link.dialer.poll_timeout().is_some_and(|at| at <= now.moment) {
                link.dialer.handle_timeout(now);
            }
        }
    }

    /// Returns when to call [`Self::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Moment> {
        self.links.iter().fold(None, |at, link| earliest(at, link.dialer.poll_timeout()))
    }

    /// Returns each proxy's name and whether its link is open.
    pub fn states(&self) -> Vec<(String, bool)> {
        self.links.iter().map(|link| (link.proxy.name.clone(), link.dialer.is_up())).collect()
    }

    /// Returns the next thing that comes of the links.
    pub fn poll(&mut self) -> Option<LinkEvent> {
        if let Some(order) = self.orders.pop_front() {
            return Some(LinkEvent::Order(order));
        }
        if let Some(notice) = self.shown.pop_front() {
            return Some(LinkEvent::Notice(notice));
        }
        for number in 0..self.links.len() {
            while let Some(output) = self.links[number].dialer.poll_output() {
                if let Some(event) = self.event(number, output) {
                    return Some(event);
                }
            }
        }
        None
    }

    fn of(&mut self, connection: ConnectionId) -> Option<&mut Link> {
        self.links.get_mut(*self.connections.get(&connection)?)
    }

    fn event(&mut self, number: usize, output: DialerOutput) -> Option<LinkEvent> {
        let link = &mut self.links[number];
        let proxy = || link.proxy.name.clone();
        Some(match output {
            DialerOutput::Connect => LinkEvent::Order(self.connect(number)),
            DialerOutput::Send(bytes) => {
                let connection = link.connection?;
                LinkEvent::Order(Order::Send { connection, bytes: Bytes::from(bytes) })
            }
            DialerOutput::Close => {
                link.query = None;
                let connection = link.connection.take()?;
                self.connections.remove(&connection);
                LinkEvent::Order(Order::Close { connection })
            }
            DialerOutput::Stanza { n, stanza } => LinkEvent::Stanza { link: number, n, stanza },
            DialerOutput::Settled(id) => LinkEvent::Settled(link.sent.remove(&id)?),
            DialerOutput::Broken(domain) => LinkEvent::Broken(domain),
            DialerOutput::Partners(table) => LinkEvent::Partners { link: number, table },
            DialerOutput::Up { resumed } => {
                let renewed = std::mem::replace(&mut link.was_up, true) && !resumed;
                LinkEvent::Up { proxy: link.proxy.name.clone(), renewed }
            }
            DialerOutput::Down(reason) => LinkEvent::Notice(Notice::LinkDown { proxy: proxy(), reason }),
        })
    }
}

impl Link {
    /// Takes where the proxy is now: of several addresses another one each time. Without an answer it is tried where
    /// it was.
    fn found(&mut self, answer: Result<Answer, Failure>) {
        self.query = None;
        let Some((_, port)) = self.proxy.host else { return };
        let records = answer.map(|answer| answer.records).unwrap_or_default();
        let addresses: Vec<IpAddr> = records
            .iter()
            .filter_map(|record| match record {
                Record::Address(address) => Some(*address),
                Record::Srv { .. } | Record::Naptr { .. } | Record::Tlsa { .. } => None,
            })
            .collect();
        let turn = usize::try_from(self.dialled).unwrap_or_default();
        if let Some(address) = addresses.get(turn.checked_rem(addresses.len()).unwrap_or_default()) {
            self.proxy.remote = Remote::Address(SocketAddr::new(*address, port));
        }
    }

    /// Judges whether the one who answered is the proxy that we dialled.
    fn judge(&self, tls: Option<&TlsFacts>) -> Result<(), String> {
        let Some(wanted) = &self.proxy.tls else { return Ok(()) };
        let Some(certificate) = tls.and_then(|facts| facts.peer.as_ref()) else {
            return Err("the proxy showed no certificate".to_owned());
        };
        if let TrustVerdict::Untrusted(reason) = &certificate.trust {
            return Err(format!("the proxy's certificate is not trusted: {reason}"));
        }
        if certificate.names.dns.iter().any(|name| name.eq_ignore_ascii_case(&wanted.name)) {
            return Ok(());
        }
        let shown = certificate.names.dns.join(", ");
        Err(format!("the proxy's certificate is for {shown}, not for {}", wanted.name))
    }
}

fn shown(way: Way, link: &Link, stanza: &Element, bodies: Bodies) -> Notice {
    Notice::Stanza { way, proxy: link.proxy.name.clone(), stanza: Box::new(outline(stanza, bodies)) }
}

/// Chooses by rendezvous among the links that are up, or among all if none is.
fn choose(links: &mut [Link], pair: impl FnOnce() -> String) -> Option<&mut Link> {
    if links.len() == 1 {
        return links.first_mut();
    }
    let pair = pair();
    let any_up = links.iter().any(|link| link.dialer.is_up());
    links
        .iter_mut()
        .filter(|link| !any_up || link.dialer.is_up())
        .max_by_key(|link| weight(&link.proxy.name, &pair))
}

/// Mixes a proxy's name with a pair's; only its evenness matters.
fn weight(proxy: &str, pair: &str) -> u64 {
    fnv(FNV_SEED, proxy.bytes().chain([0]).chain(pair.bytes()))
}

#[cfg(test)]
mod tests;
