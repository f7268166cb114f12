use std::fmt;
use std::sync::Arc;

use net_types::Bytes;
use sip_types::header::ContentType;
use sip_types::{Headers, Request, Response};

use crate::endpoint::{Failure, ServerKey};

/// Which request of the session something is about; each but [`About::Ack`] and [`About::StrayBye`] is under
/// way once at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum About {
    /// The INVITE that begins the session, or its second try with the interval that the peer wants.
    Invite,
    /// The ACK of a 2xx: nothing answers it, and it never fails.
    Ack,
    /// The user's own request: MESSAGE, INFO.
    Inside,
    /// The UPDATE or INVITE that keeps the session alive (RFC 4028).
    Refresh,
    /// The BYE that ends the session.
    Bye,
    /// The BYE of a fork that is not wanted (RFC 3261 §13.2.2.4): what becomes of it does not matter.
    StrayBye,
}

/// What the session wants done, in order.
#[derive(Clone, Debug)]
pub enum Output {
    /// Send a request: by `Endpoint::send`. Tell the session what becomes of it by
    /// [`super::Session::handle_response`] and [`super::Session::handle_failure`].
    Send {
        /// Which it is.
        about: About,
        /// The request, its Route headers in place. Whoever follows these sends it to
        /// [`crate::dialog::next_hop_of`] it.
        request: Box<Request>,
    },
    /// Cancel the INVITE: by `Endpoint::cancel`, which waits for something provisional.
    Cancel,
    /// Answer a request: by `Endpoint::respond`. The 2xx of an INVITE comes again and again until its ACK.
    Respond {
        /// The request.
        key: ServerKey,
        /// The answer.
        response: Box<Response>,
    },
    /// The peer's INVITE can be served: [`super::Session::accept`] or [`super::Session::refuse`] it.
    Offered,
    /// Something provisional was said to our INVITE, by one of its forks.
    Progress(Box<Response>),
    /// The session is there: the peer has accepted our INVITE, or acknowledged that we accepted its own.
    /// Holds the body of that 2xx or ACK.
    Established(Option<Content>),
    /// The peer has offered other terms in the session (RFC 3261 §14.2); they are accepted, with ours as
    /// they were.
    Modified(Content),
    /// A request inside the session that its user answers, by `Endpoint::respond`: MESSAGE, INFO, OPTIONS,
    /// and what is not known.
    Request {
        /// Its name.
        key: ServerKey,
        /// The request.
        request: Arc<Request>,
    },
    /// The final answer to the user's own request.
    Response(Box<Response>),
    /// The user's own request had no final answer.
    RequestFailed(Failure),
    /// The session is over; comes once. What was under way is still settled after it.
    Ended(End),
}

/// How a session ended.
#[derive(Clone, Debug)]
pub enum End {
    /// The peer refused our INVITE.
    Refused(Box<Response>),
    /// Our INVITE had no final answer.
    Failed(Failure),
    /// The INVITE was cancelled by who sent it.
    Cancelled,
    /// We refused the peer's INVITE with this status.
    Declined(u16),
    /// We ended it.
    ByUs,
    /// The peer sent BYE, with this Reason if any (RFC 3326).
    ByPeer(Option<String>),
    /// The peer knows of no such session any more: it said so with this status, or did not answer (408).
    Gone(u16),
    /// The peer never acknowledged our 2xx (RFC 3261 §13.3.1.4).
    Unacknowledged,
    /// Nobody refreshed the session in time (RFC 4028 §10).
    Expired,
}

/// A body and its type: an offer or an answer, opaque to the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// What it is.
    pub content_type: ContentType,
    /// Its octets.
    pub body: Bytes,
}

impl Content {
    /// Returns the body of a request, if it has one.
    #[must_use]
    pub fn of(request: &Request) -> Option<Self> {
        Self::read(request.headers(), request.body())
    }

    /// Returns the body of a response, if it has one.
    #[must_use]
    pub fn of_response(response: &Response) -> Option<Self> {
        Self::read(response.headers(), response.body())
    }

    pub(super) fn on_response(self, response: Response) -> Response {
        response.with_body(&self.content_type, self.body)
    }

    /// Returns whether these terms of ours can answer that offer: each of its media is, in its place, of the kind that
    /// was agreed there (RFC 3264 §8), and none is further.
    pub(super) fn can_answer(&self, offer: &Self) -> bool {
        let mut ours = self.media();
        offer.media().all(|kind| ours.next() == Some(kind))
    }

    /// Returns the kinds of the media that an SDP body describes (RFC 8866 §5.14); none for any other.
    fn media(&self) -> impl Iterator<Item = &[u8]> {
        let is_sdp = self.content_type.is("application/sdp");
        let lines = self.body.split(|octet| *octet == b'\n').filter_map(|line| line.strip_prefix(b"m="));
        lines
            .take_while(move |_| is_sdp)
            .map(|line| line.split(|octet| *octet == b' ').next().unwrap_or(line))
    }

    fn read(headers: &Headers, body: &Bytes) -> Option<Self> {
        if body.is_empty() {
            return None;
        }
        let content_type = headers.content_type().ok()??;
        // A copy: it outlives the message that it came in.
        Some(Self { content_type, body: Bytes::copy_from_slice(body) })
    }
}

/// Why the user's request cannot be sent inside the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unready {
    /// The session is not established yet.
    NotEstablished,
    /// Another one has no final answer yet; one at a time keeps the order (RFC 3428 §8).
    Busy,
    /// The session is over.
    Over,
    /// INVITE, ACK, CANCEL and BYE are the session's own.
    NotForUsers,
}

impl fmt::Display for Unready {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::NotEstablished => "the session is not established yet",
            Self::Busy => "another request in the session has no answer yet",
            Self::Over => "the session is over",
            Self::NotForUsers => "the session sends this method itself",
        })
    }
}

impl std::error::Error for Unready {}
