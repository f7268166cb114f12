//! Whether a first-level element may pass: who speaks, for whom, and in a form that means something.

use xmpp_types::jid::{DomainName, Jid};
use xmpp_types::stanza::{IqType, PresenceType, StanzaKind, iq_payload};
use xmpp_types::stanza_error::{StanzaCondition, StanzaError, error_reply};
use xmpp_types::stream::{StreamCondition, StreamError};
use xmpp_types::xml::Element;

/// What to do with a stanza.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It may be processed.
    Accept { from: Jid, to: Jid },
    /// It means nothing; the sender is told so, unless answering could go on for ever.
    Void { answer: Option<Box<Element>> },
    /// The stream ends (RFC 6120 §4.9.3).
    End(StreamError),
}

/// Judges a stanza by its addresses (RFC 6120 §8.1) and its form (§8.2.3).
pub(super) fn judge(
    stanza: &Element,
    kind: StanzaKind,
    local: &DomainName,
    is_proved: impl Fn(&DomainName) -> bool,
    is_served: impl Fn(&DomainName) -> bool,
) -> Verdict {
    let end = |condition, text: &str| Verdict::End(StreamError::new(condition).with_text(text));
    let Some(from) = stanza.attr("from") else {
        return end(StreamCondition::ImproperAddressing, "the stanza has no from");
    };
    let Ok(from) = Jid::parse(from) else {
        return end(StreamCondition::ImproperAddressing, "the stanza's from is no address");
    };
    if !is_proved(from.domain()) {
        return end(StreamCondition::InvalidFrom, "the stanza's domain is not proved on this stream");
    }
    let Some(to) = stanza.attr("to") else {
        return end(StreamCondition::ImproperAddressing, "the stanza has no to");
    };
    let Ok(to) = Jid::parse(to) else {
        // One user's slip must not close the stream for all others (RFC 6120 §8.3.3.8).
        return answer(stanza, StanzaCondition::JidMalformed, "the recipient's address is malformed", local);
    };
    if !is_served(to.domain()) {
        return end(StreamCondition::HostUnknown, "the stanza's recipient is not served here");
    }
    if let Err(text) = check_form(stanza, kind) {
        return answer(stanza, StanzaCondition::BadRequest, text, local);
    }
    Verdict::Accept { from, to }
}

fn check_form(stanza: &Element, kind: StanzaKind) -> Result<(), &'static str> {
    match kind {
        StanzaKind::Message => Ok(()),
        StanzaKind::Presence => PresenceType::of(stanza).map(drop).map_err(|_| "a presence has no such type"),
        StanzaKind::Iq => {
            if stanza.attr("id").is_none_or(str::is_empty) {
                return Err("an iq must have an id");
            }
            match IqType::of(stanza) {
                Ok(IqType::Get | IqType::Set) if iq_payload(stanza).is_none() => {
                    Err("an iq of type get or set must have exactly one child")
                }
                Ok(IqType::Get | IqType::Set | IqType::Result | IqType::Error) => Ok(()),
                Err(_) => Err("an iq has no such type"),
            }
        }
    }
}

/// The answer comes from our domain, since the address it was for may be none.
fn answer(stanza: &Element, condition: StanzaCondition, text: &str, local: &DomainName) -> Verdict {
    let mut reply = error_reply(stanza, &StanzaError::new(condition).with_text(text));
    if let Some(reply) = &mut reply
        && Jid::parse(reply.attr("from").unwrap_or_default()).is_err()
    {
        reply.set_attr("from", local.as_str());
    }
    Verdict::Void { answer: reply.map(Box::new) }
}
