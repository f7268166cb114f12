//! What runs in the world: any of the project's machines, behind one face.

use std::any::Any;

use clock_types::{Moment, Now};
use gateway_role::{NotStored, Record, Recovered, Ticket};
use net_types::{Event, Order};

/// What a machine in the world wants done.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Something of the network.
    Order(Order),
    /// Something for the node's disk.
    Record(Ticket, Record),
    /// Something to note down in the world's history.
    Said(String),
    /// The machine has ended after [`Machine::handle_stop`].
    Stopped,
}

/// One node's whole program.
pub trait Machine {
    /// Takes what happened on the network.
    fn handle_event(&mut self, event: Event, now: Now);
    /// Takes the outcome of an order to the disk.
    fn handle_stored(&mut self, _ticket: Ticket, _stored: Result<(), NotStored>, _now: Now) {}
    /// Does what the clock asks for.
    fn handle_timeout(&mut self, now: Now);
    /// Begins to end in good order.
    fn handle_stop(&mut self, _now: Now) {}
    /// Returns the next effect.
    fn poll_output(&mut self) -> Option<Effect>;
    /// Returns when to call [`Machine::handle_timeout`].
    fn poll_timeout(&self) -> Option<Moment>;
    /// Lets a script reach the machine inside.
    fn as_any(&mut self) -> &mut dyn Any;
}

/// What a machine is made of when its node starts, the first time and after every crash.
#[derive(Clone, Debug)]
pub struct Start {
    /// For its identifiers; never the same twice.
    pub seed: [u8; 32],
    /// What its disk holds.
    pub recovered: Recovered,
    /// When.
    pub now: Now,
}

/// Makes a node's machine.
pub type Maker = Box<dyn FnMut(Start) -> Box<dyn Machine>>;
