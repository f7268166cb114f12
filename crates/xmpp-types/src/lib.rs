//! XMPP as values: addresses, XML, stanzas, errors.
