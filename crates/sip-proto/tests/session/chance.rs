//! Two sessions, each on an endpoint of its own, over a network that loses, repeats and reorders, in virtual
//! time: none is ever stuck, and what one says the other hears once, in order.

use std::collections::BTreeMap;
use std::sync::Arc;

use clock_types::{Ids, Moment, Now};
use net_types::{Bytes, Event, ListenerId, Order, Trust};
use proptest::prelude::*;
use sip_proto::endpoint::{self, Endpoint, FixedHop, Listener, RequestKey, Route, Transport};
use sip_proto::session::{About, Output, Session};
use sip_types::header::{CallId, ContentType, NameAddr};
use sip_types::{HeaderName, HeaderText, Host, Method, Request, Response, Token, Uri};

use crate::network::{Agenda, Fate, fate, millis};
use crate::world::{sdp, settings};

const ADDRESSES: [&str; 2] = ["192.0.2.1", "192.0.2.2"];

/// When all hang up who have not yet.
const CURFEW: u64 = 300_000;

/// What a user does.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Say,
    HangUp,
}

#[derive(Clone, Copy, Debug)]
enum Welcome {
    Accept,
    Refuse,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_session_is_stuck_and_every_text_is_heard_once_in_order(
        fates in proptest::collection::vec(fate(2000), 1..300),
        welcome in prop_oneof![9 => Just(Welcome::Accept), 1 => Just(Welcome::Refuse)],
        accepted_after in 0_u64..12_000,
        deeds in proptest::collection::vec((0_u64..60_000, 0_usize..2, deed()), 0..40),
        interval in prop_oneof![Just(""), Just("90;refresher=uas"), Just("90;refresher=uac"), Just("1800")],
    ) {
        let mut net = Net::new(fates, welcome, accepted_after);
        net.call(interval);
        for (at, who, deed) in deeds {
            net.agenda.schedule(at, Happening::Deed(who, deed));
        }
        net.agenda.schedule(CURFEW, Happening::Deed(0, Deed::HangUp));
        net.agenda.schedule(CURFEW, Happening::Deed(1, Deed::HangUp));

        net.run();

        for node in &net.nodes {
            prop_assert!(node.session.as_ref().is_none_or(Session::is_over), "{node:?}");
            prop_assert!(node.session.is_none() || node.ended == 1, "{node:?}");
            prop_assert_eq!(node.under_way, 0);
            prop_assert!(node.endpoint.is_quiet());
            prop_assert_eq!(node.endpoint.snapshot(net.agenda.now).timers, 0);
        }
        for (one, other) in [(0, 1), (1, 0)] {
            // What was answered 200 was heard; nothing else but what was said, in the order it was said.
            let (said, heard) = (&net.nodes[one].confirmed, &net.nodes[other].heard);
            prop_assert!(said.iter().all(|text| heard.contains(text)), "{said:?} {heard:?}");
            prop_assert!(heard.is_sorted() && heard.windows(2).all(|two| two[0] != two[1]), "{heard:?}");
        }
    }
}

#[test]
fn over_a_good_network_everything_said_is_heard() {
    let mut net = Net::new(vec![Fate::Arrives(10)], Welcome::Accept, 100);
    net.call("90;refresher=uas");
    for n in 0..50 {
        net.agenda.schedule(1000 + n * 100, Happening::Deed(usize::from(n % 2 == 0), Deed::Say));
    }
    net.agenda.schedule(CURFEW, Happening::Deed(0, Deed::HangUp));

    net.run();

    for node in &net.nodes {
        assert_eq!(node.heard, (1..=25).collect::<Vec<_>>());
        assert_eq!(node.confirmed, node.heard);
        assert!(node.session.as_ref().unwrap().is_over());
    }
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![12 => Just(Deed::Say), 1 => Just(Deed::HangUp)]
}

enum Happening {
    Arrive { at: usize, bytes: Bytes },
    Deed(usize, Deed),
    Welcome,
}

#[derive(Debug)]
struct Node {
    endpoint: Endpoint,
    session: Option<Session>,
    /// What the requests under way are about.
    sent: BTreeMap<u64, About>,
    invite: Option<(endpoint::ServerKey, Arc<Request>)>,
    route: Route,
    next: u64,
    ended: u32,
    under_way: u32,
    /// Texts that the other side has answered 200.
    confirmed: Vec<u64>,
    saying: u64,
    heard: Vec<u64>,
}

struct Net {
    nodes: [Node; 2],
    agenda: Agenda<Happening>,
    welcome: Welcome,
    accepted_after: u64,
}

impl Net {
    fn new(fates: Vec<Fate>, welcome: Welcome, accepted_after: u64) -> Self {
        Self { nodes: [Node::new(0), Node::new(1)], agenda: Agenda::new(fates), welcome, accepted_after }
    }

    fn call(&mut self, interval: &'static str) {
        let mut invite = invite();
        if !interval.is_empty() {
            invite = invite
                .with(HeaderName::Supported, &HeaderText::from_static("timer"))
                .with(HeaderName::SessionExpires, &HeaderText::from_static(interval));
        }
        self.nodes[0].session = Some(Session::call(invite, Arc::new(settings()), self.agenda.now));
        self.drain();
    }

    fn run(&mut self) {
        let timer = |net: &Self| net.nodes.iter().filter_map(Node::poll_timeout).min();
        while let Some(happening) = self.agenda.pass(timer(self)) {
            assert!(millis(self.agenda.now.moment) < 2 * CURFEW, "something never ends");
            if let Some(happening) = happening {
                self.happen(happening);
            } else {
                let now = self.agenda.now;
                self.nodes.iter_mut().for_each(|node| node.handle_timeout(now));
            }
            self.drain();
        }
    }

    fn happen(&mut self, happening: Happening) {
        let now = self.agenda.now;
        match happening {
            Happening::Arrive { at, bytes } => {
                let from = format!("{}:5060", ADDRESSES[1 - at]).parse().unwrap();
                let event = Event::Datagram { socket: ListenerId(0), from, bytes };
                self.nodes[at].endpoint.handle_net(event, now);
            }
            Happening::Deed(who, Deed::Say) => self.nodes[who].say(now),
            Happening::Deed(who, Deed::HangUp) => {
                if let Some(session) = &mut self.nodes[who].session {
                    session.end(now);
                }
            }
            Happening::Welcome => {
                let node = &mut self.nodes[1];
                let (Some(session), Some((_, invite))) = (&mut node.session, &node.invite) else { return };
                match self.welcome {
                    Welcome::Accept => session.accept(Some(sdp()), now),
                    Welcome::Refuse => session.refuse(Response::to(invite, 486), now),
                }
            }
        }
    }

    fn drain(&mut self) {
        for at in [0, 1, 0, 1] {
            let (now, node) = (self.agenda.now, &mut self.nodes[at]);
            let (mut datagrams, mut offered) = (Vec::new(), false);
            while node.step(&mut datagrams, &mut offered, now) {}
            for bytes in datagrams {
                self.carry(1 - at, &bytes);
            }
            if offered {
                self.agenda.schedule_after(self.accepted_after, Happening::Welcome);
            }
        }
    }

    fn carry(&mut self, at: usize, bytes: &Bytes) {
        self.agenda.carry(|| Happening::Arrive { at, bytes: bytes.clone() });
    }
}

impl Node {
    fn new(index: usize) -> Self {
        let host = Host::parse(ADDRESSES[index]).unwrap();
        let listener = Listener { id: ListenerId(0), transport: Transport::Udp, host, port: 5060 };
        let settings = endpoint::Settings::new(vec![listener], None, Trust("none".into()));
        let there = ADDRESSES[1 - index].parse().unwrap();
        Self {
            endpoint: Endpoint::new(settings, Ids::random([u8::try_from(index).unwrap(); 32])),
            session: None,
            sent: BTreeMap::new(),
            invite: None,
            route: Route::fixed(FixedHop::at(Transport::Udp, there, 5060)),
            next: 0,
            ended: 0,
            under_way: 0,
            confirmed: Vec::new(),
            saying: 0,
            heard: Vec::new(),
        }
    }

    fn poll_timeout(&self) -> Option<Moment> {
        let session = self.session.as_ref().and_then(Session::poll_timeout);
        clock_types::earliest(self.endpoint.poll_timeout(), session)
    }

    fn handle_timeout(&mut self, now: Now) {
        self.endpoint.handle_timeout(now);
        if let Some(session) = &mut self.session {
            session.handle_timeout(now);
        }
    }

    fn say(&mut self, now: Now) {
        let Some(session) = &mut self.session else { return };
        let text = (self.saying + 1).to_string();
        let dress = |request: Request| request.with_body(&ContentType::text_plain(), text.into());
        if session.send(Method::Message, dress, now).is_ok() {
            self.saying += 1;
            self.under_way += 1;
        }
    }

    /// Carries out one output of either machine; `false` if there is none.
    fn step(&mut self, datagrams: &mut Vec<Bytes>, offered: &mut bool, now: Now) -> bool {
        if let Some(output) = self.session.as_mut().and_then(Session::poll_output) {
            self.carry_out(output, offered, now);
            return true;
        }
        match self.endpoint.poll_output() {
            None => return false,
            Some(endpoint::Output::Order(Order::SendDatagram { bytes, .. })) => datagrams.push(bytes),
            Some(endpoint::Output::Request { key, request, .. }) => self.take(key, request, now),
            Some(endpoint::Output::Ack { request, .. }) => {
                if let Some(session) = &mut self.session {
                    session.handle_ack(&request, now);
                }
            }
            Some(endpoint::Output::Cancelled { key }) => {
                let is_ours = self.invite.as_ref().is_some_and(|(invite, _)| *invite == key);
                if is_ours && let Some(session) = &mut self.session {
                    session.handle_cancelled(now);
                }
            }
            Some(endpoint::Output::Response { key, response }) => {
                let about = self.sent[&key.0];
                self.session.as_mut().unwrap().handle_response(about, response, now);
            }
            Some(endpoint::Output::Failed { key, failure }) => {
                let about = self.sent[&key.0];
                self.session.as_mut().unwrap().handle_failure(about, failure, now);
            }
            Some(endpoint::Output::Expired { .. } | endpoint::Output::Notice(_)) => {}
            Some(endpoint::Output::Order(order)) => panic!("{order:?}"),
        }
        true
    }

    fn take(&mut self, key: endpoint::ServerKey, request: Arc<Request>, now: Now) {
        match &mut self.session {
            Some(session) if request.to().tag().is_some() => session.handle_request(key, request, now),
            None if *request.method() == Method::Invite => {
                self.invite = Some((key, Arc::clone(&request)));
                let contact = NameAddr::parse("<sip:bob@192.0.2.2>").unwrap();
                let tag = Token::parse("theirs").unwrap();
                let settings = Arc::new(settings());
                self.session = Some(Session::called(key, request, &tag, contact, settings, now));
            }
            Some(_) | None => self.endpoint.respond(key, Response::to(&request, 481), now),
        }
    }

    fn carry_out(&mut self, output: Output, offered: &mut bool, now: Now) {
        match output {
            Output::Send { about, request, .. } => {
                self.next += 1;
                self.sent.insert(self.next, about);
                self.endpoint.send(RequestKey(self.next), *request, &self.route, now);
            }
            Output::Cancel => {
                let invite = self.sent.iter().find(|(_, about)| **about == About::Invite).unwrap();
                self.endpoint.cancel(RequestKey(*invite.0), now);
            }
            Output::Respond { key, response } => self.endpoint.respond(key, *response, now),
            Output::Offered => *offered = true,
            Output::Request { key, request } => {
                let text = std::str::from_utf8(request.body()).unwrap().parse().unwrap();
                self.heard.push(text);
                self.endpoint.respond(key, Response::to(&request, 200), now);
            }
            Output::Response(response) => {
                self.under_way -= 1;
                if response.status() == 200 {
                    self.confirmed.push(self.saying);
                }
            }
            Output::RequestFailed(_) => self.under_way -= 1,
            Output::Ended(_) => self.ended += 1,
            Output::Progress(_) | Output::Established(_) | Output::Modified(_) => {}
        }
    }
}

fn invite() -> Request {
    let address = |uri: &str| NameAddr::new(Uri::parse(uri).unwrap());
    Request::new(
        Method::Invite,
        Uri::parse("sip:bob@s.example").unwrap(),
        address("sip:ann@x.example").with_tag(&Token::parse("mine").unwrap()),
        address("sip:bob@s.example"),
        CallId::parse("call-1").unwrap(),
        1,
    )
    .with_contact(&address("sip:ann@192.0.2.1"))
    .with_body(&sdp().content_type, sdp().body)
}
