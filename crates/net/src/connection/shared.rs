use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use net_types::ConnectionId;
use tokio::sync::{Semaphore, mpsc};

use crate::arrival::{Arrival, Tag};
use crate::settings::{Incident, Settings};
use crate::tls::TlsRegistry;

/// What all tasks of one driver share.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) tls: Arc<TlsRegistry>,
    pub(crate) incidents: Arc<dyn Fn(Incident) + Send + Sync>,
    /// Places to shake hands, apart: strangers who dawdle at our door must not keep us from dialling.
    pub(crate) accept_handshakes: Semaphore,
    pub(crate) dial_handshakes: Semaphore,
    arrivals: mpsc::Sender<Arrival>,
    /// Held weakly here: once the driver lets go of it, the last task to end is noticed.
    alive: mpsc::WeakSender<()>,
    accepted: AtomicU64,
    serials: AtomicU64,
}

impl Shared {
    pub(crate) fn new(
        settings: Settings,
        tls: Arc<TlsRegistry>,
        incidents: Arc<dyn Fn(Incident) + Send + Sync>,
        arrivals: mpsc::Sender<Arrival>,
        alive: mpsc::WeakSender<()>,
    ) -> Self {
        let handshakes = settings.handshakes_max;
        Self {
            settings,
            tls,
            incidents,
            accept_handshakes: Semaphore::new(handshakes),
            dial_handshakes: Semaphore::new(handshakes),
            arrivals,
            alive,
            accepted: AtomicU64::new(1),
            serials: AtomicU64::new(0),
        }
    }

    /// Returns the driver's door.
    pub(crate) fn arrivals(&self) -> mpsc::Sender<Arrival> {
        self.arrivals.clone()
    }

    /// Returns what a task holds while it lives.
    pub(crate) fn alive(&self) -> Option<mpsc::Sender<()>> {
        self.alive.upgrade()
    }

    /// Names the next accepted connection.
    pub(crate) fn accepted_tag(&self) -> Tag {
        self.tag(ConnectionId::accepted(self.accepted.fetch_add(1, Ordering::Relaxed)))
    }

    /// Names one life of a connection.
    pub(crate) fn tag(&self, connection: ConnectionId) -> Tag {
        Tag { connection, serial: self.serials.fetch_add(1, Ordering::Relaxed), epoch: 0 }
    }
}
