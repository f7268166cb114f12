use std::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;

use super::*;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9));

#[track_caller]
fn read(text: &str) -> Description {
    Description::parse(&Bytes::copy_from_slice(text.as_bytes())).unwrap()
}

const MICROSOFT: &str = "v=0\r\no=- 0 0 IN IP4 192.0.2.77\r\ns=session\r\nc=IN IP4 192.0.2.77\r\nt=0 0\r\n\
    m=message 5060 sip null\r\na=accept-types:text/plain text/html image/gif multipart/alternative\r\n";

const MSRP: &str = "v=0\no=alice 2890844526 2890844527 IN IP4 alice.example.com\ns= -\nc=IN IP4 alice.example.com\nt=0 0\n\
    a=setup:actpass\nm=message 7394 TCP/TLS/MSRP *\na=accept-types:message/cpim application/im-iscomposing+xml\n\
    a=accept-wrapped-types:text/plain text/*;charset=utf-8\na=max-size:65536\n\
    a=path:msrps://alice.example.com:7394/2s93i9ek2a;tcp\n\
    a=fingerprint:SHA-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB\n";

#[test]
fn the_offer_of_a_microsoft_client_is_texts_in_the_signalling() {
    let description = read(MICROSOFT);

    let [media] = &description.media[..] else { panic!("{description:?}") };
    assert_eq!(media.carrier(), Carrier::Signalling);
    assert_eq!(media.carries("text/html"), Carries::Bare);
    assert_eq!(media.carries("application/im-iscomposing+xml"), Carries::No);
    assert_eq!(description.to_string(), MICROSOFT);
    let older = read("v=0\r\nm=x-ms-message 5060 sip null\r\n");
    assert_eq!(older.media[0].carrier(), Carrier::Signalling);
    assert_eq!(older.media[0].carries("text/plain"), Carries::Bare);
}

#[test]
fn an_msrp_offer_tells_path_types_size_direction_and_certificate() {
    let description = read(MSRP);
    let media = &description.media[0];

    assert_eq!(media.carrier(), Carrier::MsrpOverTls);
    assert_eq!(media.path(), Some("msrps://alice.example.com:7394/2s93i9ek2a;tcp"));
    assert_eq!(media.carries("text/plain"), Carries::InEnvelope);
    assert_eq!(media.carries("text/html"), Carries::InEnvelope);
    assert_eq!(media.carries("Application/IM-iscomposing+xml"), Carries::Bare);
    assert_eq!(media.carries("image/png"), Carries::No);
    assert_eq!(media.max_size(), Some(65536));
    assert_eq!(media.setup(&description), Some(Setup::ActPass));
    assert_eq!(media.direction(&description), Direction::SendReceive);
    let fingerprint = media.fingerprint(&description).unwrap();
    assert_eq!((fingerprint.hash.as_str(), fingerprint.octets.len()), ("sha-1", 20));
    assert_eq!(fingerprint.octets[..3], [0x4A, 0xAD, 0xB9]);
}

#[test]
fn what_we_offer_is_what_section_8_draws() {
    let media = Media::msrp(&MsrpMedia {
        carrier: Carrier::Msrp,
        port: 2855,
        path: "msrp://203.0.113.9:2855/s1;tcp",
        accept_types: "text/plain message/cpim",
        accept_wrapped_types: "text/plain",
        setup: Some(Setup::ActPass),
        max_size: Some(1000),
    });

    let printed = Description::new(&HERE, 7, 1, vec![media]).to_string();

    assert_eq!(
        printed,
        "v=0\r\no=- 7 1 IN IP4 203.0.113.9\r\ns=session\r\nc=IN IP4 203.0.113.9\r\nt=0 0\r\n\
         m=message 2855 TCP/MSRP *\r\na=accept-types:text/plain message/cpim\r\na=accept-wrapped-types:text/plain\r\n\
         a=max-size:1000\r\na=setup:actpass\r\na=path:msrp://203.0.113.9:2855/s1;tcp\r\n"
    );
}

#[test]
fn an_answer_takes_texts_and_refuses_the_rest_in_place() {
    let offer = read(
        "v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 0 8\r\na=rtpmap:0 PCMU/8000\r\n\
         m=x-ms-message 5060 sip null\r\nm=video 0 RTP/AVP 9\r\n",
    );
    let ours = HeaderText::from_static("sip:ann@x.example");

    let answer = offer.answer(&HERE, 0, 0, |media| {
        let is_texts = media.carrier() == Carrier::Signalling;
        is_texts.then(|| Media::signalling(5061, Some(&ours), "text/plain").named_as(media))
    });

    let media: Vec<_> = answer
        .unwrap()
        .to_string()
        .lines()
        .filter(|line| line.starts_with("m="))
        .map(str::to_owned)
        .collect();
    assert_eq!(
        media,
        ["m=audio 0 RTP/AVP 0 8", "m=x-ms-message 5061 sip sip:ann@x.example", "m=video 0 RTP/AVP 9"]
    );
}

#[test]
fn an_offer_of_nothing_that_is_taken_has_no_answer() {
    for offer in ["v=0\r\nm=audio 4000 RTP/AVP 0\r\nm=applicationsharing 1 TCP/RTP/AVP 127\r\n", "v=0\r\n"] {
        assert_eq!(
            read(offer)
                .answer(&HERE, 0, 0, |media| (media.carrier() != Carrier::Other).then(|| media.clone())),
            None
        );
    }
    // A medium that its offerer closed is not asked for again.
    assert_eq!(
        read("v=0\r\nm=message 0 sip null\r\n").answer(&HERE, 0, 0, |media| Some(media.clone())),
        None
    );
}

#[test]
fn lines_that_nobody_knows_are_left_out_and_nothing_is_missing() {
    let description =
        read("v=0\n\nx=strange\nnonsense\nb=AS:1\nz\nm=message 1/2 sip\na=\na=:x\na=flag\nk=prompt\n");

    assert_eq!(description.media[0].port, 1);
    assert!(description.media[0].has("flag"));
    assert_eq!(description.media[0].attributes.len(), 1);
    assert_eq!(description.origin.address.to_string(), "IN IP4 0.0.0.0");
}

#[test]
fn what_is_no_description_is_refused() {
    let many = |line: &str, count| format!("v=0\r\n{}", line.repeat(count));
    for text in [
        String::new(),
        "v=1\r\n".to_owned(),
        "o=- 0 0 IN IP4 1.1.1.1\r\n".to_owned(),
        "v=0\r\nm=message\r\n".to_owned(),
        "v=0\r\nm=message x sip null\r\n".to_owned(),
        "v=0\r\nm=message 65536 sip null\r\n".to_owned(),
        many("m=audio 1 a b\r\n", MEDIA_MAX + 1),
        many("a=x\r\n", LINES_MAX + 1),
        many(&format!("a={}\r\n", "x".repeat(1000)), 20),
    ] {
        assert!(Description::parse(&Bytes::from(text.clone())).is_err(), "{text:.60}");
    }
    assert!(Description::parse(&Bytes::from_static(b"v=0\r\ns=\xFF\r\n")).is_err());
    assert!(Description::parse(&Bytes::from(many("m=audio 1 a b\r\n", MEDIA_MAX))).is_ok());
}

#[test]
fn a_value_cannot_begin_another_line() {
    let media = Media::signalling(1, None, "text/plain\r\nm=audio 1 x y").with("path", "a\nb");

    let printed = Description::new(&HERE, 0, 0, vec![media]).to_string();

    assert_eq!(printed.lines().filter(|line| line.starts_with("m=")).count(), 1);
    assert_eq!(printed.lines().count(), 8);
}

#[test]
fn the_answer_to_each_setup_is_its_counterpart() {
    for (offered, answered) in [
        (Setup::Active, Setup::Passive),
        (Setup::Passive, Setup::Active),
        (Setup::ActPass, Setup::Active),
        (Setup::HoldConn, Setup::HoldConn),
    ] {
        assert_eq!(offered.answer(), answered);
        assert_eq!(Setup::parse(offered.as_str()), Some(offered));
    }
}

proptest! {
    #[test]
    fn what_is_read_prints_and_reads_the_same(
        lines in prop::collection::vec(
            prop_oneof![
                "[a-z]=[ -~]{0,20}",
                "a=[a-z-]{1,8}:[ -~]{0,20}",
                "m=(message|audio) [0-9]{1,5} (sip|TCP/MSRP|RTP/AVP)( [ -~]{0,12})?",
                "c=IN IP[46] [0-9a-f.:]{1,12}",
                "o=[a-z-]{1,4} [0-9]{1,9} [0-9]{1,9} IN IP4 [0-9.]{1,9}",
            ],
            0..12,
        ),
    ) {
        let text = format!("v=0\r\n{}\r\n", lines.join("\r\n"));
        if let Ok(description) = Description::parse(&Bytes::from(text)) {
            let printed = description.to_string();
            let mut again = Description::parse(&Bytes::from(printed.clone())).unwrap();
            // An empty list of formats prints as the one that means all.
            for (media, first) in again.media.iter_mut().zip(&description.media) {
                if first.formats.as_str().is_empty() {
                    media.formats = first.formats.clone();
                }
            }
            if description.name.as_str().is_empty() {
                again.name = description.name.clone();
            }
            prop_assert_eq!(again, description);
        }
    }
}
