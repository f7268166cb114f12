//! Messages as they cross the wire, for whoever watches. While nobody does it costs a comparison.

use std::net::SocketAddr;

use net_types::{Bytes, Order};
use sip_types::Message;

use super::Endpoint;
use super::output::{Notice, Output, Source, Way};
use super::settings::Transport;

/// Whether somebody watches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Watched {
    /// Nobody does.
    #[default]
    No,
    /// Somebody does.
    Yes,
    /// Somebody does, and has seen the order that is first.
    Shown,
}

impl Endpoint {
    /// From here on every message is a [`Notice::Message`], too.
    pub fn watch(&mut self) {
        self.watched = Watched::Yes;
    }

    /// Ends [`Self::watch`].
    pub fn unwatch(&mut self) {
        self.watched = Watched::No;
    }

    /// Shows a message that was received.
    pub(super) fn show_received(&mut self, message: &Message, source: &Source) {
        if self.watched == Watched::No {
            return;
        }
        let mut bytes = Vec::new();
        message.print(&mut bytes);
        let (transport, remote) = (source.transport, source.remote);
        self.notice(Notice::Message { way: Way::In, transport, remote, bytes: bytes.into() });
    }

    /// Returns the notice of a message that is sent next, once.
    pub(super) fn show_sent(&mut self) -> Option<Output> {
        if self.watched == Watched::Shown {
            self.watched = Watched::Yes;
            return None;
        }
        let (transport, remote, bytes) = match self.outputs.front()? {
            Output::Order(Order::SendDatagram { to, bytes, .. }) => (Transport::Udp, *to, bytes),
            Output::Order(Order::Send { connection, bytes }) => {
                let source = &self.connections.get(*connection)?.source;
                (source.transport, source.remote, bytes)
            }
            _ => return None,
        };
        let notice = sent(transport, remote, bytes)?;
        self.watched = Watched::Shown;
        Some(Output::Notice(notice))
    }
}

/// A keep-alive is no message.
fn sent(transport: Transport, remote: SocketAddr, bytes: &Bytes) -> Option<Notice> {
    let is_message = bytes.first().is_some_and(u8::is_ascii_alphabetic);
    is_message.then(|| Notice::Message { way: Way::Out, transport, remote, bytes: bytes.clone() })
}
