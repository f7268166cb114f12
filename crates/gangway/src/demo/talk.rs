//! The conversation: what became of each text, and how it is shown.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use peer_role::Said;

use super::screen::{Entry, Screen, Style};
use super::{PARTNER, SIP, Side};

/// What became of a text, as its sender was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The other side took responsibility, in its protocol's words.
    Accepted(String),
    /// It was refused, in its protocol's words.
    Refused(String),
    /// Nobody answered.
    Unanswered(String),
}

/// One text on its way.
#[derive(Clone, Debug)]
pub struct Message {
    id: String,
    from: Side,
    text: String,
    sent: Instant,
    /// How long it took to the far user.
    pub arrived: Option<Duration>,
    /// What its sender was told.
    pub end: Option<End>,
    /// Whether its sender was told later that it was not delivered.
    pub reported: bool,
}

impl Message {
    /// Returns whether nothing more is to be expected.
    pub fn is_settled(&self) -> bool {
        match &self.end {
            None => false,
            // 202: somebody keeps it, and owes a delivery or a report (RFC 3428 §7).
            Some(End::Accepted(answer)) if answer.starts_with("202") => {
                self.arrived.is_some() || self.reported
            }
            Some(End::Accepted(_) | End::Refused(_) | End::Unanswered(_)) => true,
        }
    }
}

/// Everything that was said.
#[derive(Debug, Default)]
pub struct Conversation {
    messages: Vec<Message>,
    /// The ids of texts whose sender's server has not said that it sends them.
    announced: BTreeSet<String>,
    /// What each user is shown of the other.
    views: BTreeMap<Side, String>,
    /// Who is to be shown something else soon.
    awaited: BTreeSet<Side>,
}

impl Conversation {
    /// Returns whether nothing is on its way.
    pub fn is_settled(&self) -> bool {
        self.announced.is_empty() && self.awaited.is_empty() && self.messages.iter().all(Message::is_settled)
    }

    /// Returns a text by its id.
    pub fn message(&self, id: &str) -> Option<&Message> {
        self.messages.iter().find(|message| message.id == id)
    }

    /// Expects a text to be sent.
    pub fn announce(&mut self, id: &str) {
        self.announced.insert(id.to_owned());
    }

    /// Returns what a user is shown of the other, if anything ever was.
    pub fn view(&self, side: Side) -> Option<&str> {
        self.views.get(&side).map(String::as_str)
    }

    /// Expects a user to be shown something else.
    pub fn await_view(&mut self, side: Side) {
        self.awaited.insert(side);
    }

    /// Waits no longer for what is on its way.
    pub fn forget(&mut self) {
        self.awaited.clear();
        self.messages.clear();
        self.announced.clear();
    }

    /// Takes and shows what a user saw.
    pub fn hear(&mut self, side: Side, said: Said, at: Instant, screen: &mut Screen) {
        match said {
            Said::Sent { id, to, text, .. } => self.sent(side, id, &to, text, at, screen),
            Said::Received { from, text, answer, .. } => {
                self.received(side, &from, &text, &answer, at, screen);
            }
            Said::Accepted { id, answer } => self.ended(side, &id, End::Accepted(answer), at, screen),
            Said::Refused { id, answer } => self.ended(side, &id, End::Refused(answer), at, screen),
            Said::Unanswered { id, reason } => self.ended(side, &id, End::Unanswered(reason), at, screen),
            Said::Shown { contact, view, .. } => self.shown(side, &contact, view, screen),
            // Only a server that performs a play says these.
            Said::Receipt { .. } | Said::Stanza(_) | Said::Message { .. } | Said::Complaint(_) => {}
            Said::Note(note) => aside(screen, side, &note),
        }
    }

    fn sent(&mut self, side: Side, id: String, to: &str, text: String, at: Instant, screen: &mut Screen) {
        let name = side.name();
        let lead =
            if to == side.other().user() { format!("{name} ▸ ") } else { format!("{name} ▸ {to}: ") };
        let entry =
            Entry { lead: &lead, lead_style: Style::Of(side), text: &text, style: Style::Bold, aside: "" };
        screen.entry(side, &entry);
        self.announced.remove(&id);
        if self.messages.len() == MESSAGES_MAX {
            self.messages.remove(0);
        }
        let message = Message { id, from: side, text, sent: at, arrived: None, end: None, reported: false };
        self.messages.push(message);
    }

    fn received(
        &mut self,
        side: Side,
        from: &str,
        text: &str,
        answer: &str,
        at: Instant,
        screen: &mut Screen,
    ) {
        let is_it = |message: &&mut Message| {
            message.from != side && message.arrived.is_none() && message.text == text
        };
        let took = self.messages.iter_mut().find(is_it).map(|message| {
            let took = at.saturating_duration_since(message.sent);
            message.arrived = Some(took);
            took
        });
        // What did not come from a user is a report about a text that had been taken on.
        let owed = |message: &&mut Message| {
            message.from == side && !message.is_settled() && text.contains(&message.text)
        };
        let report = if took.is_none() { self.messages.iter_mut().find(owed) } else { None };
        let style = if report.is_some() { Style::Bad } else { Style::Bold };
        if let Some(message) = report {
            message.reported = true;
        }
        let lead = format!("{}: ", short(from));
        let aside = took.map(|took| format!("after {}", time(took))).unwrap_or_default();
        let entry = Entry { lead: &lead, lead_style: Style::Of(side.other()), text, style, aside: &aside };
        screen.entry(side, &entry);
        if !answer.is_empty() {
            let answer = format!("answered {answer}");
            let entry =
                Entry { lead: "  ", lead_style: Style::Plain, text: &answer, style: Style::Dim, aside: "" };
            screen.entry(side, &entry);
        }
    }

    fn shown(&mut self, side: Side, contact: &str, view: String, screen: &mut Screen) {
        self.awaited.remove(&side);
        let lead = format!("  ● {} ", short(contact));
        let entry = Entry {
            lead: &lead,
            lead_style: Style::Of(side.other()),
            text: &view,
            style: Style::Plain,
            aside: "",
        };
        screen.entry(side, &entry);
        self.views.insert(side, view);
    }

    fn ended(&mut self, side: Side, id: &str, end: End, at: Instant, screen: &mut Screen) {
        let found = self.messages.iter_mut().find(|message| message.id == id);
        // An error comes before the acknowledgement of the stanza that it is about.
        let Some(message) = found.filter(|message| message.end.is_none()) else { return };
        let (lead, style, text) = match &end {
            End::Accepted(answer) if answer.starts_with("202") => {
                let rest =
                    if message.arrived.is_some() { "" } else { "; kept on disk until it is delivered" };
                ("  … ", Style::Open, format!("{answer}{rest}"))
            }
            End::Accepted(answer) => ("  ✓ ", Style::Good, answer.clone()),
            End::Refused(answer) => ("  ✗ ", Style::Bad, answer.clone()),
            End::Unanswered(reason) => ("  ✗ ", Style::Bad, format!("not delivered: {reason}")),
        };
        let aside = time(at.saturating_duration_since(message.sent));
        message.end = Some(end);
        screen.entry(side, &Entry { lead, lead_style: style, text: &text, style, aside: &aside });
    }
}

/// Shows what a user does other than write.
pub fn deed(screen: &mut Screen, side: Side, done: &str) {
    let entry =
        Entry { lead: "▸ ", lead_style: Style::Of(side), text: done, style: Style::Bold, aside: "" };
    screen.entry(side, &entry);
}

/// Shows something about connections.
pub fn aside(screen: &mut Screen, side: Side, note: &str) {
    let entry = Entry { lead: "  · ", lead_style: Style::Dim, text: note, style: Style::Dim, aside: "" };
    screen.entry(side, &entry);
}

/// Returns a time as one reads it.
pub fn time(took: Duration) -> String {
    match took.as_micros() {
        micros @ ..10_000 => format!("{}.{} ms", micros / 1000, micros / 100 % 10),
        micros @ ..1_000_000 => format!("{} ms", micros / 1000),
        micros => format!("{}.{} s", micros / 1_000_000, micros / 100_000 % 10),
    }
}

/// Returns the name of one of the two, or the address of anybody else.
fn short(address: &str) -> &str {
    let address = address.strip_prefix("sip:").unwrap_or(address);
    let bare = &address[..address.find(['/', ';']).unwrap_or(address.len())];
    match bare.split_once('@') {
        Some((user, domain)) if domain == PARTNER || domain == SIP => user,
        _ => bare,
    }
}

/// How many texts are remembered.
const MESSAGES_MAX: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_two_digits_that_matter() {
        let shown = [70, 3_450, 12_300, 250_000, 2_049_000].map(|micros| time(Duration::from_micros(micros)));

        assert_eq!(shown, ["0.0 ms", "3.4 ms", "12 ms", "250 ms", "2.0 s"]);
    }

    #[test]
    fn users_are_called_by_their_names_and_strangers_by_their_addresses() {
        assert_eq!(short("sip:ann@partner.example;gr=desk"), "ann");
        assert_eq!(short("bob@example.com/x"), "bob");
        assert_eq!(short("partner.example"), "partner.example");
    }
}
