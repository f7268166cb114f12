//! Namespaces of XMPP and of the documents it carries.

/// Declares the namespaces, and the list that lets the parser name them without allocating.
macro_rules! namespaces {
    ($( $(#[$doc:meta])* $name:ident = $uri:literal; )+) => {
        $( $(#[$doc])* pub const $name: &str = $uri; )+

        /// Every namespace above.
        pub(crate) const ALL: &[&str] = &[ $( $name, )+ ];
    };
}

namespaces! {
    /// Stanzas between servers (RFC 6120 §4.8.2), and the namespace in which every stanza is held here.
    SERVER = "jabber:server";
    /// Stanzas between a client and its server (RFC 6120 §4.8.2).
    CLIENT = "jabber:client";
    /// Stanzas between a server and a component it trusts (XEP-0114).
    COMPONENT_ACCEPT = "jabber:component:accept";
    /// The stream element, its features and its error (RFC 6120 §4.8.1).
    STREAMS = "http://etherx.jabber.org/streams";
    /// Stream error conditions (RFC 6120 §4.9.2).
    STREAM_ERRORS = "urn:ietf:params:xml:ns:xmpp-streams";
    /// Stanza error conditions (RFC 6120 §8.3.2).
    STANZA_ERRORS = "urn:ietf:params:xml:ns:xmpp-stanzas";
    /// STARTTLS negotiation (RFC 6120 §5).
    TLS = "urn:ietf:params:xml:ns:xmpp-tls";
    /// SASL negotiation (RFC 6120 §6).
    SASL = "urn:ietf:params:xml:ns:xmpp-sasl";
    /// Resource binding (RFC 6120 §7).
    BIND = "urn:ietf:params:xml:ns:xmpp-bind";
    /// Server dialback elements (XEP-0220).
    DIALBACK = "jabber:server:dialback";
    /// The stream feature that offers dialback (XEP-0220 §2.4).
    DIALBACK_FEATURE = "urn:xmpp:features:dialback";
    /// Stream management (XEP-0198).
    SM3 = "urn:xmpp:sm:3";
    /// XMPP ping (XEP-0199).
    PING = "urn:xmpp:ping";
    /// Bidirectional server streams, the request (XEP-0288).
    BIDI = "urn:xmpp:bidi";
    /// Bidirectional server streams, the feature (XEP-0288).
    BIDI_FEATURE = "urn:xmpp:features:bidi";
    /// Stream limits advertisement (XEP-0478).
    LIMITS = "urn:xmpp:stream-limits:0";
    /// Stream compression, which is never negotiated (XEP-0138).
    COMPRESS = "http://jabber.org/protocol/compress";
    /// Application conditions of errors (XEP-0182).
    ERRORS = "urn:xmpp:errors";
    /// Service discovery, information (XEP-0030).
    DISCO_INFO = "http://jabber.org/protocol/disco#info";
    /// Service discovery, items (XEP-0030).
    DISCO_ITEMS = "http://jabber.org/protocol/disco#items";
    /// Software version (XEP-0092).
    VERSION = "jabber:iq:version";
    /// Entity time (XEP-0202).
    TIME = "urn:xmpp:time";
    /// Last activity (XEP-0012).
    LAST = "jabber:iq:last";
    /// Rosters (RFC 6121 §2).
    ROSTER = "jabber:iq:roster";
    /// Data forms (XEP-0004).
    DATA_FORMS = "jabber:x:data";
    /// Chat state notifications (XEP-0085).
    CHAT_STATES = "http://jabber.org/protocol/chatstates";
    /// Message delivery receipts (XEP-0184).
    RECEIPTS = "urn:xmpp:receipts";
    /// Delayed delivery (XEP-0203).
    DELAY = "urn:xmpp:delay";
    /// Unique and stable stanza identifiers (XEP-0359).
    STANZA_IDS = "urn:xmpp:sid:0";
    /// User nickname (XEP-0172).
    NICK = "http://jabber.org/protocol/nick";
    /// Entity capabilities (XEP-0115).
    CAPS = "http://jabber.org/protocol/caps";
    /// vCards (XEP-0054).
    VCARD = "vcard-temp";
    /// vCard-based avatars (XEP-0153).
    VCARD_UPDATE = "vcard-temp:x:update";
    /// XHTML-IM's container (XEP-0071).
    XHTML_IM = "http://jabber.org/protocol/xhtml-im";
    /// XHTML itself.
    XHTML = "http://www.w3.org/1999/xhtml";
    /// Out-of-band data (XEP-0066).
    OOB = "jabber:x:oob";
    /// Message carbons (XEP-0280).
    CARBONS = "urn:xmpp:carbons:2";
    /// Stanza forwarding (XEP-0297).
    FORWARD = "urn:xmpp:forward:0";
    /// Message processing hints (XEP-0334).
    HINTS = "urn:xmpp:hints";
    /// Chat markers (XEP-0333).
    MARKERS = "urn:xmpp:chat-markers:0";
    /// Last message correction (XEP-0308).
    CORRECT = "urn:xmpp:message-correct:0";
    /// Reactions (XEP-0444).
    REACTIONS = "urn:xmpp:reactions:0";
    /// Fallback indication (XEP-0428).
    FALLBACK = "urn:xmpp:fallback:0";
    /// Multi-user chat (XEP-0045).
    MUC = "http://jabber.org/protocol/muc";
    /// Multi-user chat, for occupants (XEP-0045).
    MUC_USER = "http://jabber.org/protocol/muc#user";
    /// Direct invitations to a room (XEP-0249).
    CONFERENCE = "jabber:x:conference";
    /// Last user interaction in presence (XEP-0319).
    IDLE = "urn:xmpp:idle:1";
    /// Blocking (XEP-0191).
    BLOCKING = "urn:xmpp:blocking";
    /// Our link's selective acknowledgement, on top of XEP-0198.
    LINK = "urn:gangway:link:0";
    /// Presence documents (RFC 3863).
    PIDF = "urn:ietf:params:xml:ns:pidf";
    /// The presence data model (RFC 4479).
    DATA_MODEL = "urn:ietf:params:xml:ns:pidf:data-model";
    /// Rich presence (RFC 4480).
    RPID = "urn:ietf:params:xml:ns:pidf:rpid";
    /// Rich presence as a draft of 2002 had it, which Microsoft's servers speak (MS-PRES §2.2.1).
    RPID_STATUS = "urn:ietf:params:xml:ns:pidf:status:rpid-status";
    /// Contact information in presence documents (RFC 4482).
    CIPID = "urn:ietf:params:xml:ns:pidf:cipid";
    /// Composing indications (RFC 3994).
    IS_COMPOSING = "urn:ietf:params:xml:ns:im-iscomposing";
    /// The namespace that the prefix `xml` is bound to for ever (XML-NAMES §3).
    XML = "http://www.w3.org/XML/1998/namespace";
    /// The namespace of declarations, in which nothing else may be (XML-NAMES §3).
    XMLNS = "http://www.w3.org/2000/xmlns/";
}
