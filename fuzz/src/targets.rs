//! The targets: what each promises, and how that is seen.

mod xmpp;

use crate::Target;

/// Every target.
pub static TARGETS: &[Target] = &[
    Target {
        name: "xml",
        promise: "a stream is read the same in every split, and what is read prints and reads the same again",
        run: xmpp::xml,
        samples: &["xmpp-hostile"],
        words: &[
            "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>",
            "</stream:stream>",
            "<message to='a@b'>",
            "</message>",
            "<body>",
            "</body>",
            "xmlns:x='urn:x'",
            "<x:y x:z='1'/>",
            "<![CDATA[",
            "]]>",
            "<!--",
            "-->",
            "<?xml version='1.0'?>",
            "<!DOCTYPE a>",
            "&#x0;",
            "&#xD800;",
            "&#65;",
            "&amp;",
            "&quot;",
            "\u{feff}",
            "\u{fffe}",
            "\u{10ffff}",
            "xml:lang='de'",
        ],
    },
    Target {
        name: "document",
        promise: "a document is refused or prints and reads the same again",
        run: xmpp::document,
        samples: &["xmpp-hostile"],
        words: &[
            "<?xml version='1.0' encoding='UTF-8'?>",
            "xmlns=''",
            "xmlns='urn:y'",
            "<a>",
            "</a>",
            "<a/>",
            "&lt;",
            "standalone='no'",
        ],
    },
    Target {
        name: "jid",
        promise: "an address is refused or is the same again when it is read from what it shows",
        run: xmpp::jid,
        samples: &[],
        words: &[
            "@", "/", "\\40", "\\5c", "xn--", "bücher", "ß", "İ", "\u{200d}", "\u{3002}", "a\u{308}",
            "[::1]", "%00", "\u{202e}",
        ],
    },
];
