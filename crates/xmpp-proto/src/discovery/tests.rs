use super::*;

fn now() -> Now {
    Now { moment: Moment::ZERO, date: clock_types::Date::default() }
}

fn settings() -> Settings {
    Settings {
        fixed_host: None,
        direct_tls: true,
        dane: false,
        addresses: AddressRule::PublicOnly,
        targets_max: 16,
        patience: Duration::from_secs(5),
    }
}

fn search(settings: Settings) -> Discovery {
    let domain = DomainName::parse("partner.example").unwrap();
    Discovery::new(&domain, settings, Ids::counting(), now())
}

fn srv(priority: u16, target: &str, port: u16) -> Record {
    Record::Srv { priority, weight: 0, port, target: target.into() }
}

fn address(text: &str) -> Record {
    Record::Address(text.parse().unwrap())
}

fn answer(records: impl IntoIterator<Item = Record>) -> Result<Answer, DnsFailure> {
    Ok(Answer { records: records.into_iter().collect(), secure: false })
}

/// Answers all questions from a table until the search ends.
#[track_caller]
fn outcome(mut search: Discovery, zone: &[(&str, Result<Answer, DnsFailure>)]) -> Output {
    for _ in 0..100 {
        match search.poll_output().expect("the search must end") {
            Output::Ask(number, question) => {
                let name = match question {
                    Question::Srv(name) | Question::Addresses(name) => name,
                    Question::Validated(question) => match *question {
                        Question::Srv(name) | Question::Addresses(name) | Question::Tlsa(name) => name,
                        other => panic!("asked {other:?}"),
                    },
                    other => panic!("asked {other:?}"),
                };
                let known = zone.iter().find(|(owner, _)| *owner == name);
                let answer = known.map_or(Err(DnsFailure::NoSuchName), |(_, answer)| answer.clone());
                search.handle_answer(number, answer, now());
            }
            end => {
                assert_eq!(search.poll_output(), None);
                assert_eq!(search.poll_timeout(), None);
                return end;
            }
        }
    }
    panic!("the search asks for ever");
}

#[track_caller]
fn found(search: Discovery, zone: &[(&str, Result<Answer, DnsFailure>)]) -> Vec<(String, Start)> {
    match outcome(search, zone) {
        Output::Found(targets) => {
            targets.into_iter().map(|target| (target.address.to_string(), target.start)).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn failed(search: Discovery, zone: &[(&str, Result<Answer, DnsFailure>)]) -> Failure {
    match outcome(search, zone) {
        Output::Failed(failure) => failure,
        other => panic!("{other:?}"),
    }
}

#[test]
fn both_services_are_merged_by_priority() {
    let zone = [
        ("_xmpps-server._tcp.partner.example", answer([srv(20, "b.example", 5270)])),
        ("_xmpp-server._tcp.partner.example", answer([srv(10, "a.example.", 5269)])),
        ("a.example", answer([address("8.8.8.8"), address("2a00::1")])),
        ("b.example", answer([address("9.9.9.9")])),
    ];

    assert_eq!(
        found(search(settings()), &zone),
        [
            ("[2a00::1]:5269".into(), Start::InBand),
            ("8.8.8.8:5269".into(), Start::InBand),
            ("9.9.9.9:5270".into(), Start::Direct),
        ]
    );
}

#[test]
fn a_domain_without_services_is_its_own_host() {
    let zone = [("partner.example", answer([address("8.8.8.8")]))];

    assert_eq!(found(search(settings()), &zone), [("8.8.8.8:5269".into(), Start::InBand)]);
}

#[test]
fn a_single_dot_means_no_service_and_no_falling_back() {
    let zone = [
        ("_xmpp-server._tcp.partner.example", answer([srv(0, ".", 0)])),
        ("partner.example", answer([address("8.8.8.8")])),
    ];

    let failure = failed(search(settings()), &zone);

    assert!(failure.not_found);
    assert_eq!(failure.stage, Stage::Dns);
}

#[test]
fn a_domain_that_does_not_exist_is_not_found_and_a_broken_one_times_out() {
    assert!(failed(search(settings()), &[]).not_found);

    let broken = Err(DnsFailure::ServerFailed("SERVFAIL from 192.0.2.1".into()));
    let failure = failed(search(settings()), &[("_xmpp-server._tcp.partner.example", broken)]);
    assert!(!failure.not_found);
    assert_eq!(failure.to_string(), "dns: SERVFAIL from 192.0.2.1");
}

#[test]
fn addresses_behind_the_firewall_are_refused_unless_allowed() {
    let zone = [
        ("_xmpp-server._tcp.partner.example", answer([srv(0, "in.example", 22)])),
        ("in.example", answer([address("127.0.0.1")])),
    ];

    assert_eq!(failed(search(settings()), &zone).stage, Stage::Policy);
    let allowed = Settings { addresses: AddressRule::Any, ..settings() };
    assert_eq!(found(search(allowed), &zone), [("127.0.0.1:22".into(), Start::InBand)]);
}

#[test]
fn a_fixed_host_is_used_without_asking_for_services() {
    for (fixed, expected) in [
        ("xmpp.partner.example", "8.8.8.8:5269"),
        ("xmpp.partner.example:5299", "8.8.8.8:5299"),
        ("9.9.9.9", "9.9.9.9:5269"),
        ("[2a00::1]:7000", "[2a00::1]:7000"),
    ] {
        let settings = Settings { fixed_host: Some(fixed.into()), direct_tls: false, ..settings() };
        let zone = [("xmpp.partner.example", answer([address("8.8.8.8")]))];
        assert_eq!(found(search(settings), &zone), [(expected.into(), Start::InBand)], "{fixed}");
    }
}

#[test]
fn a_thousand_records_lead_to_sixteen_addresses() {
    let records = (0..1000).map(|n| srv(n, &format!("h{n}.example"), 5269));
    let mut zone = vec![("_xmpp-server._tcp.partner.example".to_string(), answer(records))];
    zone.extend(
        (0..1000).map(|n| (format!("h{n}.example"), answer([address("8.8.8.8"), address("8.8.4.4")]))),
    );
    let zone: Vec<_> = zone.iter().map(|(name, answer)| (&**name, answer.clone())).collect();

    assert_eq!(found(search(settings()), &zone).len(), 16);
}

#[test]
fn when_patience_ends_what_was_found_is_used() {
    let mut search = search(settings());
    let hosts = [srv(1, "slow.example", 5269), srv(2, "quick.example", 5269)];
    search.handle_answer(1, answer([]), now());
    search.handle_answer(2, answer(hosts), now());
    search.handle_answer(4, answer([address("8.8.8.8")]), now());

    search.handle_timeout(now().plus(Duration::from_secs(5)));

    let outputs: Vec<Output> = std::iter::from_fn(|| search.poll_output()).collect();
    assert!(matches!(outputs.last(), Some(Output::Found(targets)) if targets.len() == 1), "{outputs:?}");
}

#[test]
fn a_silent_resolver_fails_when_patience_ends() {
    let mut search = search(settings());
    while search.poll_output().is_some() {}

    search.handle_timeout(now().plus(Duration::from_secs(5)));

    assert!(matches!(search.poll_output(), Some(Output::Failed(failure)) if failure.stage == Stage::Dns));
}

fn signed(records: impl IntoIterator<Item = Record>) -> Result<Answer, DnsFailure> {
    Ok(Answer { records: records.into_iter().collect(), secure: true })
}

fn tlsa() -> Record {
    Record::Tlsa { usage: 3, selector: 1, matching: 1, data: vec![7; 32] }
}

const SERVICES: &str = "_xmpp-server._tcp.partner.example";
const ASSOCIATIONS: &str = "_5269._tcp.a.example";

/// Searches with DANE; returns of each target its address and what is vouched for: `-`, the `host` or its `key`.
#[track_caller]
fn vouched(zone: &[(&str, Result<Answer, DnsFailure>)]) -> Vec<String> {
    let search = search(Settings { dane: true, ..settings() });
    let Output::Found(targets) = outcome(search, zone) else { panic!("nothing is found") };
    let words = |target: &Target| match &target.delegation {
        None => "-",
        Some(delegation) if delegation.is_binding() => "key",
        Some(_) => "host",
    };
    targets.iter().map(|target| format!("{} {}", target.address.ip(), words(target))).collect()
}

#[test]
fn a_host_to_which_the_whole_way_is_signed_is_asked_for_its_associations() {
    let services = || (SERVICES, signed([srv(1, "a.example", 5269)]));
    let host = || ("a.example", signed([address("8.8.8.8")]));

    assert_eq!(vouched(&[services(), host(), (ASSOCIATIONS, signed([tlsa()]))]), ["8.8.8.8 key"]);
    assert_eq!(vouched(&[services(), host(), (ASSOCIATIONS, signed([]))]), ["8.8.8.8 host"]);
    assert_eq!(vouched(&[services(), host()]), ["8.8.8.8 host"]);
    // Records that nobody signed say nothing.
    assert_eq!(vouched(&[services(), host(), (ASSOCIATIONS, answer([tlsa()]))]), ["8.8.8.8 host"]);
}

#[test]
fn where_a_part_of_the_way_is_not_signed_no_associations_are_asked_for() {
    let insecure = [
        (answer([srv(1, "a.example", 5269)]), signed([address("8.8.8.8")])),
        (signed([srv(1, "a.example", 5269)]), answer([address("8.8.8.8")])),
    ];
    for (services, host) in insecure {
        let zone = [(SERVICES, services), ("a.example", host), (ASSOCIATIONS, signed([tlsa()]))];

        assert_eq!(vouched(&zone), ["8.8.8.8 -"]);
    }
}

#[test]
fn without_services_the_domain_s_own_associations_are_asked_for() {
    let zone =
        [("partner.example", signed([address("8.8.8.8")])), ("_5269._tcp.partner.example", signed([tlsa()]))];

    assert_eq!(vouched(&zone), ["8.8.8.8 key"]);
}

#[test]
fn a_host_whose_associations_somebody_forges_or_keeps_is_left_out() {
    let failures = [
        DnsFailure::Bogus("a signature is wrong".into()),
        DnsFailure::ServerFailed("SERVFAIL".into()),
        DnsFailure::Unreachable("timeout".into()),
    ];
    for failure in failures {
        let zone = |others: &[(&'static str, u16)]| {
            let services = others.iter().map(|(host, port)| srv(1, host, *port));
            let services = std::iter::once(srv(0, "a.example", 5269)).chain(services);
            [
                (SERVICES, signed(services)),
                ("a.example", signed([address("8.8.8.8")])),
                ("b.example", signed([address("9.9.9.9")])),
                (ASSOCIATIONS, Err(failure.clone())),
            ]
        };

        assert_eq!(vouched(&zone(&[("b.example", 5269)])), ["9.9.9.9 host"]);
        let failure = failed(search(Settings { dane: true, ..settings() }), &zone(&[]));
        assert_eq!(failure.stage, Stage::Dns);
        assert!(failure.reason.starts_with("the TLSA records of a.example cannot be trusted: "), "{failure}");
    }
}

#[test]
fn forged_services_lead_nowhere_even_beside_others() {
    let zone = [
        ("_xmpps-server._tcp.partner.example", Err(DnsFailure::Bogus("a signature is wrong".into()))),
        (SERVICES, signed([srv(1, "a.example", 5269)])),
        ("a.example", signed([address("8.8.8.8")])),
    ];

    let failure = failed(search(Settings { dane: true, ..settings() }), &zone);

    assert_eq!(failure.reason, "the SRV records cannot be trusted: a signature is wrong");
    assert!(failure.advice().contains("passes DNSSEC on"), "{}", failure.advice());
    assert!(!failure.not_found);
}

#[test]
fn a_host_whose_associations_do_not_come_in_time_is_not_dialled() {
    let mut search = search(Settings { dane: true, direct_tls: false, ..settings() });
    let mut answers = [signed([srv(1, "a.example", 5269)]), signed([address("8.8.8.8")])].into_iter();
    while let Some(Output::Ask(number, _)) = search.poll_output() {
        match answers.next() {
            Some(answer) => search.handle_answer(number, answer, now()),
            None => break,
        }
    }

    search.handle_timeout(Now { moment: search.poll_timeout().unwrap(), ..now() });

    let Some(Output::Failed(failure)) = search.poll_output() else { panic!("it goes on") };
    assert_eq!(failure.reason, "the TLSA records of a.example did not come in time");
}
