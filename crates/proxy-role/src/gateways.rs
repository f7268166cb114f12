//! The links to the gateways.

use clock_types::Now;
use xmpp_proto::link::AcceptorOutput as Output;

use crate::notice::Notice;
use crate::proxy::Proxy;
use crate::timers::Timer;

impl Proxy {
    /// Carries out what the links want, until they want nothing more.
    pub(crate) fn drive_links(&mut self, now: Now) {
        while let Some(output) = self.links.poll_output() {
            match output {
                Output::Send(connection, bytes) => self.world.send(connection, bytes),
                Output::Close(connection) => self.world.close(connection),
                Output::Up { gateway, name, resumed } => {
                    self.world.notice(Notice::GatewayUp { name, resumed });
                    self.release_held(now);
                    self.settle_meanwhile(gateway, now);
                }
                Output::Down(gateway, reason) => {
                    let name = self.links.sessions().find(|(other, ..)| *other == gateway);
                    let name = name.map_or_else(|| gateway.to_string(), |(_, name, ..)| name.to_string());
                    self.world.notice(Notice::GatewayDown { name, reason });
                }
                Output::Lost(gateway, stanzas) => {
                    self.settled_meanwhile.retain(|(origin, _)| *origin != gateway);
                    // The gateway is not coming back for them: another one takes them, or they wait.
                    for (id, stanza) in stanzas {
                        let source = self.on_links.remove(&id);
                        self.relay_to_gateway(source, stanza, now);
                    }
                }
                Output::Stanza { gateway, n, stanza } => self.relay_outward(gateway, n, stanza, now),
                Output::Settled(_, id) => {
                    if let Some(source) = self.on_links.remove(&id) {
                        self.settle_source(source, now);
                    }
                }
                Output::Refused(connection, reason) => {
                    self.world.owners.remove(&connection);
                    self.world.notice(Notice::GatewayDown { name: connection.to_string(), reason });
                }
            }
        }
        self.world.timers.set(Timer::Links, self.links.poll_timeout());
    }
}
