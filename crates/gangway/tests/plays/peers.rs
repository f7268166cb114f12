//! The servers of a play on real sockets, each in a driver on a thread of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use clock_types::{Moment, Now};
use net::{
    Bound, Clock, Controls, DnsSettings, Driver, Effect, Ended, ListenerKind, ListenerSpec, Resolver, Role,
    TlsRegistry, World,
};
use net_types::{Event, ListenerId};
use peer_role::play::SipLines;
use peer_role::{Acks, Output, Said, SipActor, XmppServer};
use xmpp_types::xml::Element;

/// A server that runs until it is dropped.
pub struct Running<P: Peer> {
    controls: Controls<P::Wish>,
    thread: Option<JoinHandle<Ended>>,
}

impl<P: Peer> Running<P> {
    /// Starts a peer on sockets that hold their addresses; `tell` hears what comes to it.
    pub fn start(
        peer: P,
        listeners: Vec<Bound>,
        tls: &Arc<TlsRegistry>,
        tell: impl FnMut(Said) + Send + 'static,
    ) -> Result<Self, String> {
        let nobody = SocketAddr::from(([127, 0, 0, 1], 9));
        let dns = DnsSettings { servers: vec![nobody], ..DnsSettings::default() };
        let world = World {
            clock: Clock::start(),
            settings: net::Settings::default(),
            listeners,
            in_process: None,
            to_in_process: None,
            tls: Arc::clone(tls),
            resolver: Resolver::new(&dns).map_err(|why| why.to_string())?,
            recorder: Box::new(net::Forgetful),
            notices: Box::new(tell),
            incidents: Arc::new(drop),
        };
        let (driver, controls) = Driver::new(Driven { peer, is_over: false }, world);
        let thread = net::runtime::on_thread("peer", move || driver.run()).map_err(|why| why.to_string())?;
        Ok(Self { controls, thread: Some(thread) })
    }

    /// Has it do something.
    pub fn wish(&self, wish: P::Wish) {
        // What a peer that is gone does not do, the play misses.
        let _ = self.controls.command_blocking(wish);
    }
}

impl<P: Peer> Drop for Running<P> {
    fn drop(&mut self) {
        self.controls.stop(Duration::from_secs(1));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Takes an address of a host for a server; the system chooses the port.
pub fn bind(host: [u8; 4], kind: ListenerKind) -> Result<Bound, String> {
    bind_at(SocketAddr::from((host, 0)), ListenerId(0), kind)
}

/// Takes this address for a server's listener of that number.
pub fn bind_at(address: SocketAddr, id: ListenerId, kind: ListenerKind) -> Result<Bound, String> {
    let place = "a server of the play".to_owned();
    Bound::bind(ListenerSpec { id, address, kind, connections_max: 64, place }).map_err(|why| why.to_string())
}

/// What a server of a play is asked for.
pub trait Peer: Send + 'static {
    type Wish: Send + 'static;

    fn handle_event(&mut self, event: Event, now: Now);
    fn handle_timeout(&mut self, now: Now);
    fn handle_wish(&mut self, wish: Self::Wish, now: Now);
    fn poll_output(&mut self) -> Option<Output>;
    fn poll_timeout(&self) -> Option<Moment>;
}

/// What an XMPP server is asked for.
pub enum XmppWish {
    Send(Box<Element>),
    Acknowledge(Acks),
}

impl Peer for XmppServer {
    type Wish = XmppWish;

    fn handle_event(&mut self, event: Event, now: Now) {
        self.handle_event(event, now);
    }

    fn handle_timeout(&mut self, now: Now) {
        self.handle_timeout(now);
    }

    fn handle_wish(&mut self, wish: XmppWish, now: Now) {
        match wish {
            XmppWish::Send(stanza) => {
                let id = stanza.attr("id").unwrap_or_default().to_owned();
                self.send_stanza(*stanza, &id, now);
            }
            XmppWish::Acknowledge(acks) => self.set_acks(acks, now),
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.poll_output()
    }

    fn poll_timeout(&self) -> Option<Moment> {
        self.poll_timeout()
    }
}

impl Peer for SipActor {
    type Wish = SipLines;

    fn handle_event(&mut self, event: Event, now: Now) {
        self.handle_event(event, now);
    }

    fn handle_timeout(&mut self, now: Now) {
        self.handle_timeout(now);
    }

    fn handle_wish(&mut self, lines: SipLines, _now: Now) {
        self.say(&lines);
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.poll_output()
    }

    fn poll_timeout(&self) -> Option<Moment> {
        self.poll_timeout()
    }
}

/// A peer in its driver.
struct Driven<P> {
    peer: P,
    is_over: bool,
}

impl<P: Peer> Role for Driven<P> {
    type Command = P::Wish;
    type Notice = Said;
    type Record = ();
    type Stored = ();

    fn handle_event(&mut self, event: Event, now: Now) {
        self.peer.handle_event(event, now);
    }

    fn handle_command(&mut self, wish: P::Wish, now: Now) {
        self.peer.handle_wish(wish, now);
    }

    fn handle_stored(&mut self, (): (), _now: Now) {}

    fn handle_stop(&mut self, _now: Now) {
        self.is_over = true;
    }

    fn handle_timeout(&mut self, now: Now) {
        self.peer.handle_timeout(now);
    }

    fn poll_timeout(&self) -> Option<Moment> {
        self.peer.poll_timeout()
    }

    fn poll_output(&mut self) -> Option<Effect<Said, ()>> {
        if std::mem::take(&mut self.is_over) {
            return Some(Effect::Stopped);
        }
        Some(match self.peer.poll_output()? {
            Output::Order(order) => Effect::Order(order),
            Output::Said(said) => Effect::Notice(said),
        })
    }
}
