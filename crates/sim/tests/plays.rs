//! Every play of `scenarios/` in the simulated world, a test for each folder.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use sim::play::perform_text;

/// Plays that today's Gangway does not perform, with the number of the issue that brings it. They must fail, so
/// that the list is true.
const LATER: [(&str, u32); 0] = [];

/// How often each play is performed, with other delays each time.
const SEEDS: u64 = 4;

#[test]
fn what_went_wrong_somewhere_once_goes_well() {
    folder("field");
}

#[test]
fn conversations_are_held_as_microsofts_clients_hold_them() {
    folder("microsoft");
}

#[test]
fn sip_itself_is_spoken_as_rfc_3261_says() {
    folder("rfc3261");
}

#[test]
fn servers_are_found_as_rfc_3263_says() {
    folder("rfc3263");
}

#[test]
fn servers_are_believed_as_rfc_5922_says() {
    folder("rfc5922");
}

#[test]
fn texts_on_the_sip_side_are_as_rfc_3428_says() {
    folder("rfc3428");
}

#[test]
fn addresses_and_errors_are_mapped_as_rfc_7247_says() {
    folder("rfc7247");
}

#[test]
fn texts_are_mapped_as_rfc_7572_says() {
    folder("rfc7572");
}

#[test]
fn presence_is_told_as_rfc_3856_says() {
    folder("rfc3856");
}

#[test]
fn documents_are_read_as_rfc_3863_says() {
    folder("rfc3863");
}

#[test]
fn subscriptions_live_and_end_as_rfc_6665_says() {
    folder("rfc6665");
}

#[test]
fn presence_is_mapped_as_rfc_8048_says() {
    folder("rfc8048");
}

#[test]
fn questions_to_the_gateway_are_answered_as_xep_0030_says() {
    folder("xep0030");
}

#[test]
fn partners_that_misbehave_are_told_to_the_sender_and_to_the_operator() {
    folder("partner");
}

#[test]
fn invitations_to_rooms_are_told_as_xep_0045_has_them() {
    folder("xep0045");
}

#[test]
fn what_contacts_can_do_is_told_as_xep_0115_says() {
    folder("xep0115");
}

#[test]
fn names_are_told_as_xep_0172_says() {
    folder("xep0172");
}

#[test]
fn delayed_texts_keep_the_date_of_xep_0203() {
    folder("xep0203");
}

#[test]
fn corrections_look_like_what_xep_0308_means() {
    folder("xep0308");
}

/// For plays of its own: the breaking and mending of links, which no play of `scenarios/` needs today.
#[test]
fn a_text_waits_while_the_link_is_broken() {
    for fault in ["cut link", "hold link\nwait 1 s\nmend link", "restart proxy", "restart gateway"] {
        let play = format!(
            "title: t\n{fault}\nxmpp > <message from='ann@x.example/desk' to='bob@s.example' id='1'>\n  \
             <body>Hi</body></message>\nsip < MESSAGE sip:bob@s.example\n  within 30 s\nsip > 200\n"
        );

        for seed in 0..SEEDS {
            perform_text(&play, seed)
                .unwrap_or_else(|failure| panic!("{fault}: {failure}\n{}", failure.history));
        }
    }
}

#[test]
fn every_folder_of_plays_has_a_test() {
    let this = include_str!("plays.rs");

    for folder in entries(&scenarios()) {
        if folder.is_dir() {
            let name = folder.file_name().expect("it has a name").to_string_lossy().into_owned();
            assert!(this.contains(&format!("folder(\"{name}\")")), "no test performs scenarios/{name}");
        }
    }
}

#[test]
fn a_play_that_goes_otherwise_is_told_with_line_and_words() {
    let ann = "title: t\nxmpp > <message from='ann@x.example/desk' to='bob@s.example' id='1'><body>Hi</body></message>\n";
    let heard = "sip < MESSAGE sip:bob@s.example\n";
    for (rest, line, words) in [
        ("sip < MESSAGE sip:eve@s.example\n", 3, "expected \"sip:eve@s.example\""),
        ("sip < MESSAGE sip:bob@s.example\n  body: Ho\n", 3, "body: expected \"Ho\", found \"Hi\""),
        ("sip < MESSAGE sip:bob@s.example\n  no Call-ID\n", 3, "Call-ID: expected \"nothing\""),
        ("sip < MESSAGE sip:bob@s.example\n  after 1 s\n", 3, "which is before 1s"),
        ("xmpp < <message/>\n", 3, "nothing came on the XMPP side within 5s; instead there came the message"),
        ("wait 1 s\n", 3, "after the last step there came the message"),
        (&format!("{heard}sip > 404\n"), 4, "after the last step there came the stanza <message"),
        (&format!("{heard}  Call-ID: $a\n  CSeq: $b MESSAGE\ndiffer $a $a\n"), 6, "$a and $a are the same"),
        ("sing\n", 3, "no such step"),
        ("sip < 200\nset: transport pigeon\n", 4, "stands before its first step"),
    ] {
        let failure = perform_text(&format!("{ann}{rest}"), 1).expect_err("it goes otherwise");

        assert_eq!(failure.flaw.line, line, "{failure}");
        assert!(failure.flaw.what.contains(words), "{failure}");
    }
}

#[track_caller]
fn folder(name: &str) {
    let mut complaints = String::new();
    let mut count = 0;
    for file in entries(&scenarios().join(name)) {
        let short = format!("{name}/{}", file.file_name().expect("it has a name").to_string_lossy());
        let text = std::fs::read_to_string(&file).expect("the play can be read");
        let later = LATER.iter().find(|(play, _)| *play == short);
        let failure = (0..SEEDS).find_map(|seed| perform_text(&text, seed).err().map(|why| (seed, why)));
        count += 1;
        match (failure, later) {
            (None, None) | (Some(_), Some(_)) => {}
            (None, Some((_, issue))) => {
                let _ =
                    writeln!(complaints, "{short} can be performed; take it off the list (issue {issue})");
            }
            (Some((seed, failure)), None) => {
                let line = text.lines().nth(failure.flaw.line - 1).unwrap_or_default();
                let (at, what) = (failure.flaw.line, &failure.flaw.what);
                let _ = writeln!(complaints, "scenarios/{short}:{at}: {line}\n  {what}\n  (seed {seed})");
                if std::env::var_os("PLAY_HISTORY").is_some() {
                    let _ = writeln!(complaints, "{}", failure.history);
                }
            }
        }
    }

    assert!(count > 0, "there is no play in scenarios/{name}");
    assert!(complaints.is_empty(), "\n{complaints}");
}

fn scenarios() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios")
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the folder of plays is there");
    let mut entries: Vec<_> = entries.map(|entry| entry.expect("it can be listed").path()).collect();
    entries.sort();
    entries
}
