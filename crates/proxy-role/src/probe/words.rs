//! What an operator reads: each stage in lines, and what to do.

use std::time::Duration;

use clock_types::Date;
use net_types::{
    Answer, Failure as DnsFailure, Identity, PeerCertificate, Purpose, Question, Record, TlsFacts,
    TrustVerdict,
};
use xmpp_proto::dialback::Pair;
use xmpp_proto::discovery::{AddressRule, Start, Target};
use xmpp_proto::evidence::Evidence;
use xmpp_proto::failure::{Failure, Stage};
use xmpp_proto::identity::{Unproved, prove};
use xmpp_proto::posh::Known;
use xmpp_proto::stream::{Initiator, Methods, Proof};
use xmpp_types::features::FeatureSet;
use xmpp_types::jid::DomainName;
use xmpp_types::xml::XmlText;

use super::report::Outcome;
use crate::settings::{Partner, Settings};
use crate::streams::tls_words;

/// Which settings apply, or why there are none.
pub(super) fn policy(settings: &Settings, pair: &Pair) -> (Outcome, Vec<String>) {
    let (local, remote) = (&pair.local, &pair.remote);
    let Some(partner) = settings.partner(remote) else {
        let denied = settings.denied.iter().find(|denied| *denied == remote || remote.is_below(denied));
        let line = match denied {
            _ if settings.identity_of(remote).is_some() => format!("{remote} is a domain of our own"),
            Some(denied) => format!("{remote} is denied by the entry {denied}"),
            None => format!("{remote} is no partner of ours"),
        };
        return (Outcome::Failed, vec![line]);
    };
    let mut lines = vec![whose_settings(settings, partner, remote), ways(partner)];
    if let Some(host) = &partner.fixed_host {
        lines.push(format!("its host is fixed: {host}"));
    }
    if settings.identity_of(local).is_none() {
        lines.insert(0, format!("{local} is no domain that we serve"));
        return (Outcome::Failed, lines);
    }
    lines.push(format!("we speak for {local}"));
    let methods = partner.methods();
    let outcome = match (methods.is_none(), methods.dialback_in_clear) {
        (true, _) => Outcome::Failed,
        (false, true) => Outcome::Noted,
        (false, false) => Outcome::Passed,
    };
    (outcome, lines)
}

fn whose_settings(settings: &Settings, partner: &Partner, remote: &DomainName) -> String {
    let is_open = settings.open.as_ref().is_some_and(|open| std::ptr::eq(open, partner));
    if is_open {
        format!("{remote} is no partner, but any domain that proves itself may talk (open)")
    } else if partner.domain == *remote {
        format!("{remote} is a partner ({}: {})", partner.kind, partner.kind.meaning())
    } else if partner.domains().any(|domain| domain == remote) {
        format!("{remote} is a further domain of the partner {} ({})", partner.domain, partner.kind.as_str())
    } else {
        format!("{remote} is below the partner {} ({})", partner.domain, partner.kind.as_str())
    }
}

fn ways(partner: &Partner) -> String {
    let methods = partner.methods();
    let ways: Vec<&str> = [
        (methods.external && partner.dane, "its certificate, for which its signed zone may vouch (DANE)"),
        (methods.external && partner.posh, "its certificate, for which its web server may vouch (POSH)"),
        (methods.external && !partner.dane && !partner.posh, "its certificate"),
        (methods.dialback_over_tls, "dialback over TLS"),
        (methods.dialback_in_clear, "dialback in clear"),
    ]
    .into_iter()
    .filter_map(|(has, words)| has.then_some(words))
    .collect();
    let (tls, sasl) = (partner.tls.as_str(), partner.sasl.as_str());
    match ways.is_empty() {
        true => format!("tls {tls}, sasl {sasl}: nothing is left that could prove it"),
        false => format!("tls {tls}, sasl {sasl}: it may be proved by {}", ways.join(", or ")),
    }
}

/// What the DNS said to one question; `rule` tells which addresses are refused.
pub(super) fn answer(
    question: &Question,
    answer: &Result<Answer, DnsFailure>,
    rule: Option<AddressRule>,
) -> Vec<String> {
    let (name, kind, is_validated) = asked(question);
    let signed = match answer {
        Ok(answer) if answer.secure => ", signed",
        Ok(_) if is_validated => ", not signed",
        Ok(_) | Err(_) => "",
    };
    let records = match answer {
        Ok(answer) if answer.records.is_empty() => return vec![format!("{name} {kind}: none{signed}")],
        Ok(answer) => &answer.records,
        Err(DnsFailure::NoSuchName) => return vec![format!("{name} {kind}: no such name")],
        Err(DnsFailure::Unreachable(why) | DnsFailure::ServerFailed(why) | DnsFailure::Bogus(why)) => {
            return vec![format!("{name} {kind}: {why}")];
        }
    };
    let shown = records.iter().take(RECORDS_SHOWN_MAX);
    let mut lines: Vec<String> = shown.map(|one| format!("{name} {}{signed}", record(one, rule))).collect();
    if records.len() > RECORDS_SHOWN_MAX {
        lines.push(format!("{name} {kind}: {} more", records.len() - RECORDS_SHOWN_MAX));
    }
    lines
}

/// Returns the name and the kind of records, and whether the answer was to be signed.
fn asked(question: &Question) -> (&str, &'static str, bool) {
    match question {
        Question::Addresses(name) => (name, "addresses", false),
        Question::Srv(name) => (name, "SRV", false),
        Question::Naptr(name) => (name, "NAPTR", false),
        Question::Tlsa(name) => (name, "TLSA", false),
        Question::Validated(question) => {
            let (name, kind, _) = asked(question);
            (name, kind, true)
        }
    }
}

fn record(record: &Record, rule: Option<AddressRule>) -> String {
    match record {
        Record::Srv { target, .. } if target.is_empty() || target == "." => {
            "SRV: no such service (\".\")".into()
        }
        Record::Srv { priority, weight, port, target } => {
            format!("SRV {priority} {weight} {port} {}", target.trim_end_matches('.'))
        }
        Record::Address(address) if rule.is_some_and(|rule| !rule.admits(*address)) => {
            format!("address {address}: refused, it is not public")
        }
        Record::Address(address) => format!("address {address}"),
        Record::Naptr { .. } => "NAPTR".into(),
        Record::Tlsa { usage, selector, matching, data } => {
            let start = hexadecimal(&data[..data.len().min(OCTETS_SHOWN_MAX)]);
            format!("TLSA {usage} {selector} {matching} {start}…")
        }
    }
}

pub(super) fn target(target: &Target) -> String {
    let how = match target.start {
        Start::Direct => "direct TLS",
        Start::InBand => "STARTTLS",
    };
    if target.host == target.address.ip().to_string() {
        format!("{}, {how}", target.address)
    } else {
        format!("{} ({}), {how}", target.host, target.address)
    }
}

pub(super) fn reached(to: &Target, after: Duration, why_not: Option<&String>) -> String {
    let after = after.as_millis();
    match why_not {
        None => format!("{}: open after {after} ms", target(to)),
        Some(why) => format!("{}: {why} after {after} ms", target(to)),
    }
}

/// What the handshake agreed on, and which certificate of ours was there to be asked for.
pub(super) fn tls(facts: &TlsFacts, shown: Option<&Identity>) -> Vec<String> {
    let alpn = facts.alpn.as_ref().map(|alpn| format!(", ALPN {alpn}")).unwrap_or_default();
    let ours = shown.map(|identity| format!("our certificate, if it asked: [identity.{}]", identity.0));
    std::iter::once(format!("{}{alpn}", tls_words(facts))).chain(ours).collect()
}

/// What the partner's certificate says, and whether that proves its domain.
pub(super) fn certificate(
    facts: &TlsFacts,
    evidence: &Evidence,
    remote: &DomainName,
    methods: Methods,
    today: Date,
) -> (Outcome, Vec<String>) {
    let mut lines = facts.peer.as_deref().map(|peer| of_certificate(peer, today)).unwrap_or_default();
    lines.extend(evidence.posh.as_ref().map(posh));
    let outcome = match evidence.prove(facts.peer.as_deref(), None, remote, today) {
        Ok(proof) => {
            lines.push(format!("it proves {remote}{}", vouched(proof)));
            Outcome::Passed
        }
        Err(why) if methods.dialback_over_tls && !evidence.demands_tls() => {
            lines.push(format!("it does not prove {remote}: {why}; dialback may do so"));
            Outcome::Noted
        }
        Err(why) => {
            lines.push(format!("it does not prove {remote}: {why}"));
            Outcome::Failed
        }
    };
    let soon = facts.peer.as_deref().is_some_and(|peer| days_left(peer, today) < DAYS_WORTH_A_WARNING);
    (if outcome == Outcome::Passed && soon { Outcome::Noted } else { outcome }, lines)
}

/// What the partner's web server said when it was asked.
fn posh(known: &Known) -> String {
    match known {
        Ok(named) => {
            let (count, hours) = (named.count(), named.lifetime().as_secs() / 3600);
            format!("POSH: its web server names {count} certificates, to be asked again after {hours} h")
        }
        Err(why) => format!("POSH: nothing that vouches for it: {why}"),
    }
}

/// Says who vouches for a certificate, unless that is an authority as usual.
fn vouched(proof: Proof) -> &'static str {
    match proof {
        Proof::Dane => ", for its signed zone says so (DANE)",
        Proof::Posh => ", for its web server names it (POSH)",
        Proof::Certificate | Proof::Dialback => "",
    }
}

fn of_certificate(peer: &PeerCertificate, today: Date) -> Vec<String> {
    let names = &peer.names;
    let names: Vec<String> =
        names.dns.iter().chain(&names.srv).chain(&names.xmpp_addr).map(|name| plain(name)).collect();
    let more = if names.len() > NAMES_SHOWN_MAX { ", …" } else { "" };
    let names = names[..names.len().min(NAMES_SHOWN_MAX)].join(", ");
    let trust = match &peer.trust {
        TrustVerdict::Trusted => "trusted".to_owned(),
        TrustVerdict::Untrusted(why) => format!("not trusted: {why}"),
    };
    vec![
        format!("names: {names}{more}"),
        format!("issuer: {}", plain(&peer.issuer)),
        expiry(peer, today),
        format!("purposes: {}", purposes(peer)),
        format!("chain: {trust}"),
    ]
}

fn expiry(peer: &PeerCertificate, today: Date) -> String {
    let day: String = peer.not_after.to_string().chars().take(10).collect();
    match days_left(peer, today) {
        left @ ..0 => format!("expired on {day}, {} days ago", -left),
        left => format!("until {day}, {left} days left"),
    }
}

fn purposes(peer: &PeerCertificate) -> &'static str {
    let has = |purpose| peer.purposes.contains(&purpose);
    match (has(Purpose::ServerAuth), has(Purpose::ClientAuth)) {
        _ if peer.purposes.is_empty() => "any",
        (true, true) => "serverAuth, clientAuth",
        (true, false) => "serverAuth only, which is fine here",
        (false, true) => "clientAuth only",
        (false, false) => "neither serverAuth nor clientAuth",
    }
}

fn days_left(peer: &PeerCertificate, today: Date) -> i64 {
    (peer.not_after.unix_millis() - today.unix_millis()).div_euclid(DAY_MILLIS)
}

/// What the partner offered to prove us by.
pub(super) fn offers(mechanisms: &[XmlText]) -> String {
    match mechanisms {
        [] => "it offers no SASL mechanism".into(),
        some => {
            let some: Vec<String> = some.iter().take(NAMES_SHOWN_MAX).map(|name| plain(name)).collect();
            format!("it offers {}", some.join(", "))
        }
    }
}

/// How both sides were proved on a stream that is ready.
pub(super) fn proofs(initiator: &Initiator, mechanisms: &[XmlText]) -> Vec<(Stage, Outcome, Vec<String>)> {
    let remote = &initiator.pair().remote;
    let theirs = match initiator.proof() {
        Some(proof @ (Proof::Certificate | Proof::Dane | Proof::Posh)) => {
            format!("{remote} is proved to us by its certificate{}", vouched(proof))
        }
        Some(Proof::Dialback) | None => {
            format!("{remote} is proved to us by dialback alone: it is where the DNS says")
        }
    };
    if initiator.is_authenticated() {
        let ours = "it accepts our certificate (SASL EXTERNAL)".to_owned();
        return vec![(Stage::Auth, Outcome::Passed, vec![offers(mechanisms), ours, theirs])];
    }
    let dialback = (Stage::Dialback, Outcome::Passed, vec!["it accepts our dialback key".into(), theirs]);
    let mut lines = vec![offers(mechanisms)];
    let outcome = match initiator.refusal() {
        Some(refusal) => {
            lines.push(refusal.to_string());
            Outcome::Noted
        }
        None => {
            lines.push("our certificate was not asked for".into());
            Outcome::Passed
        }
    };
    vec![(Stage::Auth, outcome, lines), dialback]
}

/// What the open stream can do, and how long a stanza takes until it is acknowledged.
pub(super) fn stream(features: &FeatureSet, round_trip: Option<Duration>) -> (Outcome, Vec<String>) {
    let yes_no = |has| if has { "yes" } else { "no" };
    let mut lines = vec![format!(
        "acknowledgements (XEP-0198): {}; both ways (XEP-0288): {}",
        yes_no(features.sm),
        yes_no(features.bidi)
    )];
    if let Some(limits) = features.limits {
        let bytes = limits.max_bytes.map(|bytes| format!("stanzas up to {bytes} octets"));
        let idle = limits.idle_seconds.map(|idle| format!("silence up to {idle} s"));
        let limits: Vec<String> = bytes.into_iter().chain(idle).collect();
        lines.push(format!("limits (XEP-0478): {}", limits.join(", ")));
    }
    let outcome = match round_trip {
        Some(took) => {
            // Where the peer counts, that has to be agreed on first: a round trip more.
            let agreed = if features.sm { "counting was agreed on and " } else { "" };
            lines.push(format!("{agreed}a stanza was acknowledged after {} ms", took.as_millis()));
            Outcome::Passed
        }
        None if features.sm => {
            lines.push("a stanza was not acknowledged in time".into());
            Outcome::Noted
        }
        None => {
            lines.push(
                "the round trip was not measured: the answer to a ping goes to the running proxy, on a stream \
                 that the partner opens"
                    .into(),
            );
            Outcome::Passed
        }
    };
    (outcome, lines)
}

pub(super) fn failure(failure: &Failure, offers: Option<String>) -> Vec<String> {
    let offers = offers.filter(|_| matches!(failure.stage, Stage::Auth | Stage::Dialback));
    let peer = failure.peer_text.as_ref().map(|text| format!("the partner says: {text}"));
    offers.into_iter().chain(std::iter::once(failure.reason.clone())).chain(peer).collect()
}

pub(super) fn success(pair: &Pair, facts: Option<&TlsFacts>) -> String {
    let how = facts.map_or_else(|| "IN CLEAR".to_owned(), |facts| format!("over {}", tls_words(facts)));
    format!("stanzas of {} reach {} {how}", pair.local, pair.remote)
}

/// What the advice depends on.
pub(super) struct Seen<'a> {
    pub(super) settings: &'a Settings,
    pub(super) pair: &'a Pair,
    pub(super) facts: Option<&'a TlsFacts>,
    pub(super) evidence: &'a Evidence,
    pub(super) today: Date,
}

/// What is good to know whatever came of it: what the partner's certificate is worth here, and there.
pub(super) fn notes(seen: &Seen<'_>) -> Vec<String> {
    let Some(peer) = seen.facts.and_then(|facts| facts.peer.as_deref()) else { return Vec::new() };
    let Some(partner) = seen.settings.partner(&seen.pair.remote) else { return Vec::new() };
    let (methods, remote) = (partner.methods(), &seen.pair.remote);
    let has_dialback = methods.dialback_over_tls || methods.dialback_in_clear;
    // Outward the handshake was judged by the roots that decide inward as well.
    let inward = match (methods.external, prove(Some(peer), remote, seen.today)) {
        (true, Ok(())) => format!(
            "if {remote} shows this certificate when it calls us, it is proved by that; serverAuth is enough for us"
        ),
        (true, Err(why)) if has_dialback => {
            format!(
                "this certificate would not prove {remote} when it calls us ({why}); dialback would have to"
            )
        }
        (true, Err(why)) => format!(
            "this certificate would not prove {remote} when it calls us ({why}), and nothing else may: it needs one \
             from an authority that we trust, or `sasl = \"optional\"` for dialback"
        ),
        (false, _) => {
            format!("when {remote} calls us, dialback has to prove it: its own server must answer for it")
        }
    };
    vec![
        format!("its certificate: {}; purposes: {}", expiry(peer, seen.today), purposes(peer)),
        format!("inward, as far as can be known: {inward}"),
    ]
}

/// What to do about a failure.
pub(super) fn fix(failure: &Failure, seen: &Seen<'_>) -> String {
    let (local, remote) = (&seen.pair.local, &seen.pair.remote);
    match failure.stage {
        Stage::Policy => fix_policy(seen),
        Stage::Certificate => fix_certificate(seen),
        Stage::Auth => format!(
            "the partner must trust the authority of our certificate, which must name {local}; if its server demands \
             the clientAuth purpose, which public authorities issue no longer, it must stop demanding it; or let \
             dialback prove us: gangway partner set {remote} sasl=optional"
        ),
        Stage::Dialback if seen.settings.dialback_secret.is_none() => format!(
            "this test and the running proxy have different secrets, so dialback cannot be tested: write \
             dialback-secret-file into [proxy], restart, and test again; if it still fails, the partner does not \
             find us: check the SRV records of {local} and our port 5269"
        ),
        Stage::Dialback => format!(
            "the partner asks the proxy of {local} whether our key is right: check that the proxy runs, that the SRV \
             or address records of {local} lead to it, that its port is open to the partner, and that all proxies \
             of {local} have the same dialback-secret"
        ),
        Stage::Dns if failure.not_found => format!(
            "check the spelling of {remote}; if it publishes no records: gangway partner set {remote} host=HOST:PORT"
        ),
        Stage::Dns | Stage::Tcp | Stage::Tls | Stage::Stream => failure.advice().to_owned(),
    }
}

fn fix_policy(seen: &Seen<'_>) -> String {
    let (local, remote, settings) = (&seen.pair.local, &seen.pair.remote, seen.settings);
    match settings.partner(remote) {
        Some(partner) if settings.identity_of(local).is_none() => {
            format!("speak for a domain of `domains` in [proxy], not {local}, to {}", partner.domain)
        }
        Some(partner) if partner.methods().is_none() => {
            format!("gangway partner set {} tls=required sasl=required", partner.domain)
        }
        Some(partner) => format!(
            "if that address is meant: gangway partner set {} allow-private-addresses=true; if TLS is what differs, \
             tls=required",
            partner.domain
        ),
        None if settings.identity_of(remote).is_some() => "test a domain that somebody else serves".into(),
        None if settings.denied.iter().any(|denied| denied == remote || remote.is_below(denied)) => {
            "take it out of denied-domains of [proxy]".into()
        }
        None => format!("gangway partner add {remote}"),
    }
}

fn fix_certificate(seen: &Seen<'_>) -> String {
    let remote = &seen.pair.remote;
    let Some(facts) = seen.facts else { return "ask the partner for a valid certificate".into() };
    let dialback = format!("until then dialback can prove it: gangway partner set {remote} sasl=optional");
    match (seen.evidence.prove(facts.peer.as_deref(), None, remote, seen.today), facts.peer.as_deref()) {
        (Err(Unproved::NotInZone { host, .. }), _) => format!(
            "the partner must publish a TLSA record of this certificate under {host}, or its server show the one \
             that is published; if its zone is not to be asked: gangway partner set {remote} dane=false"
        ),
        (Err(Unproved::Expired(_)), _) => format!("the partner must renew its certificate; {dialback}"),
        (Err(Unproved::NotYetValid(_)), _) => {
            format!("check the clocks of both sides, or the partner must get another certificate; {dialback}")
        }
        (Err(Unproved::Untrusted(_)), Some(peer)) => format!(
            "if the partner confirms that this certificate is its own, pin it: gangway partner set {remote} \
             pins={}; or put its authority into a [trust.NAME] and set trust=NAME",
            hexadecimal(&peer.sha256)
        ),
        (Err(Unproved::OtherNames(_)), _) => {
            format!(
                "the partner needs a certificate with the dNSName {remote} (or host= leads to another's server); {dialback}"
            )
        }
        (Err(_) | Ok(_), _) => {
            format!("the partner needs a certificate for TLS servers with the dNSName {remote}; {dialback}")
        }
    }
}

fn hexadecimal(octets: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(octets.len() * 2);
    for octet in octets {
        // Writing to a text cannot fail.
        let _ = write!(out, "{octet:02x}");
    }
    out
}

/// What a peer wrote may be long and hold controls; a line may not.
fn plain(text: &str) -> String {
    text.chars().take(TEXT_CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

const TEXT_CHARS_MAX: usize = 120;
const OCTETS_SHOWN_MAX: usize = 8;
const NAMES_SHOWN_MAX: usize = 8;
const RECORDS_SHOWN_MAX: usize = 8;
const DAYS_WORTH_A_WARNING: i64 = 14;
const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;
