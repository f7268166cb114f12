//! Sessions of the SIP side, one for each pair of users: opened by INVITE as Microsoft's servers open them
//! (`m=message`), held, and written in.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;

use sip_types::message::{Request, Response};

use crate::pacing::{USERS, text};
use crate::peer::Opening;
use crate::sip::Way;

/// The sessions.
#[derive(Debug, Default)]
pub struct Talks {
    /// By user; `None` until the other side has accepted.
    talks: Vec<Option<Talk>>,
    opening: Option<Opening>,
    under_way: usize,
    /// What is added to a message's number, so that CSeq grows from run to run (RFC 3261 §12.2.1.1).
    base: u32,
    highest: u32,
}

/// What the other side has told when it accepted.
#[derive(Debug)]
struct Talk {
    tag: Box<str>,
    target: Box<str>,
}

impl Talks {
    /// Takes note of what is to be opened.
    pub fn open(&mut self, opening: Opening) {
        self.opening = Some(opening);
    }

    /// Returns the way by which sessions are being opened.
    pub fn way(&self) -> Option<usize> {
        self.opening.as_ref().map(|opening| opening.way)
    }

    /// Begins a run of messages.
    pub fn begin(&mut self) {
        self.base = self.highest.max(1) + 1;
    }

    /// Returns the number of the message that was sent with this CSeq.
    pub fn number_of(&self, cseq: u32) -> u32 {
        // One of an earlier run is none of this.
        cseq.checked_sub(self.base).unwrap_or(u32::MAX)
    }

    /// Prints as many INVITEs as may be under way at once.
    pub fn print_invites(&mut self, way: &Way, local: SocketAddr, out: &mut Vec<u8>) {
        let Some(opening) = &mut self.opening else { return };
        while self.under_way < AT_ONCE && opening.count > 0 {
            opening.count -= 1;
            self.under_way += 1;
            let user = self.talks.len();
            self.talks.push(None);
            let body = format!(
                "v=0\r\no=- 0 0 IN IP4 {ip}\r\ns=session\r\nc=IN IP4 {ip}\r\nt=0 0\r\n\
                 m=message {port} sip null\r\na=accept-types:text/plain\r\n",
                ip = local.ip(),
                port = local.port(),
            );
            let target = format!("sip:user{user}@{}", way.to_domain);
            let heads = format!(
                "Contact: <sip:user{user}@{};opaque=user:epid:Kq1;gruu>\r\nContent-Type: application/sdp\r\n",
                way.from_domain
            );
            let request = Inside { method: "INVITE", user, cseq: 1, target: &target, tag: "" };
            request.print(way, local, &heads, &body, out);
        }
    }

    /// Takes the final answer to an INVITE, and prints the ACK.
    pub fn take_answer(&mut self, response: &Response, way: &Way, local: SocketAddr, out: &mut Vec<u8>) {
        let user = response.call_id().and_then(|id| id.as_str().split('-').next()?.parse::<usize>().ok());
        let Some((user, opening)) = user.zip(self.opening.as_ref()) else { return };
        let is_known = self.talks.get(user).is_some_and(Option::is_some);
        let contact = response.headers().contact().ok().flatten();
        let tag = response.to_header().and_then(|to| to.tag());
        let (200, Some(contact), Some(tag)) = (response.status(), contact, tag) else {
            self.under_way = self.under_way.saturating_sub(1);
            opening.refused.fetch_add(1, Relaxed);
            return;
        };
        let target = contact.uri.as_str();
        Inside { method: "ACK", user, cseq: 1, target, tag }.print(way, local, "", "", out);
        if !is_known {
            self.talks[user] = Some(Talk { tag: tag.into(), target: target.into() });
            self.under_way = self.under_way.saturating_sub(1);
            opening.open.fetch_add(1, Relaxed);
        }
    }

    /// Prints a MESSAGE in the session of its user.
    pub fn print_message(&mut self, number: u32, way: &Way, local: SocketAddr, out: &mut Vec<u8>) {
        let user = (number % USERS) as usize;
        // Without a session nothing is sent, which the counts show.
        let Some(Some(talk)) = self.talks.get(user) else { return };
        let cseq = self.base + number;
        self.highest = self.highest.max(cseq);
        let request = Inside { method: "MESSAGE", user, cseq, target: &talk.target, tag: &talk.tag };
        request.print(way, local, "Content-Type: text/plain; charset=UTF-8\r\n", &text(number), out);
    }
}

/// A request of a session.
struct Inside<'a> {
    method: &'a str,
    user: usize,
    cseq: u32,
    target: &'a str,
    tag: &'a str,
}

impl Inside<'_> {
    fn print(&self, way: &Way, local: SocketAddr, heads: &str, body: &str, out: &mut Vec<u8>) {
        let Self { method, user, cseq, target, tag } = self;
        let (from_domain, to_domain) = (&way.from_domain, &way.to_domain);
        let via = way.transport.name();
        let own = std::process::id();
        let mark = if tag.is_empty() { "" } else { ";tag=" };
        write!(
            out,
            "{method} {target} SIP/2.0\r\n\
             Via: SIP/2.0/{via} {local};branch=z9hG4bK{own:x}-{method}-{user}-{cseq};rport\r\n\
             Max-Forwards: 70\r\n\
             From: <sip:user{user}@{from_domain}>;tag={user:x};epid=2c19aa01\r\n\
             To: <sip:user{user}@{to_domain}>{mark}{tag}\r\n\
             Call-ID: {user}-{own:x}-{via}@{from_domain}\r\n\
             CSeq: {cseq} {method}\r\n\
             User-Agent: UCCAPI/16.0 gangway-bench\r\n\
             {heads}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .expect("a vector takes all that is written");
    }
}

/// Prints the answer that accepts a session.
pub fn accept(request: &Request, local: SocketAddr, out: &mut Vec<u8>) {
    let body = format!(
        "v=0\r\no=- 0 0 IN IP4 {ip}\r\ns=session\r\nc=IN IP4 {ip}\r\nt=0 0\r\n\
         m=message {port} sip null\r\na=accept-types:text/plain\r\n",
        ip = local.ip(),
        port = local.port(),
    );
    let tag = sip_types::Token::parse("callee").expect("it is a token");
    let contact = request.to().clone().without_tag();
    let kind = sip_types::header::ContentType::parse(sip_types::Text::from_static("application/sdp"));
    let answer = Response::to(request, 200).with_to_tag(&tag).with_contact(&contact);
    answer.with_body(&kind.expect("it is a media type"), body.into_bytes().into()).print(out);
}

/// How many are being opened at the same time.
const AT_ONCE: usize = 100;
