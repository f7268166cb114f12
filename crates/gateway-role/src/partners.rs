//! How far the users of each XMPP domain are believed, as the proxies say.

use xmpp_proto::link::{PartnerKind, PartnerTable};
use xmpp_types::jid::DomainName;

/// What each proxy says, by its link.
///
/// Where several proxies say different things of a domain, the strictest counts: a stanza may come by any of them. A proxy
/// that does not speak with the domain says nothing of it, nor does one that has not been heard since we began. A domain of
/// which none says anything is believed least, which is Microsoft's default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partners {
    tables: Vec<Option<PartnerTable>>,
}

impl Partners {
    /// Takes what the proxy of this link says from now on.
    pub fn set(&mut self, link: usize, table: PartnerTable) {
        if self.tables.len() <= link {
            self.tables.resize(link + 1, None);
        }
        self.tables[link] = Some(table);
    }

    /// Tells whether any proxy has been heard.
    pub fn is_known(&self) -> bool {
        self.tables.iter().any(Option::is_some)
    }

    /// Returns how far the users of a domain are believed.
    pub fn kind_of(&self, domain: &DomainName) -> PartnerKind {
        let said = self.tables.iter().flatten().filter_map(|table| table.kind_of(domain));
        said.max().unwrap_or(PartnerKind::PublicUnverified)
    }
}

#[cfg(test)]
mod tests {
    use xmpp_proto::link::Reach;

    use super::*;

    fn saying(kind: PartnerKind) -> PartnerTable {
        let mut table = PartnerTable::new(None);
        table.name(&x(), kind, Reach::Itself);
        table
    }

    fn x() -> DomainName {
        DomainName::parse("x.example").unwrap()
    }

    #[test]
    fn of_several_proxies_the_strictest_counts_and_silence_is_no_opinion() {
        let mut partners = Partners::default();
        assert_eq!(partners.kind_of(&x()), PartnerKind::PublicUnverified);
        assert!(!partners.is_known());

        partners.set(2, saying(PartnerKind::Federated));
        assert_eq!(partners.kind_of(&x()), PartnerKind::Federated);
        partners.set(1, PartnerTable::new(None));
        assert_eq!(partners.kind_of(&x()), PartnerKind::Federated);
        partners.set(0, saying(PartnerKind::PublicVerified));
        assert_eq!(partners.kind_of(&x()), PartnerKind::PublicVerified);
    }
}
