//! Two endpoints and a network that loses, repeats and reorders, in virtual time.

use std::collections::{BTreeMap, BTreeSet};

use clock_types::Ids;
use net_types::{Bytes, Event, ListenerId, Order, Trust};
use proptest::prelude::*;
use sip_proto::endpoint::{Endpoint, Listener, Output, RequestKey, Route, Settings, Transport};
use sip_types::header::{CallId, NameAddr};
use sip_types::uri::{Host, Uri};
use sip_types::{Method, Request, Response, Token};

use crate::network::{Agenda, Fate, fate};
use crate::world::{address, fixed};

const CLIENT: &str = "192.0.2.1:5060";
const SERVER: &str = "192.0.2.2:5060";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_request_ends_once_and_is_handed_up_once_at_most(
        fates in proptest::collection::vec(fate(4900), 1..400),
        sent_at in proptest::collection::vec(0_u64..5000, 1..30),
        answered_after in proptest::collection::vec(0_u64..40_000, 1..30),
        statuses in proptest::collection::vec(prop_oneof![Just(200_u16), Just(202), Just(404), Just(503), Just(408)], 1..30),
    ) {
        let mut net = Net::new(fates);
        for (n, at) in sent_at.iter().enumerate() {
            net.agenda.schedule(*at, Happening::Send(n as u64));
        }

        net.run(&answered_after, &statuses);

        let sent: BTreeSet<u64> = (0..sent_at.len() as u64).collect();
        prop_assert_eq!(net.ended.keys().copied().collect::<BTreeSet<_>>(), sent);
        prop_assert!(net.ended.values().all(|times| *times == 1), "{:?}", net.ended);
        prop_assert!(net.handed_up.values().all(|statuses| statuses.len() == 1), "{:?}", net.handed_up);
        prop_assert!(net.client.is_quiet() && net.server.is_quiet());
        let (client, server) = (net.client.snapshot(net.agenda.now), net.server.snapshot(net.agenda.now));
        prop_assert_eq!((client.timers, server.timers, server.remembered), (0, 0, 0));
    }
}

enum Happening {
    Send(u64),
    Arrive { at_server: bool, bytes: Bytes },
    Answer { key: sip_proto::endpoint::ServerKey, response: Box<Response> },
}

struct Net {
    client: Endpoint,
    server: Endpoint,
    agenda: Agenda<Happening>,
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
            agenda: Agenda::new(fates),
            route: fixed(Transport::Udp, "192.0.2.2", 5060),
            ended: BTreeMap::new(),
            handed_up: BTreeMap::new(),
        }
    }

    fn run(&mut self, answered_after: &[u64], statuses: &[u16]) {
        let timer = |net: &Self| clock_types::earliest(net.client.poll_timeout(), net.server.poll_timeout());
        while let Some(happening) = self.agenda.pass(timer(self)) {
            if let Some(happening) = happening {
                self.happen(happening);
            } else {
                self.client.handle_timeout(self.agenda.now);
                self.server.handle_timeout(self.agenda.now);
            }
            self.drain(answered_after, statuses);
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Send(n) => self.client.send(RequestKey(n), request(n), &self.route, self.agenda.now),
            Happening::Arrive { at_server: true, bytes } => {
                let event = Event::Datagram { socket: ListenerId(0), from: address(CLIENT), bytes };
                self.server.handle_net(event, self.agenda.now);
            }
            Happening::Arrive { at_server: false, bytes } => {
                let event = Event::Datagram { socket: ListenerId(0), from: address(SERVER), bytes };
                self.client.handle_net(event, self.agenda.now);
            }
            Happening::Answer { key, response } => self.server.respond(key, *response, self.agenda.now),
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
                    self.agenda
                        .schedule_after(after, Happening::Answer { key, response: Box::new(response) });
                }
                Output::Expired { .. } | Output::Notice(_) => {}
                other => panic!("the server does not do this: {other:?}"),
            }
        }
    }

    fn carry(&mut self, at_server: bool, bytes: &Bytes) {
        self.agenda.carry(|| Happening::Arrive { at_server, bytes: bytes.clone() });
    }
}

fn request(n: u64) -> Request {
    let address = |uri: &str| NameAddr::new(Uri::parse(uri).unwrap());
    let from = address("sip:ann@x.example").with_tag(&Token::parse("a").unwrap());
    let (uri, to) = (Uri::parse("sip:bob@s.example").unwrap(), address("sip:bob@s.example"));
    Request::new(Method::Message, uri, from, to, CallId::parse(format!("call-{n}")).unwrap(), 1)
}
