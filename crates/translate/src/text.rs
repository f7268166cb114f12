//! Text that XML and header values can carry.

use std::borrow::Cow;

use xmpp_types::xml::is_char;

use crate::loss::{Loss, Losses};

/// Removes what XML 1.0 §2.2 cannot carry; tells whether there was any. Tab, CR and LF stay: a text's line
/// ends are not rewritten.
pub(crate) fn clean_for_xml(text: Cow<'_, str>) -> (Cow<'_, str>, bool) {
    if text.chars().all(is_char) {
        return (text, false);
    }
    (Cow::Owned(text.chars().filter(|c| is_char(*c)).collect()), true)
}

/// A text as one line of a header.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    pub(crate) text: Cow<'a, str>,
    pub(crate) breaks: bool,
    pub(crate) controls: bool,
    pub(crate) shortened: bool,
}

/// Makes `text` one line of at most `octets_max`: runs of line breaks become one space, other controls go, and
/// the ends are trimmed. What comes out cannot start another header (RFC 3261 §7.3.1).
pub(crate) fn clean_for_header(text: &str, octets_max: usize) -> Line<'_> {
    let trimmed = text.trim_matches([' ', '\t']);
    if trimmed.len() <= octets_max && !trimmed.chars().any(char::is_control) {
        return Line { text: Cow::Borrowed(trimmed), breaks: false, controls: false, shortened: false };
    }
    let mut line = Line { text: Cow::Borrowed(""), breaks: false, controls: false, shortened: false };
    let mut out = String::with_capacity(trimmed.len().min(octets_max));
    for c in trimmed.chars() {
        let c = match c {
            '\r' | '\n' => {
                line.breaks = true;
                ' '
            }
            '\t' => ' ',
            c if c.is_control() => {
                line.controls = true;
                continue;
            }
            c => c,
        };
        if c == ' ' && (out.is_empty() || out.ends_with(' ')) {
            continue;
        }
        if out.len() + c.len_utf8() > octets_max {
            line.shortened = true;
            break;
        }
        out.push(c);
    }
    out.truncate(out.trim_end_matches(' ').len());
    line.text = Cow::Owned(out);
    line
}

/// The longest display name, in octets.
const NAME_MAX: usize = 128;

/// A name to be shown never holds what hides or turns its letters: it stands beside an address.
pub(crate) fn display_name(nick: &str, losses: &mut Losses) -> Option<String> {
    let line = clean_for_header(nick, NAME_MAX);
    let name: String = line.text.chars().filter(|c| !is_hidden(*c)).collect();
    losses.add_if(line.breaks, Loss::LineBreaks);
    losses.add_if(line.controls || name.len() != line.text.len(), Loss::Characters);
    losses.add_if(line.shortened, Loss::Length);
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

/// Tells whether a reader sees nothing of `c`, or sees its neighbours in another order. Such a character makes
/// two addresses look equal, so none is let into one.
pub(crate) const fn is_hidden(c: char) -> bool {
    matches!(c,
        '\0'..='\u{1F}' | '\u{7F}'..='\u{9F}'
        | '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
        | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}'
        | '\u{FFF0}'..='\u{FFFB}' | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_xml_cannot_carry_are_removed() {
        let (text, removed) = clean_for_xml("a\0b\u{8}\tc\r\nd\u{FFFE}\u{FFFF}😀]]>".into());

        assert_eq!((text.as_ref(), removed), ("ab\tc\r\nd😀]]>", true));
    }

    #[test]
    fn a_header_line_has_no_breaks_no_controls_and_no_more_octets_than_allowed() {
        let line = clean_for_header(" a\r\nRoute: evil\0\u{85}b\t ", 100);
        assert_eq!(line.text, "a Route: evilb");
        assert!(line.breaks && line.controls && !line.shortened);

        let line = clean_for_header("ééé", 5);
        assert_eq!((line.text.as_ref(), line.shortened), ("éé", true));
    }
}
