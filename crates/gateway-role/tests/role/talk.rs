//! Ann and bob in conversation, whose server wants sessions.

use gateway_role::{Dialect, Recovered};

use crate::world::{World, header, settings};

pub const INVITE: &str = "INVITE sip:ann@x.example SIP/2.0\r\n\
    Via: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bK-i;rport\r\n\
    Record-Route: <sip:pool.s.example:5061;transport=tls;opaque=state:F;lr>;tag=AA;ms-route-sig=bb==\r\n\
    Max-Forwards: 68\r\n\
    From: \"Bob\" <sip:bob@s.example>;tag=5d07;epid=2c19aa01\r\n\
    To: <sip:ann@x.example>\r\n\
    Call-ID: 0c4b\r\n\
    CSeq: 1 INVITE\r\n\
    Contact: <sip:bob@s.example;opaque=user:epid:Kq1;gruu>\r\n\
    Supported: ms-sender\r\n\
    ms-text-format: text/plain; charset=UTF-8;msgr=WAAtAE0A;ms-body=SGk=\r\n\
    Content-Type: application/sdp\r\n\
    Content-Length: 166\r\n\
    \r\n\
    v=0\r\n\
    o=- 0 0 IN IP4 192.0.2.77\r\n\
    s=session\r\n\
    c=IN IP4 192.0.2.77\r\n\
    t=0 0\r\n\
    m=message 5060 sip null\r\n\
    a=accept-types:text/plain multipart/alternative image/gif text/rtf\r\n";

pub const TYPE: &str =
    "<?xml version=\"1.0\"?>\r\n<KeyboardActivity><status status=\"type\"/></KeyboardActivity>";

/// A conversation of ann and bob.
pub struct Talk {
    pub world: World,
    /// Our tag in the session that bob opened.
    pub tag: String,
}

impl Talk {
    pub fn new() -> Self {
        Self { world: World::with(microsoft(), Recovered::default()), tag: String::new() }
    }

    /// Bob opens a session; returns our answer, which is acknowledged.
    pub fn invited(&mut self) -> String {
        self.world.sip(&recounted(INVITE));
        let accepted = self.world.expect_sip();
        let tag = header(&accepted, "To").split_once(";tag=").unwrap().1;
        self.tag = tag.to_owned();
        TAG.with_borrow_mut(|known| *known = tag.to_owned());
        self.world.sip(&inside("ACK", 1, ""));
        accepted
    }

    pub fn say(&mut self, number: u32, text: &str) {
        self.world.sip(&inside("MESSAGE", number, text));
    }

    pub fn stanza(&mut self, id: &str, text: &str) -> u64 {
        self.world.xmpp(&format!(
            "<message xmlns='jabber:server' from='ann@x.example/desk' to='bob@s.example' id='{id}' type='chat'>\
             <body>{text}</body></message>"
        ))
    }

    pub fn state(&mut self, state: &str) {
        self.world.xmpp(&format!(
            "<message xmlns='jabber:server' from='ann@x.example/desk' to='bob@s.example' type='chat'>\
             <{state} xmlns='http://jabber.org/protocol/chatstates'/></message>"
        ));
    }

    pub fn trying(&mut self, invite: &str) {
        self.world.answer(invite, "183 Session Progress");
    }

    pub fn accept(&mut self, invite: &str) {
        self.world.answer(invite, "200 OK\r\nContact: <sip:bob@s.example;opaque=user:epid:Kq1;gruu>");
    }
}

thread_local! {
    /// Our tag in the session that bob opened.
    static TAG: std::cell::RefCell<String> = const { std::cell::RefCell::new(String::new()) };
}

/// A request of bob's in the session that he opened.
pub fn inside(method: &str, number: u32, text: &str) -> String {
    with_type(method, number, "text/plain; charset=UTF-8; msgr=WAAtAE0A", text)
}

pub fn with_type(method: &str, number: u32, kind: &str, body: &str) -> String {
    let tag = TAG.with_borrow(Clone::clone);
    let content = if body.is_empty() { String::new() } else { format!("Content-Type: {kind}\r\n") };
    format!(
        "{method} sip:ann@10.0.0.2:5060;transport=udp SIP/2.0\r\n\
         Via: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bK-{method}-{number}\r\n\
         Max-Forwards: 68\r\n\
         From: \"Bob\" <sip:bob@s.example>;tag=5d07;epid=2c19aa01\r\n\
         To: <sip:ann@x.example>;tag={tag}\r\n\
         Call-ID: 0c4b\r\n\
         CSeq: {number} {method}\r\n\
         {content}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A request of bob's in the session that this INVITE of ours opened.
pub fn back_in(invite: &str, method: &str, number: u32, text: &str) -> String {
    let body = format!(
        "{method} sip:ann@10.0.0.2:5060 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bK-back-{number}\r\n\
         Max-Forwards: 68\r\n\
         From: {};tag=b\r\n\
         To: {}\r\n\
         Call-ID: {}\r\n\
         CSeq: {number} {method}\r\n\
         Content-Type: text/plain\r\n\
         Content-Length: {}\r\n\r\n{text}",
        header(invite, "To"),
        header(invite, "From"),
        header(invite, "Call-ID"),
        text.len()
    );
    body
}

/// The message with the length that its body has.
pub fn recounted(message: &str) -> String {
    let (head, body) = message.split_once("\r\n\r\n").unwrap();
    let lines: Vec<_> = head.lines().filter(|line| !line.starts_with("Content-Length")).collect();
    format!("{}\r\nContent-Length: {}\r\n\r\n{body}", lines.join("\r\n"), body.len())
}

pub fn microsoft() -> gateway_role::Settings {
    let mut settings = settings();
    settings.domains[0].dialect = Dialect::Microsoft;
    settings.domains[0].to_sip.profile = translate::Profile::BareAddress;
    settings
}
