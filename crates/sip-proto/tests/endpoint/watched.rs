//! Whoever watches sees each message once as it crosses, and nothing before or after.

use crate::world::{PEER, World, wire};

#[test]
fn each_message_is_shown_as_it_crosses_and_what_happens_stays_the_same() {
    let mut world = World::default();
    world.datagram(PEER, &wire("OPTIONS", "UDP", "0", "before")).answer(0, 200).forget();
    assert!(world.notices.is_empty());

    world.endpoint.watch();
    world.datagram(PEER, &wire("MESSAGE", "UDP", "1", "call")).expect(&["request MESSAGE"]);
    world.answer(1, 200).expect(&["datagram 192.0.2.1:5060: SIP/2.0 200 OK"]);
    let shown = std::mem::take(&mut world.notices);
    world.datagram(PEER, "\r\n\r\n").expect(&[]);
    assert!(world.notices.is_empty(), "a keep-alive is no message: {:?}", world.notices);
    world.endpoint.unwatch();
    world.datagram(PEER, &wire("MESSAGE", "UDP", "2", "after")).expect(&["request MESSAGE"]);

    assert_eq!(shown.len(), 2, "{shown:?}");
    assert!(shown[0].contains("way: In") && shown[0].contains("MESSAGE sip:"), "{}", shown[0]);
    assert!(shown[1].contains("way: Out") && shown[1].contains("SIP/2.0 200 OK"), "{}", shown[1]);
    assert!(world.notices.is_empty());
}
