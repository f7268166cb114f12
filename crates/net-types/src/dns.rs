use std::net::IpAddr;

/// One question to the DNS; names are A-labels without the final dot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Question {
    /// Both address families of a host.
    Addresses(String),
    /// Services of a name that starts with its labels (`_xmpp-server._tcp.example.com`).
    Srv(String),
    /// Rules of a domain (RFC 3263 §4.1).
    Naptr(String),
    /// Associations of certificates with a name (RFC 6698).
    Tlsa(String),
    /// The same, and DNSSEC is to say what the answer is worth: only then can one be [`secure`](Answer::secure), or
    /// [bogus](Failure::Bogus).
    Validated(Box<Question>),
}

/// What the DNS said; an existing name without such records gives no records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// In the order of the answer.
    pub records: Vec<Record>,
    /// Whether DNSSEC vouches for the records and for the names that led to them. That there are none is never
    /// `secure`: a lie about it is [bogus](Failure::Bogus).
    pub secure: bool,
}

/// One resource record.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of RFC 2782, RFC 3403 and RFC 6698")]
pub enum Record {
    Address(IpAddr),
    Srv {
        priority: u16,
        weight: u16,
        port: u16,
        target: String,
    },
    Naptr {
        order: u16,
        preference: u16,
        flags: String,
        services: String,
        regexp: String,
        replacement: String,
    },
    Tlsa {
        usage: u8,
        selector: u8,
        matching: u8,
        data: Vec<u8>,
    },
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The name does not exist (NXDOMAIN).
    NoSuchName,
    /// No server answered in time, in words.
    Unreachable(String),
    /// A server answered that it could not (SERVFAIL and its kind), in words.
    ServerFailed(String),
    /// DNSSEC says the answer is forged, in words.
    Bogus(String),
}
