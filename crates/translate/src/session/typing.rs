//! Typing: chat states (XEP-0085), `isComposing` (RFC 3994), Microsoft's `KeyboardActivity`.
//!
//! | chat state | isComposing | KeyboardActivity | and back |
//! |---|---|---|---|
//! | `composing` | `active` | `type` | `composing` |
//! | `active`, `inactive` | `idle` | `idle` | see below |
//! | `paused` | `idle` | `idle` | see below |
//! | `gone` | none: the session ends | none: the session ends | BYE |
//!
//! RFC 7573 §6 (tables 3 and 4). An `idle` of isComposing becomes `active`, as table 3 has it. Microsoft's clients
//! send theirs when somebody stops typing without sending, which is what `paused` means.

use std::time::Duration;

use bytes::Bytes;
use sip_types::header::ContentType;
use sip_types::{Method, Text};
use xmpp_types::ns;
use xmpp_types::xml::Element;

use super::say::SessionBody;

/// What a user does in a conversation (XEP-0085 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names are XEP-0085's")]
pub enum ChatState {
    Active,
    Composing,
    Paused,
    Inactive,
    Gone,
}

impl ChatState {
    /// Returns the name of its element.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Composing => "composing",
            Self::Paused => "paused",
            Self::Inactive => "inactive",
            Self::Gone => "gone",
        }
    }

    /// Returns the state that `element` is.
    pub(crate) fn of_element(element: &Element) -> Option<Self> {
        if element.namespace() != ns::CHAT_STATES {
            return None;
        }
        [Self::Active, Self::Composing, Self::Paused, Self::Inactive, Self::Gone]
            .into_iter()
            .find(|state| state.name() == element.name())
    }
}

/// What a peer says of its user's typing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Typing {
    /// The user types, by isComposing, and it holds for so long unless it is said again (RFC 3994 §3.3).
    Composing(Duration),
    /// The user does not type, by isComposing.
    Idle,
    /// The user types, by Microsoft's document, which says not for how long.
    KeyboardActive,
    /// The user stopped without sending, by Microsoft's document.
    KeyboardIdle,
}

impl Typing {
    /// Returns the chat state that it is to an XMPP user.
    #[must_use]
    pub const fn chat_state(self) -> ChatState {
        match self {
            Self::Composing(_) | Self::KeyboardActive => ChatState::Composing,
            Self::Idle => ChatState::Active,
            Self::KeyboardIdle => ChatState::Paused,
        }
    }

    /// Returns after how long somebody who types and is not heard of counts as pausing; `None` if nobody types.
    #[must_use]
    pub const fn holds_for(self) -> Option<Duration> {
        match self {
            Self::Composing(refresh) => Some(refresh),
            Self::KeyboardActive => Some(KEYBOARD_HOLDS),
            Self::Idle | Self::KeyboardIdle => None,
        }
    }
}

/// How one peer hears of typing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TypingDialect {
    /// MESSAGE or SEND with `application/im-iscomposing+xml` (RFC 3994).
    IsComposing,
    /// INFO with `application/xml`, as Microsoft's products do it.
    KeyboardActivity,
}

impl TypingDialect {
    /// Returns how seldom the same state is said again: `composing` of an XMPP user comes once, of others with
    /// every key.
    #[must_use]
    pub const fn refresh(self) -> Duration {
        match self {
            // RFC 3994 §3.2: no shorter than this.
            Self::IsComposing => Duration::from_secs(60),
            Self::KeyboardActivity => Duration::from_secs(5),
        }
    }
}

/// Returns what tells a peer of a chat state; `None` for `gone`, which is the end of the session.
#[must_use]
pub fn typing_to_sip(state: ChatState, dialect: TypingDialect) -> Option<SessionBody> {
    let types = match state {
        ChatState::Composing => true,
        ChatState::Active | ChatState::Paused | ChatState::Inactive => false,
        ChatState::Gone => return None,
    };
    let (method, kind, body) = match (dialect, types) {
        (TypingDialect::IsComposing, true) => (Method::Message, IS_COMPOSING, COMPOSING),
        (TypingDialect::IsComposing, false) => (Method::Message, IS_COMPOSING, IDLE),
        (TypingDialect::KeyboardActivity, true) => (Method::Info, XML, KEYBOARD_TYPE),
        (TypingDialect::KeyboardActivity, false) => (Method::Info, XML, KEYBOARD_IDLE),
    };
    let content_type = ContentType::parse(Text::from_static(kind)).expect("it is a media type");
    Some(SessionBody { method, content_type, body: Bytes::from_static(body) })
}

/// Returns what an isComposing document says (RFC 3994 §3.4); every state but `active` is idle (§3.5).
pub(super) fn is_composing(document: &Element) -> Typing {
    let text = |name: &str| {
        let child = document.elements().find(|child| child.name() == name)?;
        Some(child.text().trim().to_owned())
    };
    if text("state").is_none_or(|state| state != "active") {
        return Typing::Idle;
    }
    let refresh = text("refresh").and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
    // A wrong refresh would make a user type for ever, or never.
    Typing::Composing(refresh.filter(|refresh| !refresh.is_zero()).unwrap_or(HOLDS).min(HOLDS_MAX))
}

/// Returns what a KeyboardActivity document says.
pub(super) fn keyboard_activity(document: &Element) -> Typing {
    let status = document.elements().find(|child| child.name() == "status");
    match status.and_then(|status| status.attr("status")) {
        Some("type") => Typing::KeyboardActive,
        _ => Typing::KeyboardIdle,
    }
}

/// Without a `<refresh>` somebody types for so long (RFC 3994 §3.3).
const HOLDS: Duration = Duration::from_secs(120);
const HOLDS_MAX: Duration = Duration::from_secs(600);
/// Microsoft's clients say `type` every few seconds, and often nothing when it ends.
const KEYBOARD_HOLDS: Duration = Duration::from_secs(30);

const IS_COMPOSING: &str = "application/im-iscomposing+xml";
const XML: &str = "application/xml";

const COMPOSING: &[u8] = b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n\
    <isComposing xmlns=\"urn:ietf:params:xml:ns:im-iscomposing\"><state>active</state>\
    <contenttype>text/plain</contenttype><refresh>60</refresh></isComposing>\r\n";
const IDLE: &[u8] = b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n\
    <isComposing xmlns=\"urn:ietf:params:xml:ns:im-iscomposing\"><state>idle</state>\
    <contenttype>text/plain</contenttype></isComposing>\r\n";
const KEYBOARD_TYPE: &[u8] =
    b"<?xml version=\"1.0\"?>\r\n<KeyboardActivity><status status=\"type\"/></KeyboardActivity>\r\n";
const KEYBOARD_IDLE: &[u8] =
    b"<?xml version=\"1.0\"?>\r\n<KeyboardActivity><status status=\"idle\"/></KeyboardActivity>\r\n";
