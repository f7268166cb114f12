//! What comes from the XMPP side: stanzas of its users, and what a restart finds in the store.

use std::sync::Arc;

use clock_types::Now;
use translate::error::{Failure, error_to_sip, failure_to_xmpp};
use translate::message::{MessageToSip, ToSip as Crossing, message_to_sip};
use translate::{Translated, iq_answer};
use xmpp_proto::link::ReceivedId;
use xmpp_types::jid::Jid;
use xmpp_types::ns;
use xmpp_types::stanza;
use xmpp_types::stanza_error::{StanzaCondition, StanzaError, error_reply};
use xmpp_types::xml::{Element, Limits, parse_document};

use crate::conversation::Pair;
use crate::delivery::{Number, ToSipOutput};
use crate::gateway::Gateway;
use crate::links::Sent;
use crate::notice::{Notice, Private, Trace};
use crate::record::{AcceptedMessage, Direction, MessageKey, Recovered};
use crate::settings::SipDomain;
use crate::strangers;

impl Gateway {
    /// Takes a stanza that the proxy let in.
    pub(crate) fn handle_stanza(&mut self, link: usize, n: ReceivedId, stanza: Element, now: Now) {
        // An error may be the proxy's word that the partner cannot be reached.
        if stanza.attr("type") != Some("error")
            && let Ok(Some(from)) = stanza::from(&stanza)
        {
            self.watches.handle_xmpp_heard(from.domain(), now);
        }
        if stanza.is("message", ns::SERVER) {
            if stanza.attr("type") == Some("error") {
                self.handle_error_stanza(&stanza, now);
                self.links.settle(link, n, now);
            } else {
                self.handle_message_stanza(link, n, stanza, now);
            }
            return;
        }
        if !stanza.is("iq", ns::SERVER) {
            return self.handle_presence_stanza(link, n, &stanza, now);
        }
        let parties = stanza::from(&stanza).ok().flatten().zip(stanza::to(&stanza).ok().flatten());
        let known = parties.and_then(|(from, to)| self.watches.discover(&stanza, &from, &to));
        if let Some(answer) = known.or_else(|| iq_answer(&stanza)) {
            self.links.reply(link, answer, Sent::Courtesy, now);
        }
        self.links.settle(link, n, now);
    }

    /// Takes an error: the end of a message of ours, if it is the one it claims to be.
    fn handle_error_stanza(&mut self, stanza: &Element, now: Now) {
        let Some(number) = stanza.attr("id").and_then(|id| self.by_stanza.get(id)).copied() else { return };
        let Some(trace) = self.to_xmpp_traces.get(&number) else { return };
        let from = stanza::from(stanza).ok().flatten();
        // Whoever answers must be whom we asked: the user, or his server (RFC 6120 §8.3.1).
        let to = Jid::parse(&trace.to.0).ok();
        let asked = match (&from, &to) {
            (Some(from), Some(to)) => from.domain() == to.domain(),
            _ => false,
        };
        if !asked {
            return;
        }
        let error = stanza
            .child("error", ns::SERVER)
            .and_then(StanzaError::from_element)
            .unwrap_or_else(|| StanzaError::new(StanzaCondition::UndefinedCondition));
        let refusal = error_to_sip(&error, from.as_ref()).value;
        self.to_xmpp.handle_error(number, refusal, error.to_element().to_string(), now);
    }

    fn handle_message_stanza(&mut self, link: usize, n: ReceivedId, stanza: Element, now: Now) {
        let key = MessageKey(self.ids.token("message").into());
        let to = stanza::to(&stanza).ok().flatten();
        let settings = Arc::clone(&self.settings);
        let domain = to.as_ref().and_then(|jid| settings.domain(jid.domain()));
        let (Some(to), Some(domain)) = (to, domain) else {
            return self.refuse_stanza(link, n, key, stanza, &failure_to_xmpp(&Failure::UnknownDomain), now);
        };
        let target = queue_of(&stanza, &to, domain);
        let from = stanza::from(&stanza).ok().flatten();
        let stranger = from.filter(|from| self.is_stranger(from, &to, now));
        let crossed = self.cross(&stanza, &key.0, domain);
        let message = match crossed.value {
            Crossing::Message(message) => match stranger {
                None => message,
                Some(from) => {
                    return self.refuse_stanza(link, n, key, stanza, &strangers::refusal(&from, &to), now);
                }
            },
            Crossing::NotAMessage(_) if stranger.is_some() => return self.links.settle(link, n, now),
            Crossing::NotAMessage(reason) => {
                let [from, named] = ["from", "to"].map(|key| stanza.attr(key).unwrap_or_default());
                let (from, named) = (Private(from.to_owned()), Private(named.to_owned()));
                self.notice(Notice::Ended { from, to: named, reason });
                self.hear_signals(&stanza, &target, domain, now);
                self.tell_disposition(&stanza, &to, domain, now);
                return self.links.settle(link, n, now);
            }
            Crossing::Refused(error) => return self.refuse_stanza(link, n, key, stanza, &error, now),
        };
        if self.to_sip.is_full(&target) || self.waits_too_much(&target, &message) {
            return self.refuse_stanza(link, n, key, stanza, &failure_to_xmpp(&Failure::Busy), now);
        }
        let trace = to_sip_trace(&message, &stanza);
        for loss in crossed.losses.iter() {
            self.notice(Notice::Lost { trace: trace.clone(), loss });
        }
        let number = self.to_sip.handle_message(key, stanza, &target, now);
        self.received.insert(number, (link, n));
        self.notice(Notice::Arrived(trace.clone()));
        self.to_sip_traces.insert(number, trace);
        self.translated.insert(number, message);
    }

    fn refuse_stanza(
        &mut self,
        link: usize,
        n: ReceivedId,
        key: MessageKey,
        stanza: Element,
        error: &StanzaError,
        now: Now,
    ) {
        let from = Private(stanza.attr("from").unwrap_or_default().to_owned());
        let reason = error.to_string();
        self.notice(Notice::Refused { direction: Direction::ToSip, from, reason });
        match error_reply(&stanza, error) {
            Some(reply) => {
                let number = self.to_sip.handle_refused(key, stanza, reply, now);
                self.received.insert(number, (link, n));
            }
            None => self.links.settle(link, n, now),
        }
    }

    /// Carries out what a message on its way to SIP needs.
    pub(crate) fn handle_to_sip(&mut self, output: ToSipOutput, now: Now) {
        match output {
            ToSipOutput::Request { number, stanza } => self.request(number, &stanza, now),
            ToSipOutput::Settle(number) => {
                if let Some((link, n)) = self.received.remove(&number) {
                    self.links.settle(link, n, now);
                }
            }
            ToSipOutput::Report { number, error } => {
                match self.link_of(number) {
                    Some((link, _)) => self.links.reply(link, error, Sent::Report(number), now),
                    None => {
                        let to = error.attr("to").unwrap_or_default().to_owned();
                        self.links.send(error, Sent::Report(number), || to, now);
                    }
                };
            }
            ToSipOutput::Expired { number } => {
                let reason = "it waited too long behind other messages".to_owned();
                let error = failure_to_xmpp(&Failure::Expired(reason.clone()));
                self.fail_to_sip(number, &error, reason, now);
            }
            ToSipOutput::Store(order) => self.store(order),
            ToSipOutput::Done { number, delivered, took } => {
                self.translated.remove(&number);
                if let Some(trace) = self.to_sip_traces.remove(&number)
                    && delivered
                {
                    self.notice(Notice::Delivered { trace, took });
                }
            }
        }
    }

    /// Sends a message whose turn has come.
    fn request(&mut self, number: Number, stanza: &Element, now: Now) {
        let settings = Arc::clone(&self.settings);
        // What is translated has its address read already.
        let to = match self.translated.get(&number) {
            Some(message) => Some(message.to_jid.clone()),
            None => stanza::to(stanza).ok().flatten(),
        };
        let Some((to, domain)) = to.and_then(|jid| Some((jid.clone(), settings.domain(jid.domain())?)))
        else {
            let error = failure_to_xmpp(&Failure::UnknownDomain);
            return self.fail_to_sip(number, &error, "its domain is no longer served here".to_owned(), now);
        };
        if !settings.policy.allows(&to) {
            return self.unknown.handle_refused(number, &domain.name, now);
        }
        let message = self.translated.remove(&number);
        let Some(message) = message.or_else(|| self.translate_again(number, stanza, domain)) else {
            let error = failure_to_xmpp(&Failure::NotAllowed("it can no longer be translated".to_owned()));
            return self.fail_to_sip(number, &error, "it can no longer be translated".to_owned(), now);
        };
        if domain.dialect.has_sessions() {
            return self.say_text(number, stanza, message, domain, now);
        }
        self.page_text(number, message, None, domain, now);
    }

    /// Translates a message. What a program calls itself in its presence is mostly made up, and would be an address that
    /// nobody has: such a message goes to the user.
    fn cross(&self, stanza: &Element, key: &str, domain: &SipDomain) -> Translated<Crossing> {
        let mut crossed = message_to_sip(stanza, key, &domain.to_sip);
        if let Crossing::Message(message) = &mut crossed.value
            && self.watches.is_label(&message.from_jid, &message.to_jid)
        {
            message.request_uri = message.request_uri.address();
        }
        crossed
    }

    fn translate_again(
        &mut self,
        number: Number,
        stanza: &Element,
        domain: &SipDomain,
    ) -> Option<Box<MessageToSip>> {
        let key = self.to_sip.key(number)?.0.clone();
        match self.cross(stanza, &key, domain).value {
            Crossing::Message(message) => {
                self.to_sip_traces.insert(number, to_sip_trace(&message, stanza));
                Some(message)
            }
            Crossing::NotAMessage(_) | Crossing::Refused(_) => None,
        }
    }

    pub(crate) fn link_of(&self, number: Number) -> Option<(usize, ReceivedId)> {
        self.received.get(&number).copied()
    }

    /// Goes on from what an earlier process left.
    pub(crate) fn recover(&mut self, recovered: Recovered, now: Now) {
        for (key, settled) in recovered.settled {
            self.to_xmpp.recover_settled(key, settled, now);
        }
        for kept in recovered.unsettled {
            let Some(stanza) = parse(&kept.stanza) else { continue };
            match kept.direction {
                Direction::ToXmpp => self.recover_to_xmpp(kept, stanza, now),
                Direction::ToSip => {
                    let report = kept.report.as_deref().and_then(parse);
                    let to = stanza::to(&stanza).ok().flatten();
                    let target = to.map(|to| match self.settings.domain(to.domain()) {
                        Some(domain) => queue_of(&stanza, &to, domain),
                        None => to.bare_str().to_owned(),
                    });
                    self.to_sip.recover(kept, stanza, report, &target.unwrap_or_default(), now);
                }
            }
        }
    }

    fn recover_to_xmpp(&mut self, kept: AcceptedMessage, stanza: Element, now: Now) {
        let trace = Arc::new(Trace {
            direction: Direction::ToXmpp,
            from: Private(stanza.attr("from").unwrap_or_default().to_owned()),
            to: Private(stanza.attr("to").unwrap_or_default().to_owned()),
            stanza: stanza.attr("id").unwrap_or_default().to_owned(),
            call: String::new(),
        });
        let number = self.to_xmpp.recover(kept, stanza, now);
        self.by_stanza.insert(trace.stanza.clone(), number);
        self.to_xmpp_traces.insert(number, trace);
    }
}

/// Names the queue that a message waits in: that of its SIP user (RFC 3428 §8); of the pair where they talk in a
/// session, so that one that is not answered yet holds up nobody else.
fn queue_of(stanza: &Element, to: &Jid, domain: &SipDomain) -> String {
    match stanza::from(stanza).ok().flatten() {
        Some(from) if domain.dialect.has_sessions() => Pair::key_of(&from, to),
        Some(_) | None => to.bare_str().to_owned(),
    }
}

/// Reads a stanza that was kept.
pub(crate) fn parse(stanza: &str) -> Option<Element> {
    parse_document(stanza.as_bytes(), &Limits::AUTHENTICATED).ok()
}

fn to_sip_trace(message: &MessageToSip, stanza: &Element) -> Arc<Trace> {
    Arc::new(Trace {
        direction: Direction::ToSip,
        from: Private(message.from_jid.to_string()),
        to: Private(message.to_jid.to_string()),
        stanza: stanza.attr("id").unwrap_or_default().to_owned(),
        call: message.call_id.to_string(),
    })
}
