//! Who may connect, and how often.

use std::collections::BTreeMap;
use std::net::IpAddr;

use clock_types::Moment;
use net_types::{PeerCertificate, Purpose, Remote, TlsFacts, TrustVerdict};
use xmpp_types::jid::DomainName;
use xmpp_types::stream::{CLOSE, StreamCondition, StreamError, StreamHeader};
use xmpp_types::xml::Printer;

use crate::allowance::Allowance;
use crate::settings::{Link, Partner};

/// Counts of what is open, by whom.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    addresses: BTreeMap<IpAddr, OfAddress>,
    partners: BTreeMap<DomainName, OfPartner>,
}

#[derive(Debug, Default)]
struct OfAddress {
    all: usize,
    unproved: usize,
}

#[derive(Debug, Default)]
struct OfPartner {
    connections: usize,
    stanzas: Option<Allowance>,
    bytes: Option<Allowance>,
}

impl Admission {
    pub(crate) fn of_address(&self, address: IpAddr) -> (usize, usize) {
        self.addresses.get(&address).map_or((0, 0), |of| (of.all, of.unproved))
    }

    pub(crate) fn enter(&mut self, address: Option<IpAddr>) {
        if let Some(address) = address {
            let of = self.addresses.entry(address).or_default();
            of.all += 1;
            of.unproved += 1;
        }
    }

    /// Notes that a connection has proved a domain.
    pub(crate) fn prove(&mut self, address: Option<IpAddr>) {
        if let Some(of) = address.and_then(|address| self.addresses.get_mut(&address)) {
            of.unproved = of.unproved.saturating_sub(1);
        }
    }

    pub(crate) fn leave(&mut self, address: Option<IpAddr>, was_proved: bool) {
        let Some(address) = address else { return };
        let Some(of) = self.addresses.get_mut(&address) else { return };
        of.all = of.all.saturating_sub(1);
        if !was_proved {
            of.unproved = of.unproved.saturating_sub(1);
        }
        if of.all == 0 {
            self.addresses.remove(&address);
        }
    }

    /// Counts a connection of a partner, unless it has as many as it may.
    pub(crate) fn admit_partner(&mut self, partner: &Partner, max: u32, now: Moment) -> bool {
        let of = self.partners.entry(partner.domain.clone()).or_default();
        if of.connections >= usize::try_from(max).unwrap_or(usize::MAX) {
            return false;
        }
        of.connections += 1;
        of.stanzas = partner.stanzas_per_second.map(|rate| Allowance::new(rate, now));
        of.bytes = partner.bytes_per_second.map(|rate| Allowance::new(rate, now));
        true
    }

    pub(crate) fn dismiss_partner(&mut self, partner: &DomainName) {
        let Some(of) = self.partners.get_mut(partner) else { return };
        of.connections = of.connections.saturating_sub(1);
        if of.connections == 0 {
            self.partners.remove(partner);
        }
    }

    /// Takes what a partner has sent from its allowances; returns for how long it must not be read.
    pub(crate) fn use_up(
        &mut self,
        partner: &DomainName,
        stanzas: usize,
        bytes: usize,
        now: Moment,
    ) -> Option<std::time::Duration> {
        let of = self.partners.get_mut(partner)?;
        let stanzas = of.stanzas.as_mut().and_then(|allowance| allowance.take(stanzas, now));
        let bytes = of.bytes.as_mut().and_then(|allowance| allowance.take(bytes, now));
        stanzas.max(bytes)
    }
}

/// Judges whether a connection may be a gateway's.
pub(crate) fn judge_gateway(link: &Link, remote: Remote, tls: Option<&TlsFacts>) -> Result<(), String> {
    match (remote, tls) {
        (Remote::InProcess, _) if link.in_process => Ok(()),
        (Remote::InProcess, _) => Err("no gateway may connect from this process".into()),
        (Remote::Address(_), None) => Err("a gateway must speak TLS".into()),
        (Remote::Address(_), Some(facts)) => judge_gateway_certificate(link, facts.peer.as_deref()),
    }
}

fn judge_gateway_certificate(link: &Link, certificate: Option<&PeerCertificate>) -> Result<(), String> {
    let certificate = certificate.ok_or("it showed no certificate")?;
    if let TrustVerdict::Untrusted(why) = &certificate.trust {
        return Err(format!("its certificate is not trusted: {why}"));
    }
    if certificate.purposes == [Purpose::Other] {
        return Err("its certificate is not for TLS".into());
    }
    let names = &certificate.names.dns;
    if names.iter().any(|name| link.gateways.iter().any(|gateway| gateway.eq_ignore_ascii_case(name))) {
        return Ok(());
    }
    Err(format!(
        "its certificate names {:?}, none of which is a gateway",
        names.iter().take(4).collect::<Vec<_>>()
    ))
}

/// Returns a whole stream that says nothing but why it cannot be.
pub(crate) fn refusal(condition: StreamCondition, text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    StreamHeader::server().print(&mut bytes);
    let printer = Printer::new(xmpp_types::ns::SERVER);
    printer.print(&StreamError::new(condition).with_text(text).to_element(), &mut bytes);
    bytes.extend_from_slice(CLOSE);
    bytes
}
