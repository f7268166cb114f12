//! Asking the partner's web server for its certificates' fingerprints; what it says is told with the certificate.

use clock_types::Now;
use net_types::{ConnectionId, Event, Order, QueryId, Remote};
use xmpp_proto::posh::Output as Wanted;

use super::{Probe, State};

impl Probe {
    pub(super) fn is_inquiring(&self) -> bool {
        matches!(self.state, State::Inquiring(..))
    }

    pub(super) fn handle_inquiry_event(&mut self, event: Event, now: Now) {
        let State::Inquiring(inquiry, connection) = &mut self.state else { return };
        match event {
            Event::Resolved { query, answer } => {
                if let Ok(number) = u32::try_from(query.0) {
                    inquiry.handle_answer(number, answer, now);
                }
            }
            Event::Connected { connection: on, tls, .. } if *connection == Some(on) => {
                inquiry.handle_connected(tls.as_deref(), now);
            }
            Event::ConnectFailed { connection: on, reason, .. } if *connection == Some(on) => {
                *connection = None;
                inquiry.handle_connect_failed(&reason, now);
            }
            Event::Bytes { connection: on, bytes } if *connection == Some(on) => inquiry.handle_bytes(&bytes),
            Event::Closed { connection: on, reason } if *connection == Some(on) => {
                *connection = None;
                inquiry.handle_closed(reason.as_deref());
            }
            _ => {}
        }
        self.inquire(now);
    }

    pub(super) fn inquire(&mut self, now: Now) {
        while let State::Inquiring(inquiry, on) = &mut self.state {
            let Some(wanted) = inquiry.poll_output() else { return };
            let order = match wanted {
                Wanted::Ask(number, question) => {
                    Some(Order::Resolve { query: QueryId(u64::from(number)), question })
                }
                Wanted::Connect { to, host, timeout } => {
                    self.dialled += 1;
                    let connection = ConnectionId::dialled(self.dialled);
                    *on = Some(connection);
                    let tls = Some(Box::new(self.settings.https_client(&self.pair.remote, host)));
                    Some(Order::Connect { connection, to: Remote::Address(to), tls, timeout })
                }
                Wanted::Send(bytes) => on.map(|connection| Order::Send { connection, bytes: bytes.into() }),
                Wanted::Close => on.take().map(|connection| Order::Close { connection }),
                Wanted::Done(known) => {
                    self.evidence.posh = Some(known);
                    self.since = now.moment;
                    self.state = State::Done;
                    if let Some(partner) = self.settings.partner(&self.pair.remote) {
                        let search = partner.search();
                        self.seek(search, now);
                    }
                    None
                }
            };
            self.outputs.extend(order.map(super::Output::Order));
        }
    }
}
