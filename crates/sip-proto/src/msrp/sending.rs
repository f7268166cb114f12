//! Requests of ours: content in chunks, and what keeps a session open.

use clock_types::{Moment, Now};
use sip_types::msrp::{ByteRange, Continuation, Ident, Message, Method, Path};

use super::output::{End, Failure, Output, SessionKey};
use super::ranges::Ranges;
use super::session::{Outgoing, Reported, ToSend, Unready};
use super::{Msrp, Timer};

/// A request without its response.
#[derive(Debug)]
pub struct Transaction {
    session: u64,
    name: Ident,
    /// What it carried some of; `None` if nothing.
    message_id: Option<Ident>,
    pub until: Moment,
}

impl Msrp {
    pub(super) fn queue(&mut self, key: u64, content: ToSend, now: Now) -> Result<(), Unready> {
        let session = self.sessions.get_mut(key).ok_or(Unready::NoSuchSession)?;
        if session.outgoing.len() >= self.settings.limits.queue {
            return Err(Unready::Full);
        }
        session.outgoing.push_back(Outgoing { content, next: 0, begun: false, outstanding: 0 });
        self.advance(key, now);
        Ok(())
    }

    /// Sends what may be sent: some chunks of the first message; the next one when all of them are answered.
    pub(super) fn advance(&mut self, key: u64, now: Now) {
        loop {
            let Some(session) = self.sessions.get_mut(key) else { return };
            if session.way().is_none() {
                return;
            }
            let Some(first) = session.outgoing.front() else { return };
            if !first.is_sent() && first.outstanding < WINDOW {
                self.send_chunk(key, now);
            } else if first.is_sent() && first.outstanding == 0 {
                let message_id = first.content.message_id.clone();
                session.outgoing.pop_front();
                self.outputs.push_back(Output::Accepted { session: SessionKey(key), message_id });
            } else {
                return;
            }
        }
    }

    fn send_chunk(&mut self, key: u64, now: Now) {
        let reported_max = self.settings.limits.reported;
        let mut name = self.transaction_name();
        let Some(session) = self.sessions.get_mut(key) else { return };
        let Some(path) = session.way().map(|(_, path)| path.clone()) else { return };
        let ours = Path::to(session.ours.clone());
        let Some(outgoing) = session.outgoing.front_mut() else { return };
        let content = &outgoing.content;
        let total = content.body.len();
        if !outgoing.begun {
            if session.reported.len() >= reported_max {
                session.reported.pop_front();
            }
            session.reported.push_back(Reported {
                id: content.message_id.clone(),
                total: total as u64,
                there: Ranges::default(),
                wanted: content.success_report,
            });
        }
        let end = total.min(outgoing.next + CHUNK_BYTES);
        let range = ByteRange {
            // Content without octets is 1-0/0 (§7.1.1).
            start: outgoing.next as u64 + 1,
            end: Some(end as u64),
            total: Some(total as u64),
        };
        let mut request = Message {
            message_id: Some(content.message_id.clone()),
            byte_range: Some(range),
            success_report: content.success_report,
            content_type: Some(content.content_type.clone()),
            body: Some(content.body.slice(outgoing.next..end)),
            continuation: if end == total { Continuation::Complete } else { Continuation::More },
            ..Message::request(name.clone(), Method::Send, path, ours)
        };
        let message_id = content.message_id.clone();
        outgoing.next = end;
        outgoing.begun = true;
        outgoing.outstanding += 1;
        while request.collides() {
            name = self.transaction_name();
            request.transaction = name.clone();
        }
        self.transact(key, request, Some(message_id), now);
    }

    /// Sends a SEND without content: it tells the peer which session a connection is for, and that we live.
    pub(super) fn send_bodiless(&mut self, key: u64, now: Now) {
        let name = self.transaction_name();
        let message_id = Ident::parse(self.ids.token("m"));
        let Some(session) = self.sessions.get(key) else { return };
        let Some((_, path)) = session.way() else { return };
        let request = Message {
            message_id,
            ..Message::request(name, Method::Send, path.clone(), Path::to(session.ours.clone()))
        };
        self.transact(key, request, None, now);
    }

    fn transact(&mut self, key: u64, request: Message, message_id: Option<Ident>, now: Now) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let Some((connection, _)) = session.way() else { return };
        session.busy_at = now.moment;
        let until = now.moment + self.settings.answer_within;
        let name = request.transaction.clone();
        let number =
            self.transactions.insert(Transaction { session: key, name: name.clone(), message_id, until });
        self.by_transaction.insert(name, number);
        self.deadlines.push(until, now.moment, Timer::Transaction(number));
        self.put(connection, &request);
    }

    pub(super) fn handle_response(&mut self, name: &Ident, code: u16, now: Now) {
        let Some(number) = self.by_transaction.get(name).copied() else { return };
        let Some(transaction) = self.settle(number) else { return };
        let key = transaction.session;
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.busy_at = now.moment;
        let front = session.outgoing.front_mut();
        match (code, transaction.message_id) {
            // A relay's word for no answer (§10.4).
            (408, id) => self.time_out(key, id, now),
            (200, Some(id)) => {
                if let Some(outgoing) = front.filter(|outgoing| outgoing.content.message_id == id) {
                    outgoing.outstanding = outgoing.outstanding.saturating_sub(1);
                    self.advance(key, now);
                }
            }
            (200, None) => {}
            (_, id) => {
                let ends = id.is_none() || matches!(code, 481 | 506);
                if let Some(id) = id {
                    self.fail_message(key, &id, Failure::Refused { code }, now);
                }
                if ends {
                    self.end_session(key, Some(End::Refused { code }), now);
                }
            }
        }
    }

    pub(super) fn handle_transaction_timeout(&mut self, number: u64, now: Now) {
        if let Some(transaction) = self.settle(number) {
            self.time_out(transaction.session, transaction.message_id, now);
        }
    }

    /// Whoever does not answer one request will not answer the next.
    fn time_out(&mut self, key: u64, message_id: Option<Ident>, now: Now) {
        if let Some(id) = message_id {
            self.fail_message(key, &id, Failure::TimedOut, now);
        }
        self.end_session(key, Some(End::Silent), now);
    }

    fn settle(&mut self, number: u64) -> Option<Transaction> {
        let transaction = self.transactions.remove(number)?;
        self.by_transaction.remove(&transaction.name);
        Some(transaction)
    }

    /// Gives a message up, once. A peer that has some of it is told that the rest will not come, unless it said itself
    /// that it wants no more (§7.1, §10.5).
    pub(super) fn fail_message(&mut self, key: u64, id: &Ident, failure: Failure, now: Now) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let reported = session.reported.iter().position(|reported| reported.id == *id);
        reported.map(|at| session.reported.remove(at));
        let is_first = session.outgoing.front().is_some_and(|first| first.content.message_id == *id);
        let given_up = if is_first { session.outgoing.pop_front() } else { None };
        if reported.is_none() && given_up.is_none() {
            return;
        }
        let wants_no_more = failure == (Failure::Refused { code: 413 });
        self.outputs.push_back(Output::Failed { session: SessionKey(key), message_id: id.clone(), failure });
        if let Some(outgoing) = given_up {
            if !outgoing.is_sent() && !wants_no_more {
                self.abort(key, &outgoing);
            }
            self.advance(key, now);
        }
    }

    /// Ends a message of which some chunks were sent with one that has no octets.
    fn abort(&mut self, key: u64, outgoing: &Outgoing) {
        let name = self.transaction_name();
        let Some(session) = self.sessions.get(key) else { return };
        let Some((connection, path)) = session.way() else { return };
        let at = outgoing.next as u64;
        let request = Message {
            message_id: Some(outgoing.content.message_id.clone()),
            byte_range: Some(ByteRange {
                start: at + 1,
                end: Some(at),
                total: Some(outgoing.content.body.len() as u64),
            }),
            failure_report: sip_types::msrp::FailureReport::No,
            content_type: Some(outgoing.content.content_type.clone()),
            body: Some(net_types::Bytes::new()),
            continuation: Continuation::Aborted,
            ..Message::request(name, Method::Send, path.clone(), Path::to(session.ours.clone()))
        };
        self.put(connection, &request);
    }
}

/// So many octets of content go in one chunk: a longer one would have to be interruptible (§7.1.1).
const CHUNK_BYTES: usize = 2048;
/// So many chunks of a message may wait for their responses: enough to keep a way busy, few enough to heed a 413.
const WINDOW: usize = 8;
