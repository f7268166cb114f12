//! One TCP connection, one task: it reads, writes and shakes hands for as long as the connection lives.
//!
//! ```text
//!            accept ──────────────┐           StartTls: flush, discard, shake hands
//!   dial ──▶ TCP ──▶ direct TLS ──┴──▶ open ◀────────────────────────────────────▶ handshake
//!                                       │ Close: flush, close_notify, FIN, await the peer's FIN
//!                                       ▼
//!                                     gone
//! ```
//!
//! TLS is driven here and not by a stream wrapper, so that all that is there is read at once, all
//! that a turn said leaves in one write, and TLS starts in place.

mod open;
mod pump;
mod shared;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use net_types::{Bytes, Event, ListenerId, Remote, Stage, TlsClient, TlsFacts, TlsServer};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::arrival::{Arrival, Deaf, Handle, Tag, in_words};
use crate::outbox::{Outbox, Upgrade};
use crate::settings::Incident;
use crate::tls::session::Session;
use crate::tls::words::io_in_words;

use open::{Open, Turn};
use pump::Pump;
pub(crate) use shared::Shared;

/// What a listener does with an accepted connection.
#[derive(Clone, Debug)]
pub(crate) struct Reception {
    pub(crate) listener: ListenerId,
    /// Shake hands at once, accepting these protocols.
    pub(crate) tls: Option<(TlsServer, Vec<String>)>,
}

/// Serves one accepted connection to its end.
pub(crate) async fn accepted(
    mut stream: TcpStream,
    remote: SocketAddr,
    reception: Reception,
    shared: Arc<Shared>,
) {
    let local = stream.local_addr().ok();
    prepare(&stream);
    let handshake = match reception.tls {
        None => Ok(None),
        Some((server, alpn)) => {
            let started = shared.tls.server(&server, &alpn);
            let shaken = shake_hands(
                &mut stream,
                started,
                &shared.accept_handshakes,
                shared.settings.handshake_timeout,
            );
            shaken.await.map(|shaken| Some((shaken, server.trust)))
        }
    };
    let (pump, early, facts) = match handshake {
        Ok(None) => (None, Bytes::new(), None),
        Ok(Some((shaken, trust))) => {
            let facts = shared.tls.facts(&shaken.pump.session, &trust);
            (Some(shaken.pump), shaken.early, Some(Box::new(facts)))
        }
        Err(reason) => {
            let remote = Remote::Address(remote);
            (shared.incidents)(Incident::HandshakeFailed { listener: reception.listener, remote, reason });
            return;
        }
    };
    let tag = shared.accepted_tag();
    let outbox = Arc::new(Outbox::default());
    let handle = Handle { tag, outbox: Arc::clone(&outbox) };
    let event = Event::Accepted {
        connection: tag.connection,
        listener: reception.listener,
        local,
        remote: Remote::Address(remote),
        tls: facts,
    };
    let mut open = Open::new(tag, outbox, stream, pump, shared);
    if open.delivery.send(Arrival::Accepted { event, handle }).await.is_ok() {
        live(open, early).await;
    }
}

/// What a role orders to dial.
pub(crate) struct Dial {
    pub(crate) tag: Tag,
    pub(crate) to: SocketAddr,
    pub(crate) tls: Option<Box<TlsClient>>,
    pub(crate) timeout: Duration,
}

/// Dials and then serves the connection to its end.
pub(crate) async fn dial(dial: Dial, outbox: Arc<Outbox>, shared: Arc<Shared>) {
    let tag = dial.tag;
    let mut stage = Stage::Tcp;
    let dialled = tokio::select! {
        dialled = tokio::time::timeout(dial.timeout, connect(&dial, &shared, &mut stage)) => dialled,
        () = std::future::poll_fn(|context| outbox.poll_closed(context)) => return,
    };
    let dialled = dialled.unwrap_or_else(|_| {
        let timeout = in_words(dial.timeout);
        Err(match stage {
            Stage::Tcp => format!("no answer within {timeout}"),
            Stage::Tls => format!("the TLS handshake was not over within {timeout}"),
        })
    });
    let (stream, pump, early, facts) = match dialled {
        Ok(dialled) => dialled,
        Err(reason) => {
            let event = Event::ConnectFailed { connection: tag.connection, stage, reason };
            let _ = shared.arrivals().send(Arrival::Heard { tag, event }).await;
            return;
        }
    };
    let event = Event::Connected {
        connection: tag.connection,
        local: stream.local_addr().ok(),
        tls: facts.map(Box::new),
    };
    let mut open = Open::new(tag, outbox, stream, pump, shared);
    if open.delivery.send(Arrival::Heard { tag, event }).await.is_ok() {
        live(open, early).await;
    }
}

type Dialled = (TcpStream, Option<Pump>, Bytes, Option<TlsFacts>);

async fn connect(dial: &Dial, shared: &Shared, stage: &mut Stage) -> Result<Dialled, String> {
    let mut stream = TcpStream::connect(dial.to).await.map_err(|error| io_in_words(&error))?;
    prepare(&stream);
    let Some(client) = &dial.tls else { return Ok((stream, None, Bytes::new(), None)) };
    *stage = Stage::Tls;
    let started = shared.tls.client(client);
    let shaken = shake_hands(&mut stream, started, &shared.dial_handshakes, dial.timeout).await?;
    let facts = shared.tls.facts(&shaken.pump.session, &client.trust);
    Ok((stream, Some(shaken.pump), shaken.early, Some(facts)))
}

/// Small messages must not wait for the acknowledgement of earlier ones; a turn is already one write.
fn prepare(stream: &TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY");
    }
}

/// A handshake that is over.
struct Shaken {
    pump: Pump,
    /// What came behind the handshake in the same packets.
    early: Bytes,
}

async fn shake_hands(
    stream: &mut TcpStream,
    started: Result<Session, String>,
    places: &Semaphore,
    timeout: Duration,
) -> Result<Shaken, String> {
    let mut pump = Pump::new(started?);
    let handshake = async {
        let _place = places.acquire().await.map_err(|_| "we are stopping".to_owned())?;
        std::future::poll_fn(|context| pump.poll_handshake(stream, context)).await
    };
    match tokio::time::timeout(timeout, handshake).await {
        Ok(Ok(early)) => Ok(Shaken { pump, early }),
        Ok(Err(reason)) => Err(reason),
        Err(_) => Err(format!("the TLS handshake was not over within {}", in_words(timeout))),
    }
}

/// Serves an open connection to its end.
async fn live(mut open: Open, early: Bytes) {
    if !early.is_empty() && open.delivery.deliver(open.tag.bytes(early)).is_err() {
        return;
    }
    loop {
        match std::future::poll_fn(|context| open.poll(context)).await {
            Turn::Upgrade(upgrade) => match start_tls(&mut open, upgrade).await {
                Ok(()) => {}
                Err(Some(reason)) => {
                    let _ = open.delivery.send(open.tag.closed(Some(reason))).await;
                    return;
                }
                Err(None) => return,
            },
            Turn::Close => return open.linger().await,
            Turn::Ended(reason) => {
                // A peer that has said all it had to say may still read what we had to say.
                let in_order = reason.is_none();
                let _ = open.delivery.send(open.tag.closed(reason)).await;
                if in_order {
                    open.linger().await;
                }
                return;
            }
        }
    }
}

/// Starts TLS in place. The error is the reason to tell, or `None` when nobody wants to hear it.
async fn start_tls(open: &mut Open, upgrade: Upgrade) -> Result<(), Option<String>> {
    if open.pump.is_some() {
        return Err(Some("TLS is already on".to_owned()));
    }
    open.begin_epoch();
    let shared = Arc::clone(&open.shared);
    let (started, trust, places) = match upgrade {
        Upgrade::Client(client) => {
            // A server speaks next only after our hello: what is there already is not of this handshake.
            open.discard_unread().map_err(|error| Some(io_in_words(&error)))?;
            (shared.tls.client(&client), client.trust, &shared.dial_handshakes)
        }
        Upgrade::Server(server) => (shared.tls.server(&server, &[]), server.trust, &shared.accept_handshakes),
    };
    let outbox = Arc::clone(&open.outbox);
    let shaken = tokio::select! {
        shaken = shake_hands(&mut open.stream, started, places, shared.settings.handshake_timeout) => shaken,
        () = std::future::poll_fn(|context| outbox.poll_closed(context)) => return Err(None),
    };
    let Shaken { pump, early } = shaken.map_err(|reason| Some(format!("TLS: {reason}")))?;
    let facts = Box::new(shared.tls.facts(&pump.session, &trust));
    open.pump = Some(pump);
    let tag = open.tag;
    let event = Event::TlsStarted { connection: tag.connection, facts };
    open.delivery.send(Arrival::Heard { tag, event }).await.map_err(|Deaf| None)?;
    if !early.is_empty() {
        open.delivery.deliver(tag.bytes(early)).map_err(|Deaf| None)?;
    }
    Ok(())
}

/// Accepts connections until the driver is gone.
pub(crate) async fn accept(
    listener: tokio::net::TcpListener,
    reception: Reception,
    connections_max: usize,
    shared: Arc<Shared>,
) {
    let places = Arc::new(Semaphore::new(connections_max));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, remote)) => {
                let serving = accepted(stream, remote, reception.clone(), Arc::clone(&shared));
                let alive = shared.alive();
                tokio::spawn(async move {
                    serving.await;
                    drop((place, alive));
                });
            }
            Err(error) if is_of_one_peer(&error) => {
                tracing::debug!(%error, "accepting a connection");
            }
            Err(error) => {
                let reason = format!("{}; waiting {}", io_in_words(&error), in_words(SHORTAGE_PAUSE));
                (shared.incidents)(Incident::AcceptHeldBack { listener: reception.listener, reason });
                tokio::time::sleep(SHORTAGE_PAUSE).await;
            }
        }
    }
}

/// Tells a connection that died in the queue from a shortage of our own (EMFILE, ENFILE, ENOBUFS, ENOMEM).
fn is_of_one_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}

/// How long a listener waits when the operating system has no more sockets.
const SHORTAGE_PAUSE: Duration = Duration::from_millis(200);
