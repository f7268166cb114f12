use std::borrow::Cow;

use bytes::Bytes;

use super::multipart::{Part, header_block};
use super::{BadBody, MimeLimits};
use crate::headers::Headers;
use crate::uri::Uri;

/// A `message/cpim` (RFC 3862): headers about the message, headers about its content, the content.
///
/// What it says of its sender is the sender's word only: identity is the channel's.
#[derive(Clone, Debug)]
pub struct Cpim {
    /// The headers about the message: From, To, cc, DateTime, Subject, NS, Require and others.
    pub headers: Headers,
    /// The content, with the headers about it: Content-Type and others.
    pub content: Part,
}

impl Cpim {
    /// Reads the body of a `message/cpim` (RFC 3862 §2).
    ///
    /// # Errors
    /// One of the two header blocks is none, or the second is missing.
    pub fn parse(body: &Bytes) -> Result<Self, BadBody> {
        let limits = MimeLimits::default();
        let (headers, at) = header_block(body, &limits)?;
        if at == body.len() {
            return Err(BadBody("the envelope has no content"));
        }
        Ok(Self { headers, content: Part::parse(&body.slice(at..), &limits)? })
    }

    /// Returns who the envelope says sent it: the URI between `<` and `>`, whatever name stands before it
    /// (RFC 3862 §4.1).
    #[must_use]
    pub fn from(&self) -> Option<Uri> {
        let value = self.header("From")?;
        let (_, uri) = value.rsplit_once('<')?;
        Uri::parse(uri.split_once('>')?.0).ok()
    }

    /// Returns the first subject, whatever its language, without its escapes (RFC 3862 §2.3.2, §4.5).
    #[must_use]
    pub fn subject(&self) -> Option<String> {
        let value = self.header("Subject")?;
        let text = value.strip_prefix(";lang=").and_then(|rest| rest.split_once(' '));
        Some(unescape(text.map_or(&value, |(_, text)| text)))
    }

    /// Returns the first header of this name, in whatever case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        let line = self.headers.iter().find(|line| line.written.eq_ignore_ascii_case(name))?;
        Some(String::from_utf8_lossy(line.value))
    }

    /// Returns the first header of this name in a namespace, whatever prefix the envelope gives that:
    /// `imdn.Message-ID` by `NS: imdn <urn:ietf:params:imdn>` (RFC 3862 §3.4).
    #[must_use]
    pub fn header_of(&self, namespace: &str, name: &str) -> Option<Cow<'_, str>> {
        match self.prefix(namespace)? {
            "" => self.header(name),
            prefix => self.header(&format!("{prefix}.{name}")),
        }
    }

    /// Returns the prefix that the envelope gives a namespace; `""` to one that needs none.
    fn prefix(&self, namespace: &str) -> Option<&str> {
        self.headers.iter().filter(|line| line.written.eq_ignore_ascii_case("NS")).find_map(|line| {
            let value = std::str::from_utf8(line.value).ok()?;
            let (prefix, rest) = value.split_once('<')?;
            (rest.strip_suffix('>')? == namespace).then(|| prefix.trim())
        })
    }
}

/// Undoes the backslashes of a header's text (§2.3.2); a control character that they name is left out.
fn unescape(text: &str) -> String {
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
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENVELOPE: &[u8] = b"From: MR SANDERS <im:piglet@100akerwood.com>\r\n\
        To: Depressed Donkey <im:eeyore@100akerwood.com>\r\n\
        DateTime: 2000-12-13T13:40:00-08:00\r\n\
        Subject: the weather will be fine today\r\n\
        NS: imdn <urn:ietf:params:imdn>\r\n\
        imdn.Message-ID: 34jk324j\r\n\
        \r\n\
        Content-type: text/xml; charset=utf-8\r\n\
        Content-ID: <1234567890@foo.com>\r\n\
        \r\n\
        <body>Here is the text of my message.</body>";

    #[test]
    fn an_envelope_gives_its_headers_and_its_content() {
        let cpim = Cpim::parse(&Bytes::from_static(ENVELOPE)).unwrap();

        assert_eq!(cpim.from().unwrap().as_str(), "im:piglet@100akerwood.com");
        assert_eq!(cpim.subject().unwrap(), "the weather will be fine today");
        assert_eq!(cpim.header("datetime").unwrap(), "2000-12-13T13:40:00-08:00");
        assert_eq!(cpim.header_of("urn:ietf:params:imdn", "message-id").unwrap(), "34jk324j");
        assert_eq!(cpim.header_of("urn:example:other", "message-id"), None);
        assert!(cpim.content.content_type().unwrap().is("text/xml"));
        assert_eq!(&cpim.content.body[..], b"<body>Here is the text of my message.</body>");
    }

    #[test]
    fn content_without_headers_is_plain_text() {
        let cpim = Cpim::parse(&Bytes::from_static(b"From: <im:a@b>\r\n\r\n\r\nhi")).unwrap();

        assert!(cpim.content.content_type().unwrap().is("text/plain"));
        assert_eq!(&cpim.content.body[..], b"hi");
    }

    #[test]
    fn a_subject_is_told_without_its_language_and_escapes() {
        let body = b"From: <im:a@b>\r\nSubject:;lang=fr a\\u00e9\\nb\\u0000c\\\\\r\n\r\n\r\nhi";

        let cpim = Cpim::parse(&Bytes::from_static(body)).unwrap();

        assert_eq!(cpim.subject().unwrap(), "a\u{e9} bc\\");
    }

    #[test]
    fn an_envelope_without_content_is_none() {
        for body in [&b""[..], b"From: <im:a@b>\r\n", b"no header\r\n\r\n\r\nx"] {
            assert!(Cpim::parse(&Bytes::from_static(body)).is_err());
        }
    }
}
