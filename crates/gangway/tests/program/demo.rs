//! The demonstration, as it runs by itself and as a script drives it.

use std::io::Write as _;
use std::process::{Output, Stdio};

use crate::support::Place;

#[test]
fn once_shows_each_way_with_its_answers_and_leaves_nothing_behind() {
    let place = Place::new();

    let output = demo(&place, &["--once"], "");

    let said = text(&output);
    assert!(output.status.success(), "{said}");
    for line in [
        "TLS 1.3",
        "SASL EXTERNAL",
        "XMPP  ann@partner.example",
        "SIP  bob@example.com",
        "answered 200 OK",
        "✓ acknowledged",
        "✓ 200 OK",
        "✗ item-not-found (cancel): 404 Not Found",
        "✗ 604 Does Not Exist Anywhere",
        "● bob pc dnd (in a review)",
        "● ann nobody",
        "8 of 8 steps went as they should",
        "nothing is left behind",
    ] {
        assert!(said.contains(line), "{line} in\n{said}");
    }
    // Not a terminal: no colours, no prompt.
    assert!(!said.contains('\x1b'), "{said}");
    assert_eq!(left_in(&place), Vec::<String>::new());
}

#[test]
fn a_script_sees_a_server_go_and_come_back() {
    let place = Place::new();
    let script = "bob: one\nann: /add\n/presence\nbob: /away at lunch\n/down partner\nbob: two\n/up partner\nbob: three\nann: four\nbob: /here\n/sing\n";

    let output = demo(&place, &[], script);

    let said = text(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("bob: one"), "{said}");
    assert!(said.contains("the partner's XMPP server is stopped"), "{said}");
    assert!(said.contains("could not be reached"), "{said}");
    assert!(!said.contains("bob: two"), "{said}");
    assert!(said.contains("bob: three"), "{said}");
    assert!(said.contains("ann: four"), "{said}");
    assert!(said.contains("there is no /sing"), "{said}");
    assert_eq!(left_in(&place), Vec::<String>::new());
}

#[test]
fn what_was_kept_passes_the_check() {
    let place = Place::new();

    let output = demo(&place, &["--once", "--keep", "kept"], "");
    let check = place.run(&["check", "--config", "kept/gangway.toml"]);
    let again = demo(&place, &["--once", "--keep", "kept"], "");

    assert!(output.status.success(), "{}", text(&output));
    assert!(check.status.success(), "{}", text(&check));
    assert!(!again.status.success());
    assert!(text(&again).contains("name a new directory"), "{}", text(&again));
}

/// Runs it with its temporary files in `place`.
fn demo(place: &Place, arguments: &[&str], input: &str) -> Output {
    let mut child = place
        .command(&[&["demo"], arguments].concat())
        .env("TMPDIR", place.path("."))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    child.stdin.take().expect("it was asked for").write_all(input.as_bytes()).expect("it reads");
    child.wait_with_output().expect("it ends")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

fn left_in(place: &Place) -> Vec<String> {
    let entries = std::fs::read_dir(place.path(".")).expect("it is ours");
    entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}
