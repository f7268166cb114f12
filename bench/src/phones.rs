//! Presence on the SIP side: subscriptions that the product holds here, and those that are held at the product.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use sip_types::Method;
use sip_types::header::{HeaderName, SubscriptionPhase};
use sip_types::message::{Request, Response};

use crate::ledger::Run;
use crate::pacing::number_of as number_in;
use crate::pairs::{Aftermath, Side, number_of, pair, user_of};
use crate::peer::Opening;
use crate::sip::Way;

/// All of them, by the numbers of their pairs.
#[derive(Debug, Default)]
pub struct Phones {
    /// Where XMPP users watch.
    watched: Vec<Option<Watched>>,
    /// How many of these there are, from 0 on.
    count: u32,
    /// Where users of this side watch.
    watching: Vec<Watching>,
    opening: Option<Opening>,
    under_way: usize,
    /// What is counted after a start of the product.
    aftermath: Option<Arc<Aftermath>>,
}

/// The notifier's side of a dialog.
#[derive(Debug)]
struct Watched {
    call_id: Box<str>,
    /// From of the SUBSCRIBE, with its tag.
    peer: Box<str>,
    target: Box<str>,
    cseq: u32,
    /// The message that the NOTIFY under way is.
    number: u32,
    /// Whether the product has refreshed it since the aftermath began.
    is_resumed: bool,
}

/// The subscriber's side of a dialog.
#[derive(Clone, Debug, Default)]
struct Watching {
    is_open: bool,
    is_resumed: bool,
}

impl Phones {
    /// Takes note of what is to be opened.
    pub fn open(&mut self, opening: Opening) {
        self.opening = Some(opening);
    }

    /// Returns the way by which subscriptions are being opened.
    pub fn way(&self) -> Option<usize> {
        self.opening.as_ref().map(|opening| opening.way)
    }

    /// Counts from now on what comes after a start.
    pub fn watch(&mut self, aftermath: Arc<Aftermath>) {
        self.watched.iter_mut().flatten().for_each(|watched| watched.is_resumed = false);
        self.watching.iter_mut().for_each(|watching| watching.is_resumed = false);
        self.aftermath = Some(aftermath);
    }

    /// Prints as many SUBSCRIBEs as may be under way at once.
    pub fn print_subscribes(&mut self, way: &Way, local: SocketAddr, out: &mut Vec<u8>) {
        let Some(opening) = &mut self.opening else { return };
        while self.under_way < AT_ONCE && opening.count > 0 {
            opening.count -= 1;
            self.under_way += 1;
            let number = self.watching.len();
            self.watching.push(Watching::default());
            let (watcher, watched) = pair(u32::try_from(number).unwrap_or(u32::MAX));
            let (from_domain, to_domain) = (&way.from_domain, &way.to_domain);
            let (transport, own) = (way.transport.name(), std::process::id());
            write!(
                out,
                "SUBSCRIBE sip:user{watched}@{to_domain} SIP/2.0\r\n\
                 Via: SIP/2.0/{transport} {local};branch=z9hG4bK{own:x}-s{number};rport\r\n\
                 Max-Forwards: 70\r\n\
                 From: <sip:user{watcher}@{from_domain}>;tag={number:x}\r\n\
                 To: <sip:user{watched}@{to_domain}>\r\n\
                 Call-ID: {number}-{own:x}@{from_domain}\r\n\
                 CSeq: 1 SUBSCRIBE\r\n\
                 Contact: <sip:user{watcher}@{local};transport={transport}>\r\n\
                 Event: presence\r\nAccept: application/pidf+xml\r\nExpires: 28800\r\n\
                 User-Agent: gangway-bench\r\nContent-Length: 0\r\n\r\n"
            )
            .expect("a vector takes all that is written");
        }
    }

    /// Takes a SUBSCRIBE or NOTIFY: prints its answer and what follows from it. Returns whether a subscription has opened.
    pub fn take_request(
        &mut self,
        request: &Request,
        receiving: Option<&Arc<Run>>,
        way: &Way,
        local: SocketAddr,
        out: &mut Vec<u8>,
    ) -> bool {
        if *request.method() == Method::Notify {
            Response::to(request, 200).print(out);
            return self.take_notify(request, receiving);
        }
        self.take_subscribe(request, way, local, out);
        false
    }

    fn take_notify(&mut self, notify: &Request, receiving: Option<&Arc<Run>>) -> bool {
        let known = notify.to().tag().and_then(|tag| usize::from_str_radix(tag, 16).ok());
        let Some(watching) = known.and_then(|number| self.watching.get_mut(number)) else { return false };
        if let Some(aftermath) = &self.aftermath {
            aftermath.came(Side::Sip);
            if !std::mem::replace(&mut watching.is_resumed, true) {
                aftermath.resumed[Side::Xmpp as usize].fetch_add(1, Relaxed);
            }
        }
        let state = notify.headers().subscription_state().ok().flatten().map(|state| state.state);
        if state != Some(SubscriptionPhase::Active) {
            return false;
        }
        if let (Some(number), Some(run)) = (number_in(note_of(notify.body())), receiving) {
            run.arrived(number);
        }
        if std::mem::replace(&mut watching.is_open, true) {
            return false;
        }
        self.under_way = self.under_way.saturating_sub(1);
        if let Some(opening) = &self.opening {
            opening.open.fetch_add(1, Relaxed);
        }
        true
    }

    /// A first SUBSCRIBE is followed by a NOTIFY; one in a dialog refreshes it.
    fn take_subscribe(&mut self, request: &Request, way: &Way, local: SocketAddr, out: &mut Vec<u8>) {
        let users = (user_of(request.from().uri.as_str()), user_of(request.to().uri.as_str()));
        let (Some(watcher), Some(watched)) = users else { return };
        let Some(number) = number_of(watcher, watched) else { return };
        let tag = sip_types::Token::parse(format!("{number:x}")).expect("digits are a token");
        let contact = request.to().clone().without_tag();
        let hour = sip_types::HeaderText::from(3600);
        Response::to(request, 200)
            .with_to_tag(&tag)
            .with_contact(&contact)
            .with(HeaderName::Expires, &hour)
            .print(out);
        let place = number as usize;
        if place >= self.watched.len() {
            self.watched.resize_with(place + 1, || None);
        }
        if let Some(aftermath) = &self.aftermath {
            aftermath.came(Side::Sip);
        }
        match &mut self.watched[place] {
            Some(known) if request.to().tag().is_some() => {
                if let Some(aftermath) = self.aftermath.as_ref().filter(|_| !known.is_resumed) {
                    known.is_resumed = true;
                    aftermath.resumed[Side::Sip as usize].fetch_add(1, Relaxed);
                }
            }
            new => {
                self.count += u32::from(new.is_none());
                let contact = request.headers().contact().ok().flatten();
                let target =
                    contact.map_or_else(|| "sip:nobody".into(), |contact| contact.uri.as_str().into());
                *new = Some(Watched {
                    call_id: request.call_id().as_str().into(),
                    peer: request.from().to_string().into(),
                    target,
                    cseq: 0,
                    number: u32::MAX,
                    is_resumed: true,
                });
            }
        }
        self.print(number, "At the desk", way, local, out);
    }

    /// Prints the NOTIFY that is a message of a run.
    pub fn print_notify(&mut self, number: u32, text: &str, way: &Way, local: SocketAddr, out: &mut Vec<u8>) {
        let place = number % self.count.max(1);
        if let Some(Some(watched)) = self.watched.get_mut(place as usize) {
            watched.number = number;
        }
        self.print(place, text, way, local, out);
    }

    fn print(&mut self, place: u32, text: &str, way: &Way, local: SocketAddr, out: &mut Vec<u8>) {
        let Some(Some(dialog)) = self.watched.get_mut(place as usize) else { return };
        dialog.cseq += 1;
        let (_, watched) = pair(place);
        let Watched { call_id, peer, target, cseq, .. } = dialog;
        let (domain, transport, own) = (&way.from_domain, way.transport.name(), std::process::id());
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" \
             entity=\"sip:user{watched}@{domain}\"><tuple id=\"phone\"><status><basic>open</basic></status>\
             <contact priority=\"0.8\">sip:user{watched}@{domain}</contact><note>{text}</note></tuple></presence>"
        );
        write!(
            out,
            "NOTIFY {target} SIP/2.0\r\n\
             Via: SIP/2.0/{transport} {local};branch=z9hG4bK{own:x}-n{place}-{cseq};rport\r\n\
             Max-Forwards: 70\r\n\
             From: <sip:user{watched}@{domain}>;tag={place:x}\r\n\
             To: {peer}\r\n\
             Call-ID: {call_id}\r\n\
             CSeq: {cseq} NOTIFY\r\n\
             Contact: <sip:user{watched}@{local};transport={transport}>\r\n\
             Event: presence\r\nSubscription-State: active;expires=3600\r\n\
             Content-Type: application/pidf+xml\r\nUser-Agent: gangway-bench\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .expect("a vector takes all that is written");
    }

    /// Takes the final answer to a request of this side; returns which message it was, if it was one of a run.
    pub fn take_response(&mut self, response: &Response) -> Option<u32> {
        let cseq = response.cseq()?;
        if cseq.method == Method::Subscribe {
            if let Some(opening) = self.opening.as_ref().filter(|_| response.status() >= 300) {
                self.under_way = self.under_way.saturating_sub(1);
                opening.refused.fetch_add(1, Relaxed);
            }
            return None;
        }
        let from = String::from_utf8_lossy(response.headers().values(HeaderName::From).next()?).into_owned();
        let place = usize::from_str_radix(from.rsplit_once(";tag=")?.1, 16).ok()?;
        let dialog = self.watched.get_mut(place)?.as_mut()?;
        let number = std::mem::replace(&mut dialog.number, u32::MAX);
        (number != u32::MAX).then_some(number)
    }
}

/// Returns the text of a document's first note.
fn note_of(body: &[u8]) -> &[u8] {
    let begin = |at: &[u8]| at.windows(5).position(|octets| octets == b"<note");
    let Some(note) = begin(body).map(|at| &body[at..]) else { return &[] };
    note.iter().position(|octet| *octet == b'>').map_or(&[], |end| &note[end + 1..])
}

/// How many are being opened at the same time.
const AT_ONCE: usize = 400;
