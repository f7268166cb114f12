//! XMPP and SIP in each other's words: addresses, messages, errors.
//!
//! Everything here is a function of values: no time passes, nothing is remembered, and the same input always
//! gives the same output, identifiers included, so that what is translated again after a crash is recognised by
//! its receiver. A translation is total and honest: each field of the input is in the value or named among
//! the [`Losses`].

pub mod address;
mod capabilities;
mod date;
pub mod error;
mod hash;
mod html;
mod iq;
mod loss;
pub mod message;
mod payload;
pub mod presence;
pub mod session;
mod text;

pub use address::{Profile, Unmappable, jid_to_sip, sip_to_jid};
pub use capabilities::{Abilities, Capabilities};
pub use error::{Diagnosis, Failure, Refusal, error_to_sip, failure_to_xmpp, response_to_xmpp};
pub use iq::iq_answer;
pub use loss::{Loss, Losses, Translated};
pub use message::{
    FailureReport, Headline, MessageKind, MessageToSip, MessageToXmpp, NotAMessage, NotificationRequest,
    SignalToXmpp, ToSip, ToSipOptions, ToXmpp, ToXmppOptions, disposition_message, failure_report_to_sip,
    message_size, message_to_sip, message_to_xmpp,
};
