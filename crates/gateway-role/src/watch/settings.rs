//! How presence crosses.

use std::time::Duration;

use translate::presence::StateTable;

/// How presence crosses, and how much of it.
#[derive(Clone, Debug)]
pub struct WatchSettings {
    /// How states of one side are called on the other.
    pub states: StateTable,
    /// Seconds that our SUBSCRIBE asks for. Default 3600.
    pub expires: u32,
    /// The fewest and most seconds that a SUBSCRIBE is granted. Default 60 and 28,800.
    pub expires_min: u32,
    /// See [`Self::expires_min`].
    pub expires_max: u32,
    /// The shortest time between two NOTIFYs of one dialog (RFC 3856 §6.10). Default 5 s.
    pub pace: Duration,
    /// Whether a probe for a contact that nothing is known of subscribes to him: for a migration, when the XMPP users'
    /// contacts are older than this gateway. Default false: such a probe is answered `unavailable`.
    pub adopt_probes: bool,
    /// Users that one user may watch. Default 1000.
    pub watched_max: usize,
    /// How long a contact who can no longer be asked about is still shown. Default 60 s.
    pub stale_after: Duration,
    /// After how long without a word the servers of a domain whose users are watched are asked whether they are there;
    /// `None` to ask nobody. Default none; the configuration's is 40 s.
    pub check_every: Option<Duration>,
    /// How long after a start what was kept is asked about anew, spread evenly. Default 30 s.
    pub spread: Duration,
}

impl Default for WatchSettings {
    fn default() -> Self {
        Self {
            states: StateTable::default(),
            expires: 3600,
            expires_min: 60,
            expires_max: 28_800,
            pace: Duration::from_secs(5),
            adopt_probes: false,
            watched_max: 1000,
            stale_after: Duration::from_secs(60),
            check_every: None,
            spread: Duration::from_secs(30),
        }
    }
}
