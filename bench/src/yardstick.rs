//! Kamailio's plain stateful relay of MESSAGE: the same generators, the same machine, no translation.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use net::ListenerKind;
use net_types::ListenerId;

use crate::peer::{Peer, listen};
use crate::process::{Process, free_ports};
use crate::sip::{Agent, Says, Transport, Way};
use crate::site::{Credentials, client, server};

/// Two agents: the first sends, the second answers.
pub struct Relay {
    /// Sends, by the ways of [`THROUGH`] and then [`DIRECT`].
    pub sender: Peer,
    /// Answers.
    pub receiver: Peer,
    /// Kamailio, if it is there.
    pub process: Option<Process>,
}

/// The first ways of the sender, which lead through Kamailio.
pub const THROUGH: [&str; 3] = ["UDP", "TCP", "TCP in sessions"];
/// Which of them has sessions.
pub const IN_SESSIONS: usize = 2;
/// The ways after them, which lead from one agent to the other at once.
pub const DIRECT: [&str; 3] = ["UDP", "TCP", "TLS"];

impl Relay {
    /// Starts both agents, and Kamailio between them if `program` names one.
    pub fn start(program: Option<&Path>, home: &Path, credentials: &Credentials) -> Result<Self, String> {
        fs::create_dir_all(home).map_err(|why| why.to_string())?;
        let tls = &credentials.registry;
        let direct = ListenerKind::DirectTls { server: server(), alpn: Vec::new() };
        let udp = || ListenerKind::Udp { buffer: 4 << 20 };
        let receiving = vec![listen(0, udp())?, listen(1, ListenerKind::Tcp)?, listen(2, direct)?];
        let far: Vec<SocketAddr> = receiving.iter().map(net::Bound::local_address).collect();
        let sending = listen(0, udp())?;
        let near = sending.local_address();
        let [port] = free_ports()?;
        let middle = SocketAddr::from(([127, 0, 0, 1], port));

        let process = match program {
            Some(program) => Some(kamailio(program, home, middle, &far)?),
            None => None,
        };
        let way = |transport, to| Way {
            transport,
            to,
            from_domain: "sender.example".to_owned(),
            to_domain: "receiver.example".to_owned(),
            says: Says::Messages,
        };
        let socket = Transport::Udp(ListenerId(0));
        // Without Kamailio its places are taken by the agent itself, so that the numbers stay.
        let (by_udp, by_tcp) = if process.is_some() { (middle, middle) } else { (far[0], far[1]) };
        let ways = vec![
            way(socket.clone(), by_udp),
            way(Transport::Tcp, by_tcp),
            Way { says: Says::InSessions, ..way(Transport::Tcp, by_tcp) },
            way(socket, far[0]),
            way(Transport::Tcp, far[1]),
            way(Transport::Tls(client()), far[2]),
        ];
        Ok(Self {
            sender: Peer::start("sender", Agent::new(ways, near), vec![sending], tls)?,
            receiver: Peer::start("receiver", Agent::new(Vec::new(), far[0]), receiving, tls)?,
            process,
        })
    }
}

fn kamailio(
    program: &Path,
    home: &Path,
    address: SocketAddr,
    receiver: &[SocketAddr],
) -> Result<Process, String> {
    let modules = MODULES.iter().find(|path| Path::new(path).is_dir()).ok_or("no modules of Kamailio")?;
    let text = TEMPLATE
        .replace("@ADDRESS@", &address.to_string())
        .replace("@MODULES@", modules)
        .replace("@UDP@", &receiver[0].to_string())
        .replace("@TCP@", &receiver[1].to_string());
    let file = home.join("kamailio.cfg");
    fs::write(&file, text).map_err(|why| why.to_string())?;
    let mut command = Command::new(program);
    // In the foreground, logging to standard error; 512 MiB for transactions that wait to be forgotten.
    command
        .args(["-DD", "-E", "-m", "1024", "-M", "16", "-w"])
        .arg(home)
        .arg("-Y")
        .arg(home)
        .arg("-f")
        .arg(file);
    let mut process = Process::start("kamailio", &mut command, home)?;
    process.await_listening(address)?;
    Ok(process)
}

const MODULES: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/kamailio/modules",
    "/usr/lib/aarch64-linux-gnu/kamailio/modules",
    "/usr/lib64/kamailio/modules",
];

const TEMPLATE: &str = include_str!("../kamailio.cfg.in");
