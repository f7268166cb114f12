//! What is typed.

use peer_role::presence::State;

use super::Side;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A text, of a user who is named or of whoever wrote last, to the other or to somebody else.
    Text {
        /// Who writes.
        from: Option<Side>,
        /// To whom, if not to the other.
        to: Option<String>,
        /// What.
        text: String,
    },
    /// Somebody is to write next; nobody named means the other.
    Turn(Option<Side>),
    /// Stop the server of a side.
    Down(Side),
    /// Have it stand still.
    Freeze(Side),
    /// Start it again, or have it go on.
    Up(Side),
    /// Somebody adds the other to his contacts; nobody named means whose turn it is.
    Add(Option<Side>),
    /// Somebody says how he is, `None` that he is gone.
    Show(Option<Side>, Option<State>),
    /// Show octets, or do not.
    Trace,
    /// What `gangway status` shows.
    Status,
    /// What `gangway streams` shows.
    Streams,
    /// What `gangway queue` shows.
    Queue,
    /// What `gangway presence` shows.
    Presence,
    /// Say what can be typed.
    Help,
    /// End.
    Quit,
    /// None of these; says why.
    Wrong(String),
}

impl Line {
    /// Reads a line.
    pub fn parse(line: &str) -> Self {
        let line = line.trim();
        if line.is_empty() {
            return Self::Turn(None);
        }
        if let Some(command) = line.strip_prefix('/') {
            return command_of(None, command);
        }
        // `ann: text`, `ann > carol: text`; anything else with a colon is a text.
        let named = line.split_once(':').and_then(|(head, text)| {
            let (name, to) = match head.split_once('>') {
                Some((name, to)) => (name, Some(to.trim().to_owned())),
                None => (head, None),
            };
            Some((Side::named(name.trim())?, to, text.trim().to_owned()))
        });
        match named {
            Some((side, None, text)) if text.is_empty() => Self::Turn(Some(side)),
            Some((side, None, text)) if text.starts_with('/') => command_of(Some(side), &text[1..]),
            Some((_, Some(to), _)) if to.is_empty() => Self::Wrong("to whom? `ann > carol: text`".into()),
            Some((from, to, text)) => Self::Text { from: Some(from), to, text },
            None => Self::Text { from: None, to: None, text: line.to_owned() },
        }
    }
}

/// Reads a command of somebody; nobody named means whose turn it is.
fn command_of(who: Option<Side>, command: &str) -> Line {
    let (verb, note) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
    let shown = |show: &str| State { show: show.to_owned(), note: note.trim().to_owned() };
    match verb {
        "here" => return Line::Show(who, Some(shown(""))),
        "away" => return Line::Show(who, Some(shown("away"))),
        "busy" | "dnd" => return Line::Show(who, Some(shown("dnd"))),
        "gone" => return Line::Show(who, None),
        "add" => return Line::Add(who),
        _ => {}
    }
    let mut words = command.split_whitespace();
    let (verb, object) = (words.next().unwrap_or_default(), words.next());
    match (verb, object) {
        ("quit" | "q" | "exit", None) => Line::Quit,
        ("help" | "h" | "?", None) => Line::Help,
        ("trace", None) => Line::Trace,
        ("status", None) => Line::Status,
        ("presence", None) => Line::Presence,
        ("streams", None) => Line::Streams,
        ("queue", None) => Line::Queue,
        ("down" | "up" | "freeze" | "thaw", Some(object)) => match (server(object), verb) {
            (Some(side), "down") => Line::Down(side),
            (Some(side), "freeze") => Line::Freeze(side),
            (Some(side), _) => Line::Up(side),
            (None, _) => Line::Wrong(format!(
                "there is no server `{object}`: write `/{verb} partner` or `/{verb} sip`"
            )),
        },
        ("down" | "up" | "freeze" | "thaw", None) => {
            Line::Wrong(format!("which one? `/{verb} partner` or `/{verb} sip`"))
        }
        (name, None) => match Side::named(name) {
            Some(side) => Line::Turn(Some(side)),
            None => Line::Wrong(format!("there is no /{name}; /help says what there is")),
        },
        (name, Some(_)) => Line::Wrong(format!("there is no such /{name}; /help says what there is")),
    }
}

fn server(word: &str) -> Option<Side> {
    match word {
        "partner" | "xmpp" | "server" => Some(Side::Xmpp),
        "sip" | "agent" | "phone" => Some(Side::Sip),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(from: Option<Side>, to: Option<&str>, text: &str) -> Line {
        Line::Text { from, to: to.map(str::to_owned), text: text.to_owned() }
    }

    #[test]
    fn a_name_and_a_colon_say_who_writes() {
        assert_eq!(Line::parse("ann: hi: there"), text(Some(Side::Xmpp), None, "hi: there"));
        assert_eq!(Line::parse(" BOB:hi "), text(Some(Side::Sip), None, "hi"));
        assert_eq!(Line::parse("bob > carol: hi"), text(Some(Side::Sip), Some("carol"), "hi"));
        assert_eq!(Line::parse("see: this"), text(None, None, "see: this"));
        assert_eq!(Line::parse("ann:"), Line::Turn(Some(Side::Xmpp)));
        assert_eq!(Line::parse(""), Line::Turn(None));
    }

    #[test]
    fn a_slash_begins_a_command_and_a_wrong_one_says_what_to_write() {
        assert_eq!(Line::parse("/down partner"), Line::Down(Side::Xmpp));
        assert_eq!(Line::parse("/freeze partner"), Line::Freeze(Side::Xmpp));
        assert_eq!(Line::parse("/up sip"), Line::Up(Side::Sip));
        assert_eq!(Line::parse("/q"), Line::Quit);
        assert_eq!(Line::parse("/bob"), Line::Turn(Some(Side::Sip)));
        let lunch = State { show: "away".to_owned(), note: "at lunch".to_owned() };
        assert_eq!(Line::parse("bob: /away  at lunch"), Line::Show(Some(Side::Sip), Some(lunch)));
        assert_eq!(Line::parse("/gone"), Line::Show(None, None));
        assert_eq!(Line::parse("ann: /add"), Line::Add(Some(Side::Xmpp)));
        for wrong in ["/down", "/up moon", "/sing", "/sing loud", "ann >: hi"] {
            assert!(matches!(Line::parse(wrong), Line::Wrong(_)), "{wrong}");
        }
    }
}
