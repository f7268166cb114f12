//! `demo --once`: texts, and what the two see of each other; and whether each went as it should.

use std::time::Duration;

use super::Side;
use super::talk::{Conversation, End, Message};

/// Something that somebody does, and what must become of it.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Who does it.
    pub from: Side,
    /// What.
    pub deed: Deed,
    wanted: Wanted,
}

/// What somebody does.
#[derive(Clone, Copy, Debug)]
pub enum Deed {
    /// He writes.
    Text {
        /// To a user who does not exist, if not to the other.
        to: Option<&'static str>,
        /// What.
        text: &'static str,
    },
    /// He adds the other to his contacts.
    Add,
    /// He says how he is, in one word and in his own; `None`: he is gone.
    Show(Option<(&'static str, &'static str)>),
}

#[derive(Clone, Copy, Debug)]
enum Wanted {
    /// It arrives, and its sender is told so in one of these words.
    Delivered(&'static [&'static str]),
    /// It does not arrive, and its sender is told in one of these words.
    Refused(&'static [&'static str]),
    /// This user is shown this of the other.
    Shown(Side, &'static str),
}

const fn text(from: Side, to: Option<&'static str>, text: &'static str, wanted: Wanted) -> Step {
    Step { from, deed: Deed::Text { to, text }, wanted }
}

/// What is done, one after the other.
pub const STEPS: [Step; 8] = [
    text(
        Side::Xmpp,
        None,
        "Hello Bob! This left an XMPP server as a stanza.",
        Wanted::Delivered(&["acknowledged"]),
    ),
    text(
        Side::Sip,
        None,
        "Hello Ann! Here it was a SIP MESSAGE. ¿Llegó bien? 👋",
        Wanted::Delivered(&["200 OK"]),
    ),
    text(Side::Xmpp, Some("nobody"), "Is anybody there?", Wanted::Refused(&["item-not-found"])),
    text(Side::Sip, Some("nobody"), "Is anybody there?", Wanted::Refused(&["404", "604"])),
    Step { from: Side::Xmpp, deed: Deed::Add, wanted: Wanted::Shown(Side::Xmpp, "pc available") },
    Step { from: Side::Sip, deed: Deed::Add, wanted: Wanted::Shown(Side::Sip, "desk available") },
    Step {
        from: Side::Sip,
        deed: Deed::Show(Some(("dnd", "in a review"))),
        wanted: Wanted::Shown(Side::Xmpp, "pc dnd (in a review)"),
    },
    Step { from: Side::Xmpp, deed: Deed::Show(None), wanted: Wanted::Shown(Side::Sip, "nobody") },
];

/// How long one step may take.
pub const PATIENCE: Duration = Duration::from_secs(6);

impl Step {
    /// Returns whether nothing more is to be expected; `id` is that of its text.
    pub fn is_over(&self, conversation: &Conversation, id: &str) -> bool {
        let message = conversation.message(id);
        match self.wanted {
            // The sender may be told before the far user's screen is.
            Wanted::Delivered(_) => message.is_some_and(|message| {
                message.is_settled()
                    && (message.arrived.is_some() || !matches!(message.end, Some(End::Accepted(_))))
            }),
            Wanted::Refused(_) => message.is_some_and(Message::is_settled),
            Wanted::Shown(watcher, view) => conversation.view(watcher) == Some(view),
        }
    }

    /// Compares what became of it with what should have.
    ///
    /// # Errors
    /// Says in a line what went wrong.
    pub fn judge(&self, conversation: &Conversation, id: &str) -> Result<(), String> {
        let name = self.from.name();
        let message = match (self.deed, self.wanted) {
            (_, Wanted::Shown(watcher, view)) => {
                let shown = conversation.view(watcher).unwrap_or("nothing");
                let (watcher, other) = (watcher.name(), watcher.other().name());
                let wrong = format!("{watcher} should be shown {view:?} of {other}, and is shown {shown:?}");
                return if shown == view { Ok(()) } else { Err(wrong) };
            }
            (_, Wanted::Delivered(_) | Wanted::Refused(_)) => conversation.message(id),
        };
        let what = match self.deed {
            Deed::Text { to: Some(to), .. } => format!("{name} to {to}"),
            _ => format!("{name} to {}", self.from.other().name()),
        };
        let Some(message) = message else { return Err(format!("{what}: it was never sent")) };
        let told = match &message.end {
            None => format!("nothing within {} s", PATIENCE.as_secs()),
            Some(End::Accepted(answer) | End::Refused(answer)) => answer.clone(),
            Some(End::Unanswered(reason)) => format!("that it was not delivered ({reason})"),
        };
        match (self.wanted, &message.end) {
            (Wanted::Delivered(words), Some(End::Accepted(answer))) if begins(answer, words) => {
                match message.arrived {
                    Some(_) => Ok(()),
                    None => Err(format!("{what}: the sender was told {told}, and the text never arrived")),
                }
            }
            (Wanted::Refused(words), Some(End::Refused(answer))) if begins(answer, words) => Ok(()),
            (Wanted::Delivered(words) | Wanted::Refused(words), _) => {
                let words = words.join(" or ");
                Err(format!("{what}: the sender should have been told {words}, and was told {told}"))
            }
            (Wanted::Shown(..), _) => Ok(()),
        }
    }
}

fn begins(answer: &str, words: &[&str]) -> bool {
    words.iter().any(|words| answer.starts_with(words))
}
