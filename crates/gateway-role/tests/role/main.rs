//! The gateway between a real link and SIP datagrams, in virtual time.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod conversations;
mod crossing;
mod dispositions;
mod msrp;
mod outages;
mod policy;
mod presence;
mod strangers;
mod talk;
mod watch_crashes;
mod watch_documents;
mod watch_rows_inward;
mod watch_rows_outward;
mod watch_stanzas;
mod watch_syntax;
mod watches;
mod world;
