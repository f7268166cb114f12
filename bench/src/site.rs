//! The product as it is measured: its certificates, its configuration and its processes.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use net::throwaway::{Authority, Wish};
use net::tls::TlsSpec;
use net::{ListenerKind, TlsRegistry};
use net_types::{CertificateNames, Identity, ListenerId, Purpose, TlsClient, TlsServer, Trust};
use xmpp_proto::link::LinkSettings;
use xmpp_types::jid::DomainName;

use crate::inside::Inside;
use crate::peer::{Peer, listen};
use crate::process::{Process, free_ports};
use crate::sip::{Agent, Says, Transport, Way};
use crate::xmpp::Partner;

/// How SIP travels between the product and the agent; its place is also the number of the way.
pub const TRANSPORTS: [&str; 3] = ["tls", "tcp", "udp"];

/// How the product runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `gangway run`.
    OneProcess,
    /// The same, with Microsoft's profile: texts are exchanged in sessions, over TLS.
    Sessions,
    /// `gangway run`, to which much presence crosses over TLS.
    Presence,
    /// `gangway proxy` and `gangway gateway`, the link over TLS between them.
    TwoProcesses,
    /// `gangway proxy`, and a generator in the gateway's place.
    ProxyAlone,
}

impl Shape {
    const fn roles(self) -> &'static [&'static str] {
        match self {
            Self::OneProcess | Self::Sessions | Self::Presence => &["run"],
            Self::TwoProcesses => &["proxy", "gateway"],
            Self::ProxyAlone => &["proxy"],
        }
    }

    const fn says(self) -> Says {
        match self {
            Self::Sessions => Says::InSessions,
            Self::Presence => Says::Presence,
            Self::OneProcess | Self::TwoProcesses | Self::ProxyAlone => Says::Messages,
        }
    }
}

/// The product with a generator on each side.
pub struct Site {
    // Dropped from the first to the last: those who would be missed go last.
    /// The XMPP side.
    pub partner: Peer,
    /// The SIP side, or what is in the gateway's place.
    pub agent: Peer,
    /// What is measured.
    pub processes: Vec<Process>,
    /// Where partners connect.
    pub xmpp: SocketAddr,
}

/// Certificates for everybody.
pub struct Credentials {
    authority: Authority,
    /// What the generators use.
    pub registry: Arc<TlsRegistry>,
}

impl Credentials {
    /// Makes an authority and what the generators show.
    pub fn new() -> Result<Self, String> {
        let authority = Authority::new("gangway bench").map_err(|why| why.to_string())?;
        let issue = |names: &[&str], name: &str| {
            authority.issue(&wish(names)).map(|issued| issued.identity(name)).map_err(|why| why.to_string())
        };
        let identities = vec![
            issue(&[PARTNER], "partner")?,
            issue(&[LOOPBACK, SERVER], "server")?,
            issue(&[LOOPBACK, GATEWAY], "gateway")?,
        ];
        let spec = TlsSpec { identities, trusts: vec![authority.trust("all")] };
        let registry = TlsRegistry::load(spec).map_err(|errors| format!("{errors:?}"))?;
        Ok(Self { authority, registry: Arc::new(registry) })
    }

    /// Writes a server's certificate for these names, its key, and the authority's certificate.
    pub fn write_for(&self, home: &Path, names: &[&str]) -> Result<(), String> {
        fs::write(home.join("ca.pem"), self.authority.pem()).map_err(|why| why.to_string())?;
        let issued = self.authority.issue(&wish(names)).map_err(|why| why.to_string())?;
        issued.write(home, "server").map(drop).map_err(|why| why.to_string())
    }

    fn write(&self, home: &Path) -> Result<(), String> {
        fs::write(home.join("ca.pem"), self.authority.pem()).map_err(|why| why.to_string())?;
        let domains: Vec<String> = TRANSPORTS.iter().map(|transport| domain_of(transport)).collect();
        let domains: Vec<&str> = domains.iter().map(String::as_str).collect();
        for (name, names) in
            [("public", &domains[..]), ("edge", &[LOOPBACK, EDGE][..]), ("gateway", &[LOOPBACK, GATEWAY][..])]
        {
            let issued = self.authority.issue(&wish(names)).map_err(|why| why.to_string())?;
            issued.write(home, name).map_err(|why| why.to_string())?;
        }
        Ok(())
    }
}

/// Returns the trust that the generators judge by.
pub fn trust() -> Trust {
    Trust("all".into())
}

/// Returns how the agent shakes hands with a server of this address.
pub fn client() -> TlsClient {
    TlsClient {
        name: LOOPBACK.to_owned(),
        identity: Some(Identity("server".into())),
        trust: trust(),
        alpn: Vec::new(),
    }
}

/// Returns how the agent shakes hands with those who dial it.
pub fn server() -> TlsServer {
    TlsServer { identity: Identity("server".into()), trust: trust() }
}

impl Site {
    /// Starts the product from `binary`, with its files in `home`, and the generators around it.
    pub fn start(
        binary: &Path,
        home: &Path,
        shape: Shape,
        credentials: &Credentials,
    ) -> Result<Self, String> {
        fs::create_dir_all(home).map_err(|why| why.to_string())?;
        credentials.write(home)?;
        let tls = &credentials.registry;
        let partner_listener = listen(0, ListenerKind::Tcp)?;
        let partner_address = partner_listener.local_address();
        let direct = ListenerKind::DirectTls { server: server(), alpn: Vec::new() };
        let agent_listeners = vec![
            listen(0, direct)?,
            listen(1, ListenerKind::Tcp)?,
            listen(2, ListenerKind::Udp { buffer: 4 << 20 })?,
        ];
        let agent_addresses: Vec<SocketAddr> =
            agent_listeners.iter().map(net::Bound::local_address).collect();
        let [xmpp, link, sip_tls, sip_tcp, sip_udp] = free_ports()?;
        let sip = [sip_tls, sip_tcp, sip_udp];
        let places = Places { xmpp, link, sip, partner: partner_address, agent: agent_addresses };
        let file = write_configuration(home, shape, &places)?;
        let local = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));

        let roles = shape.roles();
        let mut processes = Vec::new();
        for role in roles {
            let mut process =
                Process::start(role, Command::new(binary).args([role, "--config"]).arg(file(role)), home)?;
            let ports: &[u16] = match *role {
                "proxy" => &[xmpp, link],
                "gateway" => &[sip_tcp],
                _ => &[xmpp, sip_tcp],
            };
            for port in ports {
                process.await_listening(local(*port)).map_err(|why| with_log(home, role, &why))?;
            }
            processes.push(process);
        }

        let remotes: Vec<DomainName> =
            TRANSPORTS.iter().map(|transport| name(&domain_of(transport))).collect();
        let partner = Partner::new(&name(PARTNER), &Identity("partner".into()), &trust(), &remotes);
        let partner = if shape == Shape::Presence { partner.with_contacts() } else { partner };
        let partner = partner.dial(local(xmpp));
        let partner = Peer::start("partner", partner, vec![partner_listener], tls)?;
        let xmpp = local(xmpp);
        if shape == Shape::ProxyAlone {
            let settings =
                LinkSettings { name: GATEWAY.to_owned(), peer: EDGE.to_owned(), ..LinkSettings::default() };
            let client = TlsClient { identity: Some(Identity("gateway".into())), ..client() };
            let inside = Inside::new(settings, local(link), Some(client), &remotes[0], &name(PARTNER));
            let agent = Peer::start("inside", inside, Vec::new(), tls)?;
            return Ok(Self { partner, agent, processes, xmpp });
        }
        let way = |(at, transport): (usize, &&str)| Way {
            transport: [Transport::Tls(client()), Transport::Tcp, Transport::Udp(ListenerId(2))][at].clone(),
            to: local(sip[at]),
            from_domain: domain_of(transport),
            to_domain: PARTNER.to_owned(),
            says: shape.says(),
        };
        let agent = Agent::new(TRANSPORTS.iter().enumerate().map(way).collect(), places.agent[2]);
        Ok(Self { partner, agent: Peer::start("agent", agent, agent_listeners, tls)?, processes, xmpp })
    }
}

/// Returns the binary to measure: the one that stands beside this program.
pub fn beside_us() -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|why| why.to_string())?;
    let binary = own.with_file_name("gangway");
    if binary.is_file() {
        Ok(binary)
    } else {
        Err(format!(
            "{} is not there: `cargo build --release -p gangway` makes it, or name another by --gangway",
            binary.display()
        ))
    }
}

/// Where everybody is.
struct Places {
    xmpp: u16,
    link: u16,
    sip: [u16; 3],
    partner: SocketAddr,
    agent: Vec<SocketAddr>,
}

/// Writes the configuration of each process and returns where that of a role is.
fn write_configuration(
    home: &Path,
    shape: Shape,
    places: &Places,
) -> Result<impl Fn(&str) -> PathBuf, String> {
    let certificates = "\
        [identity.public]\ncertificate = \"public.pem\"\nkey = \"public.key\"\n\
        [identity.edge]\ncertificate = \"edge.pem\"\nkey = \"edge.key\"\n\
        [identity.gateway]\ncertificate = \"gateway.pem\"\nkey = \"gateway.key\"\n\
        [trust.all]\nauthorities = [\"ca.pem\"]\n";
    let (proxy, gateway) = (proxy(shape, places), gateway(shape, places));
    let home = home.to_owned();
    let file = move |role: &str| home.join(format!("{role}.toml"));
    let write = |role: &str, roles: &str| {
        let text = format!("{roles}{certificates}[admin]\nsocket = \"{role}.sock\"\n");
        fs::write(file(role), text).map_err(|why| why.to_string())
    };
    match shape {
        Shape::OneProcess | Shape::Sessions | Shape::Presence => write("run", &format!("{proxy}{gateway}"))?,
        Shape::TwoProcesses => {
            write("proxy", &proxy)?;
            write("gateway", &gateway)?;
        }
        Shape::ProxyAlone => write("proxy", &proxy)?,
    }
    Ok(file)
}

fn proxy(shape: Shape, places: &Places) -> String {
    let domains: Vec<String> =
        TRANSPORTS.iter().map(|transport| format!("\"{}\"", domain_of(transport))).collect();
    // Presence is answered before the partner has it: the generator bounds nothing.
    let queue =
        if shape == Shape::Presence { "queued-stanzas = 200000\nqueued-bytes = \"1 GiB\"\n" } else { "" };
    let mut text = format!(
        "[proxy]\ndomains = [{}]\nlisten = [\"127.0.0.1:{}\"]\nidentities = [\"public\"]\ntrust = \"all\"\n\
         connection-limit = 100000\npartner-connection-limit = 10000\n\
         [proxy.limits]\nconnections-per-address = 100000\nunproved-per-address = 1000\n\
         {queue}\
         [[proxy.partner]]\ndomain = \"{PARTNER}\"\nhost = \"{}\"\ntype = \"federated\"\n\
         direct-tls = false\nallow-private-addresses = true\n",
        domains.join(", "),
        places.xmpp,
        places.partner,
    );
    if matches!(shape, Shape::TwoProcesses | Shape::ProxyAlone) {
        let _ = write!(
            text,
            "[proxy.link]\nlisten = \"127.0.0.1:{}\"\nidentity = \"edge\"\ntrust = \"all\"\n\
             gateways = [\"{GATEWAY}\"]\n",
            places.link
        );
    }
    text
}

fn gateway(shape: Shape, places: &Places) -> String {
    let mut text = format!("[gateway]\nname = \"{GATEWAY}\"\nstore = \"gateway.db\"\n");
    for ((transport, port), agent) in TRANSPORTS.iter().zip(places.sip).zip(&places.agent) {
        let certificate = if *transport == "tls" { "identity = \"gateway\"\ntrust = \"all\"\n" } else { "" };
        let more = match shape {
            // What servers can take is not measured, but what we can give them.
            Shape::Sessions if *transport == "tls" => "profile = \"microsoft\"\nrequest-rate = 100000\n",
            _ => "trusted-addresses = [\"127.0.0.0/8\"]\n",
        };
        let _ = write!(
            text,
            "[[gateway.listen]]\ntransport = \"{transport}\"\naddress = \"127.0.0.1:{port}\"\n\
             name = \"127.0.0.1:{port}\"\n{certificate}\
             [[gateway.domain]]\ndomain = \"{}\"\nnext-hop = \"sip:{agent};transport={transport}\"\n\
             trusted-names = [\"{SERVER}\"]\n{more}",
            domain_of(transport),
        );
    }
    if shape == Shape::Sessions {
        text.push_str("[gateway.conversations]\nopen = 100000\nopen-per-domain = 100000\n");
    }
    if shape == Shape::TwoProcesses {
        let _ = write!(
            text,
            "[[gateway.link]]\nproxy = \"127.0.0.1:{}\"\nproxy-name = \"{EDGE}\"\nidentity = \"gateway\"\n\
             trust = \"all\"\n",
            places.link
        );
    }
    text
}

fn with_log(home: &Path, role: &str, why: &str) -> String {
    let log = fs::read_to_string(home.join(format!("{role}.log"))).unwrap_or_default();
    format!("{why}\n{log}")
}

fn wish(names: &[&str]) -> Wish {
    Wish {
        names: CertificateNames {
            dns: names.iter().map(|&name| name.to_owned()).collect(),
            ..CertificateNames::default()
        },
        purposes: vec![Purpose::ServerAuth, Purpose::ClientAuth],
        ..Wish::default()
    }
}

fn name(text: &str) -> DomainName {
    DomainName::parse(text).expect("a name of this file is a domain")
}

/// Returns the domain whose SIP travels so.
pub fn domain_of(transport: &str) -> String {
    format!("{transport}.example")
}

/// The partner's domain.
pub const PARTNER: &str = "partner.example";
const LOOPBACK: &str = "127.0.0.1";
const SERVER: &str = "pool.example";
const GATEWAY: &str = "gateway.example";
const EDGE: &str = "edge.example";
