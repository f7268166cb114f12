//! What the tests of both directions speak with.

use std::time::Duration;

use clock_types::{Date, Moment, Now};

use super::{DeliverySettings, StoreOrder};
use crate::record::{Record, Ticket};

/// A machine of one direction.
pub trait Machine {
    type Output;

    fn with(settings: DeliverySettings) -> Self;
    fn handle_timeout(&mut self, now: Now);
    fn poll_output(&mut self) -> Option<Self::Output>;
    /// Says it in a few words.
    fn describe(output: &Self::Output) -> String;
    fn store_order(output: &Self::Output) -> Option<&StoreOrder>;
}

/// A machine in its time.
pub struct Timeline<M> {
    pub machine: M,
    pub now: Now,
}

impl<M: Machine> Timeline<M> {
    pub fn new() -> Self {
        Self::with(DeliverySettings::default())
    }

    pub fn with(settings: DeliverySettings) -> Self {
        Self { machine: M::with(settings), now: START }
    }

    pub fn at(&mut self, milliseconds: u64) -> &mut Self {
        self.now = START.plus(Duration::from_millis(milliseconds));
        self
    }

    pub fn wake(&mut self) {
        self.machine.handle_timeout(self.now);
    }

    pub fn drop_outputs(&mut self) {
        while self.machine.poll_output().is_some() {}
    }

    #[track_caller]
    pub fn expect<const N: usize>(&mut self, expected: [&str; N]) {
        let said: Vec<_> =
            std::iter::from_fn(|| self.machine.poll_output()).map(|output| M::describe(&output)).collect();
        assert_eq!(said, expected);
    }

    #[track_caller]
    pub fn expect_store(&mut self, expected: &str) -> Ticket {
        let output = self.machine.poll_output().expect("an order to the store");
        assert_eq!(M::describe(&output), format!("store {expected}"));
        self.expect([]);
        M::store_order(&output).expect("described as a store order").ticket
    }
}

/// Says an order for the store in a few words.
pub fn describe(order: &StoreOrder) -> String {
    match &order.record {
        Record::Accepted(message) if message.report.is_some() => {
            format!("store accepted {} with report", message.key)
        }
        Record::Accepted(message) => format!("store accepted {}", message.key),
        Record::Failed { key, report } => format!("store failed {key} {report}"),
        Record::Settled { key, .. } => format!("store settled {key}"),
        Record::Watch(_) | Record::Wrote { .. } => panic!("delivery keeps messages only"),
    }
}

const START: Now = Now { moment: Moment::ZERO, date: Date::from_unix_millis(0) };
