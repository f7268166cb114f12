//! XMPP server-to-server as state machines without IO.
