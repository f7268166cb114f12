//! Conversations: how texts are carried to SIP users whose servers want sessions.

mod settings;

pub use settings::{ConversationSettings, Dialect};
