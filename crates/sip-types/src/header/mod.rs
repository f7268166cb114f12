//! The typed values of headers (RFC 3261 §20). Each parses from text and prints back.

mod name;
mod values;

pub use name::HeaderName;
pub use values::*;
