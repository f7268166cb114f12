//! One thing that a role told, and what an operator sees of it.

use admin::{Direction, TraceEvent};
use gateway_role::{Notice, Trace};
use net_types::Bytes;
use proxy_role::Notice as ProxyNotice;
use sip_proto::endpoint::{self, Way};
use sip_types::{Limits, Uri};
use translate::sip_to_jid;
use xmpp_types::xml::Element;

/// One thing that a role told.
#[derive(Debug)]
pub enum Seen {
    /// The gateway told it.
    Gateway(Notice),
    /// The proxy told it.
    Proxy(ProxyNotice),
    /// A SIP message crossed the wire.
    Sip(Box<SipMessage>),
}

/// What is kept of a SIP message.
#[derive(Debug)]
pub struct SipMessage {
    way: Way,
    peer: String,
    what: String,
    names: Names,
    body: Option<Bytes>,
}

/// By which an event is found.
#[derive(Debug, Default)]
pub struct Names {
    /// Users' addresses.
    pub addresses: Vec<String>,
    /// Ids of stanzas and Call-IDs.
    pub ids: Vec<String>,
}

impl From<Notice> for Seen {
    fn from(notice: Notice) -> Self {
        match notice {
            Notice::Sip(endpoint::Notice::Message { way, transport, remote, bytes }) => {
                Self::Sip(Box::new(sip_message(way, format!("{remote}/{transport}"), &bytes)))
            }
            other => Self::Gateway(other),
        }
    }
}

impl From<ProxyNotice> for Seen {
    fn from(notice: ProxyNotice) -> Self {
        Self::Proxy(notice)
    }
}

fn sip_message(way: Way, peer: String, bytes: &Bytes) -> SipMessage {
    let line = bytes.split(|octet| *octet == b'\r').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line).into_owned();
    let Ok(message) = sip_types::parse_datagram(bytes, &Limits::default()) else {
        return SipMessage { way, peer, what: line, names: Names::default(), body: None };
    };
    let headers = message.headers();
    let mut names = Names::default();
    let mut about = String::new();
    let parts = match &message {
        sip_types::Message::Request(request) => {
            Some((Some(request.from()), Some(request.to()), Some(request.call_id()), Some(request.cseq())))
        }
        sip_types::Message::Response(response) => {
            Some((response.from(), response.to_header(), response.call_id(), response.cseq()))
        }
    };
    if let Some((from, to, call, cseq)) = parts {
        names.addresses.extend([from, to].into_iter().flatten().map(|party| address(&party.uri)));
        names.ids.extend(call.map(ToString::to_string));
        about = cseq.map(|cseq| format!(", CSeq {} {}", cseq.number, cseq.method)).unwrap_or_default();
    }
    let what = match &message {
        // Without the version at its end, which says nothing.
        sip_types::Message::Request(_) => line.trim_end_matches(" SIP/2.0").to_owned(),
        sip_types::Message::Response(_) => line.trim_start_matches("SIP/2.0 ").to_owned(),
    };
    let body = message.body().clone();
    let kind = headers.content_type().ok().flatten().map(|kind| format!(" {kind}")).unwrap_or_default();
    let holds = if body.is_empty() { String::new() } else { format!(" [{} octets{kind}]", body.len()) };
    let call = names.ids.first().map(|call| format!("  Call-ID {call}{about}")).unwrap_or_default();
    SipMessage { way, peer, what: format!("{what}{holds}{call}"), names, body: Some(body) }
}

/// Returns a user as XMPP names him, so that both sides of a message are found by one name.
fn address(uri: &Uri) -> String {
    sip_to_jid(uri).map_or_else(|_| uri.to_string(), |jid| jid.to_string())
}

impl Seen {
    /// Returns by what it is found.
    pub fn names(&self) -> Names {
        let of_stanza = |stanza: &Element| Names {
            addresses: ["from", "to"].iter().filter_map(|key| stanza.attr(key)).map(str::to_owned).collect(),
            ids: stanza.attr("id").map(str::to_owned).into_iter().collect(),
        };
        match self {
            Self::Sip(message) => {
                Names { addresses: message.names.addresses.clone(), ids: message.names.ids.clone() }
            }
            Self::Gateway(Notice::Stanza { stanza, .. }) => of_stanza(stanza),
            Self::Gateway(Notice::Ended { from, to, .. }) => {
                Names { addresses: vec![from.0.clone(), to.0.clone()], ids: Vec::new() }
            }
            Self::Gateway(Notice::Refused { from, .. }) => {
                Names { addresses: vec![address_of_text(&from.0)], ids: Vec::new() }
            }
            Self::Gateway(Notice::Session { xmpp, sip, call, .. }) => {
                Names { addresses: vec![xmpp.0.clone(), sip.0.clone()], ids: vec![call.clone()] }
            }
            Self::Gateway(Notice::Learned { user, .. }) => {
                Names { addresses: vec![user.0.clone()], ids: Vec::new() }
            }
            Self::Gateway(notice) => trace_of(notice).map_or_else(Names::default, |trace| Names {
                addresses: vec![trace.from.0.clone(), trace.to.0.clone()],
                ids: [&trace.stanza, &trace.call].into_iter().filter(|id| !id.is_empty()).cloned().collect(),
            }),
            Self::Proxy(ProxyNotice::Stanza { stanza, .. }) => of_stanza(stanza),
            Self::Proxy(ProxyNotice::Relayed { names, .. }) => {
                let [from, to, id] = names.parts();
                Names { addresses: vec![from.to_owned(), to.to_owned()], ids: vec![id.to_owned()] }
            }
            Self::Proxy(
                ProxyNotice::Opened { pair, .. }
                | ProxyNotice::Closed { pair, .. }
                | ProxyNotice::AttemptFailed { pair, .. }
                | ProxyNotice::Bounced { pair, .. },
            ) => Names { addresses: vec![pair.remote.as_str().to_owned()], ids: Vec::new() },
            Self::Proxy(_) => Names::default(),
        }
    }

    /// Tells whether it holds what people wrote.
    pub fn has_body(&self) -> bool {
        match self {
            Self::Sip(message) => message.body.as_ref().is_some_and(|body| !body.is_empty()),
            // Whether the role outlined it is not seen; that is done again.
            Self::Gateway(Notice::Stanza { .. }) | Self::Proxy(ProxyNotice::Stanza { .. }) => true,
            Self::Gateway(_) | Self::Proxy(_) => false,
        }
    }

    /// Forgets what people wrote.
    pub fn drop_body(&mut self) {
        use xmpp_types::outline::{Bodies, outline};
        match self {
            Self::Sip(message) => message.body = None,
            Self::Gateway(Notice::Stanza { stanza, .. })
            | Self::Proxy(ProxyNotice::Stanza { stanza, .. })
                if !is_outline(stanza) =>
            {
                **stanza = outline(stanza, Bodies::Hidden);
            }
            Self::Gateway(_) | Self::Proxy(_) => {}
        }
    }

    /// Returns about how much memory it takes.
    pub fn octets(&self) -> usize {
        let text: usize = match self {
            Self::Sip(message) => message.what.len() + message.body.as_ref().map_or(0, Bytes::len),
            Self::Gateway(Notice::Stanza { stanza, .. })
            | Self::Proxy(ProxyNotice::Stanza { stanza, .. }) => stanza.to_string().len() * 2,
            Self::Gateway(notice) => trace_of(notice).map_or(0, |trace| {
                trace.from.0.len() + trace.to.0.len() + trace.stanza.len() + trace.call.len()
            }),
            Self::Proxy(ProxyNotice::Relayed { names, .. }) => {
                names.parts().iter().map(|part| part.len()).sum()
            }
            Self::Proxy(_) => 0,
        };
        text + OVERHEAD
    }

    /// Returns what an operator sees.
    pub fn event(&self, number: u64, at: i64, bodies: bool) -> TraceEvent {
        let names = self.names();
        let mut event = TraceEvent {
            number,
            at,
            ids: names.ids,
            addresses: names.addresses,
            role: if matches!(self, Self::Proxy(_)) { "proxy" } else { "gateway" }.to_owned(),
            ..TraceEvent::default()
        };
        match self {
            Self::Sip(message) => {
                event.side = Some("SIP".to_owned());
                event.direction = Some(direction(message.way));
                event.peer.clone_from(&message.peer);
                event.what.clone_from(&message.what);
                let body = message.body.as_ref().filter(|body| bodies && !body.is_empty());
                event.body = body.map(|body| String::from_utf8_lossy(body).into_owned());
            }
            Self::Gateway(Notice::Stanza { way, proxy, stanza }) => {
                event.side = Some("XMPP".to_owned());
                event.direction = Some(direction(*way));
                event.peer.clone_from(proxy);
                event.what = stanza.to_string();
            }
            Self::Gateway(notice) => event.what = notice.to_string(),
            Self::Proxy(ProxyNotice::Stanza { pair, direction, stanza }) => {
                event.side = Some("XMPP".to_owned());
                event.direction = Some(match direction {
                    proxy_role::Direction::Inward => Direction::In,
                    proxy_role::Direction::Outward => Direction::Out,
                });
                pair.remote.as_str().clone_into(&mut event.peer);
                event.what = stanza.to_string();
            }
            Self::Proxy(ProxyNotice::Relayed { pair, names, .. }) => {
                let [from, to, id] = names.parts();
                pair.remote.as_str().clone_into(&mut event.peer);
                event.what = format!("{self_} (id {id}) from {from} to {to}", self_ = self.words());
            }
            Self::Proxy(notice) => event.what = notice.to_string(),
        }
        event
    }

    fn words(&self) -> String {
        match self {
            Self::Gateway(notice) => notice.to_string(),
            Self::Proxy(notice) => notice.to_string(),
            Self::Sip(message) => message.what.clone(),
        }
    }
}

const fn direction(way: Way) -> Direction {
    match way {
        Way::In => Direction::In,
        Way::Out => Direction::Out,
    }
}

fn address_of_text(uri: &str) -> String {
    Uri::parse(uri.to_owned()).map_or_else(|_| uri.to_owned(), |uri| address(&uri))
}

/// Whether everything in a stanza is an outline already.
fn is_outline(stanza: &Element) -> bool {
    stanza.elements().all(|child| {
        let text = child.text();
        child.elements().next().is_none()
            && (text.is_empty() || (text.starts_with('[') && text.ends_with(" octets]")))
    })
}

/// Returns the message that a notice is about.
fn trace_of(notice: &Notice) -> Option<&Trace> {
    match notice {
        Notice::Arrived(trace) | Notice::Kept(trace) | Notice::Reported(trace) => Some(trace),
        Notice::Delivered { trace, .. }
        | Notice::Failed { trace, .. }
        | Notice::ReportRefused { trace, .. }
        | Notice::Lost { trace, .. } => Some(trace),
        _ => None,
    }
}

/// What an event takes besides its texts.
const OVERHEAD: usize = 300;
