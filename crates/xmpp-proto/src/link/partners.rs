//! How far each partner's users are believed, as the proxy tells its gateways.
//!
//! Only the proxy's settings name the partners; only the gateway acts on their kinds. So the proxy announces its table when
//! stanzas begin to flow, before the first of them, and whenever it changes, to gateways that ask for it:
//!
//! ```text
//!                                          ◀──   <stream:features><sm/><partners/>
//!   <enable><partners/></enable>           ──▶
//!                                          ◀──   <enabled/>
//!                                          ◀──   <partners part='1' of='2' otherwise='public-unverified'>
//!                                                    <partner domain='x.example' type='federated' subdomains='true'/> …
//!                                          ◀──   <partners part='2' of='2'> … </partners>
//! ```
//!
//! To the same gateways it also says when a stream with a partner broke, so that what the partner's users said may be lost:
//!
//! ```text
//!                                          ◀──   <broken domain='x.example'/>
//! ```
//!
//! The words are no stanzas: nobody counts or acknowledges them, and the next table replaces the one before.

use std::collections::BTreeMap;

use xmpp_types::jid::DomainName;
use xmpp_types::ns;
use xmpp_types::xml::Element;

/// How far a partner's users are believed; the later ones less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PartnerKind {
    /// The same enterprise, or a business partner.
    Federated,
    /// A provider that is trusted to verify its users' identity.
    PublicVerified,
    /// A provider that is not.
    PublicUnverified,
}

impl PartnerKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Federated, Self::PublicVerified, Self::PublicUnverified];

    /// Returns the word as the configuration writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Federated => "federated",
            Self::PublicVerified => "public-verified",
            Self::PublicUnverified => "public-unverified",
        }
    }

    /// Returns what its users may do, for operators.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Federated => "its users may write to ours and see their presence and notes",
            Self::PublicVerified => "its users may write to ours and see their presence",
            Self::PublicUnverified => "its users may write to ours, and see them, once these have added them",
        }
    }

    /// Reads the word of a configuration.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

impl std::fmt::Display for PartnerKind {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.as_str())
    }
}

/// Whether what is said of a domain also holds for those below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// For itself alone.
    Itself,
    /// For all below it, unless they are named.
    Subdomains,
}

/// The kinds of a proxy's partners.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartnerTable {
    named: BTreeMap<Box<str>, (PartnerKind, Reach)>,
    otherwise: Option<PartnerKind>,
}

impl PartnerTable {
    /// Returns the table of a proxy where `otherwise` holds for domains that nothing names: `None` where they are no
    /// partners.
    #[must_use]
    pub const fn new(otherwise: Option<PartnerKind>) -> Self {
        Self { named: BTreeMap::new(), otherwise }
    }

    /// Names a domain; of two namings the first counts, as in the proxy's own rules.
    pub fn name(&mut self, domain: &DomainName, kind: PartnerKind, reach: Reach) {
        self.named.entry(domain.as_str().into()).or_insert((kind, reach));
    }

    /// Returns the kind of a domain: its own, that of the nearest one above it that speaks for those below, or what holds
    /// otherwise. `None`: this proxy does not speak with it.
    #[must_use]
    pub fn kind_of(&self, domain: &DomainName) -> Option<PartnerKind> {
        if let Some((kind, _)) = self.named.get(domain.as_str()) {
            return Some(*kind);
        }
        let above = std::iter::successors(above(domain.as_str()), |name| above(name));
        above
            .filter_map(|name| self.named.get(name))
            .find(|(_, reach)| *reach == Reach::Subdomains)
            .map(|(kind, _)| *kind)
            .or(self.otherwise)
    }

    /// Returns how many domains it names.
    #[must_use]
    pub fn len(&self) -> usize {
        self.named.len()
    }

    /// Tells whether it names none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.named.is_empty()
    }

    /// Returns the words that announce it, in order: at least one.
    pub(super) fn to_elements(&self) -> Vec<Element> {
        let named: Vec<_> = self.named.iter().take(NAMED_MAX).collect();
        let parts = named.len().div_ceil(PART).max(1);
        let part = |number: usize| {
            let mut element = Element::new(ns::LINK, "partners")
                .with_attr("part", (number + 1).to_string())
                .with_attr("of", parts.to_string());
            if let (0, Some(otherwise)) = (number, self.otherwise) {
                element = element.with_attr("otherwise", otherwise.as_str());
            }
            element.with_children(named.iter().skip(number * PART).take(PART).map(
                |(domain, (kind, reach))| {
                    let partner = Element::new(ns::LINK, "partner")
                        .with_attr("domain", &***domain)
                        .with_attr("type", kind.as_str());
                    match reach {
                        Reach::Itself => partner,
                        Reach::Subdomains => partner.with_attr("subdomains", "true"),
                    }
                },
            ))
        };
        (0..parts).map(part).collect()
    }
}

/// A table of which not all parts have come.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    parts: usize,
    table: PartnerTable,
}

impl Incoming {
    /// Takes a part; returns the table with the last one.
    ///
    /// # Errors
    /// It is not the part that comes next, or there are more than anybody has partners.
    pub(super) fn take(&mut self, element: &Element) -> Result<Option<PartnerTable>, &'static str> {
        let number = |name| element.attr(name).and_then(|text| text.trim().parse::<usize>().ok());
        let (Some(part), Some(of)) = (number("part"), number("of")) else {
            return Err("its partners come in unnumbered parts");
        };
        if part == 1 {
            *self = Self { parts: 0, table: PartnerTable::new(element.attr("otherwise").map(kind)) };
        }
        if part != self.parts + 1 || part > of {
            return Err("its partners come in the wrong order");
        }
        self.parts = part;
        for partner in element.elements().filter(|child| child.is("partner", ns::LINK)) {
            let Some(domain) = partner.attr("domain").and_then(|text| DomainName::parse(text).ok()) else {
                continue;
            };
            if self.table.len() >= NAMED_MAX {
                return Err("it has more partners than a gateway remembers");
            }
            let below = partner.attr("subdomains") == Some("true");
            let reach = if below { Reach::Subdomains } else { Reach::Itself };
            self.table.name(&domain, kind(partner.attr("type").unwrap_or_default()), reach);
        }
        Ok((part == of).then(|| std::mem::take(self).table))
    }
}

/// Returns the word of the stream's features and of `<enable/>` and `<resume/>`: the table is offered, or wanted.
pub(super) fn word() -> Element {
    Element::new(ns::LINK, "partners")
}

/// Returns the word that a stream with a domain broke.
pub(super) fn broken(domain: &DomainName) -> Element {
    Element::new(ns::LINK, "broken").with_attr("domain", domain.as_str())
}

/// Reads that word.
pub(super) fn broken_domain(element: &Element) -> Option<DomainName> {
    element.attr("domain").and_then(|domain| DomainName::parse(domain).ok())
}

/// A kind of a later version is believed least.
fn kind(word: &str) -> PartnerKind {
    PartnerKind::parse(word).unwrap_or(PartnerKind::PublicUnverified)
}

fn above(name: &str) -> Option<&str> {
    name.split_once('.').map(|(_, above)| above)
}

/// Domains in one word.
const PART: usize = 200;
/// Domains in a table: a proxy with more tells no more of them, and what it does not name is believed least.
pub const NAMED_MAX: usize = 20_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(name: &str) -> DomainName {
        DomainName::parse(name).unwrap()
    }

    #[test]
    fn the_nearest_name_decides_and_an_unnamed_domain_is_none() {
        let mut table = PartnerTable::new(None);
        table.name(&domain("x.example"), PartnerKind::Federated, Reach::Subdomains);
        table.name(&domain("guests.x.example"), PartnerKind::PublicUnverified, Reach::Itself);
        table.name(&domain("y.example"), PartnerKind::PublicVerified, Reach::Itself);

        for (name, kind) in [
            ("x.example", Some(PartnerKind::Federated)),
            ("a.b.x.example", Some(PartnerKind::Federated)),
            ("guests.x.example", Some(PartnerKind::PublicUnverified)),
            ("a.guests.x.example", Some(PartnerKind::Federated)),
            ("y.example", Some(PartnerKind::PublicVerified)),
            ("a.y.example", None),
            ("example", None),
        ] {
            assert_eq!(table.kind_of(&domain(name)), kind, "{name}");
        }
    }

    #[test]
    fn a_table_of_many_parts_is_read_as_it_was_written() {
        let mut table = PartnerTable::new(Some(PartnerKind::PublicUnverified));
        for number in 0..1001 {
            let kind = PartnerKind::ALL[number % 3];
            let reach = if number % 2 == 0 { Reach::Itself } else { Reach::Subdomains };
            table.name(&domain(&format!("p{number}.example")), kind, reach);
        }
        let parts = table.to_elements();
        let mut incoming = Incoming::default();

        let (last, before) = parts.split_last().unwrap();
        assert_eq!(before.len(), 5);
        for part in before {
            assert_eq!(incoming.take(part), Ok(None));
        }
        assert_eq!(incoming.take(last), Ok(Some(table)));
        assert!(incoming.take(last).is_err());
    }

    #[test]
    fn a_table_without_bound_is_refused() {
        let mut incoming = Incoming::default();
        let refused = (0..).find_map(|part| {
            let partners = (0..PART).map(|n| {
                Element::new(ns::LINK, "partner").with_attr("domain", format!("p{part}-{n}.example"))
            });
            let element = word()
                .with_attr("part", (part + 1).to_string())
                .with_attr("of", "1000000")
                .with_children(partners);
            incoming.take(&element).err()
        });

        assert_eq!(refused, Some("it has more partners than a gateway remembers"));
    }

    #[test]
    fn a_kind_that_nobody_knows_is_believed_least() {
        let element = word().with_attr("part", "1").with_attr("of", "1").with_child(
            Element::new(ns::LINK, "partner").with_attr("domain", "x.example").with_attr("type", "sworn"),
        );

        let table = Incoming::default().take(&element).unwrap().unwrap();

        assert_eq!(table.kind_of(&domain("x.example")), Some(PartnerKind::PublicUnverified));
    }
}
