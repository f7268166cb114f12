//! What a message stanza carries, read once.

use std::borrow::Cow;

use clock_types::Date;
use xmpp_types::ns;
use xmpp_types::xml::Element;

use crate::date::parse_date_time;
use crate::loss::{Loss, Losses};

/// The parts of a message stanza that matter to SIP; everything else is in the losses.
#[derive(Default)]
pub(crate) struct Payload<'a> {
    body: Option<Cow<'a, str>>,
    body_language: Option<&'a str>,
    subject: Option<Cow<'a, str>>,
    pub(crate) thread: Option<Cow<'a, str>>,
    pub(crate) nick: Option<Cow<'a, str>>,
    /// The language of the text.
    pub(crate) language: Option<&'a str>,
    pub(crate) delayed: Option<Date>,
    pub(crate) corrects: bool,
    pub(crate) receipt_requested: bool,
    pub(crate) display_requested: bool,
    invitation: Option<String>,
    link: Option<Cow<'a, str>>,
    encrypted: bool,
    copy: bool,
}

/// What a message says to a person.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Said<'a> {
    Text(Cow<'a, str>),
    Nothing,
    Copy,
    Encrypted,
}

impl<'a> Payload<'a> {
    pub(crate) fn read(stanza: &'a Element, losses: &mut Losses) -> Self {
        let mut payload = Self { language: stanza.lang(), ..Self::default() };
        for attribute in stanza.attributes() {
            let known = matches!(
                (attribute.namespace(), attribute.name()),
                ("", "from" | "to" | "id" | "type") | (ns::XML, "lang")
            );
            losses.add_if(!known, Loss::Attribute);
        }
        for child in stanza.elements() {
            payload.read_child(child, stanza, losses);
        }
        if let Some(language) = payload.body_language {
            payload.language = Some(language);
        }
        // Clients repeat a link in the text; one that stands only beside it would be lost.
        let beside =
            |link: &Cow<'_, str>| payload.body.as_ref().is_some_and(|body| !body.contains(link.as_ref()));
        losses.add_if(payload.link.as_ref().is_some_and(beside), Loss::OutOfBand);
        payload
    }

    /// Returns the subject, where it stands beside a text and is not itself all there is.
    pub(crate) fn subject(&self) -> Option<&str> {
        let beside = self.body.is_some() || self.invitation.is_some() || self.link.is_some();
        self.subject.as_deref().filter(|_| beside)
    }

    /// Returns the text: the body, else what stands for one.
    pub(crate) fn said(&self) -> Said<'a> {
        if self.copy {
            return Said::Copy;
        }
        let body = self.body.clone().filter(|body| !body.is_empty());
        // A body beside an encrypted payload only says that there is one (XEP-0380); OTR is inside the body.
        if self.encrypted || body.as_ref().is_some_and(|body| body.starts_with("?OTR")) {
            return Said::Encrypted;
        }
        if let Some(invitation) = &self.invitation {
            return Said::Text(Cow::Owned(match body {
                Some(body) => format!("{body}\n{invitation}"),
                None => invitation.clone(),
            }));
        }
        let text = body.or_else(|| self.link.clone()).or_else(|| self.subject.clone());
        text.filter(|text| !text.is_empty()).map_or(Said::Nothing, Said::Text)
    }

    fn read_child(&mut self, child: &'a Element, stanza: &'a Element, losses: &mut Losses) {
        match (child.name(), child.namespace()) {
            ("body", ns::SERVER) => self.read_body(child, stanza, losses),
            ("subject", ns::SERVER) => {
                losses.add_if(self.subject.is_some(), Loss::OtherLanguages);
                self.subject.get_or_insert_with(|| child.text());
            }
            ("thread", ns::SERVER) => {
                losses.add_if(child.attr("parent").is_some(), Loss::ThreadParent);
                self.thread = Some(child.text()).filter(|thread| !thread.is_empty());
            }
            ("nick", ns::NICK) => self.nick = Some(child.text()),
            ("delay", ns::DELAY) => self.read_delay(child, losses),
            ("request", ns::RECEIPTS) => self.receipt_requested = true,
            ("received", ns::RECEIPTS) => losses.add(Loss::Receipt),
            ("replace", ns::CORRECT) => {
                self.corrects = true;
                losses.add(Loss::Reference);
            }
            ("x", ns::OOB) => self.link = child.child("url", ns::OOB).map(Element::text),
            ("x", ns::MUC_USER) => self.read_mediated_invitation(child, stanza, losses),
            ("x", ns::CONFERENCE) => self.read_direct_invitation(child, stanza),
            ("private", ns::CARBONS) | (_, ns::HINTS) => losses.add(Loss::Hints),
            _ if is_copy(child) => self.copy = true,
            (_, ns::CHAT_STATES) => losses.add(Loss::ChatState),
            ("markable", ns::MARKERS) => {
                self.display_requested = true;
                losses.add(Loss::Marker);
            }
            (_, ns::MARKERS) => losses.add(Loss::Marker),
            (_, ns::STANZA_IDS) => losses.add(Loss::StanzaIds),
            (_, ns::REACTIONS | ns::FALLBACK | REPLY) => losses.add(Loss::Reference),
            ("html", ns::XHTML_IM) => losses.add(Loss::Formatting),
            ("encryption", ENCRYPTION_HINT) => self.encrypted = true,
            (_, namespace) => self.read_foreign(child, namespace, losses),
        }
    }

    /// One body crosses: the one in the stanza's own language, else the first (RFC 6121 §5.2.3).
    fn read_body(&mut self, child: &'a Element, stanza: &'a Element, losses: &mut Losses) {
        let language = child.lang();
        let own = language.is_none() || language == stanza.lang();
        if self.body.is_none() {
            (self.body, self.body_language) = (Some(child.text()), language);
            return;
        }
        losses.add(Loss::OtherLanguages);
        let first_is_own = self.body_language.is_none() || self.body_language == stanza.lang();
        if own && !first_is_own {
            (self.body, self.body_language) = (Some(child.text()), language);
        }
    }

    fn read_delay(&mut self, child: &Element, losses: &mut Losses) {
        losses.add_if(child.attr("from").is_some() || !child.children().is_empty(), Loss::DelayOrigin);
        match child.attr("stamp").and_then(parse_date_time) {
            // The first delay is the oldest: each store on the way adds its own behind it.
            Some(date) => self.delayed = Some(self.delayed.map_or(date, |earlier| earlier.min(date))),
            None => losses.add(Loss::Date),
        }
    }

    /// XEP-0045 §7.8.2: the room itself sends it, and names who invites.
    fn read_mediated_invitation(&mut self, child: &'a Element, stanza: &'a Element, losses: &mut Losses) {
        match (child.child("invite", ns::MUC_USER), stanza.attr("from")) {
            (Some(invite), Some(room)) => {
                let reason = invite.child("reason", ns::MUC_USER).map(Element::text);
                let password = child.child("password", ns::MUC_USER).map(Element::text);
                self.invitation =
                    Some(invitation(invite.attr("from"), room, reason.as_deref(), password.as_deref()));
            }
            _ => losses.add(Loss::Extension),
        }
    }

    /// XEP-0249: the inviter sends it, and names the room.
    fn read_direct_invitation(&mut self, child: &'a Element, stanza: &'a Element) {
        if let (Some(room), None) = (child.attr("jid"), &self.invitation) {
            self.invitation =
                Some(invitation(stanza.attr("from"), room, child.attr("reason"), child.attr("password")));
        }
    }

    fn read_foreign(&mut self, child: &Element, namespace: &str, losses: &mut Losses) {
        if namespace == OMEMO_0_3 || namespace.starts_with("urn:xmpp:omemo:") {
            // Without a payload it only moves keys, and nobody waits for it to be read.
            self.encrypted |= child.elements().any(|inner| inner.name() == "payload");
        } else if namespace == OPENPGP || namespace == LEGACY_PGP {
            self.encrypted = true;
        } else {
            losses.add(Loss::Extension);
        }
    }
}

/// Tells whether a child of a message makes that a copy of another, or a result from an archive (XEP-0280, XEP-0297,
/// XEP-0313): what is in it was never said to this user.
pub(crate) fn is_copy(child: &Element) -> bool {
    match child.name() {
        "sent" | "received" => child.namespace() == ns::CARBONS,
        "forwarded" => child.namespace() == ns::FORWARD,
        "result" => child.namespace().starts_with("urn:xmpp:mam:"),
        _ => false,
    }
}

fn invitation(inviter: Option<&str>, room: &str, reason: Option<&str>, password: Option<&str>) -> String {
    let mut text = match inviter.map(|jid| jid.split('/').next().unwrap_or(jid)) {
        Some(inviter) => format!("{inviter} invites you to the XMPP chat room {room}"),
        None => format!("You are invited to the XMPP chat room {room}"),
    };
    if let Some(reason) = reason.filter(|reason| !reason.is_empty()) {
        text.push_str(": ");
        text.push_str(reason);
    }
    if let Some(password) = password.filter(|password| !password.is_empty()) {
        text.push_str(" (password: ");
        text.push_str(password);
        text.push(')');
    }
    text
}

/// Message replies (XEP-0461).
const REPLY: &str = "urn:xmpp:reply:0";
/// Explicit message encryption (XEP-0380).
const ENCRYPTION_HINT: &str = "urn:xmpp:eme:0";
/// OMEMO before it had a namespace of its own (XEP-0384 up to 0.3).
const OMEMO_0_3: &str = "eu.siacs.conversations.axolotl";
/// OpenPGP for XMPP (XEP-0373).
const OPENPGP: &str = "urn:xmpp:openpgp:0";
/// OpenPGP before that (XEP-0027).
const LEGACY_PGP: &str = "jabber:x:encrypted";
