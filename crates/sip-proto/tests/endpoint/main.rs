//! The endpoint in virtual time: what goes in, and exactly what comes out.

mod chance;
mod connections;
mod failover;
mod incoming;
mod invite;
mod outgoing;
mod world;
