//! The peer's INVITE until our final answer (RFC 3261 §13.3).

use std::sync::Arc;
use std::time::Duration;

use clock_types::Moment;
use sip_types::header::{HeaderName, NameAddr};
use sip_types::{HeaderText, Method, Request, Response, Token};

use super::interval::{self, Asked};
use super::open::{Open, Peer};
use super::{Content, Context, End, Next, Output};
use crate::dialog::Dialog;
use crate::endpoint::ServerKey;

/// An INVITE of the peer's without our final answer.
#[derive(Debug)]
pub(super) struct Ringing {
    key: ServerKey,
    invite: Arc<Request>,
    tag: Token,
    contact: NameAddr,
    dialog: Dialog,
    asked: Option<Asked>,
    /// What was said last, and when it is said again.
    said: Option<(u16, Moment)>,
}

/// How long a proxy is left without something provisional (§13.3.1.1).
const SAY_AGAIN_AFTER: Duration = Duration::from_mins(1);

impl Ringing {
    /// Checks the INVITE; `None` if it is refused.
    pub(super) fn new(
        key: ServerKey,
        invite: Arc<Request>,
        tag: &Token,
        contact: NameAddr,
        context: &mut Context<'_>,
    ) -> Option<Self> {
        let checked = match (context.unsupported(&invite), interval::asked(&invite, context.settings)) {
            (Some(refusal), _) => Err(refusal),
            (None, Err(refusal)) => Err(*refusal),
            (None, Ok(asked)) => match Dialog::of_server(&invite, tag) {
                Ok(dialog) => Ok((dialog, asked)),
                Err(why) => {
                    let reason = HeaderText::clean(&format!("Bad Request - {why}")).text;
                    Err(Response::to(&invite, 400).with_reason(&reason))
                }
            },
        };
        match checked {
            Ok((dialog, asked)) => {
                context.push(Output::Offered);
                Some(Self { key, invite, tag: tag.clone(), contact, dialog, asked, said: None })
            }
            Err(refusal) => {
                let status = refusal.status();
                context.respond(key, refusal.with_to_tag(tag));
                context.push(Output::Ended(End::Declined(status)));
                None
            }
        }
    }

    pub(super) fn ring(&mut self, status: u16, context: &mut Context<'_>) {
        if (101..200).contains(&status) {
            self.said = Some((status, context.now.moment + SAY_AGAIN_AFTER));
            context.respond(self.key, self.response(status, context));
        }
    }

    pub(super) fn accept(&mut self, content: Option<Content>, context: &mut Context<'_>) -> Open {
        let mut response = self.response(200, context);
        if let Some(asked) = &self.asked {
            asked.put(&mut response);
        }
        if let Some(content) = &content {
            response = content.clone().on_response(response);
        }
        let mut open = Open::received(self.dialog.clone(), self.contact.clone(), content);
        open.learn(Peer::of_request(&self.invite), self.asked.map(Asked::as_server), context);
        open.accepted(self.key, &self.invite, response, context);
        open
    }

    pub(super) fn refuse(&mut self, response: Response, context: &mut Context<'_>) -> Next {
        if response.status() < 300 {
            return Next::Stay;
        }
        let status = response.status();
        context.respond(self.key, response.with_to_tag(&self.tag));
        context.push(Output::Ended(End::Declined(status)));
        Next::Over
    }

    pub(super) fn refuse_with(&mut self, status: u16, context: &mut Context<'_>) -> Next {
        self.refuse(Response::to(&self.invite, status), context)
    }

    pub(super) fn handle_cancelled(&mut self, context: &mut Context<'_>) -> Next {
        context.respond(self.key, Response::to(&self.invite, 487).with_to_tag(&self.tag));
        context.push(Output::Ended(End::Cancelled));
        Next::Over
    }

    pub(super) fn handle_request(
        &mut self,
        key: ServerKey,
        request: Arc<Request>,
        context: &mut Context<'_>,
    ) -> Next {
        if let Err(refusal) = self.dialog.handle_request(&request) {
            context.answer(key, &request, refusal.status());
            return Next::Stay;
        }
        if let Some(refusal) = context.unsupported(&request) {
            context.respond(key, refusal);
            return Next::Stay;
        }
        match request.method() {
            // A BYE may end what is still early (§15.1.2).
            Method::Bye => {
                context.answer(key, &request, 200);
                return self.handle_cancelled(context);
            }
            Method::Update if request.body().is_empty() => context.answer(key, &request, 200),
            // The peer's first offer is not answered yet (§14.2, RFC 3311 §5.2).
            Method::Invite | Method::Update => {
                let later = HeaderText::from_static("1");
                context.respond(key, Response::to(&request, 500).with(HeaderName::RetryAfter, &later));
            }
            // Nothing provisional of ours was to be acknowledged (RFC 3262 §3).
            Method::Prack => context.answer(key, &request, 481),
            _ => context.push(Output::Request { key, request }),
        }
        Next::Stay
    }

    pub(super) fn handle_timeout(&mut self, context: &mut Context<'_>) {
        if let Some((status, at)) = self.said
            && at <= context.now.moment
        {
            self.ring(status, context);
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Moment> {
        self.said.map(|(_, at)| at)
    }

    /// A response that makes a dialog: it repeats Record-Route and has our Contact (§12.1.1).
    fn response(&self, status: u16, context: &Context<'_>) -> Response {
        let mut response = Response::to(&self.invite, status).with_to_tag(&self.tag);
        response.headers_mut().copy(HeaderName::RecordRoute, self.invite.headers());
        response = response.with_contact(&self.contact);
        if status >= 200 {
            response = context.with_headers(response);
        }
        response
    }
}
