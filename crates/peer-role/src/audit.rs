//! What every SIP message of Gangway must keep to, whatever a play or a seed is about.
//!
//! The [`Auditor`] sees what a SIP server says to Gangway and hears from it, and complains in words. It knows dialogs
//! from both sides (RFC 3261 §12) by a reading of its own, and is stricter than the RFC where Microsoft's servers
//! are: a route set octet for octet, a Request-URI as the Contact had it, the epid where it was.

mod events;
mod tap;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
pub use tap::Tap;

use crate::raw::{RawMessage, address, parameter};

/// One pair of eyes for all that passes between a SIP server and Gangway.
#[derive(Debug, Default)]
pub struct Auditor {
    /// Our requests, by branch and method, with what must come back.
    asked: BTreeMap<(String, String), RawMessage>,
    /// Gangway's requests without a final answer.
    asking: BTreeMap<(String, String), RawMessage>,
    /// The branches that Gangway has used, with their method.
    branches: BTreeMap<String, String>,
    dialogs: BTreeMap<DialogKey, Dialog>,
    /// SUBSCRIBEs that began a dialog, ours and Gangway's, by Call-ID and From tag.
    subscribed: BTreeMap<(String, String), RawMessage>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct DialogKey {
    call: String,
    ours: String,
    theirs: String,
}

/// A dialog as Gangway must see it; "theirs" is Gangway's.
#[derive(Debug)]
struct Dialog {
    /// The Request-URI of its requests: our Contact.
    target: String,
    /// The Contact of our last request, which Gangway may have taken on already.
    coming: Option<String>,
    /// Its Route.
    routes: Vec<String>,
    /// The To of its requests: our From, or the To that we were called by.
    to: String,
    their_cseq: Option<u64>,
    /// Method and body of their last request.
    last: (String, Bytes),
    /// MESSAGEs and NOTIFYs of theirs that wait for an answer.
    outstanding: BTreeSet<String>,
    /// What they have ended it with.
    ended: Option<&'static str>,
}

impl Auditor {
    /// Takes a message that the SIP server sends.
    pub fn handle_said(&mut self, message: &RawMessage) {
        self.forget_some();
        if message.status().is_some() {
            return self.answered(message);
        }
        match message.method() {
            Some("SUBSCRIBE") => self.subscribe(message),
            Some("NOTIFY") => self.notify(message),
            _ => {}
        }
        self.asked.insert(key_of(message), message.clone());
    }

    /// Learns that a connection has gone: what was not answered over it never will be.
    pub fn handle_closed(&mut self) {
        for dialog in self.dialogs.values_mut() {
            dialog.outstanding.clear();
        }
    }

    /// We subscribe, or refresh.
    fn subscribe(&mut self, request: &RawMessage) {
        match self.dialogs.get_mut(&DialogKey::of_our_request(request)) {
            Some(dialog) => dialog.coming = contact(request),
            None if request.parameter("To", "tag").is_none() => {
                self.subscribed.insert(subscription(request, "From"), request.clone());
            }
            None => {}
        }
    }

    /// We notify: where Gangway has subscribed, the first NOTIFY makes the dialog (RFC 6665 §4.4.1).
    fn notify(&mut self, request: &RawMessage) {
        let id = DialogKey::of_our_request(request);
        if let Some(dialog) = self.dialogs.get_mut(&id) {
            dialog.coming = contact(request);
            return;
        }
        if let Some(subscribe) = self.subscribed.get(&subscription(request, "To")) {
            let cseq = subscribe.cseq().map(|(number, _)| number);
            self.dialogs.insert(id, Dialog::of_request(request, cseq));
        }
    }

    /// Takes a message that Gangway sent, and returns what is wrong with it.
    pub fn handle_heard(&mut self, message: &RawMessage) -> Vec<String> {
        self.forget_some();
        let mut wrong = missing(message);
        match message.status() {
            Some(status) => self.hear_response(message, status, &mut wrong),
            None => self.hear_request(message, &mut wrong),
        }
        wrong
    }

    /// We answer a request of theirs.
    fn answered(&mut self, response: &RawMessage) {
        let status = response.status().unwrap_or_default();
        if status < 200 {
            return;
        }
        let key = key_of(response);
        let Some(request) = self.asking.get(&key) else { return };
        let method = key.1.as_str();
        match method {
            "INVITE" if status < 300 => {
                let (id, to) = (DialogKey::of(response, true), response.header("To").unwrap_or_default());
                let target = contact(response).unwrap_or_default();
                let cseq = request.cseq().map(|(number, _)| number);
                match self.dialogs.get_mut(&id) {
                    // A target refresh (§12.2.1.2); the route set stays.
                    Some(dialog) => dialog.target = target,
                    None => {
                        let mut routes = response.values("Record-Route");
                        routes.reverse();
                        self.dialogs.insert(id, Dialog::new(target, routes, to, cseq));
                    }
                }
            }
            "SUBSCRIBE" if status < 300 => {
                let (cseq, id) = (request.cseq().map(|(number, _)| number), DialogKey::of(response, true));
                let target = contact(response);
                match (self.dialogs.get_mut(&id), target) {
                    (Some(dialog), Some(target)) => dialog.target = target,
                    // Only a document inside makes the dialog before the first NOTIFY does (MS-PRES §4.11).
                    (None, Some(target)) if !response.body.is_empty() => {
                        let mut routes = response.values("Record-Route");
                        routes.reverse();
                        let to = response.header("To").unwrap_or_default();
                        self.dialogs.insert(id, Dialog::new(target, routes, to, cseq));
                    }
                    _ => {}
                }
                self.asking.remove(&key);
            }
            // Its ACK and further answers are compared with it.
            "INVITE" => {}
            _ => {
                let branch = key.0.clone();
                self.asking.remove(&key);
                if let Some(dialog) = self.dialogs.get_mut(&DialogKey::of(response, true)) {
                    dialog.outstanding.remove(&branch);
                }
            }
        }
    }

    fn hear_response(&mut self, response: &RawMessage, status: u16, wrong: &mut Vec<String>) {
        let Some(request) = self.asked.get(&key_of(response)) else {
            return wrong.push("a response to no request of ours".to_owned());
        };
        for name in ["Via", "From", "Call-ID", "CSeq"] {
            let is_via = name == "Via";
            if as_sent(request.values(name), is_via) != as_sent(response.values(name), is_via) {
                let (had, has) = (request.values(name).join(", "), response.values(name).join(", "));
                wrong.push(format!("{name} is not as in the request: {has:?}, {had:?} (RFC 3261 §8.2.6.2)"));
            }
        }
        let (asked, answered) = (request.header("To").unwrap_or_default(), response.header("To"));
        let answered = answered.unwrap_or_default();
        match parameter(asked, "tag") {
            Some(_) if asked != answered => wrong.push(format!("To is changed: {answered:?}, {asked:?}")),
            None if !answered.starts_with(asked) => {
                wrong.push(format!("To is changed: {answered:?}, {asked:?}"))
            }
            None if status > 100 && parameter(answered, "tag").is_none() => {
                wrong.push("To has no tag (RFC 3261 §8.2.6.2)".to_owned());
            }
            Some(_) | None => {}
        }
        let method = request.method().unwrap_or_default();
        if method == "BENOTIFY" {
            wrong.push("BENOTIFY is answered".to_owned());
        }
        if method == "MESSAGE" && status == 408 {
            wrong.push("408 to MESSAGE (RFC 4320 §4.1)".to_owned());
        }
        if matches!(status, 401 | 407) {
            wrong.push(format!("{status}: a challenge that nobody can meet"));
        }
        if method == "SUBSCRIBE" {
            wrong.extend(events::answered(request, response, status));
        }
        let is_agreed = (200..300).contains(&status);
        let request = request.clone();
        match request.method() {
            Some("INVITE" | "SUBSCRIBE") if is_agreed => self.hear_agreement(&request, response, wrong),
            Some("NOTIFY") if is_agreed => {
                if response.values("Record-Route") != request.values("Record-Route") {
                    wrong.push("Record-Route is not as in the NOTIFY (RFC 3261 §12.1.1)".to_owned());
                }
                let dialog = self.dialogs.get_mut(&DialogKey::of_our_request(&request));
                if let (Some(dialog), Some(target)) = (dialog, contact(&request)) {
                    (dialog.target, dialog.coming) = (target, None);
                }
            }
            _ => {}
        }
    }

    /// A 2xx to our INVITE or SUBSCRIBE: a dialog begins or is refreshed.
    fn hear_agreement(&mut self, request: &RawMessage, response: &RawMessage, wrong: &mut Vec<String>) {
        if response.values("Record-Route") != request.values("Record-Route") {
            wrong.push("Record-Route is not as in the request (RFC 3261 §12.1.1)".to_owned());
        }
        match contact(response) {
            None => {
                let method = request.method().unwrap_or_default();
                wrong.push(format!("no Contact in a 2xx to {method} (RFC 3261 §12.1.1)"));
            }
            Some(contact) if response.header("Via").is_some_and(|via| via.contains("/UDP")) => drop(contact),
            Some(contact) if !contact.contains(";transport=") => {
                wrong.push(format!("Contact {contact} says no transport, and OCS would use UDP"));
            }
            Some(_) => {}
        }
        if response.lines("Supported").any(|value| value.contains("ms-text-format")) {
            wrong.push("Supported: ms-text-format: a text would be lost or come twice".to_owned());
        }
        let id = DialogKey::of(response, false);
        match (self.dialogs.get_mut(&id), contact(request)) {
            (Some(dialog), Some(target)) => (dialog.target, dialog.coming) = (target, None),
            (Some(_), None) => {}
            (None, _) => drop(self.dialogs.insert(id, Dialog::of_request(request, None))),
        }
    }

    fn hear_request(&mut self, request: &RawMessage, wrong: &mut Vec<String>) {
        let key = key_of(request);
        let (branch, method) = &key;
        if !branch.starts_with("z9hG4bK") {
            wrong.push("the branch has no cookie (RFC 3261 §8.1.1.7)".to_owned());
        }
        if request.header("Max-Forwards").is_none() {
            wrong.push("no Max-Forwards".to_owned());
        }
        if request.cseq().is_none_or(|(number, of)| request.method() != Some(of) || number >= 1 << 31) {
            wrong.push("CSeq does not fit (RFC 3261 §8.1.1.5)".to_owned());
        }
        if matches!(method.as_str(), "INVITE" | "SUBSCRIBE") && contact(request).is_none() {
            wrong.push(format!("no Contact in {method} (RFC 3261 §8.1.1.8)"));
        }
        match method.as_str() {
            "SUBSCRIBE" => {
                wrong.extend(events::subscribe(request));
                if request.parameter("To", "tag").is_none() {
                    self.subscribed.insert(subscription(request, "From"), request.clone());
                }
            }
            "NOTIFY" => self.hear_notify(request, wrong),
            "BENOTIFY" => wrong.push("BENOTIFY, which is not spoken here".to_owned()),
            _ => {}
        }
        match self.branches.get(branch) {
            Some(first) if first == "INVITE" && matches!(method.as_str(), "ACK" | "CANCEL") => {
                self.hear_of_invite(branch, request, wrong);
                return self.remember(key, request);
            }
            Some(first) => wrong.push(format!("the branch of another {first} (RFC 3261 §8.1.1.7)")),
            None => drop(self.branches.insert(branch.clone(), method.clone())),
        }
        if request.parameter("To", "tag").is_some() {
            self.hear_in_dialog(request, wrong);
        }
        self.remember(key, request);
    }

    /// A NOTIFY, which may come before the answer to our SUBSCRIBE (RFC 6665 §4.4.1).
    fn hear_notify(&mut self, request: &RawMessage, wrong: &mut Vec<String>) {
        let subscribe = self.subscribed.get(&subscription(request, "To"));
        wrong.extend(events::notify(request, subscribe));
        if let Some(subscribe) = subscribe {
            let id = DialogKey::of_request(request);
            self.dialogs.entry(id).or_insert_with(|| Dialog::of_request(subscribe, None));
        }
    }

    /// A CANCEL, or the ACK of a refusal (RFC 3261 §9.1, §17.1.1.3).
    fn hear_of_invite(&self, branch: &str, request: &RawMessage, wrong: &mut Vec<String>) {
        let invite = self.asking.get(&(branch.to_owned(), "INVITE".to_owned()));
        let Some(invite) = invite else { return };
        for name in ["From", "Call-ID", "Route"] {
            if invite.values(name) != request.values(name) {
                wrong.push(format!("{name} is not that of the INVITE (RFC 3261 §9.1, §17.1.1.3)"));
            }
        }
        if invite.uri() != request.uri() || invite.cseq().map(|c| c.0) != request.cseq().map(|c| c.0) {
            wrong.push("Request-URI or CSeq are not those of the INVITE".to_owned());
        }
    }

    fn hear_in_dialog(&mut self, request: &RawMessage, wrong: &mut Vec<String>) {
        let method = request.method().unwrap_or_default();
        let Some(dialog) = self.dialogs.get_mut(&DialogKey::of_request(request)) else {
            return wrong.push(format!("{method} in a dialog that never was"));
        };
        let (uri, to) = (request.uri().unwrap_or_default(), request.header("To").unwrap_or_default());
        if uri != dialog.target && Some(uri) != dialog.coming.as_deref() {
            wrong.push(format!("Request-URI {uri:?} is not the Contact {:?}", dialog.target));
        }
        let routes = request.values("Route");
        if routes != dialog.routes {
            wrong.push(format!("Route {routes:?} is not the route set {:?}", dialog.routes));
        }
        if address(to) != address(&dialog.to) || parameter(to, "epid") != parameter(&dialog.to, "epid") {
            wrong.push(format!("To {to:?} is not {:?}", dialog.to));
        }
        let number = request.cseq().map_or(0, |(number, _)| number);
        if method == "ACK" {
            return;
        }
        // The same request once more, after its connection broke (RFC 3263 §4.3): only its branch is another.
        if dialog.their_cseq == Some(number) && dialog.last == (method.to_owned(), request.body.clone()) {
            if !dialog.outstanding.is_empty() {
                dialog.outstanding = BTreeSet::from([request.branch().to_owned()]);
            }
            return;
        }
        dialog.last = (method.to_owned(), request.body.clone());
        if let Some(with) = dialog.ended {
            wrong.push(format!("{method} after {with}"));
        }
        let is_event = matches!(method, "SUBSCRIBE" | "NOTIFY");
        let last = dialog.their_cseq.replace(number);
        // A subscription outlives a restart, after which its numbers go on further up.
        let skips = last.is_some_and(|last| number > last + 1);
        if last.is_some_and(|last| number <= last) || (skips && !is_event) {
            let last = last.unwrap_or_default();
            wrong.push(format!("CSeq {number} comes after {last} (RFC 3261 §12.2.1.1)"));
        }
        if skips {
            dialog.outstanding.clear();
        }
        match method {
            "BYE" => dialog.ended = Some("BYE"),
            "NOTIFY" if events::is_last(request) => dialog.ended = Some("the last NOTIFY"),
            "SUBSCRIBE" if request.header("Expires") == Some("0") => {
                dialog.ended = Some("the last SUBSCRIBE")
            }
            _ => {}
        }
        if matches!(method, "MESSAGE" | "NOTIFY") {
            if !dialog.outstanding.is_empty() {
                wrong.push(format!("a second {method} while one has no answer"));
            }
            dialog.outstanding.insert(request.branch().to_owned());
        }
    }

    fn remember(&mut self, key: (String, String), request: &RawMessage) {
        if key.1 != "ACK" {
            self.asking.insert(key, request.clone());
        }
    }

    /// What is long over is forgotten; nobody sends so much in a play.
    fn forget_some(&mut self) {
        forget_first(&mut self.asked);
        forget_first(&mut self.asking);
        forget_first(&mut self.branches);
        forget_first(&mut self.dialogs);
        forget_first(&mut self.subscribed);
    }
}

impl Dialog {
    fn new(target: String, routes: Vec<String>, to: &str, their_cseq: Option<u64>) -> Self {
        let to = to.to_owned();
        let last = (String::new(), Bytes::new());
        let outstanding = BTreeSet::new();
        Self { target, coming: None, routes, to, their_cseq, last, outstanding, ended: None }
    }

    /// Returns the dialog that a request of ours begins.
    fn of_request(request: &RawMessage, their_cseq: Option<u64>) -> Self {
        let (target, routes) = (contact(request).unwrap_or_default(), request.values("Record-Route"));
        Self::new(target, routes, request.header("From").unwrap_or_default(), their_cseq)
    }
}

impl DialogKey {
    /// Returns the dialog of a response; `is_ours` if we gave it.
    fn of(response: &RawMessage, is_ours: bool) -> Self {
        let [from, to] = tags(response);
        let (ours, theirs) = if is_ours { (to, from) } else { (from, to) };
        Self { call: response.call_id().to_owned(), ours, theirs }
    }

    /// Returns the dialog of a request of ours.
    fn of_our_request(request: &RawMessage) -> Self {
        let [ours, theirs] = tags(request);
        Self { call: request.call_id().to_owned(), ours, theirs }
    }

    /// Returns the dialog of a request of theirs.
    fn of_request(request: &RawMessage) -> Self {
        let [theirs, ours] = tags(request);
        Self { call: request.call_id().to_owned(), ours, theirs }
    }
}

/// Returns what a SUBSCRIBE that begins a dialog is remembered by: the Call-ID and the subscriber's tag.
fn subscription(message: &RawMessage, header: &str) -> (String, String) {
    (message.call_id().to_owned(), message.parameter(header, "tag").unwrap_or_default().to_owned())
}

fn tags(message: &RawMessage) -> [String; 2] {
    ["From", "To"].map(|header| message.parameter(header, "tag").unwrap_or_default().to_owned())
}

fn contact(message: &RawMessage) -> Option<String> {
    message.header("Contact").map(|value| address(value).to_owned())
}

fn key_of(message: &RawMessage) -> (String, String) {
    let method = message.cseq().map_or("", |(_, method)| method);
    let via = as_sent(message.values("Via"), true).into_iter().next().unwrap_or_default();
    // Microsoft's NEGOTIATE has no branch; its whole Via must do.
    let branch = parameter(&via, "branch").map_or(via.clone(), str::to_owned);
    (branch, method.to_owned())
}

/// Returns values without what a server may write into the topmost Via (RFC 3261 §18.2.1, RFC 3581 §4).
fn as_sent(mut values: Vec<String>, is_via: bool) -> Vec<String> {
    if is_via && let Some(first) = values.first_mut() {
        let kept =
            first.split(';').filter(|part| !part.starts_with("received=") && !part.starts_with("rport"));
        *first = kept.collect::<Vec<_>>().join(";");
    }
    values
}

fn missing(message: &RawMessage) -> Vec<String> {
    let mut wrong = Vec::new();
    for name in ["Via", "From", "To", "Call-ID", "CSeq", "Content-Length"] {
        if message.header(name).is_none() {
            wrong.push(format!("no {name}"));
        }
    }
    for name in ["From", "To", "Call-ID", "CSeq", "Contact", "Content-Length", "Content-Type"] {
        if message.lines(name).nth(1).is_some() {
            wrong.push(format!("{name} stands there twice"));
        }
    }
    if message.parameter("From", "tag").is_none() {
        wrong.push("From has no tag".to_owned());
    }
    if !message.body.is_empty() && message.header("Content-Type").is_none() {
        wrong.push("a body without Content-Type".to_owned());
    }
    wrong
}

fn forget_first<K: Ord, V>(map: &mut BTreeMap<K, V>) {
    if map.len() > REMEMBERED_MAX {
        map.pop_first();
    }
}

/// How much of each kind is remembered.
const REMEMBERED_MAX: usize = 10_000;

#[cfg(test)]
mod tests;
