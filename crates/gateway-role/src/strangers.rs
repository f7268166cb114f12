//! What users of partners that are not believed may do, before a SIP user has added them.

use std::sync::Arc;

use clock_types::Now;
use xmpp_proto::link::{PartnerKind, PartnerTable};
use xmpp_types::jid::Jid;
use xmpp_types::stanza;
use xmpp_types::stanza_error::{StanzaCondition, StanzaError};
use xmpp_types::xml::Element;

use crate::conversation::Pair;
use crate::gateway::{Gateway, Output};
use crate::record::{Record, Ticket};

/// The store's answer to what needs none.
const NOBODY_WAITS: Ticket = Ticket(u64::MAX);

impl Gateway {
    /// Takes what a proxy says of its partners.
    pub(crate) fn handle_partners(&mut self, link: usize, table: PartnerTable, now: Now) {
        let mut partners = (*self.partners).clone();
        partners.set(link, table);
        if partners != *self.partners {
            self.partners = Arc::new(partners);
            self.watches.handle_partners(Arc::clone(&self.partners), now);
        }
    }

    /// Tells whether an XMPP user is a stranger to a SIP user: his provider does not verify its users, the SIP user has not
    /// added him, and has not written to him lately. It does not matter whether there is such a SIP user, so that nobody
    /// finds that out.
    pub(crate) fn is_stranger(&self, xmpp: &Jid, sip: &Jid, now: Now) -> bool {
        if self.partners.kind_of(xmpp.domain()) != PartnerKind::PublicUnverified {
            return false;
        }
        let key = Pair::key_of(xmpp, sip);
        !self.watches.has_added(&key) && !self.written.may_answer(&key, now.date)
    }

    /// A SIP user writes to an XMPP user, who may answer then.
    pub(crate) fn note_written(&mut self, message: &Element, now: Now) {
        let parties = stanza::to(message).ok().flatten().zip(stanza::from(message).ok().flatten());
        let Some((xmpp, sip)) = parties else { return };
        if self.partners.kind_of(xmpp.domain()) != PartnerKind::PublicUnverified {
            return;
        }
        let pair: Arc<str> = Pair::key_of(&xmpp, &sip).into();
        if !self.watches.has_added(&pair) && self.written.note(&pair, now.date) {
            let record = Record::Wrote { pair, date: now.date };
            self.outputs.push_back(Output::Record { ticket: NOBODY_WAITS, record });
        }
    }
}

/// Returns what a stranger hears who writes (RFC 6120 §8.3.3.21).
pub fn refusal(xmpp: &Jid, sip: &Jid) -> StanzaError {
    let text = format!(
        "{} takes messages from users of {} only after adding them as contacts",
        sip.bare_str(),
        xmpp.domain()
    );
    StanzaError::new(StanzaCondition::SubscriptionRequired).with_text(text)
}
