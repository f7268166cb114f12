//! From URIs and domains to places (RFC 3263, RFC 2782, RFC 7984).

#![expect(clippy::unwrap_used, reason = "a test's helper may panic as its test may")]

use std::collections::BTreeMap;
use std::net::IpAddr;

use clock_types::Ids;
use net_types::{Answer, Failure, Question, Record};
use sip_proto::endpoint::{NextHop, Transport};
use sip_proto::locate::{Locate, Output};
use sip_types::uri::Host;

const ALL: [Transport; 3] = [Transport::Tls, Transport::Tcp, Transport::Udp];

#[test]
fn a_numeric_host_needs_no_question() {
    let dns = Dns::new();

    assert_eq!(dns.places(&hop("192.0.2.7")), ["UDP 192.0.2.7:5060"]);
    assert_eq!(dns.places(&NextHop { secure: true, ..hop("192.0.2.7") }), ["TLS 192.0.2.7:5061"]);
    assert_eq!(dns.places(&NextHop { port: Some(5080), ..hop("[2001:db8::7]") }), ["UDP [2001:db8::7]:5080"]);
    assert_eq!(
        dns.places(&NextHop { transport: Some(Transport::Tcp), ..hop("192.0.2.7") }),
        ["TCP 192.0.2.7:5060"]
    );
}

#[test]
fn a_written_port_leaves_only_the_addresses_to_ask_for() {
    let dns = Dns::new().host("gw.example", &["192.0.2.1", "2001:db8::1"]).srv("_sip._udp.gw.example", &[]);

    let places = dns.places(&NextHop { port: Some(5070), ..hop("gw.example") });

    assert_eq!(places, ["UDP 192.0.2.1:5070", "UDP [2001:db8::1]:5070"]);
}

#[test]
fn naptr_rules_choose_the_services_in_their_order() {
    let dns = Dns::new()
        .naptr("example.com", &[(20, 10, "s", "SIP+D2U", "_sip._udp.example.com")])
        .naptr("example.com", &[(10, 20, "S", "sip+d2t", "_sip._tcp.example.com")])
        .naptr("example.com", &[(10, 10, "s", "SIPS+D2T", "_sips._tcp.tls.example.com")])
        .naptr("example.com", &[(5, 10, "s", "SIP+D2S", "_sip._sctp.example.com")])
        .naptr("example.com", &[(6, 10, "u", "SIP+D2U", "")])
        .srv("_sips._tcp.tls.example.com", &[(1, 1, 5061, "a.example.com")])
        .srv("_sip._tcp.example.com", &[(1, 1, 5060, "a.example.com")])
        .srv("_sip._udp.example.com", &[(1, 1, 5060, "b.example.com")])
        .host("a.example.com", &["192.0.2.1"])
        .host("b.example.com", &["192.0.2.2"]);

    let places = dns.places(&hop("example.com"));

    assert_eq!(places, ["TLS 192.0.2.1:5061", "TCP 192.0.2.1:5060", "UDP 192.0.2.2:5060"]);
}

#[test]
fn a_secure_uri_is_served_by_tls_alone() {
    let dns = Dns::new()
        .naptr("example.com", &[(1, 1, "s", "SIP+D2U", "_sip._udp.example.com")])
        .srv("_sips._tcp.example.com", &[(1, 1, 5061, "a.example.com")])
        .srv("_sip._udp.example.com", &[(1, 1, 5060, "a.example.com")])
        .host("a.example.com", &["192.0.2.1"]);

    let places = dns.places(&NextHop { secure: true, ..hop("example.com") });

    assert_eq!(places, ["TLS 192.0.2.1:5061"]);
}

#[test]
fn without_rules_every_transport_is_asked_for_in_our_order() {
    let dns = Dns::new()
        .srv("_sip._udp.example.com", &[(1, 1, 5060, "u.example.com")])
        .srv("_sip._tcp.example.com", &[(1, 1, 5060, "t.example.com")])
        .host("u.example.com", &["192.0.2.1"])
        .host("t.example.com", &["192.0.2.2"]);

    assert_eq!(dns.places(&hop("example.com")), ["TCP 192.0.2.2:5060", "UDP 192.0.2.1:5060"]);
    assert_eq!(
        dns.places(&NextHop { transport: Some(Transport::Udp), ..hop("example.com") }),
        ["UDP 192.0.2.1:5060"]
    );
}

#[test]
fn a_domain_without_services_is_a_host() {
    let dns = Dns::new().host("example.com", &["192.0.2.1"]);

    assert_eq!(dns.places(&hop("example.com")), ["UDP 192.0.2.1:5060"]);
    assert_eq!(dns.places_by(&hop("example.com"), &[Transport::Tls], 8), ["TLS 192.0.2.1:5061"]);
}

#[test]
fn priorities_order_hosts_and_weights_are_chances() {
    let dns = Dns::new()
        .srv(
            "_sips._tcp.example.com",
            &[(20, 0, 5061, "c.example"), (10, 90, 5061, "a.example"), (10, 10, 5061, "b.example")],
        )
        .host("a.example", &["192.0.2.1"])
        .host("b.example", &["192.0.2.2"])
        .host("c.example", &["192.0.2.3"]);
    let mut ids = Ids::random([3; 32]);

    let mut a_first = 0;
    for _ in 0..1000 {
        let mut search = Locate::new(&hop("example.com"), &[Transport::Tls], 8);
        let (places, _) = dns.run(&mut search, &mut ids);
        assert_eq!(places.len(), 3);
        assert_eq!(places[2], "TLS 192.0.2.3:5061");
        a_first += usize::from(places[0] == "TLS 192.0.2.1:5061");
    }

    assert!((850..950).contains(&a_first), "{a_first}");
}

#[test]
fn the_number_of_places_is_bounded() {
    let many: Vec<String> = (0..200).map(|n| format!("192.0.2.{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let targets: Vec<_> = (0..100).map(|_| (1, 1, 5061, "a.example")).collect();
    let dns = Dns::new().srv("_sips._tcp.example.com", &targets).host("a.example", &many);

    assert_eq!(dns.places(&hop("example.com")).len(), 8);
}

#[test]
fn a_domain_that_denies_the_service_is_not_tried_as_a_host() {
    let dns = Dns::new().srv("_sips._tcp.example.com", &[(0, 0, 0, ".")]).host("example.com", &["192.0.2.1"]);

    let (places, trouble) = dns.search(&hop("example.com"), &[Transport::Tls], 8);

    assert!(places.is_empty());
    assert_eq!(trouble.as_deref(), Some("_sips._tcp.example.com says that there is no such service"));
}

#[test]
fn a_broken_dns_is_told_and_not_read_as_no_service() {
    let dns = Dns::new()
        .fails(Question::Srv("_sips._tcp.example.com".into()), Failure::Unreachable("no reply".into()))
        .host("example.com", &["192.0.2.1"]);

    let (places, trouble) = dns.search(&hop("example.com"), &[Transport::Tls], 8);

    assert!(places.is_empty());
    assert_eq!(trouble.as_deref(), Some("no reply"));
}

#[test]
fn a_resolver_that_fails_on_naptr_alone_does_no_harm() {
    let dns = Dns::new()
        .fails(Question::Naptr("example.com".into()), Failure::ServerFailed("not implemented".into()))
        .srv("_sips._tcp.example.com", &[(1, 1, 5061, "a.example")])
        .host("a.example", &["192.0.2.1"]);

    assert_eq!(dns.places(&hop("example.com")), ["TLS 192.0.2.1:5061"]);
}

#[test]
fn the_first_place_does_not_wait_for_the_addresses_of_the_last() {
    let dns = Dns::new()
        .srv("_sips._tcp.example.com", &[(1, 1, 5061, "a.example"), (2, 1, 5061, "b.example")])
        .host("a.example", &["192.0.2.1"]);
    let mut search = Locate::new(&NextHop { secure: true, ..hop("example.com") }, &ALL, 8);
    let mut ids = Ids::counting();
    for _ in 0..2 {
        let question = question(&mut search);
        search.handle_answer(&question, &dns.answer(&question), &mut ids);
    }

    let (first, second) = (question(&mut search), question(&mut search));
    assert_eq!(second, Question::Addresses("b.example".into()));
    search.handle_answer(&first, &dns.answer(&first), &mut ids);

    assert!(matches!(search.poll_output(), Some(Output::Found(_))));
    assert_eq!(search.poll_output(), None);
}

fn hop(host: &str) -> NextHop {
    NextHop { host: Host::parse(host).unwrap(), port: None, transport: None, secure: false, pace: None }
}

#[track_caller]
fn question(search: &mut Locate) -> Question {
    match search.poll_output() {
        Some(Output::Resolve(question)) => question,
        other => panic!("no question but {other:?}"),
    }
}

/// A DNS with these records and no others.
#[derive(Default)]
struct Dns {
    answers: BTreeMap<String, Result<Answer, Failure>>,
}

impl Dns {
    fn new() -> Self {
        Self::default()
    }

    fn host(self, name: &str, addresses: &[&str]) -> Self {
        let records = addresses.iter().map(|a| Record::Address(a.parse::<IpAddr>().unwrap())).collect();
        self.with(&Question::Addresses(name.into()), records)
    }

    fn srv(self, name: &str, records: &[(u16, u16, u16, &str)]) -> Self {
        let record = |(priority, weight, port, target): &(u16, u16, u16, &str)| Record::Srv {
            priority: *priority,
            weight: *weight,
            port: *port,
            target: (*target).into(),
        };
        let records = records.iter().map(record).collect();
        self.with(&Question::Srv(name.into()), records)
    }

    fn naptr(self, name: &str, records: &[(u16, u16, &str, &str, &str)]) -> Self {
        let record = |(order, preference, flags, services, replacement): &(u16, u16, &str, &str, &str)| {
            Record::Naptr {
                order: *order,
                preference: *preference,
                flags: (*flags).into(),
                services: (*services).into(),
                regexp: String::new(),
                replacement: (*replacement).into(),
            }
        };
        let records = records.iter().map(record).collect();
        self.with(&Question::Naptr(name.into()), records)
    }

    fn fails(mut self, question: Question, failure: Failure) -> Self {
        self.answers.insert(format!("{question:?}"), Err(failure));
        self
    }

    fn with(mut self, question: &Question, records: Vec<Record>) -> Self {
        let answer = self.answers.entry(format!("{question:?}")).or_insert(Ok(Answer::default()));
        if let Ok(answer) = answer {
            answer.records.extend(records);
        }
        self
    }

    fn answer(&self, question: &Question) -> Result<Answer, Failure> {
        self.answers.get(&format!("{question:?}")).cloned().unwrap_or(Err(Failure::NoSuchName))
    }

    fn places(&self, hop: &NextHop) -> Vec<String> {
        self.places_by(hop, &ALL, 8)
    }

    #[track_caller]
    fn places_by(&self, hop: &NextHop, by: &[Transport], max: usize) -> Vec<String> {
        let (places, trouble) = self.search(hop, by, max);
        assert_eq!(trouble, None);
        places
    }

    fn search(&self, hop: &NextHop, by: &[Transport], max: usize) -> (Vec<String>, Option<String>) {
        let mut search = Locate::new(hop, by, max);
        self.run(&mut search, &mut Ids::counting())
    }

    #[track_caller]
    fn run(&self, search: &mut Locate, ids: &mut Ids) -> (Vec<String>, Option<String>) {
        let mut places = Vec::new();
        loop {
            match search.poll_output() {
                Some(Output::Resolve(question)) => {
                    let answer = self.answer(&question);
                    search.handle_answer(&question, &answer, ids);
                }
                Some(Output::Found(place)) => places.push(place.to_string()),
                Some(Output::Finished(trouble)) => return (places, trouble),
                None => panic!("the search waits for nothing"),
            }
        }
    }
}
