//! Our verdict on documents, and what we read in them, compared with another parser of the same language.

use proptest::prelude::*;
use rxml::{Event, Parse, Parser};
use xmpp_types::xml::{Element, Limits, Name, Namespace, parse_document};

/// Reads `document` with the other parser.
fn oracle(document: &[u8]) -> Option<Element> {
    let mut rest = document;
    let mut parser = Parser::new();
    let mut open: Vec<Element> = Vec::new();
    let mut root = None;
    loop {
        match parser.parse(&mut rest, true) {
            Ok(Some(Event::XmlDeclaration(..))) => {}
            Ok(Some(Event::StartElement(_, (namespace, name), attributes))) => {
                let mut element = Element::new(Namespace::new(namespace.as_str()), Name::new(name.as_str()));
                for ((namespace, name), value) in attributes {
                    element.set_attr_in(Namespace::new(namespace.as_str()), Name::new(name.as_str()), value);
                }
                open.push(element);
            }
            Ok(Some(Event::EndElement(_))) => {
                let element = open.pop()?;
                match open.last_mut() {
                    Some(parent) => parent.push_child(element),
                    None => root = Some(element),
                }
            }
            Ok(Some(Event::Text(_, text))) => {
                if let Some(parent) = open.last_mut() {
                    parent.push_text(text);
                }
            }
            Ok(None) => return root.filter(|_| rest.is_empty()),
            Err(_) => return None,
        }
    }
}

/// The tree with the attributes of every element in one order, for the other parser keeps none.
fn sorted(element: &Element) -> Element {
    let mut attributes: Vec<_> = element.attributes().iter().collect();
    attributes.sort_by_key(|a| (a.namespace(), a.name()));
    let mut copy = Element::new(Namespace::new(element.namespace()), Name::new(element.name()));
    for attribute in attributes {
        copy.set_attr_in(
            Namespace::new(attribute.namespace()),
            Name::new(attribute.name()),
            attribute.value(),
        );
    }
    for child in element.children() {
        match child.as_element() {
            Some(child) => copy.push_child(sorted(child)),
            None => copy.push_text(child.as_text().unwrap_or_default()),
        }
    }
    copy
}

#[track_caller]
fn compare(document: &str) {
    let ours = parse_document(document.as_bytes(), &Limits::DOCUMENT);
    let theirs = oracle(document.as_bytes());

    match (&ours, &theirs) {
        (Ok(ours), Some(theirs)) => assert_eq!(sorted(ours), sorted(theirs), "{document:?}"),
        (Ok(_), None) => panic!("we accept what the oracle refuses: {document:?}"),
        (Err(error), Some(_)) => {
            // COMPAT(rxml, 0.14): a declaration that is given twice passes, against XML 1.0 §3.1.
            let known = error.reason == "an attribute is given twice";
            assert!(known, "we refuse what the oracle accepts: {document:?}: {error}");
        }
        (Err(_), None) => {}
    }
}

#[test]
fn both_parsers_agree_on_what_is_easily_got_wrong() {
    for document in [
        "<a/>",
        "<?xml version='1.0'?><a/>",
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<a b='1'>x<c/>y</a>",
        "<a b='1' b='2'/>",
        "<a xmlns:p='u' xmlns:q='u' p:b='' q:b=''/>",
        "<a xmlns:p='u' p:b='1' b='2'><p:c xmlns='v'/></a>",
        "<a xmlns:p=''/>",
        "<a xmlns='u'><b xmlns=''/></a>",
        "<a>]]></a>",
        "<a><![CDATA[<&]]>]]&gt;</a>",
        "<a b='\t\n\r\n&#9;&#10;&#13;'>\r\n\r&#13;</a>",
        "<a b='<'/>",
        "<a b='>'/>",
        "<a>&lt;&gt;&amp;&apos;&quot;&#60;&#x3c;</a>",
        "<a>&nbsp;</a>",
        "<a>&#0;</a>",
        "<a>&#xD800;</a>",
        "<a>&#4294967360;</a>",
        "<a>\u{1}</a>",
        "<a>\u{FFFE}</a>",
        "<a>\u{7F}\u{85}\u{2028}</a>",
        "<a xml:lang='en' xml:x=''/>",
        "<a xmlns:xml='http://www.w3.org/XML/1998/namespace'/>",
        "<a xmlns:xmlns='u'/>",
        "<xml:a/>",
        "<xmlns:a/>",
        "<a:b:c/>",
        "<a></a >",
        "<a></ a>",
        "<a b = 'c' />",
        "<a b='c'd='e'/>",
        "<!-- --><a/>",
        "<!DOCTYPE a><a/>",
        "<a><?b?></a>",
        "<é xmlns:ü='u' ü:ß=''/>",
    ] {
        compare(document);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_parsers_agree_on_documents_from_a_grammar(document in documents()) {
        compare(&document);
    }

    #[test]
    fn both_parsers_agree_on_documents_with_a_slip(
        document in documents(),
        at in any::<prop::sample::Index>(),
        slip in "[<>&;'\"=/:!?\\[\\] a\t\n\u{0}\u{1}\u{FFFF}]{0,2}",
        dropped in 0..3_usize,
    ) {
        let mut characters: Vec<char> = document.chars().collect();
        let at = at.index(characters.len());
        let end = characters.len().min(at + dropped);
        characters.splice(at..end, slip.chars());
        let document = characters.into_iter().collect::<String>();
        // COMPAT(rxml, 0.14): a carriage return alone is lost, against XML 1.0 §2.11; and white space before
        // the root needs a declaration, against §2.8.
        let alone = document.replace("\r\n", "").contains('\r');
        if !alone && !document.starts_with(char::is_whitespace) {
            compare(&document);
        }
    }
}

/// Documents that are mostly well-formed, with everything in them that the language has.
fn documents() -> impl Strategy<Value = String> {
    let declaration = prop_oneof![
        3 => Just(""),
        1 => Just("<?xml version='1.0'?>"),
        1 => Just("<?xml version=\"1.0\" encoding='UTF-8'?>\n"),
    ];
    (declaration, elements(), "[ \n]?")
        .prop_map(|(declaration, root, end)| format!("{declaration}{root}{end}"))
}

fn elements() -> impl Strategy<Value = String> {
    let name = || prop_oneof![4 => "[ab]", 2 => "p:[ab]", 1 => Just("xml:a".to_owned())];
    let value =
        "([a-c <>é]|&lt;|&#13;|&amp;|\t|\r\n|&#x1F600;){0,4}".prop_map(|value| value.replace('<', ""));
    let attribute = prop_oneof![
        4 => (name(), value).prop_map(|(name, value)| format!(" {name}='{value}'")),
        1 => "[uv]{0,2}".prop_map(|uri| format!(" xmlns=\"{uri}\"")),
        2 => "[uv]".prop_map(|uri| format!(" xmlns:p='{uri}'")),
    ];
    let head = (name(), proptest::collection::vec(attribute, 0..4));
    let leaf = head.clone().prop_map(|(name, attributes)| format!("<{name}{}/>", attributes.concat()));
    leaf.prop_recursive(3, 12, 3, move |inner| {
        let text = prop_oneof![
            "([a-c \n\r]|&gt;|&#60;|\\]){0,5}",
            "[a-c<&>]{0,4}".prop_map(|text| format!("<![CDATA[{text}]]>")),
        ];
        let child = prop_oneof![inner, text];
        (head.clone(), proptest::collection::vec(child, 0..4)).prop_map(|((name, attributes), children)| {
            format!("<{name}{} xmlns:p='w'>{}</{name} >", attributes.concat(), children.concat())
        })
    })
}
