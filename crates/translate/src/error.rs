//! Failures, both ways (RFC 7247 §7).

mod diagnosis;
mod to_sip;
mod to_xmpp;

pub use diagnosis::Diagnosis;
pub use to_sip::{Refusal, condition_to_status, error_to_sip};
pub use to_xmpp::{Failure, failure_to_xmpp, response_to_xmpp, status_to_condition};

pub(crate) use to_sip::language_header;
