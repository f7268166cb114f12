use xmpp_types::jid::DomainName;

use super::{Secret, Trouble, Verdict};

/// Answers `<db:verify/>` as the server that the sender's domain points to (§2.2.2): did we, or another
/// server with our secret, give out this key for stanzas from `sender` to `target` on stream `id`?
#[must_use]
pub fn answer(
    secret: &Secret,
    sender: &DomainName,
    sender_is_served: bool,
    target: &DomainName,
    id: &str,
    key: &str,
) -> Verdict {
    if !sender_is_served {
        return Verdict::Error(Trouble::NotServed);
    }
    if secret.made(key, sender, target, id) { Verdict::Valid } else { Verdict::Invalid }
}

#[cfg(test)]
mod tests {
    use super::super::Pair;
    use super::*;

    #[test]
    fn a_key_is_judged_only_for_a_domain_of_ours() {
        let secret = Secret::from_passphrase("s");
        let us = DomainName::parse("us.example").unwrap();
        let them = DomainName::parse("them.example").unwrap();
        let key = secret.key(&Pair { local: us.clone(), remote: them.clone() }, "7");

        assert_eq!(answer(&secret, &us, true, &them, "7", &key), Verdict::Valid);
        assert_eq!(answer(&secret, &us, true, &them, "8", &key), Verdict::Invalid);
        assert_eq!(answer(&secret, &us, false, &them, "7", &key), Verdict::Error(Trouble::NotServed));
    }
}
