//! What stands in the presence of SIP users beside their state: what their contacts may do with them, and their names.

use gateway_role::{Dialect, Recovered, Settings};
use xmpp_types::xml::Element;

use crate::presence::{grant, notify, open, presence, subscribe, watched};
use crate::world::{World, header, settings};

/// Ann sees Bob at his `pc`; returns what his presence says of what he can do.
fn seen(settings: Settings) -> (World, Element) {
    let mut world = World::with(settings, Recovered::default());
    presence(&mut world, "subscribe", "");
    let request = world.expect_sip();
    grant(&mut world, &request, "200 OK", "Expires: 3600\r\n");
    notify(&mut world, &request, 1, "active;expires=3600", &open("ID-pc", ""));
    world.store();
    let (_, stanza) = world.stanzas.pop().unwrap();
    world.stanzas.clear();
    let capabilities = stanza.elements().find(|child| child.name() == "c").unwrap().clone();
    (world, capabilities)
}

/// Somebody asks what an address of Bob's can do.
fn ask(world: &mut World, from: &str, to: &str, node: &str) -> Element {
    world.xmpp(&format!(
        "<iq xmlns='jabber:server' type='get' id='d1' from='{from}' to='{to}'>\
         <query xmlns='http://jabber.org/protocol/disco#info'{node}/></iq>"
    ));
    world.expect_stanza().1
}

fn offers(answer: &Element, feature: &str) -> bool {
    assert_eq!(answer.attr("type"), Some("result"), "{answer}");
    let query = answer.elements().next().unwrap();
    query.elements().any(|child| child.attr("var") == Some(feature))
}

const TYPING: &str = "http://jabber.org/protocol/chatstates";
const RECEIPTS: &str = "urn:xmpp:receipts";

#[test]
fn a_contact_is_said_to_do_what_the_gateway_does_for_his_domain() {
    let (mut paged, _) = seen(settings());
    let answer = ask(&mut paged, "ann@x.example/desk", "bob@s.example/pc", "");
    assert!(!offers(&answer, TYPING) && offers(&answer, RECEIPTS), "{answer}");

    let mut sessions = settings();
    sessions.domains[0].dialect = Dialect::Microsoft;
    let (mut talking, _) = seen(sessions);
    let answer = ask(&mut talking, "ann@x.example/desk", "bob@s.example/pc", "");
    assert!(offers(&answer, TYPING) && offers(&answer, RECEIPTS), "{answer}");

    let mut silent = settings();
    silent.page_mode_receipts = false;
    let (mut silent, _) = seen(silent);
    let answer = ask(&mut silent, "ann@x.example/desk", "bob@s.example/pc", "");
    assert!(!offers(&answer, TYPING) && !offers(&answer, RECEIPTS), "{answer}");
}

#[test]
fn what_presence_names_can_be_asked_for_by_that_name() {
    let (mut world, capabilities) = seen(settings());
    let [node, version] = ["node", "ver"].map(|key| capabilities.attr(key).unwrap());

    let node = format!(" node='{node}#{version}'");
    let answer = ask(&mut world, "ann@x.example/desk", "bob@s.example/pc", &node);
    assert!(offers(&answer, RECEIPTS));
    let unknown = ask(&mut world, "ann@x.example/desk", "bob@s.example/pc", " node='urn:gangway:sip#old'");
    assert!(unknown.to_string().contains("item-not-found"), "{unknown}");
    let account = ask(&mut world, "ann@x.example/desk", "bob@s.example", "");
    assert!(account.to_string().contains("category='account'"), "{account}");
}

#[test]
fn who_sees_nobody_learns_nothing_of_him() {
    let (mut world, _) = seen(settings());

    for (from, to) in [("eve@x.example/home", "bob@s.example"), ("ann@x.example/desk", "nobody@s.example")] {
        let answer = ask(&mut world, from, to, "");
        assert!(answer.to_string().contains("service-unavailable"), "{answer}");
    }
}

#[test]
fn who_has_gone_can_do_nothing() {
    let (mut world, _) = seen(settings());

    presence(&mut world, "unsubscribe", "");
    world.expect_sip();
    world.pass(40_000);
    world.store();

    assert!(
        world.stanzas.iter().all(|(_, stanza)| stanza.elements().next().is_none()),
        "{:?}",
        world.stanzas
    );
}

const NICK: &str = "<nick xmlns='http://jabber.org/protocol/nick'>Ann \"A\"\u{202e} Ö.</nick>";

fn nick_of(stanza: &Element) -> Option<String> {
    let nick = stanza.elements().find(|child| child.name() == "nick")?;
    assert_eq!(nick.namespace(), "http://jabber.org/protocol/nick");
    Some(nick.text().into_owned())
}

/// The NOTIFY among what was sent.
fn notified(world: &mut World) -> String {
    world.sip.drain(..).find(|message| message.starts_with("NOTIFY ")).unwrap()
}

#[test]
fn case_54_a_nickname_is_the_display_name_of_who_asks_to_watch() {
    let mut world = World::new();

    presence(&mut world, "subscribe", NICK);
    let request = world.expect_sip();
    assert!(
        header(&request, "From").starts_with("\"Ann \\\"A\\\" Ö.\" <sip:ann@x.example>;tag="),
        "{request}"
    );
    grant(&mut world, &request, "200 OK", "Expires: 600\r\n");
    notify(&mut world, &request, 1, "terminated;reason=deactivated", "");
    let again = world.expect_sip();
    assert!(header(&again, "From").starts_with("\"Ann "), "{again}");
}

#[test]
fn case_54_a_nickname_is_in_the_documents_of_who_is_watched() {
    let (mut world, _) = watched();

    presence(&mut world, "subscribe", NICK);
    world.sip.clear();
    world.pass(6000);
    presence(&mut world, "", "<show>away</show>");
    let document = notified(&mut world);
    assert!(document.contains("<ci:display-name>Ann \"A\" Ö.</ci:display-name>"), "{document}");

    let mut world = World::new();
    presence(&mut world, "subscribe", NICK);
    world.sip.clear();
    subscribe(&mut world, 1, "", "");
    let pending = world.expect_sip();
    world.answer(&pending, "200 OK");
    presence(&mut world, "subscribed", "<nick xmlns='http://jabber.org/protocol/nick'>Annie</nick>");
    let active = world.expect_sip();
    world.answer(&active, "200 OK");
    world.pass(6000);
    presence(&mut world, "", "");
    let document = notified(&mut world);
    assert!(document.contains("<ci:display-name>Annie</ci:display-name>"), "{document}");
}

#[test]
fn case_54_a_contact_that_allows_is_introduced_by_name_and_presence_itself_names_nobody() {
    let named = |document: &str| {
        let mut world = World::new();
        presence(&mut world, "subscribe", "");
        let request = world.expect_sip();
        grant(&mut world, &request, "200 OK", "Expires: 3600\r\n");
        notify(&mut world, &request, 1, "active", document);
        world.store();
        let said: Vec<_> = world
            .stanzas
            .iter()
            .map(|(_, stanza)| (stanza.attr("type").is_some(), nick_of(stanza)))
            .collect();
        said
    };
    let open = open("0", "");
    let called = open.replace(
        "</presence>",
        "<display-name xmlns='urn:ietf:params:xml:ns:pidf:cipid'>Bob B.</display-name></presence>",
    );

    assert_eq!(named(&called), [(true, Some("Bob B.".to_owned())), (false, None)]);
    assert_eq!(named(&open), [(true, None), (false, None)]);
}

#[test]
fn a_message_to_a_device_that_only_its_document_names_goes_to_its_user() {
    for (id, uri) in [("tm9lla", "sip:bob@s.example"), ("ID-pc", "sip:bob@s.example;gr=pc")] {
        let mut world = World::new();
        presence(&mut world, "subscribe", "");
        let request = world.expect_sip();
        grant(&mut world, &request, "200 OK", "Expires: 3600\r\n");
        notify(&mut world, &request, 1, "active;expires=3600", &open(id, ""));
        let name = id.trim_start_matches("ID-");

        world.xmpp(&format!(
            "<message xmlns='jabber:server' from='ann@x.example/desk' to='bob@s.example/{name}' id='m1' type='chat'>\
             <body>Hi</body></message>"
        ));

        let message = world.expect_sip();
        assert!(message.starts_with(&format!("MESSAGE {uri} SIP/2.0\r\n")), "{message}");
    }
}
