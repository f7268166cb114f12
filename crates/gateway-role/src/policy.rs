//! Which SIP users may federate (Microsoft's `EnableXmppAccess`).
//!
//! What is said of an address goes before what is said of its domain, and that before what holds for everybody; of two
//! that say the opposite of the same, the refusal counts. Whoever is refused cannot be told from somebody who does not
//! exist, as seen by an XMPP user; the SIP user himself is told.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use sip_types::Uri;
use translate::sip_to_jid;
use xmpp_types::jid::{BareJid, DomainName, Jid};

/// Whether somebody may federate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// He may not. It is the smaller one, so that it counts where both are said.
    Refused,
    /// He may.
    #[default]
    Allowed,
}

/// Of whom something is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whom {
    /// One user.
    Address(BareJid),
    /// Every user of a domain; not of those below it.
    Domain(DomainName),
}

/// Where something is said, for those who ask why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The setting or the file.
    pub place: Arc<str>,
    /// The line of a file, from 1.
    pub line: Option<u32>,
}

/// One thing that is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Of whom.
    pub whom: Whom,
    /// What.
    pub access: Access,
    /// Where.
    pub origin: Origin,
}

/// All that is said. Asking takes a search among the addresses, however many there are, and no memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    otherwise: Access,
    restricting: bool,
    domains: BTreeMap<DomainName, (Access, Origin)>,
    /// In the order of their text, each once.
    addresses: Box<[(Box<str>, Access, Origin)]>,
}

/// What is said of one user, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict<'a> {
    /// Whether he may federate.
    pub access: Access,
    /// Why.
    pub why: Why<'a>,
}

/// Why a user may federate or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why<'a> {
    /// His address is named.
    Address(&'a Origin),
    /// His domain is named.
    Domain(&'a Origin),
    /// Nothing is said of him.
    Otherwise,
}

impl Policy {
    /// Returns what follows from `rules`, where `otherwise` holds for those whom none names.
    #[must_use]
    pub fn new(otherwise: Access, rules: Vec<Rule>) -> Self {
        let restricting =
            otherwise == Access::Refused || rules.iter().any(|rule| rule.access == Access::Refused);
        let mut domains = BTreeMap::new();
        let mut addresses: Vec<(Box<str>, _, _)> = Vec::new();
        for Rule { whom, access, origin } in rules {
            match whom {
                Whom::Address(address) => addresses.push((Box::from(address.as_str()), access, origin)),
                Whom::Domain(domain) => {
                    let said = domains.entry(domain).or_insert_with(|| (access, origin.clone()));
                    if access < said.0 {
                        *said = (access, origin);
                    }
                }
            }
        }
        // Stable, so that the first of equals is the one that is shown.
        addresses.sort_by(|(one, a, _), (other, b, _)| one.cmp(other).then(a.cmp(b)));
        addresses.dedup_by(|later, earlier| later.0 == earlier.0);
        Self { otherwise, restricting, domains, addresses: addresses.into() }
    }

    /// Returns what holds for a user, with or without a resource.
    #[must_use]
    pub fn judge(&self, user: &Jid) -> Verdict<'_> {
        let address = user.bare_str();
        if let Ok(at) = self.addresses.binary_search_by(|(listed, ..)| (**listed).cmp(address)) {
            let (_, access, origin) = &self.addresses[at];
            return Verdict { access: *access, why: Why::Address(origin) };
        }
        match self.domains.get(user.domain()) {
            Some((access, origin)) => Verdict { access: *access, why: Why::Domain(origin) },
            None => Verdict { access: self.otherwise, why: Why::Otherwise },
        }
    }

    /// Tells whether a user may federate.
    #[must_use]
    pub fn allows(&self, user: &Jid) -> bool {
        self.judge(user).access == Access::Allowed
    }

    /// Tells whether anybody might be refused.
    #[must_use]
    pub const fn is_restricting(&self) -> bool {
        self.restricting
    }
}

impl fmt::Display for Verdict<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let may = match self.access {
            Access::Allowed => "may federate",
            Access::Refused => "may not federate",
        };
        match self.why {
            Why::Address(origin) => write!(out, "{may}: the address is named in {origin}"),
            Why::Domain(origin) => write!(out, "{may}: the domain is named in {origin}"),
            Why::Otherwise => write!(out, "{may}: nothing names the address or its domain"),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(out, "{}, line {line}", self.place),
            None => out.write_str(&self.place),
        }
    }
}

/// Why a text names nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamesNobody {
    why: Cow<'static, str>,
}

impl fmt::Display for NamesNobody {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.why)
    }
}

impl std::error::Error for NamesNobody {}

impl Whom {
    /// Reads `bob@example.com`, `sip:bob@example.com`, or a domain: `example.com`, `@example.com`, `*@example.com`.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, NamesNobody> {
        let nobody = |why: String| NamesNobody { why: why.into() };
        let written = text.trim();
        let scheme = written.split_once(':').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("sip"));
        let address = scheme.map_or(written, |(_, rest)| rest);
        match address.rsplit_once('@') {
            None | Some(("" | "*", _)) => {
                let domain = address.rsplit('@').next().unwrap_or_default();
                let domain = DomainName::parse(domain).map_err(|why| nobody(why.to_string()))?;
                Ok(Self::Domain(domain))
            }
            Some(_) => {
                // As it comes from the SIP side, so that both spell it alike.
                let uri = Uri::parse(format!("sip:{address}")).map_err(|why| nobody(why.to_string()))?;
                let jid = sip_to_jid(&uri).map_err(|why| nobody(why.to_string()))?;
                if jid.local().is_none_or(str::is_empty) {
                    return Err(nobody("there is nothing before the @".to_owned()));
                }
                Ok(Self::Address(jid.to_bare()))
            }
        }
    }

    /// Returns the domain that is meant, or that of the user who is.
    #[must_use]
    pub const fn domain(&self) -> &DomainName {
        match self {
            Self::Address(address) => address.domain(),
            Self::Domain(domain) => domain,
        }
    }
}

impl fmt::Display for Whom {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Address(address) => address.as_str(),
            Self::Domain(domain) => domain.as_str(),
        })
    }
}

/// Reads a list of users, one on a line; an empty line and what follows a `#` say nothing. Each comes with its line,
/// from 1. What an export quotes is read without its quotes.
pub fn read_list(text: &str) -> impl Iterator<Item = (u32, Result<Whom, NamesNobody>)> {
    (1..).zip(text.lines()).filter_map(|(line, written)| {
        let said = written.split('#').next().unwrap_or_default().trim();
        let said = said.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(said);
        (!said.is_empty()).then(|| (line, Whom::parse(said)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(whom: &str, access: Access, line: u32) -> Rule {
        let origin = Origin { place: "users".into(), line: Some(line) };
        Rule { whom: Whom::parse(whom).unwrap(), access, origin }
    }

    #[track_caller]
    fn judged(policy: &Policy, user: &str) -> String {
        policy.judge(&Jid::parse(user).unwrap()).to_string()
    }

    #[test]
    fn an_address_goes_before_its_domain_and_that_before_what_holds_otherwise() {
        let rules = vec![
            rule("s.example", Access::Allowed, 1),
            rule("bob@s.example", Access::Refused, 2),
            rule("eve@t.example", Access::Allowed, 3),
        ];
        let policy = Policy::new(Access::Refused, rules);

        assert_eq!(
            judged(&policy, "bob@s.example/desk"),
            "may not federate: the address is named in users, line 2"
        );
        assert_eq!(judged(&policy, "ann@s.example"), "may federate: the domain is named in users, line 1");
        assert_eq!(judged(&policy, "eve@t.example"), "may federate: the address is named in users, line 3");
        assert_eq!(
            judged(&policy, "ann@below.s.example"),
            "may not federate: nothing names the address or its domain"
        );
        assert!(policy.is_restricting());
        assert!(!Policy::default().is_restricting());
    }

    #[test]
    fn of_two_opposites_the_refusal_counts_in_either_order() {
        for turn in [[Access::Allowed, Access::Refused], [Access::Refused, Access::Allowed]] {
            let said = |whom| (1..).zip(turn).map(move |(line, access)| rule(whom, access, line));
            let rules = said("bob@s.example").chain(said("t.example")).collect();
            let policy = Policy::new(Access::Allowed, rules);

            assert!(!policy.allows(&Jid::parse("bob@s.example").unwrap()));
            assert!(!policy.allows(&Jid::parse("ann@t.example").unwrap()));
        }
    }

    #[test]
    fn an_address_is_the_same_however_it_is_written() {
        for written in ["bob@s.example", "sip:Bob@S.Example", " SIP:bob@s.example ", "sip:%62ob@s.example"] {
            assert_eq!(Whom::parse(written).unwrap().to_string(), "bob@s.example", "{written}");
        }
        for written in ["s.example", "@s.example", "*@S.EXAMPLE", "sip:s.example"] {
            assert_eq!(
                Whom::parse(written),
                Ok(Whom::Domain(DomainName::parse("s.example").unwrap())),
                "{written}"
            );
        }
        for wrong in
            ["", "@", "bob@", "bob@s..example", "bob bob@s.example", "tel:+15551234", "bob:pw@s.example"]
        {
            assert!(Whom::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_list_is_read_line_by_line() {
        let text = "# ours\nbob@s.example # Bob\r\n\n\"sip:ann@s.example\"\nno body@\n";

        let read: Vec<String> = read_list(text)
            .map(|(line, whom)| {
                format!("{line} {}", whom.map_or_else(|why| why.to_string(), |whom| whom.to_string()))
            })
            .collect();

        assert_eq!(read[..2], ["2 bob@s.example", "4 ann@s.example"]);
        assert!(read[2].starts_with("5 "), "{read:?}");
        assert_eq!(read.len(), 3);
    }

    #[test]
    fn a_hundred_thousand_addresses_are_each_found() {
        let rules = (0..100_000).map(|n| rule(&format!("user{n}@s.example"), Access::Allowed, n)).collect();

        let policy = Policy::new(Access::Refused, rules);

        for n in (0..100_000).step_by(997) {
            let user = Jid::parse(&format!("user{n}@s.example")).unwrap();
            let line = Some(n);
            let Why::Address(origin) = policy.judge(&user).why else { panic!("user{n} is not found") };
            assert_eq!(origin.line, line);
        }
        assert!(!policy.allows(&Jid::parse("user100000@s.example").unwrap()));
    }
}
