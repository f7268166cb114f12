//! What media of texts say: how they are carried, what they take, who dials.

use super::{Description, Media, Word};
use crate::octets;
use crate::text::{HeaderText, Text};

/// How a medium carries texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Carrier {
    /// As MESSAGE requests in the dialog: `m=message 5060 sip null`, Microsoft's, or its older name `x-ms-message`.
    Signalling,
    /// By MSRP over TCP (RFC 4975 §8.1).
    Msrp,
    /// By MSRP over TLS.
    MsrpOverTls,
    /// Not at all: audio, video, something else.
    Other,
}

/// Who opens the connection (RFC 4145 §4, RFC 6135 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Setup {
    /// Who says this dials.
    Active,
    /// Who says this waits.
    Passive,
    /// Whoever says this can do both; the other decides.
    ActPass,
    /// Nobody dials yet.
    HoldConn,
}

/// In which direction texts go (RFC 4975 §8.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are RFC 8866's")]
pub enum Direction {
    SendReceive,
    SendOnly,
    ReceiveOnly,
    Inactive,
}

/// Whether a peer takes a media type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Carries {
    /// As it is.
    Bare,
    /// In a `message/cpim` envelope only.
    InEnvelope,
    /// Not at all.
    No,
}

/// The hash of a certificate that its owner will show (RFC 8122 §5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// `sha-256`, lower case.
    pub hash: Text,
    /// The hash.
    pub octets: Vec<u8>,
}

/// What an MSRP medium of ours says.
#[derive(Clone, Copy, Debug)]
pub struct MsrpMedia<'a> {
    /// `message` of the offer is kept; over TLS or not.
    pub carrier: Carrier,
    /// The port of the path.
    pub port: u16,
    /// Our path: URIs, each behind a space.
    pub path: &'a str,
    /// The types that may stand bare.
    pub accept_types: &'a str,
    /// The types that may stand in an envelope; empty for none beside those.
    pub accept_wrapped_types: &'a str,
    /// Who dials; `None` leaves the default, which is the offerer (RFC 4975 §8.5).
    pub setup: Option<Setup>,
    /// The most octets of one message.
    pub max_size: Option<u64>,
}

impl Setup {
    /// Returns the value as it stands in a description.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Passive => "passive",
            Self::ActPass => "actpass",
            Self::HoldConn => "holdconn",
        }
    }

    /// Returns what answers this offer where we can do both (RFC 4145 §4.1). To `actpass` the answerer dials:
    /// it has the offerer's path already.
    #[must_use]
    pub const fn answer(self) -> Self {
        match self {
            Self::Active => Self::Passive,
            Self::Passive | Self::ActPass => Self::Active,
            Self::HoldConn => Self::HoldConn,
        }
    }

    pub(super) fn parse(value: &str) -> Option<Self> {
        [Self::Active, Self::Passive, Self::ActPass, Self::HoldConn]
            .into_iter()
            .find(|setup| setup.as_str().eq_ignore_ascii_case(value.trim()))
    }
}

impl Media {
    /// Returns how the medium carries texts.
    #[must_use]
    pub fn carrier(&self) -> Carrier {
        let is = |word: &Word, text: &str| word.as_str().eq_ignore_ascii_case(text);
        let is_message = is(&self.kind, "message");
        // COMPAT(Microsoft, LCS 2005 and pidgin-sipe): the older name of the medium; may stay.
        if (is_message || is(&self.kind, "x-ms-message")) && is(&self.protocol, "sip") {
            Carrier::Signalling
        } else if is_message && is(&self.protocol, "TCP/MSRP") {
            Carrier::Msrp
        } else if is_message && is(&self.protocol, "TCP/TLS/MSRP") {
            Carrier::MsrpOverTls
        } else {
            Carrier::Other
        }
    }

    /// Returns a medium of texts in the signalling: `m=message PORT sip TARGET`. An offer's target is `null`, an answer's
    /// the address of who answers.
    #[must_use]
    pub fn signalling(port: u16, target: Option<&HeaderText>, accept_types: &str) -> Self {
        Self {
            kind: Word(Text::from_static("message")),
            port,
            protocol: Word(Text::from_static("sip")),
            formats: target.cloned().unwrap_or_else(|| HeaderText::from_static("null")),
            connection: None,
            attributes: Vec::new(),
        }
        .with("accept-types", accept_types)
    }

    /// Returns a medium of texts by MSRP (RFC 4975 §8.1).
    #[must_use]
    pub fn msrp(ours: &MsrpMedia<'_>) -> Self {
        let protocol = match ours.carrier {
            Carrier::MsrpOverTls => "TCP/TLS/MSRP",
            Carrier::Msrp | Carrier::Signalling | Carrier::Other => "TCP/MSRP",
        };
        let mut media = Self {
            kind: Word(Text::from_static("message")),
            port: ours.port,
            protocol: Word(Text::from_static(protocol)),
            formats: HeaderText::from_static("*"),
            connection: None,
            attributes: Vec::new(),
        }
        .with("accept-types", ours.accept_types);
        if !ours.accept_wrapped_types.is_empty() {
            media = media.with("accept-wrapped-types", ours.accept_wrapped_types);
        }
        if let Some(max_size) = ours.max_size {
            media = media.with("max-size", &max_size.to_string());
        }
        if let Some(setup) = ours.setup {
            media = media.with("setup", setup.as_str());
        }
        media.with("path", ours.path)
    }

    /// Returns this medium of ours under the name that an offer gave it: an answer keeps it (RFC 3264 §6).
    #[must_use]
    pub fn named_as(self, offered: &Self) -> Self {
        Self { kind: offered.kind.clone(), ..self }
    }

    /// Returns the path to the peer as it stands (RFC 4975 §8.2).
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        self.attribute("path").filter(|path| !path.is_empty())
    }

    /// Returns the most octets that the peer takes in one message; a hint (RFC 4975 §8.6).
    #[must_use]
    pub fn max_size(&self) -> Option<u64> {
        self.attribute("max-size")?.parse().ok()
    }

    /// Returns whether the peer takes content of this type, such as `text/plain`, and how (RFC 4975 §8.6). A medium
    /// that says nothing of types takes it.
    #[must_use]
    pub fn carries(&self, kind: &str) -> Carries {
        let Some(bare) = self.attribute("accept-types") else { return Carries::Bare };
        let wrapped = self.attribute("accept-wrapped-types").unwrap_or_default();
        if lists(bare, kind) {
            Carries::Bare
        } else if lists(bare, "message/cpim") && lists(wrapped, kind) {
            Carries::InEnvelope
        } else {
            Carries::No
        }
    }

    /// Returns in which direction texts go, by the medium's own word, else by the description's.
    #[must_use]
    pub fn direction(&self, description: &Description) -> Direction {
        let said = |attributes: &[super::Attribute]| {
            attributes.iter().find_map(|attribute| match attribute.name() {
                "sendrecv" => Some(Direction::SendReceive),
                "sendonly" => Some(Direction::SendOnly),
                "recvonly" => Some(Direction::ReceiveOnly),
                "inactive" => Some(Direction::Inactive),
                _ => None,
            })
        };
        said(&self.attributes).or_else(|| said(&description.attributes)).unwrap_or(Direction::SendReceive)
    }

    /// Returns who opens the connection, by the medium's own word, else by the description's.
    #[must_use]
    pub fn setup(&self, description: &Description) -> Option<Setup> {
        Setup::parse(self.attribute("setup").or_else(|| description.attribute("setup"))?)
    }

    /// Returns the certificate that the peer will show; the strongest of those it names.
    #[must_use]
    pub fn fingerprint(&self, description: &Description) -> Option<Fingerprint> {
        let all = |attributes: &[super::Attribute]| {
            attributes
                .iter()
                .filter(|attribute| attribute.is("fingerprint"))
                .filter_map(|attribute| Fingerprint::parse(attribute.value()))
                .max_by_key(|fingerprint| fingerprint.octets.len())
        };
        all(&self.attributes).or_else(|| all(&description.attributes))
    }
}

/// Returns whether a list of types names this one: itself, `type/*` or `*`. Parameters do not count.
fn lists(list: &str, kind: &str) -> bool {
    list.split(' ').map(|entry| entry.split(';').next().unwrap_or(entry)).any(|entry| {
        let same_type = || {
            let of = entry.strip_suffix("/*")?;
            Some(kind.split('/').next()?.eq_ignore_ascii_case(of))
        };
        entry == "*" || entry.eq_ignore_ascii_case(kind) || same_type().unwrap_or(false)
    })
}

impl Fingerprint {
    /// Returns the fingerprint that `text` is: `SHA-256 4A:AD:…`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (hash, hex) = text.trim().split_once(' ')?;
        let octets: Option<Vec<u8>> = hex
            .trim()
            .split(':')
            .map(|pair| match pair.as_bytes() {
                [high, low] => Some(octets::hex(*high)? << 4 | octets::hex(*low)?),
                _ => None,
            })
            .collect();
        let octets = octets.filter(|octets| octets.len() <= 64)?;
        Some(Self { hash: Text::from(hash.to_ascii_lowercase()), octets })
    }
}
