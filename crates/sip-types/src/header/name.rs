macro_rules! header_names {
    ($($variant:ident $name:literal $($compact:literal)?,)*) => {
        /// A header's name as far as this crate knows it; compact forms are the same header (RFC 3261 §7.3.3).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[expect(missing_docs, reason = "the names are the headers'")]
        pub enum HeaderName {
            $($variant,)*
            /// A header that this crate has no name for; it is kept as written.
            Other,
        }

        impl HeaderName {
            /// Returns the name in its canonical long form; `""` for [`HeaderName::Other`].
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                    Self::Other => "",
                }
            }

            const VARIANTS: &[(&'static str, Self)] = &[
                $(($name, Self::$variant), $(($compact, Self::$variant),)?)*
            ];
        }
    };
}

header_names! {
    Via "Via" "v",
    MaxForwards "Max-Forwards",
    From "From" "f",
    To "To" "t",
    CallId "Call-ID" "i",
    CSeq "CSeq",
    Contact "Contact" "m",
    Route "Route",
    RecordRoute "Record-Route",
    ContentLength "Content-Length" "l",
    ContentType "Content-Type" "c",
    ContentEncoding "Content-Encoding" "e",
    ContentDisposition "Content-Disposition",
    ContentLanguage "Content-Language",
    Accept "Accept",
    AcceptEncoding "Accept-Encoding",
    AcceptLanguage "Accept-Language",
    Allow "Allow",
    AllowEvents "Allow-Events" "u",
    Supported "Supported" "k",
    Unsupported "Unsupported",
    Require "Require",
    ProxyRequire "Proxy-Require",
    Expires "Expires",
    MinExpires "Min-Expires",
    Event "Event" "o",
    SubscriptionState "Subscription-State",
    Subject "Subject" "s",
    Date "Date",
    Timestamp "Timestamp",
    RetryAfter "Retry-After",
    Warning "Warning",
    Reason "Reason",
    Priority "Priority",
    InReplyTo "In-Reply-To",
    ReplyTo "Reply-To",
    UserAgent "User-Agent",
    Server "Server",
    Organization "Organization",
    MimeVersion "MIME-Version",
    Authorization "Authorization",
    ProxyAuthorization "Proxy-Authorization",
    WwwAuthenticate "WWW-Authenticate",
    ProxyAuthenticate "Proxy-Authenticate",
    PAssertedIdentity "P-Asserted-Identity",
    PPreferredIdentity "P-Preferred-Identity",
    Privacy "Privacy",
    Identity "Identity" "y",
    SipEtag "SIP-ETag",
    SipIfMatch "SIP-If-Match",
    SuppressIfMatch "Suppress-If-Match",
    SessionExpires "Session-Expires" "x",
    MinSe "Min-SE",
    RSeq "RSeq",
    RAck "RAck",
    ReferTo "Refer-To" "r",
    ReferredBy "Referred-By" "b",
    Replaces "Replaces",
    Path "Path",
    MsDiagnostics "ms-diagnostics",
    MsDiagnosticsPublic "ms-diagnostics-public",
}

impl HeaderName {
    /// Returns the name that `text` is, in any case, long or compact.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self::parse_octets(text.as_bytes())
    }

    pub(crate) fn parse_octets(octets: &[u8]) -> Self {
        let mut slot = slot_of(octets);
        loop {
            let Some((name, variant)) = Self::VARIANTS.get(usize::from(SLOTS[slot])) else {
                return Self::Other;
            };
            // Most write the canonical form, which is compared faster.
            if name.as_bytes() == octets || name.as_bytes().eq_ignore_ascii_case(octets) {
                return *variant;
            }
            slot = (slot + 1) % SLOTS.len();
        }
    }

    /// Returns whether a message may have this header once only; a second would let two readers
    /// understand two messages.
    pub(crate) const fn is_single(self) -> bool {
        matches!(
            self,
            Self::MaxForwards
                | Self::From
                | Self::To
                | Self::CallId
                | Self::CSeq
                | Self::ContentLength
                | Self::ContentType
                | Self::ContentEncoding
                | Self::ContentDisposition
                | Self::Expires
                | Self::MinExpires
                | Self::Event
                | Self::SubscriptionState
                | Self::Subject
                | Self::Date
                | Self::Timestamp
                | Self::RetryAfter
                | Self::Priority
                | Self::ReplyTo
                | Self::MimeVersion
                | Self::Identity
                | Self::SipEtag
                | Self::SipIfMatch
                | Self::SuppressIfMatch
                | Self::SessionExpires
                | Self::MinSe
                | Self::RSeq
                | Self::RAck
                | Self::ReferTo
                | Self::ReferredBy
                | Self::Replaces
        )
    }
}

/// A slot that no name is in.
const EMPTY: u8 = u8::MAX;

/// The names by their [`slot_of`], the next free slot where two meet.
static SLOTS: [u8; 256] = slots();

const fn slots() -> [u8; 256] {
    let mut slots = [EMPTY; 256];
    let mut index: u8 = 0;
    while (index as usize) < HeaderName::VARIANTS.len() {
        let mut slot = slot_of(HeaderName::VARIANTS[index as usize].0.as_bytes());
        while slots[slot] != EMPTY {
            slot = (slot + 1) % slots.len();
        }
        slots[slot] = index;
        index += 1;
    }
    slots
}

/// Returns where to look for a name first: a mix of its length and three of its letters in lower case.
const fn slot_of(name: &[u8]) -> usize {
    if name.is_empty() {
        return 0;
    }
    let length = name.len();
    let (first, middle, last) = (name[0] | 0x20, name[length / 2] | 0x20, name[length - 1] | 0x20);
    (length * 31 + first as usize * 7 + middle as usize * 13 + last as usize * 3) % 256
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_in_any_case() {
        for (name, variant) in HeaderName::VARIANTS {
            assert_eq!(HeaderName::parse(name), *variant);
            assert_eq!(HeaderName::parse(&name.to_ascii_uppercase()), *variant);
            assert_eq!(HeaderName::parse(&name.to_ascii_lowercase()), *variant);
        }
        for name in ["", "X-Other", "Fromm", "Fro", "q"] {
            assert_eq!(HeaderName::parse(name), HeaderName::Other);
        }
    }

    #[test]
    fn the_compact_form_is_the_same_header() {
        assert_eq!(HeaderName::parse("F"), HeaderName::From);
        assert_eq!(HeaderName::From.as_str(), "From");
    }
}
