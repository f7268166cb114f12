//! Presence documents as the known programs read and write them, and those that nobody should write.

use std::fs;
use std::path::Path;

use sip_types::Request;
use translate::presence::{
    Available, DocumentOptions, NAME_MAX, Resource, STATUS_MAX, Seen, Show, StateTable, Status, document,
    read_presence, stanza,
};
use translate::{Loss, Refusal, Translated};
use xmpp_types::jid::Jid;
use xmpp_types::ns;
use xmpp_types::xml::{Element, Limits, parse_document};

use super::request;

fn jid(text: &str) -> Jid {
    Jid::parse(text).unwrap()
}

/// A NOTIFY of Bob's with these headers and this body.
fn notify(headers: &str, body: impl AsRef<[u8]>) -> Request {
    let body = body.as_ref();
    let head = format!(
        "NOTIFY sip:ann@gw.example SIP/2.0\r\nVia: SIP/2.0/UDP s.example;branch=z9hG4bK-1\r\nMax-Forwards: 70\r\n\
         From: <sip:bob@s.example>;tag=b\r\nTo: <sip:ann@x.example>;tag=a\r\nCall-ID: c\r\nCSeq: 1 NOTIFY\r\n\
         Event: presence\r\nSubscription-State: active\r\n{headers}Content-Length: {}\r\n\r\n",
        body.len()
    );
    request([head.as_bytes(), body].concat())
}

fn read(notify: &Request) -> Result<Option<Translated<Seen>>, Box<Refusal>> {
    read_presence(notify.headers(), notify.body(), &jid("bob@s.example"), &StateTable::default())
}

const PIDF: &str = "Content-Type: application/pidf+xml\r\n";

#[track_caller]
fn only(body: &str) -> (Available, Vec<Status>) {
    let seen = read(&notify(PIDF, body)).unwrap().unwrap().value;
    assert_eq!(seen.resources.len(), 1, "{seen:?}");
    (seen.resources[0].available.clone().unwrap(), seen.resources[0].statuses.clone())
}

fn ann(show: Show, resources: &[&str], options: &DocumentOptions) -> String {
    let status = Status { language: Some("en".to_owned()), text: "In a <review> & \"busy\"".to_owned() };
    let available = Available { show, priority: 5, idle: None };
    let resource = |name: &&str| Resource {
        name: Some((*name).to_owned()),
        is_label: false,
        available: Some(available.clone()),
        statuses: vec![status.clone()],
    };
    let resources: Vec<Resource> = resources.iter().map(resource).collect();
    let table = StateTable::default();
    let document = document(&jid("ann@x.example"), &resources, Some("Ann"), &table, options).unwrap();
    String::from_utf8(document.value).unwrap()
}

fn parsed(document: &str) -> Element {
    let (_, root) = document.split_once("?>").unwrap();
    parse_document(root.trim().as_bytes(), &Limits::DOCUMENT).unwrap()
}

#[test]
fn baresip_finds_its_literal_words() {
    for (show, word) in [(Show::Away, "away"), (Show::Xa, "away"), (Show::Dnd, "busy")] {
        let text = ann(show, &["desk"], &DocumentOptions::default());
        assert!(text.contains("<basic>open</basic>") && text.contains(&format!("<rpid:{word}/>")), "{text}");
    }
    let free = ann(Show::Available, &["desk"], &DocumentOptions::default());
    assert!(free.contains("<basic>open</basic>") && !free.contains("<rpid:"), "{free}");
    let table = StateTable::default();
    let nobody = document(&jid("ann@x.example"), &[], None, &table, &DocumentOptions::default()).unwrap();
    assert!(String::from_utf8(nobody.value).unwrap().contains("<basic>closed</basic>"));
}

#[test]
fn linphone_finds_the_activity_in_the_person_below_the_root() {
    let root = parsed(&ann(Show::Dnd, &["desk"], &DocumentOptions::default()));
    let person = root.child("person", ns::DATA_MODEL).unwrap();

    assert!(person.attr("id").is_some());
    assert!(person.child("activities", ns::RPID).unwrap().has_child("busy", ns::RPID));
}

#[test]
fn microsofts_readers_find_one_tuple_with_one_activity() {
    let options = DocumentOptions { one_tuple: true, ..DocumentOptions::default() };
    let root = parsed(&ann(Show::Dnd, &["desk", "phone"], &options));
    let tuples: Vec<&Element> = root.elements().filter(|child| child.is("tuple", ns::PIDF)).collect();
    let status = tuples[0].child("status", ns::PIDF).unwrap();
    let activities = status.child("activities", ns::RPID_STATUS).unwrap();

    assert_eq!(tuples.len(), 1);
    assert_eq!(activities.elements().map(|activity| activity.text()).collect::<Vec<_>>(), ["busy"]);
    assert_eq!(activities.elements().next().unwrap().name(), "activity");
}

#[test]
fn readers_that_know_xmpp_find_its_own_word_and_names() {
    let root = parsed(&ann(Show::Xa, &["desk", "phone"], &DocumentOptions::default()));
    let ids = |element: &Element| element.attr("id").map(str::to_owned);
    let tuples: Vec<_> =
        root.elements().filter(|child| child.is("tuple", ns::PIDF)).filter_map(ids).collect();
    let show = root.child("tuple", ns::PIDF).unwrap().child("status", ns::PIDF).unwrap();

    assert_eq!(tuples, ["ID-desk", "ID-phone"]);
    assert_eq!(show.child("show", ns::CLIENT).unwrap().text(), "xa");
}

#[test]
fn elements_stand_in_the_order_of_the_schema() {
    let names =
        |element: &Element| element.elements().map(|child| child.name().to_owned()).collect::<Vec<_>>();
    let root = parsed(&ann(Show::Away, &["desk", "phone"], &DocumentOptions::default()));
    let tuple = root.child("tuple", ns::PIDF).unwrap();

    assert_eq!(root.attr("entity"), Some("sip:ann@x.example"));
    assert_eq!(names(&root), ["tuple", "tuple", "person", "display-name"]);
    assert_eq!(names(tuple), ["status", "contact", "note"]);
    assert_eq!(names(tuple.child("status", ns::PIDF).unwrap()), ["basic", "activities", "show"]);
    let note = tuple.child("note", ns::PIDF).unwrap();
    assert_eq!((note.lang(), note.text().as_ref()), (Some("en"), "In a <review> & \"busy\""));
}

#[test]
fn what_baresip_publishes_is_read() {
    let (away, _) = only(
        "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\r\n\
         <presence xmlns=\"urn:ietf:params:xml:ns:pidf\"\r\n    xmlns:dm=\"urn:ietf:params:xml:ns:pidf:data-model\"\r\n\
         \x20   xmlns:rpid=\"urn:ietf:params:xml:ns:pidf:rpid\"\r\n    entity=\"sip:bob@s.example\">\r\n\
         \x20 <dm:person id=\"p4159\"><rpid:activities><rpid:away/></rpid:activities></dm:person>\r\n\
         \x20 <tuple id=\"t4109\">\r\n    <status>\r\n      <basic>open</basic>\r\n    </status>\r\n\
         \x20   <contact>sip:bob@s.example</contact>\r\n  </tuple>\r\n</presence>\r\n",
    );

    assert_eq!(away.show, Show::Away);
}

#[test]
fn what_linphone_publishes_is_read() {
    let (phone, texts) = only(
        "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"no\" ?>\n\
         <presence entity=\"sip:bob@s.example\" xmlns=\"urn:ietf:params:xml:ns:pidf\" \
         xmlns:pidfonline=\"http://www.linphone.org/xsds/pidfonline.xsd\" xmlns:rpid=\"urn:ietf:params:xml:ns:pidf:rpid\" \
         xmlns:dm=\"urn:ietf:params:xml:ns:pidf:data-model\"><tuple id=\"tm9lla\"><status><basic>open</basic>\
         <pidfonline:online/></status><contact priority=\"0.8\">sip:bob@s.example;gr=urn:uuid:1</contact>\
         <timestamp>2026-11-22T10:00:00Z</timestamp></tuple><dm:person id=\"l99cxk\"><rpid:activities>\
         <rpid:on-the-phone/></rpid:activities><dm:note xml:lang=\"fr\">En ligne</dm:note></dm:person></presence>",
    );

    assert_eq!((phone.show, phone.priority), (Show::Dnd, 102));
    assert_eq!(texts, [Status { language: Some("fr".into()), text: "En ligne".into() }]);
}

#[test]
fn a_document_inside_a_multipart_is_found() {
    let open = "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='sip:bob@s.example'>\
                <tuple id='ID-pc'><status><basic>open</basic></status></tuple></presence>";
    let rlmi =
        "<list xmlns='urn:ietf:params:xml:ns:rlmi' uri='sip:bob@s.example' version='0' fullState='true'/>";
    let body = format!(
        "--b\r\nContent-Type: application/rlmi+xml\r\nContent-ID: <r>\r\n\r\n{rlmi}\r\n\
         --b\r\nContent-Type: application/pidf+xml\r\nContent-ID: <p>\r\n\r\n{open}\r\n--b--\r\n"
    );
    for kind in [
        "multipart/related;type=\"application/rlmi+xml\";start=\"<r>\";boundary=b",
        "multipart/mixed;boundary=\"b\"",
    ] {
        let read = read(&notify(&format!("Content-Type: {kind}\r\n"), &body)).unwrap().unwrap();
        assert_eq!(read.value.resources[0].name.as_deref(), Some("pc"));
        assert!(read.losses.contains(Loss::Parts));
    }
    let other = "--b\r\nContent-Type: text/plain\r\n\r\nhi\r\n--b--\r\n";
    let status =
        |body: &str| read(&notify("Content-Type: multipart/mixed;boundary=b\r\n", body)).unwrap_err().status;
    assert_eq!((status(other), status("no boundary at all")), (415, 400));
}

#[test]
fn other_codings_and_types_are_refused_with_what_can_be_read() {
    for headers in [
        "Content-Type: application/pidf+xml\r\nContent-Encoding: gzip\r\n",
        "Content-Type: application/pidf+xml\r\nContent-Encoding: deflate\r\n",
        "Content-Type: application/pidf-diff+xml\r\n",
        "Content-Type: application/xpidf+xml\r\n",
        "Content-Type: application/pidf+xml;charset=klingon\r\n",
    ] {
        let refusal = read(&notify(headers, "<presence xmlns='urn:ietf:params:xml:ns:pidf'/>")).unwrap_err();
        assert_eq!(refusal.status, 415, "{headers}");
        assert_eq!(refusal.accept.unwrap().as_str(), "application/pidf+xml");
    }
    let identity = "Content-Type: application/pidf+xml;charset=\"UTF-8\"\r\nContent-Encoding: identity\r\n";
    assert!(read(&notify(identity, "<presence xmlns='urn:ietf:params:xml:ns:pidf'/>")).is_ok());
    assert!(read(&notify("", "<presence xmlns='urn:ietf:params:xml:ns:pidf'/>")).is_ok());
    assert!(read(&notify(PIDF, "")).unwrap().is_none());
}

#[test]
fn the_language_of_the_header_is_that_of_texts_without_one() {
    let body = "<presence xmlns='urn:ietf:params:xml:ns:pidf'><tuple id='a'><status><basic>open</basic></status>\
                <note>Weg</note><note xml:lang='en'>Out</note></tuple></presence>";
    let headers = "Content-Type: application/pidf+xml\r\nContent-Language: de\r\n";
    let seen = read(&notify(headers, body)).unwrap().unwrap().value;
    let stanza = stanza(&jid("bob@s.example"), &seen.resources[0], &jid("ann@x.example"));
    let said: Vec<_> =
        stanza.elements().filter(|child| child.name() == "status").map(Element::lang).collect();

    assert_eq!(said, [Some("de"), Some("en")]);
}

#[test]
fn hostile_documents_are_refused_or_read_as_the_index_says_and_never_passed_on() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/corpus/presence");
    let index = fs::read_to_string(corpus.join("INDEX.tsv")).unwrap();
    for line in index.lines().skip(1) {
        let [file, expected, ..] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let answer = match read(&notify(PIDF, fs::read(corpus.join(file)).unwrap())) {
            Err(refusal) => refusal.status.to_string(),
            Ok(None) => "empty".to_owned(),
            Ok(Some(read)) => {
                check(file, &read.value);
                let is_open = read.value.resources.iter().any(|known| known.available.is_some());
                if is_open { "open" } else { "unknown" }.to_owned()
            }
        };
        assert!(expected.split('|').any(|expected| expected == answer), "{file}: {answer}, not {expected}");
    }
}

/// Whatever was read fits a stanza that is well-formed, bounded and from Bob.
fn check(file: &str, seen: &Seen) {
    for resource in &seen.resources {
        assert!(resource.name.as_ref().is_none_or(|name| name.len() <= NAME_MAX), "{file}");
        let stanza = stanza(&jid("bob@s.example"), resource, &jid("ann@x.example"));
        let again = parse_document(stanza.to_string().as_bytes(), &Limits::AUTHENTICATED).unwrap();
        assert!(again.attr("from").unwrap().starts_with("bob@s.example"), "{file}");
        let known = |child: &Element| ["show", "status", "priority", "idle"].contains(&child.name());
        assert!(again.elements().all(known), "{file}: {again}");
        assert!(again.elements().all(|child| child.text().len() <= STATUS_MAX), "{file}");
    }
}
