//! `[gateway]` and what is below it.

use super::{DAY, HOUR, KIB, MIB, MINUTE, SECOND, count, size, time};
use crate::config::schema::{Kind, Section, Shape, setting};

pub static GATEWAY: Section = Section {
    name: "gateway",
    shape: Shape::Optional,
    doc: "The role inside: it translates between the SIP side and the link to the proxy. It never listens to \
          the Internet's XMPP.",
    settings: &[
        setting("name", Kind::Domain, "Our own name: the link's, and the host in our SIP headers.")
            .example("\"gateway.example.com\""),
        setting(
            "store",
            Kind::Path,
            "The database of messages that we have accepted and not yet delivered or reported.",
        )
        .or("\"/var/lib/gangway/gateway.db\""),
        setting("resolver", Kind::List(&Kind::Resolver), "The DNS servers to ask, in this order.")
            .or("[\"system\"]"),
        time(
            "hold-time",
            100,
            10 * SECOND,
            "How long a SIP sender waits for the partner's own acknowledgement, before it is told 202 and the \
             message goes to disk.",
        )
        .or("\"2 s\""),
        time("lifetime", MINUTE, 7 * DAY, "How long delivery is tried before the sender is told that it failed.")
            .or("\"24 h\""),
    ],
    children: &[&LISTEN, &DOMAIN, &LINK, &LIMITS],
};

static LISTEN: Section = Section {
    name: "listen",
    shape: Shape::Repeated,
    doc: "An address where SIP is taken, and sent from.",
    settings: &[
        setting(
            "transport",
            Kind::Choice(&[("udp", "datagrams"), ("tcp", "streams"), ("tls", "streams over TLS")]),
            "How SIP comes.",
        )
        .example("\"tls\""),
        setting("address", Kind::Address, "Where to listen.").example("\"0.0.0.0:5061\""),
        setting("name", Kind::Host, "What to write into Via and Contact, so that answers come back here.")
            .absent("`name` of `[gateway]`, and the port of `address`"),
        setting("identity", Kind::Identity, "The certificate to show (`tls` only).")
            .absent("none: `udp` and `tcp` have none")
            .example("\"internal\""),
        setting("trust", Kind::Trust, "Whose certificates prove a SIP server's name (`tls` only).")
            .absent("none: `udp` and `tcp` prove nothing")
            .example("\"internal\""),
    ],
    children: &[],
};

static DOMAIN: Section = Section {
    name: "domain",
    shape: Shape::Repeated,
    doc: "A SIP domain whose users we connect, and how to reach them.",
    settings: &[
        setting("domain", Kind::Domain, "The domain, the same for SIP and XMPP.").example("\"example.com\""),
        setting("next-hop", Kind::NextHop, "Where requests for its users go.")
            .absent("the DNS says where (NAPTR and SRV, RFC 3263)")
            .example("\"sip:pool.example.com:5061;transport=tls\""),
        setting(
            "trusted-names",
            Kind::List(&Kind::Domain),
            "The certificate names of the SIP servers that may write for its users over TLS.",
        )
        .or("[]")
        .example("[\"pool.example.com\"]"),
        setting(
            "trusted-addresses",
            Kind::List(&Kind::Host),
            "The addresses of the SIP servers that may write for its users over UDP and TCP.",
        )
        .or("[]")
        .example("[\"192.0.2.10\"]"),
        setting(
            "profile",
            Kind::Choice(&[("standard", "page mode: one MESSAGE for each text (RFC 7572)")]),
            "The dialect of its servers.",
        )
        .or("\"standard\""),
        size(
            "datagram-size",
            548,
            65_535,
            "A request that is larger does not go over UDP (RFC 3261 §18.1.1).",
        )
        .or("\"1300 B\""),
        size("body-size", KIB, MIB, "A text that is larger is refused to its sender.").or("\"8 KiB\""),
    ],
    children: &[],
};

static LINK: Section = Section {
    name: "link",
    shape: Shape::Optional,
    doc: "The proxy to connect to, over mutual TLS. Without this table the gateway uses the proxy in its own \
          process (`gangway run`).",
    settings: &[
        setting("proxy", Kind::Host, "Where the proxy is; the port is 23456 unless written.")
            .example("\"edge.example.com:23456\""),
        setting("proxy-name", Kind::Domain, "The name that the proxy's certificate must hold.")
            .absent("the host of `proxy`"),
        setting("identity", Kind::Identity, "The certificate to show the proxy.").example("\"internal\""),
        setting("trust", Kind::Trust, "Whose certificates prove the proxy's name.").example("\"internal\""),
        time("timeout", SECOND, 10 * MINUTE, "How long connecting may take.").or("\"10 s\""),
    ],
    children: &[],
};

static LIMITS: Section = Section {
    name: "limits",
    shape: Shape::Always,
    doc: "What a peer can make the gateway hold. At a limit the peer is told so.",
    settings: &[
        count("connections-per-address", 1, 100_000, "SIP connections from one address.").or("50"),
        count("connections", 1, 100_000, "SIP connections in all.").or("1000"),
        time("idle-timeout", 10 * SECOND, HOUR, "A SIP connection without a message for so long is closed.")
            .or("\"10 min\""),
        size("header-size", KIB, MIB, "The header of one SIP message.").or("\"16 KiB\""),
        count("header-lines", 16, 4096, "The header lines of one SIP message.").or("128"),
        size("body-size", KIB, 16 * MIB, "The body of one SIP message.").or("\"64 KiB\""),
        count("transactions", 100, 10_000_000, "SIP transactions at once.").or("100000"),
        count("queued-messages", 1, 1_000_000, "Messages that wait for one partner or one SIP server.")
            .or("1000"),
        size("queued-bytes", 64 * KIB, 1024 * MIB, "What waits for one partner or one SIP server.")
            .or("\"10 MiB\""),
        count("unsettled-messages", 100, 10_000_000, "Messages accepted and not settled.").or("100000"),
    ],
    children: &[],
};
