//! A dialog (RFC 3261 §12): what two user agents must both remember so that their requests find each
//! other, for any method that makes one (INVITE, SUBSCRIBE).
//!
//! A dialog sends nothing and has no timers. It makes the requests inside it, checks those received, and
//! follows the peer's Contact. A peer's texts are kept as they were written: parameters of From and To
//! (`epid`), the Record-Route values with their signatures, and the Contact, which is the next Request-URI.

mod packed;
mod parts;
mod requests;

use std::fmt;

use sip_types::header::{CallId, HeaderName, NameAddr};
use sip_types::{Method, Request, Response, Token, Uri};

pub use packed::Packed;
pub use parts::Parts;
pub use requests::next_hop_of;

/// One dialog, as seen from our side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialog {
    parts: Box<Parts>,
}

/// What tells a dialog from all others (§12): the same for both sides but for the order of the tags.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DialogId {
    /// The Call-ID.
    pub call_id: CallId,
    /// Our tag; empty if we gave none.
    pub local_tag: String,
    /// The peer's tag; empty if it gave none.
    pub remote_tag: String,
}

/// Why two messages make no dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoDialog {
    /// The peer gave no usable Contact: nothing could be sent to it.
    ContactMissing,
    /// A header that a dialog needs does not parse.
    Unreadable(HeaderName),
}

/// Why a received request is not taken into the dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Its Call-ID or tags are those of another dialog (§12.2.2).
    NotOfThisDialog,
    /// Its number is lower than that of a request before it (§12.2.2).
    OutOfOrder,
}

impl Refusal {
    /// Returns the status to answer with (§12.2.2).
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::NotOfThisDialog => 481,
            Self::OutOfOrder => 500,
        }
    }
}

impl Dialog {
    /// Returns the dialog that a response of 101 to 299 makes for who sent the request (§12.1.2).
    ///
    /// # Errors
    /// Says why there is none. A response without To tag makes one too, as RFC 2543 had it.
    pub fn of_client(request: &Request, response: &Response) -> Result<Self, NoDialog> {
        let headers = response.headers();
        let mut routes = headers.verbatim(HeaderName::RecordRoute);
        routes.reverse();
        let remote = response.to_header().ok_or(NoDialog::Unreadable(HeaderName::To))?;
        Ok(Self::of(Parts {
            call_id: request.call_id().clone(),
            local: request.from().clone(),
            remote: remote.clone(),
            local_seq: request.cseq().number,
            remote_seq: None,
            target: contact_of(headers)?,
            routes,
            secure: is_secure(request),
        }))
    }

    /// Returns the dialog that our answer of 101 to 299 with this To tag makes for who received the
    /// request (§12.1.1).
    ///
    /// # Errors
    /// Says why there is none; the request is to be answered 400.
    pub fn of_server(request: &Request, tag: &Token) -> Result<Self, NoDialog> {
        let local = match request.to().tag() {
            Some(_) => request.to().clone(),
            None => request.to().clone().with_tag(tag),
        };
        Ok(Self::of(Parts {
            call_id: request.call_id().clone(),
            local,
            remote: request.from().clone(),
            local_seq: 0,
            remote_seq: Some(request.cseq().number),
            target: contact_of(request.headers())?,
            routes: request.headers().verbatim(HeaderName::RecordRoute),
            secure: is_secure(request),
        }))
    }

    /// Returns the dialog that a NOTIFY makes for who sent the SUBSCRIBE (RFC 6665 §4.4.1): it may come
    /// before any response, and from each fork.
    ///
    /// # Errors
    /// Says why there is none; the NOTIFY is to be answered 400.
    pub fn of_notify(subscribe: &Request, notify: &Request) -> Result<Self, NoDialog> {
        Ok(Self::of(Parts {
            call_id: subscribe.call_id().clone(),
            local: subscribe.from().clone(),
            remote: notify.from().clone(),
            local_seq: subscribe.cseq().number,
            remote_seq: Some(notify.cseq().number),
            target: contact_of(notify.headers())?,
            routes: notify.headers().verbatim(HeaderName::RecordRoute),
            secure: is_secure(subscribe),
        }))
    }

    /// As [`Self::of_client`] for a 2xx to INVITE, which must be acknowledged in any case.
    ///
    /// COMPAT(several servers, all): a 2xx has no Contact (§12.1.1 wants one); the Request-URI takes its place.
    /// It may go when an ACK that is lost does no harm.
    pub(crate) fn accepted(invite: &Request, response: &Response) -> Self {
        let remote = response.to_header().unwrap_or(invite.to());
        let mut routes = response.headers().verbatim(HeaderName::RecordRoute);
        routes.reverse();
        Self::of(Parts {
            call_id: invite.call_id().clone(),
            local: invite.from().clone(),
            remote: remote.clone(),
            local_seq: invite.cseq().number,
            remote_seq: None,
            target: contact_of(response.headers()).unwrap_or_else(|_| invite.uri().clone()),
            routes,
            secure: is_secure(invite),
        })
    }

    /// Returns the dialog that another fork of our INVITE with this number has made by its 2xx.
    pub(crate) fn fork(&self, number: u32, response: &Response) -> Self {
        let mut fork = self.clone();
        fork.parts.local_seq = number;
        fork.parts.remote_seq = None;
        if let Some(remote) = response.to_header() {
            fork.parts.remote = remote.clone();
        }
        fork.confirm(response);
        fork
    }

    /// Returns the dialog whose parts were kept elsewhere.
    #[must_use]
    pub fn from_parts(parts: Parts) -> Self {
        Self { parts: Box::new(parts) }
    }

    /// Returns the parts, to keep them elsewhere.
    #[must_use]
    pub const fn parts(&self) -> &Parts {
        &self.parts
    }

    /// Returns the parts.
    #[must_use]
    pub fn into_parts(self) -> Parts {
        *self.parts
    }

    /// Returns what tells the dialog from others.
    #[must_use]
    pub fn id(&self) -> DialogId {
        let tag = |party: &NameAddr| party.tag().unwrap_or_default().to_owned();
        DialogId {
            call_id: self.parts.call_id.clone(),
            local_tag: tag(&self.parts.local),
            remote_tag: tag(&self.parts.remote),
        }
    }

    /// Returns whether a received request is of this dialog: ours are its Call-ID and To tag, the peer's its
    /// From tag.
    #[must_use]
    pub fn is_of(&self, request: &Request) -> bool {
        let parts = &self.parts;
        *request.call_id() == parts.call_id
            && request.to().tag() == parts.local.tag()
            && request.from().tag() == parts.remote.tag()
    }

    /// Returns whether a response to a request of ours comes from this dialog's peer, and not from another
    /// fork.
    #[must_use]
    pub fn answers(&self, response: &Response) -> bool {
        response.call_id() == Some(&self.parts.call_id)
            && response.to_header().is_some_and(|to| to.tag() == self.parts.remote.tag())
    }

    /// Takes a received request into the dialog: its number counts, and its Contact is the new target if
    /// it is one that refreshes it (§12.2.2). An ACK changes nothing.
    ///
    /// # Errors
    /// Says why the request must be refused.
    pub fn handle_request(&mut self, request: &Request) -> Result<(), Refusal> {
        if !self.is_of(request) {
            return Err(Refusal::NotOfThisDialog);
        }
        if *request.method() == Method::Ack {
            return Ok(());
        }
        let number = request.cseq().number;
        if self.parts.remote_seq.is_some_and(|last| number < last) {
            return Err(Refusal::OutOfOrder);
        }
        self.parts.remote_seq = Some(number);
        if refreshes_target(request.method()) {
            self.refresh_target(request.headers());
        }
        Ok(())
    }

    /// Takes what stands for a request of the peer with this number; returns whether it comes after those before.
    pub(crate) fn handle_number(&mut self, number: u32) -> bool {
        let is_later = self.parts.remote_seq.is_none_or(|last| number > last);
        if is_later {
            self.parts.remote_seq = Some(number);
        }
        is_later
    }

    /// Takes a response to a request of ours inside the dialog: the Contact of a 2xx is the new target
    /// (§12.2.1.2).
    pub fn handle_response(&mut self, response: &Response) {
        let refreshes = response.cseq().is_some_and(|cseq| refreshes_target(&cseq.method));
        if refreshes && (200..300).contains(&response.status()) && self.answers(response) {
            self.refresh_target(response.headers());
        }
    }

    /// Replaces the route set by that of the final 2xx: what an early dialog learned is recomputed
    /// (§13.2.2.4).
    pub fn confirm(&mut self, response: &Response) {
        let mut routes = response.headers().verbatim(HeaderName::RecordRoute);
        routes.reverse();
        self.parts.routes = routes;
        self.parts.compact();
        self.refresh_target(response.headers());
    }

    fn of(mut parts: Parts) -> Self {
        parts.compact();
        Self::from_parts(parts)
    }

    /// A Contact that is missing or unreadable leaves the target as it is.
    fn refresh_target(&mut self, headers: &sip_types::Headers) {
        if let Ok(target) = contact_of(headers)
            && target != self.parts.target
        {
            self.parts.target = target;
            self.parts.compact();
        }
    }
}

/// Returns whether requests of this method carry the peer's new Contact (RFC 3261 §12.2; RFC 3311 §5.1;
/// RFC 6665 §4.1.2.2, §4.2.2).
fn refreshes_target(method: &Method) -> bool {
    matches!(method, Method::Invite | Method::Update | Method::Subscribe | Method::Notify)
}

fn contact_of(headers: &sip_types::Headers) -> Result<Uri, NoDialog> {
    match headers.contact() {
        Ok(Some(contact)) => Ok(contact.uri),
        Ok(None) => Err(NoDialog::ContactMissing),
        Err(_) => Err(NoDialog::Unreadable(HeaderName::Contact)),
    }
}

fn is_secure(request: &Request) -> bool {
    request.uri().as_sip().is_some_and(|uri| uri.scheme() == sip_types::uri::Scheme::Sips)
}

impl fmt::Display for NoDialog {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ContactMissing => out.write_str("the peer gave no Contact to send requests to"),
            Self::Unreadable(name) => write!(out, "the peer's {} cannot be read", name.as_str()),
        }
    }
}

impl std::error::Error for NoDialog {}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::NotOfThisDialog => "the request is of no dialog known here",
            Self::OutOfOrder => "the request's number is lower than one before it",
        })
    }
}

impl std::error::Error for Refusal {}
