//! Two endpoints and a network that loses, repeats and reorders, in virtual time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use clock_types::{Date, Ids, Moment, Now};
use net_types::{Bytes, Event, ListenerId, Order, Trust};
use proptest::prelude::*;
use sip_proto::endpoint::{Endpoint, Listener, Output, RequestKey, Route, Settings, Transport};
use sip_types::header::{CallId, NameAddr};
use sip_types::uri::{Host, Uri};
use sip_types::{Method, Request, Response, Token};

use crate::world::{address, fixed};

const CLIENT: &str = "192.0.2.1:5060";
const SERVER: &str = "192.0.2.2:5060";

/// What the network does with one datagram.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Lost,
    Arrives(u64),
    Twice(u64, u64),
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_request_ends_once_and_is_handed_up_once_at_most(
        fates in proptest::collection::vec(fate(), 1..400),
        sent_at in proptest::collection::vec(0_u64..5000, 1..30),
        answered_after in proptest::collection::vec(0_u64..40_000, 1..30),
        statuses in proptest::collection::vec(prop_oneof![Just(200_u16), Just(202), Just(404), Just(503), Just(408)], 1..30),
    ) {
        let mut net = Net::new(fates);
        for (n, at) in sent_at.iter().enumerate() {
            net.schedule(*at, Happening::Send(n as u64));
        }

        net.run(&answered_after, &statuses);

        let sent: BTreeSet<u64> = (0..sent_at.len() as u64).collect();
        prop_assert_eq!(net.ended.keys().copied().collect::<BTreeSet<_>>(), sent);
        prop_assert!(net.ended.values().all(|times| *times == 1), "{:?}", net.ended);
        prop_assert!(net.handed_up.values().all(|statuses| statuses.len() == 1), "{:?}", net.handed_up);
        prop_assert!(net.client.is_quiet() && net.server.is_quiet());
        let (client, server) = (net.client.snapshot(net.now), net.server.snapshot(net.now));
        prop_assert_eq!((client.timers, server.timers, server.remembered), (0, 0, 0));
    }
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        2 => Just(Fate::Lost),
        4 => (1_u64..300).prop_map(Fate::Arrives),
        1 => (1_u64..4900).prop_map(Fate::Arrives),
        1 => (1_u64..300, 1_u64..3000).prop_map(|(one, other)| Fate::Twice(one, other)),
    ]
}

enum Happening {
    Send(u64),
    Arrive { at_server: bool, bytes: Bytes },
    Answer { key: sip_proto::endpoint::ServerKey, response: Box<Response> },
}

struct Net {
    client: Endpoint,
    server: Endpoint,
    now: Now,
    fates: Vec<Fate>,
    next_fate: usize,
    agenda: BTreeMap<(u64, u64), Happening>,
    counter: u64,
    route: Route,
    /// How often each request ended.
    ended: BTreeMap<u64, u32>,
    /// With which status each request that was handed up is answered, by Call-ID.
    handed_up: BTreeMap<String, Vec<u16>>,
}

impl Net {
    fn new(fates: Vec<Fate>) -> Self {
        let endpoint = |host: &str, seed: u8| {
            let host = Host::parse(host).unwrap();
            let listener = Listener { id: ListenerId(0), transport: Transport::Udp, host, port: 5060 };
            Endpoint::new(Settings::new(vec![listener], None, Trust("none".into())), Ids::random([seed; 32]))
        };
        Self {
            client: endpoint("192.0.2.1", 1),
            server: endpoint("192.0.2.2", 2),
            now: Now { moment: Moment::ZERO, date: Date::default() },
            fates,
            next_fate: 0,
            agenda: BTreeMap::new(),
            counter: 0,
            route: fixed(Transport::Udp, "192.0.2.2", 5060),
            ended: BTreeMap::new(),
            handed_up: BTreeMap::new(),
        }
    }

    fn schedule(&mut self, at: u64, happening: Happening) {
        self.counter += 1;
        self.agenda.insert((at, self.counter), happening);
    }

    fn clock(&self) -> u64 {
        u64::try_from(self.now.moment.since_origin().as_millis()).unwrap()
    }

    fn run(&mut self, answered_after: &[u64], statuses: &[u16]) {
        loop {
            let timer = clock_types::earliest(self.client.poll_timeout(), self.server.poll_timeout());
            let timer = timer.map(|moment| u64::try_from(moment.since_origin().as_millis()).unwrap());
            let event = self.agenda.keys().next().map(|(at, _)| *at);
            let Some(next) = timer.into_iter().chain(event).min() else { return };
            let next = next.max(self.clock());
            self.now = self.now.plus(Duration::from_millis(next - self.clock()));
            if event.is_some_and(|at| at <= next) {
                let (_, happening) = self.agenda.pop_first().unwrap();
                self.happen(happening);
            } else {
                self.client.handle_timeout(self.now);
                self.server.handle_timeout(self.now);
            }
            self.drain(answered_after, statuses);
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Send(n) => self.client.send(RequestKey(n), request(n), &self.route, self.now),
            Happening::Arrive { at_server: true, bytes } => {
                let event = Event::Datagram { socket: ListenerId(0), from: address(CLIENT), bytes };
                self.server.handle_net(event, self.now);
            }
            Happening::Arrive { at_server: false, bytes } => {
                let event = Event::Datagram { socket: ListenerId(0), from: address(SERVER), bytes };
                self.client.handle_net(event, self.now);
            }
            Happening::Answer { key, response } => self.server.respond(key, *response, self.now),
        }
    }

    fn drain(&mut self, answered_after: &[u64], statuses: &[u16]) {
        while let Some(output) = self.client.poll_output() {
            match output {
                Output::Order(Order::SendDatagram { bytes, .. }) => self.carry(true, &bytes),
                Output::Response { key, response } => {
                    assert!(response.status() >= 200);
                    *self.ended.entry(key.0).or_default() += 1;
                }
                Output::Failed { key, .. } => *self.ended.entry(key.0).or_default() += 1,
                Output::Notice(_) => {}
                other => panic!("the client does not do this: {other:?}"),
            }
        }
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Order(Order::SendDatagram { bytes, .. }) => self.carry(false, &bytes),
                Output::Request { key, request, .. } => {
                    let calls = self.handed_up.len();
                    let status = statuses[calls % statuses.len()];
                    let call = request.call_id().as_str().to_owned();
                    self.handed_up.entry(call).or_default().push(status);
                    let response = Response::to(&request, status).with_to_tag(&Token::parse("s").unwrap());
                    let after = answered_after[calls % answered_after.len()];
                    let at = self.clock() + after;
                    self.schedule(at, Happening::Answer { key, response: Box::new(response) });
                }
                Output::Expired { .. } | Output::Notice(_) => {}
                other => panic!("the server does not do this: {other:?}"),
            }
        }
    }

    fn carry(&mut self, at_server: bool, bytes: &Bytes) {
        let fate = self.fates[self.next_fate % self.fates.len()];
        self.next_fate += 1;
        let arrivals = match fate {
            Fate::Lost => vec![],
            Fate::Arrives(after) => vec![after],
            Fate::Twice(one, other) => vec![one, other],
        };
        for after in arrivals {
            let at = self.clock() + after;
            self.schedule(at, Happening::Arrive { at_server, bytes: bytes.clone() });
        }
    }
}

fn request(n: u64) -> Request {
    let address = |uri: &str| NameAddr::new(Uri::parse(uri).unwrap());
    let from = address("sip:ann@x.example").with_tag(&Token::parse("a").unwrap());
    let (uri, to) = (Uri::parse("sip:bob@s.example").unwrap(), address("sip:bob@s.example"));
    Request::new(Method::Message, uri, from, to, CallId::parse(format!("call-{n}")).unwrap(), 1)
}
