//! `demo --once`: one text each way, one to nobody each way, and whether each went as it should.

use std::time::Duration;

use super::Side;
use super::talk::{End, Message};

/// One text and what must become of it.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Who writes.
    pub from: Side,
    /// To a user who does not exist, if not to the other.
    pub to: Option<&'static str>,
    /// What.
    pub text: &'static str,
    wanted: Wanted,
}

#[derive(Clone, Copy, Debug)]
enum Wanted {
    /// It arrives, and its sender is told so in one of these words.
    Delivered(&'static [&'static str]),
    /// It does not arrive, and its sender is told in one of these words.
    Refused(&'static [&'static str]),
}

/// What is done, one after the other.
pub const STEPS: [Step; 4] = [
    Step {
        from: Side::Xmpp,
        to: None,
        text: "Hello Bob! This left an XMPP server as a stanza.",
        wanted: Wanted::Delivered(&["acknowledged"]),
    },
    Step {
        from: Side::Sip,
        to: None,
        text: "Hello Ann! Here it was a SIP MESSAGE. ¿Llegó bien? 👋",
        wanted: Wanted::Delivered(&["200 OK"]),
    },
    Step {
        from: Side::Xmpp,
        to: Some("nobody"),
        text: "Is anybody there?",
        wanted: Wanted::Refused(&["item-not-found"]),
    },
    Step {
        from: Side::Sip,
        to: Some("nobody"),
        text: "Is anybody there?",
        wanted: Wanted::Refused(&["404", "604"]),
    },
];

/// How long one step may take.
pub const PATIENCE: Duration = Duration::from_secs(6);

impl Step {
    /// Returns whether nothing more is to be expected.
    pub fn is_over(&self, message: &Message) -> bool {
        match self.wanted {
            // The sender may be told before the far user's screen is.
            Wanted::Delivered(_) => {
                message.is_settled()
                    && (message.arrived.is_some() || !matches!(message.end, Some(End::Accepted(_))))
            }
            Wanted::Refused(_) => message.is_settled(),
        }
    }

    /// Compares what became of it with what should have.
    ///
    /// # Errors
    /// Says in a line what went wrong.
    pub fn judge(&self, message: Option<&Message>) -> Result<(), String> {
        let what = match self.to {
            Some(to) => format!("{} to {to}", self.from.name()),
            None => format!("{} to {}", self.from.name(), self.from.other().name()),
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
        }
    }
}

fn begins(answer: &str, words: &[&str]) -> bool {
    words.iter().any(|words| answer.starts_with(words))
}
