use std::net::{Ipv4Addr, SocketAddr};

use net::throwaway::{Wish, free_addresses};

use crate::support::{Place, Running, ending, host};

/// Gangway with a listener for datagrams and one for streams.
pub struct Program {
    // Dropped first, so that nothing is written to a directory that is gone.
    running: Running,
    _place: Place,
    pub tcp: SocketAddr,
    pub udp: SocketAddr,
}

impl Program {
    pub fn start() -> Result<Self, String> {
        let place = Place::new();
        let issued =
            place.authority().issue(&Wish::dns(&["remote.example"])).expect("a certificate is issued");
        issued.write(&place.path(""), "s").expect("the files can be written");
        let [tcp, proxy] = free_addresses(Ipv4Addr::from(host())).map_err(|why| why.to_string())?;
        place.write("gangway.toml", &configuration(tcp, proxy));
        let mut running = place.start(&["run", "--config", "gangway.toml"]);
        running.until_answered(&place.path("admin.sock"), |status| status.gateway.is_some())?;
        Ok(Self { running, _place: place, tcp, udp: tcp })
    }

    /// Returns what the program has logged.
    pub fn log(&self) -> String {
        self.running.log()
    }
}

fn configuration(sip: SocketAddr, proxy: SocketAddr) -> String {
    let ending = ending("s", "admin.sock");
    format!(
        r#"
[proxy]
domains = ["remote.example"]
listen = ["{proxy}"]
identities = ["s"]
trust = "all"
resolver = ["127.0.0.1:9"]

[gateway]
name = "gateway.s.example"
store = "gateway.db"
resolver = ["127.0.0.1:9"]

[[gateway.listen]]
transport = "tcp"
address = "{sip}"

[[gateway.listen]]
transport = "udp"
address = "{sip}"

[gateway.limits]
connections-per-address = 1000

[[gateway.domain]]
domain = "remote.example"
next-hop = "sip:127.0.0.1:9;transport=tcp"
trusted-addresses = ["127.0.0.0/8"]
{ending}"#
    )
}
