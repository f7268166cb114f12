use std::borrow::Cow;
use std::fmt;

use crate::octets::{self, PARAM, TOKEN, VALUE};
use crate::text::{HeaderText, Text, Token};

/// Parameters `;name=value;flag` as they stood, kept in order and with unknown ones (RFC 3261 §7.3.1).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Params(Text);

/// One parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param<'a> {
    /// Its name as written; names are compared without regard to case.
    pub name: &'a str,
    /// Its value as written, quotes included; `None` if it is only a name.
    pub value: Option<&'a str>,
}

impl Params {
    /// Returns whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether a parameter of this name is there, with or without a value.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.iter().any(|param| param.name.eq_ignore_ascii_case(name))
    }

    /// Returns the value of the first parameter of this name as written; `None` also if it has no value.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|param| param.name.eq_ignore_ascii_case(name)).and_then(|param| param.value)
    }

    /// Returns the value of the first parameter of this name, unquoted.
    #[must_use]
    pub fn unquoted(&self, name: &str) -> Option<Cow<'_, str>> {
        self.get(name).map(unquote)
    }

    /// Returns the parameters in order.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter { rest: self.0.as_str() }
    }

    /// Returns the parameters as they stand on the wire, beginning with `;` unless there are none.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns them with `name` set to `value` at the end, in place of those of that name. The value is
    /// quoted unless it is a token; control characters in it become spaces.
    #[must_use]
    pub fn with(&self, name: &Token, value: Option<&str>) -> Self {
        let mut text = self.printed_without(name.as_str());
        text.push(';');
        text.push_str(name.as_str());
        if let Some(value) = value {
            text.push('=');
            let value = HeaderText::clean(value).text;
            if octets::is_token(value.as_str().as_bytes()) {
                text.push_str(value.as_str());
            } else {
                push_quoted(&mut text, value.as_str());
            }
        }
        Self(Text::from(text))
    }

    /// Returns them without those of that name.
    #[must_use]
    pub fn without(&self, name: &str) -> Self {
        Self(Text::from(self.printed_without(name)))
    }

    /// Returns the parameters of a header that are the whole of `text`: empty, or beginning with `;`.
    pub(crate) fn parse_header(text: Text) -> Result<Self, &'static str> {
        check(text.as_bytes(), Grammar::Header)?;
        Ok(Self(text))
    }

    /// Returns the parameters of a URI that are the whole of `text`: empty, or beginning with `;`.
    pub(crate) fn parse_uri(text: Text) -> Result<Self, &'static str> {
        check(text.as_bytes(), Grammar::Uri)?;
        Ok(Self(text))
    }

    /// Returns parameters that are assembled of checked parts: `;name=value`.
    pub(crate) const fn assembled(text: Text) -> Self {
        Self(text)
    }

    fn printed_without(&self, name: &str) -> String {
        let mut text = String::with_capacity(self.0.len() + 24);
        for param in self.iter().filter(|param| !param.name.eq_ignore_ascii_case(name)) {
            text.push(';');
            text.push_str(param.name);
            if let Some(value) = param.value {
                text.push('=');
                text.push_str(value);
            }
        }
        text
    }
}

impl fmt::Display for Params {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// The parameters in order.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Iter<'a> {
    type Item = Param<'a>;

    fn next(&mut self) -> Option<Param<'a>> {
        let octets = self.rest.as_bytes();
        let start = memchr::memchr(b';', octets)? + 1;
        let end = param_end(octets, start);
        let one = &self.rest[start..end];
        self.rest = &self.rest[end..];
        Some(match memchr::memchr(b'=', one.as_bytes()) {
            Some(equal) => Param { name: trim(&one[..equal]), value: Some(trim(&one[equal + 1..])) },
            None => Param { name: trim(one), value: None },
        })
    }
}

impl<'a> IntoIterator for &'a Params {
    type Item = Param<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// Returns the content of a quoted string, or `text` if it is not quoted (RFC 3261 §25.1 `quoted-string`).
#[must_use]
pub fn unquote(text: &str) -> Cow<'_, str> {
    let Some(inner) = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return Cow::Borrowed(text);
    };
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let mut plain = String::with_capacity(inner.len());
    let mut escaped = false;
    for c in inner.chars() {
        if c == '\\' && !escaped {
            escaped = true;
        } else {
            plain.push(c);
            escaped = false;
        }
    }
    Cow::Owned(plain)
}

/// Appends `text` as a quoted string. Control characters must be gone already.
pub(crate) fn push_quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}

#[derive(Clone, Copy)]
enum Grammar {
    /// `*( SEMI token [ EQUAL ( token / host / quoted-string ) ] )`, white space around `;` and `=`.
    Header,
    /// `*( ";" 1*paramchar [ "=" 1*paramchar ] )`.
    Uri,
}

/// Returns where the parameter that begins at `start` ends: at the next `;` outside quotes.
fn param_end(octets: &[u8], start: usize) -> usize {
    let mut at = start;
    while let Some(found) = memchr::memchr2(b';', b'"', &octets[at..]) {
        at += found;
        if octets[at] == b';' {
            return at;
        }
        match octets::quoted_end(octets, at) {
            Some(end) => at = end,
            None => break,
        }
    }
    octets.len()
}

/// More parameters than this make a value malformed: comparisons are quadratic in them.
const COUNT_MAX: usize = 64;

fn check(octets: &[u8], grammar: Grammar) -> Result<(), &'static str> {
    let mut at = 0;
    let mut count = 0;
    while at < octets.len() {
        if octets[at] != b';' {
            return Err("something stands between parameters");
        }
        count += 1;
        if count > COUNT_MAX {
            return Err("there are too many parameters");
        }
        let start = at + 1;
        let end = match grammar {
            Grammar::Header => param_end(octets, start),
            Grammar::Uri => {
                memchr::memchr(b';', &octets[start..]).map_or(octets.len(), |found| start + found)
            }
        };
        let one = &octets[start..end];
        let (name, value) = match memchr::memchr(b'=', one) {
            Some(equal) => (&one[..equal], Some(&one[equal + 1..])),
            None => (one, None),
        };
        match grammar {
            Grammar::Header => check_header_param(octets::trim(name), value.map(octets::trim))?,
            Grammar::Uri => check_uri_param(name, value)?,
        }
        at = end;
    }
    Ok(())
}

fn check_header_param(name: &[u8], value: Option<&[u8]>) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("a parameter is empty");
    }
    if !octets::all(name, TOKEN) {
        return Err("a parameter's name is no token");
    }
    match value {
        None => Ok(()),
        Some([]) => Err("a parameter's value is empty"),
        Some(value) if value[0] == b'"' => match octets::quoted_end(value, 0) {
            Some(end) if end == value.len() => Ok(()),
            Some(_) => Err("something follows a quoted parameter"),
            None => Err("a quote is not closed"),
        },
        Some(value) if octets::all(value, VALUE) => Ok(()),
        Some(_) => Err("a parameter's value has a character that must be quoted"),
    }
}

fn check_uri_param(name: &[u8], value: Option<&[u8]>) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("a URI parameter is empty");
    }
    if !octets::all_or_escaped(name, PARAM) {
        return Err("a URI parameter's name has a character that must be escaped");
    }
    match value {
        None => Ok(()),
        // COMPAT(several user agents, 2020s): `;lr=` and the like; harmless, so it may stay.
        Some(value) if octets::all_or_escaped(value, PARAM) => Ok(()),
        Some(_) => Err("a URI parameter's value has a character that must be escaped"),
    }
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn semicolons_inside_quotes_do_not_separate() {
        let params = Params::parse_header(Text::from(r#" ; a = "x;\"y" ;B;c=1"#.trim_start())).unwrap();

        assert_eq!(params.unquoted("A").unwrap(), r#"x;"y"#);
        assert!(params.has("b"));
        assert_eq!(params.get("b"), None);
        assert_eq!(params.get("c"), Some("1"));
        assert_eq!(params.iter().count(), 3);
    }

    #[test]
    fn empty_parameters_and_open_quotes_are_refused() {
        for text in [";", ";;a", ";a;", ";a=", ";a=\"x", ";a=\"x\"y", "a", ";a b=1", ";a=b<c"] {
            assert!(Params::parse_header(Text::from(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn a_value_that_is_no_token_is_quoted_when_set() {
        let params = Params::default().with(&Token::parse("reason").unwrap(), Some("a \"b\"\r\n;c"));

        assert_eq!(params.as_str(), r#";reason="a \"b\" ;c""#);
        assert_eq!(params.unquoted("reason").unwrap(), r#"a "b" ;c"#);
    }

    #[test]
    fn setting_a_parameter_replaces_those_of_its_name() {
        let params = Params::parse_header(Text::from(";Tag=1;x;tag=2")).unwrap();

        let params = params.with(&Token::parse("tag").unwrap(), Some("3"));

        assert_eq!(params.as_str(), ";x;tag=3");
        assert_eq!(params.without("X").as_str(), ";tag=3");
    }
}
