//! Escapes for what a localpart cannot hold (XEP-0106).

/// Returns `text` as it can stand in a localpart (XEP-0106 §3).
///
/// A backslash is escaped only where it would read as an escape. A leading or trailing space cannot be
/// escaped (§3.3): it stays a space, which no localpart holds, so such a text is refused by the parser.
#[must_use]
pub fn escape_localpart(text: &str) -> String {
    let last = text.len().saturating_sub(1);
    let mut escaped = String::with_capacity(text.len() + 8);
    for (at, c) in text.char_indices() {
        match c {
            ' ' if at == 0 || at == last => escaped.push(' '),
            '\\' if code(&text[at..]).is_some() => escaped.push_str("\\5c"),
            '\\' => escaped.push('\\'),
            _ => match ESCAPES.iter().find(|(plain, _)| *plain == c) {
                Some((_, code)) => {
                    escaped.push('\\');
                    escaped.push_str(code);
                }
                None => escaped.push(c),
            },
        }
    }
    escaped
}

/// Returns what an escaped localpart stands for (XEP-0106 §3), to be shown or translated.
///
/// `\20` at either end is no escape (§3.3), and stays as it is.
#[must_use]
pub fn unescape_localpart(localpart: &str) -> String {
    let mut text = String::with_capacity(localpart.len());
    let mut rest = localpart;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let at_an_end = rest.len() == localpart.len() || rest.len() == 3;
        match code(rest) {
            Some(plain) if plain != ' ' || !at_an_end => {
                text.push(plain);
                rest = &rest[3..];
            }
            Some(_) | None => {
                text.push('\\');
                rest = &rest[1..];
            }
        }
    }
    text.push_str(rest);
    text
}

/// The ten escapes of XEP-0106 §3.2.
const ESCAPES: [(char, &str); 10] = [
    (' ', "20"),
    ('"', "22"),
    ('&', "26"),
    ('\'', "27"),
    ('/', "2f"),
    (':', "3a"),
    ('<', "3c"),
    ('>', "3e"),
    ('@', "40"),
    ('\\', "5c"),
];

/// Returns what the escape at the beginning of `text` stands for, if there is one.
fn code(text: &str) -> Option<char> {
    let digits = text.get(1..3)?;
    let same = |(_, code): &&(char, &str)| code.eq_ignore_ascii_case(digits);
    ESCAPES.iter().find(same).map(|(plain, _)| *plain)
}
