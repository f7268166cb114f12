//! Asking a partner's web server for its certificates' fingerprints, before the partner is dialled (RFC 7711 §5).

use clock_types::Now;
use net_types::{Order, Remote};
use xmpp_proto::posh::{Inquiry, Output};

use super::{Courier, State};
use crate::world::World;

impl Courier {
    /// Begins to ask if that is wanted and the answer is not known; tells whether it did.
    pub(super) fn begins_inquiry(&mut self, world: &mut World, now: Now) -> bool {
        let remote = &self.pair.remote;
        let Some(partner) = world.settings.partner(remote).filter(|partner| partner.has_posh()) else {
            return false;
        };
        if world.posh.get(remote, now).is_some() {
            return false;
        }
        let inquiry = Inquiry::new(remote, partner.search().addresses, now);
        self.state = State::Inquiring(Box::new(inquiry), None);
        self.inquire(world, now);
        true
    }

    /// Carries out what the inquiry wants; the search for servers follows it, whatever it came to.
    pub(super) fn inquire(&mut self, world: &mut World, now: Now) {
        while let State::Inquiring(inquiry, connection) = &mut self.state {
            let Some(output) = inquiry.poll_output() else { return };
            match output {
                Output::Ask(number, question) => {
                    let query = world.next_query(self.id, number);
                    world.order(Order::Resolve { query, question });
                }
                Output::Connect { to, host, timeout } => {
                    let dialled = world.next_connection(self.id);
                    *connection = Some(dialled);
                    let tls = Some(Box::new(world.settings.https_client(&self.pair.remote, host)));
                    world.order(Order::Connect {
                        connection: dialled,
                        to: Remote::Address(to),
                        tls,
                        timeout,
                    });
                }
                Output::Send(bytes) => {
                    if let Some(connection) = *connection {
                        world.send(connection, bytes);
                    }
                }
                Output::Close => {
                    if let Some(connection) = connection.take() {
                        world.close(connection);
                    }
                }
                Output::Done(known) => {
                    world.posh.put(self.pair.remote.clone(), known, now);
                    self.state = State::Idle;
                    self.seek(world, now);
                }
            }
        }
    }
}
