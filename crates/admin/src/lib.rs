//! What an operator asks a running process, and its answers.
//!
//! A process listens on a Unix socket that only its own user can use. Whoever connects writes a
//! [`Request`] on a line of JSON and reads a [`Reply`] on a line; as often as he likes. The shapes are
//! this crate's own, so that those of the roles are free to change.

mod ask;
mod serve;
mod shapes;

pub use ask::{AskError, ask};
pub use serve::{Server, SocketError, serve};
pub use shapes::{
    Certificate, Conversation, Direction, Gateway, Learned, Level, Link, Loss, Partner, PartnerTest, Proxy,
    Queue, QueuedPartner, QueuedServer, Reply, Request, StageOutcome, Status, Stream, TestedStage, Trace,
    TraceEvent, User, Watch,
};

/// How long a request may be.
const REQUEST_MAX: u64 = 4096;
