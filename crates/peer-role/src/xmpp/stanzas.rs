//! Stanzas for the server's users, and where its own go.

use std::collections::BTreeSet;

use clock_types::Now;
use xmpp_proto::stream::Received;
use xmpp_types::jid::{DomainName, Jid};
use xmpp_types::ns;
use xmpp_types::stanza::StanzaKind;
use xmpp_types::stanza_error::{StanzaCondition, StanzaError, error_reply};
use xmpp_types::xml::Element;

use super::{Acks, Open, Stanzas, Stream, XmppServer};
use crate::Said;

/// What a note of a text for nobody begins with; the text follows.
pub const NO_SUCH_USER: &str = "no such user for: ";

impl XmppServer {
    /// Delivers a stanza, or answers it, and says that it is taken.
    pub(super) fn receive(&mut self, stream: Stream<'_>, received: Received, now: Now) {
        let Received { n, from, to, stanza } = received;
        let kind = StanzaKind::of(&stanza);
        if self.settings.stanzas == Stanzas::Told {
            if kind != Some(StanzaKind::Iq) || !self.take_pong(&stanza, now) {
                self.say(Said::Stanza(Box::new(stanza)));
            }
        } else {
            self.deliver(kind, &stanza, &from, &to, now);
        }
        let session = match stream {
            Stream::Incoming(connection) => {
                Some(self.sessions.get(&connection).copied().unwrap_or(connection))
            }
            Stream::Outgoing(domain) => self.session_of(domain),
        };
        let Some(session) = session else { return };
        match self.settings.acks {
            Acks::Counted | Acks::Pinged => self.settle(session, n, now),
            Acks::Withheld => self.withheld.push((session, n)),
        }
    }

    fn deliver(&mut self, kind: Option<StanzaKind>, stanza: &Element, from: &Jid, to: &Jid, now: Now) {
        match kind {
            Some(StanzaKind::Message) => self.receive_message(stanza, from, to, now),
            Some(StanzaKind::Iq) => self.receive_iq(stanza, now),
            Some(StanzaKind::Presence) => {
                let exists = to.local().is_some_and(|local| self.settings.users.contains(local));
                self.roster.handle(stanza, from, to, exists);
                self.send_presence(now);
            }
            None => {}
        }
    }

    /// Sends what the contact lists say; like a text, it is kept until the other side has it.
    pub(super) fn send_presence(&mut self, now: Now) {
        while let Some(stanza) = self.roster.poll_output() {
            self.next_token += 1;
            let id = format!("presence {}", self.next_token);
            let deadline = now.moment + self.settings.report_after;
            self.open.insert(self.next_token, Open { id, deadline });
            self.route(self.next_token, stanza, now);
        }
        while let Some(said) = self.roster.poll_said() {
            self.say(said);
        }
    }

    fn receive_message(&mut self, stanza: &Element, from: &Jid, to: &Jid, now: Now) {
        let id = stanza.attr("id").unwrap_or_default().to_owned();
        if stanza.attr("type") == Some("error") {
            let error = StanzaError::from_element(stanza);
            let answer = error.map_or_else(|| "an error without a condition".to_owned(), |e| e.to_string());
            return self.say(Said::Refused { id, answer });
        }
        if !to.local().is_some_and(|local| self.settings.users.contains(local)) {
            let text = stanza.child("body", ns::SERVER).map(|body| body.text().into_owned());
            self.say(Said::Note(format!("{NO_SUCH_USER}{}", text.unwrap_or_default())));
            let error = StanzaError::new(StanzaCondition::ItemNotFound);
            return self.answer(stanza, &error, now);
        }
        if let Some(receipt) = stanza.child("received", ns::RECEIPTS) {
            let id = receipt.attr("id").unwrap_or_default().to_owned();
            self.say(Said::Receipt { id });
        }
        if let Some(body) = stanza.child("body", ns::SERVER) {
            let thread = stanza.child("thread", ns::SERVER).map(|thread| thread.text().into_owned());
            self.say(Said::Received {
                id,
                thread: thread.unwrap_or_default(),
                from: from.to_string(),
                to: to.to_string(),
                text: body.text().into_owned(),
                answer: String::new(),
            });
        }
    }

    /// Takes the answers to our pings; our users answer nothing.
    fn receive_iq(&mut self, stanza: &Element, now: Now) {
        if !matches!(stanza.attr("type"), Some("result" | "error")) {
            return self.answer(stanza, &StanzaError::new(StanzaCondition::ServiceUnavailable), now);
        }
        self.take_pong(stanza, now);
    }

    /// Takes the answer to a ping of ours; tells whether it is one.
    fn take_pong(&mut self, stanza: &Element, now: Now) -> bool {
        let is_answer = matches!(stanza.attr("type"), Some("result" | "error"));
        let id = stanza.attr("id").unwrap_or_default();
        is_answer
            && (self.incoming.values_mut().any(|acceptor| acceptor.handle_pong(id, now))
                || self.initiators_mut().any(|initiator| initiator.handle_pong(id, now)))
    }

    fn answer(&mut self, stanza: &Element, error: &StanzaError, now: Now) {
        if let Some(reply) = error_reply(stanza, error) {
            self.route(0, reply, now);
        }
    }

    /// Sends a stanza on a stream that leads to its domain, or keeps it until there is one. The token 0 is for
    /// what nobody waits for.
    pub(super) fn route(&mut self, token: u64, stanza: Element, now: Now) {
        let Some(domain) = domain_of(&stanza) else { return };
        if self.awaits(&domain) {
            return self.wait(token, stanza, &domain, now);
        }
        if let Some(initiator) = self.ready_initiator(&domain) {
            return initiator.send(token, stanza, now);
        }
        let unbegun = &self.unbegun;
        let usable = self.incoming.iter_mut().find(|(connection, acceptor)| {
            let leads_there = acceptor.proved().any(|(proved, _)| *proved == domain);
            acceptor.is_both_ways() && leads_there && !unbegun.contains(connection)
        });
        if let Some((_, acceptor)) = usable {
            return acceptor.send(token, stanza, now);
        }
        self.wait(token, stanza, &domain, now);
    }

    /// Sends what waits for a domain on a stream that has just become usable.
    pub(super) fn flush_waiting(&mut self, domain: &DomainName, now: Now) {
        for (token, stanza) in self.take_waiting(domain) {
            self.route(token, stanza, now);
        }
    }

    /// Keeps what was sent and not acknowledged for the next stream: it goes before what waits already.
    pub(super) fn wait_again(&mut self, stanzas: Vec<(u64, Element)>, now: Now) {
        let mut domains = BTreeSet::new();
        for (token, stanza) in stanzas.into_iter().rev() {
            if let Some(domain) = domain_of(&stanza)
                && self.open.contains_key(&token)
            {
                self.wait_first(token, stanza, &domain);
                domains.insert(domain);
            }
        }
        for domain in domains {
            self.flush_waiting(&domain, now);
        }
    }
}

pub(super) fn domain_of(stanza: &Element) -> Option<DomainName> {
    Jid::parse(stanza.attr("to")?).ok().map(|to| to.domain().clone())
}
