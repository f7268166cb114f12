//! Session descriptions (RFC 8866), as far as sessions of texts need them: what is offered, what is answered.
//!
//! Reading is lenient: lines of a kind that nobody here knows are left out, line ends may lack their CR, and origin, name and
//! time may be missing, since nothing is decided by them. Printing is strict, and a value cannot hold a line end.

mod meaning;

use std::fmt;
use std::net::IpAddr;

use bytes::Bytes;

use crate::text::{HeaderText, Text};

pub use meaning::{Carrier, Carries, Direction, Fingerprint, MsrpMedia, Setup};

/// A session description: who, where, and the media.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Who made it (`o=`).
    pub origin: Origin,
    /// What it is called (`s=`).
    pub name: HeaderText,
    /// Where media without a place of their own are (`c=`).
    pub connection: Option<Connection>,
    /// What holds for all media (`a=`).
    pub attributes: Vec<Attribute>,
    /// The media in their order, which an answer keeps (RFC 3264 §6).
    pub media: Vec<Media>,
}

/// Who made a description, and which version of it this is (RFC 8866 §5.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// A user's name, or `-`.
    pub user: Word,
    /// The session's number.
    pub session: u64,
    /// Grows with each change.
    pub version: u64,
    /// The host that made it.
    pub address: Connection,
}

/// A place in a network (RFC 8866 §5.7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// `IN`.
    pub network: Word,
    /// `IP4` or `IP6`.
    pub family: Word,
    /// An address or a host's name.
    pub address: Word,
}

/// One medium: `m=`, and the lines below it (RFC 8866 §5.14).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// `message`, `audio`, …
    pub kind: Word,
    /// Where; 0 refuses the medium or ends it (RFC 3264 §6).
    pub port: u16,
    /// How it is carried: `sip`, `TCP/MSRP`, `RTP/AVP`, …
    pub protocol: Word,
    /// What stands behind the protocol: `*`, `null`, an address, payload types.
    pub formats: HeaderText,
    /// Its own place.
    pub connection: Option<Connection>,
    /// What is said of it.
    pub attributes: Vec<Attribute>,
}

/// `a=name` or `a=name:value` (RFC 8866 §5.13).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    name: Word,
    value: Option<HeaderText>,
}

/// A text without white space and control characters, never empty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Word(Text);

/// Why a description cannot be read; a UAS answers 400, or 488 where a medium cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadDescription(
    /// What is wrong.
    pub &'static str,
);

/// A description of more octets, lines or media than these is refused.
const OCTETS_MAX: usize = 16 * 1024;
const LINES_MAX: usize = 512;
const MEDIA_MAX: usize = 32;

impl Description {
    /// Returns a description of our own with these media, at one address, called `session`.
    #[must_use]
    pub fn new(address: &IpAddr, session: u64, version: u64, media: Vec<Media>) -> Self {
        let connection = Connection::at(address);
        let user = Word(Text::from_static("-"));
        Self {
            origin: Origin { user, session, version, address: connection.clone() },
            name: HeaderText::from_static("session"),
            connection: Some(connection),
            attributes: Vec::new(),
            media,
        }
    }

    /// Reads a description.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(body: &Bytes) -> Result<Self, BadDescription> {
        if body.len() > OCTETS_MAX {
            return Err(BadDescription("the description is too long"));
        }
        let text = std::str::from_utf8(body).map_err(|_| BadDescription("the description is not UTF-8"))?;
        let mut lines = text.split(['\n', '\r']).filter(|line| !line.is_empty());
        if lines.next().is_none_or(|line| line.trim_end() != "v=0") {
            return Err(BadDescription("the description does not begin with v=0"));
        }
        let mut description = Self {
            origin: Origin::unknown(),
            name: HeaderText::from_static("-"),
            connection: None,
            attributes: Vec::new(),
            media: Vec::new(),
        };
        for (count, line) in lines.enumerate() {
            if count == LINES_MAX {
                return Err(BadDescription("the description has too many lines"));
            }
            if let Some((kind, value)) = line.split_once('=') {
                description.read_line(kind, value.trim())?;
            }
        }
        Ok(description)
    }

    /// Returns the value of an attribute that holds for all media.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        value_of(&self.attributes, name)
    }

    /// Returns the answer to this offer: `take` returns our side of a medium that we take, and every other is refused
    /// with port 0 (RFC 3264 §6). `None` if nothing is taken: the offer is answered 488.
    #[must_use]
    pub fn answer(
        &self,
        address: &IpAddr,
        session: u64,
        version: u64,
        mut take: impl FnMut(&Media) -> Option<Media>,
    ) -> Option<Self> {
        let mut taken = 0;
        let mut answer_to =
            |offered: &Media| match Some(offered).filter(|media| media.port != 0).and_then(&mut take) {
                Some(ours) => {
                    taken += 1;
                    ours
                }
                None => offered.refused(),
            };
        let media = self.media.iter().map(&mut answer_to).collect();
        (taken > 0).then(|| Self::new(address, session, version, media))
    }

    fn read_line(&mut self, kind: &str, value: &str) -> Result<(), BadDescription> {
        if kind == "m" {
            if self.media.len() == MEDIA_MAX {
                return Err(BadDescription("the description has too many media"));
            }
            self.media.push(Media::parse(value)?);
            return Ok(());
        }
        match (kind, self.media.last_mut()) {
            ("o", None) => self.origin = Origin::parse(value).unwrap_or_else(Origin::unknown),
            ("s", None) => self.name = HeaderText::clean(value).text,
            ("c", None) => self.connection = Connection::parse(value),
            ("c", Some(media)) => media.connection = Connection::parse(value),
            ("a", None) => self.attributes.extend(Attribute::parse(value)),
            ("a", Some(media)) => media.attributes.extend(Attribute::parse(value)),
            // Times, bandwidths, addresses of people, keys.
            _ => {}
        }
        Ok(())
    }
}

impl Origin {
    fn parse(value: &str) -> Option<Self> {
        let mut parts = value.splitn(4, ' ');
        let (user, session, version) = (parts.next()?, parts.next()?, parts.next()?);
        // Numbers longer than ours are legal; nobody compares those of others.
        let number = |digits: &str| digits.parse().unwrap_or(0);
        Some(Self {
            user: Word::parse(user)?,
            session: number(session),
            version: number(version),
            address: Connection::parse(parts.next()?)?,
        })
    }

    fn unknown() -> Self {
        let word = |text| Word(Text::from_static(text));
        let address = Connection { network: word("IN"), family: word("IP4"), address: word("0.0.0.0") };
        Self { user: word("-"), session: 0, version: 0, address }
    }
}

impl Connection {
    /// Returns the place of an address.
    #[must_use]
    pub fn at(address: &IpAddr) -> Self {
        let family = match address {
            IpAddr::V4(_) => "IP4",
            IpAddr::V6(_) => "IP6",
        };
        Self {
            network: Word(Text::from_static("IN")),
            family: Word(Text::from_static(family)),
            address: Word(Text::from(address.to_string())),
        }
    }

    fn parse(value: &str) -> Option<Self> {
        let mut parts = value.split(' ').filter(|part| !part.is_empty());
        let mut next = || Word::parse(parts.next()?);
        Some(Self { network: next()?, family: next()?, address: next()? })
    }
}

impl Media {
    fn parse(value: &str) -> Result<Self, BadDescription> {
        const WRONG: BadDescription = BadDescription("a medium cannot be read");
        let (kind, rest) = value.split_once(' ').ok_or(WRONG)?;
        let (port, rest) = rest.trim_start().split_once(' ').ok_or(WRONG)?;
        let (protocol, formats) = rest.trim_start().split_once(' ').unwrap_or((rest, ""));
        // `5060/2` asks for two ports in a row; the first is the medium's (§5.14).
        let port = port.split('/').next().unwrap_or(port);
        Ok(Self {
            kind: Word::parse(kind).ok_or(WRONG)?,
            port: port.parse().map_err(|_| WRONG)?,
            protocol: Word::parse(protocol).ok_or(WRONG)?,
            formats: HeaderText::parse(formats.trim()).map_err(|_| WRONG)?,
            connection: None,
            attributes: Vec::new(),
        })
    }

    /// Returns the value of an attribute of this medium.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        value_of(&self.attributes, name)
    }

    /// Returns whether the medium has an attribute, with a value or without one.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.attributes.iter().any(|attribute| attribute.is(name))
    }

    /// Returns the medium with one more attribute.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.attributes.push(Attribute::new(name, value));
        self
    }

    /// Returns what refuses this medium in an answer.
    #[must_use]
    pub fn refused(&self) -> Self {
        Self { port: 0, connection: None, attributes: Vec::new(), ..self.clone() }
    }
}

impl Attribute {
    /// Returns an attribute of our own; without a value if `value` is empty. Control characters become spaces.
    #[must_use]
    pub fn new(name: &'static str, value: &str) -> Self {
        let value = Some(HeaderText::clean(value).text).filter(|value| !value.as_str().is_empty());
        let name = Word::parse(name).filter(|name| !name.as_str().contains(':'));
        Self { name: name.unwrap_or_else(|| Word(Text::from_static("x-unnamed"))), value }
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// Returns the value, empty if there is none.
    #[must_use]
    pub fn value(&self) -> &str {
        self.value.as_ref().map_or("", HeaderText::as_str)
    }

    fn is(&self, name: &str) -> bool {
        self.name().eq_ignore_ascii_case(name)
    }

    /// Returns the attribute; `None` for one that is none, which says nothing.
    fn parse(text: &str) -> Option<Self> {
        let (name, value) = match text.split_once(':') {
            Some((name, value)) => (name, Some(HeaderText::parse(value).ok()?)),
            None => (text, None),
        };
        Some(Self { name: Word::parse(name)?, value: value.filter(|value| !value.as_str().is_empty()) })
    }
}

fn value_of<'a>(attributes: &'a [Attribute], name: &str) -> Option<&'a str> {
    attributes.iter().find(|attribute| attribute.is(name)).map(Attribute::value)
}

impl Word {
    /// Returns the word that `text` is.
    #[must_use]
    pub fn parse(text: impl Into<Text>) -> Option<Self> {
        let text = text.into();
        let is_word = !text.is_empty() && !text.chars().any(|c| c.is_whitespace() || c.is_control());
        is_word.then_some(Self(text))
    }

    /// Returns the word as a string slice.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Word {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl fmt::Display for Connection {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {} {}", self.network, self.family, self.address)
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(out, "{}:{value}", self.name),
            None => self.name.fmt(out),
        }
    }
}

/// Shows the description as it goes on the wire (RFC 8866 §9).
impl fmt::Display for Description {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Origin { user, session, version, address } = &self.origin;
        let name = if self.name.as_str().is_empty() { "-" } else { self.name.as_str() };
        write!(out, "v=0\r\no={user} {session} {version} {address}\r\ns={name}\r\n")?;
        if let Some(connection) = &self.connection {
            write!(out, "c={connection}\r\n")?;
        }
        out.write_str("t=0 0\r\n")?;
        for attribute in &self.attributes {
            write!(out, "a={attribute}\r\n")?;
        }
        for media in &self.media {
            // At least one format must stand there (§9).
            let formats = if media.formats.as_str().is_empty() { "*" } else { media.formats.as_str() };
            write!(out, "m={} {} {} {formats}\r\n", media.kind, media.port, media.protocol)?;
            if let Some(connection) = &media.connection {
                write!(out, "c={connection}\r\n")?;
            }
            for attribute in &media.attributes {
                write!(out, "a={attribute}\r\n")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for BadDescription {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.0)
    }
}

impl std::error::Error for BadDescription {}

#[cfg(test)]
mod tests;
