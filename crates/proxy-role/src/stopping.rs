//! Stopping without losing what somebody still counts on.

use clock_types::Now;
use net_types::ConnectionId;

use crate::courier::{Courier, CourierId, shutdown};
use crate::incoming::Incoming;
use crate::notice::Notice;
use crate::proxy::Proxy;
use crate::timers::Timer;

impl Proxy {
    /// Begins to stop: nothing new is taken, what is at work is finished, and each stream is closed with
    /// `system-shutdown` once nothing of it is at work, or when the drain time is over.
    pub fn handle_stop(&mut self, now: Now) {
        if self.world.is_stopping {
            return;
        }
        self.world.is_stopping = true;
        let deadline = now.moment + self.world.settings.limits.drain;
        self.stop_deadline = Some(deadline);
        self.world.timers.set(Timer::Stopping, Some(deadline));
        let all: Vec<_> = self.incoming.keys().copied().collect();
        for connection in all {
            self.pause(connection, "the proxy is stopping");
        }
        self.refuse_all_held(now);
        let given_up = self.kept.retain("the proxy is stopping", |_| false);
        self.hand_back(given_up, now);
        self.settle_effects(now);
    }

    /// Tells whether everything is closed after [`Self::handle_stop`].
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    /// Closes what has nothing at work any more.
    pub(crate) fn go_on_stopping(&mut self, now: Now) {
        if !self.world.is_stopping || self.is_stopped {
            return;
        }
        // A gateway that is not there will not come back before we end.
        self.links.forsake_absent();
        self.drive_links(now);
        for connection in self.closable() {
            self.close_incoming(connection, Some(shutdown()), now);
        }
        // What is at work may still be answered with an error, which needs a way out.
        let is_at_work = self.incoming.values().any(|incoming| incoming.acceptor.counts().1 > 0);
        let all: Vec<CourierId> = self.couriers.keys().copied().collect();
        for courier in all.into_iter().filter(|_| !is_at_work) {
            self.with_courier(courier, |courier, world| courier.stop(world, now));
        }
        if !self.world.effects.is_empty() {
            return self.settle_effects(now);
        }
        if self.incoming.is_empty() && self.couriers.is_empty() && self.is_link_settled() {
            self.finish(now);
        }
    }

    /// Returns the partners' streams that nothing is to be waited for on. A partner goes on sending into a
    /// stream that we do not read: the sooner it is closed, the less it has to take back.
    fn closable(&self) -> Vec<ConnectionId> {
        let is_deserted = self.links.gateways().next().is_none();
        let is_answering = self.couriers.values().any(Courier::has_letters);
        let is_closable = |incoming: &Incoming| {
            let (_, at_work, waiting) = incoming.acceptor.counts();
            waiting == 0 && (at_work == 0 || (is_deserted && !is_answering))
        };
        self.incoming
            .iter()
            .filter(|(_, incoming)| is_closable(incoming))
            .map(|(connection, _)| *connection)
            .collect()
    }

    /// Closes everything: the drain time is over.
    pub(crate) fn end_stopping(&mut self, now: Now) {
        if self.is_stopped {
            return;
        }
        let all: Vec<_> = self.incoming.keys().copied().collect();
        for connection in all {
            self.close_incoming(connection, Some(shutdown()), now);
        }
        let all: Vec<CourierId> = self.couriers.keys().copied().collect();
        for courier in all {
            self.with_courier(courier, |courier, world| courier.abort("the proxy is stopping", world, now));
        }
        self.is_stopped = true;
        self.settle_effects(now);
        self.is_stopped = false;
        self.finish(now);
    }

    fn is_link_settled(&self) -> bool {
        self.links.sessions().all(|(_, _, connection, waiting)| connection.is_none() || waiting == 0)
    }

    fn finish(&mut self, now: Now) {
        self.is_stopped = true;
        self.links.stop(now);
        self.drive_links(now);
        self.world.notice(Notice::Stopped);
    }
}
