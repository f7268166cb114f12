//! Listening sockets, bound before anything runs, so that a mistake is told before anything starts.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use net_types::{ListenerId, TlsServer};
use socket2::{Domain, Protocol, Socket, Type};

/// What to listen on.
#[derive(Clone, Debug)]
pub struct ListenerSpec {
    /// The name that events carry.
    pub id: ListenerId,
    /// Where; port 0 lets the operating system choose. An IPv6 address listens for IPv6 only: `[::]` and
    /// `0.0.0.0` are two listeners.
    pub address: SocketAddr,
    /// For what.
    pub kind: ListenerKind,
    /// How many connections it holds at once; more wait in the operating system's queue.
    pub connections_max: usize,
    /// Where the setting stands, such as `gangway.toml:12 [proxy] listen`; errors begin with it.
    pub place: String,
}

/// What a listener is for.
#[derive(Clone, Debug)]
pub enum ListenerKind {
    /// TCP, plain at first.
    Tcp,
    /// TCP that begins with a TLS handshake.
    DirectTls {
        /// How to shake hands.
        server: TlsServer,
        /// The protocols accepted, such as `xmpp-server` (XEP-0368); empty accepts any.
        alpn: Vec<String>,
    },
    /// Datagrams.
    Udp {
        /// The size of the operating system's buffers, each way, in octets; as much of it as it allows.
        buffer: usize,
    },
}

/// A socket that holds its address, and does nothing else before a driver runs.
#[derive(Debug)]
pub struct Bound {
    pub(crate) spec: ListenerSpec,
    pub(crate) socket: BoundSocket,
    local: SocketAddr,
}

#[derive(Debug)]
pub(crate) enum BoundSocket {
    Stream(TcpListener),
    Datagram(UdpSocket),
}

impl Bound {
    /// Takes the address of `spec`.
    ///
    /// # Errors
    ///
    /// Says which setting asked for the address, why it cannot be had and what to do.
    pub fn bind(spec: ListenerSpec) -> Result<Self, BindError> {
        match open(&spec) {
            Ok((socket, local)) => Ok(Self { spec, socket, local }),
            Err(error) => Err(BindError { place: spec.place, address: spec.address, cause: error }),
        }
    }

    /// Returns the name that events will carry.
    #[must_use]
    pub fn id(&self) -> ListenerId {
        self.spec.id
    }

    /// Returns the address that was taken, with the real port.
    #[must_use]
    pub fn local_address(&self) -> SocketAddr {
        self.local
    }
}

fn open(spec: &ListenerSpec) -> io::Result<(BoundSocket, SocketAddr)> {
    let domain = Domain::for_address(spec.address);
    let socket = match &spec.kind {
        ListenerKind::Tcp | ListenerKind::DirectTls { .. } => {
            let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
            // A restart must not wait for the connections of the previous process to be forgotten.
            socket.set_reuse_address(true)?;
            socket
        }
        ListenerKind::Udp { buffer } => {
            let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
            socket.set_recv_buffer_size(*buffer)?;
            socket.set_send_buffer_size(*buffer)?;
            socket
        }
    };
    if spec.address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&spec.address.into())?;
    Ok(match &spec.kind {
        ListenerKind::Tcp | ListenerKind::DirectTls { .. } => {
            socket.listen(BACKLOG)?;
            let listener = TcpListener::from(socket);
            let local = listener.local_addr()?;
            (BoundSocket::Stream(listener), local)
        }
        ListenerKind::Udp { .. } => {
            let socket = UdpSocket::from(socket);
            let local = socket.local_addr()?;
            (BoundSocket::Datagram(socket), local)
        }
    })
}

const BACKLOG: i32 = 1024;

/// Why an address cannot be listened on.
#[derive(Debug)]
pub struct BindError {
    /// Where the setting stands.
    pub place: String,
    /// What it asks for.
    pub address: SocketAddr,
    /// What the operating system says.
    pub cause: io::Error,
}

impl fmt::Display for BindError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: cannot listen on {}: ", self.place, self.address)?;
        match self.cause.kind() {
            io::ErrorKind::AddrInUse => {
                out.write_str("address in use; stop the program that has it, or choose another port")
            }
            io::ErrorKind::AddrNotAvailable => {
                out.write_str("no interface of this machine has this address; write one of its own, or 0.0.0.0")
            }
            io::ErrorKind::PermissionDenied => out.write_str(
                "permission denied; ports below 1024 need CAP_NET_BIND_SERVICE (systemd: AmbientCapabilities=)",
            ),
            _ => write!(out, "{}", self.cause),
        }
    }
}

impl std::error::Error for BindError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(address: &str, kind: ListenerKind) -> ListenerSpec {
        ListenerSpec {
            id: ListenerId(1),
            address: address.parse().unwrap(),
            kind,
            connections_max: 10,
            place: "gangway.toml:12 [proxy] listen".to_owned(),
        }
    }

    #[test]
    fn port_zero_is_given_a_real_port() {
        let tcp = Bound::bind(spec("127.0.0.1:0", ListenerKind::Tcp)).unwrap();
        let udp = Bound::bind(spec("127.0.0.1:0", ListenerKind::Udp { buffer: 1 << 20 })).unwrap();

        assert_ne!(tcp.local_address().port(), 0);
        assert_ne!(udp.local_address().port(), 0);
    }

    #[test]
    fn an_address_in_use_names_the_setting_and_the_way_out() {
        let first = Bound::bind(spec("127.0.0.1:0", ListenerKind::Tcp)).unwrap();

        let second = Bound::bind(spec(&first.local_address().to_string(), ListenerKind::Tcp)).unwrap_err();

        assert_eq!(
            second.to_string(),
            format!(
                "gangway.toml:12 [proxy] listen: cannot listen on {}: address in use; stop the program that has it, \
                 or choose another port",
                first.local_address()
            )
        );
    }

    #[test]
    fn an_address_of_another_machine_is_told_as_such() {
        let error = Bound::bind(spec("192.0.2.1:0", ListenerKind::Tcp)).unwrap_err();

        assert!(error.to_string().contains("no interface of this machine has this address"), "{error}");
    }

    #[test]
    fn an_ipv6_listener_leaves_the_port_to_ipv4() {
        let Ok(six) = Bound::bind(spec("[::]:0", ListenerKind::Tcp)) else { return };
        let port = six.local_address().port();

        assert!(Bound::bind(spec(&format!("0.0.0.0:{port}"), ListenerKind::Tcp)).is_ok());
    }
}
