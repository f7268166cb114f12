//! A world in virtual time for tests: wire, disk, clock, peers.
//!
//! Everything follows from one seed: whoever has the seed sees the same history again. The machines in
//! it are the product's own; the judge of what they did is not ([`ledger`]).

pub mod cast;
mod chance;
mod disk;
pub mod ledger;
pub mod machine;
pub mod model;
mod moods;
mod names;
mod network;
pub mod play;
pub mod scene;
pub mod trial;
pub mod watching;
pub mod wire;
mod world;

pub use chance::Chance;
pub use disk::Disk;
pub use names::{Authorities, Zone};
pub use world::{Listener, ListenerKind, NodeId, Weather, World};
