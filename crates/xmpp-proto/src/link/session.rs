//! What survives a broken connection: both counters and what is not settled.

use std::io::Write;
use std::sync::Arc;

use xmpp_types::ns;
use xmpp_types::xml::{Element, Printer};

use super::{ReceivedId, SendId};
use crate::acks::{HandledTooHigh, Inbound, Outbound};

/// One session of the link.
#[derive(Debug)]
pub(super) struct Session {
    /// Tells this session's stanzas from another's.
    number: u64,
    outbound: Outbound<Sent>,
    inbound: Inbound,
    /// The last stanza that was put on the present connection.
    transmitted: u64,
    /// Whether the frontier moved since `<a/>` was last written.
    frontier_moved: bool,
}

#[derive(Debug)]
struct Sent {
    id: SendId,
    /// Whoever sends it may keep it, too.
    stanza: Arc<Element>,
}

impl Session {
    pub(super) fn new(number: u64) -> Self {
        Self {
            number,
            outbound: Outbound::default(),
            inbound: Inbound::default(),
            transmitted: 0,
            frontier_moved: false,
        }
    }

    /// Begins anew under another number: what waits is numbered from 1 again, in order.
    pub(super) fn renewed(mut self, number: u64) -> Self {
        let mut session = Self::new(number);
        for sent in self.outbound.take_waiting() {
            session.outbound.push(sent);
        }
        session
    }

    pub(super) fn push(&mut self, id: SendId, stanza: Arc<Element>) {
        self.outbound.push(Sent { id, stanza });
    }

    /// Takes a stanza back if nothing of it was ever put on a connection; tells whether it could.
    pub(super) fn withdraw(&mut self, id: SendId) -> bool {
        self.outbound.withdraw(self.transmitted, |sent| sent.id == id).is_some()
    }

    pub(super) fn waiting(&self) -> usize {
        self.outbound.waiting()
    }

    pub(super) fn sent(&self) -> u64 {
        self.outbound.sent()
    }

    /// Puts on the wire what was not yet.
    pub(super) fn transmit(&mut self, printer: &Printer, out: &mut Vec<u8>) {
        for (_, sent) in self.outbound.iter_after(self.transmitted) {
            printer.print(&sent.stanza, out);
        }
        self.transmitted = self.outbound.sent();
    }

    pub(super) fn acknowledge(
        &mut self,
        h: u32,
        mut settled: impl FnMut(SendId),
    ) -> Result<(), HandledTooHigh> {
        self.outbound.acknowledge(h, |_, sent| settled(sent.id))
    }

    pub(super) fn acknowledge_through(&mut self, n: u64, mut settled: impl FnMut(SendId)) {
        self.outbound.acknowledge_through(n, |_, sent| settled(sent.id));
    }

    pub(super) fn acknowledge_one(&mut self, n: u64) -> Result<Option<SendId>, HandledTooHigh> {
        self.outbound.settle(n).map(|sent| sent.map(|sent| sent.id))
    }

    /// Counts a stanza that came in; `None` if we have it from before a resumption.
    pub(super) fn receive(&mut self) -> Option<ReceivedId> {
        let n = self.inbound.receive()?;
        Some(ReceivedId { session: self.number, n })
    }

    /// Takes the news that a stanza is settled at our side and writes what the peer must know at once.
    pub(super) fn settle(&mut self, id: ReceivedId, out: &mut Vec<u8>) {
        if id.session != self.number {
            return;
        }
        let before = self.inbound.frontier();
        if self.inbound.settle(id.n) {
            self.frontier_moved = true;
        } else if id.n > before && id.n <= self.inbound.received() {
            write_number(out, format_args!("<settled xmlns='{}' n='{}'/>", ns::LINK, id.n));
        }
    }

    /// Writes how far everything is settled, if that changed.
    pub(super) fn write_frontier(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.frontier_moved) {
            self.write_answer(out);
        }
    }

    /// Writes how far everything is settled.
    pub(super) fn write_answer(&self, out: &mut Vec<u8>) {
        write_number(out, format_args!("<a xmlns='{}' h='{}'/>", ns::SM3, self.inbound.h()));
    }

    /// Returns `<resume/>` or `<resumed/>` with all that we know of what came in.
    pub(super) fn resumption(&self, name: &'static str, previd: &str) -> Element {
        let received = Element::new(ns::LINK, "received").with_attr("n", self.inbound.received().to_string());
        let settled = self
            .inbound
            .settled_ahead()
            .map(|n| Element::new(ns::LINK, "settled").with_attr("n", n.to_string()));
        Element::new(ns::SM3, name)
            .with_attr("previd", previd)
            .with_attr("h", self.inbound.h().to_string())
            .with_child(received)
            .with_children(settled)
    }

    /// Takes the peer's `<resume/>` or `<resumed/>`: what it settled, and where to go on.
    pub(super) fn resume(
        &mut self,
        element: &Element,
        mut settled: impl FnMut(SendId),
    ) -> Result<(), HandledTooHigh> {
        let h = number(element, "h").and_then(|h| u32::try_from(h).ok()).unwrap_or(0);
        self.outbound.acknowledge(h, |_, sent| settled(sent.id))?;
        for child in element.elements().filter(|child| child.is("settled", ns::LINK)) {
            if let Some(n) = number(child, "n")
                && let Some(sent) = self.outbound.settle(n)?
            {
                settled(sent.id);
            }
        }
        let received = element.child("received", ns::LINK).and_then(|child| number(child, "n"));
        match received {
            Some(received) if received > self.outbound.sent() => {
                return Err(HandledTooHigh {
                    h,
                    sent: u32::try_from(self.outbound.sent()).unwrap_or(u32::MAX),
                });
            }
            Some(received) => self.transmitted = received,
            // Plain XEP-0198: all after `h` is sent again, and the peer repeats all after ours.
            None => {
                self.transmitted = self.outbound.acknowledged();
                self.inbound.expect_repetition(self.inbound.frontier());
            }
        }
        self.frontier_moved = false;
        Ok(())
    }

    /// Hands back all that is not settled, in order.
    pub(super) fn into_waiting(mut self) -> Vec<(SendId, Element)> {
        self.outbound
            .take_waiting()
            .into_iter()
            .map(|sent| (sent.id, Arc::unwrap_or_clone(sent.stanza)))
            .collect()
    }
}

/// Reads an attribute that holds a number.
pub(super) fn number(element: &Element, name: &str) -> Option<u64> {
    element.attr(name)?.trim().parse().ok()
}

pub(super) fn write_number(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a vector takes all that is written");
}
