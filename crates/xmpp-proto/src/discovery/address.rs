use std::net::IpAddr;

use net_types::is_public;

/// Which addresses a name may lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressRule {
    /// Only those of the public Internet, so that nobody can point us at what is behind our firewall.
    PublicOnly,
    /// Any, because the partner's settings say so.
    Any,
}

impl AddressRule {
    /// Tells whether `address` may be dialled.
    #[must_use]
    pub fn admits(self, address: IpAddr) -> bool {
        match self {
            Self::PublicOnly => is_public(address),
            Self::Any => true,
        }
    }
}
