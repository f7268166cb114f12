//! The loop that owns one role: events in, outputs out, one turn after the other.
//!
//! A turn takes what is waiting (up to [`Settings::turn_events_max`] events), feeds the role one input
//! at a time and drains its outputs after each; then it hands over the records, and then lets the
//! connections send, each with all its octets in one run. A role that must not speak before its records are
//! durable waits by itself for [`Role::handle_stored`].

mod shell;
mod turn;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use clock_types::{Moment, Now};
use net_types::{Event, Order};
use tokio::sync::{mpsc, watch};

use crate::clock::Clock;
use crate::dns::Resolver;
use crate::in_process::{InProcessDialler, InProcessListener};
use crate::listener::Bound;
use crate::recorder::{Completion, Recorder};
use crate::settings::{Incident, Settings};
use crate::tls::TlsRegistry;

use shell::Shell;

/// A role as the driver sees it. The program that assembles wraps its role in a type of its own and maps
/// the role's closed output enum to [`Effect`].
pub trait Role {
    /// What an operator asks of it; answers travel inside (a channel) or as notices.
    type Command;
    /// What an operator relies on.
    type Notice;
    /// What must outlive the process.
    type Record;
    /// What a store tells about records.
    type Stored;

    /// Takes one event from outside.
    fn handle_event(&mut self, event: Event, now: Now);
    /// Takes one command from an operator.
    fn handle_command(&mut self, command: Self::Command, now: Now);
    /// Takes the outcome of records that it emitted.
    fn handle_stored(&mut self, stored: Self::Stored, now: Now);
    /// Asks it to end in good order; it says [`Effect::Stopped`] once it has.
    fn handle_stop(&mut self, now: Now);
    /// Tells that the moment of [`Self::poll_timeout`] has come.
    fn handle_timeout(&mut self, now: Now);
    /// Returns when to call [`Self::handle_timeout`].
    fn poll_timeout(&self) -> Option<Moment>;
    /// Returns the next output; drained before the next input.
    fn poll_output(&mut self) -> Option<Effect<Self::Notice, Self::Record>>;
}

/// One output of a role.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect<Notice, Record> {
    /// For the network.
    Order(Order),
    /// For the operator.
    Notice(Notice),
    /// For the store.
    Record(Record),
    /// It has ended in good order; what it ordered before still leaves.
    Stopped,
}

/// All that surrounds a role.
pub struct World<R: Role> {
    /// The clock that its moments count on.
    pub clock: Clock,
    /// Bounds and patience.
    pub settings: Settings,
    /// Sockets that hold their addresses.
    pub listeners: Vec<Bound>,
    /// Where other roles of this process reach it.
    pub in_process: Option<InProcessListener>,
    /// How it reaches another role of this process ([`Remote::InProcess`](net_types::Remote::InProcess)).
    pub to_in_process: Option<InProcessDialler>,
    /// Certificates and trust.
    pub tls: Arc<TlsRegistry>,
    /// The DNS.
    pub resolver: Resolver,
    /// The store's handle.
    pub recorder: Box<dyn Recorder<R::Record, R::Stored>>,
    /// Who hears its notices; called between two inputs, so it must be quick.
    pub notices: Box<dyn FnMut(R::Notice) + Send>,
    /// Who hears what no role can hear.
    pub incidents: Arc<dyn Fn(Incident) + Send + Sync>,
}

/// One role, its world, and the loop between them.
pub struct Driver<R: Role> {
    role: R,
    world: World<R>,
    commands: mpsc::Receiver<R::Command>,
    stored: mpsc::UnboundedReceiver<R::Stored>,
    completion: Completion<R::Stored>,
    stop: watch::Receiver<Option<Duration>>,
}

impl<R> Driver<R>
where
    R: Role,
    R::Stored: Send + 'static,
{
    /// Joins a role with its world. The controls work from any thread.
    #[must_use]
    pub fn new(role: R, world: World<R>) -> (Self, Controls<R::Command>) {
        let (commands_in, commands) = mpsc::channel(COMMANDS_MAX);
        let (stop_in, stop) = watch::channel(None);
        // Not bounded by a number, but by the role: it is told once for each record that it emitted.
        let (stored_in, stored) = mpsc::unbounded_channel();
        let completion = Completion::new(Arc::new(move |outcome| {
            // The role is gone: the outcome is for nobody.
            let _ = stored_in.send(outcome);
        }));
        let driver = Self { role, world, commands, stored, completion, stop };
        (driver, Controls { commands: commands_in, stop: Arc::new(stop_in) })
    }

    /// Returns what records are answered with, for a store that has something to tell before the first.
    #[must_use]
    pub fn completion(&self) -> Completion<R::Stored> {
        self.completion.clone()
    }

    /// Runs the role until it has stopped or its deadline has passed, then closes what is open.
    /// Must be polled inside an event loop (see [`runtime`](crate::runtime)), where it starts a task for
    /// each connection.
    pub async fn run(self) -> Ended {
        let Self { role, world, commands, stored, completion, stop } = self;
        let World {
            clock,
            settings,
            listeners,
            in_process,
            to_in_process,
            tls,
            resolver,
            recorder,
            notices,
            incidents,
        } = world;
        let (shell, arrivals) = Shell::new(settings, tls, resolver, to_in_process, incidents);
        let mut turning = turn::Turning {
            role,
            clock,
            shell,
            records: Vec::new(),
            recorder,
            completion,
            notices,
            stopped: false,
        };
        turning.shell.listen(listeners, in_process);
        let ended = turning.run(turn::Inputs { arrivals, commands, stored, stop }).await;
        turning.shell.close().await;
        ended
    }
}

/// How a driver's run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The role said that it had stopped.
    InGoodOrder,
    /// The deadline passed first.
    DeadlinePassed,
}

/// How the rest of the process talks to a running role; cheap to clone, for any thread.
pub struct Controls<Command> {
    commands: mpsc::Sender<Command>,
    stop: Arc<watch::Sender<Option<Duration>>>,
}

impl<Command> Controls<Command> {
    /// Hands a command to the role, waiting while too many wait.
    ///
    /// # Errors
    ///
    /// Returns the command when the role is gone.
    pub async fn command(&self, command: Command) -> Result<(), Gone<Command>> {
        self.commands.send(command).await.map_err(|mpsc::error::SendError(command)| Gone(command))
    }

    /// Hands a command to the role from a thread without an event loop.
    ///
    /// # Errors
    ///
    /// Returns the command when the role is gone.
    pub fn command_blocking(&self, command: Command) -> Result<(), Gone<Command>> {
        self.commands.blocking_send(command).map_err(|mpsc::error::SendError(command)| Gone(command))
    }

    /// Asks the role to end in good order, and gives it `patience` for it; only the first call counts.
    pub fn stop(&self, patience: Duration) {
        self.stop.send_if_modified(|stop| match stop {
            Some(_) => false,
            None => {
                *stop = Some(patience);
                true
            }
        });
    }

    /// Waits until the role is gone.
    pub async fn gone(&self) {
        self.commands.closed().await;
    }
}

impl<Command> Clone for Controls<Command> {
    fn clone(&self) -> Self {
        Self { commands: self.commands.clone(), stop: Arc::clone(&self.stop) }
    }
}

impl<Command> fmt::Debug for Controls<Command> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Controls")
    }
}

/// A command that came too late: the role is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone<Command>(pub Command);

/// How many commands wait at most.
const COMMANDS_MAX: usize = 64;
