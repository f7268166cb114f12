//! MSRP as values (RFC 4975): URIs, messages and their framing.

mod framing;
mod message;
mod uri;

use std::fmt;

use crate::text::{HeaderText, Text};

pub use framing::{Frame, Limits, StreamFramer};
pub use message::{Kind, Message};
pub use uri::{Path, Uri};

/// The name of a transaction or a message (§9): letters, digits, `.`, `-`, `+`, `%`, `=`. Ours have at least four, as the
/// grammar has it; others' may be shorter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ident(Text);

/// The longest name that is read; the grammar stops at 32.
const IDENT_MAX: usize = 128;

impl Ident {
    /// Returns the name that `text` is.
    #[must_use]
    pub fn parse(text: impl Into<Text>) -> Option<Self> {
        let text = text.into();
        let is_ident = (1..=IDENT_MAX).contains(&text.len()) && text.bytes().all(is_ident_char);
        is_ident.then_some(Self(text))
    }

    /// Returns the name as a string slice.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Ident {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

const fn is_ident_char(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'-' | b'+' | b'%' | b'=')
}

/// What a request asks for (§9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Method {
    /// Content, or a chunk of it.
    Send,
    /// What became of content.
    Report,
    /// Anything else; answered 501.
    Other(Text),
}

impl Method {
    fn parse(name: &str) -> Option<Self> {
        match name {
            "SEND" => Some(Self::Send),
            "REPORT" => Some(Self::Report),
            _ if !name.is_empty() && name.len() <= 32 && name.bytes().all(|b| b.is_ascii_uppercase()) => {
                Some(Self::Other(Text::from(name)))
            }
            _ => None,
        }
    }

    /// Returns the method as it stands on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Send => "SEND",
            Self::Report => "REPORT",
            Self::Other(name) => name,
        }
    }
}

/// How a message ends (§7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Continuation {
    /// `$`: the content is complete.
    Complete,
    /// `+`: there is more of it.
    More,
    /// `#`: there will be no more, and it is worth nothing.
    Aborted,
}

impl Continuation {
    /// Returns the flag.
    #[must_use]
    pub const fn octet(self) -> u8 {
        match self {
            Self::Complete => b'$',
            Self::More => b'+',
            Self::Aborted => b'#',
        }
    }

    const fn of(octet: u8) -> Option<Self> {
        match octet {
            b'$' => Some(Self::Complete),
            b'+' => Some(Self::More),
            b'#' => Some(Self::Aborted),
            _ => None,
        }
    }
}

/// Which octets of a message a chunk has; the first octet is 1 (§7.1.1). `None` stands for `*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRange {
    /// The first octet.
    pub start: u64,
    /// The last octet.
    pub end: Option<u64>,
    /// The octets of the whole message.
    pub total: Option<u64>,
}

impl ByteRange {
    /// Returns the range that `text` is: `1-*/8`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (start, rest) = text.split_once('-')?;
        let (end, total) = rest.split_once('/')?;
        let number = |text: &str| {
            let digits = text.trim();
            digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<u64>().ok()).flatten()
        };
        let or_star = |text: &str| if text.trim() == "*" { Some(None) } else { number(text).map(Some) };
        Some(Self { start: number(start)?, end: or_star(end)?, total: or_star(total)? })
    }
}

impl fmt::Display for ByteRange {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}-", self.start)?;
        match self.end {
            Some(end) => write!(out, "{end}/")?,
            None => out.write_str("*/")?,
        }
        match self.total {
            Some(total) => write!(out, "{total}"),
            None => out.write_str("*"),
        }
    }
}

/// Whether its sender wants to hear that content arrived (§7.1.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SuccessReport {
    /// The default.
    #[default]
    No,
    /// A REPORT with 200 is wanted.
    Yes,
}

/// Whether its sender wants to hear that content did not arrive (§7.1.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FailureReport {
    /// The default: every request is answered.
    #[default]
    Yes,
    /// Only what fails is answered.
    Partial,
    /// Nothing is answered.
    No,
}

/// What a REPORT says (§7.1.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// `000`: the code is one of a response.
    pub namespace: u16,
    /// The code.
    pub code: u16,
    /// Words.
    pub comment: HeaderText,
}

impl Status {
    /// Returns a status whose code is that of a response.
    #[must_use]
    pub fn of_code(code: u16) -> Self {
        Self { namespace: 0, code, comment: HeaderText::from_static(comment(code)) }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, ' ');
        let number = |text: &str| (text.len() == 3).then(|| text.parse::<u16>().ok()).flatten();
        Some(Self {
            namespace: number(parts.next()?)?,
            code: number(parts.next()?.trim())?,
            comment: HeaderText::clean(parts.next().unwrap_or_default()).text,
        })
    }
}

/// Returns the words for a code (§10).
#[must_use]
pub const fn comment(code: u16) -> &'static str {
    match code {
        200 => "OK",
        400 => "Unintelligible Request",
        403 => "Not Allowed",
        408 => "Downstream Timeout",
        413 => "Stop Sending",
        415 => "Unsupported Media Type",
        423 => "Parameter Out Of Bounds",
        481 => "No Such Session",
        501 => "Unknown Method",
        506 => "Session On Another Connection",
        _ => "",
    }
}

/// Why octets are no MSRP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(
    /// What is wrong.
    pub &'static str,
);

impl fmt::Display for Malformed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.0)
    }
}

impl std::error::Error for Malformed {}

#[cfg(test)]
mod tests;
