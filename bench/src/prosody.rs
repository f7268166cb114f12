//! Prosody beside the product: two of them and a stream between servers, TLS and dialback, with a component at each.
//!
//! Their names are addresses of loopback, so that nobody needs the DNS.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use net_types::TlsClient;
use xmpp_proto::link::LinkSettings;
use xmpp_types::jid::DomainName;

use crate::inside::Inside;
use crate::peer::Peer;
use crate::process::Process;
use crate::site::Credentials;

/// Two servers with a generator at each.
pub struct Pair {
    /// At the first.
    pub sender: Peer,
    /// At the second.
    pub receiver: Peer,
    /// The servers.
    pub processes: Vec<Process>,
    /// Where the second listens for other servers.
    pub second: SocketAddr,
}

impl Pair {
    /// Starts both from `program`.
    pub fn start(program: &Path, home: &Path, credentials: &Credentials) -> Result<Self, String> {
        let [low, high, ..] = std::process::id().to_le_bytes();
        let hosts = [1, 2].map(|last| format!("127.{}.{low}.{last}", 128 | (high >> 1)));
        let mut processes = Vec::new();
        let mut peers = Vec::new();
        for (place, name) in ["prosody 1", "prosody 2"].into_iter().enumerate() {
            let (own, far) = (&hosts[place], &hosts[1 - place]);
            let home = home.join(own);
            fs::create_dir_all(&home).map_err(|why| why.to_string())?;
            credentials.write_for(&home, &[own, "prosody.example"])?;
            let file = home.join("prosody.cfg.lua");
            let text = TEMPLATE.replace("@HOST@", own).replace("@HOME@", &home.display().to_string());
            fs::write(&file, text).map_err(|why| why.to_string())?;
            let mut process =
                Process::start(name, Command::new(program).arg("-F").arg("--config").arg(&file), &home)?;
            let at = |port: u16| format!("{own}:{port}").parse::<SocketAddr>().map_err(|why| why.to_string());
            process.await_listening(at(5269)?)?;
            process.await_listening(at(5347)?)?;
            let domain = |text: &str| DomainName::parse(text).map_err(|why| why.to_string());
            let settings = LinkSettings {
                name: own.clone(),
                peer: own.clone(),
                secret: Some("bench".to_owned()),
                ..LinkSettings::default()
            };
            let none: Option<TlsClient> = None;
            let inside = Inside::new(settings, at(5347)?, none, &domain(own)?, &domain(far)?);
            peers.push(Peer::start(name, inside, Vec::new(), &credentials.registry)?);
            processes.push(process);
        }
        let (Some(receiver), Some(sender)) = (peers.pop(), peers.pop()) else {
            return Err("no peers".into());
        };
        let second = format!("{}:5269", hosts[1]).parse().map_err(|_| "not an address")?;
        Ok(Self { sender, receiver, processes, second })
    }
}

const TEMPLATE: &str = include_str!("../prosody.cfg.lua.in");
