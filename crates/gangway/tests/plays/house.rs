//! A running Gangway with certificates, a configuration and addresses of its own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;

use clock_types::Date;
use net::TlsRegistry;
use net::throwaway::{Authority, Issued, Wish};
use net::tls::TlsSpec;
use peer_role::play::Play;
use xmpp_types::jid::DomainName;

use crate::support::{Place, Running, ending};

/// The program in a directory that goes with it.
pub struct House {
    // Dropped first, so that nothing is written to a directory that is gone.
    running: Running,
    place: Place,
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

impl House {
    /// Starts the program as a play wants it, and returns what the peers show and trust.
    pub fn start(play: &Play, addresses: &Addresses) -> Result<(Self, Arc<TlsRegistry>), String> {
        let place = Place::new();
        let authority = place.authority();
        let issue = |wish: &Wish| authority.issue(wish).expect("a certificate is issued");
        issue(&Wish::dns(&["s.example"])).write(&place.path(""), "s").expect("the files can be written");
        let of = |domain: &DomainName| {
            let wish = Wish::dns(&[domain.to_ascii()]).xmpp_addr(&[domain.as_str()]);
            issue(&wish).identity(domain.to_ascii())
        };
        let pool = pool_certificate(play, &authority)?;
        let identities = addresses.partners.keys().map(of).chain([pool.identity(POOL)]).collect();
        let registry = TlsRegistry::load(TlsSpec { identities, trusts: vec![authority.trust("all")] })
            .map_err(|errors| format!("{errors:?}"))?;
        place.write("gangway.toml", &configuration(play, addresses)?);
        let mut house = Self { running: place.start(RUN), place };
        house.wait_until_ready()?;
        Ok((house, Arc::new(registry)))
    }

    /// Kills the program and starts it again.
    pub fn restart(&mut self) -> Result<(), String> {
        self.running.kill();
        self.running = self.place.start(RUN);
        self.wait_until_ready()
    }

    /// Asks the program to end in good order, and does not wait for it.
    pub fn stop(&mut self) -> Result<(), String> {
        let asked = Command::new("kill").args(["-TERM", &self.running.child.id().to_string()]).status();
        asked.map_err(|why| why.to_string())?.success().then_some(()).ok_or_else(|| "it is gone".to_owned())
    }

    /// Waits until the program has ended, and starts it again.
    pub fn start_again(&mut self) -> Result<(), String> {
        let ended = self.running.child.wait().map_err(|why| why.to_string())?;
        if !ended.success() {
            return Err(format!("the program ended badly:\n{}", self.log()));
        }
        self.running = self.place.start(RUN);
        self.wait_until_ready()
    }

    /// Returns what the program has logged.
    pub fn log(&self) -> String {
        self.running.log()
    }

    fn wait_until_ready(&mut self) -> Result<(), String> {
        let is_ready = |status: &admin::Status| {
            status.gateway.as_ref().is_some_and(|gateway| gateway.links.iter().all(|link| link.open))
        };
        self.running.until_answered(&self.place.path("admin.sock"), is_ready).map(drop)
    }
}

/// The SIP server's certificate as a play wants it; like each of these, it is for servers only.
fn pool_certificate(play: &Play, authority: &Authority) -> Result<Issued, String> {
    let wish = Wish::dns(&[POOL]);
    let day = |day: i64| Date::from_unix_millis(day * 86_400_000);
    let issued = match play.setting("certificate") {
        None => authority.issue(&wish),
        Some("expired") => authority.issue(&wish.valid(day(18_262), day(18_627))),
        Some("of-another") => authority.issue(&Wish::dns(&["other.example"])),
        Some("unknown") => Authority::new("Somebody").and_then(|somebody| somebody.issue(&wish)),
        Some(other) => return Err(format!("no certificate is {other}")),
    };
    issued.map_err(|why| why.to_string())
}

/// What the SIP server is called.
pub const POOL: &str = "pool.s.example";

const RUN: &[&str] = &["run", "--config", "gangway.toml"];

/// What a play sets, table by table.
#[derive(Default)]
struct OfPlay {
    gateway: String,
    domain: String,
    presence: String,
}

fn of_play(play: &Play) -> Result<OfPlay, String> {
    let mut of = OfPlay::default();
    if play.setting("check-interval").is_none() {
        of.presence.push_str("check-interval = \"0 ms\"\n");
    }
    for (name, value) in &play.settings {
        let _ = match (name.as_str(), value.as_str()) {
            ("transport" | "partner" | "certificate", _) => Ok(()),
            ("message-type", value) => writeln!(of.gateway, "message-type = \"{value}\""),
            ("headline", value) => writeln!(of.domain, "headlines = \"{value}\""),
            ("profile", "bare") => writeln!(of.domain, "profile = \"bare-address\""),
            ("profile", "microsoft") => {
                writeln!(of.domain, "profile = \"microsoft\"\nallow-plaintext = true")
            }
            ("profile", value) => writeln!(of.domain, "profile = \"{value}\""),
            ("body-max", octets) => writeln!(of.domain, "body-size = {octets}"),
            ("adopt-probes" | "watched", value) => writeln!(of.presence, "{name} = {value}"),
            ("expires" | "expires-min" | "expires-max" | "pace" | "stale-time" | "restart-spread", value)
            | ("check-interval", value) => {
                writeln!(of.presence, "{name} = \"{value}\"")
            }
            (name, value) => return Err(format!("there is no setting {name} {value}")),
        };
    }
    Ok(of)
}

fn configuration(play: &Play, addresses: &Addresses) -> Result<String, String> {
    let Addresses { proxy, gateway, sip, partners } = addresses;
    let transport = match play.setting("transport") {
        Some("udp-only") => "udp",
        of_play => of_play.unwrap_or("tcp"),
    };
    let (of_listener, admitted) = match transport {
        "tls" => {
            let admitted = format!("next-hop-name = \"{POOL}\"\ntrusted-names = [\"{POOL}\"]");
            ("identity = \"s\"\ntrust = \"all\"".to_owned(), admitted)
        }
        _ => (format!("name = \"{gateway}\""), "trusted-addresses = [\"127.0.0.0/8\"]".to_owned()),
    };
    let kind = play.setting("partner").unwrap_or("federated");
    let OfPlay { gateway: of_gateway, domain: of_domain, presence: of_presence } = of_play(play)?;
    let mut of_partners = String::new();
    for (domain, host) in partners {
        let _ = writeln!(
            of_partners,
            "[[proxy.partner]]\ndomain = \"{domain}\"\ntype = \"{kind}\"\ntls = \"required\"\nsasl = \"required\"\n\
             dialback = false\nhost = \"{host}\"\ndirect-tls = false\nallow-private-addresses = true\n"
        );
    }
    let ending = ending("s", "admin.sock");
    Ok(format!(
        r#"
[proxy]
domains = ["s.example"]
listen = ["{proxy}"]
identities = ["s"]
trust = "all"
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
{of_listener}

[[gateway.domain]]
domain = "s.example"
next-hop = "sip:{sip};transport={transport}"
{admitted}
{of_domain}
[gateway.presence]
{of_presence}
{ending}"#
    ))
}
