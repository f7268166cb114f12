//! What is said inside a conversation, whatever carries it: in-session MESSAGE and INFO, MSRP, page mode.
//!
//! ```text
//!   XMPP                        here                               SIP
//!   stanza with a text     ──▶  MessageToSip ─ text_to_session  ─▶ SessionBody
//!   stanza without one     ──▶  signals_of ─┬─ typing_to_sip    ─▶ SessionBody
//!                                           └─ disposition_to_sip▶ SessionBody
//!   text_stanza            ◀──  HeardText   ◀─┐
//!   chat_state_stanza      ◀──  Typing      ◀─┼─ hear, hear_body ◀─ body
//!   received_, displayed_… ◀──  Disposition ◀─┘
//! ```
//!
//! Who talks with whom, and in which thread, is the conversation's to say ([`Parties`]): inside a dialog the
//! Request-URI is a contact, not an address. Addresses, threads and the order of messages are not decided here.

mod conference;
mod disposition;
mod document;
mod hear;
mod say;
mod stanzas;
mod typing;

pub use conference::{ConferenceInvitation, conference_invitation};
pub use disposition::{Disposed, Disposition, disposition_to_sip};
pub use hear::{Heard, HeardText, Ignored, hear, hear_body, hear_information};
pub use say::{Envelope, SessionBody, Signals, Wishes, signals_of, text_to_envelope, text_to_session};
pub use stanzas::{
    Parties, chat_state_stanza, displayed_stanza, mark_delayed, notice_stanza, received_stanza, text_stanza,
};
pub use typing::{ChatState, Typing, TypingDialect, typing_to_sip};

pub(crate) use document::{Signal, read_document};
pub(crate) use hear::heard_signal;
pub(crate) use stanzas::push_wishes;
