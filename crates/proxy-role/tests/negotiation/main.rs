//! How streams with a partner come about, or do not: every combination of settings and partner, stream
//! errors at every stage, and bounds.

#![expect(clippy::unwrap_used, reason = "the scene is ours: what is wrong with it fails the test")]

mod bounds;
mod matrix;
mod scene;
mod stream_errors;
mod sudden;
mod vouched;
