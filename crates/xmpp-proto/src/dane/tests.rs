use std::sync::Arc;

use net_types::{Chain, ChainJudge, Issuer, memory};

use super::*;

/// Certificate and key of the server, of the authority that issued it, and of somebody else.
const OWN: (&[u8], &[u8]) = (b"server certificate", b"server key");
const ISSUER: (&[u8], &[u8]) = (b"authority certificate", b"authority key");
const OTHER: (&[u8], &[u8]) = (b"other certificate", b"other key");

/// The issuer's signature holds, nobody else's does.
#[derive(Debug)]
struct Signed;

impl ChainJudge for Signed {
    fn by_trust(&self, trust: &Trust) -> TrustVerdict {
        TrustVerdict::Untrusted(format!("{} does not know the issuer", trust.0))
    }

    fn by_anchor(&self, anchor: &[u8]) -> TrustVerdict {
        if anchor == ISSUER.0 { TrustVerdict::Trusted } else { TrustVerdict::Untrusted("not by it".into()) }
    }
}

/// A certificate that no public authority vouches for.
fn private(name: &str) -> PeerCertificate {
    let issuer = |(der, key): (&[u8], &[u8])| Issuer { der: der.into(), public_key: key.into() };
    PeerCertificate {
        trust: TrustVerdict::Untrusted("issuer unknown".into()),
        not_before: Date::from_unix_millis(1000),
        not_after: Date::from_unix_millis(9000),
        der: OWN.0.into(),
        chain: Chain::new(OWN.1.into(), Arc::new([issuer(OTHER), issuer(ISSUER)]), Arc::new(Signed)),
        ..memory::certificate(&[name])
    }
}

fn public(name: &str) -> PeerCertificate {
    PeerCertificate { trust: TrustVerdict::Trusted, ..private(name) }
}

fn tlsa(usage: u8, selector: u8, matching: u8, of: (&[u8], &[u8])) -> Record {
    let selected = if selector == 0 { of.0 } else { of.1 };
    let data = match matching {
        1 => Sha256::digest(selected).to_vec(),
        2 => Sha512::digest(selected).to_vec(),
        _ => selected.to_vec(),
    };
    Record::Tlsa { usage, selector, matching, data }
}

fn judge(certificate: &PeerCertificate, records: &[Record]) -> Result<(), Unproved> {
    judge_at(5000, certificate, records)
}

fn judge_at(millis: i64, certificate: &PeerCertificate, records: &[Record]) -> Result<(), Unproved> {
    let delegation = Delegation::new("host.them.example".into(), 5269, records);
    let domain = DomainName::parse("them.example").unwrap();
    delegation.prove(Some(certificate), None, &domain, Date::from_unix_millis(millis))
}

fn not_in_zone(records: usize) -> Result<(), Unproved> {
    Err(Unproved::NotInZone { host: "_5269._tcp.host.them.example".into(), records })
}

#[test]
fn every_usage_selector_and_matching_finds_what_it_names_and_nothing_else() {
    for selector in 0..=1 {
        for matching in 0..=2 {
            let fits = |usage, of| judge(&public("them.example"), &[tlsa(usage, selector, matching, of)]);
            let case = format!("{selector} {matching}");
            for usage in [1, 3] {
                assert_eq!(fits(usage, OWN), Ok(()), "{usage} {case}");
                assert_eq!(fits(usage, ISSUER), not_in_zone(1), "{usage} {case}");
            }
            for usage in [0, 2] {
                assert_eq!(fits(usage, ISSUER), Ok(()), "{usage} {case}");
                assert!(fits(usage, OWN).is_err(), "{usage} {case}");
                assert!(fits(usage, OTHER).is_err(), "{usage} {case}");
            }
        }
    }
}

#[test]
fn authorities_count_only_where_the_record_says_so() {
    let untrusted = Err(Unproved::Untrusted("issuer unknown".into()));

    assert_eq!(judge(&private("them.example"), &[tlsa(0, 0, 1, ISSUER)]), untrusted);
    assert_eq!(judge(&private("them.example"), &[tlsa(1, 1, 1, OWN)]), untrusted);
    assert_eq!(judge(&private("them.example"), &[tlsa(2, 0, 1, ISSUER)]), Ok(()));
    assert_eq!(judge(&private("them.example"), &[tlsa(3, 1, 1, OWN)]), Ok(()));
}

#[test]
fn the_server_s_key_alone_counts_whatever_else_its_certificate_says() {
    let records = [tlsa(3, 1, 1, OWN)];

    assert_eq!(judge(&private("somebody.else.example"), &records), Ok(()));
    assert_eq!(judge_at(9_999_999, &private("them.example"), &records), Ok(()));
}

#[test]
fn what_an_authority_issued_must_name_the_domain_or_the_host_and_be_valid() {
    let records = [tlsa(2, 1, 2, ISSUER)];

    assert_eq!(judge(&private("host.them.example"), &records), Ok(()));
    assert_eq!(
        judge(&private("other.them.example"), &records),
        Err(Unproved::OtherNames(vec!["other.them.example".into()]))
    );
    assert_eq!(
        judge_at(9001, &private("them.example"), &records),
        Err(Unproved::Expired(Date::from_unix_millis(9000)))
    );
}

#[test]
fn an_authority_that_was_not_sent_may_stand_in_the_record() {
    let mut certificate = private("them.example");
    certificate.chain = Chain::new(OWN.1.into(), Arc::new([]), Arc::new(Signed));

    assert_eq!(judge(&certificate, &[tlsa(2, 0, 0, ISSUER)]), Ok(()));
    assert_eq!(judge(&certificate, &[tlsa(2, 0, 1, ISSUER)]), not_in_zone(1));
    assert_eq!(judge(&certificate, &[tlsa(2, 1, 0, ISSUER)]), not_in_zone(1));
}

#[test]
fn one_record_that_fits_is_enough_and_none_is_the_end() {
    let next = tlsa(3, 1, 1, OTHER);

    assert_eq!(judge(&public("them.example"), &[next.clone(), tlsa(3, 1, 1, OWN)]), Ok(()));
    // However well an authority vouches for it (RFC 6698 §4.1).
    assert_eq!(judge(&public("them.example"), std::slice::from_ref(&next)), not_in_zone(1));
}

#[test]
fn records_that_cannot_be_used_are_none() {
    let unusable = |usage, selector, matching, data: &[u8]| Record::Tlsa {
        usage,
        selector,
        matching,
        data: data.to_vec(),
    };
    let records = [
        unusable(4, 0, 1, &[0; 32]),
        unusable(255, 0, 1, &[0; 32]),
        unusable(3, 2, 1, &[0; 32]),
        unusable(3, 1, 3, &[0; 48]),
        unusable(3, 1, 1, &[0; 31]),
        unusable(3, 1, 2, &[0; 32]),
        unusable(3, 0, 0, &[]),
    ];

    assert!(!Delegation::new("host.them.example".into(), 5269, &records).is_binding());
    // Then authorities decide, and the host's name will do because the way to it is signed (RFC 7673 §4.1).
    assert_eq!(judge(&public("them.example"), &records), Ok(()));
    assert_eq!(judge(&public("host.them.example"), &records), Ok(()));
    assert_eq!(judge(&private("them.example"), &records), Err(Unproved::Untrusted("issuer unknown".into())));
}

#[test]
fn the_weaker_digest_of_the_same_thing_does_not_count() {
    let weak = tlsa(3, 1, 1, OWN);

    assert_eq!(judge(&public("them.example"), &[weak.clone(), tlsa(3, 1, 2, OTHER)]), not_in_zone(1));
    assert_eq!(judge(&public("them.example"), &[weak, tlsa(3, 0, 2, OTHER)]), Ok(()));
}

#[test]
fn nobody_is_proved_without_a_certificate() {
    let delegation = Delegation::new("host.them.example".into(), 5269, &[tlsa(3, 1, 1, OWN)]);
    let domain = DomainName::parse("them.example").unwrap();

    assert_eq!(delegation.prove(None, None, &domain, Date::default()), Err(Unproved::NoCertificate));
}

#[test]
fn more_records_than_anybody_needs_are_not_looked_at() {
    let mut records = vec![tlsa(3, 1, 1, OTHER); ASSOCIATIONS_MAX];
    records.push(tlsa(3, 1, 1, OWN));

    assert_eq!(judge(&public("them.example"), &records), not_in_zone(ASSOCIATIONS_MAX));
}
