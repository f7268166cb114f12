//! Ann and bob in conversation by MSRP (RFC 7573).

use gateway_role::{AddressRange, Dialect, Recovered};
use net_types::{Bytes, ConnectionId, Event, ListenerId, Remote, Trust};
use sip_proto::msrp;
use sip_types::Host;
use xmpp_types::ns;

use crate::world::{World, header, settings};

const MSRP: ListenerId = ListenerId(7);
const BOB: &str = "msrp://10.0.0.9:9000/bob1;tcp";

struct Talk {
    world: World,
    /// The connection that bob dialled, or that we did.
    connection: ConnectionId,
    /// Our path.
    ours: String,
    /// What bob accepts.
    types: &'static str,
}

impl Talk {
    fn new() -> Self {
        let mut settings = settings();
        settings.domains[0].dialect = Dialect::Msrp;
        let host = Host::parse("10.0.0.2").unwrap();
        let listener = msrp::Listener { id: MSRP, secure: false, host, port: 2855 };
        let mut wired = msrp::Settings::new(vec![listener], None, Trust("none".into()));
        wired.allowed = vec![AddressRange { network: "10.0.0.0".parse().unwrap(), prefix: 24 }];
        settings.msrp = Some(wired);
        let connection = ConnectionId::accepted(50);
        let types = "text/plain application/im-iscomposing+xml";
        Self { world: World::with(settings, Recovered::default()), connection, ours: String::new(), types }
    }

    /// Bob calls, is answered, and dials; returns our answer.
    fn called() -> (Self, String) {
        let mut talk = Self::new();
        talk.world.sip(&with_body("INVITE", 1, "", "application/sdp", &description("active", BOB)));
        let answer = talk.world.expect_sip();
        talk.ours = path_of(&answer);
        let tag = header(&answer, "To").split_once(";tag=").unwrap().1.to_owned();
        talk.world.sip(&with_body("ACK", 1, &tag, "", ""));
        talk.dialled();
        talk.send("aaaa", "Message-ID: m0aa\r\n", None);
        assert_eq!(talk.expect_code(), "200");
        (talk, answer)
    }

    /// Ann writes, bob accepts, and we dial; returns our INVITE.
    fn calling() -> (Self, String) {
        let mut talk = Self::new();
        talk.stanza("m1", "Hi Bob");
        let invite = talk.dial();
        (talk, invite)
    }

    /// Bob accepts our INVITE, which it returns, and we dial.
    fn dial(&mut self) -> String {
        let invite = self.world.expect_sip();
        self.ours = path_of(&invite);
        self.accept(&invite, "passive");
        assert!(self.world.expect_sip().starts_with("ACK "));
        assert_eq!(self.world.wire, ["connect 10.0.0.9:9000"]);
        self.world.wire.clear();
        self.connection = self.world.wired.unwrap();
        let event = Event::Connected { connection: self.connection, local: None, tls: None };
        self.event(event);
        let bodiless = self.world.wire.remove(0);
        assert!(!bodiless.contains("Content-Type"), "{bodiless}");
        self.respond(&bodiless, 200);
        invite
    }

    fn dialled(&mut self) {
        let remote = Remote::Address("10.0.0.9:41000".parse().unwrap());
        self.event(Event::Accepted {
            connection: self.connection,
            listener: MSRP,
            local: None,
            remote,
            tls: None,
        });
    }

    fn event(&mut self, event: Event) {
        self.world.gateway.handle_event(event, self.world.now);
        self.world.drain();
    }

    fn bytes(&mut self, text: &str) {
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        self.event(Event::Bytes { connection: self.connection, bytes });
    }

    fn send(&mut self, name: &str, headers: &str, content: Option<(&str, &str)>) {
        let content =
            content.map(|(kind, body)| format!("Content-Type: {kind}\r\n\r\n{body}\r\n")).unwrap_or_default();
        self.bytes(&format!(
            "MSRP {name} SEND\r\nTo-Path: {}\r\nFrom-Path: {BOB}\r\n{headers}{content}-------{name}$\r\n",
            self.ours
        ));
    }

    fn respond(&mut self, request: &str, code: u16) {
        let name = request.split(' ').nth(1).unwrap();
        self.bytes(&format!(
            "MSRP {name} {code} x\r\nTo-Path: {}\r\nFrom-Path: {BOB}\r\n-------{name}$\r\n",
            self.ours
        ));
    }

    fn report(&mut self, request: &str, code: u16) {
        let message_id = header(request, "Message-ID");
        self.bytes(&format!(
            "MSRP rrrr REPORT\r\nTo-Path: {}\r\nFrom-Path: {BOB}\r\nMessage-ID: {message_id}\r\nStatus: 000 {code}\r\n-------rrrr$\r\n",
            self.ours
        ));
    }

    /// Returns the code of the only response that was sent.
    #[track_caller]
    fn expect_code(&mut self) -> String {
        assert_eq!(self.world.wire.len(), 1, "{:?}", self.world.wire);
        self.world.wire.remove(0).split(' ').nth(2).unwrap().to_owned()
    }

    #[track_caller]
    fn expect_send(&mut self) -> String {
        assert_eq!(self.world.wire.len(), 1, "{:?}", self.world.wire);
        self.world.wire.remove(0)
    }

    fn stanza(&mut self, id: &str, text: &str) -> u64 {
        self.world.xmpp(&format!(
            "<message xmlns='jabber:server' from='ann@x.example/desk' to='bob@s.example' id='{id}' type='chat'>\
             <body>{text}</body><request xmlns='urn:xmpp:receipts'/><active xmlns='http://jabber.org/protocol/chatstates'/></message>"
        ))
    }

    fn accept(&mut self, invite: &str, setup: &str) {
        let body = description(setup, BOB).replace("text/plain application/im-iscomposing+xml", self.types);
        let lines: Vec<_> = ["Via", "From", "Call-ID", "CSeq"]
            .iter()
            .map(|name| format!("{name}: {}\r\n", header(invite, name)))
            .collect();
        self.world.sip(&format!(
            "SIP/2.0 200 OK\r\n{}To: {};tag=b\r\nContact: <sip:bob@10.0.0.9>\r\nContent-Type: application/sdp\r\n\
             Content-Length: {}\r\n\r\n{body}",
            lines.concat(),
            header(invite, "To"),
            body.len()
        ));
    }
}

fn description(setup: &str, path: &str) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 10.0.0.9\r\ns=-\r\nc=IN IP4 10.0.0.9\r\nt=0 0\r\nm=message 9000 TCP/MSRP *\r\n\
         a=accept-types:text/plain application/im-iscomposing+xml\r\na=setup:{setup}\r\na=path:{path}\r\n"
    )
}

fn path_of(message: &str) -> String {
    message.lines().find_map(|line| line.strip_prefix("a=path:")).unwrap().to_owned()
}

fn with_body(method: &str, number: u32, tag: &str, kind: &str, body: &str) -> String {
    let tag = if tag.is_empty() { String::new() } else { format!(";tag={tag}") };
    let kind = if body.is_empty() { String::new() } else { format!("Content-Type: {kind}\r\n") };
    format!(
        "{method} sip:ann@x.example SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bK-{method}{number};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:bob@s.example>;tag=t\r\nTo: <sip:ann@x.example>{tag}\r\nCall-ID: c7\r\n\
         CSeq: {number} {method}\r\nContact: <sip:bob@10.0.0.9>\r\n{kind}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn bob_calls_and_what_he_says_is_answered_when_ann_has_it() {
    let (mut talk, answer) = Talk::called();
    assert!(answer.contains("m=message 2855 TCP/MSRP *"), "{answer}");
    assert!(answer.contains("a=setup:passive"), "{answer}");

    talk.send("bbbb", "Message-ID: m1aa\r\nSuccess-Report: yes\r\n", Some(("text/plain", "Hallo")));
    let (n, stanza) = talk.world.expect_stanza();
    assert_eq!(stanza.child("body", ns::SERVER).unwrap().text(), "Hallo");
    assert_eq!((stanza.attr("from"), stanza.attr("type")), (Some("bob@s.example"), Some("chat")));
    assert!(talk.world.wire.is_empty());
    talk.world.partner_has(n);

    assert!(talk.world.wire.remove(0).starts_with("MSRP bbbb 200"));
    let report = talk.expect_send();
    assert!(report.contains(" REPORT\r\n") && report.contains("Status: 000 200"), "{report}");
}

#[test]
fn what_comes_later_than_the_hold_is_accepted_and_reported_when_it_arrives() {
    let (mut talk, _) = Talk::called();
    talk.send("bbbb", "Message-ID: m1aa\r\nSuccess-Report: yes\r\n", Some(("text/plain", "Hallo")));
    let (n, _) = talk.world.expect_stanza();
    talk.world.pass(2000);
    talk.world.disk_writes(Ok(()));
    assert_eq!(talk.expect_code(), "200");

    talk.world.partner_has(n);

    assert!(talk.expect_send().contains("Status: 000 200"));
}

#[test]
fn what_cannot_become_text_is_refused() {
    let (mut talk, _) = Talk::called();

    talk.send("bbbb", "Message-ID: m1aa\r\n", Some(("image/png", "x")));

    assert_eq!(talk.expect_code(), "415");
    assert!(talk.world.stanzas.is_empty());
}

#[test]
fn ann_writes_first_and_hears_that_bob_has_it() {
    let (mut talk, invite) = Talk::calling();
    assert!(invite.contains("a=setup:actpass") && invite.contains("m=message 2855 TCP/MSRP *"), "{invite}");
    let send = talk.expect_send();
    assert!(send.contains("Success-Report: yes") && send.contains("\r\n\r\nHi Bob\r\n"), "{send}");
    assert!(!talk.world.is_settled(1));

    talk.respond(&send, 200);
    assert!(talk.world.is_settled(1));
    assert!(talk.world.stanzas.is_empty());
    talk.report(&send, 200);

    let (_, receipt) = talk.world.expect_stanza();
    assert_eq!(receipt.child("received", ns::RECEIPTS).unwrap().attr("id"), Some("m1"));
    assert_eq!(receipt.attr("to"), Some("ann@x.example/desk"));
}

#[test]
fn a_message_that_bob_refuses_comes_back_and_one_that_is_lost_behind_him_too() {
    let (mut talk, _) = Talk::calling();
    let send = talk.expect_send();
    talk.respond(&send, 413);
    let (_, error) = talk.world.expect_stanza();
    assert_eq!((error.attr("type"), error.attr("id")), (Some("error"), Some("m1")));
    assert!(error.to_string().contains("policy-violation"), "{error}");

    talk.stanza("m2", "again");
    let send = talk.expect_send();
    talk.respond(&send, 200);
    talk.report(&send, 403);

    let (_, error) = talk.world.expect_stanza();
    assert_eq!((error.attr("type"), error.attr("id")), (Some("error"), Some("m2")));
}

#[test]
fn where_texts_go_in_envelopes_bob_is_asked_to_say_that_he_saw_one() {
    let mut talk = Talk::new();
    talk.types = "message/cpim\r\na=accept-wrapped-types:text/plain";
    talk.world.xmpp(
        "<message xmlns='jabber:server' from='ann@x.example/desk' to='bob@s.example' id='m1' type='chat'>\
         <body>Hi Bob</body><markable xmlns='urn:xmpp:chat-markers:0'/></message>",
    );
    talk.dial();
    let send = talk.expect_send();
    assert!(send.contains("imdn.Disposition-Notification: display\r\n"), "{send}");
    talk.respond(&send, 200);
    let seen = |message_id: &str, what: &str| {
        format!(
            "<imdn xmlns='urn:ietf:params:xml:ns:imdn'><message-id>{message_id}</message-id>\
             <{what}-notification><status><{what}ed/></status></{what}-notification></imdn>"
        )
    };
    let message_id = header(&send, "imdn.Message-ID").to_owned();

    let told = [
        ("aaab", seen("other", "display")),
        ("aaac", seen(&message_id, "display")),
        ("aaad", seen(&message_id, "display")),
    ];
    for (name, document) in told {
        let headers = format!("Message-ID: {name}\r\n");
        talk.send(name, &headers, Some(("message/imdn+xml", &document)));
        assert_eq!(talk.expect_code(), "200");
    }

    let (_, marker) = talk.world.expect_stanza();
    assert_eq!(marker.child("displayed", ns::MARKERS).unwrap().attr("id"), Some("m1"));
    assert_eq!(marker.attr("to"), Some("ann@x.example/desk"));
    assert!(!marker.has_child("body", ns::SERVER));
}

#[test]
fn a_receipt_is_told_over_the_connection() {
    let (mut talk, _) = Talk::called();
    let envelope = "From: <sip:bob@s.example>\r\nTo: <sip:ann@x.example>\r\nNS: imdn <urn:ietf:params:imdn>\r\n\
                    imdn.Message-ID: b1\r\nimdn.Disposition-Notification: positive-delivery\r\n\r\n\
                    Content-Type: text/plain\r\n\r\nHallo";
    talk.send("bbbb", "Message-ID: m1aa\r\n", Some(("message/cpim", envelope)));
    let (n, stanza) = talk.world.expect_stanza();
    talk.world.partner_has(n);
    assert_eq!(talk.expect_code(), "200");

    let id = stanza.attr("id").unwrap();
    talk.world.xmpp(&format!(
        "<message xmlns='jabber:server' from='ann@x.example/desk' to='bob@s.example'>\
         <received xmlns='urn:xmpp:receipts' id='{id}'/></message>"
    ));

    let told = talk.expect_send();
    assert!(told.contains("<message-id>b1</message-id>") && told.contains("<delivered/>"), "{told}");
    talk.respond(&told, 200);
    talk.stanza("m2", "again");
    assert!(talk.expect_send().contains("again"));
}

#[test]
fn typing_crosses_both_ways() {
    let (mut talk, _) = Talk::calling();
    let send = talk.expect_send();
    talk.respond(&send, 200);

    let document =
        "<isComposing xmlns='urn:ietf:params:xml:ns:im-iscomposing'><state>active</state></isComposing>";
    talk.send("bbbb", "Message-ID: m1aa\r\n", Some(("application/im-iscomposing+xml", document)));
    assert_eq!(talk.expect_code(), "200");
    let (_, stanza) = talk.world.expect_stanza();
    assert!(stanza.has_child("composing", ns::CHAT_STATES) && !stanza.has_child("body", ns::SERVER));

    talk.world.xmpp(
        "<message xmlns='jabber:server' from='ann@x.example/desk' to='bob@s.example' type='chat'>\
         <composing xmlns='http://jabber.org/protocol/chatstates'/></message>",
    );
    let typing = talk.expect_send();
    assert!(
        typing.contains("application/im-iscomposing+xml") && typing.contains("<state>active</state>"),
        "{typing}"
    );
}

#[test]
fn a_connection_that_is_lost_ends_the_session_and_the_text_goes_in_another() {
    let (mut talk, invite) = Talk::calling();
    talk.expect_send();

    talk.event(Event::Closed { connection: talk.connection, reason: None });

    let sent: Vec<_> = std::mem::take(&mut talk.world.sip);
    assert!(sent.iter().any(|request| request.starts_with("BYE ")), "{sent:?}");
    let again = sent.iter().find(|request| request.starts_with("INVITE ")).unwrap();
    assert_ne!(header(again, "Call-ID"), header(&invite, "Call-ID"));
    assert_ne!(path_of(again), path_of(&invite));
}

#[test]
fn a_peer_that_wants_its_texts_elsewhere_gets_them_in_a_new_session() {
    for (path, ends) in [(BOB, false), ("msrp://10.0.0.9:9001/bob2;tcp", true)] {
        let (mut talk, answer) = Talk::called();
        let tag = header(&answer, "To").split_once(";tag=").unwrap().1;

        let again = description("active", path).replace("o=- 1 1", "o=- 1 2");
        talk.world.sip(&with_body("INVITE", 2, tag, "application/sdp", &again));
        talk.world.sip(&with_body("ACK", 2, tag, "", ""));

        let sent = std::mem::take(&mut talk.world.sip);
        assert!(sent.iter().any(|message| message.starts_with("SIP/2.0 200 ")), "{sent:?}");
        assert_eq!(sent.iter().any(|message| message.starts_with("BYE ")), ends, "{path}: {sent:?}");
    }
}

#[test]
fn a_peer_without_msrp_gets_each_text_by_itself() {
    let mut talk = Talk::new();
    talk.stanza("m1", "Hi Bob");
    let invite = talk.world.expect_sip();

    talk.world.answer(&invite, "488 Not Acceptable Here");

    let sent = std::mem::take(&mut talk.world.sip);
    assert!(sent.iter().any(|request| request.starts_with("MESSAGE ")), "{sent:?}");
}

#[test]
fn a_description_that_leads_elsewhere_is_not_followed() {
    let mut talk = Talk::new();
    talk.stanza("m1", "Hi Bob");
    let invite = talk.world.expect_sip();
    let elsewhere = description("passive", "msrp://127.0.0.1:25/x;tcp");
    let lines: Vec<_> = ["Via", "From", "Call-ID", "CSeq"]
        .iter()
        .map(|name| format!("{name}: {}\r\n", header(&invite, name)))
        .collect();
    talk.world.sip(&format!(
        "SIP/2.0 200 OK\r\n{}To: {};tag=b\r\nContact: <sip:bob@10.0.0.9>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{elsewhere}",
        lines.concat(),
        header(&invite, "To"),
        elsewhere.len()
    ));

    assert_eq!(talk.world.wire, Vec::<String>::new());
    let sent = std::mem::take(&mut talk.world.sip);
    assert!(sent.iter().any(|request| request.starts_with("BYE ")), "{sent:?}");
    let (_, error) = talk.world.expect_stanza();
    assert!(error.to_string().contains("127.0.0.1"), "{error}");
}

#[test]
fn an_offer_without_msrp_is_refused() {
    let mut talk = Talk::new();
    let offer = "v=0\r\nm=message 5060 sip null\r\n";

    talk.world.sip(&with_body("INVITE", 1, "", "application/sdp", offer));

    assert!(talk.world.expect_sip().starts_with("SIP/2.0 488 "));
}
