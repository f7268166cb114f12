//! Datagram sockets: as many as are there are read at each wake-up; sends leave at once where they can.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use net_types::{Bytes, Event, ListenerId};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use crate::arrival::Arrival;
use crate::connection::Shared;
use crate::settings::Incident;

/// The sending half of a datagram socket.
pub(crate) struct Datagrams {
    id: ListenerId,
    socket: Arc<UdpSocket>,
    /// What the operating system had no room for, in order.
    late: mpsc::Sender<(SocketAddr, Bytes)>,
    late_count: Arc<AtomicUsize>,
    shared: Arc<Shared>,
}

impl Datagrams {
    /// Starts the tasks of a bound socket; they end with the driver.
    pub(crate) fn start(
        id: ListenerId,
        socket: std::net::UdpSocket,
        shared: Arc<Shared>,
    ) -> io::Result<Started> {
        let socket = Arc::new(UdpSocket::from_std(socket)?);
        let (late, late_waiting) = mpsc::channel(LATE_MAX);
        let late_count = Arc::new(AtomicUsize::new(0));
        let receiving = receive(id, Arc::clone(&socket), Arc::clone(&shared));
        let sending = send_late(Arc::clone(&socket), late_waiting, Arc::clone(&late_count));
        let tasks = [tokio::spawn(receiving), tokio::spawn(sending)];
        Ok(Started { datagrams: Self { id, socket, late, late_count, shared }, tasks })
    }

    /// Sends one datagram, behind those that wait.
    pub(crate) fn send(&self, to: SocketAddr, bytes: Bytes) {
        if self.late_count.load(Ordering::Acquire) == 0 {
            match self.socket.try_send_to(&bytes, to) {
                Ok(_) => return,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return self.lost(to, error.to_string()),
            }
        }
        self.late_count.fetch_add(1, Ordering::AcqRel);
        if self.late.try_send((to, bytes)).is_err() {
            self.late_count.fetch_sub(1, Ordering::AcqRel);
            self.lost(to, format!("more than {LATE_MAX} datagrams wait to be sent"));
        }
    }

    fn lost(&self, to: SocketAddr, reason: String) {
        (self.shared.incidents)(Incident::DatagramLost { socket: self.id, to, reason });
    }
}

pub(crate) struct Started {
    pub(crate) datagrams: Datagrams,
    pub(crate) tasks: [tokio::task::JoinHandle<()>; 2],
}

async fn receive(id: ListenerId, socket: Arc<UdpSocket>, shared: Arc<Shared>) {
    let arrivals = shared.arrivals();
    // One buffer for all: what arrives is copied out at its real size, so that an idle datagram pins nothing.
    let mut buffer = vec![0; DATAGRAM_MAX];
    loop {
        match socket.try_recv_from(&mut buffer) {
            Ok((length, from)) => {
                let bytes = Bytes::copy_from_slice(&buffer[..length]);
                let arrival = Arrival::Other(Event::Datagram { socket: id, from, bytes });
                if arrivals.send(arrival).await.is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if socket.readable().await.is_err() {
                    return;
                }
            }
            // The echo of an earlier send (ICMP), or a shortage: the socket itself stays.
            Err(error) => {
                tracing::debug!(%error, "receiving a datagram");
                tokio::time::sleep(SHORTAGE_PAUSE).await;
            }
        }
    }
}

async fn send_late(
    socket: Arc<UdpSocket>,
    mut waiting: mpsc::Receiver<(SocketAddr, Bytes)>,
    count: Arc<AtomicUsize>,
) {
    while let Some((to, bytes)) = waiting.recv().await {
        if let Err(error) = socket.send_to(&bytes, to).await {
            tracing::debug!(%error, %to, "sending a datagram");
        }
        count.fetch_sub(1, Ordering::AcqRel);
    }
}

const DATAGRAM_MAX: usize = 65_535;
const LATE_MAX: usize = 4096;
const SHORTAGE_PAUSE: Duration = Duration::from_millis(1);
