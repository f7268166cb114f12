//! `[gateway]` and what is below it.

use super::{DAY, HOUR, KIB, MIB, MINUTE, SECOND, count, size, time};
use crate::config::schema::{Kind, Section, Shape, setting};

pub static GATEWAY: Section = Section {
    name: "gateway",
    shape: Shape::Optional,
    doc: "The role inside: it translates between the SIP side and the link to the proxy. It never listens to \
          the Internet's XMPP.",
    settings: &[
        setting(
            "name",
            Kind::Host,
            "Our own name: the host that our SIP headers show, and that SIP servers reach us by.")
            .example("\"gateway.example.com\""),
        setting(
            "store",
            Kind::Path,
            "The database of messages that we have accepted and not yet delivered or reported.",
        )
        .or("\"/var/lib/gangway/gateway.db\""),
        setting("resolver", Kind::List(&Kind::Resolver), "The DNS servers to ask, in this order. None written: those that the operating system asks.")
            .or("[]"),
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
        setting(
            "receipts",
            Kind::Boolean,
            "Whether an XMPP sender that asks for a receipt (XEP-0184) gets one for a SIP 200. A server between \
             that says 200 without the user's agent makes such receipts wrong.",
        )
        .or("true"),
        setting(
            "message-type",
            Kind::Choice(&[
                ("chat", "shown in the conversation by most clients"),
                ("normal", "what RFC 7572 §5 asks for"),
            ]),
            "The type of the stanzas that texts from SIP become.",
        )
        .or("\"chat\""),
    ],
    children: &[&LISTEN, &DOMAIN, &CONVERSATIONS, &PRESENCE, &USERS, &LINK, &LIMITS],
};

static LISTEN: Section = Section {
    name: "listen",
    shape: Shape::Repeated,
    doc: "An address where SIP is taken, and sent from; or one where texts come by MSRP.",
    settings: &[
        setting(
            "transport",
            Kind::Choice(&[
                ("udp", "datagrams"),
                ("tcp", "streams"),
                ("tls", "streams over TLS"),
                ("msrp", "not SIP, but the texts of sessions with domains whose profile is `msrp`"),
                ("msrps", "as `msrp`, over TLS"),
            ]),
            "How SIP comes.",
        )
        .example("\"tls\""),
        setting("address", Kind::Address, "Where to listen.").example("\"0.0.0.0:5061\""),
        setting("name", Kind::Host, "What to write into Via and Contact, so that answers come back here.")
            .absent("`name` of `[gateway]`, and the port of `address`"),
        setting("identity", Kind::Identity, "The certificate to show (`tls` and `msrps` only).")
            .absent("none: without TLS there is none")
            .written("\"internal\""),
        setting(
            "trust",
            Kind::Trust,
            "Whose certificates prove a SIP server's name (`tls` and `msrps` only).",
        )
        .absent("none: without TLS nothing is proved")
        .written("\"internal\""),
        setting(
            "tls-library",
            Kind::Choice(&[
                ("rustls", "TLS 1.2 with forward secrecy and AEAD, and 1.3"),
                (
                    "openssl",
                    "also the older suites of Windows Server 2012 and 2012 R2; only where gangway was built with \
                     `--features openssl-sip`",
                ),
            ]),
            "What shakes hands here, and towards SIP servers with this listener's certificate (`tls` only).",
        )
        .or("\"rustls\""),
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
            .written("\"sip:pool.example.com:5061;transport=tls\""),
        setting(
            "next-hop-name",
            Kind::Domain,
            "The name that the next hop's certificate must hold, where `next-hop` gives an address, or another name.",
        )
        .absent("the host in `next-hop`"),
        setting(
            "trusted-names",
            Kind::List(&Kind::Domain),
            "The certificate names of the SIP servers that may write for its users over TLS.",
        )
        .or("[]")
        .written("[\"pool.example.com\"]"),
        setting(
            "trusted-addresses",
            Kind::List(&Kind::Network),
            "The addresses of the SIP servers that may write for its users without a certificate.",
        )
        .or("[]"),
        setting(
            "profile",
            Kind::Choice(&[
                (
                    "standard",
                    "each text is a request of its own (RFC 3428); the sender's resource is shown as `gr` \
                     (RFC 7247 §6.5)",
                ),
                ("bare-address", "as `standard`, without `gr`: some servers take a From with it for another user"),
                (
                    "microsoft",
                    "texts are exchanged in sessions, as Skype for Business and Lync want it; over TLS, without \
                     `gr`, at most 15 requests a second",
                ),
                ("cisco", "as `microsoft`: what Cisco's servers speak towards other companies"),
                (
                    "msrp",
                    "texts are exchanged by MSRP (RFC 4975, RFC 7573); users whose programs have no MSRP get each \
                     text by itself",
                ),
            ]),
            "How its servers hold conversations, and how XMPP addresses are shown to them.",
        )
        .or("\"standard\"")
        .written("\"microsoft\""),
        setting(
            "allow-plaintext",
            Kind::Boolean,
            "Lets the profiles `microsoft` and `cisco` speak UDP and TCP, and servers without a certificate \
             write. For laboratories only: the real servers speak TLS and nothing else.",
        )
        .or("false"),
        setting(
            "headlines",
            Kind::Choice(&[
                ("deliver", "they cross like any other"),
                ("drop", "they end here, silently"),
                ("refuse", "their sender gets an error"),
            ]),
            "What becomes of messages of type `headline`: news and alerts.",
        )
        .or("\"deliver\""),
        size("body-size", KIB, MIB, "A text that is larger is refused to its sender.").or("\"8 KiB\""),
        count(
            "request-rate",
            1,
            100_000,
            "How many requests a second go to its servers at most. More than that wait, texts before presence; \
             none is dropped. After a start the rate begins with a third of it and is reached in three seconds, \
             or grows by 5 each second if that is more. Domains with the same `next-hop` share it.",
        )
        .absent("15 for `microsoft` and `cisco`; for the others as they come"),
    ],
    children: &[],
};

static CONVERSATIONS: Section = Section {
    name: "conversations",
    shape: Shape::Always,
    doc: "How conversations are held with SIP domains whose profile has sessions (`microsoft`, `cisco`, `msrp`).",
    settings: &[
        time("idle-time", MINUTE, DAY, "A session in which nothing was said for so long is ended. The next text opens another.")
            .or("\"12 min\""),
        time(
            "answer-time",
            10 * SECOND,
            2 * MINUTE,
            "How long a SIP user may take to accept a session, before the texts that wait for it are returned. \
             Skype for Business takes up to 10 s on purpose, while it rings where the user is.",
        )
        .or("\"60 s\""),
        count("waiting-texts", 1, 10_000, "Texts that may wait for one session to be accepted.").or("50"),
        size("waiting-size", KIB, 16 * MIB, "Octets of text that may wait for one session to be accepted.")
            .or("\"64 KiB\""),
        setting(
            "typing",
            Kind::Boolean,
            "Whether each side sees that the other is typing (XEP-0085).",
        )
        .or("true"),
        setting(
            "tell-of-conferences",
            Kind::Boolean,
            "Whether an XMPP user is told in words that a SIP user tried to add him to a group conversation, \
             which this gateway cannot join.",
        )
        .or("true"),
        setting(
            "negotiate-status",
            Kind::Choice(&[
                ("405", "method not allowed"),
                ("488", "not acceptable here"),
                ("501", "not implemented"),
            ]),
            "How NEGOTIATE is refused, by which Microsoft's servers offer a compression that is not spoken here. \
             The connection lives on.",
        )
        .or("\"405\""),
        count("open", 1, 10_000_000, "Conversations that are open at once.").or("50000"),
        count("open-per-domain", 1, 10_000_000, "Conversations that are open at once with users of one SIP domain.")
            .or("20000"),
        setting(
            "msrp-addresses",
            Kind::List(&Kind::Network),
            "Addresses that may be dialled for MSRP although they are not of the public Internet. A SIP user's program \
             names where it is; loopback, private and link-local addresses are dialled only if they are here.",
        )
        .or("[]")
        .written("[\"10.0.0.0/8\"]"),
    ],
    children: &[],
};

static PRESENCE: Section = Section {
    name: "presence",
    shape: Shape::Always,
    doc: "How presence crosses. `gangway presence ADDRESS` says what a user sees and why.",
    settings: &[
        time("expires", MINUTE, DAY, "How long a subscription at a SIP server is asked for; it is refreshed before.")
            .or("\"1 h\"")
            .microsoft("the XMPP gateway refreshed after 28,800 s"),
        time("expires-min", SECOND, HOUR, "SIP users' subscriptions are not shorter: such a one is answered 423.")
            .or("\"60 s\""),
        time("expires-max", MINUTE, DAY, "SIP users' subscriptions are not longer.").or("\"8 h\""),
        time("pace", 0, MINUTE, "A SIP user's program is not told more often; of several changes it hears the last.")
            .or("\"5 s\""),
        setting(
            "adopt-probes",
            Kind::Boolean,
            "Whether an XMPP user's contact of whom nothing is known here is subscribed to when the user comes online. For a \
             migration, when the contacts are older than this gateway; off again when they have been seen once. Without \
             it such a contact is shown as unavailable.",
        )
        .or("false"),
        count("watched", 1, 1_000_000, "Users that one user may watch.").or("1000"),
        time(
            "stale-time",
            SECOND,
            HOUR,
            "How long a contact is still shown as he was when his server cannot be asked any more.",
        )
        .or("\"60 s\""),
        time(
            "check-interval",
            0,
            HOUR,
            "After how long without a word the servers of a domain are asked whether they are there, while somebody sees its \
             users: an XMPP server for one user's presence, a SIP server by OPTIONS. Without an answer within 20 s all its users are \
             shown as unavailable, until it answers again. `0` asks nobody.",
        )
        .or("\"40 s\""),
        time("restart-spread", 0, HOUR, "Over how long after a start all contacts are asked about anew.").or("\"30 s\""),
        setting(
            "seen-as",
            Kind::List(&Kind::Seen),
            "What activities of SIP users are in XMPP, where it is not the default: the activity (RFC 4480), then `available`, \
             `chat`, `away`, `xa` or `dnd`, and perhaps words that stand for a status text.",
        )
        .or("[]"),
        setting(
            "shown-as",
            Kind::List(&Kind::Shown),
            "The activities that stand for states of XMPP users, where they are not the defaults `away: away`, `xa: away` \
             and `dnd: busy`.",
        )
        .or("[]"),
    ],
    children: &[],
};

static USERS: Section = Section {
    name: "users",
    shape: Shape::Always,
    doc: "Which SIP users may federate. What is said of an address goes before what is said of its domain, and that \
          before `default`. To XMPP users whoever may not does not exist; he himself gets a 403 that says why. The \
          lists are read again on reload; `gangway user ADDRESS` says what holds for one.",
    settings: &[
        setting(
            "default",
            Kind::Choice(&[
                ("allowed", "whoever is not named below may"),
                ("refused", "only those may who are named below"),
            ]),
            "What holds for users whom nothing below names.",
        )
        .or("\"allowed\"")
        .microsoft("EnableXmppAccess of CsExternalAccessPolicy"),
        setting("allowed", Kind::List(&Kind::User), "Addresses and domains that may.").or("[]"),
        setting("refused", Kind::List(&Kind::User), "Addresses and domains that may not.").or("[]"),
        setting(
            "allowed-files",
            Kind::List(&Kind::Path),
            "Files of addresses and domains that may, one on a line; what follows a `#` is for people. They may be \
             long: 100,000 lines cost nothing while messages flow.",
        )
        .or("[]"),
        setting("refused-files", Kind::List(&Kind::Path), "Files, of the same form, of those that may not.")
            .or("[]"),
    ],
    children: &[],
};

static LINK: Section = Section {
    name: "link",
    shape: Shape::Repeated,
    doc: "A proxy to connect to, over mutual TLS. Without this table the gateway uses the proxy in its own \
          process (`gangway run`).",
    settings: &[
        setting(
            "proxy",
            Kind::Host,
            "Where the proxy is; the port is 23456 unless written. A name is looked up at the start.",
        )
        .example("\"edge.example.com:23456\""),
        setting("proxy-name", Kind::Domain, "The name that the proxy's certificate must hold.")
            .absent("the host of `proxy`"),
        setting("identity", Kind::Identity, "The certificate to show the proxy.").example("\"internal\""),
        setting("trust", Kind::Trust, "Whose certificates prove the proxy's name.").example("\"internal\""),
    ],
    children: &[],
};

static LIMITS: Section = Section {
    name: "limits",
    shape: Shape::Always,
    doc: "What a peer can make the gateway hold. At a limit the peer is told so.",
    settings: &[
        count("connections", 1, 1_000_000, "SIP connections in all.").or("10000"),
        count("connections-per-address", 1, 1_000_000, "SIP connections from one address.").or("50"),
        time("idle-time", 10 * SECOND, DAY, "A SIP connection without a message for so long is closed.")
            .or("\"30 min\""),
        size("header-size", KIB, MIB, "The header of one SIP message.").or("\"16 KiB\""),
        count("header-lines", 16, 4096, "The header lines of one SIP message.").or("128"),
        size("body-size", KIB, 16 * MIB, "The body of one SIP message.").or("\"64 KiB\""),
        count("unanswered-requests", 100, 10_000_000, "SIP requests that wait for our answer.").or("20000"),
        count("outgoing-requests", 100, 10_000_000, "SIP requests of our own that wait for theirs.")
            .or("50000"),
        count("queued-messages", 1, 1_000_000, "Messages that wait for one SIP user.").or("1000"),
        time("queue-time", SECOND, HOUR, "How long a message may wait behind others for the same SIP user.")
            .or("\"60 s\""),
        count("unsettled-messages", 100, 10_000_000, "Messages not delivered or reported yet, each way.")
            .or("100000"),
        size("send-buffer", 64 * KIB, 64 * MIB, "What waits for one connection to take it.").or("\"1 MiB\""),
    ],
    children: &[],
};
