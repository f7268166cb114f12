//! What of a stanza becomes what of a document, and back: tables 1 and 2 of RFC 8048, row by row.

use xmpp_types::xml::Element;

use crate::presence::{notify, presence, watched, watching};
use crate::world::{World, header};

/// What Bob's program is told when Ann says this.
fn to_sip(kind: &str, inside: &str) -> String {
    let (mut world, _) = watched();
    world.pass(6000);
    presence(&mut world, kind, inside);
    let notify = world.expect_sip();
    assert!(notify.starts_with("NOTIFY "), "{notify}");
    notify
}

/// What Ann is told when Bob's server says this of one more device of his.
fn to_xmpp(tuple: &str) -> Element {
    let (mut world, request) = watching();
    notify(&mut world, &request, 2, "active", &document(tuple));
    last(&mut world)
}

fn document(tuple: &str) -> String {
    format!(
        "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='sip:bob@s.example'><tuple id='ID-pc'>\
         <status><basic>open</basic></status></tuple>{tuple}</presence>"
    )
}

fn last(world: &mut World) -> Element {
    world.store();
    world.stanzas.pop().unwrap().1
}

fn words(stanza: &Element, name: &str) -> Vec<(Option<String>, String)> {
    let named = stanza.elements().filter(|child| child.name() == name);
    named.map(|child| (child.lang().map(str::to_owned), child.text().into_owned())).collect()
}

fn word(text: &str) -> Vec<(Option<String>, String)> {
    vec![(None, text.to_owned())]
}

#[test]
fn table_1_presence_stanza_is_event_presence_and_others_are_no_notify() {
    assert_eq!(header(&to_sip("", "<show>away</show>"), "Event"), "presence");

    let (mut world, _) = watched();
    world.pass(6000);
    for kind in ["probe", "error", "subscribed"] {
        presence(&mut world, kind, "");
        world.expect_no_sip();
    }
}

#[test]
fn table_1_resource_identifier_is_the_tuple_id_behind_a_prefix() {
    assert!(to_sip("", "<show>away</show>").contains("<tuple id='ID-desk'>"));
}

#[test]
fn table_1_from_and_to_are_from_and_to() {
    let told = to_sip("", "<show>away</show>");

    assert!(header(&told, "From").starts_with("<sip:ann@x.example>;tag="), "{told}");
    assert!(header(&told, "To").contains("<sip:bob@s.example>;tag=b"), "{told}");
    assert!(told.contains("entity='sip:ann@x.example'"), "{told}");
}

#[test]
fn table_1_type_is_the_basic_status() {
    assert!(to_sip("", "<show>away</show>").contains("<basic>open</basic>"));
    assert!(to_sip("unavailable", "").contains("<basic>closed</basic>"));
}

#[test]
fn table_1_xml_lang_is_content_language_and_that_of_each_note() {
    let one = to_sip("", "<status xml:lang='de'>Im Garten</status>");
    assert_eq!(header(&one, "Content-Language"), "de");
    assert!(one.contains("<note xml:lang='de'>Im Garten</note>"), "{one}");

    let two = to_sip("", "<status xml:lang='de'>Fort</status><status xml:lang='en'>Out</status>");
    assert!(!two.contains("Content-Language"), "{two}");
    assert!(two.contains("<note xml:lang='de'>Fort</note><note xml:lang='en'>Out</note>"), "{two}");
}

#[test]
fn table_1_priority_is_that_of_the_contact_and_a_negative_one_is_not_mapped() {
    let contact = |priority: &str| {
        let told = to_sip("", &format!("<show>away</show><priority>{priority}</priority>"));
        let (_, contact) = told.split_once("<contact").unwrap();
        contact.split_once('>').unwrap().0.trim().to_owned()
    };

    for (priority, said) in
        [("0", "0"), ("1", "0.008"), ("5", "0.039"), ("64", "0.504"), ("126", "0.992"), ("127", "1")]
    {
        assert_eq!(contact(priority), format!("priority='{said}'"));
    }
    for negative in ["-1", "-128"] {
        assert_eq!(contact(negative), "");
    }
}

#[test]
fn table_1_show_is_in_the_status_in_its_own_namespace() {
    for show in ["away", "chat", "dnd", "xa"] {
        let told = to_sip("", &format!("<show>{show}</show>"));
        assert!(told.contains(&format!("<show xmlns='jabber:client'>{show}</show></status>")), "{told}");
    }
}

#[test]
fn table_1_status_is_a_note_also_of_who_goes() {
    assert!(to_sip("", "<status>Out &amp; about</status>").contains("<note>Out &amp; about</note>"));
    let gone = to_sip("unavailable", "<status>Gone for the day</status>");
    assert!(gone.contains("<basic>closed</basic></status><note>Gone for the day</note>"), "{gone}");
}

#[test]
fn table_2_basic_status_is_the_type() {
    let open = to_xmpp("<tuple id='ID-tv'><status><basic>open</basic></status></tuple>");
    assert_eq!((open.attr("type"), open.attr("from")), (None, Some("bob@s.example/tv")));

    let (mut world, request) = watching();
    let closed = document("").replace("open", "closed");
    notify(&mut world, &request, 2, "active", &closed);
    let closed = last(&mut world);
    assert_eq!((closed.attr("type"), closed.attr("from")), (Some("unavailable"), Some("bob@s.example/pc")));
}

#[test]
fn table_2_content_language_and_that_of_notes_is_xml_lang() {
    let said = to_xmpp(
        "<tuple id='ID-tv'><status><basic>open</basic></status><note xml:lang='de'>Fort</note><note xml:lang='en'>Out</note></tuple>",
    );

    let both = [(Some("de".to_owned()), "Fort".to_owned()), (Some("en".to_owned()), "Out".to_owned())];
    assert_eq!(words(&said, "status"), both);
}

#[test]
fn table_2_from_and_to_are_from_and_to() {
    let said = to_xmpp("<tuple id='ID-tv'><status><basic>open</basic></status></tuple>");

    assert_eq!((said.attr("from"), said.attr("to")), (Some("bob@s.example/tv"), Some("ann@x.example")));
}

#[test]
fn table_2_priority_of_the_contact_is_an_integer() {
    for (priority, said) in [("1", "127"), ("1.000", "127"), ("0.5", "64"), ("0.007", "1"), ("0.004", "1")] {
        let contact = format!("<contact priority='{priority}'>sip:bob@s.example</contact>");
        let tuple = format!("<tuple id='ID-tv'><status><basic>open</basic></status>{contact}</tuple>");
        assert_eq!(words(&to_xmpp(&tuple), "priority"), word(said), "{priority}");
    }
    for none in ["0", "0.000", "-1", "x", ""] {
        let contact = format!("<contact priority='{none}'>sip:bob@s.example</contact>");
        let tuple = format!("<tuple id='ID-tv'><status><basic>open</basic></status>{contact}</tuple>");
        assert_eq!(words(&to_xmpp(&tuple), "priority"), []);
    }
}

#[test]
fn table_2_note_is_the_status_also_of_who_is_gone() {
    let here =
        to_xmpp("<tuple id='ID-tv'><status><basic>open</basic></status><note>Out &amp; about</note></tuple>");
    assert_eq!(words(&here, "status"), word("Out & about"));

    let (mut world, request) = watching();
    let closed =
        document("").replace("open", "closed").replace("</tuple>", "<note>Back on Monday</note></tuple>");
    notify(&mut world, &request, 2, "active", &closed);
    let gone = last(&mut world);
    assert_eq!((gone.attr("type"), words(&gone, "status")), (Some("unavailable"), word("Back on Monday")));
    // He who comes online later reads it too, and nobody reads it twice.
    notify(&mut world, &request, 3, "active", &closed);
    assert!(world.stanzas.is_empty(), "{:?}", world.stanzas);
    presence(&mut world, "probe", "");
    assert_eq!(words(&last(&mut world), "status"), word("Back on Monday"));
}

#[test]
fn table_2_show_is_show() {
    for show in ["away", "chat", "dnd", "xa"] {
        let status = format!("<status><basic>open</basic><show xmlns='jabber:client'>{show}</show></status>");
        let said = to_xmpp(&format!("<tuple id='ID-tv'>{status}</tuple>"));
        assert_eq!(words(&said, "show"), word(show));
    }
}
