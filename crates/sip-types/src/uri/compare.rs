//! When two URIs are the same (RFC 3261 §19.1.4).

use super::SipUri;
use super::escape::significant;

impl SipUri {
    /// Returns whether both are equal by the rules of RFC 3261 §19.1.4. It is no equivalence: a third
    /// may match both of two that do not match each other.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        self.scheme == other.scheme
            && same(self.user(), other.user(), Case::Counts)
            && same(self.password(), other.password(), Case::Counts)
            && self.host == other.host
            && self.port == other.port
            && params_match(self, other)
            && params_match(other, self)
            && headers_match(self.headers(), other.headers())
    }
}

#[derive(Clone, Copy)]
enum Case {
    Counts,
    Ignored,
}

/// Parameters that never match their absence. `transport` is among them by the examples of §19.1.4,
/// `gr` because a GRUU names one user agent and its address of record all of them (RFC 5627 §3.1).
const NEVER_IGNORED: [&str; 6] = ["user", "ttl", "method", "maddr", "transport", "gr"];

fn params_match(one: &SipUri, other: &SipUri) -> bool {
    one.params().iter().all(|param| {
        match other.params().iter().find(|its| its.name.eq_ignore_ascii_case(param.name)) {
            Some(its) => same(param.value, its.value, Case::Ignored),
            None => !NEVER_IGNORED.iter().any(|name| param.name.eq_ignore_ascii_case(name)),
        }
    })
}

/// Both have the same headers in any order. Values are compared as text: what a header's own rules
/// would call equal beyond that is not looked into.
fn headers_match(one: Option<&str>, other: Option<&str>) -> bool {
    let sorted = |headers: Option<&str>| {
        let mut all: Vec<Vec<u16>> =
            headers.unwrap_or_default().split('&').map(|one| significant(one).map(lower).collect()).collect();
        all.sort_unstable();
        all
    };
    one.is_some() == other.is_some() && (one == other || sorted(one) == sorted(other))
}

fn same(one: Option<&str>, other: Option<&str>, case: Case) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => match case {
            Case::Counts => significant(one).eq(significant(other)),
            Case::Ignored => significant(one).map(lower).eq(significant(other).map(lower)),
        },
        (Some(_), None) | (None, Some(_)) => false,
    }
}

fn lower(unit: u16) -> u16 {
    u8::try_from(unit).map_or(unit, |octet| u16::from(octet.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use crate::uri::SipUri;

    #[test]
    fn the_equivalent_uris_of_the_rfc_match() {
        for (one, other) in [
            ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
            ("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"),
            (
                "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
                "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
            ),
            (
                "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
                "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
            ),
        ] {
            assert!(matches(one, other), "{one} {other}");
        }
    }

    #[test]
    fn the_different_uris_of_the_rfc_do_not_match() {
        for (one, other) in [
            ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
            ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
            ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
            ("sip:a%3Bb@x.example", "sip:a;b@x.example"),
            ("sip:%00@host5.example.com", "sip:%00%00@host5.example.com"),
            ("sip:a@x.example", "sips:a@x.example"),
            ("sip:a@x.example", "sip:a@x.example;gr=1"),
            ("sip:a:b@x.example", "sip:a@x.example"),
        ] {
            assert!(!matches(one, other), "{one} {other}");
        }
    }

    fn matches(one: &str, other: &str) -> bool {
        let (one, other) = (SipUri::parse(one).unwrap(), SipUri::parse(other).unwrap());
        assert_eq!(one.matches(&other), other.matches(&one));
        one.matches(&other)
    }
}
