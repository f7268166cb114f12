//! The resolver against a signed zone on a loopback socket.
//!
//! ```text
//!   example.com           signed; its key is the anchor
//!    ├─ a, _5269._tcp.a, _xmpp-server._tcp    signed
//!    ├─ forged            an address with the signature of another one
//!    ├─ stripped          an address without its signature
//!    ├─ expired           an address with a signature of yesterday
//!    ├─ hidden            nothing, and no proof of that
//!    └─ plain             delegated to a zone that is not signed
//! ```

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::proto::dnssec::crypto::Ed25519SigningKey;
use hickory_resolver::proto::dnssec::rdata::{DNSKEY, DNSSECRData, NSEC, RRSIG};
use hickory_resolver::proto::dnssec::{DnssecSigner, SigningKey as _};
use hickory_resolver::proto::op::{Message, MessageType, ResponseCode};
use hickory_resolver::proto::rr::rdata::tlsa::{CertUsage, Matching, Selector};
use hickory_resolver::proto::rr::rdata::{A, CNAME, NS, SOA, SRV, TLSA};
use hickory_resolver::proto::rr::{DNSClass, Name, RData, Record as DnsRecord, RecordSet, RecordType};
use net::{Anchors, DnsSettings, Resolver};
use net_types::{Answer, Failure, Question, Record};
use tokio::net::UdpSocket;

#[tokio::test]
async fn what_the_anchor_vouches_for_is_secure() {
    let resolver = resolver("secure").await;

    let srv = validated(&resolver, Question::Srv("_xmpp-server._tcp.example.com".to_owned())).await.unwrap();
    let host = validated(&resolver, Question::Addresses("a.example.com".to_owned())).await.unwrap();
    let tlsa = validated(&resolver, Question::Tlsa("_5269._tcp.a.example.com".to_owned())).await.unwrap();

    let target = "a.example.com".to_owned();
    let service = Record::Srv { priority: 0, weight: 5, port: 5269, target };
    assert_eq!(srv, Answer { records: vec![service], secure: true });
    assert_eq!(host, Answer { records: vec![address(1)], secure: true });
    let association = Record::Tlsa { usage: 3, selector: 1, matching: 1, data: vec![7; 32] };
    assert_eq!(tlsa, Answer { records: vec![association], secure: true });
}

#[tokio::test]
async fn that_something_is_not_there_is_believed_only_with_a_proof() {
    let resolver = resolver("absent").await;

    let none = validated(&resolver, Question::Tlsa("a.example.com".to_owned())).await;
    let nobody = validated(&resolver, Question::Addresses("nobody.example.com".to_owned())).await;

    let hidden = validated(&resolver, Question::Tlsa("hidden.example.com".to_owned())).await;

    assert_eq!(none.map(|answer| answer.records), Ok(Vec::new()));
    assert_eq!(nobody, Err(Failure::NoSuchName));
    assert!(matches!(hidden, Err(Failure::Bogus(_))), "{hidden:?}");
}

#[tokio::test]
async fn a_zone_that_is_not_signed_is_answered_and_not_secure() {
    let resolver = resolver("insecure").await;

    let answer = validated(&resolver, Question::Addresses("plain.example.com".to_owned())).await;

    assert_eq!(answer, Ok(Answer { records: vec![address(4)], secure: false }));
}

#[tokio::test]
async fn an_alias_that_leads_out_of_what_is_signed_is_not_secure() {
    let resolver = resolver("alias").await;

    let answer = validated(&resolver, Question::Addresses("alias.example.com".to_owned())).await;

    assert_eq!(answer, Ok(Answer { records: vec![address(4)], secure: false }));
}

#[tokio::test]
async fn what_nobody_signed_or_somebody_changed_is_bogus_and_no_answer() {
    let resolver = resolver("bogus").await;

    for host in ["forged", "stripped", "expired"] {
        let answer = validated(&resolver, Question::Addresses(format!("{host}.example.com"))).await;

        assert!(matches!(answer, Err(Failure::Bogus(_))), "{host}: {answer:?}");
    }
}

#[tokio::test]
async fn nothing_is_validated_unless_the_question_says_so() {
    let resolver = resolver("plain").await;

    for (host, last) in [("a", 1), ("forged", 66), ("plain", 4)] {
        let answer = resolver.resolve(&Question::Addresses(format!("{host}.example.com"))).await;

        assert_eq!(answer, Ok(Answer { records: vec![address(last)], secure: false }), "{host}");
    }
}

#[test]
fn a_file_without_keys_is_named() {
    let file = anchors("wrong", "example.com. 60 IN A 192.0.2.1\n");
    let settings = DnsSettings { anchors: Anchors::File(file.clone()), ..DnsSettings::default() };

    let words = Resolver::new(&settings).unwrap_err().to_string();

    assert!(words.starts_with(&format!("{} holds no DNSSEC keys (", file.display())), "{words}");
}

async fn validated(resolver: &Resolver, question: Question) -> Result<Answer, Failure> {
    resolver.resolve(&Question::Validated(Box::new(question))).await
}

fn address(last: u8) -> Record {
    Record::Address(Ipv4Addr::new(192, 0, 2, last).into())
}

/// Returns a resolver that asks the zone's server and believes the zone's key.
async fn resolver(name: &str) -> Resolver {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let server: SocketAddr = socket.local_addr().unwrap();
    let zone = Zone::new();
    let settings = DnsSettings {
        servers: vec![server],
        try_timeout: Duration::from_secs(20),
        timeout: Duration::from_secs(40),
        attempts: 0,
        anchors: Anchors::File(anchors(name, &format!("example.com. 60 IN DNSKEY {}\n", zone.key))),
        ..DnsSettings::default()
    };
    tokio::spawn(serve(socket, Arc::new(zone)));
    Resolver::new(&settings).unwrap()
}

fn anchors(name: &str, text: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("gangway-anchors-{}-{name}", std::process::id()));
    std::fs::write(&path, text).unwrap();
    path
}

async fn serve(socket: UdpSocket, zone: Arc<Zone>) {
    let mut octets = [0; 4096];
    loop {
        let (length, from) = socket.recv_from(&mut octets).await.unwrap();
        let question = Message::from_vec(&octets[..length]).unwrap();
        socket.send_to(&zone.reply(&question).to_vec().unwrap(), from).await.unwrap();
    }
}

struct Zone {
    signer: DnssecSigner,
    key: DNSKEY,
}

impl Zone {
    fn new() -> Self {
        let pkcs8 = Ed25519SigningKey::generate_pkcs8().unwrap();
        let key = Ed25519SigningKey::from_pkcs8(&pkcs8).unwrap();
        let public = DNSKEY::from_key(&key.to_public_key().unwrap());
        let signer = DnssecSigner::new(public.clone(), Box::new(key), name("example.com"), DAY);
        Self { signer, key: public }
    }

    fn reply(&self, question: &Message) -> Message {
        let query = question.queries[0].clone();
        let asked = query.name().to_ascii().to_lowercase();
        let mut reply = Message::new(question.metadata.id, MessageType::Response, question.metadata.op_code);
        reply.metadata.recursion_available = true;
        if let Some(edns) = &question.edns {
            reply.set_edns(edns.clone());
        }
        let found = self.find(&asked, query.query_type());
        if found.is_empty() {
            if asked == "nobody.example.com." {
                reply.metadata.response_code = ResponseCode::NXDomain;
            }
            reply.add_authorities(self.absence(&asked, query.query_type()));
        }
        reply.add_answers(found);
        reply.add_query(query);
        reply
    }

    fn find(&self, asked: &str, kind: RecordType) -> Vec<DnsRecord> {
        let a = |last| RData::A(A(Ipv4Addr::new(192, 0, 2, last)));
        match (asked, kind) {
            ("example.com.", RecordType::DNSKEY) => {
                self.signed(asked, RData::DNSSEC(DNSSECRData::DNSKEY(self.key.clone())))
            }
            ("example.com.", RecordType::NS) => self.signed(asked, RData::NS(NS(name("ns.example.com")))),
            ("example.com.", RecordType::SOA) => self.signed(asked, soa()),
            ("a.example.com.", RecordType::A) => self.signed(asked, a(1)),
            ("_xmpp-server._tcp.example.com.", RecordType::SRV) => {
                self.signed(asked, RData::SRV(SRV::new(0, 5, 5269, name("a.example.com"))))
            }
            ("_5269._tcp.a.example.com.", RecordType::TLSA) => {
                let data = TLSA::new(CertUsage::DaneEe, Selector::Spki, Matching::Sha256, vec![7; 32]);
                self.signed(asked, RData::TLSA(data))
            }
            ("forged.example.com.", RecordType::A) => {
                let mut records = self.signed(asked, a(2));
                records[0].data = a(66);
                records
            }
            ("stripped.example.com.", RecordType::A) => vec![record(asked, a(3))],
            ("expired.example.com.", RecordType::A) => self.signed_ago(DAY * 2, asked, a(5)),
            ("plain.example.com.", RecordType::A) => vec![record(asked, a(4))],
            ("plain.example.com.", RecordType::NS) => {
                vec![record(asked, RData::NS(NS(name("ns.example.com"))))]
            }
            ("alias.example.com.", RecordType::A) => {
                let mut records = self.signed(asked, RData::CNAME(CNAME(name("plain.example.com"))));
                records.push(record("plain.example.com.", a(4)));
                records
            }
            _ => Vec::new(),
        }
    }

    /// What proves that there is no more at a name, or no such name.
    fn absence(&self, asked: &str, kind: RecordType) -> Vec<DnsRecord> {
        if asked == "plain.example.com." && kind != RecordType::DS {
            return vec![record(asked, soa())];
        }
        if asked == "hidden.example.com." {
            return vec![record("example.com.", soa())];
        }
        let nsec = |next: &str, kinds: &[RecordType]| {
            RData::DNSSEC(DNSSECRData::NSEC(NSEC::new_cover_self(name(next), kinds.iter().copied())))
        };
        let mut records = self.signed("example.com.", soa());
        match asked {
            "example.com." => {
                let kinds = [RecordType::NS, RecordType::SOA, RecordType::DNSKEY];
                records.extend(self.signed(asked, nsec("a.example.com", &kinds)));
            }
            "plain.example.com." => {
                records.extend(self.signed(asked, nsec("z.example.com", &[RecordType::NS])));
            }
            // Between its neighbours is nothing, nor anything under a wildcard.
            "nobody.example.com." => {
                records
                    .extend(self.signed("forged.example.com.", nsec("plain.example.com", &[RecordType::A])));
                records.extend(self.signed("example.com.", nsec("a.example.com", &[RecordType::SOA])));
            }
            asked if asked.starts_with('_') => {
                records.extend(self.signed(asked, nsec(&format!("0.{asked}"), &[RecordType::SRV])));
            }
            asked => records.extend(self.signed(asked, nsec(&format!("0.{asked}"), &[RecordType::A]))),
        }
        records
    }

    fn signed(&self, owner: &str, data: RData) -> Vec<DnsRecord> {
        self.signed_ago(DAY / 2, owner, data)
    }

    /// Returns the record with its signature, which holds for a day.
    fn signed_ago(&self, ago: Duration, owner: &str, data: RData) -> Vec<DnsRecord> {
        let inception = x509_parser::time::ASN1Time::now().to_datetime() - ago;
        let record = record(owner, data);
        let mut set = RecordSet::new(record.name.clone(), record.record_type(), 0);
        set.insert(record.clone(), 0);
        let signature = RRSIG::from_rrset(&set, DNSClass::IN, inception, &self.signer).unwrap();
        let signature = RData::DNSSEC(DNSSECRData::RRSIG(signature));
        vec![record, DnsRecord::from_rdata(name(owner), TTL, signature)]
    }
}

fn record(owner: &str, data: RData) -> DnsRecord {
    DnsRecord::from_rdata(name(owner), TTL, data)
}

fn soa() -> RData {
    RData::SOA(SOA::new(name("ns.example.com"), name("admin.example.com"), 1, 60, 60, 60, 60))
}

fn name(text: &str) -> Name {
    let mut name = Name::from_ascii(text).unwrap();
    name.set_fqdn(true);
    name
}

const DAY: Duration = Duration::from_secs(86_400);
const TTL: u32 = 60;
