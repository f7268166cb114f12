//! Subscriptions to events (RFC 6665), each side a machine of one dialog.
//!
//! ```text
//! Subscriber  Resting ─► Asking ─ 2xx, NOTIFY ─► Live ─► (refresh) ─► Live     Leaving ─► over
//!                ▲          │ 4xx, 5xx, Timer N     │ terminated, 481             ▲
//!                └──────────┴───────────────────────┘        unsubscribe ─────────┘
//! Notifier    Live: one NOTIFY under way, one in five seconds, the last state wins ─► Ending ─► over
//! ```
//!
//! Neither knows a transport, nor what a body says: their user carries requests and answers, and decides.

mod admit;
mod notifier;
mod subscriber;

use std::sync::Arc;
use std::time::Duration;

use clock_types::{Date, Now};
use sip_types::header::{Event, HeaderName};
use sip_types::{HeaderText, Request};

use crate::dialog::Parts;
use crate::transaction::Timing;

pub use crate::session::Content;
pub use admit::{Asked, admit};
pub use notifier::{Notifier, NotifierEnd, NotifierOutput};
pub use subscriber::{Parties, Subscriber, SubscriberOutput, Trouble};

/// What the subscriptions of one peer, or of all, have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The times that Timer N derives from (RFC 6665 §4.1.2.4): 64*T1.
    pub timing: Timing,
    /// The event package.
    pub event: Event,
    /// What the Accept of our SUBSCRIBE says.
    pub accept: HeaderText,
    /// What each request of ours and each 2xx says besides: `Allow`, `User-Agent`.
    pub headers: Vec<(HeaderName, HeaderText)>,
    /// Seconds that we ask for. Default 3600.
    pub expires: u32,
    /// The fewest seconds that we grant; fewer are answered 423. Default 60.
    pub expires_min: u32,
    /// The most seconds that we grant. Default 28,800.
    pub expires_max: u32,
    /// The shortest time between two NOTIFYs of one dialog (RFC 3856 §6.10). Default 5 s.
    pub pace: Duration,
    /// How long a failing peer is left alone at first; doubled each time. Default 60 s.
    pub rest_min: Duration,
    /// The longest such rest. Default 1 h.
    pub rest_max: Duration,
}

impl Settings {
    /// Returns the defaults for this package.
    #[must_use]
    pub const fn new(event: Event, accept: HeaderText) -> Self {
        Self {
            timing: Timing {
                t1: Duration::from_millis(500),
                t2: Duration::from_secs(4),
                t4: Duration::from_secs(5),
            },
            event,
            accept,
            headers: Vec::new(),
            expires: 3600,
            expires_min: 60,
            expires_max: 28_800,
            pace: Duration::from_secs(5),
            rest_min: Duration::from_secs(60),
            rest_max: Duration::from_secs(3600),
        }
    }

    fn dress(&self, mut request: Request) -> Request {
        for (name, value) in &self.headers {
            request = request.with(*name, value);
        }
        request
    }
}

/// A dialog of a subscription, as it is kept over a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The dialog.
    pub dialog: Parts,
    /// Until when it lives.
    pub expires: Date,
    /// The `id` of its Event, which a notifier echoes.
    pub event: Event,
    /// Whether the presentity has allowed it.
    pub authorised: bool,
}

impl Kept {
    /// Returns the dialog as a process after a crash may use it: further on in its numbers, because the last
    /// ones may not have been kept (RFC 3261 §12.2.1.1: higher, by any amount). The clock sees to it that it is also
    /// further on than a process before this one that kept nothing: four a second are more than it can have used.
    fn revived(self, now: Now) -> Parts {
        const GAP: u32 = 1000;
        const YEAR_2026: i64 = 1_767_225_600_000;
        const QUARTER_OF_A_SECOND: i64 = 250;
        let mut parts = self.dialog;
        let quarters = (now.date.unix_millis() - YEAR_2026) / QUARTER_OF_A_SECOND;
        let by_clock = u32::try_from(quarters).unwrap_or(0);
        // The clock does not reach so far before 2043, and by then nothing is left of it.
        parts.local_seq = parts.local_seq.saturating_add(GAP).max(by_clock).min(i32::MAX as u32);
        parts
    }

    /// Returns how long it still lives.
    fn left(&self, now: Now) -> Duration {
        let left = self.expires.unix_millis().saturating_sub(now.date.unix_millis());
        Duration::from_millis(u64::try_from(left).unwrap_or(0))
    }
}

/// Settings are shared by very many subscriptions.
type Shared = Arc<Settings>;
