use proptest::prelude::*;
use sip_types::header::ContentType;
use xmpp_types::jid::Jid;
use xmpp_types::xml::{Limits, parse_document};

use super::*;
use crate::address::Profile;
use crate::error::Refusal;
use crate::loss::{Loss, Translated};

fn jid(text: &str) -> Jid {
    Jid::parse(text).unwrap()
}

fn read(kind: &str, body: &str) -> Seen {
    try_read(kind, body.as_bytes()).unwrap().value
}

fn try_read(kind: &str, body: &[u8]) -> Result<Translated<Seen>, Box<Refusal>> {
    let kind = ContentType::parse(kind).unwrap();
    let user = jid("bob@s.example");
    Document { kind: &kind, body, user: &user, language: None }.read(&StateTable::default())
}

fn resource(name: &str, show: Show, priority: i8, status: &str) -> Resource {
    let statuses = [status].into_iter().filter(|text| !text.is_empty()).map(Status::plain).collect();
    Resource {
        name: Some(name.to_owned()),
        is_label: false,
        available: Some(Available { show, priority, idle: None }),
        statuses,
    }
}

fn written(resources: &[Resource], options: &DocumentOptions) -> String {
    let table = StateTable::default();
    let document = document(&jid("ann@x.example"), resources, Some("Ann"), &table, options).unwrap();
    String::from_utf8(document.value).unwrap()
}

fn pidf(inside: &str) -> Seen {
    read(
        PIDF_TYPE,
        &format!(
            "<?xml version=\"1.0\" encoding=\"utf-16\"?>\n<presence xmlns='urn:ietf:params:xml:ns:pidf' \
             xmlns:ep='urn:ietf:params:xml:ns:pidf:status:rpid-status' \
             xmlns:rpid='urn:ietf:params:xml:ns:pidf:rpid' xmlns:dm='urn:ietf:params:xml:ns:pidf:data-model' \
             xmlns:ci='urn:ietf:params:xml:ns:pidf:cipid' entity='sip:bob@s.example'>{inside}</presence>"
        ),
    )
}

fn only(seen: &Seen) -> &Available {
    assert_eq!(seen.resources.len(), 1, "{seen:?}");
    seen.resources[0].available.as_ref().unwrap()
}

#[test]
fn one_document_says_it_in_the_words_of_every_reader() {
    let desk = resource("desk", Show::Dnd, 5, "In a review until 3");

    assert_eq!(
        written(&[desk], &DocumentOptions::default()),
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <presence xmlns='urn:ietf:params:xml:ns:pidf' xmlns:dm='urn:ietf:params:xml:ns:pidf:data-model' \
         xmlns:rpid='urn:ietf:params:xml:ns:pidf:rpid' \
         xmlns:ep='urn:ietf:params:xml:ns:pidf:status:rpid-status' \
         xmlns:ci='urn:ietf:params:xml:ns:pidf:cipid' entity='sip:ann@x.example'>\
         <tuple id='ID-desk'><status><basic>open</basic>\
         <ep:activities><ep:activity>busy</ep:activity></ep:activities>\
         <show xmlns='jabber:client'>dnd</show></status>\
         <contact priority='0.039'>sip:ann@x.example;gr=desk</contact><note>In a review until 3</note></tuple>\
         <dm:person id='p1'><rpid:activities><rpid:busy/></rpid:activities></dm:person>\
         <ci:display-name>Ann</ci:display-name></presence>"
    );
}

#[test]
fn two_resources_are_two_tuples_and_one_where_only_one_is_read() {
    let both = [resource("desk", Show::Available, 5, ""), resource("phone", Show::Away, 0, "")];
    let all = written(&both, &DocumentOptions::default());
    let one =
        DocumentOptions { profile: Profile::BareAddress, one_tuple: true, ..DocumentOptions::default() };
    let one = written(&both, &one);

    assert!(all.contains("<tuple id='ID-desk'>") && all.contains("<tuple id='ID-phone'>"), "{all}");
    assert!(all.contains("priority='0.039'") && all.contains("priority='0'"), "{all}");
    assert_eq!(one.matches("<tuple ").count(), 1);
    assert!(
        one.contains("<basic>open</basic></status><contact priority='0.039'>sip:ann@x.example<"),
        "{one}"
    );
}

#[test]
fn a_negative_priority_is_none_and_nobody_available_is_closed() {
    let below = written(&[resource("bot", Show::Available, -1, "")], &DocumentOptions::default());
    let nobody = written(&[], &DocumentOptions::default());

    assert!(below.contains("<contact>sip:ann@x.example;gr=bot</contact>"), "{below}");
    assert!(nobody.contains("<tuple id='ID-0'><status><basic>closed</basic></status></tuple>"), "{nobody}");
    assert!(!nobody.contains("person"), "{nobody}");
}

#[test]
fn a_resource_that_is_no_name_still_has_a_tuple_of_its_own() {
    let odd = written(&[resource("Büro PC/1", Show::Available, 0, "")], &DocumentOptions::default());
    let id = odd.split("tuple id='").nth(1).and_then(|rest| rest.split('\'').next()).unwrap();

    assert!(id.starts_with("ID-") && id.len() == 29 && id.is_ascii(), "{id}");
    assert!(odd.contains(";gr=B%C3%BCro%20PC/1"), "{odd}");
}

#[test]
fn microsofts_activities_are_read_and_named() {
    let busy = pidf(
        "<tuple id='0'><status><basic>open</basic><ep:activities><ep:activity>busy</ep:activity>\
         </ep:activities></status></tuple><ci:display-name>Bob B.</ci:display-name>",
    );

    assert_eq!(busy.resources, [Resource { is_label: true, ..resource("0", Show::Dnd, 0, "Busy") }]);
    assert_eq!(busy.display_name.as_deref(), Some("Bob B."));
}

#[test]
fn an_activity_of_the_person_counts_for_tuples_that_have_none() {
    let meal = pidf(
        "<tuple id='a1'><status><basic>open</basic></status><contact priority='0.5'>sip:b@s</contact></tuple>\
         <dm:person id='p'><rpid:activities><rpid:meal/></rpid:activities><dm:note xml:lang='de'>Mahlzeit</dm:note>\
         </dm:person>",
    );

    assert_eq!((only(&meal).show, only(&meal).priority), (Show::Away, 64));
    let status = Status { language: Some("de".into()), text: "Mahlzeit".into() };
    assert_eq!(meal.resources[0].statuses, [status]);
}

#[test]
fn xmpps_own_word_overrules_activities() {
    let show = pidf(
        "<tuple id='ID-pda'><status><basic>open</basic><show xmlns='jabber:client'>xa</show></status>\
         <rpid:activities><rpid:busy/></rpid:activities><note>Gone fishing</note></tuple>",
    );

    assert_eq!(show.resources, [resource("pda", Show::Xa, 0, "Gone fishing")]);
}

#[test]
fn closed_is_unavailable_and_nothing_said_is_unknown() {
    let seen =
        pidf("<tuple id='a'><status><basic>closed</basic></status></tuple><tuple id='b'><status/></tuple>");

    assert_eq!(seen.resources, [Resource { is_label: true, ..Resource::gone(Some("a".into())) }]);
    assert_eq!(pidf("").resources, []);
}

#[test]
fn microsofts_numbers_are_states() {
    let state = |number: u32, token: &str| {
        let token = if token.is_empty() { String::new() } else { format!("<activity token='{token}'/>") };
        let seen = read(
            "application/msrtc-event-categories+xml",
            &format!(
                "<categories xmlns='http://schemas.microsoft.com/2006/09/sip/categories' uri='sip:bob@s.example'>\
                 <category name='state' instance='1'><state xmlns='http://schemas.microsoft.com/2006/09/sip/state'>\
                 <availability>{number}</availability>{token}</state></category></categories>"
            ),
        );
        let word = seen.resources[0].statuses.first().map(|status| status.text.clone());
        seen.resources[0].available.as_ref().map(|available| (available.show, word))
    };
    let is = |show, text: &str| Some((show, Some(text.to_owned())));

    assert_eq!(state(3500, ""), Some((Show::Available, None)));
    assert_eq!(state(6500, ""), is(Show::Dnd, "Busy"));
    assert_eq!(state(6500, "on-the-phone"), is(Show::Dnd, "On the phone"));
    assert_eq!(state(9500, ""), is(Show::Dnd, "Do not disturb"));
    assert_eq!(state(12500, ""), is(Show::Away, "Be right back"));
    assert_eq!(state(15500, ""), is(Show::Away, "Away"));
    assert_eq!(state(15500, "out-of-office"), is(Show::Xa, "Out of office"));
    assert_eq!(state(18500, ""), None);
}

#[test]
fn the_older_document_of_microsoft_is_read_too() {
    let seen = read(
        "text/xml+msrtc.pidf",
        "<presentity uri='bob@s.example'><availability aggregate='300'/><activity aggregate='600'/>\
         <displayName displayName='Bob B.'/><userInfo><note>At the fair</note></userInfo></presentity>",
    );
    let gone = read("text/xml+msrtc.pidf", "<presentity><availability aggregate='0'/></presentity>");

    assert_eq!((only(&seen).show, seen.resources[0].statuses[0].text.as_str()), (Show::Dnd, "At the fair"));
    assert_eq!(gone.resources, [Resource::gone(None)]);
}

#[test]
fn what_cannot_be_read_is_answered_and_never_passed_on() {
    let answer = |kind: &str, body: &[u8]| try_read(kind, body).unwrap_err().status;

    assert_eq!(answer("application/pidf-diff+xml", b"<x/>"), 415);
    assert_eq!(answer("application/pidf+xml", b""), 400);
    assert_eq!(answer("application/pidf+xml", b"<presence/>"), 400);
    assert_eq!(answer("application/pidf+xml", b"<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>"), 400);
    assert_eq!(answer("application/pidf+xml", &[b' '; 70_000]), 400);
    assert_eq!(answer("application/pidf+xml;charset=klingon", b"<x/>"), 415);
}

#[test]
fn a_long_note_is_shortened_and_many_tuples_are_not_all_kept() {
    let note = "ü".repeat(12_000);
    let tuple = format!("<tuple id='a'><status><basic>open</basic></status><note>{note}</note></tuple>");
    let tuples: String =
        (0..50).map(|n| format!("<tuple id='t{n}'><status><basic>open</basic></status></tuple>")).collect();
    let body = format!("<presence xmlns='urn:ietf:params:xml:ns:pidf'>{tuple}{tuples}</presence>");
    let seen = try_read(PIDF_TYPE, body.as_bytes()).unwrap();

    assert_eq!(seen.value.resources.len(), RESOURCES_MAX);
    assert_eq!(seen.value.resources[0].statuses[0].text.len(), STATUS_MAX);
    assert!(seen.losses.contains(Loss::Length) && seen.losses.contains(Loss::OtherContacts));
}

#[test]
fn a_document_in_utf_16_is_read() {
    let text = "<?xml version='1.0' encoding='UTF-16'?><presence xmlns='urn:ietf:params:xml:ns:pidf'>\
                <tuple id='a'><status><basic>open</basic></status></tuple></presence>";
    let octets: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();

    assert_eq!(try_read(PIDF_TYPE, &octets).unwrap().value.resources.len(), 1);
}

#[test]
fn a_document_about_somebody_else_is_refused() {
    let about = |entity: &str| {
        let open = "<tuple id='a'><status><basic>open</basic></status></tuple>";
        let body =
            format!("<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='{entity}'>{open}</presence>");
        try_read(PIDF_TYPE, body.as_bytes())
            .map(|read| read.value.resources.len())
            .map_err(|refusal| refusal.status)
    };

    for same in
        ["sip:bob@s.example", "pres:Bob@S.example", "sip:bob@s.example:5060;user=phone", "bob@s.example"]
    {
        assert_eq!(about(same), Ok(1), "{same}");
    }
    for unsaid in
        ["", "tel:+4930123456", "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "sip:s.example", "?"]
    {
        assert_eq!(about(unsaid), Ok(1), "{unsaid}");
    }
    for other in ["sip:eve@s.example", "pres:bob@other.example", "eve@s.example"] {
        assert_eq!(about(other), Err(400), "{other}");
    }
}

#[test]
fn several_tuples_of_one_name_are_one_device_and_a_name_has_a_length() {
    let tuple =
        |id: &str, inside: &str| format!("<tuple {id}><status><basic>{inside}</basic></status></tuple>");
    let long = format!("id='{}'", "x".repeat(NAME_MAX + 4));
    let seen = pidf(&[tuple("", "closed"), tuple("", "open"), tuple(&long, "closed")].concat());

    assert_eq!(
        seen.resources,
        [Resource { available: Some(Available::default()), is_label: true, ..Resource::gone(None) }]
    );
}

#[test]
fn names_that_no_resource_can_have_are_those_of_the_user_himself() {
    let tuple = |id: &str| format!("<tuple id='{id}'><status><basic>open</basic></status></tuple>");
    let seen = pidf(&[tuple("\u{202e}pc"), tuple("\u{200b}\u{fff9}"), tuple("Büro"), tuple("x")].concat());
    let names: Vec<_> = seen.resources.iter().map(|known| known.name.as_deref()).collect();

    assert_eq!(names, [None, Some("Büro"), Some("x")]);
}

#[test]
fn a_text_has_the_language_of_what_it_stands_in() {
    let note = "<tuple id='a'><status><basic>open</basic></status><note>Weg</note><note xml:lang='en'>Out</note></tuple>";
    let body = |lang: &str| format!("<presence xmlns='urn:ietf:params:xml:ns:pidf'{lang}>{note}</presence>");
    let languages = |body: &str, header: Option<&str>| {
        let (kind, user) = (ContentType::parse(PIDF_TYPE).unwrap(), jid("bob@s.example"));
        let document = Document { kind: &kind, body: body.as_bytes(), user: &user, language: header };
        let seen = document.read(&StateTable::default()).unwrap().value;
        let statuses =
            seen.resources[0].statuses.iter().map(|status| status.language.clone().unwrap_or_default());
        statuses.collect::<Vec<_>>()
    };

    assert_eq!(languages(&body(""), None), ["", "en"]);
    assert_eq!(languages(&body(""), Some("de")), ["de", "en"]);
    assert_eq!(languages(&body(" xml:lang='gsw'"), Some("de")), ["gsw", "en"]);
}

#[test]
fn since_when_somebody_is_idle_crosses_both_ways() {
    let seen = pidf(
        "<tuple id='ID-pc'><status><basic>open</basic></status>\
         <rpid:user-input idle-threshold='600' last-input='2026-11-22T14:00:00+01:00'>idle</rpid:user-input></tuple>\
         <tuple id='t'><status><basic>open</basic></status><rpid:user-input>idle</rpid:user-input></tuple>",
    );
    let pc = stanza(&jid("bob@s.example"), &seen.resources[0], &jid("ann@x.example"));
    let idle = pc.elements().find(|child| child.name() == "idle").unwrap();

    assert_eq!(idle.attr("since"), Some("2026-11-22T13:00:00.000Z"));
    assert_eq!(seen.resources[1].available.as_ref().unwrap().idle, None);
    let back = read_stanza(&pc).value;
    let document = written(&[back], &DocumentOptions::default());
    let said =
        "</status><rpid:user-input last-input='2026-11-22T13:00:00.000Z'>idle</rpid:user-input><contact ";
    assert!(document.contains(said), "{document}");
}

#[test]
fn what_is_too_long_goes_without_texts_and_then_without_those_preferred_least() {
    let long = "x".repeat(STATUS_MAX);
    let resources: Vec<Resource> =
        (0..32).map(|n| resource(&format!("r{n}"), Show::Away, n, &long)).collect();
    let write = |octets_max| {
        let options = DocumentOptions { octets_max, ..DocumentOptions::default() };
        let table = StateTable::default();
        let written = document(&jid("ann@x.example"), &resources, None, &table, &options).unwrap();
        (String::from_utf8(written.value).unwrap(), written.losses.iter().collect::<Vec<_>>())
    };

    let (all, losses) = write(OCTETS_MAX);
    assert!(all.len() <= OCTETS_MAX && !all.contains("<note>"), "{}", all.len());
    assert_eq!((all.matches("<tuple ").count(), losses), (32, vec![Loss::Length]));
    let (few, losses) = write(1500);
    assert!(few.len() <= 1500 && few.contains("ID-r31") && !few.contains("ID-r1'"), "{few}");
    assert_eq!(losses, [Loss::Length, Loss::OtherContacts]);
    let (one, _) = write(0);
    assert_eq!((one.matches("<tuple ").count(), one.contains("ID-r31")), (1, true));
}

#[test]
fn a_stanza_is_read_as_rfc_6121_says() {
    let read = |text: &str| read_stanza(&parse_document(text.as_bytes(), &Limits::DOCUMENT).unwrap());
    let away = read(
        "<presence xmlns='jabber:server' from='ann@x.example/desk' xml:lang='en'><show>away</show>\
         <status>Out</status><status xml:lang='de'>Fort</status><priority>5</priority>\
         <c xmlns='http://jabber.org/protocol/caps' ver='x'/><x xmlns='urn:other'/></presence>",
    );
    let odd = read("<presence xmlns='jabber:server'><show>here</show><priority>300</priority></presence>");
    let gone = read("<presence xmlns='jabber:server' from='ann@x.example/desk' type='unavailable'/>");

    let available = away.value.available.unwrap();
    assert_eq!((available.show, available.priority, away.value.statuses.len()), (Show::Away, 5, 2));
    assert_eq!(away.losses.iter().collect::<Vec<_>>(), [Loss::Extension]);
    assert_eq!(odd.value.available, Some(Available::default()));
    assert_eq!(gone.value, Resource::gone(Some("desk".into())));
}

fn any_resource() -> impl Strategy<Value = Resource> {
    let statuses = proptest::option::of(("[a-z]{2}", "[ -~äöü€]{1,40}"));
    ("[a-zA-Z0-9_.-]{1,20}", 0_usize..5, 0_i8..=127, statuses).prop_map(|(name, show, priority, status)| {
        let statuses = status
            .into_iter()
            .filter(|(_, text)| !text.trim().is_empty())
            .map(|(tag, text)| Status { language: Some(tag), text: text.trim().to_owned() });
        let available = Available { show: Show::ALL[show], priority, idle: None };
        Resource {
            name: Some(name),
            is_label: false,
            available: Some(available),
            statuses: statuses.collect(),
        }
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(resource in any_resource()) {
        let text = written(std::slice::from_ref(&resource), &DocumentOptions::default());
        let mut seen = read(PIDF_TYPE, &text.replace("ann@x.example", "bob@s.example"));
        let mut meant = resource;
        let (read, wrote) = (&mut seen.resources[0], &mut meant);
        // Labels stand for a text that is not there.
        if wrote.statuses.is_empty() { read.statuses.clear(); }
        // An available resource has no word, and the way back cannot tell it from one that wants to chat.
        prop_assert_eq!(seen.resources, vec![meant]);
    }

    #[test]
    fn a_stanza_says_what_was_read_from_one(resource in any_resource()) {
        let stanza = stanza(&jid("bob@s.example"), &resource, &jid("ann@x.example"));

        prop_assert_eq!(read_stanza(&stanza).value, resource);
    }

    #[test]
    fn no_octets_break_the_reader(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
        for kind in [PIDF_TYPE, "text/xml+msrtc.pidf", "application/msrtc-event-categories+xml"] {
            let _ = try_read(kind, &octets);
        }
    }
}
