//! Telling a SIP user what became of a message that was accepted with 202 and could not be delivered.

use bytes::Bytes;
use sip_types::header::{CallId, ContentType, NameAddr};
use sip_types::{HeaderText, SipUri, Uri};
use xmpp_types::jid::Jid;
use xmpp_types::stanza_error::StanzaError;

use super::to_sip::{plain_text, token};
use super::{MessageToSip, NotificationRequest};
use crate::address::{Profile, Unmappable, jid_to_sip, sender_to_jid};
use crate::error::{condition_to_status, language_header};
use crate::hash::Fields;
use crate::session::{Disposed, disposition_to_sip};

/// What there is to tell.
#[derive(Clone, Copy, Debug)]
pub struct FailureReport<'a> {
    /// Whom the message did not reach. The report comes from this address, so that it stands in the conversation
    /// in which the message was written.
    pub recipient: &'a Jid,
    /// Who wrote the message, and is told.
    pub sender: &'a Uri,
    /// What was written; its beginning is quoted.
    pub text: &'a str,
    /// Why it was not delivered.
    pub error: &'a StanzaError,
    /// What the message's envelope asked for: a report in its form instead of words.
    pub notification: Option<&'a NotificationRequest>,
    /// The id of the stanza; the same report has the same Call-ID when it is made again.
    pub id: &'a str,
}

/// Returns the MESSAGE that reports a failure: a negative delivery notification if one was asked for (RFC 5438
/// §7.2.1.1), else words. A report is itself never reported on.
///
/// # Errors
/// Says why an address has no SIP form; the sender's always has, for a message came from it.
pub fn failure_report_to_sip(
    report: &FailureReport<'_>,
    profile: Profile,
) -> Result<MessageToSip, Unmappable> {
    let hashes = Fields::of("failure report").with(report.id.as_bytes()).finish();
    message(report.recipient, report.sender, profile, hashes, |from, to| {
        match report.notification.filter(|asked| asked.negative) {
            Some(asked) => {
                let told = disposition_to_sip(asked, Disposed::Failed, from.as_str(), to.as_str());
                (told.content_type, told.body)
            }
            None => (plain_text(), Bytes::from(words(report))),
        }
    })
}

/// Returns the MESSAGE that tells `sender` what became of the text that asked for it (RFC 5438 §7.2.1): that
/// `recipient`'s device has it, or that it was seen.
///
/// # Errors
/// Says why an address has no SIP form.
pub fn disposition_message(
    recipient: &Jid,
    sender: &Uri,
    asked: &NotificationRequest,
    what: Disposed,
    profile: Profile,
) -> Result<MessageToSip, Unmappable> {
    let kind = match what {
        Disposed::Delivered => "delivered",
        Disposed::Failed => "failed",
        Disposed::Displayed => "displayed",
    };
    let hashes = Fields::of("disposition")
        .with(recipient.bare_str().as_bytes())
        .with(sender.to_string().as_bytes())
        .with(asked.message_id.as_bytes())
        .with(kind.as_bytes())
        .finish();
    let message = message(recipient, sender, profile, hashes, |from, to| {
        let told = disposition_to_sip(asked, what, from.as_str(), to.as_str());
        (told.content_type, told.body)
    })?;
    Ok(MessageToSip { content_language: None, ..message })
}

/// Returns a MESSAGE of the gateway's own to `sender`, which comes from `recipient`.
fn message(
    recipient: &Jid,
    sender: &Uri,
    profile: Profile,
    (hash, tag): (String, String),
    content: impl FnOnce(&SipUri, &SipUri) -> (ContentType, Bytes),
) -> Result<MessageToSip, Unmappable> {
    let from_jid = recipient.to_bare().into();
    let to_jid = sender_to_jid(sender)?;
    let request_uri = jid_to_sip(&to_jid, profile)?;
    let from = jid_to_sip(&from_jid, profile)?;
    let (content_type, body) = content(&from, &request_uri);
    Ok(MessageToSip {
        id: None,
        display_requested: false,
        receipt_requested: false,
        to: NameAddr::new(request_uri.address()),
        request_uri,
        from: NameAddr::new(from).with_tag(&token(tag)),
        call_id: CallId::parse(hash).expect("letters and digits are a word"),
        subject: None,
        content_language: language_header("en"),
        date: None,
        content_type,
        // RFC 5438 §8.2 puts the disposition inside the envelope; outside there is none.
        content_disposition: None::<HeaderText>,
        body,
        from_jid,
        to_jid,
    })
}

fn words(report: &FailureReport<'_>) -> String {
    let error = report.error;
    let status = condition_to_status(error.condition, error.kind, false, error.address.is_some());
    let why = error.text.as_deref().map(str::trim).filter(|text| !text.is_empty());
    let why = why.unwrap_or_else(|| sip_types::reason_phrase(status));
    let quoted: String = report.text.chars().take(QUOTE_MAX).collect();
    let more = if quoted.len() < report.text.len() { "…" } else { "" };
    format!(
        "Your message to {} was not delivered: {why} ({}).\r\n> {}{more}",
        report.recipient.to_bare(),
        error.condition,
        quoted.replace('\n', "\n> "),
    )
}

/// How much of the message is quoted.
const QUOTE_MAX: usize = 120;
