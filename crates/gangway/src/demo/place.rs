//! Where a demonstration lives: a directory with certificates of a throw-away authority and a configuration.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use net::throwaway::{Authority, Issued, Wish};
use net::tls::TlsSpec;

use super::{GATEWAY, PARTNER, POOL, PROXY, SIP};

/// The directory; it goes with this value, unless its user wants to keep it.
#[derive(Debug)]
pub struct Place {
    directory: PathBuf,
    is_kept: bool,
}

impl Place {
    /// Makes a directory that nobody else can read.
    ///
    /// # Errors
    /// Says which directory cannot be had, and why.
    pub fn new(keep: Option<&Path>) -> Result<Self, String> {
        let chosen = keep.map_or_else(|| std::env::temp_dir().join(fresh_name()), Path::to_owned);
        let failed = |why: io::Error| format!("{}: {why}", chosen.display());
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&chosen).map_err(failed)?;
        // The configuration's paths start from the file; a relative one would start twice.
        let directory = chosen.canonicalize().map_err(failed)?;
        if std::fs::read_dir(&directory).map_err(failed)?.next().is_some() {
            return Err(format!("{}: there is something in it; name a new directory", chosen.display()));
        }
        Ok(Self { directory, is_kept: keep.is_some() })
    }

    /// Returns the configuration file.
    pub fn configuration(&self) -> PathBuf {
        self.directory.join("gangway.toml")
    }

    /// Returns the directory, if its user wants to keep it.
    pub fn kept(&self) -> Option<&Path> {
        self.is_kept.then_some(self.directory.as_path())
    }

    /// Writes the certificates of proxy and gateway, and returns what the two others show and trust.
    ///
    /// # Errors
    /// Says what cannot be made or written.
    pub fn certify(&self) -> Result<TlsSpec, String> {
        let authority = Authority::new("Gangway's demonstration").map_err(|why| why.to_string())?;
        let issue = |wish: Wish| authority.issue(&wish).map_err(|why| why.to_string());
        let failed = |why: io::Error| format!("{}: {why}", self.directory.display());
        let ours = [("proxy", issue(Wish::dns(&[SIP, PROXY]))?), ("gateway", issue(Wish::dns(&[GATEWAY]))?)];
        std::fs::write(self.directory.join("ca.pem"), authority.pem()).map_err(failed)?;
        for (name, issued) in ours {
            issued.write(&self.directory, name).map_err(failed)?;
        }
        // The next hop of the configuration is an address, so that no DNS is needed; the name it must
        // prove is then what is written there.
        let pool = issue(Wish::dns(&[POOL, "127.0.0.1"]))?;
        let partner: Issued = issue(Wish::dns(&[PARTNER]).xmpp_addr(&[PARTNER]))?;
        Ok(TlsSpec {
            identities: vec![partner.identity("partner"), pool.identity("pool")],
            trusts: vec![authority.trust("demonstration")],
        })
    }

    /// Writes the configuration.
    ///
    /// # Errors
    /// Says why it cannot be written.
    pub fn configure(&self, ports: &Ports) -> Result<(), String> {
        let file = self.configuration();
        std::fs::write(&file, text(ports)).map_err(|why| format!("{}: {why}", file.display()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.is_kept {
            // Nothing can be done about what cannot be removed.
            let _ = std::fs::remove_dir_all(&self.directory);
        }
    }
}

fn fresh_name() -> String {
    format!("gangway-demo-{}", clock_types::Ids::random(net::clock::seed()).token("demo"))
}

/// Who listens where.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    /// The partner's XMPP server.
    pub partner: SocketAddr,
    /// The SIP user agent.
    pub pool: SocketAddr,
    /// The proxy, for partners.
    pub proxy: SocketAddr,
    /// The gateway, for SIP.
    pub gateway: SocketAddr,
}

fn text(ports: &Ports) -> String {
    let Ports { partner, pool, proxy, gateway } = ports;
    format!(
        r#"# What `gangway demo` runs. `gangway run --config gangway.toml` starts the same proxy and gateway.

[proxy]
domains = ["{SIP}"]
listen = ["{proxy}"]
identities = ["proxy"]
trust = "demonstration"
# Nothing here needs the DNS, and nobody answers here.
resolver = ["127.0.0.1:9"]

[[proxy.partner]]
domain = "{PARTNER}"
type = "federated"
tls = "required"
sasl = "required"
dialback = false
host = "{partner}"
direct-tls = false
allow-private-addresses = true

[gateway]
name = "{GATEWAY}"
store = "gateway.db"
resolver = ["127.0.0.1:9"]

[gateway.presence]
# Shorter than one sets it where many watch: here one waits and looks.
pace = "1s"

[[gateway.listen]]
transport = "tls"
address = "{gateway}"
name = "{gateway}"
identity = "gateway"
trust = "demonstration"

[[gateway.domain]]
domain = "{SIP}"
next-hop = "sip:{pool};transport=tls"
trusted-names = ["{POOL}"]

[identity.proxy]
certificate = "proxy.pem"
key = "proxy.key"

[identity.gateway]
certificate = "gateway.pem"
key = "gateway.key"

[trust.demonstration]
authorities = ["ca.pem"]

[admin]
socket = "admin.sock"

[log]
level = "error"
"#
    )
}
