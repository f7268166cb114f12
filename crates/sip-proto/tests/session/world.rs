//! A session, its clock, its peer's messages, and words for what it does.

use std::sync::Arc;
use std::time::Duration;

use clock_types::{Date, Moment, Now};
use net_types::Bytes;
use sip_proto::endpoint::{Failure, ServerKey};
use sip_proto::session::{About, Content, End, Output, Session, Settings};
use sip_types::header::{ContentType, NameAddr};
use sip_types::{HeaderName, HeaderText, Message, Method, Request, Response, Token, Uri};

/// What both sides say of their medium.
pub const SDP: &str = "v=0\r\nm=message 5060 sip null\r\n";

pub struct World {
    pub session: Session,
    pub now: Now,
    heard: Vec<String>,
    /// Requests that the session sent, in order.
    pub sent: Vec<Request>,
    /// Answers that it gave, in order.
    pub answers: Vec<Response>,
}

pub fn settings() -> Settings {
    let header = |name, text| (name, HeaderText::from_static(text));
    Settings {
        headers: vec![header(HeaderName::Allow, "INVITE, ACK, BYE, CANCEL, MESSAGE, INFO, UPDATE")],
        ..Settings::default()
    }
}

pub fn start() -> Now {
    Now { moment: Moment::ZERO, date: Date::default() }
}

impl World {
    /// Calls the peer.
    pub fn calling() -> Self {
        let session = Session::call(invite_of_ours(), Arc::new(settings()), start());
        let mut world = Self::of(session);
        world.expect(&["send Invite: INVITE 1"]);
        world
    }

    /// Calls the peer, which accepts with these further headers.
    pub fn called_out(more: &str) -> Self {
        let mut world = Self::calling();
        world.hear_invite(200, "t1", more);
        world.expect(&["send Ack: ACK 1", "established v=0"]);
        world
    }

    /// Is called by the peer, whose INVITE has these further headers.
    pub fn ringing(more: &str) -> Self {
        Self::of(called(&invite_of_peer(more)))
    }

    /// Is called by the peer, and accepts.
    pub fn answered(more: &str) -> Self {
        let mut world = Self::ringing(more);
        world.expect(&["offered"]);
        world.accept().expect(&["respond 0: 200"]);
        world.ack(1).expect(&["established"]);
        world
    }

    fn of(session: Session) -> Self {
        let mut world =
            Self { session, now: start(), heard: Vec::new(), sent: Vec::new(), answers: Vec::new() };
        world.drain();
        world
    }

    /// Lets time pass until `milliseconds` after the start, firing each timer at its moment.
    pub fn at(&mut self, milliseconds: u64) -> &mut Self {
        let end = Moment::ZERO + Duration::from_millis(milliseconds);
        while let Some(next) = self.session.poll_timeout().filter(|next| *next <= end) {
            self.now = self.now.plus(next.since(self.now.moment));
            self.session.handle_timeout(self.now);
            self.drain();
        }
        self.now = self.now.plus(end.since(self.now.moment));
        self
    }

    pub fn at_seconds(&mut self, seconds: u64) -> &mut Self {
        self.at(seconds * 1000)
    }

    /// Hears a response to the INVITE, from a fork with this tag.
    pub fn hear_invite(&mut self, status: u16, tag: &str, more: &str) -> &mut Self {
        let invite = self.sent.iter().rfind(|sent| *sent.method() == Method::Invite).unwrap().clone();
        let body = if (200..300).contains(&status) { SDP } else { "" };
        let contact = format!("Contact: <sip:bob@pc-{tag}.s.example>\r\n");
        let response = response(&invite, status, tag, &format!("{contact}{more}"), body);
        self.session.handle_response(About::Invite, Box::new(response), self.now);
        self.drain();
        self
    }

    /// Hears a response to the latest request of ours.
    pub fn hear(&mut self, about: About, status: u16, more: &str) -> &mut Self {
        let request = self.sent.last().unwrap().clone();
        let body = if *request.method() == Method::Invite { SDP } else { "" };
        let response = response(&request, status, "t1", more, body);
        self.session.handle_response(about, Box::new(response), self.now);
        self.drain();
        self
    }

    pub fn fail(&mut self, about: About, failure: Failure) -> &mut Self {
        self.session.handle_failure(about, failure, self.now);
        self.drain();
        self
    }

    pub fn time_out(&mut self, about: About) -> &mut Self {
        self.fail(about, Failure::Timeout { target: "TLS 192.0.2.1:5061".into() })
    }

    /// Receives a request inside the dialog.
    pub fn receive(&mut self, key: u64, method: &str, number: u32, more: &str) -> &mut Self {
        let request = Arc::new(self.inside(method, number, more, ""));
        self.session.handle_request(ServerKey(key), request, self.now);
        self.drain();
        self
    }

    /// Receives a request with an SDP body inside the dialog.
    pub fn receive_offer(&mut self, key: u64, method: &str, number: u32, sdp: &str) -> &mut Self {
        let request = Arc::new(self.inside(method, number, "Content-Type: application/sdp\r\n", sdp));
        self.session.handle_request(ServerKey(key), request, self.now);
        self.drain();
        self
    }

    pub fn ack(&mut self, number: u32) -> &mut Self {
        let ack = self.inside("ACK", number, "", "");
        self.session.handle_ack(&ack, self.now);
        self.drain();
        self
    }

    pub fn cancelled(&mut self) -> &mut Self {
        self.session.handle_cancelled(self.now);
        self.drain();
        self
    }

    pub fn accept(&mut self) -> &mut Self {
        self.session.accept(Some(sdp()), self.now);
        self.drain();
        self
    }

    pub fn ring(&mut self, status: u16) -> &mut Self {
        self.session.ring(status, self.now);
        self.drain();
        self
    }

    pub fn end(&mut self) -> &mut Self {
        self.session.end(self.now);
        self.drain();
        self
    }

    pub fn say(&mut self, text: &'static str) -> &mut Self {
        let body = Bytes::from_static(text.as_bytes());
        let dress = |request: Request| request.with_body(&ContentType::text_plain(), body);
        self.session.send(Method::Message, dress, self.now).unwrap();
        self.drain();
        self
    }

    /// Checks that exactly this has come out since the last check.
    #[track_caller]
    pub fn expect(&mut self, expected: &[&str]) -> &mut Self {
        assert_eq!(std::mem::take(&mut self.heard), expected);
        self
    }

    pub fn forget(&mut self) -> &mut Self {
        self.heard.clear();
        self
    }

    /// Counts what begins so since the last look, and forgets it.
    pub fn count(&mut self, start: &str) -> usize {
        std::mem::take(&mut self.heard).iter().filter(|line| line.starts_with(start)).count()
    }

    pub fn has_sent_invite(&self) -> bool {
        self.sent.iter().any(|sent| *sent.method() == Method::Invite)
    }

    #[track_caller]
    pub fn last_sent(&self) -> &Request {
        self.sent.last().unwrap()
    }

    #[track_caller]
    pub fn last_answer(&self) -> &Response {
        self.answers.last().unwrap()
    }

    #[track_caller]
    pub fn answer_header(&self, name: HeaderName) -> String {
        self.last_answer().headers().text(name).unwrap_or_default().into_owned()
    }

    /// Returns a request of the peer's, its tags those of the dialog, as our side knows it.
    fn inside(&self, method: &str, number: u32, more: &str, body: &str) -> Request {
        let (ours, theirs, call) = match self.sent.iter().find(|sent| *sent.method() == Method::Invite) {
            Some(invite) => (invite.from().tag().unwrap().to_owned(), "t1", "call-1"),
            None => ("ours".to_owned(), "peer", "0c4b"),
        };
        request(&format!(
            "{method} sip:ann@gw.x.example SIP/2.0\r\n\
             Via: SIP/2.0/TLS 192.0.2.5:51877;branch=z9hG4bK-{method}-{number}\r\n\
             From: <sip:bob@s.example>;tag={theirs}\r\n\
             To: <sip:ann@x.example>;tag={ours}\r\n\
             Call-ID: {call}\r\n\
             CSeq: {number} {method}\r\n\
             {more}Content-Length: {}\r\n\r\n{body}",
            body.len()
        ))
    }

    fn drain(&mut self) {
        while let Some(output) = self.session.poll_output() {
            let line = match output {
                Output::Send { about, request } => {
                    let line = format!("send {about:?}: {} {}", request.method(), request.cseq().number);
                    self.sent.push(*request);
                    line
                }
                Output::Cancel => "cancel".into(),
                Output::Respond { key, response } => {
                    let line = format!("respond {}: {}", key.0, response.status());
                    self.answers.push(*response);
                    line
                }
                Output::Offered => "offered".into(),
                Output::Progress(response) => format!("progress {}", response.status()),
                Output::Established(content) => format!("established {}", first_line(content.as_ref())),
                Output::Modified(content) => format!("modified {}", first_line(Some(&content))),
                Output::Request { key, request } => format!("request {}: {}", key.0, request.method()),
                Output::Response(response) => format!("response {}", response.status()),
                Output::RequestFailed(failure) => format!("request failed: {failure}"),
                Output::Ended(end) => format!("ended: {}", words(&end)),
            };
            self.heard.push(line.trim_end().to_owned());
        }
    }
}

pub fn sdp() -> Content {
    Content {
        content_type: ContentType::parse("application/sdp").unwrap(),
        body: Bytes::from_static(SDP.as_bytes()),
    }
}

pub fn called(invite: &Request) -> Session {
    Session::called(
        ServerKey(0),
        Arc::new(invite.clone()),
        &Token::parse("ours").unwrap(),
        NameAddr::parse("<sip:ann@gw.x.example:5061;transport=tls>").unwrap(),
        Arc::new(settings()),
        start(),
    )
}

pub fn invite_of_ours() -> Request {
    let address = |uri: &str| NameAddr::new(Uri::parse(uri).unwrap());
    Request::new(
        Method::Invite,
        Uri::parse("sip:bob@s.example").unwrap(),
        address("sip:ann@x.example").with_tag(&Token::parse("mine").unwrap()),
        address("sip:bob@s.example"),
        sip_types::header::CallId::parse("call-1").unwrap(),
        1,
    )
    .with_contact(&address("sip:ann@gw.x.example:5061;transport=tls"))
    .with_body(&sdp().content_type, sdp().body)
}

pub fn invite_of_peer(more: &str) -> Request {
    request(&format!(
        "INVITE sip:ann@x.example SIP/2.0\r\n\
         Via: SIP/2.0/TLS 192.0.2.5:51877;branch=z9hG4bKF3\r\n\
         Record-Route: <sip:pool.s.example:5061;transport=tls;opaque=state:F;lr>;tag=1\r\n\
         From: \"Bob\" <sip:bob@s.example>;tag=peer;epid=2c19aa01\r\n\
         To: <sip:ann@x.example>\r\n\
         Call-ID: 0c4b\r\n\
         CSeq: 1 INVITE\r\n\
         Contact: <sip:bob@s.example;opaque=user:epid:Kq1;gruu>\r\n\
         {more}\
         Content-Type: application/sdp\r\n\
         Content-Length: {}\r\n\r\n{SDP}",
        SDP.len()
    ))
}

pub fn request(text: &str) -> Request {
    match parsed(text) {
        Message::Request(request) => request,
        Message::Response(_) => panic!("{text}"),
    }
}

pub fn response(request: &Request, status: u16, tag: &str, more: &str, body: &str) -> Response {
    let mut request = request.clone();
    let branch = Token::parse("b").unwrap();
    let host = sip_types::Host::parse("gw.x.example").unwrap();
    request.push_via(sip_types::header::Via::new(sip_types::header::Transport::Tls, host, None, &branch));
    let mut bytes = Vec::new();
    Response::to(&request, status).with_to_tag(&Token::parse(tag).unwrap()).print(&mut bytes);
    let text = String::from_utf8(bytes).unwrap();
    let head = text.strip_suffix("Content-Length: 0\r\n\r\n").unwrap();
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    match parsed(&format!("{head}{more}{kind}Content-Length: {}\r\n\r\n{body}", body.len())) {
        Message::Response(response) => response,
        Message::Request(_) => panic!("{text}"),
    }
}

fn parsed(text: &str) -> Message {
    let bytes = Bytes::copy_from_slice(text.as_bytes());
    sip_types::parse_datagram(&bytes, &sip_types::Limits::default()).expect(text)
}

fn first_line(content: Option<&Content>) -> String {
    let text = content.map(|content| String::from_utf8_lossy(&content.body).into_owned());
    text.as_deref().and_then(|text| text.lines().next()).unwrap_or_default().to_owned()
}

fn words(end: &End) -> String {
    match end {
        End::Refused(response) => format!("refused {}", response.status()),
        End::Failed(failure) => format!("failed: {failure}"),
        other => format!("{other:?}"),
    }
}
