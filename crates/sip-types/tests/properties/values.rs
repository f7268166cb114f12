//! URIs: what is put in comes out, what is read prints unchanged, and equality keeps its laws.

use proptest::prelude::*;
use sip_types::uri::{Scheme, escape_param, escape_user, unescape};
use sip_types::{Host, SipUri, Uri};

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn every_text_can_be_a_user_and_a_parameter(user in "\\PC{1,20}|.{1,20}", value in ".{0,20}", port in any::<u16>()) {
        let uri = base().with_user(&user).with_param("gr", Some(&value)).with_port(Some(port));

        let read = SipUri::parse(uri.as_str()).unwrap();

        prop_assert_eq!(read.decoded_user().unwrap(), user);
        prop_assert_eq!(read.decoded_param("gr").unwrap_or_default(), value);
        prop_assert_eq!(read.port(), Some(port));
        prop_assert!(read.matches(&uri));
        prop_assert_eq!(&read, &uri);
    }

    #[test]
    fn what_is_read_prints_unchanged(text in uri_text()) {
        if let Ok(uri) = Uri::parse(text.as_str()) {
            prop_assert_eq!(uri.to_string(), text.as_str());
            prop_assert!(uri.matches(&uri));
            if let Uri::Sip(uri) = &uri {
                let address = uri.address();
                prop_assert!(address.params().is_empty());
                prop_assert_eq!(address.user(), uri.user());
                let _ = (uri.decoded_user(), uri.without_param("lr"), uri.with_param("x", None));
            }
        }
    }

    #[test]
    fn matching_is_symmetric(one in uri_text(), other in uri_text()) {
        if let (Ok(one), Ok(other)) = (Uri::parse(one.as_str()), Uri::parse(other.as_str())) {
            prop_assert_eq!(one.matches(&other), other.matches(&one));
        }
    }

    #[test]
    fn escaping_is_undone_by_unescaping(text in ".{0,30}") {
        let (user, param) = (escape_user(&text), escape_param(&text));
        prop_assert_eq!(unescape(&user).unwrap(), text.as_str());
        prop_assert_eq!(unescape(&param).unwrap(), text.as_str());
    }

    #[test]
    fn a_host_prints_as_it_was_read(text in "[a-zA-Z0-9.-]{1,20}|\\[[0-9a-f:.]{2,20}\\]|.{0,10}") {
        if let Some(host) = Host::parse(text.as_str()) {
            prop_assert_eq!(Host::parse(host.to_string()), Some(host));
        }
    }
}

fn uri_text() -> impl Strategy<Value = String> {
    "(sip|SIPS|tel|x):([a-c%4;=]{1,4}(:[a-b]{0,2})?@)?([a-c.]{1,4}|\\[::1\\]|192\\.0\\.2\\.1)(:[0-9]{1,5})?\
     (;(lr|transport=tcp|gr|x=%61)){0,2}(\\?[a-b]=[a-b%]{1,3})?"
}

fn base() -> SipUri {
    SipUri::new(Scheme::Sip, &Host::parse("x.example").unwrap())
}
