//! A world in virtual time for tests: wire, disk, clock, peers.
