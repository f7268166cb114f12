//! A running Gangway with certificates, a configuration and addresses of its own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use admin::{Reply, Request, ask};
use net::TlsRegistry;
use net::throwaway::{Authority, Wish};
use net::tls::TlsSpec;
use peer_role::play::Play;
use xmpp_types::jid::DomainName;

/// The program in a directory that goes with it.
pub struct House {
    directory: PathBuf,
    child: Child,
}

/// Who listens where.
pub struct Addresses {
    /// Where the proxy hears partners.
    pub proxy: SocketAddr,
    /// Where the gateway hears SIP.
    pub gateway: SocketAddr,
    /// The SIP server.
    pub sip: SocketAddr,
    /// The partners' servers.
    pub partners: BTreeMap<DomainName, SocketAddr>,
}

/// Returns an address with a host of its own, so that plays at the same time do not take each other's ports.
pub fn host() -> [u8; 4] {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [low, high, ..] = std::process::id().to_le_bytes();
    [127, 64 | (high & 0x3f), low, NEXT.fetch_add(1, Ordering::Relaxed)]
}

/// Returns two addresses that are free; both are held until both are known, so that they differ.
pub fn two_free_addresses(host: [u8; 4]) -> Result<[SocketAddr; 2], String> {
    let free =
        || TcpListener::bind(SocketAddr::from((host, 0))).and_then(|held| Ok((held.local_addr()?, held)));
    match (free(), free()) {
        (Ok((one, _)), Ok((other, _))) => Ok([one, other]),
        (Err(why), _) | (_, Err(why)) => Err(why.to_string()),
    }
}

impl House {
    /// Starts the program as a play wants it, and returns what the peers show and trust.
    pub fn start(play: &Play, addresses: &Addresses) -> Result<(Self, Arc<TlsRegistry>), String> {
        let SocketAddr::V4(own) = addresses.proxy else { return Err("not IPv4".to_owned()) };
        let name = own.ip().octets().map(|octet| format!("{octet:02x}")).concat();
        let directory = std::env::temp_dir().join(format!("play-{name}"));
        // Perhaps a process of the same number left it.
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).map_err(|why| why.to_string())?;
        let authority = Authority::new("Plays").map_err(|why| why.to_string())?;
        std::fs::write(directory.join("ca.pem"), authority.pem()).map_err(|why| why.to_string())?;
        let issue = |wish: &Wish| authority.issue(wish).map_err(|why| why.to_string());
        issue(&Wish::dns(&["s.example"]))?.write(&directory, "s").map_err(|why| why.to_string())?;
        let mut identities = Vec::new();
        for domain in addresses.partners.keys() {
            let issued = issue(&Wish::dns(&[domain.to_ascii()]).xmpp_addr(&[domain.as_str()]))?;
            identities.push(issued.identity(domain.to_ascii()));
        }
        let registry = TlsRegistry::load(TlsSpec { identities, trusts: vec![authority.trust("plays")] })
            .map_err(|errors| format!("{errors:?}"))?;
        let file = directory.join("gangway.toml");
        std::fs::write(file, configuration(play, addresses)?).map_err(|why| why.to_string())?;
        let child = spawn(&directory)?;
        let mut house = Self { directory, child };
        house.wait_until_ready()?;
        Ok((house, Arc::new(registry)))
    }

    /// Kills the program and starts it again.
    pub fn restart(&mut self) -> Result<(), String> {
        self.kill();
        self.child = spawn(&self.directory)?;
        self.wait_until_ready()
    }

    /// Asks the program to end in good order, and does not wait for it.
    pub fn stop(&mut self) -> Result<(), String> {
        let asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        asked.map_err(|why| why.to_string())?.success().then_some(()).ok_or_else(|| "it is gone".to_owned())
    }

    /// Waits until the program has ended, and starts it again.
    pub fn start_again(&mut self) -> Result<(), String> {
        let ended = self.child.wait().map_err(|why| why.to_string())?;
        if !ended.success() {
            return Err(format!("the program ended badly:\n{}", self.log()));
        }
        self.child = spawn(&self.directory)?;
        self.wait_until_ready()
    }

    /// Returns what the program has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }

    fn kill(&mut self) {
        // One that has ended needs no killing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn wait_until_ready(&mut self) -> Result<(), String> {
        let socket = self.directory.join("admin.sock");
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            if let Ok(Reply::Status(status)) = ask(&socket, &Request::Status)
                && status.gateway.is_some_and(|gateway| gateway.links.iter().all(|link| link.open))
            {
                return Ok(());
            }
            if self.child.try_wait().map_err(|why| why.to_string())?.is_some() || Instant::now() > deadline {
                return Err(format!("the program is not ready:\n{}", self.log()));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn spawn(directory: &PathBuf) -> Result<Child, String> {
    let log = File::options().create(true).append(true).open(directory.join("log"));
    Command::new(env!("CARGO_BIN_EXE_gangway"))
        .args(["run", "--config", "gangway.toml"])
        .current_dir(directory)
        .env_remove("JOURNAL_STREAM")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log.map_err(|why| why.to_string())?)
        .spawn()
        .map_err(|why| why.to_string())
}

/// What a play sets, table by table.
#[derive(Default)]
struct OfPlay {
    gateway: String,
    domain: String,
    presence: String,
}

fn of_play(play: &Play) -> Result<OfPlay, String> {
    let mut of = OfPlay::default();
    for (name, value) in &play.settings {
        let _ = match (name.as_str(), value.as_str()) {
            ("transport", _) => Ok(()),
            ("message-type", value) => writeln!(of.gateway, "message-type = \"{value}\""),
            ("headline", value) => writeln!(of.domain, "headlines = \"{value}\""),
            ("profile", "bare") => writeln!(of.domain, "profile = \"bare-address\""),
            ("profile", "microsoft") => {
                writeln!(of.domain, "profile = \"microsoft\"\nallow-plaintext = true")
            }
            ("profile", value) => writeln!(of.domain, "profile = \"{value}\""),
            ("body-max", octets) => writeln!(of.domain, "body-size = {octets}"),
            ("adopt-probes" | "watched", value) => writeln!(of.presence, "{name} = {value}"),
            ("expires" | "expires-min" | "expires-max" | "pace" | "stale-time" | "restart-spread", value) => {
                writeln!(of.presence, "{name} = \"{value}\"")
            }
            (name, value) => return Err(format!("there is no setting {name} {value}")),
        };
    }
    Ok(of)
}

fn configuration(play: &Play, addresses: &Addresses) -> Result<String, String> {
    let Addresses { proxy, gateway, sip, partners } = addresses;
    let transport = play.setting("transport").unwrap_or("tcp");
    let OfPlay { gateway: of_gateway, domain: of_domain, presence: of_presence } = of_play(play)?;
    let mut of_partners = String::new();
    for (domain, host) in partners {
        let _ = writeln!(
            of_partners,
            "[[proxy.partner]]\ndomain = \"{domain}\"\ntype = \"federated\"\ntls = \"required\"\nsasl = \"required\"\n\
             dialback = false\nhost = \"{host}\"\ndirect-tls = false\nallow-private-addresses = true\n"
        );
    }
    Ok(format!(
        r#"
[proxy]
domains = ["s.example"]
listen = ["{proxy}"]
identities = ["s"]
trust = "plays"
resolver = ["127.0.0.1:9"]

{of_partners}
[gateway]
name = "gateway.s.example"
store = "gateway.db"
resolver = ["127.0.0.1:9"]
{of_gateway}
[[gateway.listen]]
transport = "{transport}"
address = "{gateway}"
name = "{gateway}"

[[gateway.domain]]
domain = "s.example"
next-hop = "sip:{sip};transport={transport}"
trusted-addresses = ["127.0.0.0/8"]
{of_domain}
[gateway.presence]
{of_presence}
[identity.s]
certificate = "s.pem"
key = "s.key"

[trust.plays]
authorities = ["ca.pem"]

[admin]
socket = "admin.sock"
"#
    ))
}
