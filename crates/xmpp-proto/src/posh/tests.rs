use std::net::IpAddr;

use net_types::{Answer, Failure as DnsFailure, Question, Record};

use super::*;
use crate::discovery::AddressRule;
use crate::stream::tests::{domain, facts};

/// The fingerprints of `its certificate`, by both digests.
const SHA256: &str = "SHA-256";
const SHA512: &str = "SHA-512";

fn now(seconds: u64) -> Now {
    Now {
        moment: Moment::ZERO + Duration::from_secs(seconds),
        date: Date::from_unix_millis(1_800_000_000_000),
    }
}

fn filled(text: &str) -> String {
    let sha256 = BASE64.encode(Sha256::digest(b"its certificate"));
    let sha512 = BASE64.encode(Sha512::digest(b"its certificate"));
    text.replace(SHA256, &sha256).replace(SHA512, &sha512)
}

fn certificate() -> PeerCertificate {
    let mut certificate = facts("hosting.example").peer.as_deref().cloned().unwrap();
    certificate.der = Arc::from(*b"its certificate");
    certificate
}

/// Says whether the document names the certificate, or why it is of no use.
fn judge(text: &str) -> String {
    match Document::read(filled(text).as_bytes()) {
        Ok(Document::Fingerprints(named)) => match named.prove(Some(&certificate()), now(0).date) {
            Ok(()) => format!("named for {} s", named.lifetime().as_secs()),
            Err(why) => why.to_string(),
        },
        Ok(Document::Reference { at, lifetime }) => format!("{} for {} s", at.url(), lifetime.as_secs()),
        Err(why) => why,
    }
}

#[test]
fn a_document_names_certificates_or_refers_to_one_that_does() {
    let other = BASE64.encode([7; 32]);
    let unpadded = filled(SHA256).replace('=', "");
    let not_named = "the certificate is none of the 1 that its document names";
    let cases = [
        (r#"{"fingerprints":[{"sha-256":"SHA-256"}],"expires":60}"#.to_owned(), "named for 60 s"),
        (r#"{"fingerprints":[{"sha-512":"SHA-512"}],"expires":60}"#.into(), "named for 60 s"),
        (format!(r#"{{"expires":1,"fingerprints":[{{"sha-256":"{unpadded}"}}]}}"#), "named for 1 s"),
        (
            format!(r#"{{"fingerprints":[{{"sha-256":"{other}"}},{{"sha-256":"SHA-256"}}],"expires":9}}"#),
            "named for 9 s",
        ),
        (
            r#"{"fingerprints":[{"sha-1":"x"},{"sha-256":"SHA-256"}],"expires":99999999}"#.into(),
            "named for 86400 s",
        ),
        // The stronger digest counts.
        (
            format!(
                r#"{{"fingerprints":[{{"sha-256":"SHA-256","sha-512":"{}"}}],"expires":9}}"#,
                BASE64.encode([7; 64])
            ),
            not_named,
        ),
        (format!(r#"{{"fingerprints":[{{"sha-256":"{other}"}}],"expires":9}}"#), not_named),
        (
            r#"{"url":"https://hosting.example/posh?for=x","expires":60}"#.into(),
            "https://hosting.example/posh?for=x for 60 s",
        ),
        (
            r#"{"url":"HTTPS://Hosting.Example:8443","expires":60}"#.into(),
            "https://hosting.example:8443/ for 60 s",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(judge(&text), expected, "{text}");
    }
}

#[test]
fn a_document_that_says_nothing_clear_is_of_no_use() {
    let many = vec![r#"{"sha-256":"SHA-256"}"#; 33].join(",");
    let cases = [
        (r#"{"fingerprints":[{"sha-256":"SHA-256"}],"expires":0}"#.to_owned(), "expired by its own word"),
        (r#"{"fingerprints":[{"sha-256":"SHA-256"}]}"#.into(), "no \"expires\""),
        (r#"{"fingerprints":[{"sha-256":"SHA-256"}],"expires":-1}"#.into(), "no \"expires\""),
        (r#"{"fingerprints":[{"sha-256":"SHA-256"}],"expires":1.5}"#.into(), "no \"expires\""),
        (r#"{"fingerprints":[],"expires":60}"#.into(), "no fingerprint"),
        (r#"{"fingerprints":[{"sha-1":"SHA-256"}],"expires":60}"#.into(), "no fingerprint"),
        (r#"{"fingerprints":[{"sha-256":"AAAA"}],"expires":60}"#.into(), "no fingerprint"),
        (r#"{"fingerprints":["SHA-256"],"expires":60}"#.into(), "no fingerprint"),
        (r#"{"fingerprints":{},"expires":60}"#.into(), "no list"),
        (format!(r#"{{"fingerprints":[{many}],"expires":60}}"#), "more than 32"),
        (
            r#"{"fingerprints":[{"sha-256":"SHA-256"}],"url":"https://a.example/","expires":60}"#.into(),
            "both",
        ),
        (r#"{"expires":60}"#.into(), "neither"),
        (r#"{"url":"http://a.example/","expires":60}"#.into(), "not one of HTTPS"),
        (r#"{"url":"https://a.example/\r\nX: y","expires":60}"#.into(), "not one of HTTPS"),
        (r#"{"url":"https://user@a.example/","expires":60}"#.into(), "not one of HTTPS"),
        (r#"{"url":"https://127.0.0.1/","expires":60}"#.into(), "not one of HTTPS"),
        (r#"{"url":"https://[::1]/","expires":60}"#.into(), "not one of HTTPS"),
        (r#"{"url":"https:///x","expires":60}"#.into(), "not one of HTTPS"),
        (r#"{"url":7,"expires":60}"#.into(), "no text"),
        ("[]".into(), "no JSON object"),
        ("<html>".into(), "no JSON"),
        ("[".repeat(60_000), "no JSON"),
    ];
    for (text, expected) in cases {
        let words = judge(&text);
        assert!(words.contains(expected), "{words} of {}", &text[..text.len().min(80)]);
    }
}

#[test]
fn a_certificate_that_is_named_must_be_in_its_dates() {
    let text = filled(r#"{"fingerprints":[{"sha-256":"SHA-256"}],"expires":60}"#);
    let Ok(Document::Fingerprints(named)) = Document::read(text.as_bytes()) else { panic!("{text}") };

    let late = Date::from_unix_millis(2_100_000_000_000);
    assert!(matches!(named.prove(Some(&certificate()), late), Err(Unproved::Expired(_))));
    assert_eq!(named.prove(None, late), Err(Unproved::NoCertificate));
}

/// The whole response, its octets taken `step` at a time; `None` if it wants more.
fn response(octets: &str, step: usize, closes: bool) -> Result<Option<String>, String> {
    let mut response = http::Response::default();
    for part in octets.as_bytes().chunks(step) {
        if let Some(body) = response.handle_bytes(part)? {
            return Ok(Some(String::from_utf8(body).unwrap()));
        }
    }
    if closes {
        return response.handle_close().map(|body| Some(String::from_utf8(body).unwrap()));
    }
    Ok(None)
}

#[test]
fn a_response_is_read_however_it_is_cut() {
    let cases = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", Some("hello")),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Some("")),
        ("HTTP/1.0 200\ncontent-length: 5\n\nhello", Some("hello")),
        ("HTTP/1.1 100 Continue\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", Some("x")),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nhel\r\n2\r\nlo\r\n0\r\nT: x\r\n\r\n",
            Some("hello"),
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello", None),
        ("HTTP/1.1 200 OK\r\n\r\nhello", None),
    ];
    for (octets, expected) in cases {
        for step in 1..=octets.len() {
            assert_eq!(response(octets, step, false).unwrap().as_deref(), expected, "{octets} by {step}");
        }
    }
    assert_eq!(response("HTTP/1.1 200 OK\r\n\r\nhello", 3, true).unwrap().as_deref(), Some("hello"));
}

#[test]
fn a_response_that_is_not_what_was_asked_for_is_refused() {
    let many = "A: b\r\n".repeat(3000);
    let long = "x".repeat(64 * 1024 + 1);
    let cases = [
        "HTTP/1.1 404 Not Found\r\n\r\n".to_owned(),
        "HTTP/1.1 302 Found\r\nLocation: https://a.example/\r\n\r\n".into(),
        "HTTP/2 200\r\n\r\n".into(),
        "SSH-2.0-x\r\n".into(),
        "HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n".into(),
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n".into(),
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n".into(),
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n".into(),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n".into(),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n".into(),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxx\r\n".into(),
        format!("HTTP/1.1 200 OK\r\n{many}\r\n"),
        format!("HTTP/1.1 200 OK\r\n\r\n{long}"),
        "HTTP/1.1 100 Continue\r\n\r\n".repeat(1000),
    ];
    for octets in cases {
        assert!(response(&octets, 1000, false).is_err(), "{}", &octets[..octets.len().min(80)]);
    }
    assert!(response("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello", 5, true).is_err());
}

/// Runs an inquiry about them.example against web servers that answer by host; returns what was done and what came
/// of it.
fn inquire(address: &str, answers: &[(&str, &str)]) -> (Vec<String>, Known) {
    let address: IpAddr = address.parse().unwrap();
    let mut inquiry = Inquiry::new(&domain("them.example"), AddressRule::PublicOnly, now(0));
    let (mut done, mut host) = (Vec::new(), String::new());
    loop {
        let Some(output) = inquiry.poll_output() else {
            let due = inquiry.poll_timeout().expect("it waits for something");
            inquiry.handle_timeout(now(due.since(Moment::ZERO).as_secs()));
            continue;
        };
        match output {
            Output::Ask(number, Question::Addresses(name)) => {
                let is_known = answers.iter().any(|(host, _)| *host == name);
                let records = vec![Record::Address(address)];
                let answer = is_known.then_some(Answer { records, secure: false });
                inquiry.handle_answer(number, answer.ok_or(DnsFailure::NoSuchName), now(0));
            }
            Output::Ask(_, question) => panic!("{question:?}"),
            Output::Connect { to, host: name, .. } => {
                done.push(format!("connect {to} {name}"));
                host = name;
                let shown = if answers.iter().any(|(at, text)| *at == host && *text == "WRONG NAME") {
                    facts("other.example")
                } else {
                    facts(&host)
                };
                inquiry.handle_connected(Some(&shown), now(0));
            }
            Output::Send(request) => {
                let request = String::from_utf8(request).unwrap();
                done.push(request.lines().next().unwrap().to_owned());
                assert!(request.contains(&format!("\r\nHost: {host}\r\n")), "{request}");
                let body = answers.iter().find(|(at, _)| *at == host).map_or("", |(_, body)| body);
                let body = filled(body);
                if body != "SILENCE" {
                    let length = body.len();
                    let text = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
                    inquiry.handle_bytes(text.as_bytes());
                }
            }
            Output::Close => done.push("close".into()),
            Output::Done(known) => return (done, known),
        }
    }
}

#[test]
fn an_inquiry_follows_one_reference_and_keeps_the_lower_lifetime() {
    let (done, known) = inquire(
        "8.8.8.8",
        &[
            ("them.example", r#"{"url":"https://hosting.example/posh.json","expires":30}"#),
            ("hosting.example", r#"{"fingerprints":[{"sha-256":"SHA-256"}],"expires":60}"#),
        ],
    );

    let expected = [
        "connect 8.8.8.8:443 them.example",
        "GET /.well-known/posh/xmpp-server.json HTTP/1.1",
        "close",
        "connect 8.8.8.8:443 hosting.example",
        "GET /posh.json HTTP/1.1",
        "close",
    ];
    assert_eq!(done, expected);
    assert_eq!(known.unwrap().lifetime(), Duration::from_secs(30));
}

#[test]
fn an_inquiry_that_comes_to_nothing_says_why_and_leaves_nothing_open() {
    let named = r#"{"fingerprints":[{"sha-256":"SHA-256"}],"expires":60}"#;
    let again = r#"{"url":"https://them.example/","expires":30}"#;
    let cases = [
        ("8.8.8.8", vec![("them.example", again)], "refers to yet another one"),
        ("8.8.8.8", vec![("them.example", "WRONG NAME")], "the certificate is for other.example"),
        ("8.8.8.8", vec![("them.example", "SILENCE")], "no answer came in time"),
        ("8.8.8.8", vec![("them.example", "{}")], "no \"expires\""),
        ("8.8.8.8", vec![], "the host has no address"),
        ("127.0.0.1", vec![("them.example", named)], "its address is not a public one"),
        ("10.0.0.1", vec![("them.example", named)], "its address is not a public one"),
    ];
    for (address, answers, expected) in cases {
        let (done, known) = inquire(address, &answers);

        let words = known.unwrap_err();
        assert!(words.contains(expected) && words.starts_with("https://them.example/"), "{words}");
        let count = |what: &str| done.iter().filter(|step| step.starts_with(what)).count();
        assert_eq!(count("connect"), count("close"), "{done:?}");
    }
}

#[test]
fn what_is_known_is_kept_as_long_as_it_says_and_its_absence_for_a_minute() {
    let named = Arc::new(Fingerprints { digests: Vec::new(), lifetime: Duration::from_secs(30) });
    let mut cache = Cache::default();
    cache.put(domain("a.example"), Ok(named), now(0));
    cache.put(domain("b.example"), Err("nothing".into()), now(0));

    let known = |cache: &Cache, name: &str, at| cache.get(&domain(name), now(at)).is_some();
    assert!(known(&cache, "a.example", 29) && known(&cache, "b.example", 59));
    assert!(!known(&cache, "a.example", 30) && !known(&cache, "b.example", 60));
    for n in 0..3000 {
        cache.put(domain(&format!("n{n}.example")), Err("nothing".into()), now(1));
    }
    assert_eq!(cache.known.len(), DOMAINS_MAX);
}
