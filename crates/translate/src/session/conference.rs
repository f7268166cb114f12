//! Invitations into a conference, which this gateway declines in words.

use bytes::Bytes;
use sip_types::Request;
use sip_types::header::ContentType;
use sip_types::mime::{MimeLimits, leaves};
use xmpp_types::xml::Element;

use super::document::parse;
use crate::text::{clean_for_header, clean_for_xml};

/// What a Microsoft client sends each of two who talk when it adds a third: an INVITE with
/// `application/ms-conf-invite+xml`, to be refused with 488 without touching the session of two.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConferenceInvitation {
    /// The conference's own address, by which two invitations into the same are told; empty if it is not said.
    pub focus: String,
    /// What it is about.
    pub subject: Option<String>,
}

/// Returns the invitation that `request` is; `None` if it is about something else.
#[must_use]
pub fn conference_invitation(request: &Request) -> Option<ConferenceInvitation> {
    let kind = request.headers().content_type().ok().flatten()?;
    let body = invitation_body(&kind, request.body())?;
    // What cannot be read is an invitation all the same.
    Some(parse(&body).map(|document| read(&document)).unwrap_or_default())
}

impl ConferenceInvitation {
    /// Returns what the invited user is told; `inviter` is the name or the address of who invites.
    #[must_use]
    pub fn words(&self, inviter: &str) -> String {
        let about = match &self.subject {
            Some(subject) => format!(" about \u{201c}{subject}\u{201d}"),
            None => String::new(),
        };
        format!("{inviter} tried to add you to a group conversation{about}, which this gateway cannot join")
    }
}

fn invitation_body(kind: &ContentType, body: &Bytes) -> Option<Bytes> {
    let is_invitation = |kind: &ContentType| kind.is("application/ms-conf-invite+xml");
    if is_invitation(kind) {
        return Some(body.clone());
    }
    if !kind.is_multipart() {
        return None;
    }
    let parts = leaves(kind, body, &MimeLimits::default()).ok()?;
    parts.iter().find(|part| part.content_type().is_ok_and(|kind| is_invitation(&kind)))?.decoded()
}

fn read(document: &Element) -> ConferenceInvitation {
    let text = |name: &str| {
        // The order and the namespaces differ between versions, the names do not.
        let found = descendant(document, name, DEPTH_MAX)?;
        let line = clean_for_header(&found.text(), TEXT_MAX).text.into_owned();
        Some(clean_for_xml(line.into()).0.into_owned()).filter(|text| !text.is_empty())
    };
    ConferenceInvitation { focus: text("focus-uri").unwrap_or_default(), subject: text("subject") }
}

fn descendant<'a>(element: &'a Element, name: &str, depth: usize) -> Option<&'a Element> {
    let deeper = depth.checked_sub(1)?;
    element
        .elements()
        .find(|child| child.name() == name)
        .or_else(|| element.elements().find_map(|child| descendant(child, name, deeper)))
}

const DEPTH_MAX: usize = 4;
/// No subject is shown beyond this, and no address of a conference is longer.
const TEXT_MAX: usize = 512;
