//! XMPP as values: addresses, XML, stanzas, errors.
//!
//! Nothing here knows time or a connection. [`xml::Parser`] turns the octets of one stream into events,
//! [`xml::Printer`] turns elements into octets; both ends of a stanza therefore pass through one
//! structure, and no received octet is ever forwarded as it came. Elements that negotiate a stream
//! (features, TLS, SASL, dialback, acknowledgement) have typed values with `from_element` and
//! `to_element`.

mod words;

pub mod ack;
pub mod dialback;
pub mod features;
pub mod jid;
pub mod negotiation;
pub mod ns;
pub mod outline;
pub mod sasl;
pub mod stanza;
pub mod stanza_error;
pub mod stream;
pub mod xml;
