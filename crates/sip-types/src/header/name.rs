macro_rules! header_names {
    ($($variant:ident $name:literal $($compact:literal)?,)*) => {
        /// A header's name as far as this crate knows it; compact forms are the same header (RFC 3261 §7.3.3).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
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

            /// Returns the name that `text` is, in any case, long or compact.
            #[must_use]
            pub fn parse(text: &str) -> Self {
                $(if text.eq_ignore_ascii_case($name) $(|| text.eq_ignore_ascii_case($compact))? {
                    return Self::$variant;
                })*
                Self::Other
            }
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
