//! Partners are changed in the file, and tested.

use std::os::unix::fs::PermissionsExt as _;

use admin::{Reply, Request, ask};

use crate::files::in_step;
use crate::run::{free_address, until_answered};
use crate::support::{Place, ending};

const BEFORE: &str = include_str!("../partners/before.toml");

#[test]
fn a_partner_is_added_after_the_others_and_all_else_stays() {
    let place = place();

    let set = [
        "--set",
        "type=federated",
        "--set",
        "stanzas-per-second=50",
        "--set",
        "additional-domains=a.example,b.example",
    ];
    let output = place.partner(&[&["add", "New.Example"], &set[..]].concat());

    assert_eq!(
        output,
        (0, "written; no gangway runs with this file, so it takes effect at the next start\n".into())
    );
    in_step("tests/partners/added.toml", &place.text());
}

#[test]
fn settings_are_changed_where_they_stand_with_their_comments() {
    let place = place();

    let changed = place.partner(&[
        "set",
        "jabber.example",
        "type=public-verified",
        "description=Jabber, Inc.",
        "keep-alive=false",
    ]);
    let taken_out = place.partner(&["set", "small.example", "additional-domains="]);

    assert_eq!((changed.0, taken_out.0), (0, 0), "{changed:?} {taken_out:?}");
    in_step("tests/partners/changed.toml", &place.text());
}

#[test]
fn a_partner_is_removed_with_its_own_comments_and_no_others() {
    let (first, second, both) = (place(), place(), place());

    first.partner(&["remove", "jabber.example"]);
    second.partner(&["remove", "small.example"]);
    both.partner(&["remove", "jabber.example"]);
    both.partner(&["remove", "small.example"]);

    in_step("tests/partners/first-removed.toml", &first.text());
    in_step("tests/partners/second-removed.toml", &second.text());
    in_step("tests/partners/both-removed.toml", &both.text());
}

#[test]
fn a_partner_can_be_added_and_removed_without_a_trace() {
    let place = place();

    place.partner(&["add", "new.example", "--set", "host=xmpp.new.example:5269"]);
    place.partner(&["remove", "new.example"]);

    assert_eq!(place.text(), BEFORE);
}

#[test]
fn a_change_that_would_make_the_file_wrong_is_refused_with_the_mistake() {
    let place = place();

    let (code, said) = place.partner(&["set", "small.example", "tls=not-supported"]);

    assert_eq!(code, 1);
    assert!(said.contains("error"), "{said}");
    assert!(said.contains("it would be wrong with that change; nothing is written"), "{said}");
    assert_eq!(place.text(), BEFORE);
}

#[test]
fn what_cannot_be_meant_is_refused_in_words() {
    let place = place();
    let refused = [
        (&["add", "jabber.example"][..], "there is the partner jabber.example already"),
        (
            &["set", "jaber.example", "tls=required"],
            "there is no partner jaber.example; did you mean jabber.example?",
        ),
        (
            &["set", "tiny.example", "tls=required"],
            "one of the additional domains of the partner small.example",
        ),
        (&["set", "jabber.example", "tsl=required"], "`tsl` is no setting of a partner; did you mean `tls`?"),
        (&["set", "jabber.example", "domain="], "`domain` cannot be taken out of a partner"),
        (&["add", "example.com"], "`example.com` is a domain of our own"),
        (&["remove", "a@b"], "`a@b` is no domain"),
    ];

    for (arguments, words) in refused {
        let (code, said) = place.partner(arguments);

        assert_eq!(code, 1, "{said}");
        assert!(said.contains(words), "{said}");
    }
    assert_eq!(place.text(), BEFORE);
}

#[test]
fn the_file_keeps_its_permissions_and_nothing_is_left_beside_it() {
    let place = place();
    let file = place.path("gangway.toml");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    let count = || std::fs::read_dir(file.parent().unwrap()).unwrap().count();
    let before = count();

    place.partner(&["add", "new.example"]);
    place.partner(&["add", "example.com"]);

    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o640);
    assert_eq!(count(), before);
}

#[test]
fn a_partner_is_shown_with_what_is_not_written() {
    let (code, shown) = place().partner(&["show", "small.example"]);

    assert_eq!(code, 0);
    assert!(shown.starts_with("[[proxy.partner]]\ndomain = \"small.example\"\n"), "{shown}");
    assert!(shown.contains("\n# tls = \"required\"\n"), "{shown}");
    assert!(shown.contains("\n# host: the DNS says where"), "{shown}");
}

#[test]
fn a_running_process_takes_a_change_at_once() {
    let place = place();
    let mut child = place.start(&["run", "--config", "gangway.toml"]);
    until_answered(&place.path("admin.sock"), &mut child, |_| true);

    let (code, said) = place.partner(&["add", "new.example"]);
    let partners = ask(&place.path("admin.sock"), &Request::Partners).unwrap();

    assert_eq!(code, 0, "{said}");
    assert!(said.starts_with("written, and in effect: "), "{said}");
    let Reply::Partners { partners } = partners else { panic!("{partners:?}") };
    assert!(partners.iter().any(|partner| partner.domain == "new.example"), "{partners:?}");
}

#[test]
fn a_hang_up_signal_puts_the_file_in_effect() {
    let place = place();
    let mut child = place.start(&["run", "--config", "gangway.toml"]);
    let partners = |status: &admin::Status| status.proxy.as_ref().map(|proxy| proxy.partners);
    until_answered(&place.path("admin.sock"), &mut child, |status| partners(status) == Some(2));
    place.write(
        "gangway.toml",
        &BEFORE.replace("[proxy.limits]", "[[proxy.partner]]\ndomain = \"new.example\"\n[proxy.limits]"),
    );
    until_hang_up_is_heard(child.child.id());

    let signal = std::process::Command::new("kill").args(["-HUP", &child.child.id().to_string()]).status();

    assert!(signal.unwrap().success());
    until_answered(&place.path("admin.sock"), &mut child, |status| partners(status) == Some(3));
}

#[test]
fn a_test_ends_with_the_code_of_the_stage_that_failed() {
    let place = place();
    // Bound and dropped: nobody listens there.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let host = format!("host={nobody}");

    let stranger = place.partner(&["test", "stranger.example"]);
    let private = {
        place.partner(&["set", "small.example", &host]);
        place.partner(&["test", "small.example"])
    };
    let refused = {
        place.partner(&["set", "small.example", "allow-private-addresses=true"]);
        place.partner(&["test", "small.example"])
    };

    assert_eq!(stranger.0, 10, "{}", stranger.1);
    assert!(stranger.1.ends_with("what to do: gangway partner add stranger.example\n"), "{}", stranger.1);
    assert_eq!(private.0, 10, "{}", private.1);
    assert_eq!(refused.0, 12, "{}", refused.1);
    assert!(refused.1.contains("connection refused"), "{}", refused.1);
}

#[test]
fn a_test_is_one_object_for_those_who_want_json() {
    let place = place();

    let (code, said) = place.partner(&["test", "stranger.example", "--json"]);

    let test: admin::PartnerTest = serde_json::from_str(&said).expect("it is one object");
    assert_eq!((code, test.exit_code), (10, 10));
    assert_eq!((test.domain.as_str(), test.failed_at.as_deref()), ("stranger.example", Some("policy")));
    assert_eq!(test.fix.as_deref(), Some("gangway partner add stranger.example"));
    let stages: Vec<_> = test.stages.iter().map(|stage| (stage.stage.as_str(), stage.outcome)).collect();
    assert_eq!(stages, [("policy", admin::StageOutcome::Failed)]);
}

#[test]
fn a_test_of_another_gangway_passes_every_stage() {
    let place = place();
    let address = free_address();
    place.write("other.toml", &(OTHER.replace("ADDRESS", &address) + &ending("other", "other.sock")));
    let mut other = place.start(&["proxy", "--config", "other.toml"]);
    until_answered(&place.path("other.sock"), &mut other, |_| true);
    let host = format!("host={address}");
    place.partner(&["add", "other.example", "--set", &host, "--set", "allow-private-addresses=true"]);

    let (code, said) = place.partner(&["test", "other.example"]);

    assert_eq!(code, 0, "{said}");
    let stages: Vec<&str> = said
        .lines()
        .filter(|line| line.contains(" ms  "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(stages, ["policy", "dns", "tcp", "tls", "certificate", "auth", "stream"], "{said}");
    assert!(said.contains("it accepts our certificate (SASL EXTERNAL)"), "{said}");
    assert!(said.contains("ok: stanzas of example.com reach other.example over TLS 1.3"), "{said}");
    assert!(said.contains("its certificate: until "), "{said}");
    assert!(
        said.contains("if other.example shows this certificate when it calls us, it is proved"),
        "{said}"
    );
}

/// Before that the signal would end the process.
fn until_hang_up_is_heard(process: u32) {
    let is_heard = || {
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).expect("it is told");
        u64::from_str_radix(caught.trim(), 16).expect("it is a number") & 1 == 1
    };
    while !is_heard() {
        std::thread::yield_now();
    }
}

const OTHER: &str = r#"
[proxy]
domains = ["other.example"]
identities = ["other"]
trust = "all"
listen = ["ADDRESS"]

[[proxy.partner]]
domain = "example.com"

[proxy.link]
listen = "127.0.0.1:0"
identity = "other"
trust = "all"
gateways = ["gateway.example.com"]
"#;

fn place() -> Place {
    let place = Place::new().with_certificates();
    place.write("gangway.toml", BEFORE);
    place
}

impl Place {
    /// Runs `gangway partner` and returns its exit code and all that it said.
    fn partner(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.run(&[&["partner"], arguments, &["--config", "gangway.toml"]].concat());
        let said = [output.stdout, output.stderr].concat();
        (output.status.code().expect("it ended by itself"), String::from_utf8(said).expect("it is text"))
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.path("gangway.toml")).expect("it is there")
    }
}
