use std::fmt;

use crate::text::{Text, Token};

/// What a request asks for; the set is open (RFC 3261 §7.1) and case counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names are the methods'")]
pub enum Method {
    Invite,
    Ack,
    Bye,
    Cancel,
    Options,
    Register,
    Message,
    Subscribe,
    Notify,
    Publish,
    Info,
    Refer,
    Update,
    Prack,
    /// A method that this crate has no name for.
    Other(Token),
}

impl Method {
    /// Returns the method if `name` is a token.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::known(name.as_bytes()).or_else(|| Token::parse(name).map(Self::Other))
    }

    /// As [`Method::parse`] for a name that is not [`Method::known`], sharing its octets.
    pub(crate) fn parse_text(name: Text) -> Option<Self> {
        Token::parse(name).map(Self::Other)
    }

    /// Returns the method as it stands on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Invite => "INVITE",
            Self::Ack => "ACK",
            Self::Bye => "BYE",
            Self::Cancel => "CANCEL",
            Self::Options => "OPTIONS",
            Self::Register => "REGISTER",
            Self::Message => "MESSAGE",
            Self::Subscribe => "SUBSCRIBE",
            Self::Notify => "NOTIFY",
            Self::Publish => "PUBLISH",
            Self::Info => "INFO",
            Self::Refer => "REFER",
            Self::Update => "UPDATE",
            Self::Prack => "PRACK",
            Self::Other(name) => name.as_str(),
        }
    }

    /// Returns the method if it has a variant.
    pub(crate) fn known(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"INVITE" => Self::Invite,
            b"ACK" => Self::Ack,
            b"BYE" => Self::Bye,
            b"CANCEL" => Self::Cancel,
            b"OPTIONS" => Self::Options,
            b"REGISTER" => Self::Register,
            b"MESSAGE" => Self::Message,
            b"SUBSCRIBE" => Self::Subscribe,
            b"NOTIFY" => Self::Notify,
            b"PUBLISH" => Self::Publish,
            b"INFO" => Self::Info,
            b"REFER" => Self::Refer,
            b"UPDATE" => Self::Update,
            b"PRACK" => Self::Prack,
            _ => return None,
        })
    }
}

impl fmt::Display for Method {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_case_of_a_method_counts() {
        assert_eq!(Method::parse("MESSAGE"), Some(Method::Message));
        assert_eq!(Method::parse("message").unwrap().as_str(), "message");
        assert_ne!(Method::parse("message"), Some(Method::Message));
    }

    #[test]
    fn a_method_is_a_token() {
        assert_eq!(Method::parse("RE%47IST%45R").unwrap().as_str(), "RE%47IST%45R");
        assert_eq!(Method::parse("BAD METHOD"), None);
        assert_eq!(Method::parse(""), None);
    }
}
