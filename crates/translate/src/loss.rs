//! What did not cross.

use std::fmt;

/// A value that crossed, and the name of everything that did not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Translated<T> {
    /// What the other side gets.
    pub value: T,
    /// What it does not get.
    pub losses: Losses,
}

impl<T> Translated<T> {
    /// Returns `value` with nothing lost.
    #[must_use]
    pub const fn whole(value: T) -> Self {
        Self { value, losses: Losses::NONE }
    }

    /// Returns the same losses with another value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Translated<U> {
        Translated { value: change(self.value), losses: self.losses }
    }
}

macro_rules! losses {
    ($($(#[doc = $doc:literal])+ $name:ident => $words:literal,)+) => {
        /// Something of the input that has no place in the output.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Loss {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Loss {
            /// Every loss there is, for counters that want to show zeros.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// Returns the name in words, lower case, as counters and traces show it.
            #[must_use]
            pub const fn words(self) -> &'static str {
                match self {
                    $(Self::$name => $words,)+
                }
            }
        }
    };
}

losses! {
    /// Bold, links, colours: text/html, RTF or XHTML-IM became plain text.
    Formatting => "formatting",
    /// Only one of several languages of a body, subject or error text crossed.
    OtherLanguages => "other languages",
    /// A language tag was not one (RFC 5646 §2.1).
    Language => "language tag",
    /// The `type` of a message has no counterpart in SIP (RFC 7572 §4 note 2).
    MessageType => "message type",
    /// The thread was not a legal Call-ID and crossed as a hash, so it cannot be read back.
    ThreadName => "thread name",
    /// The thread's parent (RFC 6121 §5.2.5).
    ThreadParent => "thread parent",
    /// Typing and its kind (XEP-0085).
    ChatState => "chat state",
    /// A request for, or a statement of, reading (XEP-0333).
    Marker => "marker",
    /// A statement that a message was received (XEP-0184).
    Receipt => "receipt",
    /// Hints about storing and copying (XEP-0334), and requests not to copy (XEP-0280).
    Hints => "hints",
    /// Identifiers of archives and origins (XEP-0359).
    StanzaIds => "stanza identifiers",
    /// Which message this one corrects, answers or reacts to (XEP-0308, XEP-0461, XEP-0444); its text crossed.
    Reference => "reference to another message",
    /// A link beside the text (XEP-0066); clients repeat it in the text.
    OutOfBand => "out-of-band link",
    /// Who delayed the message and why (XEP-0203); the date crossed.
    DelayOrigin => "origin of the delay",
    /// A date that could not be read.
    Date => "date",
    /// A display name.
    DisplayName => "display name",
    /// The resource, because the route's profile shows the bare address only.
    Resource => "resource",
    /// An extension that this gateway does not know.
    Extension => "unknown extension",
    /// An attribute that this gateway does not know.
    Attribute => "unknown attribute",
    /// Characters that the other side's syntax forbids were removed or became a space.
    Characters => "forbidden characters",
    /// Octets that are not text in the stated charset became U+FFFD.
    Octets => "undecodable octets",
    /// Line breaks in a value of one line became spaces.
    LineBreaks => "line breaks",
    /// The end of a text that was too long for its place.
    Length => "length",
    /// Parts of a multipart body beside the text.
    Parts => "other body parts",
    /// Headers around the text of a message/cpim body (RFC 3862).
    CpimHeaders => "cpim headers",
    /// URI parameters, ports and headers of an address; they are not part of the identity.
    UriParameters => "uri parameters",
    /// A To that names somebody else than the Request-URI, which counts.
    DifferingTo => "differing to",
    /// Parameters of a content type, such as Microsoft's `msgr`.
    ContentTypeParameters => "content type parameters",
    /// How long the sender gives the message (RFC 3428 §7); the gateway heeds it.
    Expires => "expires",
    /// Importance, reply address, call information and other headers that say something to people.
    Header => "header",
    /// Warnings beside a final response (RFC 3261 §20.43); the first one crossed.
    Warning => "warning",
    /// The kind of an error, where it is not the condition's usual one.
    ErrorKind => "error kind",
    /// An application's own error condition (RFC 6120 §8.3.4).
    ErrorDetail => "error detail",
    /// Alternative contacts beside the first.
    OtherContacts => "other contacts",
    /// A presence document that could not be read, and was refused.
    Document => "unreadable document",
}

/// A set of losses; small, copied freely.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Losses(u64);

impl Losses {
    /// Nothing lost.
    pub const NONE: Self = Self(0);

    /// Adds a loss.
    pub const fn add(&mut self, loss: Loss) {
        self.0 |= 1 << loss as u8;
    }

    /// Adds a loss if it happened.
    pub const fn add_if(&mut self, happened: bool, loss: Loss) {
        if happened {
            self.add(loss);
        }
    }

    /// Adds all of `other`.
    pub const fn join(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// Tells whether nothing was lost.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Tells whether `loss` happened.
    #[must_use]
    pub const fn contains(self, loss: Loss) -> bool {
        self.0 & (1 << loss as u8) != 0
    }

    /// Returns the losses in the order of [`Loss::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Loss> {
        Loss::ALL.iter().copied().filter(move |loss| self.contains(*loss))
    }
}

impl FromIterator<Loss> for Losses {
    fn from_iter<I: IntoIterator<Item = Loss>>(losses: I) -> Self {
        let mut all = Self::NONE;
        for loss in losses {
            all.add(loss);
        }
        all
    }
}

impl fmt::Debug for Losses {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_set().entries(self.iter()).finish()
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.words())
    }
}

const _: () = assert!(Loss::ALL.len() <= 64, "a set of losses is 64 bits");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_losses_names_each_once_and_in_order() {
        let losses: Losses = [Loss::ChatState, Loss::Formatting, Loss::ChatState].into_iter().collect();

        assert_eq!(losses.iter().collect::<Vec<_>>(), [Loss::Formatting, Loss::ChatState]);
        assert_eq!(format!("{losses:?}"), "{Formatting, ChatState}");
    }
}
