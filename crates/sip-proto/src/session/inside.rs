//! Requests inside a session: those of the peer, and our refreshes.

use std::sync::Arc;
use std::time::Duration;

use sip_types::header::HeaderName;
use sip_types::{HeaderText, Method, Request, Response};

use super::interval::{self, Asked, Due, Interval};
use super::open::{Open, Phase, RefreshBy};
use super::{About, Content, Context, End, Output};
use crate::endpoint::ServerKey;

impl Open {
    pub(super) fn handle_request(
        &mut self,
        key: ServerKey,
        request: Arc<Request>,
        context: &mut Context<'_>,
    ) {
        if let Err(refusal) = self.dialog.handle_request(&request) {
            return context.answer(key, &request, refusal.status());
        }
        match (self.phase, request.method()) {
            // Both may say BYE at once.
            (Phase::Live | Phase::Leaving | Phase::Ended, Method::Bye) => {
                context.answer(key, &request, 200);
                let reason = request.headers().text(HeaderName::Reason).map(|text| text.into_owned());
                self.close(End::ByPeer(reason), context);
            }
            (Phase::Leaving | Phase::Ended, _) => context.answer(key, &request, 481),
            (Phase::Live, method) => {
                if let Some(refusal) = context.unsupported(&request) {
                    return context.respond(key, refusal);
                }
                match method {
                    Method::Invite => self.reinvited(key, &request, context),
                    Method::Update => self.updated(key, &request, context),
                    // Nothing provisional of ours was to be acknowledged (RFC 3262 §3).
                    Method::Prack => context.answer(key, &request, 481),
                    _ => context.push(Output::Request { key, request }),
                }
            }
        }
    }

    /// Answers a re-INVITE with our terms as they are (§14.2).
    fn reinvited(&mut self, key: ServerKey, request: &Request, context: &mut Context<'_>) {
        // The peer may not send it before it has our 2xx to the one before (§14.1): the ACK was lost.
        self.acknowledged(None, context);
        let offer = Content::of(request);
        let asked = match self.considered(request, offer.as_ref(), context) {
            Ok(asked) => asked,
            Err(refusal) => return context.respond(key, refusal),
        };
        let response = self.agreement(request, self.terms.as_ref(), asked, context);
        self.accepted(key, request, response, context);
        self.take_over(offer, asked, context);
    }

    /// Answers an UPDATE: an offer with our terms as they are (RFC 3311 §5.2).
    fn updated(&mut self, key: ServerKey, request: &Request, context: &mut Context<'_>) {
        let offer = Content::of(request);
        let asked = match self.considered(request, offer.as_ref(), context) {
            Ok(asked) => asked,
            Err(refusal) => return context.respond(key, refusal),
        };
        let terms = if offer.is_some() { self.terms.as_ref() } else { None };
        let response = self.agreement(request, terms, asked, context);
        context.respond(key, response);
        self.take_over(offer, asked, context);
    }

    /// Returns the interval that a re-INVITE or UPDATE asks for.
    ///
    /// # Errors
    /// Is the answer that refuses it; the session stays as it was.
    fn considered(
        &self,
        request: &Request,
        offer: Option<&Content>,
        context: &Context<'_>,
    ) -> Result<Option<Asked>, Box<Response>> {
        let is_invite = *request.method() == Method::Invite;
        let we_offer = self.refreshing.is_some() && self.refresh_by == RefreshBy::Invite;
        if we_offer && (is_invite || offer.is_some()) {
            return Err(Response::to(request, 491).into());
        }
        let is_foreign = |offer: &Content| match &self.terms {
            Some(terms) => !terms.can_answer(offer),
            None => true,
        };
        // What we agreed to cannot answer for another medium (RFC 3264 §6).
        if offer.is_some_and(is_foreign) {
            return Err(Response::to(request, 488).into());
        }
        interval::asked(request, context.settings)
    }

    fn agreement(
        &self,
        request: &Request,
        terms: Option<&Content>,
        asked: Option<Asked>,
        context: &Context<'_>,
    ) -> Response {
        let mut response = Response::to(request, 200);
        response.headers_mut().copy(HeaderName::RecordRoute, request.headers());
        response = context.with_headers(response.with_contact(&self.contact));
        if let Some(asked) = asked {
            asked.put(&mut response);
        }
        match terms {
            Some(terms) => terms.clone().on_response(response),
            None => response,
        }
    }

    fn take_over(&mut self, offer: Option<Content>, asked: Option<Asked>, context: &mut Context<'_>) {
        self.interval = asked.map(|asked| Interval::new(asked.as_server(), context.now));
        if let Some(offer) = offer {
            context.push(Output::Modified(offer));
        }
    }

    pub(super) fn look_at_interval(&mut self, context: &mut Context<'_>) {
        let Some(interval) = &self.interval else { return };
        match interval.due(context.now) {
            Due::Nothing => {}
            Due::Expiry => self.leave(End::Expired, context),
            Due::Refresh if self.refreshing.is_some() => {}
            Due::Refresh => self.refresh(interval.seconds, context),
        }
    }

    /// Sends a refresh (RFC 4028 §7.4, §10).
    fn refresh(&mut self, seconds: u32, context: &mut Context<'_>) {
        let mut request = match self.refresh_by {
            RefreshBy::Update => self.dialog.request(Method::Update),
            RefreshBy::Invite => {
                let invite = self.dialog.request(Method::Invite);
                match &self.terms {
                    Some(terms) => invite.with_body(&terms.content_type, terms.body.clone()),
                    None => invite,
                }
            }
        };
        request = request.with_contact(&self.contact);
        for (name, value) in &context.settings.headers {
            request = request.with(*name, value);
        }
        if !request.headers().lists(HeaderName::Supported, "timer") {
            request = request.with(HeaderName::Supported, &HeaderText::from_static("timer"));
        }
        let value = HeaderText::clean(&format!("{seconds};refresher=uac")).text;
        request = request.with(HeaderName::SessionExpires, &value);
        self.refreshing = Some(request.cseq().number);
        context.send(About::Refresh, request);
    }

    /// Hears the final answer to a refresh.
    pub(super) fn refreshed(&mut self, response: &Response, context: &mut Context<'_>) {
        let Some(cseq) = response.cseq() else { return };
        let (status, is_ok) = (response.status(), (200..300).contains(&response.status()));
        if is_ok && cseq.method == Method::Invite {
            self.acknowledge(cseq.number, context);
        }
        if self.refreshing != Some(cseq.number) {
            return;
        }
        self.refreshing = None;
        let Some(interval) = &mut self.interval else { return };
        match status {
            _ if is_ok => {
                self.dialog.handle_response(response);
                let agreed = interval::agreed_by_client(response);
                self.interval = agreed.map(|agreed| Interval::new(agreed, context.now));
            }
            // COMPAT(several servers, all): UPDATE is in Allow and yet refused; harmless, so it may stay.
            405 | 501 if self.refresh_by == RefreshBy::Update => {
                self.refresh_by = RefreshBy::Invite;
                let seconds = interval.seconds;
                self.refresh(seconds, context);
            }
            422 => match interval::min_of(response.headers()) {
                Some(seconds) if seconds > interval.seconds => {
                    interval.seconds = seconds;
                    self.refresh(seconds, context);
                }
                Some(_) | None => interval.refresh_later(None, context.now),
            },
            491 => {
                let wait = glare_wait(self.dialog.parts().local_seq, self.dialog.parts().call_id.as_str());
                interval.refresh_later(Some(wait), context.now);
            }
            _ => {
                interval.refresh_later(None, context.now);
                self.judge(status, context);
            }
        }
    }
}

/// Returns how long to wait after a 491: 2.1 to 4 s, spread so that not all wait alike (§14.1).
fn glare_wait(number: u32, call_id: &str) -> Duration {
    let spread = call_id.bytes().fold(number, |sum, octet| sum.wrapping_mul(31).wrapping_add(octet.into()));
    Duration::from_millis(2100 + u64::from(spread % 191) * 10)
}

impl Context<'_> {
    /// Returns the 420 for a request that requires what we do not know (§8.2.2.3).
    pub(super) fn unsupported(&self, request: &Request) -> Option<Response> {
        let is_known = |option: &[u8]| {
            option.eq_ignore_ascii_case(b"timer")
                || self.settings.understood.iter().any(|known| option.eq_ignore_ascii_case(known.as_bytes()))
        };
        let unknown: Vec<_> = request
            .headers()
            .values(HeaderName::Require)
            .filter(|option| !is_known(option))
            .map(String::from_utf8_lossy)
            .collect();
        if unknown.is_empty() {
            return None;
        }
        let unsupported = HeaderText::clean(&unknown.join(", ")).text;
        Some(Response::to(request, 420).with(HeaderName::Unsupported, &unsupported))
    }

    /// Puts on an answer what each 2xx of ours says.
    pub(super) fn with_headers(&self, response: Response) -> Response {
        self.settings.headers.iter().fold(response, |response, (name, value)| response.with(*name, value))
    }
}
