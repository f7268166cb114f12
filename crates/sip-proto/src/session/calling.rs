//! Our INVITE until its final answer (RFC 3261 §13.2).

use std::sync::Arc;

use sip_types::header::{HeaderName, NameAddr};
use sip_types::{HeaderText, Method, Request, Response};

use super::open::{Open, Peer};
use super::{About, Content, Context, End, Next, Output, interval};
use crate::dialog::Dialog;
use crate::endpoint::{Failure, ServerKey};

/// An INVITE of ours without a final answer.
#[derive(Debug)]
pub(super) struct Calling {
    invite: Request,
    /// The early dialogs of its forks, in the order they were heard of.
    early: Vec<Dialog>,
    cancelled: bool,
    /// Whether this is the second try, with the interval that the peer wanted.
    is_second: bool,
}

/// How many early dialogs are known at once; of further forks only the final answer counts.
const EARLY_MAX: usize = 8;

impl Calling {
    pub(super) fn new(invite: Request, context: &mut Context<'_>) -> Self {
        let calling = Self { invite, early: Vec::new(), cancelled: false, is_second: false };
        calling.send(context);
        calling
    }

    fn send(&self, context: &mut Context<'_>) {
        let request = Box::new(self.invite.clone());
        context.push(Output::Send { about: About::Invite, request });
    }

    pub(super) fn cancel(&mut self, context: &mut Context<'_>) {
        if !std::mem::replace(&mut self.cancelled, true) {
            context.push(Output::Cancel);
        }
    }

    pub(super) fn handle_response(
        &mut self,
        about: About,
        response: Box<Response>,
        context: &mut Context<'_>,
    ) -> Next {
        if about != About::Invite {
            return Next::Stay;
        }
        match response.status() {
            ..=100 => Next::Stay,
            101..200 => {
                self.note_early(&response);
                context.push(Output::Progress(response));
                Next::Stay
            }
            200..300 => Next::Open(Box::new(self.accepted(&response, context))),
            422 if !self.cancelled && !self.is_second => self.try_again(response, context),
            300.. => {
                let end = if self.cancelled { End::Cancelled } else { End::Refused(response) };
                context.push(Output::Ended(end));
                Next::Over
            }
        }
    }

    pub(super) fn handle_failure(
        &mut self,
        about: About,
        failure: Failure,
        context: &mut Context<'_>,
    ) -> Next {
        if about != About::Invite {
            return Next::Stay;
        }
        let end = if self.cancelled { End::Cancelled } else { End::Failed(failure) };
        context.push(Output::Ended(end));
        Next::Over
    }

    /// What comes before the 2xx has come another way around. A text in it is a text; the rest has to wait.
    pub(super) fn handle_request(
        &mut self,
        key: ServerKey,
        request: Arc<Request>,
        context: &mut Context<'_>,
    ) {
        let is_ours = *request.call_id() == *self.invite.call_id()
            && request.to().tag().is_some()
            && request.to().tag() == self.invite.from().tag();
        if !is_ours {
            return context.answer(key, &request, 481);
        }
        if let Some(early) = self.early.iter_mut().find(|early| early.is_of(&request))
            && let Err(refusal) = early.handle_request(&request)
        {
            return context.answer(key, &request, refusal.status());
        }
        if let Some(refusal) = context.unsupported(&request) {
            return context.respond(key, refusal);
        }
        match request.method() {
            // Our offer is not answered yet (RFC 3311 §5.2, RFC 3261 §14.2).
            Method::Invite => context.answer(key, &request, 491),
            Method::Update if request.body().is_empty() => context.answer(key, &request, 200),
            Method::Update => context.answer(key, &request, 491),
            Method::Bye => {
                self.early.retain(|early| !early.is_of(&request));
                context.answer(key, &request, 200);
            }
            _ => context.push(Output::Request { key, request }),
        }
    }

    fn note_early(&mut self, response: &Response) {
        let has_tag = response.to_header().is_some_and(|to| to.tag().is_some());
        let is_known = self.early.iter().any(|early| early.answers(response));
        if has_tag
            && !is_known
            && self.early.len() < EARLY_MAX
            && let Ok(dialog) = Dialog::of_client(&self.invite, response)
        {
            self.early.push(dialog);
        }
    }

    fn accepted(&mut self, response: &Response, context: &mut Context<'_>) -> Open {
        let early = self.early.iter().position(|early| early.answers(response));
        let dialog = match early.map(|index| self.early.swap_remove(index)) {
            Some(mut early) => {
                early.confirm(response);
                early
            }
            None => Dialog::accepted(&self.invite, response),
        };
        let contact = self.invite.headers().contact().ok().flatten();
        let contact = contact.unwrap_or_else(|| NameAddr::new(self.invite.from().uri.clone()));
        let mut open = Open::placed(dialog, contact, Content::of(&self.invite), context);
        open.learn(Peer::of_response(response), interval::agreed_by_client(response), context);
        open.acknowledge(self.invite.cseq().number, context);
        if self.cancelled {
            // The CANCEL came too late (§15.1.1).
            open.leave(End::Cancelled, context);
        } else {
            context.push(Output::Established(Content::of_response(response)));
        }
        open
    }

    /// Tries again with the interval that the peer wants at least (RFC 4028 §7.3).
    fn try_again(&mut self, response: Box<Response>, context: &mut Context<'_>) -> Next {
        let Some(seconds) = interval::min_of(response.headers()) else {
            context.push(Output::Ended(End::Refused(response)));
            return Next::Over;
        };
        let number = self.invite.cseq().number.saturating_add(1);
        let seconds = HeaderText::from(seconds);
        let mut invite = self.invite.clone().with_cseq(number);
        for name in [HeaderName::SessionExpires, HeaderName::MinSe] {
            invite.headers_mut().remove(name);
        }
        if !invite.headers().lists(HeaderName::Supported, "timer") {
            invite = invite.with(HeaderName::Supported, &HeaderText::from_static("timer"));
        }
        self.invite = invite.with(HeaderName::SessionExpires, &seconds).with(HeaderName::MinSe, &seconds);
        self.is_second = true;
        self.early.clear();
        self.send(context);
        Next::Stay
    }
}
