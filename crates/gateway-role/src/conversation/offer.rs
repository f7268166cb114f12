//! The session descriptions of sessions of texts: `m=message`, whose texts go in the signalling itself.
//!
//! Ports and addresses in them mean nothing: what is said follows the dialog. Nothing in a peer's description
//! makes us dial anything.

use std::net::{IpAddr, Ipv4Addr};

use net_types::Bytes;
use sip_proto::msrp::{Dial, Peer};
use sip_proto::session::Content;
use sip_types::header::ContentType;
use sip_types::mime::{MimeLimits, leaves};
use sip_types::msrp;
use sip_types::sdp::{Carrier, Carries, Connection, Description, Media, MsrpMedia, Setup, Word};
use sip_types::uri::Host;
use sip_types::{HeaderText, Request, Text, Uri};

/// Where our descriptions say that we are.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The host of our Contact.
    pub host: &'a Host,
    /// Its port.
    pub port: u16,
}

/// Returns our offer.
#[must_use]
pub fn offer(place: Place<'_>) -> Content {
    let media = vec![Media::signalling(place.port, None, ACCEPTED)];
    described(place, Description::new(&NOWHERE, 0, 0, media))
}

/// How a peer takes what is said by MSRP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Takes {
    /// Texts.
    pub text: Carries,
    /// Typing.
    pub typing: Carries,
}

/// A peer's medium of texts by MSRP.
#[derive(Clone, Debug)]
pub struct Line {
    /// Where it is.
    pub peer: Peer,
    /// What it takes.
    pub takes: Takes,
}

/// An offer of texts by MSRP.
#[derive(Debug)]
pub struct LineOffer {
    description: Description,
    /// Which of its media.
    at: usize,
    /// Whether it is over TLS.
    pub secure: bool,
    /// Where the peer is; we dial only if it cannot.
    pub line: Line,
    setup: Option<Setup>,
}

/// Returns our offer of texts by MSRP at this URI. Either side may dial (RFC 6135).
#[must_use]
pub fn line_offer(place: Place<'_>, ours: &msrp::Uri, octets_max: usize) -> Content {
    let media = vec![our_line(ours, Some(Setup::ActPass), octets_max)];
    described(place, Description::new(&NOWHERE, 0, 0, media))
}

/// Returns the offer of texts by MSRP in an INVITE.
#[must_use]
pub fn offered_line(invite: &Request) -> Option<LineOffer> {
    invite.headers().content_type().ok().flatten().filter(is_sdp)?;
    let description = Description::parse(invite.body()).ok()?;
    let is_line = |media: &Media| media.port != 0 && is_msrp(media.carrier());
    let at = description.media.iter().position(is_line)?;
    let media = &description.media[at];
    let setup = media.setup(&description);
    // Who offers dials, unless it says that it cannot (RFC 4975 §8.5): what it names may lie behind its firewall.
    let dial = if setup == Some(Setup::Passive) { Dial::Us } else { Dial::Peer };
    let line = line(&description, media, dial)?;
    let secure = media.carrier() == Carrier::MsrpOverTls;
    Some(LineOffer { at, secure, line, setup, description })
}

/// Returns our answer to such an offer: that medium at this URI, and no other.
#[must_use]
pub fn line_answer(
    offer: &LineOffer,
    place: Place<'_>,
    ours: &msrp::Uri,
    octets_max: usize,
) -> Option<Content> {
    let setup = offer.setup.map(|_| match offer.line.peer.dial {
        Dial::Us => Setup::Active,
        Dial::Peer => Setup::Passive,
    });
    let taken = offer.description.media.get(offer.at);
    let answer = offer.description.answer(&NOWHERE, 0, 0, |offered| {
        taken.is_some_and(|taken| std::ptr::eq(taken, offered)).then(|| our_line(ours, setup, octets_max))
    });
    Some(described(place, answer?))
}

/// Returns what a peer answers to our offer of texts by MSRP.
#[must_use]
pub fn line_of_answer(body: &Bytes) -> Option<Line> {
    let description = Description::parse(body).ok()?;
    let media = description.media.iter().find(|media| media.port != 0 && is_msrp(media.carrier()))?;
    // Without a word of it the offerer dials (RFC 4975 §8.5).
    let dial = if media.setup(&description) == Some(Setup::Active) { Dial::Peer } else { Dial::Us };
    line(&description, media, dial)
}

fn line(description: &Description, media: &Media, dial: Dial) -> Option<Line> {
    let takes =
        Takes { text: media.carries("text/plain"), typing: media.carries("application/im-iscomposing+xml") };
    let fingerprint = media.fingerprint(description).filter(|fingerprint| fingerprint.hash == "sha-256");
    let fingerprint = fingerprint.and_then(|fingerprint| fingerprint.octets.try_into().ok());
    let path = msrp::Path::parse(media.path()?)?;
    let line = Line { peer: Peer { path, dial, fingerprint }, takes };
    // A peer that takes no text at all is of no use.
    (takes.text != Carries::No).then_some(line)
}

fn our_line(ours: &msrp::Uri, setup: Option<Setup>, octets_max: usize) -> Media {
    Media::msrp(&MsrpMedia {
        carrier: if ours.is_secure() { Carrier::MsrpOverTls } else { Carrier::Msrp },
        port: ours.port().unwrap_or(0),
        path: ours.as_str(),
        accept_types: ACCEPTED_BY_MSRP,
        accept_wrapped_types: "",
        setup,
        max_size: u64::try_from(octets_max).ok(),
    })
}

const fn is_msrp(carrier: Carrier) -> bool {
    matches!(carrier, Carrier::Msrp | Carrier::MsrpOverTls)
}

/// Returns our answer to the offer in an INVITE to `user`; our offer, if it has none. `None` if it offers no texts,
/// which is answered 488 (RFC 3261 §13.3.1.3).
#[must_use]
pub fn answer(invite: &Request, place: Place<'_>, user: &Uri) -> Option<Content> {
    let kind = invite.headers().content_type().ok().flatten();
    let Some(kind) = kind.filter(|_| !invite.body().is_empty()) else { return Some(offer(place)) };
    if is_sdp(&kind) {
        return answer_to(invite.body(), place, user);
    }
    if !kind.is_multipart() {
        return None;
    }
    // COMPAT(Office Communicator, 2007 R2): an offer for older servers stands before the one that is meant; may stay.
    let parts = leaves(&kind, invite.body(), &MimeLimits::default()).ok()?;
    parts.iter().rev().find_map(|part| {
        part.content_type().ok().filter(is_sdp)?;
        answer_to(&part.decoded()?, place, user)
    })
}

fn answer_to(offer: &Bytes, place: Place<'_>, user: &Uri) -> Option<Content> {
    let offer = Description::parse(offer).ok()?;
    let target = HeaderText::clean(user.as_str()).text;
    let mut is_taken = false;
    let answer = offer.answer(&NOWHERE, 0, 0, |offered| {
        let takes = offered.carrier() == Carrier::Signalling && !std::mem::replace(&mut is_taken, true);
        takes.then(|| Media::signalling(place.port, Some(&target), ACCEPTED).named_as(offered))
    });
    Some(described(place, answer?))
}

/// Writes a description with the host of our Contact for an address: a name, where that is one.
fn described(place: Place<'_>, description: Description) -> Content {
    let connection = connection_at(place.host).unwrap_or_else(|| Connection::at(&NOWHERE));
    let mut description = description;
    description.origin.address = connection.clone();
    description.connection = Some(connection);
    let content_type = ContentType::parse(Text::from_static("application/sdp")).expect("it is a media type");
    Content { content_type, body: Bytes::from(description.to_string()) }
}

fn connection_at(host: &Host) -> Option<Connection> {
    if let Some(address) = host.address() {
        return Some(Connection::at(&address));
    }
    let word = |text: &str| Word::parse(Text::from(text));
    Some(Connection { network: word("IN")?, family: word("IP4")?, address: word(&host.to_string())? })
}

fn is_sdp(kind: &ContentType) -> bool {
    kind.is("application/sdp")
}

/// Stands where an address is written over.
const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
/// What can be said to us by MSRP.
const ACCEPTED_BY_MSRP: &str =
    "text/plain text/html message/cpim multipart/mixed multipart/alternative application/im-iscomposing+xml";
/// What can be said to us; what else comes is answered 415.
const ACCEPTED: &str = "text/plain multipart/alternative application/im-iscomposing+xml";

#[cfg(test)]
mod tests {
    use sip_types::Method;
    use sip_types::header::{CallId, NameAddr};

    use super::*;

    #[test]
    fn an_offer_of_texts_is_answered_with_texts() {
        let content = answered(
            "v=0\r\no=- 0 0 IN IP4 192.0.2.77\r\ns=session\r\nc=IN IP4 192.0.2.77\r\nt=0 0\r\n\
             m=message 5060 sip null\r\na=accept-types:text/plain text/html\r\n",
        );

        assert_eq!(
            content.unwrap(),
            "v=0\r\no=- 0 0 IN IP4 gw.x.example\r\ns=session\r\nc=IN IP4 gw.x.example\r\nt=0 0\r\n\
             m=message 5061 sip sip:ann@x.example\r\n\
             a=accept-types:text/plain multipart/alternative application/im-iscomposing+xml\r\n"
        );
    }

    #[test]
    fn of_several_media_only_the_texts_are_taken() {
        let content =
            answered("v=0\r\nm=audio 4000 RTP/AVP 0 8\r\nm=message 5060 sip null\r\nm=video 1 RTP/AVP 9\r\n");

        let content = content.unwrap();
        let media: Vec<_> = content.lines().filter(|line| line.starts_with("m=")).collect();
        assert_eq!(
            media,
            ["m=audio 0 RTP/AVP 0 8", "m=message 5061 sip sip:ann@x.example", "m=video 0 RTP/AVP 9"]
        );
    }

    #[test]
    fn an_offer_without_texts_has_no_answer() {
        assert_eq!(answered("v=0\r\nm=audio 4000 RTP/AVP 0\r\n"), None);
        assert_eq!(answered("v=0\r\nm=message 2855 TCP/MSRP *\r\n"), None);
        assert_eq!(answered("v=0\r\nm=message 0 sip null\r\n"), None);
        assert_eq!(answered("m=message 5060 sip null\r\n"), None);
    }

    #[test]
    fn the_older_name_of_texts_is_answered_by_itself() {
        let content = answered("v=0\r\nm=x-ms-message 5060 sip null\r\n").unwrap();

        assert!(content.contains("\r\nm=x-ms-message 5061 sip sip:ann@x.example\r\n"), "{content}");
    }

    #[test]
    fn no_offer_is_answered_with_ours() {
        assert!(answered("").unwrap().contains("\r\nm=message 5061 sip null\r\n"));
    }

    fn answered(offer: &'static str) -> Option<String> {
        let user = Uri::parse("sip:ann@x.example").unwrap();
        let from = NameAddr::new(Uri::parse("sip:bob@s.example").unwrap());
        let call_id = CallId::parse("c1").unwrap();
        let invite = Request::new(Method::Invite, user.clone(), from.clone(), from, call_id, 1)
            .with_body(&ContentType::parse("application/sdp").unwrap(), Bytes::from_static(offer.as_bytes()));
        let host = Host::parse("gw.x.example").unwrap();
        let content = answer(&invite, Place { host: &host, port: 5061 }, &user)?;
        Some(String::from_utf8(content.body.to_vec()).unwrap())
    }
}
