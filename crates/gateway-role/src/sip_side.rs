//! What comes from the SIP side: requests of its users, and the fate of our own requests.

use std::sync::Arc;
use std::time::Duration;

use clock_types::{Date, Now};
use sip_proto::endpoint::{Failure, RequestKey, ServerKey, Source};
use sip_proto::msrp::Verdict;
use sip_types::{Method, Request, Response};
use translate::error::failure_to_xmpp;
use translate::message::{
    FailureReport, MessageToSip, MessageToXmpp, SignalToXmpp, ToXmpp as Crossing, failure_report_to_sip,
    message_to_xmpp,
};
use translate::session::{Heard, Parties, chat_state_stanza, mark_delayed};
use translate::sip_to_jid;
use xmpp_types::jid::Jid;
use xmpp_types::stanza_error::{StanzaCondition, StanzaError, error_reply};
use xmpp_types::xml::Element;
use xmpp_types::{ns, stanza};

use crate::answers;
use crate::conversation::{Asker, Pair, wire_code};
use crate::delivery::{Answer, Arrival, Number, ToXmppOutput};
use crate::gateway::{Gateway, Ours};
use crate::links::Sent;
use crate::notice::{Notice, Private, Trace};
use crate::record::{Direction, MessageKey};
use crate::report_to::ReportTo;
use crate::settings::SipDomain;
use crate::xmpp_side::parse;

/// Many programs write the date with every text; only one so old says that it was kept on its way (XEP-0203).
const LATE: Duration = Duration::from_secs(60);

/// Seconds of Retry-After in our own 503.
const RETRY_AFTER: u32 = 30;

impl Gateway {
    /// Takes a request of a SIP user or server.
    pub(crate) fn handle_request(
        &mut self,
        key: ServerKey,
        request: Arc<Request>,
        source: &Source,
        now: Now,
    ) {
        match request.method() {
            // Microsoft's servers want no answer to it whatever happens (MS-PRES §3.7).
            Method::Other(name) if name.as_str() == "BENOTIFY" => {
                self.endpoint.keep_silent(key, now);
                self.hear_best_effort(&request, source, now);
            }
            Method::Other(name) if name.as_str() == "NEGOTIATE" => {
                let status = self.settings.conversations.negotiate_status;
                self.endpoint.respond(key, answers::no_compression(&request, status), now);
            }
            _ if request.to().tag().is_some() => self.handle_inside(key, request, source, now),
            Method::Message => match self.admit(&request, source, now) {
                Ok(message) => self.accept_message(key, request, message, now),
                Err(response) => self.endpoint.respond(key, *response, now),
            },
            Method::Invite => match self.admit_invite(&request, source) {
                Ok(pair) => {
                    self.conversations.handle_invite(key, &request, &pair, source.transport, now);
                }
                Err(response) => self.endpoint.respond(key, *response, now),
            },
            Method::Subscribe => self.handle_subscribe(key, &request, source, now),
            Method::Notify => self.endpoint.respond(key, Response::to(&request, 481), now),
            Method::Options => self.endpoint.respond(key, answers::options(&request), now),
            _ => self.endpoint.respond(key, answers::method_not_allowed(&request), now),
        }
    }

    /// Lets a MESSAGE in, or says why not.
    fn admit(
        &mut self,
        request: &Request,
        source: &Source,
        now: Now,
    ) -> Result<Box<MessageToXmpp>, Box<Response>> {
        self.admit_users(request, source, &[])?;
        match message_to_xmpp(request, &self.settings.to_xmpp) {
            Ok(crossed) => {
                let message = match crossed.value {
                    Crossing::Message(message) => message,
                    // What programs tell each other is not kept: it is heard, and true for a moment only.
                    Crossing::Empty => return Err(Box::new(Response::to(request, 200))),
                    Crossing::Signal(signal) => {
                        self.pass_on(&signal, now);
                        return Err(Box::new(Response::to(request, 200)));
                    }
                };
                for loss in crossed.losses.iter() {
                    let trace = to_xmpp_trace(&message, request);
                    self.notice(Notice::Lost { trace, loss });
                }
                Ok(message)
            }
            Err(refusal) => {
                self.note_refusal(request, refusal.reason.as_str());
                Err(Box::new(refusal.response(request)))
            }
        }
    }

    /// Passes on that a SIP user types, where it is said by itself (RFC 3994), or that he saw a message. How long
    /// typing holds, clients of the XMPP side know.
    fn pass_on(&mut self, signal: &SignalToXmpp, now: Now) {
        let typing = match &signal.heard {
            Heard::Typing(typing) => *typing,
            Heard::Disposition(disposition) => {
                let pair = Pair::new(&signal.to, &signal.from);
                return self.hear_disposition(&pair, disposition, now);
            }
            Heard::Text(_) | Heard::Ignored(_) => return,
        };
        if !self.settings.conversations.typing {
            return;
        }
        let parties = Parties { from: &signal.from, to: &signal.to, thread: None };
        let stanza = chat_state_stanza(&parties, typing.chat_state(), &self.ids.token("state"));
        let pair = || format!("{} {}", signal.from.bare_str(), signal.to.bare_str());
        self.links.send(stanza, Sent::Courtesy, pair, now);
    }

    /// Lets a request of a SIP user to an XMPP user in, or says why not; returns the latter and the former.
    pub(crate) fn admit_users(
        &mut self,
        request: &Request,
        source: &Source,
        extensions: &[&str],
    ) -> Result<(Jid, Jid), Box<Response>> {
        if let Some(response) = answers::unmet_requirement(request, extensions) {
            return Err(Box::new(response));
        }
        let to = sip_to_jid(request.uri())
            .map_err(|why| self.refuse(request, why.status(), &format!("Request-URI: {why}")))?;
        let to_ours = self.settings.domain(to.domain()).is_some();
        let settings = Arc::clone(&self.settings);
        let from = sip_to_jid(&request.from().uri).ok();
        let Some((from, domain)) = from.and_then(|jid| Some((jid.clone(), settings.domain(jid.domain())?)))
        else {
            // A request that we sent ourselves and that was sent back (RFC 5393).
            let (status, reason) = if to_ours {
                (482, "our own request came back")
            } else {
                (403, "From names no SIP domain served here")
            };
            return Err(self.refuse(request, status, reason));
        };
        if let Err(reason) = domain.peers.admit(source) {
            return Err(self.refuse(
                request,
                403,
                &format!("{} may not speak for {}: {reason}", source.remote, domain.name),
            ));
        }
        self.admit_user(&from, request)?;
        if to_ours {
            return Err(self.refuse(request, 404, "the recipient's domain is SIP, not XMPP"));
        }
        if request.headers().max_forwards().ok().flatten() == Some(0) {
            return Err(self.refuse(request, 483, "too many hops"));
        }
        Ok((to, from))
    }

    fn accept_message(
        &mut self,
        key: ServerKey,
        request: Arc<Request>,
        message: Box<MessageToXmpp>,
        now: Now,
    ) {
        let trace = to_xmpp_trace(&message, &request);
        let pair = Pair::new(&message.to, &message.from);
        let sender = &request.from().uri;
        self.dispositions.asked(&pair, &message.id, sender, message.notification.as_ref(), now);
        let lifetime = request.headers().expires().ok().flatten();
        let mut stanza = message.stanza;
        say_if_late(&mut stanza, message.written, &message.from, now);
        let arrival = Arrival {
            key: MessageKey(message.id.as_str().into()),
            stanza,
            report_to: ReportTo { sender: request.from().uri.clone(), notification: message.notification }
                .to_string(),
            lifetime: lifetime
                .map(|seconds| Duration::from_secs(seconds.into()))
                .filter(|life| !life.is_zero()),
        };
        self.take_arrival(Asker::Request { key, request }, arrival, trace, now);
    }

    /// Takes a text that was let in, and will be answered when its fate is known.
    pub(crate) fn take_arrival(&mut self, asker: Asker, arrival: Arrival, trace: Arc<Trace>, now: Now) {
        self.note_written(&arrival.stanza, now);
        let number = self.to_xmpp.handle_message(arrival, now);
        self.by_stanza.entry(trace.stanza.clone()).or_insert(number);
        self.notice(Notice::Arrived(trace.clone()));
        self.to_xmpp_traces.insert(number, trace);
        self.asked.insert(number, asker);
    }

    /// Carries out what a message on its way to XMPP needs.
    pub(crate) fn handle_to_xmpp(&mut self, output: ToXmppOutput, now: Now) {
        match output {
            ToXmppOutput::Deliver { number, stanza } => {
                let trace = self.to_xmpp_traces.get(&number);
                let pair = || trace.map(|trace| trace.pair()).unwrap_or_default();
                self.links.send(stanza, Sent::Message(number), pair, now);
            }
            ToXmppOutput::Withdraw(number) => {
                if self.links.withdraw(Sent::Message(number)) {
                    self.to_xmpp.handle_withdrawn(number, now);
                }
            }
            ToXmppOutput::Answer { number, answer } => self.answer(number, answer, now),
            ToXmppOutput::Report { number, to, stanza, error } => {
                self.report(number, &to, &stanza, &error, now)
            }
            ToXmppOutput::Store(order) => self.store(order),
            ToXmppOutput::Done { number, delivered, took } => {
                self.reports.remove(&number);
                if let Some((session, late)) = self.late.remove(&number)
                    && delivered
                {
                    self.conversations.report_wired(session, &late, now);
                }
                let Some(trace) = self.to_xmpp_traces.remove(&number) else { return };
                if self.by_stanza.get(&trace.stanza) == Some(&number) {
                    self.by_stanza.remove(&trace.stanza);
                }
                if delivered {
                    self.notice(Notice::Delivered { trace, took });
                }
            }
        }
    }

    fn answer(&mut self, number: Number, answer: Answer, now: Now) {
        let Some(asker) = self.asked.remove(&number) else { return };
        match &answer {
            Answer::Accepted => {
                if let Some(trace) = self.to_xmpp_traces.get(&number).cloned() {
                    self.notice(Notice::Kept(trace));
                }
            }
            Answer::NotStored { reason } => self.failed(number, format!("503: {reason}")),
            Answer::Uncertain => self.failed(
                number,
                "504: nobody can say whether it arrived, and it could not be stored".to_owned(),
            ),
            Answer::Refused(refusal) => {
                self.failed(number, format!("{} {}", refusal.status, refusal.reason.as_str()));
            }
            Answer::Delivered | Answer::Merged => {}
        }
        match asker {
            Asker::Request { key, request } => {
                let response = match answer {
                    Answer::Delivered => Response::to(&request, 200),
                    Answer::Accepted => Response::to(&request, 202),
                    Answer::Merged => Response::to(&request, 482),
                    Answer::NotStored { .. } => answers::unavailable(&request, RETRY_AFTER),
                    Answer::Uncertain => Response::to(&request, 504),
                    Answer::Refused(refusal) => refusal.response(&request),
                };
                self.endpoint.respond(key, response, now);
            }
            Asker::Wire { key, session } => {
                let verdict = match answer {
                    // What comes again in another session is ours already (RFC 4975 §5.4).
                    Answer::Delivered | Answer::Merged => Verdict::Delivered,
                    Answer::Accepted => Verdict::Accepted,
                    Answer::NotStored { .. } | Answer::Uncertain => Verdict::Refused(408),
                    Answer::Refused(refusal) => Verdict::Refused(wire_code(refusal.status)),
                };
                if let Some(late) = self.conversations.answer_wired(key, verdict, now) {
                    self.late.insert(number, (session, late));
                }
            }
        }
    }

    fn failed(&mut self, number: Number, outcome: String) {
        if let Some(trace) = self.to_xmpp_traces.get(&number).cloned() {
            self.notice(Notice::Failed { trace, outcome });
        }
    }

    /// Tells a SIP user that his accepted message was not delivered.
    fn report(&mut self, number: Number, to: &str, stanza: &Element, error: &str, now: Now) {
        let error = parse(error).and_then(|element| StanzaError::from_element(&element));
        let error = error.unwrap_or_else(|| StanzaError::new(StanzaCondition::UndefinedCondition));
        self.failed(number, error.to_string());
        match self.report_message(to, stanza, &error) {
            Some((message, domain)) if domain.dialect.has_sessions() => {
                self.say_report(number, message, now);
            }
            Some((message, domain)) => {
                self.send(Ours::Report(number), message.into_request(), &domain.route, now);
            }
            None => self.report_refused(number, "its domain is no longer served here".to_owned(), now),
        }
    }

    fn report_message(
        &self,
        to: &str,
        stanza: &Element,
        error: &StanzaError,
    ) -> Option<(Box<MessageToSip>, SipDomain)> {
        let to = ReportTo::parse(to)?;
        let recipient = stanza::to(stanza).ok().flatten()?;
        let sender = stanza::from(stanza).ok().flatten()?;
        let domain = self.settings.domain(sender.domain())?;
        let body = stanza.child("body", ns::SERVER).map(Element::text).unwrap_or_default();
        let report = FailureReport {
            recipient: &recipient,
            sender: &to.sender,
            text: &body,
            error,
            notification: to.notification.as_ref(),
            id: stanza.attr("id").unwrap_or_default(),
        };
        let message = failure_report_to_sip(&report, domain.to_sip.profile).ok()?;
        Some((Box::new(message), domain.clone()))
    }

    pub(crate) fn report_refused(&mut self, number: Number, reason: String, now: Now) {
        if let Some(trace) = self.to_xmpp_traces.get(&number).cloned() {
            self.notice(Notice::ReportRefused { trace, reason });
        }
        self.to_xmpp.handle_reported(number, now);
    }

    /// Takes the final response to a request of ours.
    pub(crate) fn handle_response(&mut self, key: RequestKey, response: Box<Response>, now: Now) {
        let status = response.status();
        if let Some(Ours::Session { session, about, is_invite }) = self.requests.get(&key) {
            let (session, about) = (*session, *about);
            // Provisional ones come before it, and each 2xx of an INVITE comes by itself.
            if status >= 300 || (status >= 200 && !is_invite) {
                self.requests.remove(&key);
                self.session_answered(about);
            }
            return self.conversations.handle_response(session, about, response, now);
        }
        let Some(ours) = self.requests.remove(&key) else { return };
        let response = &*response;
        if let Ours::Message { number, sent, .. } = &ours {
            self.note_manners(*number, status, now.moment.since(*sent));
        }
        match ours {
            Ours::Message { number, receipt, paged, .. } if (200..300).contains(&status) => {
                if let Some(pair) = paged {
                    self.conversations.handle_paged(&pair, now);
                }
                // 202 is somebody's promise, not a user agent's word (RFC 3428 §7).
                if status == 200
                    && let Some(receipt) = receipt
                    && let Some((link, _)) = self.link_of(number)
                {
                    self.links.reply(link, *receipt, Sent::Courtesy, now);
                }
                self.to_sip.handle_delivered(number, now);
            }
            Ours::Message { number, .. } => {
                let error = self.error_of(response);
                self.fail_to_sip(number, &error, format!("{status} {}", response.reason()), now);
            }
            Ours::Report(number) if (200..300).contains(&status) => {
                if let Some(trace) = self.to_xmpp_traces.get(&number).cloned() {
                    self.notice(Notice::Reported(trace));
                }
                self.to_xmpp.handle_reported(number, now);
            }
            Ours::Report(number) if (500..600).contains(&status) || matches!(status, 408 | 480) => {
                self.to_xmpp.handle_report_failed(number, now);
            }
            Ours::Report(number) => {
                self.report_refused(number, format!("{status} {}", response.reason()), now)
            }
            Ours::Watch { name, sent } => {
                self.note_manners_of_watch(name, status, now.moment.since(sent));
                self.watches.handle_response(name, response, now);
            }
            // The one is a courtesy, the other is heard above.
            Ours::Told | Ours::Session { .. } => {}
        }
    }

    /// Takes the news that a request of ours has no final response.
    pub(crate) fn handle_failure(&mut self, key: RequestKey, failure: Failure, now: Now) {
        match self.requests.remove(&key) {
            Some(Ours::Message { number, sent, .. }) => {
                let error = failure_to_xmpp(&answers::failure(&failure));
                self.note_silence(number, &error, now.moment.since(sent));
                self.fail_to_sip(number, &error, failure.to_string(), now);
            }
            Some(Ours::Report(number)) => self.to_xmpp.handle_report_failed(number, now),
            Some(Ours::Session { session, about, .. }) => {
                self.session_answered(about);
                self.conversations.handle_failure(session, about, failure, now);
            }
            Some(Ours::Watch { name, .. }) => self.watches.handle_failure(name, failure, now),
            Some(Ours::Told) | None => {}
        }
    }

    /// Ends a message to SIP with the error stanza that its sender may have.
    pub(crate) fn fail_to_sip(&mut self, number: Number, error: &StanzaError, outcome: String, now: Now) {
        let reply = self.to_sip.stanza(number).and_then(|stanza| error_reply(stanza, error));
        if let Some(trace) = self.to_sip_traces.get(&number).cloned() {
            self.notice(Notice::Failed { trace, outcome });
        }
        self.to_sip.handle_failed(number, reply, now);
    }

    pub(crate) fn refuse(&mut self, request: &Request, status: u16, reason: &str) -> Box<Response> {
        self.note_refusal(request, reason);
        Box::new(Response::to(request, status))
    }

    pub(crate) fn note_refusal(&mut self, request: &Request, reason: &str) {
        let from = Private(request.from().uri.to_string());
        self.notice(Notice::Refused { direction: Direction::ToXmpp, from, reason: reason.to_owned() });
    }
}

fn to_xmpp_trace(message: &MessageToXmpp, request: &Request) -> Arc<Trace> {
    Arc::new(Trace {
        direction: Direction::ToXmpp,
        from: Private(message.from.to_string()),
        to: Private(message.to.to_string()),
        stanza: message.id.clone(),
        call: request.call_id().to_string(),
    })
}

/// Says in a stanza that its text is old, if its sender says so.
pub(crate) fn say_if_late(stanza: &mut Element, written: Option<Date>, sender: &Jid, now: Now) {
    if let Some(written) = written
        && written.plus(LATE) < now.date
    {
        mark_delayed(stanza, written, sender.domain().as_str());
    }
}
