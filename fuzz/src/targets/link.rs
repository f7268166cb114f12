//! Both ends of the link between a proxy and a gateway, each spoken to by anybody.

use std::collections::BTreeSet;
use std::time::Duration;

use clock_types::{Date, Ids, Moment, Now};
use net_types::ConnectionId;
use xmpp_proto::link::{Acceptor, AcceptorOutput, Dialer, Gateway, LinkSettings, Output, SendId};
use xmpp_types::ns;
use xmpp_types::xml::Element;

const GATEWAYS_HEADER: &[u8] = b"<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' \
    xmlns:stream='http://etherx.jabber.org/streams' to='proxy' from='gateway' version='1.0'>";
const ENABLE: &[u8] = b"<enable xmlns='urn:xmpp:sm:3' resume='true'/>";
const PROXYS_HEADER: &[u8] = b"<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' \
    xmlns:stream='http://etherx.jabber.org/streams' from='proxy' id='1' version='1.0'>\
    <stream:features><sm xmlns='urn:xmpp:sm:3'/></stream:features>";
const ENABLED: &[u8] = b"<enabled xmlns='urn:xmpp:sm:3' id='s' resume='true'/>";

/// Whatever the other end says: each stanza is settled once or handed back, nothing unsent is settled, silence has an end.
pub fn link(input: &[u8]) {
    for preamble in [&[][..], &[GATEWAYS_HEADER], &[GATEWAYS_HEADER, ENABLE]] {
        let mut end = Listening::new();
        preamble.iter().for_each(|piece| end.hear(piece));
        end.say(input);
    }
    for preamble in [&[][..], &[PROXYS_HEADER], &[PROXYS_HEADER, ENABLED]] {
        let mut end = Dialling::new();
        preamble.iter().for_each(|piece| end.hear(piece));
        end.say(input);
    }
}

fn stanza() -> Element {
    Element::new(ns::SERVER, "message")
        .with_attr("from", "a@remote.example")
        .with_attr("to", "b@local.example")
}

fn beginning() -> Now {
    Now { moment: Moment::ZERO, date: Date::from_unix_millis(1_700_000_000_000) }
}

/// Names of stanzas that were sent and are not yet settled or handed back.
#[derive(Default)]
struct Open(BTreeSet<SendId>);

impl Open {
    fn end(&mut self, id: SendId) {
        assert!(self.0.remove(&id), "{id:?} was not sent, or has ended before");
    }
}

/// The proxy's end.
struct Listening {
    acceptor: Acceptor,
    now: Now,
    open: Open,
    connection: ConnectionId,
    is_closed: bool,
    heard: usize,
    told: usize,
}

impl Listening {
    fn new() -> Self {
        let mut acceptor = Acceptor::new(LinkSettings::default(), Ids::counting());
        let (now, connection) = (beginning(), ConnectionId::accepted(1));
        acceptor.handle_accepted(connection, now);
        Self { acceptor, now, open: Open::default(), connection, is_closed: false, heard: 0, told: 0 }
    }

    fn hear(&mut self, octets: &[u8]) {
        self.heard += octets.len();
        self.now = self.now.plus(Duration::from_millis(1));
        self.acceptor.handle_bytes(self.connection, octets, self.now);
        self.drain();
    }

    /// Hears the input in a few pieces, half of them on a second connection, and then nothing for a day.
    fn say(mut self, input: &[u8]) {
        for (n, piece) in input.chunks(input.len() / 7 + 1).enumerate() {
            if n == 3 {
                self.acceptor.handle_closed(self.connection, None, self.now);
                self.connection = ConnectionId::accepted(2);
                self.is_closed = false;
                self.acceptor.handle_accepted(self.connection, self.now);
            }
            self.hear(piece);
        }
        for _ in 0..10_000 {
            let Some(at) = self.acceptor.poll_timeout() else { break };
            self.now = self.now.plus(at.since(self.now.moment));
            self.acceptor.handle_timeout(self.now);
            self.drain();
        }
        assert!(self.acceptor.poll_timeout().is_none(), "silence ends every session");
        assert_eq!((self.acceptor.connections(), self.acceptor.sessions().count()), (0, 0));
        assert!(self.open.0.is_empty(), "neither settled nor handed back: {:?}", self.open.0);
        assert!(self.told <= 16_384 + 64 * self.heard, "{} octets in answer to {}", self.told, self.heard);
    }

    fn drain(&mut self) {
        while let Some(output) = self.acceptor.poll_output() {
            match output {
                AcceptorOutput::Send(connection, octets) => {
                    assert!(connection == self.connection && !self.is_closed, "on a connection that is gone");
                    self.told += octets.len();
                }
                AcceptorOutput::Close(connection) => self.is_closed |= connection == self.connection,
                AcceptorOutput::Up { gateway, .. } => self.greet(gateway),
                AcceptorOutput::Lost(_, stanzas) => stanzas.iter().for_each(|(id, _)| self.open.end(*id)),
                AcceptorOutput::Settled(_, id) => self.open.end(id),
                AcceptorOutput::Stanza { gateway, n, .. } => self.acceptor.settle(gateway, n, self.now),
                AcceptorOutput::Down(..) | AcceptorOutput::Refused(..) => {}
            }
        }
    }

    fn greet(&mut self, gateway: Gateway) {
        for _ in 0..3 {
            if let Some(id) = self.acceptor.send(gateway, stanza(), self.now) {
                assert!(self.open.0.insert(id), "{id:?} names two stanzas");
            }
        }
    }
}

/// The gateway's end.
struct Dialling {
    dialer: Dialer,
    now: Now,
    open: Open,
    is_connected: bool,
    dialled: usize,
    heard: usize,
    told: usize,
}

impl Dialling {
    fn new() -> Self {
        let dialer = Dialer::new(LinkSettings::default(), Ids::counting());
        let (now, open) = (beginning(), Open::default());
        let mut end = Self { dialer, now, open, is_connected: false, dialled: 0, heard: 0, told: 0 };
        for _ in 0..3 {
            let id = end.dialer.send(stanza(), end.now);
            end.open.0.insert(id);
        }
        end.drain();
        end
    }

    fn hear(&mut self, octets: &[u8]) {
        self.heard += octets.len();
        self.now = self.now.plus(Duration::from_millis(1));
        if self.is_connected {
            self.dialer.handle_bytes(octets, self.now);
        }
        self.drain();
    }

    /// Hears the input in a few pieces; whenever it hangs up it dials again, for an hour.
    fn say(mut self, input: &[u8]) {
        for (n, piece) in input.chunks(input.len() / 7 + 1).enumerate() {
            if n == 3 && self.is_connected {
                self.is_connected = false;
                self.dialer.handle_closed(Some("cut".to_owned()), self.now);
                self.drain();
                self.wait();
            }
            self.hear(piece);
        }
        for _ in 0..50 {
            self.wait();
        }
        assert_eq!(self.dialer.waiting(), self.open.0.len(), "what is not settled is kept");
        let budget = 4096 * (1 + self.dialled) + 64 * self.heard;
        assert!(self.told <= budget, "{} octets in answer to {}", self.told, self.heard);
    }

    fn wait(&mut self) {
        let Some(at) = self.dialer.poll_timeout() else { return };
        self.now = self.now.plus(at.since(self.now.moment));
        self.dialer.handle_timeout(self.now);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.dialer.poll_output() {
            match output {
                Output::Connect => {
                    assert!(!self.is_connected, "one connection at a time");
                    self.is_connected = true;
                    self.dialled += 1;
                    self.dialer.handle_connected(self.now);
                }
                Output::Send(octets) => {
                    assert!(self.is_connected, "on a connection that is gone");
                    self.told += octets.len();
                }
                Output::Close => self.is_connected = false,
                Output::Stanza { n, .. } => self.dialer.settle(n, self.now),
                Output::Settled(id) => self.open.end(id),
                Output::Up { .. } | Output::Down(_) | Output::Partners(_) | Output::Broken(_) => {}
            }
        }
    }
}
