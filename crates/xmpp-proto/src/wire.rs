//! One connection's XML, both ways: the parser of what comes and the printer of what goes.

use std::sync::Arc;

use xmpp_types::ns;
use xmpp_types::stream::{CLOSE, StreamError, StreamHeader};
use xmpp_types::xml::{Element, Event, Limits, Parser, Printer, XmlError};

/// One end of one stream, its octets only.
#[derive(Debug)]
pub(crate) struct Wire {
    parser: Parser,
    printer: Arc<Printer>,
    out: Vec<u8>,
    /// The header to answer with if the stream must end before ours was sent.
    header: StreamHeader,
    is_greeted: bool,
    is_closed: bool,
}

impl Wire {
    /// Returns the octets of a stream between servers.
    pub(crate) fn server(limits: Limits) -> Self {
        let printer = Printer::new(ns::SERVER).with_prefix("db", ns::DIALBACK);
        Self::new(printer, StreamHeader::server(), limits)
    }

    /// Returns the octets of a stream between a server and a component.
    pub(crate) fn component(limits: Limits) -> Self {
        Self::new(Printer::new(ns::COMPONENT_ACCEPT), StreamHeader::new(ns::COMPONENT_ACCEPT), limits)
    }

    fn new(printer: Printer, header: StreamHeader, limits: Limits) -> Self {
        Self {
            parser: Parser::new(limits),
            printer: Arc::new(printer),
            out: Vec::new(),
            header,
            is_greeted: false,
            is_closed: false,
        }
    }

    /// Begins the stream anew in both directions, after TLS or SASL; what was read and not used is gone.
    pub(crate) fn restart(&mut self, limits: Limits) {
        self.parser = Parser::new(limits);
        self.is_greeted = false;
    }

    pub(crate) fn set_limits(&mut self, limits: Limits) {
        self.parser.set_limits(limits);
    }

    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.parser.feed(bytes);
    }

    pub(crate) fn next(&mut self) -> Result<Option<Event>, XmlError> {
        self.parser.next_event()
    }

    /// Tells whether an element, or a header, has begun and not ended.
    pub(crate) fn is_inside_stanza(&self) -> bool {
        self.parser.is_inside_stanza()
    }

    pub(crate) fn printer(&self) -> Arc<Printer> {
        self.printer.clone()
    }

    pub(crate) fn out(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    pub(crate) fn take(&mut self) -> Option<Vec<u8>> {
        (!self.out.is_empty()).then(|| std::mem::take(&mut self.out))
    }

    pub(crate) fn print(&mut self, element: &Element) {
        self.printer.print(element, &mut self.out);
    }

    /// Sends our header.
    pub(crate) fn greet(&mut self, header: &StreamHeader) {
        header.print(&mut self.out);
        self.is_greeted = true;
    }

    /// Ends our stream with an error; a header must come first (RFC 6120 §4.9.1.2).
    pub(crate) fn refuse(&mut self, error: &StreamError) {
        if self.is_closed {
            return;
        }
        if !self.is_greeted {
            self.header.print(&mut self.out);
            self.is_greeted = true;
        }
        self.print(&error.to_element());
        self.close();
    }

    /// Ends our stream in good order.
    pub(crate) fn close(&mut self) {
        if self.is_greeted && !self.is_closed {
            self.out.extend_from_slice(CLOSE);
        }
        self.is_closed = true;
    }
}
