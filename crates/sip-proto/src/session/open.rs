//! A session with a dialog: its life, its end, and what is left to do after it.

use std::time::Duration;

use clock_types::{Moment, earliest};
use sip_types::header::{HeaderName, NameAddr};
use sip_types::{Headers, Method, Request, Response};

use super::interval::{Interval, Refresher};
use super::{About, Content, Context, End, Output, Unready};
use crate::dialog::Dialog;
use crate::endpoint::{Failure, ServerKey};

/// A dialog that an accepted INVITE has made.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) dialog: Dialog,
    /// Our Contact in it.
    pub(super) contact: NameAddr,
    /// Our offer or answer as it stands.
    pub(super) terms: Option<Content>,
    pub(super) phase: Phase,
    /// Further 2xx of our INVITE, while they may come.
    forks: Option<Box<Forks>>,
    /// Our 2xx that waits for its ACK.
    waiting: Option<Box<Waiting>>,
    pub(super) interval: Option<Interval>,
    pub(super) refresh_by: RefreshBy,
    /// The number of the refresh under way.
    pub(super) refreshing: Option<u32>,
    /// Whether the user's own request is under way.
    inside: bool,
    /// Whether our BYE is.
    bye: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Live,
    /// Ended for the user; the BYE waits for the ACK of our 2xx (§15).
    Leaving,
    Ended,
}

/// What a refresh is sent as (RFC 4028 §7.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RefreshBy {
    Update,
    Invite,
}

/// Who else has accepted our INVITE (§13.2.2.4).
#[derive(Debug)]
struct Forks {
    until: Moment,
    /// Their tags: each has had its BYE.
    refused: Vec<String>,
}

/// A 2xx that is sent again until its ACK (§13.3.1.4).
#[derive(Debug)]
struct Waiting {
    key: ServerKey,
    number: u32,
    response: Response,
    /// Whether it is that of the first INVITE.
    is_first: bool,
    at: Moment,
    interval: Duration,
    until: Moment,
}

/// What the peer has said of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Peer {
    refresh_by: RefreshBy,
}

/// How many forks are known by name; each further one gets its BYE with every 2xx.
const FORKS_MAX: usize = 16;

impl Peer {
    pub(super) fn of_request(request: &Request) -> Self {
        Self::of(request.headers())
    }

    pub(super) fn of_response(response: &Response) -> Self {
        Self::of(response.headers())
    }

    fn of(headers: &Headers) -> Self {
        let takes_update = headers.lists(HeaderName::Allow, "UPDATE");
        Self { refresh_by: if takes_update { RefreshBy::Update } else { RefreshBy::Invite } }
    }
}

impl Open {
    /// Returns what our INVITE has led to.
    pub(super) fn placed(
        dialog: Dialog,
        contact: NameAddr,
        terms: Option<Content>,
        context: &Context<'_>,
    ) -> Self {
        let until = context.now.moment + context.settings.timing.lifetime();
        let forks = Some(Box::new(Forks { until, refused: Vec::new() }));
        Self { forks, ..Self::received(dialog, contact, terms) }
    }

    /// Returns what the peer's INVITE has led to.
    pub(super) fn received(dialog: Dialog, contact: NameAddr, terms: Option<Content>) -> Self {
        Self {
            dialog,
            contact,
            terms,
            phase: Phase::Live,
            forks: None,
            waiting: None,
            interval: None,
            refresh_by: RefreshBy::Invite,
            refreshing: None,
            inside: false,
            bye: false,
        }
    }

    pub(super) fn learn(&mut self, peer: Peer, agreed: Option<(u32, Refresher)>, context: &Context<'_>) {
        self.refresh_by = peer.refresh_by;
        self.interval = agreed.map(|agreed| Interval::new(agreed, context.now));
    }

    pub(super) fn dialog(&self) -> &Dialog {
        &self.dialog
    }

    pub(super) fn readiness(&self) -> Result<(), Unready> {
        match self.phase {
            Phase::Leaving | Phase::Ended => Err(Unready::Over),
            Phase::Live if self.awaits_first_ack() => Err(Unready::NotEstablished),
            Phase::Live if self.inside => Err(Unready::Busy),
            Phase::Live => Ok(()),
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.phase == Phase::Ended && !self.bye && !self.inside && self.forks.is_none()
    }

    /// Sends the user's own request.
    pub(super) fn send(
        &mut self,
        method: Method,
        dress: impl FnOnce(Request) -> Request,
        context: &mut Context<'_>,
    ) {
        self.inside = true;
        let request = dress(self.dialog.request(method));
        context.send(About::Inside, request);
    }

    /// Acknowledges a 2xx of ours with this number, the first time or again (§13.2.2.4).
    pub(super) fn acknowledge(&self, number: u32, context: &mut Context<'_>) {
        context.send(About::Ack, self.dialog.ack(number));
    }

    /// Says 2xx to an INVITE, again and again until its ACK.
    pub(super) fn accepted(
        &mut self,
        key: ServerKey,
        invite: &Request,
        response: Response,
        context: &mut Context<'_>,
    ) {
        let (now, timing) = (context.now.moment, context.settings.timing);
        let is_first = self.phase == Phase::Live && invite.to().tag().is_none();
        self.waiting = Some(Box::new(Waiting {
            key,
            number: invite.cseq().number,
            response: response.clone(),
            is_first,
            at: now + timing.t1,
            interval: timing.t1,
            until: now + timing.lifetime(),
        }));
        context.respond(key, response);
    }

    pub(super) fn handle_ack(&mut self, ack: &Request, context: &mut Context<'_>) {
        let is_awaited = self.waiting.as_ref().is_some_and(|waiting| waiting.number == ack.cseq().number);
        if is_awaited && self.dialog.is_of(ack) {
            self.acknowledged(Content::of(ack), context);
        }
    }

    /// Learns that our 2xx has arrived.
    pub(super) fn acknowledged(&mut self, content: Option<Content>, context: &mut Context<'_>) {
        let Some(waiting) = self.waiting.take() else { return };
        match self.phase {
            Phase::Live if waiting.is_first => context.push(Output::Established(content)),
            Phase::Leaving => self.say_bye(context),
            Phase::Live | Phase::Ended => {}
        }
    }

    /// Ends the session with BYE, as soon as that may be sent.
    pub(super) fn leave(&mut self, end: End, context: &mut Context<'_>) {
        match self.phase {
            Phase::Live => {
                context.push(Output::Ended(end));
                self.interval = None;
                if self.awaits_first_ack() {
                    self.phase = Phase::Leaving;
                } else {
                    self.say_bye(context);
                }
            }
            Phase::Leaving | Phase::Ended => {}
        }
    }

    /// Ends the session without BYE: the peer knows.
    pub(super) fn close(&mut self, end: End, context: &mut Context<'_>) {
        match self.phase {
            Phase::Live => context.push(Output::Ended(end)),
            Phase::Leaving | Phase::Ended => {}
        }
        self.phase = Phase::Ended;
        self.interval = None;
        self.waiting = None;
    }

    pub(super) fn handle_response(
        &mut self,
        about: About,
        response: Box<Response>,
        context: &mut Context<'_>,
    ) {
        let status = response.status();
        match about {
            About::Invite if (200..300).contains(&status) => self.accepted_again(&response, context),
            About::Inside if status >= 200 && self.inside => {
                self.inside = false;
                self.dialog.handle_response(&response);
                context.push(Output::Response(response));
                self.judge(status, context);
            }
            About::Refresh if status >= 200 => self.refreshed(&response, context),
            About::Bye if status >= 200 => self.bye = false,
            About::Invite | About::Inside | About::Refresh | About::Bye => {}
            About::Ack | About::StrayBye => {}
        }
    }

    pub(super) fn handle_failure(&mut self, about: About, failure: Failure, context: &mut Context<'_>) {
        let timed_out = matches!(failure, Failure::Timeout { .. });
        match about {
            About::Inside if self.inside => {
                self.inside = false;
                context.push(Output::RequestFailed(failure));
            }
            About::Refresh => {
                self.refreshing = None;
                if let Some(interval) = &mut self.interval {
                    interval.refresh_later(None, context.now);
                }
            }
            About::Bye => self.bye = false,
            About::Invite | About::Inside | About::Ack | About::StrayBye => return,
        }
        if timed_out {
            self.judge(408, context);
        }
    }

    pub(super) fn handle_timeout(&mut self, context: &mut Context<'_>) {
        let now = context.now.moment;
        if self.forks.as_ref().is_some_and(|forks| forks.until <= now) {
            self.forks = None;
        }
        if let Some(waiting) = &mut self.waiting {
            if waiting.until <= now {
                self.waiting = None;
                match self.phase {
                    Phase::Live => self.leave(End::Unacknowledged, context),
                    Phase::Leaving => self.say_bye(context),
                    Phase::Ended => {}
                }
            } else if waiting.at <= now {
                waiting.interval = (waiting.interval * 2).min(context.settings.timing.t2);
                waiting.at = now + waiting.interval;
                context.respond(waiting.key, waiting.response.clone());
            }
        }
        self.look_at_interval(context);
    }

    pub(super) fn poll_timeout(&self) -> Option<Moment> {
        let waiting = self.waiting.as_ref().map(|waiting| waiting.at.min(waiting.until));
        let interval = self.interval.as_ref().map(|interval| interval.next(self.refreshing.is_some()));
        let forks = self.forks.as_ref().map(|forks| forks.until);
        earliest(earliest(waiting, interval), forks)
    }

    pub(super) fn say_bye(&mut self, context: &mut Context<'_>) {
        self.phase = Phase::Ended;
        self.waiting = None;
        self.bye = true;
        let bye = self.dialog.request(Method::Bye);
        context.send(About::Bye, bye);
    }

    /// Draws the conclusions from a final response inside the session (RFC 5057 §5.1, table 2).
    pub(super) fn judge(&mut self, status: u16, context: &mut Context<'_>) {
        match status {
            481 => self.close(End::Gone(status), context),
            404 | 408 | 410 | 416 | 480 | 482..=485 | 502 | 604 => self.leave(End::Gone(status), context),
            _ => {}
        }
    }

    fn awaits_first_ack(&self) -> bool {
        self.waiting.as_ref().is_some_and(|waiting| waiting.is_first)
    }

    /// Hears a further 2xx of our INVITE: again from the peer, or from another fork, which gets its ACK and a
    /// BYE (§13.2.2.4).
    fn accepted_again(&mut self, response: &Response, context: &mut Context<'_>) {
        let Some(number) = response.cseq().map(|cseq| cseq.number) else { return };
        if self.dialog.answers(response) {
            return self.acknowledge(number, context);
        }
        let Some(forks) = &mut self.forks else { return };
        let tag = response.to_header().and_then(|to| to.tag()).unwrap_or_default();
        let is_new = forks.refused.iter().all(|refused| refused != tag);
        if is_new && forks.refused.len() < FORKS_MAX {
            forks.refused.push(tag.to_owned());
        }
        let mut fork = self.dialog.fork(number, response);
        context.send(About::Ack, fork.ack(number));
        if is_new {
            let bye = fork.request(Method::Bye);
            context.send(About::StrayBye, bye);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_session_takes_little_room() {
        let alone = size_of::<super::super::Session>() + size_of::<Open>();

        // Its strings come on top: addresses, routes and an SDP body, together less than 1 KiB.
        assert!(alone + size_of::<crate::dialog::Parts>() <= 1536);
    }
}
