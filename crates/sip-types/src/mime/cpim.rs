use std::borrow::Cow;

use bytes::Bytes;

use super::multipart::header_block;
use super::{BadBody, MimeLimits};
use crate::header::{ContentType, HeaderName, NameAddr};
use crate::headers::Headers;
use crate::text::Text;

/// A `message/cpim` (RFC 3862): headers about the message, headers about its content, the content.
///
/// What it says of its sender is the sender's word only: identity is the channel's.
#[derive(Clone, Debug)]
pub struct Cpim {
    /// The headers about the message: From, To, cc, DateTime, Subject, NS, Require and others.
    pub headers: Headers,
    /// The headers about the content: Content-Type and others.
    pub content_headers: Headers,
    /// The content.
    pub content: Bytes,
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
        let rest = body.slice(at..);
        let (content_headers, at) = header_block(&rest, &limits)?;
        Ok(Self { headers, content_headers, content: rest.slice(at..) })
    }

    /// Returns the media type of the content; without one it is `text/plain` (RFC 3862 §3.4 by RFC 2045 §5.2).
    ///
    /// # Errors
    /// Its header is no media type.
    pub fn content_type(&self) -> Result<ContentType, BadBody> {
        let written = self.content_headers.content_type().map_err(|bad| BadBody(bad.what))?;
        Ok(written.unwrap_or_else(ContentType::text_plain))
    }

    /// Returns who the envelope says sent it, if that is an address.
    #[must_use]
    pub fn from(&self) -> Option<NameAddr> {
        let value = self.headers.get(HeaderName::From)?;
        NameAddr::parse(Text::from(String::from_utf8_lossy(value).into_owned())).ok()
    }

    /// Returns the first header of this name, in whatever case: names with a prefix (`imdn.Message-ID`) too.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        let line = self.headers.iter().find(|line| line.written.eq_ignore_ascii_case(name))?;
        Some(String::from_utf8_lossy(line.value))
    }

    /// Returns the prefix that the envelope gives a namespace: `imdn` by `NS: imdn <urn:ietf:params:imdn>`
    /// (RFC 3862 §3.4). The namespace without a prefix has the prefix `""`.
    #[must_use]
    pub fn prefix(&self, namespace: &str) -> Option<String> {
        self.headers.iter().filter(|line| line.written.eq_ignore_ascii_case("NS")).find_map(|line| {
            let value = std::str::from_utf8(line.value).ok()?;
            let (prefix, rest) = value.split_once('<')?;
            (rest.strip_suffix('>')? == namespace).then(|| prefix.trim().to_string())
        })
    }
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

        assert_eq!(cpim.from().unwrap().uri.as_str(), "im:piglet@100akerwood.com");
        assert_eq!(cpim.header("subject").unwrap(), "the weather will be fine today");
        assert_eq!(cpim.prefix("urn:ietf:params:imdn").as_deref(), Some("imdn"));
        assert_eq!(cpim.header("imdn.message-id").unwrap(), "34jk324j");
        assert!(cpim.content_type().unwrap().is("text/xml"));
        assert_eq!(&cpim.content[..], b"<body>Here is the text of my message.</body>");
    }

    #[test]
    fn content_without_headers_is_plain_text() {
        let cpim = Cpim::parse(&Bytes::from_static(b"From: <im:a@b>\r\n\r\n\r\nhi")).unwrap();

        assert!(cpim.content_type().unwrap().is("text/plain"));
        assert_eq!(&cpim.content[..], b"hi");
    }

    #[test]
    fn an_envelope_without_content_is_none() {
        for body in [&b""[..], b"From: <im:a@b>\r\n", b"no header\r\n\r\n\r\nx"] {
            assert!(Cpim::parse(&Bytes::from_static(body)).is_err());
        }
    }
}
