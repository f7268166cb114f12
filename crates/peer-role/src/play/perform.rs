//! Performs a play on a stage: says its lines, waits for what must come, and finds the first flaw.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use xmpp_types::xml::Element;

use super::{
    Act, Bindings, Fault, Mismatch, Pattern, Play, SipAnswer, SipLine, SipPattern, SipStart, StanzaPattern,
    Timing,
};
use crate::raw::RawMessage;

/// Where a play is performed: Gangway with a server on each side, and a clock.
pub trait Stage {
    /// Returns the names that every play on this stage may use: `$sip`, where its SIP server listens.
    fn names(&self) -> Vec<(String, String)>;
    /// Returns how much time has passed.
    fn elapsed(&self) -> Duration;
    /// Lets time pass until something has come, and at most this long.
    fn pass(&mut self, at_most: Duration);
    /// Returns the next thing that came and when; each side's in its own order.
    fn poll_heard(&mut self) -> Option<(Duration, Heard)>;
    /// The XMPP server sends a stanza.
    fn say_stanza(&mut self, stanza: Element);
    /// The SIP server says something.
    fn say_sip(&mut self, lines: SipLines);
    /// Something breaks or comes back.
    fn fail(&mut self, fault: Fault);
}

/// What the SIP server of a play is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SipLines {
    /// A request, with the names that it may use.
    Request(SipLine, Bindings),
    /// The last request once more.
    Again,
    /// An answer to the oldest request that has no final one, with the names that it may use.
    Answer(SipAnswer, Bindings),
    /// It closes its connections, without a word.
    HangUp,
}

/// What a server of a play has heard.
#[derive(Clone, Debug)]
pub enum Heard {
    /// The XMPP server: a stanza.
    Stanza(Box<Element>),
    /// The SIP server: a message, and the number of its own connection that it came over, if it did.
    Sip(Option<u8>, Box<RawMessage>),
    /// The operator: a notice of the proxy, in words.
    Notice(String),
    /// Something that is against the rules whatever the play is about, in words.
    Complaint(String),
}

/// Where a performance left the play.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// The line of the file whose step failed.
    pub line: usize,
    /// What was expected and what came, in words.
    pub what: String,
}

impl fmt::Display for Flaw {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "line {}: {}", self.line, self.what)
    }
}

impl std::error::Error for Flaw {}

/// Performs a play from its first step to the silence after its last.
///
/// # Errors
/// Says which step failed first, and how.
pub fn perform(play: &Play, stage: &mut dyn Stage) -> Result<(), Flaw> {
    let mut performance = Performance {
        stage,
        stanzas: VecDeque::new(),
        requests: VecDeque::new(),
        responses: VecDeque::new(),
        notices: VecDeque::new(),
        complaints: VecDeque::new(),
        bindings: Bindings::default(),
    };
    for (name, text) in performance.stage.names().iter().chain(&play.names) {
        performance.bindings.set(name, text);
    }
    let mut line = 1;
    for step in &play.steps {
        line = step.line;
        performance.step(&step.act).map_err(|what| Flaw { line, what })?;
        performance.complain().map_err(|what| Flaw { line, what })?;
    }
    performance.rest(SILENCE);
    performance.complain().map_err(|what| Flaw { line, what })?;
    match performance.uncalled() {
        Some(heard) => Err(Flaw { line, what: format!("after the last step there came {heard}") }),
        None => Ok(()),
    }
}

/// When a message came, over which of the SIP server's own connections, if over one, and what it is.
type HeardMessage = (Duration, Option<u8>, RawMessage);

struct Performance<'a> {
    stage: &'a mut dyn Stage,
    /// What came and was not yet called for.
    stanzas: VecDeque<(Duration, Element)>,
    requests: VecDeque<HeardMessage>,
    responses: VecDeque<HeardMessage>,
    /// What the operator was told and no step has passed by.
    notices: VecDeque<String>,
    /// What was against the rules.
    complaints: VecDeque<String>,
    bindings: Bindings,
}

impl Performance<'_> {
    fn step(&mut self, act: &Act) -> Result<(), String> {
        match act {
            Act::XmppSays(line) => self.stage.say_stanza(line.element(&self.bindings)?),
            Act::XmppHears(pattern, timing) => return self.hear_stanza(pattern, *timing),
            Act::SipSays(line) => self.stage.say_sip(SipLines::Request(line.clone(), self.bindings.clone())),
            Act::SipRepeats => self.stage.say_sip(SipLines::Again),
            Act::SipHangsUp => self.stage.say_sip(SipLines::HangUp),
            Act::SipAnswers(answer) => {
                self.stage.say_sip(SipLines::Answer(answer.clone(), self.bindings.clone()))
            }
            Act::SipHears(pattern, timing) => return self.hear_message(pattern, *timing),
            Act::OperatorHears(pattern, timing) => return self.hear_notice(pattern, *timing),
            Act::Wait(time) => self.rest(*time),
            Act::Differ(names) => {
                if let Some((one, other)) = self.bindings.first_equal(names) {
                    let text = self.bindings.get(one).unwrap_or_default();
                    return Err(format!("${one} and ${other} are the same: {text:?}"));
                }
            }
            Act::Fault(fault) => self.stage.fail(*fault),
        }
        Ok(())
    }

    fn hear_stanza(&mut self, pattern: &StanzaPattern, timing: Timing) -> Result<(), String> {
        let start = self.stage.elapsed();
        self.wait_until(start + timing.within, |performance| !performance.stanzas.is_empty());
        let Some((at, stanza)) = self.stanzas.pop_front() else {
            return Err(self.nothing("XMPP", timing));
        };
        pattern
            .matches(&stanza, &mut self.bindings)
            .map_err(|mismatch| told(&mismatch, &show_stanza(&stanza)))?;
        in_time(at.saturating_sub(start), timing)
    }

    fn hear_message(&mut self, pattern: &SipPattern, timing: Timing) -> Result<(), String> {
        let start = self.stage.elapsed();
        let is_request = matches!(pattern.start, SipStart::Request { .. });
        self.wait_until(start + timing.within, |performance| !performance.of_kind(is_request).is_empty());
        let queue = if is_request { &mut self.requests } else { &mut self.responses };
        let Some((at, link, message)) = queue.pop_front() else {
            return Err(self.nothing("SIP", timing));
        };
        pattern
            .matches(&message, link, &mut self.bindings)
            .map_err(|mismatch| told(&mismatch, &show_message(&message)))?;
        in_time(at.saturating_sub(start), timing)
    }

    /// Requests and answers may come over different connections, so each kind has an order of its own.
    const fn of_kind(&self, is_request: bool) -> &VecDeque<HeardMessage> {
        if is_request { &self.requests } else { &self.responses }
    }

    /// The operator is told more than a play is about: what does not fit is passed by.
    fn hear_notice(&mut self, pattern: &Pattern, timing: Timing) -> Result<(), String> {
        let end = self.stage.elapsed() + timing.within;
        let mut passed = String::new();
        loop {
            self.wait_until(end, |performance| !performance.notices.is_empty());
            let Some(notice) = self.notices.pop_front() else {
                return Err(format!("the operator was not told within {:?}, but{passed}", timing.within));
            };
            if pattern.matches("the notice", &notice, &mut self.bindings).is_ok() {
                return Ok(());
            }
            passed.push_str("\n    ");
            passed.push_str(&notice);
        }
    }

    fn nothing(&self, side: &str, timing: Timing) -> String {
        let instead = self.uncalled().map_or(String::new(), |heard| format!("; instead there came {heard}"));
        format!("nothing came on the {side} side within {:?}{instead}", timing.within)
    }

    /// Returns in words what came and no step called for.
    fn uncalled(&self) -> Option<String> {
        let stanza = self.stanzas.front().map(|(_, stanza)| show_stanza(stanza));
        let message = self.requests.front().or(self.responses.front());
        stanza.or_else(|| message.map(|(_, _, message)| show_message(message)))
    }

    /// What breaks a rule fails the play wherever it stands.
    fn complain(&mut self) -> Result<(), String> {
        self.complaints.pop_front().map_or(Ok(()), |words| Err(format!("against the rules: {words}")))
    }

    fn rest(&mut self, time: Duration) {
        let end = self.stage.elapsed() + time;
        self.wait_until(end, |_| false);
    }

    fn wait_until(&mut self, end: Duration, enough: impl Fn(&Self) -> bool) {
        loop {
            while let Some((at, heard)) = self.stage.poll_heard() {
                match heard {
                    Heard::Stanza(stanza) => self.stanzas.push_back((at, *stanza)),
                    Heard::Sip(link, message) => {
                        let is_request = message.status().is_none();
                        let queue = if is_request { &mut self.requests } else { &mut self.responses };
                        queue.push_back((at, link, *message));
                    }
                    Heard::Notice(words) => self.notices.push_back(words),
                    Heard::Complaint(words) => self.complaints.push_back(words),
                }
            }
            let left = end.saturating_sub(self.stage.elapsed());
            if enough(self) || left.is_zero() {
                return;
            }
            self.stage.pass(left);
        }
    }
}

fn in_time(took: Duration, timing: Timing) -> Result<(), String> {
    if took < timing.after {
        return Err(format!("it came after {took:?}, which is before {:?}", timing.after));
    }
    if took > timing.within {
        return Err(format!("it came after {took:?}, which is later than {:?}", timing.within));
    }
    Ok(())
}

fn told(mismatch: &Mismatch, whole: &str) -> String {
    format!("{mismatch}\nin {whole}")
}

fn show_stanza(stanza: &Element) -> String {
    format!("the stanza {stanza}")
}

fn show_message(message: &RawMessage) -> String {
    format!("the message\n{}", String::from_utf8_lossy(&message.octets()).replace('\r', ""))
}

/// How long nothing may come after the last step.
const SILENCE: Duration = Duration::from_secs(2);
