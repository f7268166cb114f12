//! A session (RFC 3261 §13–§15): one INVITE and what is said under it until somebody sends BYE.
//!
//! ```text
//!            call                                             called
//!              │ INVITE                                          │ checked: Offered, or refused (400, 420, 422)
//!          +───▼────+                                       +────▼────+
//!          │Calling │── 300–699 ──► over ◄── refuse, CANCEL─│ Ringing │
//!          +───┬────+   CANCEL + 487                        +────┬────+
//!              │ 2xx: ACK                                        │ accept: 2xx, again until its ACK
//!          +───▼─────────────────────────────────────────────────▼────+
//!          │ Open   Live: requests inside, refreshes                  │
//!          │        Leaving: BYE waits for the ACK (§15)              │
//!          │        Ended: late forks, open requests                  │
//!          +───┬──────────────────────────────────────────────────────+
//!              │ BYE settled, 64*T1 after the first 2xx
//!              ▼
//!             over
//! ```
//!
//! It knows no transport: its user carries its requests and answers to the endpoint and tells it what comes
//! back. Bodies are opaque to it.

mod calling;
mod inside;
mod interval;
mod open;
mod output;
mod ringing;
mod settings;

use std::collections::VecDeque;
use std::sync::Arc;

use clock_types::{Moment, Now};
use sip_types::header::NameAddr;
use sip_types::{Method, Request, Response, Token};

use self::calling::Calling;
use self::open::Open;
use self::ringing::Ringing;
use crate::dialog::Dialog;
use crate::endpoint::{Failure, ServerKey};

pub use output::{About, Content, End, Output, Unready};
pub use settings::Settings;

/// One session.
#[derive(Debug)]
pub struct Session {
    settings: Arc<Settings>,
    state: State,
    outputs: VecDeque<Output>,
}

#[derive(Debug)]
enum State {
    /// Our INVITE has no final answer.
    Calling(Box<Calling>),
    /// The peer's INVITE has none.
    Ringing(Box<Ringing>),
    /// There is a dialog.
    Open(Box<Open>),
    Over,
}

/// What the states need to act.
struct Context<'a> {
    settings: &'a Settings,
    outputs: &'a mut VecDeque<Output>,
    now: Now,
}

/// What becomes of the state.
enum Next {
    Stay,
    Open(Box<Open>),
    Over,
}

impl Session {
    /// Returns the session that our INVITE begins, which is its first output. The INVITE has our From tag, our
    /// Contact, and the body that is our offer.
    #[must_use]
    pub fn call(invite: Request, settings: Arc<Settings>, now: Now) -> Self {
        Self::begun(settings, now, |context| State::Calling(Box::new(Calling::new(invite, context))))
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
        Self::begun(settings, now, |context| match Ringing::new(key, invite, tag, contact, context) {
            Some(ringing) => State::Ringing(Box::new(ringing)),
            None => State::Over,
        })
    }

    fn begun(settings: Arc<Settings>, now: Now, state: impl FnOnce(&mut Context<'_>) -> State) -> Self {
        let mut outputs = VecDeque::new();
        let state = state(&mut Context { settings: &settings, outputs: &mut outputs, now });
        Self { settings, state, outputs }
    }

    /// Says something provisional (101 to 199) to the offered INVITE; it is said again each minute, so that
    /// proxies keep waiting (§13.3.1.1).
    pub fn ring(&mut self, status: u16, now: Now) {
        self.input(now, |state, context| {
            if let State::Ringing(ringing) = state {
                ringing.ring(status, context);
            }
            Next::Stay
        });
    }

    /// Accepts the offered INVITE with our answer, or with our offer if the INVITE has none.
    pub fn accept(&mut self, content: Option<Content>, now: Now) {
        self.input(now, |state, context| match state {
            State::Ringing(ringing) => Next::Open(Box::new(ringing.accept(content, context))),
            State::Calling(_) | State::Open(_) | State::Over => Next::Stay,
        });
    }

    /// Refuses the offered INVITE with this answer of 300 to 699, made by `Response::to` its request.
    pub fn refuse(&mut self, response: Response, now: Now) {
        self.input(now, |state, context| match state {
            State::Ringing(ringing) => ringing.refuse(response, context),
            State::Calling(_) | State::Open(_) | State::Over => Next::Stay,
        });
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
        if matches!(method, Method::Invite | Method::Ack | Method::Cancel | Method::Bye) {
            return Err(Unready::NotForUsers);
        }
        self.readiness()?;
        self.input(now, |state, context| {
            if let State::Open(open) = state {
                open.send(method, dress, context);
            }
            Next::Stay
        });
        Ok(())
    }

    /// Ends the session, however far it is: cancels our INVITE, refuses the peer's with 480, sends BYE.
    pub fn end(&mut self, now: Now) {
        self.input(now, |state, context| match state {
            State::Calling(calling) => {
                calling.cancel(context);
                Next::Stay
            }
            State::Ringing(ringing) => ringing.refuse_with(480, context),
            State::Open(open) => {
                open.leave(End::ByUs, context);
                Next::Stay
            }
            State::Over => Next::Stay,
        });
    }

    /// Hears a request other than ACK and CANCEL that has this session's Call-ID and our tag in To.
    pub fn handle_request(&mut self, key: ServerKey, request: Arc<Request>, now: Now) {
        self.input(now, |state, context| match state {
            State::Calling(calling) => {
                calling.handle_request(key, request, context);
                Next::Stay
            }
            State::Ringing(ringing) => ringing.handle_request(key, request, context),
            State::Open(open) => {
                open.handle_request(key, request, context);
                Next::Stay
            }
            State::Over => {
                context.answer(key, &request, 481);
                Next::Stay
            }
        });
    }

    /// Hears an ACK that has this session's Call-ID and our tag in To.
    pub fn handle_ack(&mut self, ack: &Request, now: Now) {
        self.input(now, |state, context| {
            if let State::Open(open) = state {
                open.handle_ack(ack, context);
            }
            Next::Stay
        });
    }

    /// Learns that the peer has cancelled the INVITE that the session began with.
    pub fn handle_cancelled(&mut self, now: Now) {
        self.input(now, |state, context| match state {
            State::Ringing(ringing) => ringing.handle_cancelled(context),
            // Too late: it is accepted, and the peer will say BYE (§9.2).
            State::Open(_) | State::Calling(_) | State::Over => Next::Stay,
        });
    }

    /// Hears a response to a request that it sent; each 2xx of an INVITE comes here.
    pub fn handle_response(&mut self, about: About, response: Box<Response>, now: Now) {
        self.input(now, |state, context| match state {
            State::Calling(calling) => calling.handle_response(about, response, context),
            State::Open(open) => {
                open.handle_response(about, response, context);
                Next::Stay
            }
            State::Ringing(_) | State::Over => Next::Stay,
        });
    }

    /// Learns that a request that it sent has no final response.
    pub fn handle_failure(&mut self, about: About, failure: Failure, now: Now) {
        self.input(now, |state, context| match state {
            State::Calling(calling) => calling.handle_failure(about, failure, context),
            State::Open(open) => {
                open.handle_failure(about, failure, context);
                Next::Stay
            }
            State::Ringing(_) | State::Over => Next::Stay,
        });
    }

    /// Fires the timers that are due.
    pub fn handle_timeout(&mut self, now: Now) {
        self.input(now, |state, context| {
            match state {
                State::Ringing(ringing) => ringing.handle_timeout(context),
                State::Open(open) => open.handle_timeout(context),
                State::Calling(_) | State::Over => {}
            }
            Next::Stay
        });
    }

    /// Returns the next thing to do; drain it before the next input.
    pub fn poll_output(&mut self) -> Option<Output> {
        let output = self.outputs.pop_front();
        if output.is_none() {
            // An idle session keeps no room for what it may do one day.
            self.outputs = VecDeque::new();
        }
        output
    }

    /// Returns when to call [`Self::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Moment> {
        match &self.state {
            State::Ringing(ringing) => ringing.poll_timeout(),
            State::Open(open) => open.poll_timeout(),
            // The endpoint times an INVITE without an answer.
            State::Calling(_) | State::Over => None,
        }
    }

    /// Returns the dialog, once there is one that is confirmed.
    #[must_use]
    pub fn dialog(&self) -> Option<&Dialog> {
        match &self.state {
            State::Open(open) => Some(open.dialog()),
            State::Calling(_) | State::Ringing(_) | State::Over => None,
        }
    }

    /// Returns whether [`Self::send`] would send.
    ///
    /// # Errors
    /// Says why not.
    pub fn readiness(&self) -> Result<(), Unready> {
        match &self.state {
            State::Calling(_) | State::Ringing(_) => Err(Unready::NotEstablished),
            State::Open(open) => open.readiness(),
            State::Over => Err(Unready::Over),
        }
    }

    /// Returns whether nothing can come of it any more: its owner may forget it. Some time after
    /// [`Output::Ended`], because a late fork of our INVITE still wants its ACK and BYE.
    #[must_use]
    pub fn is_over(&self) -> bool {
        match &self.state {
            State::Calling(_) | State::Ringing(_) => false,
            State::Open(open) => open.is_over(),
            State::Over => true,
        }
    }

    fn input(&mut self, now: Now, act: impl FnOnce(&mut State, &mut Context<'_>) -> Next) {
        let mut context = Context { settings: &self.settings, outputs: &mut self.outputs, now };
        match act(&mut self.state, &mut context) {
            Next::Stay => {}
            Next::Open(open) => self.state = State::Open(open),
            Next::Over => self.state = State::Over,
        }
    }
}

impl Context<'_> {
    fn push(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    fn send(&mut self, about: About, request: Request) {
        self.push(Output::Send { about, request: Box::new(request) });
    }

    fn respond(&mut self, key: ServerKey, response: impl Into<Box<Response>>) {
        self.push(Output::Respond { key, response: response.into() });
    }

    fn answer(&mut self, key: ServerKey, request: &Request, status: u16) {
        self.respond(key, Response::to(request, status));
    }
}
