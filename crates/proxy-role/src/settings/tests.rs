use super::*;
use net_types::{Identity, Trust};

/// Settings of a proxy for us.example with one partner, nothing wrong with them.
pub(crate) fn settings() -> Settings {
    let served = Served { domain: domain("us.example"), identity: Identity("us".into()) };
    let partner = Partner { dialback: false, ..Partner::new(domain("partner.example")) };
    Settings {
        link: Link {
            name: "proxy".into(),
            identity: Identity("proxy".into()),
            trust: Trust("inside".into()),
            gateways: vec!["gw.inside.example".into()],
            in_process: false,
        },
        listeners: vec![
            Listener { address: "0.0.0.0:5269".parse().unwrap(), kind: ListenerKind::Partners },
            Listener { address: "0.0.0.0:5270".parse().unwrap(), kind: ListenerKind::PartnersDirectTls },
            Listener { address: "10.0.0.1:23456".parse().unwrap(), kind: ListenerKind::Gateways },
        ],
        ..Settings::in_process(served, vec![partner], Trust("public".into()))
    }
}

fn domain(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}

/// Changes the settings and expects exactly these words among what is found.
#[track_caller]
fn found(change: impl FnOnce(&mut Settings), severity: Severity, words: &str) {
    let mut settings = settings();
    change(&mut settings);
    let mistakes = settings.check();
    assert!(
        mistakes.iter().any(|mistake| mistake.severity == severity && mistake.what.contains(words)),
        "{words:?} is not in {mistakes:#?}"
    );
}

#[test]
fn settings_without_a_mistake_have_none() {
    assert_eq!(settings().check(), []);
}

#[test]
fn each_mistake_is_found_and_said_in_words() {
    let e = Severity::Error;
    found(|s| s.served.clear(), e, "no domain is served");
    found(|s| s.served.push(s.served[0].clone()), e, "us.example is served twice");
    found(|s| s.partners.push(s.partners[0].clone()), e, "partner.example is listed twice");
    found(|s| s.partners[0].additional.push(domain("us.example")), e, "so it cannot be a partner");
    found(|s| s.denied.push(domain("example")), e, "is a partner and denied");
    found(|s| s.denied.push(domain("us.example")), e, "is served and denied");
    found(|s| s.partners[0].fixed_host = Some("us.example".into()), e, "is ourselves");
    found(|s| s.partners[0].fixed_host = Some("127.0.0.1".into()), e, "is ourselves");
    found(|s| s.partners[0].fixed_host = Some("a b".into()), e, "neither a host nor an address");
    found(|s| s.link.gateways.clear(), e, "no certificate name");
    found(|s| s.listeners.truncate(2), e, "no gateway can reach");
    found(|s| s.listeners[1].address = s.listeners[0].address, e, "two listeners");
    found(|s| s.limits.stanza_bytes_max = 100, e, "refuses ordinary stanzas");
    found(|s| s.limits.connections_max = 0, e, "lets nothing through");
    found(|s| s.limits.retry_min = std::time::Duration::ZERO, e, "first pause");
    found(|s| s.partners.clear(), Severity::Warning, "no partner");
    found(|s| s.open = Some(s.partners[0].clone()), Severity::Warning, "any domain");
}

#[test]
fn contradictory_and_dangerous_negotiations_are_explained() {
    let set = |tls, sasl, dialback, allow_plaintext| {
        move |s: &mut Settings| {
            let partner = s.partners[0].clone();
            s.partners[0] = Partner { tls, sasl, dialback, allow_plaintext, ..partner };
        }
    };
    use Negotiation::{NotSupported, Optional, Required};
    found(set(NotSupported, Required, false, false), Severity::Error, "SASL needs TLS");
    found(set(Required, NotSupported, false, false), Severity::Error, "neither SASL nor dialback");
    found(set(Optional, Optional, true, false), Severity::Error, "may cross in clear");
    found(set(Optional, Optional, true, true), Severity::Warning, "may cross in clear");
    found(set(Required, Required, true, false), Severity::Warning, "dialback will not be used");
    found(set(Optional, Required, false, false), Severity::Warning, "SASL requires TLS");
    found(set(Required, Required, false, true), Severity::Warning, "has no effect");
}

#[test]
fn plaintext_needs_its_confirmation_even_where_the_table_allows_it() {
    let mut partner = Partner::new(domain("old.example"));
    partner.tls = Negotiation::NotSupported;
    assert!(partner.methods().is_none());

    partner.allow_plaintext = true;

    assert!(partner.methods().dialback_in_clear);
}

#[test]
fn a_domain_finds_its_partner_by_name_by_parent_and_by_open_mode() {
    let mut settings = settings();
    let mut wide = Partner::new(domain("wide.example"));
    wide.subdomains = true;
    settings.partners.push(wide);
    settings.denied.push(domain("evil.wide.example"));
    let found = |settings: &Settings, text: &str| {
        settings.partner(&domain(text)).map(|partner| partner.domain.as_str().to_string())
    };

    assert_eq!(found(&settings, "partner.example").as_deref(), Some("partner.example"));
    assert_eq!(found(&settings, "sub.partner.example"), None);
    assert_eq!(found(&settings, "a.b.wide.example").as_deref(), Some("wide.example"));
    assert_eq!(found(&settings, "notwide.example"), None);
    assert_eq!(found(&settings, "evil.wide.example"), None);
    assert_eq!(found(&settings, "x.evil.wide.example"), None);
    assert_eq!(found(&settings, "us.example"), None);

    settings.open = Some(Partner::new(domain("any.example")));
    assert_eq!(found(&settings, "stranger.example").as_deref(), Some("any.example"));
    assert_eq!(found(&settings, "us.example"), None);
    assert_eq!(found(&settings, "evil.wide.example"), None);
}
