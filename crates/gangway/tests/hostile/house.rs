//! A running proxy with certificates, a configuration and addresses of its own.

use std::net::SocketAddr;
use std::sync::Arc;

use net::TlsRegistry;
use net::throwaway::{Wish, free_addresses};
use net::tls::TlsSpec;

use crate::support::{Place, Running, ending};

/// `gangway proxy` in a directory that goes with it.
pub struct House {
    // Dropped first, so that nothing is written to a directory that is gone.
    running: Running,
    _place: Place,
    /// Where partners connect and start TLS later.
    pub partners: SocketAddr,
    /// Where partners connect with TLS from the first octet.
    pub direct: SocketAddr,
    /// Where the gateway connects.
    pub link: SocketAddr,
    /// What the partners and the gateway show and believe.
    pub tls: Arc<TlsRegistry>,
}

impl House {
    /// Starts a proxy for `domains` on a host; remote.example's server is at `remote`.
    pub fn start(host: [u8; 4], remote: SocketAddr, domains: &[String]) -> Self {
        let place = Place::new();
        let authority = place.authority();
        let issue = |names: &[&str]| authority.issue(&Wish::dns(names)).expect("a certificate is issued");
        let ours = issue(&["local.example", "*.local.example", "proxy.example"]);
        ours.write(&place.path(""), "proxy").expect("a file is written");
        let of = |name: &str| issue(&[&format!("{name}.example")]).identity(name);
        let identities = ["remote", "other", "unknown", "gateway"].map(of).to_vec();
        let tls = TlsRegistry::load(TlsSpec { identities, trusts: vec![authority.trust("all")] });
        let [partners, direct, link] = free_addresses(host.into()).expect("there is a free port");
        let text = configuration([partners, direct, link], remote, domains);
        place.write("gangway.toml", &text);
        let mut running = place.start(&["proxy", "--config", "gangway.toml"]);
        running.until_answered(&place.path("admin.sock"), |_| true).expect("the program starts");
        Self { running, _place: place, partners, direct, link, tls: Arc::new(tls.expect("they are ours")) }
    }

    /// Returns what the program has logged.
    pub fn log(&self) -> String {
        self.running.log()
    }

    /// Tells whether the process that was started still runs.
    pub fn is_alive(&mut self) -> bool {
        self.running.is_alive()
    }

    /// Returns how many files and sockets the program holds.
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.running.child.id())).map_or(0, Iterator::count)
    }
}

fn configuration(
    [partners, direct, link]: [SocketAddr; 3],
    remote: SocketAddr,
    domains: &[String],
) -> String {
    let ending = ending("proxy", "admin.sock");
    format!(
        r#"
[proxy]
domains = {domains:?}
listen = ["{partners}"]
direct-tls-listen = ["{direct}"]
identities = ["proxy"]
trust = "all"
resolver = ["127.0.0.1:9"]
connection-limit = 100000
partner-connection-limit = 10000

[[proxy.partner]]
domain = "remote.example"
sasl = "optional"
host = "{remote}"
direct-tls = false
allow-private-addresses = true

[[proxy.partner]]
domain = "other.example"
sasl = "required"
host = "127.0.0.1:9"
direct-tls = false
allow-private-addresses = true

[[proxy.partner]]
domain = "bücher.example"

[proxy.limits]
connections-per-address = 100000
unproved-per-address = 10000
pending-dialbacks = 1024

[proxy.link]
listen = "{link}"
identity = "proxy"
trust = "all"
gateways = ["gateway.example"]
{ending}
[log]
level = "warn"
"#
    )
}
