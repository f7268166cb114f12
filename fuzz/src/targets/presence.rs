//! Presence: whatever a document or a stanza says, what crosses is bounded, and the other side can read it.

use bytes::Bytes;
use sip_types::header::ContentType;
use sip_types::{Limits as SipLimits, Message, parse_datagram};
use translate::presence::{
    Document, DocumentOptions, NAME_MAX, OCTETS_MAX, PIDF_TYPE, RESOURCES_MAX, Resource, STATUS_MAX,
    STATUSES_MAX, Seen, StateTable, document, nick, nick_element, read_presence, read_stanza, stanza,
};
use translate::{Loss, Refusal, Translated};
use xmpp_types::jid::Jid;
use xmpp_types::ns;
use xmpp_types::xml::{Element, Limits, parse_document};

use super::crossing::stanzas;

const KINDS: [&str; 3] = [PIDF_TYPE, "application/msrtc-event-categories+xml", "text/xml+msrtc.pidf"];

fn jid(text: &str) -> Jid {
    Jid::parse(text).expect("it is an address")
}

/// A document is refused, or says of Bob what stanzas can carry; so does the NOTIFY whose last headers and body it is.
pub fn document_in(input: &[u8]) {
    let (table, bob) = (StateTable::default(), jid("bob@s.example"));
    for kind in KINDS {
        let kind = ContentType::parse(kind).expect("it is a type");
        check(&Document { kind: &kind, body: input, user: &bob, language: None }.read(&table), &bob);
    }
    let head = b"NOTIFY sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP a;branch=z9hG4bK1\r\nFrom: <sip:bob@s.example>;tag=1\r\n\
                 To: <sip:a@b>;tag=2\r\nCall-ID: c\r\nCSeq: 1 NOTIFY\r\nMax-Forwards: 70\r\n";
    let octets = Bytes::from([head.as_slice(), input].concat());
    if let Ok(Message::Request(request)) = parse_datagram(&octets, &SipLimits::default()) {
        match read_presence(request.headers(), request.body(), &bob, &table) {
            Ok(None) => assert!(request.body().is_empty(), "a body says something"),
            Ok(Some(read)) => check(&Ok(read), &bob),
            Err(refusal) => check(&Err(refusal), &bob),
        }
    }
}

fn check(read: &Result<Translated<Seen>, Box<Refusal>>, bob: &Jid) {
    let seen = match read {
        Ok(read) => &read.value,
        Err(refusal) => return assert!(matches!(refusal.status, 400 | 415), "{}", refusal.status),
    };
    assert!(seen.resources.len() <= RESOURCES_MAX, "{} devices", seen.resources.len());
    let ann = jid("ann@x.example/desk");
    for (at, resource) in seen.resources.iter().enumerate() {
        assert!(seen.resources[..at].iter().all(|other| other.name != resource.name), "one name, one device");
        bounded(resource);
        let stanza = stanza(bob, resource, &ann);
        let printed = stanza.to_string();
        let again = parse_document(printed.as_bytes(), &Limits::AUTHENTICATED).expect("XML can carry it");
        assert_eq!(sender(&again), bob.bare_str(), "it is from Bob");
        let said = read_stanza(&again).value;
        assert_eq!(said.available, resource.available, "what was read is what is said");
        assert_eq!(said.statuses, resource.statuses, "in the same words");
    }
    if let Some(element) = seen.display_name.as_deref().and_then(nick_element) {
        let printed = element.value.to_string();
        assert!(printed.len() < 1024, "{printed}");
        parse_document(printed.as_bytes(), &Limits::AUTHENTICATED).expect("XML can carry it");
    }
}

fn bounded(resource: &Resource) {
    assert!(resource.name.as_ref().is_none_or(|name| name.len() <= NAME_MAX), "the name");
    assert!(resource.statuses.len() <= STATUSES_MAX, "the texts");
    assert!(resource.statuses.iter().all(|status| status.text.len() <= STATUS_MAX), "a text");
}

/// A presence stanza becomes a document that is bounded, about its sender, and says the same when it is read.
pub fn stanza_in(input: &[u8]) {
    let (table, ann) = (StateTable::default(), jid("ann@x.example"));
    let mut resources: Vec<Resource> = Vec::new();
    let mut name = None;
    for presence in stanzas(input).into_iter().filter(|stanza| stanza.is("presence", ns::SERVER)) {
        name = nick(&presence).map(|nick| nick.value).or(name);
        let resource = read_stanza(&presence).value;
        bounded(&resource);
        resources.retain(|known| known.name != resource.name);
        resources.push(resource);
    }
    let kind = ContentType::parse(PIDF_TYPE).expect("it is a type");
    for one_tuple in [false, true] {
        let options = DocumentOptions { one_tuple, ..DocumentOptions::default() };
        let written =
            document(&ann, &resources, name.as_deref(), &table, &options).expect("Ann has an address");
        assert!(written.value.len() <= OCTETS_MAX, "{} octets", written.value.len());
        let document = Document { kind: &kind, body: &written.value, user: &ann, language: None };
        let read = document.read(&table).expect("what we write we read").value;
        let is_there = |known: &&Resource| known.available.is_some();
        let (there, seen) =
            (resources.iter().filter(is_there).count(), read.resources.iter().filter(is_there).count());
        assert_eq!(there > 0, seen > 0, "somebody is there, or nobody");
        assert!(!one_tuple || seen <= 1, "one tuple");
        if !one_tuple && !written.losses.contains(Loss::OtherContacts) {
            assert_eq!(there, seen, "each resource is a tuple");
        }
        assert_eq!(read.display_name, name, "the name");
    }
}

/// Returns whose presence it is, by his bare address.
fn sender(presence: &Element) -> &str {
    let from = presence.attr("from").unwrap_or_default();
    from.split_once('/').map_or(from, |(bare, _)| bare)
}
