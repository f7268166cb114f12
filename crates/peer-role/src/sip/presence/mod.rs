//! Presence of a SIP server's users, by a reading of its own of RFC 6665 and RFC 3856: they watch others, each from a
//! program of his, and are watched.
//!
//! Only the writing of messages and the transactions are the project's; what a subscription is, is said here once
//! more, so that neither reading hides the other's mistakes.

mod dialog;
mod house;
mod programs;

use std::collections::VecDeque;
use std::time::Duration;

use clock_types::{Ids, Moment, Now, earliest};
use sip_proto::endpoint::{Failure, ServerKey};
use sip_types::{Method, Request, Response};

use self::house::House;
use self::programs::Programs;
use crate::Said;
use crate::presence::{State, Told, View};

/// How presence is done.
#[derive(Clone, Debug)]
pub struct PresenceManners {
    /// Seconds that programs ask for.
    pub asks: u32,
    /// Seconds that the server grants at the most.
    pub grants: u32,
    /// Whether the first NOTIFY goes before the answer to SUBSCRIBE (RFC 6665 §4.1.2.4 expects it).
    pub notifies_first: bool,
    /// Whether who may not is told so by 403; else by a NOTIFY.
    pub forbids: bool,
    /// How soon a program expects to be told the next thing at the earliest (RFC 3856 §6.10: 5 s).
    pub pace: Duration,
    /// How long a program takes to answer a NOTIFY.
    pub answers_after: Duration,
    /// Host, port and transport of a Contact: `10.0.0.9:5060;transport=tcp`.
    pub place: String,
}

/// What presence wants done.
#[derive(Clone, Debug)]
pub(super) enum PresenceOutput {
    /// Send a request; its fate is told under this number.
    Send(u64, Box<Request>),
    /// Answer a request, after a while.
    Respond(Duration, ServerKey, Box<Response>),
    /// For people.
    Said(Said),
}

/// What both halves share.
#[derive(Clone, Debug)]
struct Desk {
    manners: PresenceManners,
    next: u64,
    outputs: VecDeque<PresenceOutput>,
    wrong: Vec<String>,
}

impl Desk {
    fn send(&mut self, request: Request) -> u64 {
        self.next += 1;
        self.outputs.push_back(PresenceOutput::Send(self.next, Box::new(request)));
        self.next
    }

    fn respond(&mut self, key: ServerKey, response: Response) {
        self.outputs.push_back(PresenceOutput::Respond(Duration::ZERO, key, Box::new(response)));
    }

    fn complain(&mut self, words: String) {
        self.outputs.push_back(PresenceOutput::Said(Said::Complaint(words)));
    }

    fn note(&mut self, note: String) {
        self.outputs.push_back(PresenceOutput::Said(Said::Note(note)));
    }
}

/// Presence of all users of a server.
#[derive(Clone, Debug)]
pub struct Presence {
    desk: Desk,
    house: House,
    programs: Programs,
}

impl Presence {
    pub(super) fn new(manners: PresenceManners) -> Self {
        let desk = Desk { manners, next: 0, outputs: VecDeque::new(), wrong: Vec::new() };
        Self { desk, house: House::default(), programs: Programs::default() }
    }

    /// A user's program begins to watch somebody; tells whether it did not already.
    pub fn watch(&mut self, watcher: &str, of: &str, ids: &mut Ids) -> bool {
        self.programs.watch(watcher, of, &mut self.desk, ids)
    }

    /// It watches no more.
    pub fn leave(&mut self, watcher: &str, of: &str, now: Now) {
        self.programs.leave(watcher, of, &mut self.desk, now);
    }

    /// A program asks once.
    pub fn poll(&mut self, watcher: &str, of: &str, ids: &mut Ids) {
        self.programs.poll(watcher, of, &mut self.desk, ids);
    }

    /// A user says whether somebody may see him, now and whenever he asks.
    pub fn decide(&mut self, user: &str, watcher: &str, allows: bool, now: Now) {
        self.house.decide(user, watcher, allows, &mut self.desk, now);
    }

    /// A device of a user comes, changes, or goes.
    pub fn set_state(&mut self, user: &str, device: &str, state: Option<State>, now: Now) {
        self.house.set_state(user, device, state, &mut self.desk, now);
    }

    /// The server says to every watcher once more what there is to say.
    pub fn repeat(&mut self, now: Now) {
        self.house.repeat(&mut self.desk, now);
    }

    /// The server and the programs forget their dialogs, as after a restart. What users said and wish is kept.
    pub fn restart(&mut self, ids: &mut Ids) {
        self.house.restart();
        self.programs.restart(&mut self.desk, ids);
    }

    /// Returns what a program was told of its wish to watch somebody.
    #[must_use]
    pub fn told(&self, watcher: &str, of: &str) -> Told {
        self.programs.told(watcher, of)
    }

    /// Returns what a program is shown of somebody.
    #[must_use]
    pub fn seen(&self, watcher: &str, of: &str) -> View {
        self.programs.seen(watcher, of)
    }

    /// Returns whether somebody has a dialog in which he watches a user.
    #[must_use]
    pub fn is_watched(&self, user: &str, watcher: &str) -> bool {
        self.house.is_watched(user, watcher)
    }

    /// Returns everybody who has ever asked to watch a user: the user, and who asked.
    #[must_use]
    pub fn askers(&self) -> Vec<(String, String)> {
        self.house.askers()
    }

    /// Returns what came against the rules.
    #[must_use]
    pub fn wrong(&self) -> &[String] {
        &self.desk.wrong
    }

    /// Takes a SUBSCRIBE or NOTIFY; `exists` tells whether its user does.
    pub(super) fn handle_request(
        &mut self,
        key: ServerKey,
        request: &Request,
        exists: bool,
        ids: &mut Ids,
        now: Now,
    ) {
        if *request.method() == Method::Notify {
            self.programs.handle_notify(key, request, &mut self.desk, ids, now);
        } else {
            self.house.handle_subscribe(key, request, exists, &mut self.desk, ids, now);
        }
    }

    /// Hears the final answer to a request.
    pub(super) fn handle_response(&mut self, number: u64, response: &Response, ids: &mut Ids, now: Now) {
        self.house.handle_response(number, response.status(), &mut self.desk, now);
        self.programs.handle_response(number, response, &mut self.desk, ids, now);
    }

    /// Learns that a request has no answer.
    pub(super) fn handle_failure(&mut self, number: u64, failure: &Failure, now: Now) {
        let status = if matches!(failure, Failure::Timeout { .. }) { 408 } else { 503 };
        self.house.handle_response(number, status, &mut self.desk, now);
        self.programs.handle_failure(number, failure, &mut self.desk, now);
    }

    pub(super) fn handle_timeout(&mut self, ids: &mut Ids, now: Now) {
        self.house.handle_timeout(&mut self.desk, now);
        self.programs.handle_timeout(&mut self.desk, ids, now);
    }

    pub(super) fn poll_timeout(&self) -> Option<Moment> {
        earliest(self.house.poll_timeout(), self.programs.poll_timeout())
    }

    pub(super) fn poll_output(&mut self) -> Option<PresenceOutput> {
        self.desk.outputs.pop_front()
    }
}
