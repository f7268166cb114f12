//! A running proxy with certificates, a configuration and addresses of its own.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use net::TlsRegistry;
use net::throwaway::{Authority, Wish};
use net::tls::TlsSpec;

/// `gangway proxy` in a directory that goes with it.
pub struct House {
    directory: PathBuf,
    child: Child,
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
        let directory =
            std::env::temp_dir().join(format!("siege-{}", host.map(|part| part.to_string()).join("-")));
        // Perhaps a process of the same number left it.
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).expect("a directory is made");
        let authority = Authority::new("Siege").expect("an authority is made");
        let issue = |names: &[&str]| authority.issue(&Wish::dns(names)).expect("a certificate is issued");
        std::fs::write(directory.join("ca.pem"), authority.pem()).expect("a file is written");
        let ours = issue(&["local.example", "*.local.example", "proxy.example"]);
        ours.write(&directory, "proxy").expect("a file is written");
        let of = |name: &str| issue(&[&format!("{name}.example")]).identity(name);
        let identities = ["remote", "other", "unknown", "gateway"].map(of).to_vec();
        let tls = TlsRegistry::load(TlsSpec { identities, trusts: vec![authority.trust("all")] });
        // Held until all three are known, so that they differ.
        let held =
            [(); 3].map(|()| TcpListener::bind(SocketAddr::from((host, 0))).expect("there is a free port"));
        let [partners, direct, link] =
            held.each_ref().map(|one| one.local_addr().expect("it has an address"));
        drop(held);
        let text = configuration([partners, direct, link], remote, domains);
        std::fs::write(directory.join("gangway.toml"), text).expect("a file is written");
        let log = File::create(directory.join("log")).expect("a file is made");
        let child = Command::new(env!("CARGO_BIN_EXE_gangway"))
            .args(["proxy", "--config", "gangway.toml"])
            .current_dir(&directory)
            .env_remove("JOURNAL_STREAM")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the program starts");
        Self { directory, child, partners, direct, link, tls: Arc::new(tls.expect("they are ours")) }
    }

    /// Returns what the program has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }

    /// Tells whether the process that was started still runs.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Returns how many files and sockets the program holds.
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).map_or(0, Iterator::count)
    }
}

impl Drop for House {
    fn drop(&mut self) {
        // One that has ended needs no killing.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Returns a host of its own, so that what runs at the same time does not take its ports.
pub fn host() -> [u8; 4] {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [low, high, ..] = std::process::id().to_le_bytes();
    [127, 64 | (high & 0x3f), low, 128 | NEXT.fetch_add(1, Ordering::Relaxed)]
}

fn configuration(
    [partners, direct, link]: [SocketAddr; 3],
    remote: SocketAddr,
    domains: &[String],
) -> String {
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

[identity.proxy]
certificate = "proxy.pem"
key = "proxy.key"

[trust.all]
authorities = ["ca.pem"]

[admin]
socket = "admin.sock"

[log]
level = "warn"
"#
    )
}
