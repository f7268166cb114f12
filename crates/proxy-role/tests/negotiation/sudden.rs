//! Streams that end in the very octets that open them.

use std::time::Duration;

use proxy_role::{Negotiation, Partner};

use crate::scene::{Scene, Script, domain, settings};

#[test]
fn what_was_to_go_by_a_stream_that_is_closed_as_it_opens_is_tried_again_and_reported() {
    let by_dialback = Partner { sasl: Negotiation::NotSupported, ..Partner::new(domain("them.example")) };
    let mut scene = Scene::new(settings(by_dialback), Script { hangs_up_at_once: true, ..Script::GOOD });

    scene.send();
    scene.pass(Duration::from_secs(60));

    assert_eq!((scene.arrived.len(), scene.errors), (0, 1), "{:?}", scene.notices);
    assert_eq!(scene.said.matches("<starttls").count(), 2, "{}", scene.said);
}

#[test]
fn what_was_to_go_by_a_call_that_ends_as_it_begins_is_tried_again_and_reported() {
    let script = Script { hangs_up_at_once: true, is_deaf: true, ..Script::GOOD };
    let mut scene = Scene::new(settings(Partner::new(domain("them.example"))), script);
    scene.send();
    assert_eq!(scene.errors, 1);
    // While the next attempt has to wait, the partner calls.
    scene.send();
    assert_eq!(scene.errors, 1);

    scene.call();
    scene.pass(Duration::from_secs(60));

    assert_eq!((scene.arrived.len(), scene.errors), (0, 2), "{:?}", scene.notices);
}
