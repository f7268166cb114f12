use sip_types::{HeaderName, HeaderText};

use crate::transaction::Timing;

/// What the sessions of one peer, or of all, have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The times that repetitions derive from.
    pub timing: Timing,
    /// What each INVITE and UPDATE of ours inside a session, and each 2xx to one, says besides its Contact:
    /// `Allow`, `Supported`, `User-Agent`. The first INVITE has what its maker gave it.
    pub headers: Vec<(HeaderName, HeaderText)>,
    /// Extensions that a peer's `Require` may name besides `timer`.
    pub understood: Vec<String>,
    /// The briefest session interval in seconds that we agree to (RFC 4028 §5): 90 at least.
    pub interval_min: u32,
    /// The longest interval in seconds: a longer one asked for is shortened to it.
    pub interval_max: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            timing: Timing::default(),
            headers: Vec::new(),
            understood: Vec::new(),
            interval_min: 90,
            interval_max: 86_400,
        }
    }
}
