//! The message/cpim envelope around a text (RFC 3862), and what it asks to be told (RFC 5438).

use std::borrow::Cow;

use crate::mime::{Part, split_headers};

/// An envelope taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Envelope<'a> {
    headers: Part<'a>,
    pub(crate) content: Part<'a>,
}

impl<'a> Envelope<'a> {
    /// Reads the body of a message/cpim; `None` if there is no content behind the envelope's headers (§2.1).
    pub(crate) fn parse(body: &'a [u8]) -> Option<Self> {
        let (_, rest) = split_headers(body);
        if rest.is_empty() {
            return None;
        }
        Some(Self { headers: Part::parse(body)?, content: Part::parse(rest)? })
    }

    /// Returns the URI of the `From` header: what is between `<` and `>` (§4.1).
    pub(crate) fn sender(&self) -> Option<&'a str> {
        uri_of(self.headers.header("From")?)
    }

    /// Returns the subject, if it has no language or whatever its language (§4.5).
    pub(crate) fn subject(&self) -> Option<Cow<'a, str>> {
        self.headers().find(|(name, _)| name.eq_ignore_ascii_case("Subject")).map(|(_, value)| {
            let text =
                value.strip_prefix(";lang=").and_then(|rest| rest.split_once(' ')).map_or(value, |(_, t)| t);
            unescape(text)
        })
    }

    /// Returns `DateTime` as written (§4.4).
    pub(crate) fn date_time(&self) -> Option<&'a str> {
        self.headers.header("DateTime")
    }

    /// Returns the value of an `imdn` header, whatever prefix the envelope gives that namespace (§3.4).
    pub(crate) fn imdn(&self, name: &str) -> Option<&'a str> {
        let prefix = self.headers().filter(|(header, _)| header.eq_ignore_ascii_case("NS")).find_map(
            |(_, value)| {
                let (prefix, uri) = value.split_once('<')?;
                (uri.trim_end_matches('>') == "urn:ietf:params:imdn").then(|| prefix.trim())
            },
        )?;
        self.headers()
            .find(|(header, _)| {
                header.split_once('.').is_some_and(|(p, n)| p == prefix && n.eq_ignore_ascii_case(name))
            })
            .map(|(_, value)| value)
    }

    /// Tells whether the envelope says more than who, to whom and about what.
    pub(crate) fn says_more(&self) -> bool {
        const KNOWN: [&str; 7] = ["From", "To", "Subject", "NS", "DateTime", "Content-Type", "cc"];
        self.headers().any(|(name, _)| {
            !name.contains('.') && !KNOWN.iter().any(|known| known.eq_ignore_ascii_case(name))
        })
    }

    fn headers(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.headers.headers()
    }
}

fn uri_of(value: &str) -> Option<&str> {
    let (_, rest) = value.rsplit_once('<')?;
    rest.split_once('>').map(|(uri, _)| uri)
}

/// Undoes the backslashes of a header's text (§2.3.2); a control character that they name is left out.
fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('u') => {
                let digits: String = chars.by_ref().take(4).collect();
                let named = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
                out.extend(named.filter(|c| !c.is_control()));
            }
            Some('b' | 't' | 'n' | 'r') => out.push(' '),
            Some(other) => out.push(other),
            None => {}
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKING: &str = "From: Bob <sip:bob@s.example>\r\nTo: <sip:ann@x.example>\r\n\
        NS: n <urn:ietf:params:imdn>\r\nn.Message-ID: 34jk\r\nDateTime: 2026-04-04T12:16:49-05:00\r\n\
        Subject:;lang=fr a\\u00e9\\nb\r\nn.Disposition-Notification: positive-delivery, negative-delivery\r\n\r\n\
        Content-Type: text/plain; charset=utf-8\r\n\r\nHello";

    #[test]
    fn an_envelope_gives_its_sender_its_wishes_and_its_content() {
        let envelope = Envelope::parse(ASKING.as_bytes()).unwrap();

        assert_eq!(envelope.sender(), Some("sip:bob@s.example"));
        assert_eq!(envelope.imdn("Message-ID"), Some("34jk"));
        assert_eq!(envelope.imdn("Disposition-Notification"), Some("positive-delivery, negative-delivery"));
        assert_eq!(envelope.date_time(), Some("2026-04-04T12:16:49-05:00"));
        assert_eq!(envelope.subject().as_deref(), Some("aé b"));
        assert_eq!(envelope.content.header("content-type"), Some("text/plain; charset=utf-8"));
        assert_eq!(envelope.content.body, b"Hello");
        assert!(!envelope.says_more());
    }

    #[test]
    fn an_envelope_without_content_is_none() {
        assert_eq!(Envelope::parse(b"From: <sip:bob@s.example>\r\n"), None);
        assert_eq!(Envelope::parse(b""), None);
    }
}
