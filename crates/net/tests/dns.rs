//! The resolver against a small DNS server on a loopback socket.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::net::SocketAddr;
use std::time::Duration;

use hickory_resolver::proto::op::{Message, MessageType, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, NAPTR, SRV};
use hickory_resolver::proto::rr::{Name, RData, Record as DnsRecord, RecordType};
use net::{DnsSettings, Resolver};
use net_types::{Failure, Question, Record};
use tokio::net::UdpSocket;

#[tokio::test]
async fn services_come_in_the_order_of_the_answer() {
    let resolver = resolver().await;

    let answer = resolver.resolve(&Question::Srv("_xmpp-server._tcp.example.com".to_owned())).await.unwrap();

    let srv =
        |priority, target: &str| Record::Srv { priority, weight: 5, port: 5269, target: target.to_owned() };
    assert_eq!(answer.records, [srv(20, "two.example.com"), srv(10, "one.example.com")]);
    assert!(!answer.secure);
}

#[tokio::test]
async fn a_service_that_is_not_offered_has_the_root_as_its_target() {
    let resolver = resolver().await;

    let answer = resolver.resolve(&Question::Srv("_none._tcp.example.com".to_owned())).await.unwrap();

    assert_eq!(answer.records, [Record::Srv { priority: 0, weight: 0, port: 0, target: ".".to_owned() }]);
}

#[tokio::test]
async fn both_families_of_a_host_are_one_answer() {
    let resolver = resolver().await;
    let address = |text: &str| Record::Address(text.parse().unwrap());

    let both = resolver.resolve(&Question::Addresses("one.example.com".to_owned())).await.unwrap();
    let four = resolver.resolve(&Question::Addresses("four.example.com".to_owned())).await.unwrap();
    let literal = resolver.resolve(&Question::Addresses("192.0.2.7".to_owned())).await.unwrap();

    assert_eq!(both.records, [address("2001:db8::1"), address("192.0.2.1")]);
    assert_eq!(four.records, [address("192.0.2.4")]);
    assert_eq!(literal.records, [address("192.0.2.7")]);
}

#[tokio::test]
async fn rules_of_a_domain_keep_their_fields() {
    let resolver = resolver().await;

    let answer = resolver.resolve(&Question::Naptr("example.com".to_owned())).await.unwrap();

    assert_eq!(
        answer.records,
        [Record::Naptr {
            order: 50,
            preference: 60,
            flags: "s".to_owned(),
            services: "SIPS+D2T".to_owned(),
            regexp: String::new(),
            replacement: "_sips._tcp.example.com".to_owned(),
        }]
    );
}

#[tokio::test]
async fn nothing_there_is_not_nobody_there() {
    let resolver = resolver().await;

    let empty = resolver.resolve(&Question::Srv("empty.example.com".to_owned())).await.unwrap();
    let absent = resolver.resolve(&Question::Srv("absent.example.com".to_owned())).await.unwrap_err();
    let no_host = resolver.resolve(&Question::Addresses("absent.example.com".to_owned())).await.unwrap_err();
    let unwritable = resolver.resolve(&Question::Addresses("a..b".to_owned())).await.unwrap_err();

    assert_eq!(empty.records, []);
    assert_eq!(
        (absent, no_host, unwritable),
        (Failure::NoSuchName, Failure::NoSuchName, Failure::NoSuchName)
    );
}

#[tokio::test]
async fn a_server_that_fails_is_not_a_name_that_is_absent() {
    let resolver = resolver().await;

    let failed = resolver.resolve(&Question::Srv("broken.example.com".to_owned())).await.unwrap_err();
    let half = resolver.resolve(&Question::Addresses("half.example.com".to_owned())).await.unwrap();

    assert!(
        matches!(&failed, Failure::ServerFailed(words) if words.contains("Server Failure")),
        "{failed:?}"
    );
    assert_eq!(half.records, [Record::Address("192.0.2.9".parse().unwrap())]);
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_unreachable() {
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let resolver = asking(silent.local_addr().unwrap(), Duration::from_millis(50));

    let failure = resolver.resolve(&Question::Srv("example.com".to_owned())).await.unwrap_err();

    assert!(matches!(&failure, Failure::Unreachable(_)), "{failure:?}");
}

async fn resolver() -> Resolver {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(serve(socket));
    asking(address, Duration::from_secs(20))
}

fn asking(server: SocketAddr, timeout: Duration) -> Resolver {
    let settings = DnsSettings {
        servers: vec![server],
        try_timeout: timeout,
        timeout: timeout * 2,
        attempts: 0,
        ..DnsSettings::default()
    };
    Resolver::new(&settings).unwrap()
}

async fn serve(socket: UdpSocket) {
    let mut octets = [0; 4096];
    loop {
        let (length, from) = socket.recv_from(&mut octets).await.unwrap();
        let question = Message::from_vec(&octets[..length]).unwrap();
        socket.send_to(&reply(&question).to_vec().unwrap(), from).await.unwrap();
    }
}

fn reply(question: &Message) -> Message {
    let query = question.queries[0].clone();
    let (code, records) = zone(&query.name().to_ascii().to_lowercase(), query.query_type());
    let mut reply = Message::new(question.metadata.id, MessageType::Response, question.metadata.op_code);
    reply.metadata.response_code = code;
    reply.metadata.recursion_available = true;
    for data in records {
        reply.add_answer(DnsRecord::from_rdata(query.name().clone(), 60, data));
    }
    reply.add_query(query);
    reply
}

fn zone(name: &str, kind: RecordType) -> (ResponseCode, Vec<RData>) {
    let host = |text: &str| Name::from_ascii(text).unwrap();
    let srv = |priority, target: &str| RData::SRV(SRV::new(priority, 5, 5269, host(target)));
    let records = match (name, kind) {
        ("_xmpp-server._tcp.example.com.", RecordType::SRV) => {
            vec![srv(20, "two.example.com."), srv(10, "one.example.com.")]
        }
        ("_none._tcp.example.com.", RecordType::SRV) => vec![RData::SRV(SRV::new(0, 0, 0, Name::root()))],
        ("one.example.com.", RecordType::A) => vec![RData::A(A::new(192, 0, 2, 1))],
        ("one.example.com.", RecordType::AAAA) => {
            vec![RData::AAAA(AAAA::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))]
        }
        ("four.example.com.", RecordType::A) => vec![RData::A(A::new(192, 0, 2, 4))],
        ("half.example.com.", RecordType::A) => vec![RData::A(A::new(192, 0, 2, 9))],
        ("example.com.", RecordType::NAPTR) => {
            let none: Box<[u8]> = Box::default();
            let (flags, services): (Box<[u8]>, Box<[u8]>) = ((*b"s").into(), (*b"SIPS+D2T").into());
            vec![RData::NAPTR(NAPTR::new(50, 60, flags, services, none, host("_sips._tcp.example.com.")))]
        }
        ("broken.example.com." | "half.example.com.", _) => return (ResponseCode::ServFail, Vec::new()),
        ("absent.example.com.", _) => return (ResponseCode::NXDomain, Vec::new()),
        _ => Vec::new(),
    };
    (ResponseCode::NoError, records)
}
