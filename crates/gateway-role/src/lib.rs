//! The decisions of the SIP gateway.
