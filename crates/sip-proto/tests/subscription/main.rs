//! Timelines of subscriptions, with T1 = 500 ms.

#![expect(clippy::unwrap_used, reason = "a test's helper may panic as its test may")]

mod notifier;
mod subscriber;
mod world;
