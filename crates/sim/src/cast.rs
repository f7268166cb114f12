//! The roles and their peers as machines of the world.

use std::any::Any;
use std::cell::RefCell;
use std::rc::Rc;

use clock_types::{Moment, Now};
use gateway_role::{Gateway, NotStored, Output as GatewayOutput, Ticket};
use net_types::Event;
use peer_role::{Output as PeerOutput, Said, SipUserAgent, XmppServer};
use proxy_role::{Notice as ProxyNotice, Output as ProxyOutput, Proxy};

use crate::machine::{Effect, Machine};

/// Which peer said something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// The SIP users.
    Sip,
    /// The XMPP users.
    Xmpp,
}

/// What the peers' users saw, in order; shared by the peers and the judge.
pub type Log = Rc<RefCell<Vec<(Peer, Said)>>>;

impl Machine for Gateway {
    fn handle_event(&mut self, event: Event, now: Now) {
        Self::handle_event(self, event, now);
    }

    fn handle_stored(&mut self, ticket: Ticket, stored: Result<(), NotStored>, now: Now) {
        Self::handle_stored(self, ticket, stored, now);
    }

    fn handle_timeout(&mut self, now: Now) {
        Self::handle_timeout(self, now);
    }

    fn handle_stop(&mut self, now: Now) {
        Self::handle_stop(self, now);
    }

    fn poll_output(&mut self) -> Option<Effect> {
        Some(match Self::poll_output(self)? {
            GatewayOutput::Order(order) => Effect::Order(order),
            GatewayOutput::Record { ticket, record } => Effect::Record(ticket, record),
            GatewayOutput::Notice(notice) => Effect::Said(notice.to_string()),
            GatewayOutput::Stopped => Effect::Stopped,
        })
    }

    fn poll_timeout(&self) -> Option<Moment> {
        Self::poll_timeout(self)
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

impl Machine for Proxy {
    fn handle_event(&mut self, event: Event, now: Now) {
        Self::handle_event(self, event, now);
    }

    fn handle_timeout(&mut self, now: Now) {
        Self::handle_timeout(self, now);
    }

    fn handle_stop(&mut self, now: Now) {
        Self::handle_stop(self, now);
    }

    fn poll_output(&mut self) -> Option<Effect> {
        Some(match Self::poll_output(self)? {
            ProxyOutput::Order(order) => Effect::Order(order),
            ProxyOutput::Notice(ProxyNotice::Stopped) => Effect::Stopped,
            ProxyOutput::Notice(notice) => Effect::Said(notice.to_string()),
        })
    }

    fn poll_timeout(&self) -> Option<Moment> {
        Self::poll_timeout(self)
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

/// A peer that writes down what its users see.
pub struct Watched<M> {
    /// The peer.
    pub peer: M,
    /// Which one it is.
    pub name: Peer,
    /// Where it writes.
    pub log: Log,
}

impl<M> Watched<M> {
    pub(crate) fn effect(&self, output: PeerOutput) -> Effect {
        match output {
            PeerOutput::Order(order) => Effect::Order(order),
            PeerOutput::Said(said) => {
                let words = said.to_string();
                self.log.borrow_mut().push((self.name, said));
                Effect::Said(words)
            }
        }
    }
}

impl Machine for Watched<SipUserAgent> {
    fn handle_event(&mut self, event: Event, now: Now) {
        self.peer.handle_event(event, now);
    }

    fn handle_timeout(&mut self, now: Now) {
        self.peer.handle_timeout(now);
    }

    fn poll_output(&mut self) -> Option<Effect> {
        let output = self.peer.poll_output()?;
        Some(self.effect(output))
    }

    fn poll_timeout(&self) -> Option<Moment> {
        self.peer.poll_timeout()
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

impl Machine for Watched<XmppServer> {
    fn handle_event(&mut self, event: Event, now: Now) {
        self.peer.handle_event(event, now);
    }

    fn handle_timeout(&mut self, now: Now) {
        self.peer.handle_timeout(now);
    }

    fn poll_output(&mut self) -> Option<Effect> {
        let output = self.peer.poll_output()?;
        Some(self.effect(output))
    }

    fn poll_timeout(&self) -> Option<Moment> {
        self.peer.poll_timeout()
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}
