//! `gangway check`: each file of `tests/mistakes` with exactly what is said about it.

use std::os::unix::fs::PermissionsExt as _;

use crate::files::in_step;
use crate::support::Place;

#[track_caller]
fn said(name: &str) {
    let place = Place::new().with_certificates();
    let source = format!("{}/tests/mistakes/{name}.toml", env!("CARGO_MANIFEST_DIR"));
    place.write("gangway.toml", &std::fs::read_to_string(source).expect("the file is there"));
    std::fs::copy(place.path("good.key"), place.path("open.key")).expect("it can be copied");
    let everybody = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(place.path("open.key"), everybody).expect("it is ours");
    place.write("secret", "short\n");
    place.write(
        "staff",
        "bob@example.com\n\n# temporary staff\neve@example.com\nno body@example.com\n@\nann@else.example\n",
    );
    std::fs::write(place.path("binary"), [0xc3, 0x28]).expect("the file can be written");

    let output = place.run(&["check", "--config", "gangway.toml"]);

    let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).expect("it is text");
    let code = output.status.code().expect("it ended by itself");
    let made = format!("{}{}exit {code}\n", text(&output.stdout), text(&output.stderr));
    in_step(&format!("tests/mistakes/{name}.txt"), &made);
}

#[test]
fn a_right_file_is_right() {
    said("right");
}

#[test]
fn every_key_and_value_that_is_wrong_is_told() {
    said("keys");
}

#[test]
fn what_is_not_toml_is_told_with_the_rest() {
    said("syntax");
}

#[test]
fn settings_that_contradict_each_other_are_told() {
    said("contradictions");
}

#[test]
fn the_five_impossible_negotiations_and_those_in_clear_are_told() {
    said("negotiation");
}

#[test]
fn files_that_cannot_serve_are_told() {
    said("files");
}

#[test]
fn lists_of_users_that_name_nobody_or_contradict_are_told() {
    said("users");
}

#[test]
fn certificates_that_nobody_accepts_and_hosts_that_lead_back_are_told() {
    said("certificates");
}

#[test]
fn a_certificate_that_ends_soon_is_a_warning_and_the_file_right() {
    let place = Place::new().with_certificates();
    let source = format!("{}/tests/mistakes/right.toml", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(source).expect("the file is there");
    place.write("gangway.toml", &text.replace("good", "soon"));

    let output = place.run(&["check", "--config", "gangway.toml"]);

    assert_eq!(output.status.code(), Some(0));
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(said.contains("warning: the certificate of `"), "{said}");
    assert!(said.contains(", in 4 days") || said.contains(", in 5 days"), "{said}");
}

#[test]
fn an_empty_file_is_told_where_to_start() {
    said("empty");
}

#[test]
fn a_file_that_is_not_there_ends_with_two() {
    let output = Place::new().run(&["check", "--config", "none.toml"]);

    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.starts_with("gangway: none.toml: no such file; `gangway config example`"), "{said}");
}

#[test]
fn nothing_starts_on_a_wrong_configuration() {
    let place = Place::new();
    place.write("gangway.toml", "[proxy]\nlisen = []\n");

    for command in ["run", "proxy", "gateway"] {
        let output = place.run(&[command, "--config", "gangway.toml"]);

        assert_eq!(output.status.code(), Some(1), "{command}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("gangway.toml:2:1: error: `proxy` has no setting `lisen`"), "{said}");
    }
}
