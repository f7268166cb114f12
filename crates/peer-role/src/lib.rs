//! A small XMPP server and a SIP user agent made of the same machines, for the demonstration and the tests.
