//! What became of texts: receipts and markers of ann, as IMDN for bob (RFC 5438, protocol cases 45 and 79).

use crate::talk::{Talk, recounted, with_type};
use crate::world::{MESSAGE, World, header};

const TEXT: &str = "From: <sip:bob@s.example>\r\nTo: <sip:ann@x.example>\r\nDateTime: 2027-01-15T08:00:00Z\r\n\
    NS: imdn <urn:ietf:params:imdn>\r\nimdn.Message-ID: b1\r\n\
    imdn.Disposition-Notification: positive-delivery, display\r\n\r\nContent-Type: text/plain\r\n\r\nHi Ann";

/// Bob's text by itself, with these wishes; returns the id of its stanza.
fn asked(world: &mut World, envelope: &str) -> String {
    let message = MESSAGE.replace("text/plain", "message/cpim").replace("Hi Ann", envelope);
    world.sip(&recounted(&message));
    heard(world)
}

/// Takes the stanza of a text of bob's, whose sender is answered 200; returns its id.
fn heard(world: &mut World) -> String {
    let (n, stanza) = world.expect_stanza();
    world.partner_has(n);
    assert!(world.expect_sip().starts_with("SIP/2.0 200 "));
    let text = stanza.to_string();
    assert!(text.contains("<request xmlns='urn:xmpp:receipts'/>"), "{text}");
    stanza.attr("id").unwrap().to_owned()
}

fn received(from: &str, id: &str) -> String {
    format!(
        "<message xmlns='jabber:server' from='{from}' to='bob@s.example' id='r'>\
         <received xmlns='urn:xmpp:receipts' id='{id}'/></message>"
    )
}

fn displayed(id: &str) -> String {
    format!(
        "<message xmlns='jabber:server' from='ann@x.example/desk' to='bob@s.example' id='d' type='chat'>\
         <displayed xmlns='urn:xmpp:chat-markers:0' id='{id}'/></message>"
    )
}

#[test]
fn a_receipt_and_a_marker_become_one_notification_each() {
    let mut world = World::new();
    let id = asked(&mut world, TEXT);

    let sent = world.xmpp(&received("ann@x.example/desk", &id));
    assert!(world.is_settled(sent));
    let told = world.expect_sip();
    assert!(told.starts_with("MESSAGE sip:bob@s.example SIP/2.0\r\n"), "{told}");
    assert_eq!(header(&told, "Content-Type"), "message/cpim");
    assert!(told.contains("<message-id>b1</message-id>") && told.contains("<delivered/>"), "{told}");
    world.answer(&told, "200 OK");
    world.xmpp(&received("ann@x.example/desk", &id));
    world.expect_no_sip();

    world.xmpp(&displayed(&id));
    let told = world.expect_sip();
    assert!(told.contains("<display-notification><status><displayed/>"), "{told}");
    world.answer(&told, "480 Temporarily Unavailable");
    world.xmpp(&displayed(&id));
    world.expect_no_sip();
    assert_eq!(world.stanzas, []);
}

#[test]
fn what_nobody_asked_for_or_somebody_else_says_is_not_told() {
    let mut world = World::new();
    let id = asked(&mut world, &TEXT.replace(", display", ""));

    world.xmpp(&displayed(&id));
    world.xmpp(&received("eve@x.example/desk", &id));
    world.xmpp(&received("ann@x.example/desk", "unknown"));
    world.expect_no_sip();
    world.pass(3_600_000);
    world.xmpp(&received("ann@x.example/desk", &id));

    world.expect_no_sip();
    assert_eq!(world.stanzas, []);
}

#[test]
fn in_a_session_it_is_told_there_behind_what_is_being_said() {
    let mut talk = Talk::new();
    talk.invited();
    talk.world.sip(&with_type("MESSAGE", 2, "message/cpim", TEXT));
    let id = heard(&mut talk.world);
    talk.stanza("m1", "Hello");
    let text = talk.world.expect_sip();

    talk.world.xmpp(&received("ann@x.example/desk", &id));
    talk.world.expect_no_sip();
    talk.world.answer(&text, "200 OK");

    let told = talk.world.expect_sip();
    assert_eq!(header(&told, "Call-ID"), "0c4b");
    assert!(told.contains("<delivered/>"), "{told}");
    talk.stanza("m2", "Again");
    talk.world.expect_no_sip();
    talk.world.answer(&told, "415 Unsupported Media Type");
    assert!(talk.world.expect_sip().ends_with("Again"));
}

#[test]
fn after_a_session_it_is_told_by_itself_and_opens_none() {
    let mut talk = Talk::new();
    talk.invited();
    talk.world.sip(&with_type("MESSAGE", 2, "message/cpim", TEXT));
    let id = heard(&mut talk.world);
    talk.world.sip(&with_type("BYE", 3, "", ""));
    assert!(talk.world.expect_sip().starts_with("SIP/2.0 200 "));
    talk.world.stanzas.clear();

    talk.world.xmpp(&displayed(&id));

    let told = talk.world.expect_sip();
    assert!(told.starts_with("MESSAGE sip:bob@s.example SIP/2.0\r\n"), "{told}");
    assert_ne!(header(&told, "Call-ID"), "0c4b");
    talk.world.expect_no_sip();
}

#[test]
fn a_notification_that_nobody_waits_for_is_taken_and_dropped() {
    let mut world = World::new();
    let document = "<imdn xmlns='urn:ietf:params:xml:ns:imdn'><message-id>m1</message-id>\
                    <display-notification><status><displayed/></status></display-notification></imdn>";
    let message = MESSAGE.replace("text/plain", "message/imdn+xml").replace("Hi Ann", document);

    world.sip(&recounted(&message));

    assert!(world.expect_sip().starts_with("SIP/2.0 200 "));
    assert_eq!(world.stanzas, []);
}
