//! The push parser of one stream.
//!
//! ```text
//!            declaration           header                      </stream:stream>
//!  Beginning ───────────▶ Prolog ──────────▶ Open ◀──┐ stanza ──────────────────▶ Closed
//!      ▲                                      │ └────┘
//!      └────────────────── reset ─────────────┘           anything wrong: Failed
//! ```

use super::document::{Declaration, apply, declaration, utf8};
use super::element::{Attribute, Element};
use super::error::{Limit, Limits, XmlError};
use super::name::Namespace;
use super::scan::{Kind, Scanned, Scanner};
use super::tag::is_space;
use super::text::XmlText;
use super::tree::{Root, Tree};
use crate::ns;
use crate::stream::{StreamCondition, StreamHeader, StreamVersion};

/// What happened on a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The stream header has come.
    StreamOpened(Box<StreamHeader>),
    /// A first-level element has come to its end. Elements of the stream's content namespace are held in
    /// [`ns::SERVER`], whichever it is.
    Stanza(Element),
    /// White space between stanzas, which keeps a connection alive (RFC 6120 §4.6.1).
    Whitespace,
    /// The stream has been closed; whatever follows is not read (RFC 6120 §4.4).
    Closed,
}

/// A push parser for the octets that one peer sends on one stream.
///
/// Feed octets in any split, then draw events until there are none. The events and the verdict are the
/// same for every split, but that a run of white space may count as several.
#[derive(Debug)]
pub struct Parser {
    limits: Limits,
    state: State,
    buffer: Vec<u8>,
    /// Octets of the buffer that have been read.
    read: usize,
    scanner: Scanner,
    tree: Tree,
    /// Octets of the header or first-level element read so far.
    taken: usize,
    /// Octets of the first-level element that came last.
    stanza_octets: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Beginning,
    Prolog,
    Open,
    Closed,
    Failed(XmlError),
}

enum Step {
    Again,
    Wait,
    Tell(Event),
}

impl Parser {
    /// Returns a parser at the beginning of a stream.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: State::Beginning,
            buffer: Vec::new(),
            read: 0,
            scanner: Scanner::default(),
            tree: Tree::default(),
            taken: 0,
            stanza_octets: 0,
        }
    }

    /// Changes the limits, as when the peer has proved who it is.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Returns the limits in force.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Begins a new stream on the same connection (RFC 6120 §4.3.3).
    ///
    /// Octets that have not been read are forgotten: what was sent before the restart was not sent on the
    /// new stream. Ask [`Self::unread`] first, where sending early is an offence (§5.4.3.3).
    pub fn reset(&mut self) {
        *self = Self::new(self.limits);
    }

    /// Takes octets in.
    pub fn feed(&mut self, octets: &[u8]) {
        match self.state {
            State::Closed | State::Failed(_) => {}
            State::Beginning | State::Prolog | State::Open => self.buffer.extend_from_slice(octets),
        }
    }

    /// Returns the next event, or `None` until more octets are fed.
    ///
    /// # Errors
    ///
    /// An [`XmlError`] when the stream cannot go on; it is repeated for ever after.
    pub fn next_event(&mut self) -> Result<Option<Event>, XmlError> {
        loop {
            match self.step() {
                Ok(Step::Again) => {}
                Ok(Step::Tell(event)) => return Ok(Some(event)),
                Ok(Step::Wait) => {
                    self.forget_read();
                    return Ok(None);
                }
                Err(error) => {
                    self.end(State::Failed(error));
                    return Err(error);
                }
            }
        }
    }

    /// Returns how many octets have been fed and not read.
    #[must_use]
    pub fn unread(&self) -> usize {
        self.buffer.len() - self.read
    }

    /// Returns whether a first-level element, or the header, has begun and not ended.
    #[must_use]
    pub fn is_inside_stanza(&self) -> bool {
        self.tree.depth() > 0 || self.unread() > 0
    }

    /// Returns how many octets the first-level element had that came last.
    #[must_use]
    pub const fn stanza_octets(&self) -> usize {
        self.stanza_octets
    }

    fn step(&mut self) -> Result<Step, XmlError> {
        match self.state {
            State::Beginning => self.beginning(),
            State::Prolog => self.prolog(),
            State::Open if self.tree.depth() == 0 => self.between_stanzas(),
            State::Open => self.inside_stanza(),
            State::Closed => Ok(Step::Wait),
            State::Failed(error) => Err(error),
        }
    }

    fn beginning(&mut self) -> Result<Step, XmlError> {
        let max = self.limits.header_bytes;
        let octets = &self.buffer[..self.buffer.len().min(max.saturating_add(1))];
        match declaration(octets)? {
            Declaration::Incomplete if octets.len() > max => return Err(XmlError::over(Limit::HeaderBytes)),
            Declaration::Incomplete => return Ok(Step::Wait),
            Declaration::Absent => {}
            Declaration::Present(length) if length > max => return Err(XmlError::over(Limit::HeaderBytes)),
            Declaration::Present(length) => {
                self.read = length;
                self.taken = length;
            }
        }
        self.state = State::Prolog;
        Ok(Step::Again)
    }

    fn prolog(&mut self) -> Result<Step, XmlError> {
        let blank = self.skip_space();
        self.taken += blank;
        if self.taken > self.limits.header_bytes {
            return Err(XmlError::over(Limit::HeaderBytes));
        }
        if self.buffer.get(self.read).is_some_and(|octet| *octet != b'<') {
            return Err(XmlError::not_well_formed("there is text before the stream"));
        }
        let Some((kind, end)) = self.token(self.limits.header_bytes, Limit::HeaderBytes)? else {
            return Ok(Step::Wait);
        };
        let token = utf8(&self.buffer[self.read..end])?;
        let root = match kind {
            Kind::StartTag => self.tree.root(token, &self.limits)?,
            Kind::EndTag | Kind::Text | Kind::CharacterData => {
                return Err(XmlError::not_well_formed("the stream does not begin with a start tag"));
            }
        };
        let header = header(root)?;
        self.tree.map_content(header.content.clone());
        self.read = end;
        self.taken = 0;
        self.state = State::Open;
        Ok(Step::Tell(Event::StreamOpened(Box::new(header))))
    }

    fn between_stanzas(&mut self) -> Result<Step, XmlError> {
        if self.skip_space() > 0 {
            return Ok(Step::Tell(Event::Whitespace));
        }
        if self.buffer.get(self.read).is_some_and(|octet| *octet != b'<') {
            return Err(TEXT);
        }
        let Some((kind, end)) = self.token(self.limits.stanza_bytes, Limit::StanzaBytes)? else {
            return Ok(Step::Wait);
        };
        let token = utf8(&self.buffer[self.read..end])?;
        match kind {
            Kind::EndTag => {
                self.tree.close_root(token)?;
                self.end(State::Closed);
                Ok(Step::Tell(Event::Closed))
            }
            Kind::Text | Kind::CharacterData => Err(TEXT),
            Kind::StartTag => self.inside(kind, end),
        }
    }

    fn inside_stanza(&mut self) -> Result<Step, XmlError> {
        match self.token(self.limits.stanza_bytes, Limit::StanzaBytes)? {
            Some((kind, end)) => self.inside(kind, end),
            None => Ok(Step::Wait),
        }
    }

    fn inside(&mut self, kind: Kind, end: usize) -> Result<Step, XmlError> {
        let token = utf8(&self.buffer[self.read..end])?;
        let begins = self.tree.depth() == 0;
        let element = apply(&mut self.tree, kind, token, &self.limits)?;
        if begins && self.tree.begins_with_what_must_not(element.as_ref()) {
            return Err(XmlError::new(
                StreamCondition::UnsupportedStanzaType,
                "a first-level element is not of this stream's kind",
            ));
        }
        self.taken += end - self.read;
        self.read = end;
        match element {
            Some(element) => {
                self.stanza_octets = std::mem::take(&mut self.taken);
                Ok(Step::Tell(Event::Stanza(element)))
            }
            None => Ok(Step::Again),
        }
    }

    /// Returns the next token's kind and where it ends in the buffer, once it is complete.
    ///
    /// What has been taken and the token together must not pass `max`. A token that is refused at an octet
    /// behind that bound is over the limit first, as it would be had its octets come one by one.
    fn token(&mut self, max: usize, limit: Limit) -> Result<Option<(Kind, usize)>, XmlError> {
        let room = max.saturating_sub(self.taken);
        let octets = &self.buffer[self.read..];
        let octets = &octets[..octets.len().min(room.saturating_add(1))];
        match self.scanner.scan(octets) {
            Scanned::Complete { length, .. } if length > room => Err(XmlError::over(limit)),
            Scanned::Complete { kind, length } => Ok(Some((kind, self.read + length))),
            Scanned::Refused { seen, .. } if seen > room => Err(XmlError::over(limit)),
            Scanned::Refused { error, .. } => Err(error),
            Scanned::Incomplete if octets.len() > room => Err(XmlError::over(limit)),
            Scanned::Incomplete => Ok(None),
        }
    }

    fn skip_space(&mut self) -> usize {
        let rest = &self.buffer[self.read..];
        let blank = rest.iter().position(|octet| !is_space(*octet)).unwrap_or(rest.len());
        self.read += blank;
        blank
    }

    fn forget_read(&mut self) {
        if self.read == self.buffer.len() {
            self.buffer.clear();
            // A stream that is silent should not hold what its largest stanza needed.
            self.buffer.shrink_to(KEPT);
        } else if self.read > 0 {
            self.buffer.drain(..self.read);
        }
        self.read = 0;
    }

    fn end(&mut self, state: State) {
        self.state = state;
        self.buffer = Vec::new();
        self.read = 0;
        self.tree = Tree::default();
    }
}

/// Octets of buffer that an idle stream may keep.
const KEPT: usize = 16 * 1024;

const TEXT: XmlError = XmlError::new(StreamCondition::BadFormat, "there is text between stanzas");

/// Reads the stream's start tag (RFC 6120 §4.7, §4.8).
fn header(root: Root) -> Result<StreamHeader, XmlError> {
    const INVALID: StreamCondition = StreamCondition::InvalidNamespace;
    if root.namespace != *ns::STREAMS {
        return Err(XmlError::new(INVALID, "the root element is not in the stream namespace"));
    }
    if root.name != *"stream" || root.empty {
        return Err(XmlError::new(StreamCondition::BadFormat, "the root element is not a stream"));
    }
    if !matches!(root.content.as_str(), ns::SERVER | ns::CLIENT | ns::COMPONENT_ACCEPT) {
        return Err(XmlError::new(INVALID, "the content namespace is not one of XMPP's"));
    }
    let mut header = StreamHeader { content: root.content, ..StreamHeader::default() };
    header.prefixes = root.prefixes;
    header.prefixes.retain(|(_, bound)| !matches!(bound.as_str(), ns::STREAMS | ns::XML));
    for Attribute { namespace, name, value } in root.attributes {
        place(&mut header, &namespace, &name, value);
    }
    Ok(header)
}

fn place(header: &mut StreamHeader, namespace: &Namespace, name: &str, value: XmlText) {
    match (namespace.as_str(), name) {
        ("", "from") => header.from = Some(value),
        ("", "to") => header.to = Some(value),
        ("", "id") => header.id = Some(value),
        ("", "version") => header.version = StreamVersion::parse(&value),
        (ns::XML, "lang") => header.lang = Some(value),
        _ => {}
    }
}

#[cfg(test)]
#[path = "parser_tests.rs"]
mod tests;
