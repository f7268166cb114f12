use std::borrow::Cow;
use std::fmt;

use crate::octets;
use crate::params::{Params, push_quoted, unquote};
use crate::text::{HeaderText, Text, Token};
use crate::uri::Uri;

/// A name and an address: From, To, Contact, Route, Record-Route, P-Asserted-Identity, … (RFC 3261 §20.10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameAddr {
    /// The display name as written, with its quotes.
    display: Text,
    /// The URI.
    pub uri: Uri,
    /// The header's parameters (`tag`, `expires`, `q`, `epid`, …), not the URI's.
    pub params: Params,
}

impl NameAddr {
    /// Returns `<uri>`.
    #[must_use]
    pub fn new(uri: impl Into<Uri>) -> Self {
        Self { display: Text::default(), uri: uri.into(), params: Params::default() }
    }

    /// Returns the value that `text` is.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(text: impl Into<Text>) -> Result<Self, &'static str> {
        Self::parse_text(&text.into())
    }

    /// Returns the value with this display name, quoted and escaped; control characters become spaces.
    /// An empty name is none.
    #[must_use]
    pub fn with_display_name(self, name: &str) -> Self {
        let name = HeaderText::clean(name).text;
        let mut display = String::with_capacity(name.as_str().len() + 2);
        if !name.as_str().is_empty() {
            push_quoted(&mut display, name.as_str());
        }
        Self { display: Text::from(display), ..self }
    }

    /// Returns the value with this `tag`, in place of one that is there.
    #[must_use]
    pub fn with_tag(self, tag: &Token) -> Self {
        let params = if self.params.is_empty() {
            let tag = tag.as_str();
            let mut text = String::with_capacity(tag.len() + 5);
            text.push_str(";tag=");
            text.push_str(tag);
            Params::assembled(Text::from(text))
        } else {
            self.params.with(&TAG, Some(tag.as_str()))
        };
        Self { params, ..self }
    }

    /// Returns the value without a `tag`.
    #[must_use]
    pub fn without_tag(self) -> Self {
        if self.params.has("tag") { Self { params: self.params.without("tag"), ..self } } else { self }
    }

    /// Returns the value with a further parameter, quoted if it must be.
    #[must_use]
    pub fn with_param(self, name: &Token, value: Option<&str>) -> Self {
        Self { params: self.params.with(name, value), ..self }
    }

    /// Returns the display name, unquoted; `None` if there is none. Control characters that were escaped
    /// in it are left out: it is for people to read, and never an identity.
    #[must_use]
    pub fn display_name(&self) -> Option<Cow<'_, str>> {
        if self.display.is_empty() {
            return None;
        }
        let name = unquote(&self.display);
        if name.contains(char::is_control) {
            return Some(Cow::Owned(name.chars().filter(|c| !c.is_control()).collect()));
        }
        Some(name)
    }

    /// Returns the display name as written, with its quotes; `""` if there is none.
    #[must_use]
    pub fn written_display_name(&self) -> &str {
        &self.display
    }

    /// Returns the `tag`.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.params.get("tag")
    }

    pub(crate) fn parse_text(text: &Text) -> Result<Self, &'static str> {
        let octets = text.as_bytes();
        let (start, end) = octets::trimmed(octets);
        let name_end = if octets.get(start) == Some(&b'"') {
            octets::quoted_end(octets, start).ok_or("a quote is not closed")?
        } else {
            start
        };
        let Some(open) = octets::find(&octets[name_end..end], b'<').map(|found| name_end + found) else {
            return if name_end == start { Self::bare(text, start, end) } else { Err("the URI is missing") };
        };
        let display_end = start + octets::trimmed(&octets[start..open]).1;
        check_display(&octets[start..display_end], name_end - start)?;
        let close =
            memchr::memchr(b'>', &octets[open..end]).map(|found| open + found).ok_or("a < is not closed")?;
        let uri = Uri::parse(text.slice(open + 1..close)).map_err(|bad| bad.0)?;
        let params = params(text, close + 1, end)?;
        Ok(Self { display: text.slice(start..display_end), uri, params })
    }

    /// An address without brackets: its parameters are the header's, and a comma or a question mark
    /// cannot be in it (RFC 3261 §20).
    fn bare(text: &Text, start: usize, end: usize) -> Result<Self, &'static str> {
        let octets = text.as_bytes();
        let uri_end = octets[start..end]
            .iter()
            .position(|octet| matches!(octet, b';' | b' ' | b'\t'))
            .map_or(end, |found| start + found);
        if memchr::memchr2(b',', b'?', &octets[start..uri_end]).is_some() {
            return Err("a URI with a comma or a question mark needs < and >");
        }
        let uri = Uri::parse(text.slice(start..uri_end)).map_err(|bad| bad.0)?;
        Ok(Self { display: Text::default(), uri, params: params(text, uri_end, end)? })
    }

    /// Appends the value as it goes on the wire.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        if !self.display.is_empty() {
            out.extend_from_slice(self.display.as_bytes());
            out.push(b' ');
        }
        out.push(b'<');
        out.extend_from_slice(self.uri.as_bytes());
        out.push(b'>');
        out.extend_from_slice(self.params.as_bytes());
    }
}

impl fmt::Display for NameAddr {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.display.is_empty() {
            write!(out, "{} ", self.display)?;
        }
        write!(out, "<{}>{}", self.uri, self.params)
    }
}

const TAG: Token = Token::from_static("tag");

/// A display name is one quoted string, or words. Words may have more characters than a token has
/// (names in UTF-8, parentheses), but none that could be taken for the end of the name.
fn check_display(display: &[u8], quoted: usize) -> Result<(), &'static str> {
    if quoted > 0 {
        return if display.len() == quoted {
            Ok(())
        } else {
            Err("something follows the quoted display name")
        };
    }
    let separates = |octet: &u8| matches!(octet, b',' | b';' | b':' | b'"' | b'>' | b'\\');
    if display.iter().any(separates) { Err("the display name must be quoted") } else { Ok(()) }
}

fn params(text: &Text, from: usize, end: usize) -> Result<Params, &'static str> {
    let at = octets::skip_white(text.as_bytes(), from);
    if at >= end { Ok(Params::default()) } else { Params::parse_keyed(text.slice(at..end), "tag") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_display_name_is_unquoted() {
        let value = parse("\"J Rosenberg \\\\\\\"\"       <sip:jdrosen@example.com>  ;  tag = 98asjd8");

        assert_eq!(value.display_name().unwrap(), "J Rosenberg \\\"");
        assert_eq!(value.uri.as_str(), "sip:jdrosen@example.com");
        assert_eq!(value.tag(), Some("98asjd8"));
    }

    #[test]
    fn parameters_outside_the_brackets_are_the_headers() {
        let outside = parse("sip:a@x.example;unknown=1");
        let inside = parse("<sip:a@x.example;unknown=1>");

        assert_eq!(outside.params.get("unknown"), Some("1"));
        assert_eq!(inside.params.get("unknown"), None);
        assert_eq!(inside.uri.as_sip().unwrap().params().get("unknown"), Some("1"));
    }

    #[test]
    fn a_name_needs_no_space_before_the_bracket() {
        assert_eq!(parse("caller<sip:caller@example.com>;tag=323").display_name().unwrap(), "caller");
        assert_eq!(parse("token1~` token2'+_ <sip:a@b.c>").display_name().unwrap(), "token1~` token2'+_");
    }

    #[test]
    fn a_control_character_does_not_leave_a_display_name() {
        assert_eq!(
            parse("\"BEL:\\\u{7} NUL:\\\u{0}\" <sip:a@x.example>").display_name().unwrap(),
            "BEL: NUL:"
        );
    }

    #[test]
    fn what_is_ambiguous_is_refused() {
        for text in [
            "",
            "\"Mr. J. User <sip:j.user@example.com>",
            "Bell, Alexander <sip:a.g.bell@example.com>;tag=43",
            "\"Watson\" < sip:t.watson@example.org >",
            "sip:user@example.com?Route=%3Csip:sip.example.com%3E",
            "sip:a,b@x.example",
            "\"Joe\" <sip:joe@example.org>;;;;",
            "<sip:a@x.example> <sip:b@x.example>",
            "<sip:a@x.example>, <sip:b@x.example>",
            "\"a\" b <sip:a@x.example>",
            "<sip:a@x.example",
            "\"a\"",
        ] {
            assert!(NameAddr::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_built_reads_back() {
        let tag = Token::parse("8d21").unwrap();

        let value = NameAddr::new(Uri::parse("sip:ann@x.example;gr=desk").unwrap())
            .with_display_name("Ann \"A\\\"\r\nVia: x")
            .with_tag(&tag);

        assert_eq!(value.to_string(), "\"Ann \\\"A\\\\\\\" Via: x\" <sip:ann@x.example;gr=desk>;tag=8d21");
        assert_eq!(parse(&value.to_string()), value);
        assert_eq!(value.with_tag(&Token::parse("2").unwrap()).tag(), Some("2"));
    }

    fn parse(text: &str) -> NameAddr {
        NameAddr::parse(text).unwrap()
    }
}
