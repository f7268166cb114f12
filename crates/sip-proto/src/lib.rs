//! SIP as state machines without IO.
