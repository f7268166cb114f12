//! What a user agent remembers of a dialog without proxies between (RFC 3261 §12).

use clock_types::Ids;
use sip_types::header::{CallId, HeaderName, NameAddr};
use sip_types::{HeaderText, Method, Request, SipUri, Token, Uri};

/// One dialog.
#[derive(Clone, Debug)]
pub(super) struct Dialog {
    pub call_id: CallId,
    pub local: NameAddr,
    pub remote: NameAddr,
    pub target: Uri,
    pub last_sent: u32,
    pub last_heard: Option<u32>,
}

impl Dialog {
    /// Returns what will become a dialog once somebody answers; `None` if an address is none.
    pub(super) fn ask(from: &str, to: &str, ids: &mut Ids) -> Option<Self> {
        let to = NameAddr::new(uri(to)?);
        Some(Self {
            call_id: CallId::parse(ids.token("call"))?,
            local: NameAddr::new(uri(from)?).with_tag(&Token::parse(ids.token("tag"))?),
            target: to.uri.clone(),
            remote: to,
            last_sent: 0,
            last_heard: None,
        })
    }

    /// Returns the dialog of somebody who asks.
    pub(super) fn of(request: &Request, ids: &mut Ids) -> Option<Self> {
        Some(Self {
            call_id: request.call_id().clone(),
            local: request.to().clone().with_tag(&Token::parse(ids.token("tag"))?),
            remote: request.from().clone(),
            target: request.headers().contact().ok()??.uri,
            last_sent: 0,
            last_heard: Some(request.cseq().number),
        })
    }

    /// Tells whether a request of the peer is in it; who has no tag yet gets that of the first.
    pub(super) fn holds(&self, request: &Request) -> bool {
        *request.call_id() == self.call_id
            && request.to().tag() == self.local.tag()
            && (self.remote.tag().is_none() || self.remote.tag() == request.from().tag())
    }

    /// Makes the next request, from a program at `place`.
    pub(super) fn request(&mut self, method: Method, user: &str, place: &str) -> Request {
        self.last_sent += 1;
        let request = Request::new(
            method,
            self.target.clone(),
            self.local.clone(),
            self.remote.clone(),
            self.call_id.clone(),
            self.last_sent,
        );
        let request = request.with(HeaderName::Event, &HeaderText::from_static("presence"));
        match contact(user, place) {
            Some(contact) => request.with_contact(&contact),
            None => request,
        }
    }
}

/// Returns where a user's program is reached.
pub(super) fn contact(user: &str, place: &str) -> Option<NameAddr> {
    let name = user.split('@').next().unwrap_or_default();
    Some(NameAddr::new(SipUri::parse(format!("sip:{name}@{place}")).ok()?))
}

fn uri(address: &str) -> Option<SipUri> {
    SipUri::parse(format!("sip:{address}")).ok()
}
