//! `[proxy]` and what is below it.

use super::{DAY, HOUR, KIB, MIB, MINUTE, SECOND, count, size, time};
use crate::config::schema::{Kind, Section, Setting, Shape, setting};

const NEGOTIATION: Kind = Kind::Choice(&[
    ("required", "without it there is no stream"),
    ("optional", "used where the partner can"),
    ("not-supported", "neither offered nor used"),
]);

pub static PROXY: Section = Section {
    name: "proxy",
    shape: Shape::Optional,
    doc: "The role in the DMZ: it speaks XMPP with the servers of partners, and with our own gateways over \
          the link. It never speaks SIP.",
    settings: &[
        setting("domains", Kind::List(&Kind::Domain), "The domains that we answer for.")
            .example("[\"example.com\"]"),
        setting("listen", Kind::List(&Kind::Address), "Where partners connect (XMPP with STARTTLS). `[::]` takes IPv6 only.")
            .or("[\"0.0.0.0:5269\", \"[::]:5269\"]"),
        setting(
            "direct-tls-listen",
            Kind::List(&Kind::Address),
            "Where partners connect with TLS from the first octet (XEP-0368).",
        )
        .or("[]"),
        setting(
            "identities",
            Kind::List(&Kind::Identity),
            "The certificates to show partners. For each served domain the first is taken that holds its name.",
        )
        .example("[\"public\"]"),
        setting("trust", Kind::Trust, "Whose certificates prove a partner's domain.").or("\"system\""),
        setting("resolver", Kind::List(&Kind::Resolver), "The DNS servers to ask, in this order. None written: those that the operating system asks.")
            .or("[]"),
        setting(
            "dnssec-anchors",
            Kind::Path,
            "A file of DNSKEY records that DNSSEC begins with, for partners with `dane`. It takes effect at a start.",
        )
        .absent("the root's keys, as this program was built with them (those of 2018 and 2024)"),
        setting(
            "open",
            Kind::Boolean,
            "Whether any domain that proves itself may talk, by its certificate or by dialback over TLS, not \
             only the partners below. It counts as `public-unverified`.",
        )
        .or("false"),
        setting("denied-domains", Kind::List(&Kind::Domain), "Domains that never may talk, with all below them.")
            .or("[]"),
        setting(
            "answer-version",
            Kind::Boolean,
            "Whether partners that ask are told the program's name and version (XEP-0092).",
        )
        .or("true"),
        setting(
            "dialback-secret",
            Kind::Text,
            "The secret that dialback keys are made from (XEP-0185). Proxies that serve the same domains share it.",
        )
        .absent("a new one is made at each start")
        .microsoft("DialbackPassphrase"),
        setting(
            "dialback-secret-file",
            Kind::Path,
            "A file that holds the secret, so that it need not stand here.",
        )
        .absent("the secret stands in `dialback-secret`, or is made"),
        setting(
            "resume-host",
            Kind::Host,
            "Where partners come back to when a stream loses its connection (XEP-0198): this machine's own name, where \
             several proxies serve the same domains.",
        )
        .absent("partners find it as always"),
        count("connection-limit", 1, 100_000, "How many streams with all partners together may be open.")
            .or("1000")
            .microsoft("ConnectionLimit"),
        count("partner-connection-limit", 1, 10_000, "How many streams with one partner may be open.")
            .or("20")
            .microsoft("PartnerConnectionLimit"),
        time(
            "keep-alive-interval",
            10 * SECOND,
            HOUR,
            "A stream whose partner gives no sign of life for so long, though asked, is closed.",
        )
        .or("\"300 s\"")
        .microsoft("KeepAliveInterval"),
        time(
            "establishment-timeout",
            5 * SECOND,
            10 * MINUTE,
            "How long a stream to a partner may take until stanzas can flow.",
        )
        .or("\"60 s\"")
        .microsoft("StreamEstablishmentTimeout"),
        time("inactivity-timeout", 30 * SECOND, DAY, "A stream without stanzas for so long is closed.")
            .or("\"600 s\"")
            .microsoft("StreamInactivityTimeout"),
    ],
    children: &[&PARTNER, &LINK, &LIMITS],
};

static PARTNER: Section = Section {
    name: "partner",
    shape: Shape::Repeated,
    doc: "A partner: an XMPP server that our users and its users may reach each other through.",
    settings: PARTNER_SETTINGS,
    children: &[],
};

const PARTNER_SETTINGS: &[Setting] = &[
    setting("domain", Kind::Domain, "The partner's XMPP domain.")
        .example("\"partner.example\"")
        .microsoft("Identity, Domain"),
    setting(
        "additional-domains",
        Kind::List(&Kind::Domain),
        "More domains of the same partner; each must prove itself.",
    )
    .or("[]")
    .microsoft("AdditionalDomains"),
    setting(
        "subdomains",
        Kind::Boolean,
        "Whether the domains directly and further below them belong to it too.",
    )
    .or("false"),
    setting("description", Kind::Text, "A note for people.").absent("no note").microsoft("Description"),
    setting(
        "type",
        Kind::Choice(&[
            ("federated", "a business partner: its users may write first and see presence and notes"),
            (
                "public-verified",
                "a provider that vouches for its users: they may write first and see presence",
            ),
            ("public-unverified", "a provider that does not: its users may write after ours have added them"),
        ]),
        "What its users may do before ours have added them.",
    )
    .or("\"public-unverified\"")
    .microsoft("PartnerType"),
    setting("tls", NEGOTIATION, "Whether streams with it are encrypted.")
        .or("\"required\"")
        .microsoft("TlsNegotiation"),
    setting(
        "sasl",
        NEGOTIATION,
        "Whether it proves its domain by its certificate (SASL EXTERNAL, XEP-0178).",
    )
    .or("\"required\"")
    .microsoft("SaslNegotiation"),
    setting(
        "dialback",
        Kind::Boolean,
        "Whether it may prove its domain by dialback (XEP-0220), where `tls` and `sasl` leave room for it.",
    )
    .or("true")
    .microsoft("SupportDialbackNegotiation"),
    setting(
        "allow-plaintext",
        Kind::Boolean,
        "Must be `true` besides, where `tls` and `dialback` would let a stream go unencrypted.",
    )
    .or("false"),
    setting("direct-tls", Kind::Boolean, "Whether we also try its direct TLS ports (XEP-0368).").or("true"),
    setting(
        "dane",
        Kind::Boolean,
        "Whether its zone, if it is signed, may vouch for its servers' certificates (DANE: TLSA records, RFC 7673). \
         Where the zone has such records no other certificate is accepted. The DNS server must pass DNSSEC on; an \
         answer that somebody forged leads nowhere.",
    )
    .or("false"),
    setting(
        "posh",
        Kind::Boolean,
        "Whether its web server, `https://DOMAIN/.well-known/posh/xmpp-server.json`, may vouch for its servers' \
         certificates (POSH, RFC 7711), where nothing else does. It must prove its own name to the same authorities as \
         the partner.",
    )
    .or("false"),
    setting("keep-alive", Kind::Boolean, "Whether it is asked for signs of life, and must give them.")
        .or("true")
        .microsoft("EnableKeepAlive"),
    count("connection-limit", 1, 10_000, "How many streams with it may be open.")
        .absent("`partner-connection-limit` of `[proxy]`")
        .microsoft("ConnectionLimit"),
    setting("host", Kind::Host, "Where its server is, so that the DNS is not asked for services.")
        .absent("the DNS says where (SRV, then the domain itself)")
        .microsoft("ProxyFqdn"),
    setting("trust", Kind::Trust, "Whose certificates prove its domain.").absent("`trust` of `[proxy]`"),
    setting(
        "pins",
        Kind::List(&Kind::Fingerprint),
        "SHA-256 of certificates that are believed whatever their chain; if there are any, no others are.",
    )
    .or("[]"),
    setting(
        "allow-private-addresses",
        Kind::Boolean,
        "Whether its names may lead to loopback, private or link-local addresses.",
    )
    .or("false"),
    count(
        "stanzas-per-second",
        1,
        1_000_000,
        "How many stanzas a second are taken from it; more have to wait.",
    )
    .absent("as many as come"),
    size("bytes-per-second", KIB, 1024 * MIB, "How much a second is taken from it; more has to wait.")
        .absent("as much as comes"),
];

static LINK: Section = Section {
    name: "link",
    shape: Shape::Optional,
    doc: "Where our gateways connect, over mutual TLS. Without this table the proxy serves only the gateway \
          in its own process (`gangway run`).",
    settings: &[
        setting("listen", Kind::Address, "Where gateways connect.")
            .or("\"0.0.0.0:23456\"")
            .microsoft("XmppInternalPort"),
        setting("identity", Kind::Identity, "The certificate to show gateways.").example("\"internal\""),
        setting("trust", Kind::Trust, "Whose certificates prove a gateway's name.").example("\"internal\""),
        setting(
            "gateways",
            Kind::List(&Kind::Domain),
            "The names of the gateways that may connect, as their certificates hold them.",
        )
        .example("[\"gateway.example.com\"]"),
    ],
    children: &[],
};

static LIMITS: Section = Section {
    name: "limits",
    shape: Shape::Always,
    doc: "What a peer can make the proxy hold. At a limit the peer is told so.",
    settings: &[
        count("connections-per-address", 1, 100_000, "Connections from one address.").or("50"),
        count(
            "unproved-per-address",
            1,
            10_000,
            "Connections from one address that have proved nothing yet.",
        )
        .or("10"),
        time("proof-timeout", SECOND, 10 * MINUTE, "How long a peer may take to prove a domain.")
            .or("\"30 s\""),
        size("unproved-bytes", 4 * KIB, MIB, "What a peer may send before it has proved a domain.")
            .or("\"16 KiB\""),
        size("stanza-size", 10_000, 16 * MIB, "One stanza (RFC 6120 §13.12 wants 10,000 octets at least).")
            .or("\"256 KiB\""),
        count("pending-dialbacks", 1, 1024, "Dialback questions open on one stream.").or("16"),
        count("queued-stanzas", 1, 1_000_000, "Stanzas that wait for one partner.").or("1000"),
        size("queued-bytes", 256 * KIB, 1024 * MIB, "What waits for one partner.").or("\"10 MiB\""),
        count(
            "stanzas-at-work",
            1,
            1_000_000,
            "Stanzas of one stream that no gateway has settled; then it has to wait.",
        )
        .or("1000"),
        count("held-stanzas", 1, 1_000_000, "Stanzas held while no gateway is connected.").or("1000"),
        time("held-time", SECOND, 10 * MINUTE, "How long they are held before they go back.").or("\"30 s\""),
        time(
            "report-time",
            SECOND,
            10 * MINUTE,
            "How long a stanza waits for a partner that cannot be reached, before its sender is told.",
        )
        .or("\"9 s\""),
        time(
            "acknowledgement-time",
            SECOND,
            10 * MINUTE,
            "How long a partner may take to acknowledge a stanza.",
        )
        .or("\"30 s\""),
        time(
            "suspended-time",
            0,
            HOUR,
            "How long a stream that lost its connection is kept so that its partner may go on with it; `0 s` for none.",
        )
        .or("\"300 s\""),
        count("suspended-streams", 1, 100_000, "Streams without a connection that are kept.").or("1000"),
        size(
            "suspended-bytes",
            64 * KIB,
            1024 * MIB,
            "What is kept in them that their partners have not acknowledged.",
        )
        .or("\"16 MiB\""),
        size("send-buffer", 64 * KIB, 64 * MIB, "What waits for one connection to take it.").or("\"1 MiB\""),
    ],
    children: &[],
};
