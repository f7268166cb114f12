//! Functions of values between XMPP and SIP.
