//! Microsoft's diagnostics in words (MS-OCER §2.2.1).

use sip_types::Response;

/// What a Microsoft server says about a failure, for the user and for whoever runs the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// The error's number, which support asks for.
    pub id: u32,
    /// The reason in words: the server's own, else what the number means.
    pub reason: String,
    /// The host that says so.
    pub source: Option<String>,
    /// What the operators can do, where the cause is known to be theirs.
    pub remedy: Option<&'static str>,
}

impl Diagnosis {
    /// Returns what `response` says of itself: in `ms-diagnostics`, which federated partners are not shown, in
    /// `ms-diagnostics-public`, or in `ms-client-diagnostics`.
    #[must_use]
    pub fn of(response: &Response) -> Option<Self> {
        let found = response.headers().ms_diagnostics()?;
        let known = KNOWN.iter().find(|known| known.id == found.id);
        let reason =
            found.reason().map(|reason| reason.trim().to_owned()).filter(|reason| !reason.is_empty());
        Some(Self {
            id: found.id,
            reason: reason.or_else(|| Some(known?.meaning.to_owned())).unwrap_or_default(),
            source: found.source().filter(|source| !source.is_empty()),
            remedy: known.and_then(|known| known.remedy),
        })
    }

    /// Returns the reason and the number, as a user is told them.
    #[must_use]
    pub fn words(&self) -> String {
        if self.reason.is_empty() {
            format!("ms-diagnostics {}", self.id)
        } else {
            format!("{}, {}", self.reason, self.id)
        }
    }
}

struct Known {
    id: u32,
    meaning: &'static str,
    remedy: Option<&'static str>,
}

const fn known(id: u32, meaning: &'static str) -> Known {
    Known { id, meaning, remedy: None }
}

const fn curable(id: u32, meaning: &'static str, remedy: &'static str) -> Known {
    Known { id, meaning, remedy: Some(remedy) }
}

/// The numbers that a federated partner meets.
static KNOWN: [Known; 16] = [
    curable(
        1001,
        "the user is not authorised for public IM connectivity",
        "enable the user for public IM or federation in the external access policy",
    ),
    curable(
        1002,
        "the sender is not authorised for federation",
        "allow the XMPP domain in exactly one place: allowed domains, or IM providers",
    ),
    known(1003, "the user does not exist"),
    known(1004, "the conversation's route is no longer valid"),
    curable(
        1005,
        "there is no route to the destination's domain",
        "check the static route for the XMPP domain and that its configuration was published",
    ),
    known(1007, "the server temporarily cannot route the message"),
    curable(
        1008,
        "the DNS has no SRV record for the domain",
        "publish _sipfederationtls._tcp for the XMPP domain, or set ProxyFqdn for it",
    ),
    curable(
        1009,
        "the SRV record names a host outside the domain",
        "let the SRV record name a host below the XMPP domain, or set ProxyFqdn for it",
    ),
    curable(
        1010,
        "the certificate of the next hop is not trusted",
        "install the issuer of the gateway's certificate on the SIP server, and check the certificate's names",
    ),
    known(1011, "the previous hop gave no reason"),
    curable(
        1012,
        "the sender is not authorised to send outside the enterprise",
        "enable the user for federation in the external access policy",
    ),
    curable(1013, "the servers' clocks differ too much", "synchronise the clocks of both servers"),
    curable(
        1014,
        "the host of the next hop has no address",
        "publish an address record for the gateway's host name",
    ),
    curable(
        1017,
        "the sender's and the recipient's domains cannot be routed in this combination",
        "the XMPP domain is also a SIP domain of the deployment: remove it there",
    ),
    known(1027, "this type of request is not allowed for federated partners"),
    known(4005, "the user is not enabled for SIP"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_in_order_and_each_stands_once() {
        assert!(KNOWN.windows(2).all(|two| two[0].id < two[1].id));
    }
}
