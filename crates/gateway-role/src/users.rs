//! The policy for users, carried out: a SIP user who may not federate is told so, and to XMPP users he does not exist.

use std::time::Duration;

use clock_types::Now;
use sip_types::{HeaderText, Request, Response};
use translate::error::response_to_xmpp;
use xmpp_types::jid::{DomainName, Jid};
use xmpp_types::stanza_error::StanzaError;

use crate::delivery::Number;
use crate::gateway::Gateway;
use crate::policy::Access;
use crate::unknown;
use crate::watch::WatchRequest;

/// What a SIP user reads who may not federate.
const NOT_ENABLED: &str = "This account is not enabled for XMPP federation";

impl Gateway {
    /// Lets a SIP user's request in, or says why not.
    pub(crate) fn admit_user(&mut self, user: &Jid, request: &Request) -> Result<(), Box<Response>> {
        let verdict = self.settings.policy.judge(user);
        match verdict.access {
            Access::Allowed => Ok(()),
            Access::Refused => {
                let reason = format!("the sender {verdict}");
                let response = self.refuse(request, 403, &reason);
                Err(Box::new(response.with_reason(&HeaderText::clean(NOT_ENABLED).text)))
            }
        }
    }

    /// Tells the senders of messages to refused users what they would hear of unknown ones, as late as they would.
    pub(crate) fn answer_for_refused(&mut self, now: Now) {
        while let Some((number, error)) = self.unknown.take_due(now) {
            let trace = self.to_sip_traces.get(&number);
            let user = trace.and_then(|trace| Jid::parse(&trace.to.0).ok());
            let verdict = user.as_ref().map(|user| self.settings.policy.judge(user).to_string());
            let outcome =
                format!("the recipient {}", verdict.unwrap_or_else(|| "may not federate".to_owned()));
            self.fail_to_sip(number, &error, outcome, now);
        }
    }

    /// Returns what the sender of a message hears of a final response. Where somebody might be refused, all unknown
    /// users are spoken of in the same words.
    pub(crate) fn error_of(&self, response: &Response) -> StanzaError {
        if unknown::says_so(response.status()) && self.settings.policy.is_restricting() {
            return unknown::error();
        }
        response_to_xmpp(response).value
    }

    /// Remembers how a message's next hop answered, to imitate it.
    pub(crate) fn note_manners(&mut self, number: Number, status: u16, took: Duration) {
        if let Some(domain) = self.domain_of(number) {
            self.unknown.handle_answered(&domain, status, took);
        }
    }

    /// Remembers how the next hop of a watched user answered.
    pub(crate) fn note_manners_of_watch(&mut self, name: WatchRequest, status: u16, took: Duration) {
        if self.settings.policy.is_restricting()
            && let Some(domain) = self.watches.domain_asked(name)
        {
            self.unknown.handle_answered(&domain, status, took);
        }
    }

    /// Remembers that a message's next hop did not answer, and what its sender was told.
    pub(crate) fn note_silence(&mut self, number: Number, error: &StanzaError, took: Duration) {
        if let Some(domain) = self.domain_of(number) {
            self.unknown.handle_failed(&domain, error, took);
        }
    }

    /// Returns the domain of a message's recipient, where it matters.
    fn domain_of(&self, number: Number) -> Option<DomainName> {
        if !self.settings.policy.is_restricting() {
            return None;
        }
        Jid::parse(&self.to_sip_traces.get(&number)?.to.0).ok().map(|user| user.domain().clone())
    }
}
