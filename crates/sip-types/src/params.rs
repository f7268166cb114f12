use std::borrow::Cow;
use std::fmt;

use crate::octets::{self, PARAM, TOKEN, VALUE};
use crate::text::{HeaderText, Text, Token};

/// Parameters `;name=value;flag` as they stood, kept in order and with unknown ones (RFC 3261 §7.3.1).
#[derive(Clone, Debug, Default)]
pub struct Params {
    text: Text,
    /// Where the value of the parameter is that everybody asks for.
    key: Option<Key>,
}

/// The parameter that a transaction or a dialog is told by: found once, while reading.
#[derive(Clone, Copy, Debug)]
struct Key {
    name: &'static str,
    start: u32,
    end: u32,
}

impl PartialEq for Params {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Params {}

impl std::hash::Hash for Params {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

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
        self.text.is_empty()
    }

    /// Returns whether a parameter of this name is there, with or without a value.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.iter().any(|param| param.name.eq_ignore_ascii_case(name))
    }

    /// Returns the value of the first parameter of this name as written; `None` also if it has no value.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        match self.key {
            Some(key) if key.name == name => {
                self.text.as_bytes().get(key.start as usize..key.end as usize).and_then(str_of)
            }
            Some(_) | None => {
                self.iter().find(|param| param.name.eq_ignore_ascii_case(name)).and_then(|param| param.value)
            }
        }
    }

    /// Returns the value of the first parameter of this name, unquoted.
    #[must_use]
    pub fn unquoted(&self, name: &str) -> Option<Cow<'_, str>> {
        self.get(name).map(unquote)
    }

    /// Returns the parameters in order.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter { rest: self.text.as_str() }
    }

    /// Returns the parameters as they stand on the wire, beginning with `;` unless there are none.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
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
        Self::assembled(Text::from(text))
    }

    /// Returns them without those of that name.
    #[must_use]
    pub fn without(&self, name: &str) -> Self {
        Self::assembled(Text::from(self.printed_without(name)))
    }

    /// Returns the parameters as octets.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// Returns what stands before the first parameter in a header's value, and the parameters.
    pub(crate) fn split_header(text: &Text) -> Option<(Text, Self)> {
        let octets = text.as_bytes();
        let (start, end) = octets::trimmed(octets);
        let head_end = memchr::memchr(b';', octets).unwrap_or(end);
        let head = octets::trim(octets.get(start..head_end)?);
        let params = if head_end < end {
            Self::parse_header(text.slice(head_end..end)).ok()?
        } else {
            Self::default()
        };
        Some((text.slice(start..start + head.len()), params))
    }

    /// Returns the parameters of a header that are the whole of `text`: empty, or beginning with `;`.
    fn parse_header(text: Text) -> Result<Self, &'static str> {
        check_header(text.as_bytes(), "").map(|_| Self::assembled(text))
    }

    /// As [`Params::parse_header`]; `key` will be asked for.
    pub(crate) fn parse_keyed(text: Text, key: &'static str) -> Result<Self, &'static str> {
        let (start, end) = check_header(text.as_bytes(), key)?;
        let key = (end > 0).then(|| Key {
            name: key,
            start: u32::try_from(start).unwrap_or(u32::MAX),
            end: u32::try_from(end).unwrap_or(u32::MAX),
        });
        Ok(Self { text, key })
    }

    /// Returns the parameters of a URI that are the whole of `text`: empty, or beginning with `;`.
    pub(crate) fn parse_uri(text: Text) -> Result<Self, &'static str> {
        check_uri(text.as_bytes())?;
        Ok(Self::assembled(text))
    }

    /// Returns parameters that are assembled of checked parts: `;name=value`.
    pub(crate) const fn assembled(text: Text) -> Self {
        Self { text, key: None }
    }

    fn printed_without(&self, name: &str) -> String {
        let mut text = String::with_capacity(self.text.len() + 24);
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
        out.write_str(&self.text)
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
        // The rest is empty or begins with its semicolon.
        let end = param_end(octets, 1.min(octets.len()));
        let one = self.rest.get(1..end)?;
        self.rest = &self.rest[end..];
        Some(match octets::find(one.as_bytes(), b'=') {
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

/// More parameters than this make a value malformed: comparisons are quadratic in them.
const COUNT_MAX: usize = 64;

const TOO_MANY: &str = "there are too many parameters";

/// Returns where the parameter that begins at `start` ends: at the next `;` outside quotes.
fn param_end(octets: &[u8], start: usize) -> usize {
    let mut at = start;
    while at < octets.len() {
        match octets[at] {
            b';' => return at,
            b'"' => match octets::quoted_end(octets, at) {
                Some(end) => at = end,
                None => return octets.len(),
            },
            _ => at += 1,
        }
    }
    octets.len()
}

/// `*( SEMI token [ EQUAL ( token / host / quoted-string ) ] )`, white space around `;` and `=`. Returns
/// where the value of the first parameter called `key` is; `(0, 0)` if there is none.
fn check_header(octets: &[u8], key: &str) -> Result<(usize, usize), &'static str> {
    let mut at = 0;
    let mut count = 0;
    let mut found = None;
    while at < octets.len() {
        if octets[at] != b';' {
            return Err("something stands between parameters");
        }
        count += 1;
        if count > COUNT_MAX {
            return Err(TOO_MANY);
        }
        let name = octets::skip_white(octets, at + 1);
        at = octets::run(octets, name, TOKEN);
        if at == name {
            return Err("a parameter is empty or its name is no token");
        }
        let is_key = found.is_none() && octets[name..at].eq_ignore_ascii_case(key.as_bytes());
        at = octets::skip_white(octets, at);
        if octets.get(at) != Some(&b'=') {
            if is_key {
                found = Some((0, 0));
            }
            continue;
        }
        let value = octets::skip_white(octets, at + 1);
        at = if octets.get(value) == Some(&b'"') {
            octets::quoted_end(octets, value).ok_or("a quote is not closed")?
        } else {
            octets::run(octets, value, VALUE)
        };
        if at == value {
            return Err("a parameter's value is empty or must be quoted");
        }
        if is_key {
            found = Some((value, at));
        }
        at = octets::skip_white(octets, at);
    }
    Ok(found.unwrap_or_default())
}

/// `*( ";" 1*paramchar [ "=" 1*paramchar ] )`.
fn check_uri(octets: &[u8]) -> Result<(), &'static str> {
    let mut at = 0;
    let mut count = 0;
    while at < octets.len() {
        if octets[at] != b';' {
            return Err("something stands between URI parameters");
        }
        count += 1;
        if count > COUNT_MAX {
            return Err(TOO_MANY);
        }
        let name = at + 1;
        at = paramchars(octets, name);
        if at == name {
            return Err("a URI parameter is empty or has a character that must be escaped");
        }
        if octets.get(at) == Some(&b'=') {
            // COMPAT(several user agents, 2020s): a value may be empty, as in `;lr=`; harmless, so it may stay.
            at = paramchars(octets, at + 1);
        }
    }
    Ok(())
}

/// Returns where the `paramchar`s that begin at `start` end, escapes among them.
fn paramchars(octets: &[u8], start: usize) -> usize {
    let mut at = octets::run(octets, start, PARAM);
    while let Some([b'%', high, low, ..]) = octets.get(at..)
        && high.is_ascii_hexdigit()
        && low.is_ascii_hexdigit()
    {
        at = octets::run(octets, at + 3, PARAM);
    }
    at
}

fn str_of(octets: &[u8]) -> Option<&str> {
    std::str::from_utf8(octets).ok()
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
