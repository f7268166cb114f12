//! The turns of one role.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use clock_types::{Moment, Now};
use net_types::Event;
use tokio::sync::{mpsc, watch};
use tokio::time::Sleep;

use crate::arrival::Arrival;
use crate::clock::Clock;
use crate::recorder::{Completion, Recorder};

use super::shell::Shell;
use super::{Effect, Ended, Role};

/// A role between its inputs and its world.
pub(super) struct Turning<R: Role> {
    pub(super) role: R,
    pub(super) clock: Clock,
    pub(super) shell: Shell,
    pub(super) records: Vec<R::Record>,
    pub(super) recorder: Box<dyn Recorder<R::Record, R::Stored>>,
    pub(super) completion: Completion<R::Stored>,
    pub(super) notices: Box<dyn FnMut(R::Notice) + Send>,
    pub(super) stopped: bool,
}

/// Where a role's inputs wait.
pub(super) struct Inputs<R: Role> {
    pub(super) arrivals: mpsc::Receiver<Arrival>,
    pub(super) commands: mpsc::Receiver<R::Command>,
    pub(super) stored: mpsc::UnboundedReceiver<R::Stored>,
    pub(super) stop: watch::Receiver<Option<Duration>>,
}

/// What a turn begins with.
enum Waking<R: Role> {
    Arrivals,
    Stored(R::Stored),
    Command(R::Command),
    Stop(Duration),
    Timer,
    Deadline,
}

impl<R: Role> Turning<R> {
    /// Takes turns until the role has stopped or its deadline has passed.
    pub(super) async fn run(&mut self, mut inputs: Inputs<R>) -> Ended {
        let events_max = self.shell.settings.turn_events_max;
        let mut waiting = Vec::with_capacity(events_max);
        let mut timer = Timer::default();
        let mut deadline: Option<Pin<Box<Sleep>>> = None;
        // What the role said at its making.
        self.drain();
        self.end_turn(&mut timer);
        while !self.stopped {
            let waking = inputs.wait(&mut waiting, events_max, &mut timer, &mut deadline).await;
            let now = self.clock.now();
            let mut full = false;
            match waking {
                Waking::Arrivals => full = self.take_arrivals(&mut waiting, now),
                Waking::Stored(stored) => {
                    self.take_stored(stored, now);
                    while let Ok(stored) = inputs.stored.try_recv() {
                        self.take_stored(stored, now);
                    }
                }
                Waking::Command(command) => {
                    self.role.handle_command(command, now);
                    self.drain();
                }
                Waking::Stop(patience) => {
                    self.shell.close_doors();
                    deadline = Some(Box::pin(tokio::time::sleep(patience)));
                    self.role.handle_stop(now);
                    self.drain();
                }
                Waking::Timer => timer.armed = None,
                Waking::Deadline => return Ended::DeadlinePassed,
            }
            self.take_timeouts();
            self.end_turn(&mut timer);
            if full {
                // The connections must get a turn, too, when the events do not end.
                tokio::task::yield_now().await;
            }
        }
        Ended::InGoodOrder
    }

    /// Feeds what waits, up to the octets of one turn; says whether more may be waiting.
    fn take_arrivals(&mut self, waiting: &mut Vec<Arrival>, now: Now) -> bool {
        let octets_max = self.shell.settings.turn_octets_max;
        let mut octets = 0;
        let mut batch = std::mem::take(waiting);
        let count = batch.len();
        let mut arrivals = batch.drain(..);
        while octets < octets_max
            && !self.stopped
            && let Some(arrival) = arrivals.next()
        {
            let Some(event) = self.shell.admit(arrival) else { continue };
            if let Event::Bytes { bytes, .. } = &event {
                octets += bytes.len();
            }
            self.role.handle_event(event, now);
            self.drain();
        }
        waiting.extend(arrivals);
        let all_taken = waiting.is_empty();
        if all_taken {
            // The batch's room is for the next one.
            *waiting = batch;
        }
        !all_taken || count >= self.shell.settings.turn_events_max
    }

    fn take_stored(&mut self, stored: R::Stored, now: Now) {
        self.role.handle_stored(stored, now);
        self.drain();
    }

    /// Tells the role of its timeouts until none is due; a turn takes time, so the clock is read again.
    fn take_timeouts(&mut self) {
        for _ in 0..TIMEOUTS_A_TURN {
            let Some(due) = self.role.poll_timeout() else { return };
            let now = self.clock.now();
            if due > now.moment {
                return;
            }
            self.role.handle_timeout(now);
            self.drain();
        }
    }

    fn drain(&mut self) {
        while let Some(effect) = self.role.poll_output() {
            match effect {
                Effect::Order(order) => self.shell.carry_out(order),
                Effect::Notice(notice) => (self.notices)(notice),
                Effect::Record(record) => self.records.push(record),
                Effect::Stopped => self.stopped = true,
            }
        }
    }

    fn end_turn(&mut self, timer: &mut Timer) {
        if !self.records.is_empty() {
            self.recorder.commit(std::mem::take(&mut self.records), self.completion.clone());
        }
        self.shell.flush();
        timer.set(self.role.poll_timeout(), &self.clock);
    }
}

impl<R: Role> Inputs<R> {
    /// Waits for the next input. Arrivals come last among what is ready, because they may never end.
    async fn wait(
        &mut self,
        waiting: &mut Vec<Arrival>,
        events_max: usize,
        timer: &mut Timer,
        deadline: &mut Option<Pin<Box<Sleep>>>,
    ) -> Waking<R> {
        // What a turn of too many octets left over comes first.
        let left_over = !waiting.is_empty();
        let stopping = deadline.is_some();
        tokio::select! {
            biased;
            () = passed(deadline) => Waking::Deadline,
            Some(command) = self.commands.recv() => Waking::Command(command),
            patience = stop_asked(&mut self.stop), if !stopping => Waking::Stop(patience),
            Some(stored) = self.stored.recv() => Waking::Stored(stored),
            () = std::future::ready(()), if left_over => Waking::Arrivals,
            _ = self.arrivals.recv_many(waiting, events_max), if !left_over => Waking::Arrivals,
            () = std::future::poll_fn(|context| timer.poll(context)) => Waking::Timer,
        }
    }
}

/// A timer that is set again only when it would ring too late: a deadline that moves away costs nothing.
#[derive(Default)]
struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
    armed: Option<Moment>,
}

impl Timer {
    fn set(&mut self, due: Option<Moment>, clock: &Clock) {
        let Some(due) = due else { return };
        if self.armed.is_some_and(|armed| armed <= due) {
            return;
        }
        self.armed = Some(due);
        let instant = clock.instant(due);
        match &mut self.sleep {
            Some(sleep) => sleep.as_mut().reset(instant),
            None => self.sleep = Some(Box::pin(tokio::time::sleep_until(instant))),
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        match (&self.armed, &mut self.sleep) {
            (Some(_), Some(sleep)) => sleep.as_mut().poll(context),
            (None, _) | (_, None) => Poll::Pending,
        }
    }
}

async fn passed(deadline: &mut Option<Pin<Box<Sleep>>>) {
    match deadline {
        Some(deadline) => deadline.await,
        None => std::future::pending().await,
    }
}

async fn stop_asked(stop: &mut watch::Receiver<Option<Duration>>) -> Duration {
    match stop.wait_for(Option::is_some).await.map(|stop| *stop) {
        Ok(Some(patience)) => patience,
        // Nobody is left who could ask.
        Ok(None) | Err(_) => std::future::pending().await,
    }
}

/// How many timeouts are told in one turn before the connections get theirs.
const TIMEOUTS_A_TURN: usize = 64;
