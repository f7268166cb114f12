//! The decisions of the XMPP proxy.
