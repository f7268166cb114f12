//! An [`Auditor`] on the wire of a SIP server that has a stack.

use std::collections::{BTreeMap, BTreeSet};

use net_types::{ConnectionId, Event, Order};

use super::Auditor;
use crate::raw::{RawFrame, RawMessage, RawStream};

/// Listens to what the stack of a SIP server orders and hears.
#[derive(Debug, Default)]
pub struct Tap {
    auditor: Auditor,
    streams: BTreeMap<ConnectionId, RawStream>,
    /// Datagrams that were heard: the same octets once more are a retransmission.
    heard: BTreeSet<Vec<u8>>,
}

impl Tap {
    /// Takes an order on its way to the shell.
    pub fn handle_order(&mut self, order: &Order) {
        if let Order::Send { bytes, .. } | Order::SendDatagram { bytes, .. } = order
            && let Some(message) = RawMessage::parse(bytes)
        {
            self.auditor.handle_said(&message);
        }
    }

    /// Takes an event on its way to the stack, and returns what is wrong with it.
    pub fn handle_event(&mut self, event: &Event) -> Vec<String> {
        match event {
            Event::Bytes { connection, bytes } => {
                let stream = self.streams.entry(*connection).or_default();
                stream.push(bytes);
                let frames: Vec<_> = std::iter::from_fn(|| stream.poll_frame()).collect();
                frames.into_iter().flat_map(|frame| self.judge(frame)).collect()
            }
            Event::Closed { connection, .. } => {
                self.streams.remove(connection);
                self.auditor.handle_closed();
                Vec::new()
            }
            Event::Datagram { bytes, .. } => {
                if self.heard.len() == HEARD_MAX {
                    self.heard.pop_first();
                }
                match RawMessage::parse(bytes) {
                    Some(message) if self.heard.insert(bytes.to_vec()) => self.auditor.handle_heard(&message),
                    Some(_) => Vec::new(),
                    None => vec!["what is no SIP".to_owned()],
                }
            }
            _ => Vec::new(),
        }
    }

    fn judge(&mut self, frame: RawFrame) -> Vec<String> {
        match frame {
            RawFrame::Message(message) => self.auditor.handle_heard(&message),
            RawFrame::Ping => Vec::new(),
            RawFrame::Nonsense(what) => vec![format!("what is no SIP: {what:?}")],
        }
    }
}

/// How many datagrams are remembered.
const HEARD_MAX: usize = 10_000;
