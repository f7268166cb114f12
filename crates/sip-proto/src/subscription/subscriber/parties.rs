//! Who subscribes to whom.

use sip_types::header::NameAddr;
use sip_types::{HeaderText, Uri};

/// Who subscribes to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parties {
    /// The Request-URI of what begins a dialog.
    pub target: Uri,
    /// The watcher, without a tag.
    pub from: NameAddr,
    /// The presentity.
    pub to: NameAddr,
    /// Where NOTIFY requests shall come.
    pub contact: NameAddr,
}

/// The parties as text, for they are wanted once in an hour.
#[derive(Debug)]
pub(super) enum Packed {
    /// Target, From, To and Contact, with a line end between two.
    Texts(Box<str>),
    /// Some whose texts would not be read as they are written.
    Whole(Box<Parties>),
}

impl Packed {
    pub(super) fn new(parties: Parties) -> Self {
        let Parties { target, from, to, contact } = &parties;
        let texts = format!("{target}\n{from}\n{to}\n{contact}");
        if read(&texts).as_ref() == Some(&parties) {
            Self::Texts(texts.into())
        } else {
            Self::Whole(Box::new(parties))
        }
    }

    pub(super) fn unpack(&self) -> Parties {
        match self {
            Self::Texts(texts) => read(texts).expect("they were read back when they were packed"),
            Self::Whole(parties) => Parties::clone(parties),
        }
    }

    /// Returns what the Contact of our messages says.
    pub(super) fn contact(&self) -> HeaderText {
        match self {
            Self::Texts(texts) => HeaderText::clean(texts.rsplit('\n').next().unwrap_or_default()).text,
            Self::Whole(parties) => HeaderText::clean(&parties.contact.to_string()).text,
        }
    }
}

fn read(texts: &str) -> Option<Parties> {
    let mut texts = texts.split('\n');
    Some(Parties {
        target: Uri::parse(texts.next()?).ok()?,
        from: NameAddr::parse(texts.next()?).ok()?,
        to: NameAddr::parse(texts.next()?).ok()?,
        contact: NameAddr::parse(texts.next()?).ok()?,
    })
}
