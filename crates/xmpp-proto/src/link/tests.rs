//! Both ends of the link, talking to each other in memory.

use clock_types::{Date, Ids, Moment, Now};
use net_types::ConnectionId;
use xmpp_types::ns;
use xmpp_types::xml::Element;

use super::acceptor::Output as FromAcceptor;
use super::dialer::Output as FromDialer;
use super::*;

fn at(millis: u64) -> Now {
    Now { moment: Moment::ZERO + Duration::from_millis(millis), date: Date::default() }
}

fn message(id: &str) -> Element {
    Element::new(ns::SERVER, "message").with_attr("id", id).with_attr("from", "a@x").with_attr("to", "b@y")
}

/// A dialer, an acceptor, and the cable between them.
struct Cable {
    dialer: Dialer,
    acceptor: Acceptor,
    connection: Option<ConnectionId>,
    connections: u64,
    is_cut: bool,
    from_dialer: Vec<FromDialer>,
    from_acceptor: Vec<FromAcceptor>,
    crossed: String,
}

impl Cable {
    fn new() -> Self {
        let proxy = LinkSettings { name: "proxy".into(), ..LinkSettings::default() };
        Self {
            dialer: Dialer::new(LinkSettings::default(), Ids::counting()),
            acceptor: Acceptor::new(proxy, Ids::counting()),
            connection: None,
            connections: 0,
            is_cut: false,
            from_dialer: Vec::new(),
            from_acceptor: Vec::new(),
            crossed: String::new(),
        }
    }

    /// Lets both ends act until neither has anything to say; what they tell is kept.
    fn run(&mut self, now: Now) -> &mut Self {
        loop {
            let mut quiet = true;
            while let Some(output) = self.dialer.poll_output() {
                quiet = false;
                self.carry_from_dialer(output, now);
            }
            while let Some(output) = self.acceptor.poll_output() {
                quiet = false;
                self.carry_from_acceptor(output, now);
            }
            if quiet {
                return self;
            }
        }
    }

    fn carry_from_dialer(&mut self, output: FromDialer, now: Now) {
        match output {
            FromDialer::Connect if self.is_cut => self.dialer.handle_closed(Some("no route".into()), now),
            FromDialer::Connect => {
                self.connections += 1;
                let connection = ConnectionId::accepted(self.connections);
                self.connection = Some(connection);
                self.acceptor.handle_accepted(connection, now);
                self.dialer.handle_connected(now);
            }
            FromDialer::Send(bytes) => {
                self.crossed.push_str(std::str::from_utf8(&bytes).unwrap());
                if let (Some(connection), false) = (self.connection, self.is_cut) {
                    self.acceptor.handle_bytes(connection, &bytes, now);
                }
            }
            FromDialer::Close => {
                if let (Some(connection), false) = (self.connection.take(), self.is_cut) {
                    self.acceptor.handle_closed(connection, None, now);
                }
            }
            other => self.from_dialer.push(other),
        }
    }

    fn carry_from_acceptor(&mut self, output: FromAcceptor, now: Now) {
        match output {
            FromAcceptor::Send(connection, bytes) => {
                self.crossed.push_str(std::str::from_utf8(&bytes).unwrap());
                if self.connection == Some(connection) && !self.is_cut {
                    self.dialer.handle_bytes(&bytes, now);
                }
            }
            FromAcceptor::Close(connection) => {
                if self.connection == Some(connection) && !self.is_cut {
                    self.connection = None;
                    self.dialer.handle_closed(None, now);
                }
            }
            other => self.from_acceptor.push(other),
        }
    }

    /// Breaks the connection without a word; both ends notice.
    fn cut(&mut self, now: Now) {
        if let Some(connection) = self.connection.take() {
            self.acceptor.handle_closed(connection, Some("connection reset".into()), now);
            self.dialer.handle_closed(Some("connection reset".into()), now);
        }
        self.is_cut = true;
        self.run(now);
    }

    /// Mends it and lets the dialer's pause pass.
    fn mend(&mut self, now: Now) {
        self.is_cut = false;
        self.dialer.handle_timeout(now);
        self.run(now);
    }

    fn gateway(&self) -> Gateway {
        self.acceptor.gateways().next().expect("a gateway is connected")
    }

    /// The stanzas that reached the dialer since last asked, by name and id.
    fn at_dialer(&mut self) -> Vec<(ReceivedId, String)> {
        let told = std::mem::take(&mut self.from_dialer);
        let (stanzas, rest) =
            told.into_iter().partition(|output| matches!(output, FromDialer::Stanza { .. }));
        self.from_dialer = rest;
        let named = |output| match output {
            FromDialer::Stanza { n, stanza } => (n, id_of(&stanza)),
            other => panic!("{other:?}"),
        };
        Vec::into_iter(stanzas).map(named).collect()
    }

    fn at_acceptor(&mut self) -> Vec<(ReceivedId, String)> {
        let told = std::mem::take(&mut self.from_acceptor);
        let (stanzas, rest) =
            told.into_iter().partition(|output| matches!(output, FromAcceptor::Stanza { .. }));
        self.from_acceptor = rest;
        let named = |output| match output {
            FromAcceptor::Stanza { n, stanza, .. } => (n, id_of(&stanza)),
            other => panic!("{other:?}"),
        };
        Vec::into_iter(stanzas).map(named).collect()
    }

    fn settled_at_dialer(&mut self) -> Vec<u64> {
        let told = std::mem::take(&mut self.from_dialer);
        told.iter()
            .filter_map(|output| if let FromDialer::Settled(id) = output { Some(id.0) } else { None })
            .collect()
    }

    fn settled_at_acceptor(&mut self) -> Vec<u64> {
        let told = std::mem::take(&mut self.from_acceptor);
        told.iter()
            .filter_map(|output| if let FromAcceptor::Settled(_, id) = output { Some(id.0) } else { None })
            .collect()
    }
}

fn id_of(stanza: &Element) -> String {
    stanza.attr("id").unwrap_or_default().to_string()
}

fn ids(stanzas: &[(ReceivedId, String)]) -> Vec<&str> {
    stanzas.iter().map(|(_, id)| &**id).collect()
}

#[test]
fn the_link_comes_up_and_carries_stanzas_both_ways() {
    let mut cable = Cable::new();
    cable.run(at(0));
    assert!(cable.from_dialer.contains(&FromDialer::Up { resumed: false }));
    let gateway = cable.gateway();

    cable.dialer.send(message("to-proxy"), at(1));
    cable.acceptor.send(gateway, message("to-gateway"), at(1));
    cable.run(at(1));

    assert_eq!(ids(&cable.at_acceptor()), ["to-proxy"]);
    assert_eq!(ids(&cable.at_dialer()), ["to-gateway"]);
}

#[test]
fn the_gateway_knows_how_far_partners_are_believed_before_the_first_stanza_and_after_each_change() {
    let mut cable = Cable::new();
    let table = |kind| {
        let mut table = PartnerTable::new(None);
        table.name(&"x.example".parse().unwrap(), kind, Reach::Itself);
        table
    };
    let news = |cable: &mut Cable| {
        let told = std::mem::take(&mut cable.from_dialer).into_iter();
        told.filter(|told| !matches!(told, FromDialer::Settled(_))).collect::<Vec<_>>()
    };
    cable.acceptor.set_partners(table(PartnerKind::Federated));
    cable.run(at(0));
    let (up, first) =
        (FromDialer::Up { resumed: false }, FromDialer::Partners(table(PartnerKind::Federated)));
    assert_eq!(news(&mut cable), [up, first]);

    cable.acceptor.set_partners(table(PartnerKind::Federated));
    cable.run(at(1));
    assert_eq!(news(&mut cable), []);
    cable.acceptor.set_partners(table(PartnerKind::PublicVerified));
    cable.run(at(2));
    assert_eq!(news(&mut cable), [FromDialer::Partners(table(PartnerKind::PublicVerified))]);

    let domain = "x.example".parse().unwrap();
    cable.acceptor.announce_broken(&domain);
    cable.run(at(2));
    assert_eq!(news(&mut cable), [FromDialer::Broken(domain)]);

    let gateway = cable.gateway();
    cable.cut(at(3));
    news(&mut cable);
    cable.acceptor.set_partners(table(PartnerKind::PublicUnverified));
    cable.acceptor.send(gateway, message("held"), at(4));
    cable.mend(at(1000));
    let told = news(&mut cable);
    assert_eq!(
        told[..2],
        [FromDialer::Up { resumed: true }, FromDialer::Partners(table(PartnerKind::PublicUnverified)),]
    );
    assert!(matches!(&told[2..], [FromDialer::Stanza { stanza, .. }] if id_of(stanza) == "held"), "{told:?}");
}

#[test]
fn each_stanza_is_settled_by_itself_and_in_runs() {
    let mut cable = Cable::new();
    cable.run(at(0));
    let sent: Vec<u64> = (1..=3).map(|n| cable.dialer.send(message(&n.to_string()), at(1)).0).collect();
    cable.run(at(1));
    let received = cable.at_acceptor();
    let gateway = cable.gateway();
    cable.settled_at_dialer();

    cable.acceptor.settle(gateway, received[1].0, at(2));
    cable.run(at(2));
    assert!(cable.crossed.ends_with("<settled xmlns='urn:gangway:link:0' n='2'/>"), "{}", cable.crossed);
    assert_eq!(cable.settled_at_dialer(), [sent[1]]);

    cable.acceptor.settle(gateway, received[0].0, at(3));
    cable.run(at(3));
    assert!(cable.crossed.ends_with("<a xmlns='urn:xmpp:sm:3' h='2'/>"), "{}", cable.crossed);
    assert_eq!(cable.settled_at_dialer(), [sent[0]]);
    assert_eq!(cable.dialer.waiting(), 1);
}

#[test]
fn after_a_break_nothing_is_lost_and_nothing_comes_twice() {
    let mut cable = Cable::new();
    cable.run(at(0));
    let gateway = cable.gateway();
    for n in 1..=3 {
        cable.dialer.send(message(&format!("d{n}")), at(1));
        cable.acceptor.send(gateway, message(&format!("a{n}")), at(1));
    }
    cable.run(at(1));
    let (to_proxy, to_gateway) = (cable.at_acceptor(), cable.at_dialer());
    cable.acceptor.settle(gateway, to_proxy[1].0, at(2));
    cable.dialer.settle(to_gateway[0].0, at(2));
    cable.run(at(2));

    cable.cut(at(3));
    cable.dialer.send(message("d4"), at(4));
    cable.acceptor.send(gateway, message("a4"), at(4));
    // What is settled while the cable is cut is told when it is mended.
    cable.acceptor.settle(gateway, to_proxy[2].0, at(4));
    cable.dialer.settle(to_gateway[2].0, at(4));
    cable.mend(at(1000));

    assert_eq!(ids(&cable.at_acceptor()), ["d4"]);
    assert_eq!(ids(&cable.at_dialer()), ["a4"]);
    assert_eq!(cable.gateway(), gateway);
    assert_eq!(cable.settled_at_dialer(), [2, 3]);
    assert_eq!(cable.settled_at_acceptor(), [1, 3]);
    cable.acceptor.settle(gateway, to_proxy[0].0, at(1001));
    cable.run(at(1001));
    assert_eq!(cable.settled_at_dialer(), [1]);
}

#[test]
fn what_was_under_way_when_the_cable_broke_is_sent_again() {
    let mut cable = Cable::new();
    cable.run(at(0));
    let gateway = cable.gateway();
    cable.is_cut = true;
    cable.dialer.send(message("d1"), at(1));
    cable.acceptor.send(gateway, message("a1"), at(1));
    cable.run(at(1));
    assert_eq!((cable.at_acceptor(), cable.at_dialer()), (vec![], vec![]));

    cable.is_cut = false;
    cable.cut(at(2));
    cable.mend(at(1000));

    assert_eq!(ids(&cable.at_acceptor()), ["d1"]);
    assert_eq!(ids(&cable.at_dialer()), ["a1"]);
}

#[test]
fn a_gateway_that_starts_anew_leaves_what_it_had_to_others() {
    let mut cable = Cable::new();
    cable.run(at(0));
    let old = cable.gateway();
    let sent = cable.acceptor.send(old, message("a1"), at(1)).unwrap();
    cable.run(at(1));

    cable.cut(at(2));
    cable.dialer = Dialer::new(LinkSettings::default(), Ids::counting());
    cable.is_cut = false;
    cable.run(at(3));

    let lost = cable.from_acceptor.iter().find_map(|output| match output {
        FromAcceptor::Lost(gateway, stanzas) => Some((*gateway, stanzas.clone())),
        _ => None,
    });
    let (gateway, stanzas) = lost.expect("the old session is over");
    assert_eq!(gateway, old);
    assert_eq!(
        stanzas.iter().map(|(id, stanza)| (*id, id_of(stanza))).collect::<Vec<_>>(),
        [(sent, "a1".into())]
    );
    assert_ne!(cable.gateway(), old);
}

#[test]
fn a_proxy_that_starts_anew_is_sent_all_that_it_had_not_settled() {
    let mut cable = Cable::new();
    cable.run(at(0));
    for n in 1..=3 {
        cable.dialer.send(message(&format!("d{n}")), at(1));
    }
    cable.run(at(1));
    let received = cable.at_acceptor();
    let gateway = cable.gateway();
    cable.acceptor.settle(gateway, received[1].0, at(1));
    cable.run(at(1));

    cable.cut(at(2));
    cable.acceptor =
        Acceptor::new(LinkSettings { name: "proxy".into(), ..LinkSettings::default() }, Ids::counting());
    cable.mend(at(1000));

    assert!(cable.crossed.contains("<item-not-found"), "the resumption is refused");
    let again = cable.at_acceptor();
    assert_eq!(ids(&again), ["d1", "d3"]);
    let gateway = cable.gateway();
    cable.settled_at_dialer();
    cable.acceptor.settle(gateway, again[1].0, at(1001));
    cable.run(at(1001));
    assert_eq!(cable.settled_at_dialer(), [3]);
}

#[test]
fn a_session_that_nobody_resumes_is_over_after_a_while() {
    let mut cable = Cable::new();
    cable.run(at(0));
    let gateway = cable.gateway();
    cable.acceptor.send(gateway, message("a1"), at(1));
    cable.run(at(1));
    cable.cut(at(2));
    assert_eq!(cable.acceptor.poll_timeout(), Some(at(60_002).moment));

    cable.acceptor.handle_timeout(at(60_002));
    cable.run(at(60_002));

    assert!(cable.from_acceptor.iter().any(|output| matches!(output, FromAcceptor::Lost(..))));
    assert!(cable.acceptor.send(gateway, message("a2"), at(60_003)).is_none());
}

#[test]
fn a_dead_other_end_is_noticed_within_twenty_seconds() {
    let mut cable = Cable::new();
    cable.run(at(0));
    cable.is_cut = true;

    for seconds in 1..=20 {
        cable.dialer.handle_timeout(at(seconds * 1000));
        cable.acceptor.handle_timeout(at(seconds * 1000));
        cable.run(at(seconds * 1000));
    }

    assert!(!cable.dialer.is_up());
    assert_eq!(cable.acceptor.gateways().count(), 0);
}

#[test]
fn dialling_goes_on_with_longer_pauses() {
    let mut cable = Cable::new();
    cable.is_cut = true;
    cable.run(at(0));
    let mut pauses = Vec::new();
    let mut now = Moment::ZERO;

    for _ in 0..10 {
        let next = cable.dialer.poll_timeout().unwrap();
        pauses.push(next.since(now));
        now = next;
        cable.dialer.handle_timeout(Now { moment: now, date: Date::default() });
        cable.run(Now { moment: now, date: Date::default() });
    }

    assert!(pauses[0] <= Duration::from_millis(250));
    assert!(pauses[9] >= Duration::from_secs(5) && pauses[9] <= Duration::from_secs(10));
}

#[test]
fn acknowledging_what_was_never_sent_ends_the_session() {
    let mut cable = Cable::new();
    cable.run(at(0));
    let connection = cable.connection.unwrap();

    cable.acceptor.handle_bytes(connection, b"<a xmlns='urn:xmpp:sm:3' h='5'/>", at(1));
    cable.run(at(1));

    assert!(cable.crossed.contains("handled-count-too-high"), "{}", cable.crossed);
    assert!(cable.from_acceptor.iter().any(|output| matches!(output, FromAcceptor::Lost(..))));
}

#[test]
fn a_peer_that_is_no_gateway_is_refused_with_a_stream_error() {
    let mut acceptor = Acceptor::new(LinkSettings::default(), Ids::counting());
    let connection = ConnectionId::accepted(1);
    acceptor.handle_accepted(connection, at(0));

    acceptor.handle_bytes(connection, b"GET / HTTP/1.1\r\n\r\n", at(0));

    let FromAcceptor::Send(_, bytes) = acceptor.poll_output().unwrap() else { panic!("nothing was sent") };
    assert!(String::from_utf8(bytes).unwrap().contains("<stream:error>"));
    assert_eq!(acceptor.poll_output(), Some(FromAcceptor::Close(connection)));
    assert!(!acceptor.owns(connection));
}

#[test]
fn stopping_says_so_and_the_sessions_are_kept() {
    let mut cable = Cable::new();
    cable.run(at(0));

    cable.acceptor.stop(at(1));
    cable.run(at(1));

    assert!(cable.crossed.contains("<system-shutdown"), "{}", cable.crossed);
    assert!(!cable.dialer.is_up());
    assert_eq!(cable.acceptor.sessions().count(), 1);
}

/// Another server's end of an ordinary component stream, as XEP-0114 has it.
#[test]
fn with_a_secret_the_dialer_is_an_ordinary_component() {
    let settings = LinkSettings {
        peer: "plays.shakespeare.lit".into(),
        secret: Some("test".into()),
        ..LinkSettings::default()
    };
    let mut dialer = Dialer::new(settings, Ids::counting());
    let drain = |dialer: &mut Dialer| {
        let mut sent = String::new();
        let mut rest = Vec::new();
        while let Some(output) = dialer.poll_output() {
            match output {
                FromDialer::Send(bytes) => sent.push_str(std::str::from_utf8(&bytes).unwrap()),
                other => rest.push(other),
            }
        }
        (sent, rest)
    };
    assert_eq!(drain(&mut dialer).1, [FromDialer::Connect]);
    dialer.handle_connected(at(0));
    let (header, _) = drain(&mut dialer);
    assert!(header.contains("to='plays.shakespeare.lit'") && !header.contains("'1.0'>"), "{header}");

    dialer.handle_bytes(
        b"<?xml version='1.0'?><stream:stream xmlns:stream='http://etherx.jabber.org/streams' \
          xmlns='jabber:component:accept' from='plays.shakespeare.lit' id='3BF96D32'>",
        at(0),
    );
    let (sent, _) = drain(&mut dialer);
    assert_eq!(sent, "<handshake>aaee83c26aeeafcbabeabfcbcd50df997e0a2a1e</handshake>");
    let sent_id = dialer.send(message("m1"), at(1));
    dialer.handle_bytes(b"<handshake/>", at(1));
    let (sent, told) = drain(&mut dialer);
    assert!(sent.starts_with("<message id='m1'"), "{sent}");
    assert!(sent.contains("<ping xmlns='urn:xmpp:ping'/>"), "{sent}");
    assert_eq!(told, [FromDialer::Up { resumed: false }]);

    // The server routes the ping back to the component, behind the message.
    dialer.handle_bytes(
        b"<iq type='get' from='plays.shakespeare.lit' to='plays.shakespeare.lit' id='ping-1'>\
          <ping xmlns='urn:xmpp:ping'/></iq>",
        at(2),
    );
    assert_eq!(drain(&mut dialer).1, [FromDialer::Settled(sent_id)]);
}
