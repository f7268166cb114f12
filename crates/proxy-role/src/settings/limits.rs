use std::time::Duration;

/// How much anybody may use. The defaults are Microsoft's where it had such a setting, and otherwise
/// those that one machine of modest size bears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections with all partners together.
    pub connections_max: u32,
    /// Connections with one partner, unless its entry says otherwise.
    pub partner_connections_max: u32,
    /// Incoming connections from one address.
    pub address_connections_max: u32,
    /// Incoming connections from one address that have not proved a domain.
    pub address_unproved_max: u32,
    /// A partner from which nothing came for so long is gone, if it keeps connections alive.
    pub keep_alive: Duration,
    /// How long it may take to set up an outgoing stream.
    pub establishment: Duration,
    /// How long an incoming stream may take to prove a domain.
    pub handshake: Duration,
    /// A stream idle for so long is closed.
    pub inactivity: Duration,
    /// How long a message waits for a partner that cannot be reached before it is sent back.
    pub report: Duration,
    /// How long a partner may take to acknowledge a stanza.
    pub acknowledgement: Duration,
    /// How long a stream that lost its connection is kept, so that its partner may go on with it (XEP-0198);
    /// zero if none is.
    pub suspended_for: Duration,
    /// Such streams at once.
    pub suspended_max: usize,
    /// Octets in them that their partners have not acknowledged.
    pub suspended_bytes_max: usize,
    /// How long it takes to close everything when we stop.
    pub drain: Duration,
    /// Octets that a peer may send before it has proved a domain.
    pub unproved_bytes_max: usize,
    /// Octets of one stanza.
    pub stanza_bytes_max: usize,
    /// Open questions of dialback on one stream.
    pub dialbacks_max: usize,
    /// Stanzas that wait for one partner.
    pub queue_stanzas_max: usize,
    /// Octets of them.
    pub queue_bytes_max: usize,
    /// Stanzas of one incoming stream that may be at work before it is paused.
    pub at_work_max: usize,
    /// Stanzas held while no gateway is connected.
    pub held_max: usize,
    /// How long a stanza is held while no gateway is connected.
    pub held_for: Duration,
    /// The first pause after a failed attempt to reach a partner.
    pub retry_min: Duration,
    /// The longest pause.
    pub retry_max: Duration,
    /// How soon after a failure a fresh message may try again at once.
    pub retry_fresh: Duration,
    /// Gateways connected at once.
    pub gateways_max: usize,
    /// Partners remembered in open mode, or by sub-domain.
    pub remembered_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 1000,
            partner_connections_max: 20,
            address_connections_max: 50,
            address_unproved_max: 10,
            keep_alive: Duration::from_secs(300),
            establishment: Duration::from_secs(60),
            handshake: Duration::from_secs(30),
            inactivity: Duration::from_secs(600),
            report: Duration::from_secs(9),
            acknowledgement: Duration::from_secs(30),
            suspended_for: Duration::from_secs(300),
            suspended_max: 1000,
            suspended_bytes_max: 16 * 1024 * 1024,
            drain: Duration::from_secs(20),
            unproved_bytes_max: 16 * 1024,
            stanza_bytes_max: 256 * 1024,
            dialbacks_max: 16,
            queue_stanzas_max: 1000,
            queue_bytes_max: 10 * 1024 * 1024,
            at_work_max: 1000,
            held_max: 1000,
            held_for: Duration::from_secs(30),
            retry_min: Duration::from_secs(1),
            retry_max: Duration::from_secs(300),
            retry_fresh: Duration::from_secs(10),
            gateways_max: 16,
            remembered_max: 10_000,
        }
    }
}
