use std::net::SocketAddr;
use std::time::Duration;

use net_types::{ListenerId, Remote};

/// The bounds and patience of one driver; the defaults suit a server.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How many events wait for the role before its connections are held back.
    pub events_max: usize,
    /// How many events the role takes before what it said leaves.
    pub turn_events_max: usize,
    /// How many octets from connections the role takes in one turn.
    pub turn_octets_max: usize,
    /// How many octets may wait on one connection. A connection above this for [`write_stall`](Self::write_stall),
    /// or above eight times this at once, is cut off.
    pub write_buffer: usize,
    /// How long a connection may stay above [`write_buffer`](Self::write_buffer).
    pub write_stall: Duration,
    /// How long a closing connection may take to carry its last octets.
    pub linger: Duration,
    /// How long a TLS handshake may take, the wait for its turn included.
    pub handshake_timeout: Duration,
    /// How many handshakes run at once, for accepted connections and for dialled ones each.
    pub handshakes_max: usize,
    /// How many DNS questions are open at once; more wait for their turn.
    pub queries_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            events_max: 1024,
            turn_events_max: 256,
            turn_octets_max: 512 * 1024,
            write_buffer: 1024 * 1024,
            write_stall: Duration::from_secs(10),
            linger: Duration::from_secs(5),
            handshake_timeout: Duration::from_secs(10),
            handshakes_max: 64,
            queries_max: 256,
        }
    }
}

/// Something that an operator may want to know and that no role hears of, because no connection came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incident {
    /// A peer connected, and the TLS handshake came to nothing.
    HandshakeFailed {
        /// On which listener.
        listener: ListenerId,
        /// Who.
        remote: Remote,
        /// Why, in words.
        reason: String,
    },
    /// The operating system gave no more sockets; the listener waits a little and tries again.
    AcceptHeldBack {
        /// Which listener.
        listener: ListenerId,
        /// Why, in words.
        reason: String,
    },
    /// A datagram did not leave.
    DatagramLost {
        /// From which socket.
        socket: ListenerId,
        /// Where it should have gone.
        to: SocketAddr,
        /// Why, in words.
        reason: String,
    },
}
