//! Requests of peers.

use clock_types::Now;
use net_types::{Bytes, ConnectionId};
use sip_types::msrp::{ByteRange, FailureReport, Kind, Message, Method, SuccessReport};

use super::Msrp;
use super::assembly::Added;
use super::output::{Failure, LateReport, Output, Received, ReceivedKey, SessionKey, Verdict};
use super::session::State;

/// A whole message that waits for its answer.
#[derive(Debug)]
pub struct Unanswered {
    session: u64,
    connection: ConnectionId,
    report: LateReport,
}

impl Msrp {
    pub(super) fn handle_message(&mut self, id: ConnectionId, message: Message, now: Now) {
        match &message.kind {
            Kind::Response { code, .. } => self.handle_response(&message.transaction, *code, now),
            Kind::Request(_) => match self.session_of(id, &message, now) {
                Ok(key) => self.handle_request(key, id, message, now),
                Err(code) => self.respond(id, &message, code),
            },
        }
    }

    /// Answers at once what is larger than we take, so that its sender stops (§10.5).
    pub(super) fn handle_too_large(&mut self, id: ConnectionId, request: &Message, now: Now) {
        let code = match self.session_of(id, request, now) {
            Ok(key) => {
                if let (Some(session), Some(message)) = (self.sessions.get_mut(key), &request.message_id) {
                    session.incoming.refuse(message);
                }
                413
            }
            Err(code) => code,
        };
        self.respond(id, request, code);
    }

    /// Returns the session that a request is for; the first one gives the session its connection (§5.4, §7.3).
    fn session_of(&mut self, id: ConnectionId, request: &Message, now: Now) -> Result<u64, u16> {
        // We are nobody's relay.
        let to = Some(&request.to_path).filter(|path| path.hops() == 1).ok_or(481_u16)?.next();
        let key = *self.by_name.get(to.session()).ok_or(481_u16)?;
        let session = self.sessions.get_mut(key).ok_or(481_u16)?;
        let connection = self.connections.get(&id).ok_or(481_u16)?;
        match &session.state {
            State::Bound(bound) if *bound == id => {
                session.busy_at = now.moment;
                return Ok(key);
            }
            State::Prepared | State::Waiting if connection.target.is_none() => {}
            // Two connections for one session: somebody listened to the first (§5.4).
            State::Bound(_) | State::Dialling { .. } | State::Prepared | State::Waiting => return Err(506),
        }
        if session.ours.is_secure() != connection.secure {
            return Err(403);
        }
        let promised = session.peer.as_ref().and_then(|peer| peer.fingerprint);
        let shown = connection.certificate.as_ref().map(|shown| shown.sha256);
        // Who shows no certificate has proved itself by the URI, which only the peer was told.
        if promised.is_some() && shown.is_some() && promised != shown {
            return Err(403);
        }
        self.bind(key, id, now);
        Ok(key)
    }

    fn handle_request(&mut self, key: u64, id: ConnectionId, request: Message, now: Now) {
        match &request.kind {
            Kind::Request(Method::Send) => self.handle_send(key, id, request),
            Kind::Request(Method::Report) => self.handle_report(key, &request, now),
            Kind::Request(Method::Other(_)) => self.respond(id, &request, 501),
            Kind::Response { .. } => {}
        }
    }

    fn handle_send(&mut self, key: u64, id: ConnectionId, request: Message) {
        if request.body.is_none() {
            // It opens the session or keeps it open, and says nothing (§7.1).
            return self.respond(id, &request, 200);
        }
        let Some(session) = self.sessions.get_mut(key) else { return };
        if session.unanswered >= self.settings.limits.unanswered {
            return self.respond(id, &request, 413);
        }
        match session.incoming.add(&request, &self.settings.limits) {
            Added::Unfinished | Added::Aborted => self.respond(id, &request, 200),
            Added::Refused(code) => self.respond(id, &request, code),
            Added::Whole { content_type, body } => self.receive(key, id, request, content_type, body),
        }
    }

    fn receive(
        &mut self,
        key: u64,
        id: ConnectionId,
        request: Message,
        content_type: Option<sip_types::HeaderText>,
        body: Bytes,
    ) {
        let Some(message_id) = request.message_id.clone() else { return };
        if let Some(session) = self.sessions.get_mut(key) {
            session.unanswered += 1;
        }
        let request = Box::new(Message { body: None, content_type: None, ..request });
        let report = LateReport { request, total: body.len() as u64 };
        let number = self.unanswered.insert(Unanswered { session: key, connection: id, report });
        self.outputs.push_back(Output::Received(Box::new(Received {
            key: ReceivedKey(number),
            session: SessionKey(key),
            message_id,
            content_type,
            body,
        })));
    }

    pub(super) fn answer_received(&mut self, number: u64, verdict: Verdict, now: Now) -> Option<LateReport> {
        let Unanswered { session, connection, report } = self.unanswered.remove(number)?;
        let found = self.sessions.get_mut(session)?;
        found.unanswered -= 1;
        if found.connection() != Some(connection) {
            return None;
        }
        match verdict {
            Verdict::Delivered => {
                self.respond(connection, &report.request, 200);
                self.send_report(session, &report, 200, now);
                None
            }
            Verdict::Accepted => {
                self.respond(connection, &report.request, 200);
                report.is_wanted().then_some(report)
            }
            Verdict::Refused(code) => {
                self.respond(connection, &report.request, code);
                None
            }
        }
    }

    /// Responds, as far as the request's sender wants to hear it (§7.2).
    fn respond(&mut self, id: ConnectionId, request: &Message, code: u16) {
        let is_report = matches!(request.kind, Kind::Request(Method::Report));
        let wanted = match request.failure_report {
            FailureReport::Yes => true,
            FailureReport::Partial => code != 200,
            FailureReport::No => false,
        };
        // Nothing responds to a REPORT (§7.1.2).
        if wanted && !is_report {
            let response = request.response(code, request.to_path.next());
            self.put(id, &response);
        }
    }

    /// Sends a REPORT, as far as the message's sender wants to hear it (§7.1.3, §7.1.4).
    pub(super) fn send_report(&mut self, key: u64, report: &LateReport, code: u16, now: Now) {
        if !report.wants(code) {
            return;
        }
        let transaction = self.transaction_name();
        let Some(session) = self.sessions.get_mut(key) else { return };
        let State::Bound(connection) = session.state else { return };
        session.busy_at = now.moment;
        let range = ByteRange { start: 1, end: Some(report.total), total: Some(report.total) };
        if let Some(message) = report.request.report(transaction, range, code, &session.ours) {
            self.put(connection, &message);
        }
    }

    /// Hears what became of a message of ours; of one that is not known, nothing (§7.1.2).
    fn handle_report(&mut self, key: u64, request: &Message, now: Now) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let (Some(message_id), Some(status)) = (&request.message_id, &request.status) else { return };
        let Some(at) = session.reported.iter().position(|reported| reported.id == *message_id) else {
            return;
        };
        if status.namespace != 0 {
            return;
        }
        if status.code != 200 {
            let code = status.code;
            return self.fail_message(key, message_id, Failure::Refused { code }, now);
        }
        let reported = &mut session.reported[at];
        let range = request.byte_range;
        let start = range.map_or(1, |range| range.start) - 1;
        let end = range.and_then(|range| range.end).unwrap_or(reported.total);
        reported.there.add(start, end.min(reported.total));
        if !reported.there.are_whole(reported.total) || reported.there.len() > self.settings.limits.holes {
            return;
        }
        let wanted = reported.wanted;
        session.reported.remove(at);
        match wanted {
            SuccessReport::Yes => {
                let message_id = message_id.clone();
                self.outputs.push_back(Output::Delivered { session: SessionKey(key), message_id });
            }
            SuccessReport::No => {}
        }
    }
}

impl LateReport {
    fn wants(&self, code: u16) -> bool {
        match code {
            200 => self.request.success_report == SuccessReport::Yes,
            _ => self.request.failure_report == FailureReport::Yes,
        }
    }

    fn is_wanted(&self) -> bool {
        self.wants(200) || self.wants(400)
    }
}
