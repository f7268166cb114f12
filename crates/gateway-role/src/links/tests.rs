use clock_types::Date;
use net_types::Stage;

use super::*;

const NOW: Now = Now { moment: Moment::ZERO, date: Date::from_unix_millis(0) };

/// One link, and what it orders next.
struct Dialling {
    links: Links,
    now: Now,
}

impl Dialling {
    fn new(host: Option<(&str, u16)>) -> Self {
        let proxy = ProxyLink {
            name: "proxy".to_owned(),
            remote: remote("192.0.2.1:23456"),
            host: host.map(|(host, port)| (host.to_owned(), port)),
            tls: None,
        };
        Self { links: Links::new("gateway", &[proxy], &mut Ids::counting()), now: NOW }
    }

    /// Waits until it is dialled, or somebody is asked where it is.
    #[track_caller]
    fn next(&mut self) -> Order {
        for _ in 0..10 {
            while let Some(event) = self.links.poll() {
                if let LinkEvent::Order(order) = event {
                    return order;
                }
            }
            self.now.moment = self.links.poll_timeout().expect("it goes on");
            self.links.handle_timeout(self.now);
        }
        panic!("it does not go on");
    }

    #[track_caller]
    fn dialled(&mut self) -> Remote {
        let Order::Connect { connection, to, .. } = self.next() else { panic!("it is not dialled") };
        let (stage, reason) = (Stage::Tcp, "connection refused".to_owned());
        assert!(self.links.take(Event::ConnectFailed { connection, stage, reason }, self.now).is_none());
        to
    }

    #[track_caller]
    fn asked(&mut self, answer: Result<&[&str], Failure>) {
        let Order::Resolve { query, question } = self.next() else { panic!("nobody is asked") };
        assert_eq!(question, Question::Addresses("edge.example.com".to_owned()));
        let records = |all: &[&str]| all.iter().map(|one| Record::Address(one.parse().unwrap())).collect();
        let answer = answer.map(|all| Answer { records: records(all), secure: false });
        assert!(self.links.take(Event::Resolved { query, answer }, self.now).is_none());
    }
}

fn remote(text: &str) -> Remote {
    Remote::Address(text.parse().unwrap())
}

#[test]
fn a_proxy_with_a_name_is_looked_up_again_before_it_is_dialled_again() {
    let mut link = Dialling::new(Some(("edge.example.com", 23456)));
    assert_eq!(link.dialled(), remote("192.0.2.1:23456"));

    link.asked(Ok(&["192.0.2.2"]));

    assert_eq!(link.dialled(), remote("192.0.2.2:23456"));
}

#[test]
fn of_several_addresses_another_one_is_dialled_each_time() {
    let mut link = Dialling::new(Some(("edge.example.com", 23456)));
    link.dialled();
    let mut dialled = Vec::new();

    for _ in 0..2 {
        link.asked(Ok(&["192.0.2.2", "2001:db8::2"]));
        dialled.push(link.dialled());
    }

    assert_eq!(dialled, [remote("[2001:db8::2]:23456"), remote("192.0.2.2:23456")]);
}

#[test]
fn a_proxy_of_which_nothing_is_known_any_more_is_tried_where_it_was() {
    let mut link = Dialling::new(Some(("edge.example.com", 23456)));
    link.dialled();

    for answer in [Err(Failure::NoSuchName), Ok(&[][..])] {
        link.asked(answer);
        assert_eq!(link.dialled(), remote("192.0.2.1:23456"));
    }
}

#[test]
fn a_proxy_with_an_address_is_dialled_without_asking() {
    let mut link = Dialling::new(None);

    assert_eq!(link.dialled(), remote("192.0.2.1:23456"));
    assert_eq!(link.dialled(), remote("192.0.2.1:23456"));
}
