//! A session (RFC 3261 §13–§15): one INVITE and what is said under it until somebody sends BYE.
//!
//! ```text
//!            call                                             called
//!              │ INVITE                                          │ checked: Offered, or refused (420, 422)
//!          +───▼────+                                       +────▼────+
//!          │Calling │── 300–699 ────────────► Over ◄────────│ Ringing │ refuse, CANCEL, BYE
//!          +───┬────+   CANCEL + 487          ▲  ▲          +────┬────+
//!              │ 2xx: ACK                     │  │               │ accept: 2xx, again until its ACK
//!          +───▼──────────────────────────────┴+ │          +────▼────+
//!          │ Open: requests inside, refreshes  │◄┼── ACK ───│ Waiting │
//!          +───┬───────────────────────────────+ │          +────┬────+
//!              │ BYE either way, 481, 408, expiry│               │ no ACK in 64*T1: BYE
//!              └──────────► Ending ──────────────┴───────────────┘
//! ```
//!
//! It knows no transport: its user carries its requests and answers to the endpoint and tells it what comes
//! back. Bodies are opaque to it.

mod output;
mod settings;

use std::collections::VecDeque;
use std::sync::Arc;

use clock_types::{Moment, Now};
use sip_types::header::NameAddr;
use sip_types::{Method, Request, Response, Token};

use crate::dialog::Dialog;
use crate::endpoint::{Failure, ServerKey};

pub use output::{About, Content, End, Output, Unready};
pub use settings::Settings;

/// One session.
#[derive(Debug)]
pub struct Session {
    outputs: VecDeque<Output>,
}

impl Session {
    /// Returns the session that our INVITE begins, which is its first output. The INVITE has our From tag, our
    /// Contact and, if we make the offer, its body.
    #[must_use]
    pub fn call(invite: Request, settings: Arc<Settings>, now: Now) -> Self {
        _ = (invite, settings, now);
        Self { outputs: VecDeque::new() }
    }

    /// Returns the session that a received INVITE may begin: [`Output::Offered`] follows, or a refusal and
    /// [`Output::Ended`]. `tag` and `contact` are ours in the dialog.
    #[must_use]
    pub fn called(
        key: ServerKey,
        invite: Arc<Request>,
        tag: &Token,
        contact: NameAddr,
        settings: Arc<Settings>,
        now: Now,
    ) -> Self {
        _ = (key, invite, tag, contact, settings, now);
        Self { outputs: VecDeque::new() }
    }

    /// Says something provisional (101 to 199) to the offered INVITE.
    pub fn ring(&mut self, status: u16, now: Now) {
        _ = (status, now);
    }

    /// Accepts the offered INVITE with our answer (or our offer, if the INVITE has none).
    pub fn accept(&mut self, content: Option<Content>, now: Now) {
        _ = (content, now);
    }

    /// Refuses the offered INVITE with this answer of 300 to 699, made by `Response::to` its request.
    pub fn refuse(&mut self, response: Response, now: Now) {
        _ = (response, now);
    }

    /// Sends a request of the user's inside the session, `dress`ed with its body and further headers. It ends
    /// in one [`Output::Response`] or one [`Output::RequestFailed`], also if the session ends before.
    ///
    /// # Errors
    /// Says why it cannot be sent at present.
    pub fn send(
        &mut self,
        method: Method,
        dress: impl FnOnce(Request) -> Request,
        now: Now,
    ) -> Result<(), Unready> {
        _ = (method, dress, now);
        Err(Unready::NotEstablished)
    }

    /// Ends the session, however far it is: cancels our INVITE, refuses the peer's with 480, sends BYE.
    pub fn end(&mut self, now: Now) {
        _ = now;
    }

    /// Hears a request with this session's Call-ID and tag, or the CANCEL of its own INVITE being left to
    /// [`Self::handle_cancelled`].
    pub fn handle_request(&mut self, key: ServerKey, request: Arc<Request>, now: Now) {
        _ = (key, request, now);
    }

    /// Hears an ACK with this session's Call-ID and tag.
    pub fn handle_ack(&mut self, ack: &Request, now: Now) {
        _ = (ack, now);
    }

    /// Learns that the peer has cancelled the INVITE that the session began with.
    pub fn handle_cancelled(&mut self, now: Now) {
        _ = now;
    }

    /// Hears a response to a request that it sent; each 2xx of an INVITE comes here.
    pub fn handle_response(&mut self, about: About, response: Box<Response>, now: Now) {
        _ = (about, response, now);
    }

    /// Learns that a request that it sent has no final response.
    pub fn handle_failure(&mut self, about: About, failure: Failure, now: Now) {
        _ = (about, failure, now);
    }

    /// Fires the timers that are due.
    pub fn handle_timeout(&mut self, now: Now) {
        _ = now;
    }

    /// Returns the next thing to do; drain it before the next input.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Returns when to call [`Self::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Moment> {
        None
    }

    /// Returns the dialog, once there is one that is confirmed.
    #[must_use]
    pub fn dialog(&self) -> Option<&Dialog> {
        None
    }

    /// Returns whether [`Self::send`] would send.
    ///
    /// # Errors
    /// Says why not.
    pub fn readiness(&self) -> Result<(), Unready> {
        Err(Unready::NotEstablished)
    }

    /// Returns whether nothing can come of it any more: its owner may forget it. Some time after
    /// [`Output::Ended`], because a late fork of our INVITE still wants its ACK and BYE.
    #[must_use]
    pub fn is_over(&self) -> bool {
        false
    }
}
