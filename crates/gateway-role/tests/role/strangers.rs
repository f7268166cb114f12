//! Users of partners that do not verify them: what they may do before a SIP user has added them, and after.

use gateway_role::{Authorisation, KeptWatch, Record, Recovered, WatchDirection, WatchRecord};
use xmpp_proto::link::PartnerKind;

use crate::presence::{grant, heard, notify, open, presence, subscribe, watching};
use crate::world::{MESSAGE, STANZA, World, header, settings};

/// A world whose only partner is not believed.
fn unverified() -> World {
    let mut world = World::new();
    world.believe(PartnerKind::PublicUnverified);
    world
}

/// Bob's program watches Ann, who is asked; what that says to both is heard.
fn bob_adds_ann(world: &mut World) {
    subscribe(world, 1, "", "Expires: 600\r\n");
    let pending = world.expect_sip();
    world.answer(&pending, "200 OK");
}

/// The error that came back for a text, in words.
#[track_caller]
fn refusal(world: &mut World) -> String {
    let (_, stanza) = world.expect_stanza();
    assert_eq!((stanza.attr("type"), stanza.attr("id")), (Some("error"), Some("m1")), "{stanza}");
    stanza.elements().find(|child| child.name() == "error").unwrap().to_string()
}

#[test]
fn a_stranger_who_writes_is_told_what_he_lacks_and_nobody_else_hears_of_it() {
    let mut world = unverified();

    let sent = world.xmpp(STANZA);

    world.expect_no_sip();
    let words = refusal(&mut world);
    assert!(words.contains("subscription-required") && words.contains("type='auth'"), "{words}");
    assert!(
        words.contains(
            "bob@s.example takes messages from users of x.example only after adding them as contacts"
        ),
        "{words}"
    );
    assert!(!world.is_settled(sent), "before his server has the error");
    world.xmpp(&STANZA.replace(
        "<body>Is 10:30 fine? – Ann</body>",
        "<composing xmlns='http://jabber.org/protocol/chatstates'/>",
    ));
    world.expect_no_sip();
    assert!(world.stanzas.is_empty());
}

#[test]
fn verified_and_federated_partners_users_write_first() {
    for kind in [PartnerKind::PublicVerified, PartnerKind::Federated] {
        let mut world = unverified();
        world.believe(kind);

        world.xmpp(STANZA);

        assert!(world.expect_sip().starts_with("MESSAGE sip:bob@s.example"), "{kind}");
    }
}

#[test]
fn whom_a_sip_user_has_added_may_write_also_after_a_restart_and_a_refusal() {
    let mut world = unverified();
    bob_adds_ann(&mut world);
    world.stanzas.clear();
    presence(&mut world, "unsubscribed", "");
    world.expect_sip();
    let kept = world.all_is_stored().into_iter().rev().find_map(|record| match record {
        Record::Watch(record) => match *record {
            WatchRecord::Authorisation { direction, pair, authorisation } => {
                Some(KeptWatch { direction, pair, authorisation, shown: Vec::new(), dialogs: Vec::new() })
            }
            _ => None,
        },
        _ => None,
    });
    world.xmpp(STANZA);
    assert!(world.expect_sip().starts_with("MESSAGE sip:bob@s.example"));

    let mut world = World::after(Recovered { watches: vec![kept.unwrap()], ..Recovered::default() });
    world.believe(PartnerKind::PublicUnverified);
    world.xmpp(STANZA);

    assert!(world.expect_sip().starts_with("MESSAGE sip:bob@s.example"));
}

#[test]
fn a_poll_adds_nobody() {
    let mut world = unverified();

    subscribe(&mut world, 1, "", "Expires: 0\r\n");
    let only = world.expect_sip();
    world.answer(&only, "200 OK");
    world.xmpp(STANZA);

    world.expect_no_sip();
    assert!(refusal(&mut world).contains("subscription-required"));
}

#[test]
fn whoever_was_written_to_may_answer_for_a_month_also_after_a_restart_but_sees_nothing() {
    let mut world = unverified();
    world.sip(MESSAGE);
    let (n, _) = world.expect_stanza();
    world.partner_has(n);
    assert!(world.expect_sip().starts_with("SIP/2.0 200 "));
    let written = world.all_is_stored().into_iter().find_map(|record| match record {
        Record::Wrote { pair, date } => Some((pair, date)),
        _ => None,
    });

    let mut world = World::after(Recovered { written: vec![written.unwrap()], ..Recovered::default() });
    world.believe(PartnerKind::PublicUnverified);
    world.xmpp(STANZA);
    let message = world.expect_sip();
    assert!(message.starts_with("MESSAGE sip:bob@s.example"), "{message}");
    world.answer(&message, "200 OK");
    world.stanzas.clear();
    presence(&mut world, "subscribe", "");
    world.expect_no_sip();
    world.pass(30 * 24 * 3600 * 1000);
    world.xmpp(STANZA);

    world.expect_no_sip();
    assert!(refusal(&mut world).contains("subscription-required"));
}

#[test]
fn a_wish_to_see_waits_unanswered_and_goes_on_when_he_is_added() {
    let mut world = unverified();
    let sent = presence(&mut world, "subscribe", "");
    assert_eq!(heard(&mut world), [""; 0]);
    assert!(world.is_settled(sent));
    presence(&mut world, "", "");
    presence(&mut world, "probe", "");
    presence(&mut world, "subscribe", "");
    assert_eq!(heard(&mut world), ["unavailable bob@s.example"]);
    world.pass(4_000_000);
    world.expect_no_sip();
    let states = world.gateway.watches(Some("ann@x.example"), world.now);
    assert_eq!((states[0].authorisation, states[0].is_wrong), (Authorisation::Pending, false));
    assert_eq!(
        states[0].held.as_deref(),
        Some("partner x.example is public-unverified: bob@s.example has not added ann@x.example")
    );

    subscribe(&mut world, 1, "", "Expires: 600\r\n");
    let mut requests = [world.expect_sip(), world.expect_sip()];
    requests.sort();
    let [pending, request] = requests;
    assert!(
        pending.starts_with("NOTIFY ") && request.starts_with("SUBSCRIBE sip:bob@s.example"),
        "{request}"
    );
    grant(&mut world, &request, "200 OK", "Expires: 3600\r\n");
    notify(&mut world, &request, 1, "active", &open("ID-pc", "<note>Secret</note>"));

    assert_eq!(
        heard(&mut world),
        ["subscribe bob@s.example", "subscribed bob@s.example", "available bob@s.example/pc"]
    );
}

#[test]
fn a_wish_that_waits_goes_on_waiting_after_a_restart() {
    let mut world = unverified();
    presence(&mut world, "subscribe", "");
    let kept = world.all_is_stored().into_iter().find_map(|record| match record {
        Record::Watch(record) => match *record {
            WatchRecord::Authorisation { direction: WatchDirection::Outward, pair, authorisation } => {
                Some(KeptWatch {
                    direction: WatchDirection::Outward,
                    pair,
                    authorisation,
                    shown: Vec::new(),
                    dialogs: Vec::new(),
                })
            }
            _ => None,
        },
        _ => None,
    });
    // No proxy has been heard yet.
    let mut settings = settings();
    settings.proxies.clear();
    let recovered = Recovered { watches: vec![kept.unwrap()], ..Recovered::default() };
    let mut unheard = World::with(settings, recovered.clone());
    unheard.pass(3_600_000);
    unheard.expect_no_sip();

    let mut world = World::after(recovered);
    world.believe(PartnerKind::PublicUnverified);
    world.pass(60_000);
    world.expect_no_sip();
    bob_adds_ann(&mut world);

    assert!(world.expect_sip().starts_with("SUBSCRIBE "));
}

#[test]
fn who_withdraws_a_wish_that_waits_is_answered_and_forgotten() {
    let mut world = unverified();
    presence(&mut world, "subscribe", "");

    presence(&mut world, "unsubscribe", "");

    assert_eq!(heard(&mut world), ["unsubscribed bob@s.example"]);
    assert_eq!(world.gateway.watch_count().outward, 0);
    world.expect_no_sip();
}

#[test]
fn a_kind_that_becomes_stricter_hides_and_one_that_becomes_milder_shows_again() {
    let (mut world, request) = watching();

    world.believe(PartnerKind::PublicUnverified);
    let end = world.expect_sip();
    assert_eq!(header(&end, "Expires"), "0");
    assert_eq!(heard(&mut world), ["unavailable bob@s.example/pc"]);
    grant(&mut world, &end, "200 OK", "Expires: 0\r\n");
    notify(&mut world, &request, 2, "terminated;reason=timeout", &open("ID-pc", ""));
    presence(&mut world, "probe", "");
    assert_eq!(heard(&mut world), ["unavailable bob@s.example"]);
    world.pass(4_000_000);
    world.expect_no_sip();

    world.believe(PartnerKind::PublicVerified);
    let again = world.expect_sip();
    grant(&mut world, &again, "200 OK", "Expires: 3600\r\n");
    notify(&mut world, &again, 1, "active", &open("ID-pc", ""));
    assert_eq!(heard(&mut world), ["available bob@s.example/pc"]);
}

#[test]
fn a_kind_that_changes_to_and_fro_costs_no_permission() {
    let (mut world, request) = watching();

    world.believe(PartnerKind::PublicUnverified);
    let end = world.expect_sip();
    world.believe(PartnerKind::Federated);
    grant(&mut world, &end, "200 OK", "Expires: 0\r\n");
    notify(&mut world, &request, 2, "terminated;reason=timeout", "");
    world.pass(0);
    let again = world.expect_sip();
    grant(&mut world, &again, "200 OK", "Expires: 3600\r\n");
    notify(&mut world, &again, 1, "active", &open("ID-pc", ""));

    assert_eq!(heard(&mut world), ["unavailable bob@s.example/pc", "available bob@s.example/pc"]);
}

#[test]
fn notes_are_for_federated_partners_users_alone_also_when_that_changes() {
    let (mut world, request) = watching();
    notify(&mut world, &request, 2, "active", &open("ID-pc", "<note>In Rome</note>"));
    assert_eq!(heard(&mut world), ["available bob@s.example/pc In Rome"]);

    world.believe(PartnerKind::PublicVerified);
    assert_eq!(heard(&mut world), ["available bob@s.example/pc"]);
    notify(&mut world, &request, 3, "active", &open("ID-pc", "<note>In Paris</note>"));
    assert_eq!(heard(&mut world), [""; 0]);
    world.believe(PartnerKind::Federated);
    world.pass(30_000);
    let refresh = world.expect_sip();
    assert_eq!(header(&refresh, "CSeq"), "2 SUBSCRIBE");
    grant(&mut world, &refresh, "200 OK", "Expires: 3600\r\n");
    notify(&mut world, &request, 4, "active", &open("ID-pc", "<note>In Paris</note>"));

    assert_eq!(heard(&mut world), ["available bob@s.example/pc In Paris"]);
}

#[test]
fn probes_of_strangers_are_not_adopted() {
    let mut settings = settings();
    settings.watches.adopt_probes = true;
    let mut world = World::with(settings, Recovered::default());
    world.believe(PartnerKind::PublicUnverified);

    presence(&mut world, "probe", "");

    assert_eq!(heard(&mut world), ["unavailable bob@s.example"]);
    world.expect_no_sip();
}

#[test]
fn too_many_who_wait_are_refused() {
    let mut world = unverified();
    let mut ask = |number: usize| {
        world.stanzas.clear();
        world.xmpp(&format!(
            "<presence xmlns='jabber:server' from='u{number}@x.example' to='bob@s.example' type='subscribe'/>"
        ));
        world.records.clear();
        world.stanzas.pop().map(|(_, stanza)| stanza.attr("type").unwrap_or_default().to_owned())
    };

    for number in 0..10_000 {
        assert_eq!(ask(number), None, "{number}");
    }

    assert_eq!(ask(10_000).as_deref(), Some("unsubscribed"));
    assert_eq!(ask(9_999), None);
}
