//! Dialback at the receiving end, as the receiving and as the authoritative server (XEP-0220 §2.2).

use clock_types::Now;
use xmpp_types::dialback::{Dialback, DialbackAnswer, DialbackWhat};
use xmpp_types::jid::DomainName;
use xmpp_types::stanza_error::{StanzaCondition, StanzaError};
use xmpp_types::stream::{StreamCondition, StreamError};
use xmpp_types::xml::Element;

use super::{Acceptor, Output, Phase};
use crate::dialback::{Heard, Pair, Question, Trouble, Verdict, answer};
use crate::failure::{Failure, Stage};
use crate::stream::Proof;

impl Acceptor {
    pub(super) fn handle_dialback(&mut self, element: &Element, now: Now) {
        let said = match Dialback::from_element(element) {
            Ok(said) => said,
            Err(malformed) => {
                let error = StreamError::new(malformed.condition()).with_text("dialback cannot be read");
                return self.refuse(&error, Stage::Dialback);
            }
        };
        let (Ok(from), Ok(to)) = (DomainName::parse(&said.from), DomainName::parse(&said.to)) else {
            let error = StreamError::new(StreamCondition::ImproperAddressing)
                .with_text("from and to must be domains");
            return self.refuse(&error, Stage::Dialback);
        };
        match said.what {
            DialbackWhat::ResultKey(key) => self.handle_key(&Pair { local: to, remote: from }, &key, now),
            DialbackWhat::VerifyKey { id, key } => {
                let verdict = answer(&self.secret, &to, self.rules.serves(&to), &from, &id, &key);
                let answer = wire_answer(&verdict);
                let what = DialbackWhat::VerifyAnswer { id, answer };
                self.wire.print(&Dialback { from: said.to, to: said.from, what }.to_element());
            }
            // Nobody asks on an incoming stream, so nobody waits for an answer (§3.1).
            DialbackWhat::ResultAnswer(_) | DialbackWhat::VerifyAnswer { .. } => {}
        }
    }

    fn handle_key(&mut self, pair: &Pair, key: &str, now: Now) {
        match self.judge_key(pair, now) {
            Ok(None) => match self.receiving.handle_key(pair, now.moment) {
                Heard::Ask => {
                    let question = Question { pair: pair.clone(), id: self.peer.id.clone() };
                    self.outputs.push_back(Output::Ask(question, key.to_string()));
                }
                Heard::Again => {}
                Heard::Answer(verdict) => self.conclude(pair, verdict, Proof::Dialback),
            },
            Ok(Some(proof)) => self.conclude(pair, Verdict::Valid, proof),
            Err(trouble) => self.conclude(pair, Verdict::Error(trouble), Proof::Dialback),
        }
    }

    /// Decides whether the sender's own server must be asked: not if the pair cannot be, and not if the
    /// certificate has already said it.
    fn judge_key(&self, pair: &Pair, now: Now) -> Result<Option<Proof>, Trouble> {
        if !self.rules.serves(&pair.local) {
            return Err(Trouble::NotServed);
        }
        if self.rules.serves(&pair.remote) {
            return Err(Trouble::Forbidden);
        }
        let methods = self.rules.policy(&pair.remote).ok_or(Trouble::Forbidden)?.methods;
        if let Some(proof) = self.proved.get(&pair.remote) {
            return Ok(Some(*proof));
        }
        if methods.external && self.prove_by_certificate(&pair.remote, now).is_ok() {
            return Ok(Some(Proof::Certificate));
        }
        let may_ask =
            if self.peer.tls.is_some() { methods.dialback_over_tls } else { methods.dialback_in_clear };
        if may_ask { Ok(None) } else { Err(Trouble::Forbidden) }
    }

    /// Tells the peer how it ended and opens the stream to the domain if it is proved.
    pub(super) fn conclude(&mut self, pair: &Pair, verdict: Verdict, proof: Proof) {
        let what = DialbackWhat::ResultAnswer(wire_answer(&verdict));
        let (from, to) = (pair.local.as_str().into(), pair.remote.as_str().into());
        self.wire.print(&Dialback { from, to, what }.to_element());
        match verdict {
            Verdict::Valid => {
                self.proved.insert(pair.remote.clone(), proof);
                if self.peer.remote.is_none() {
                    self.peer.remote = Some(pair.remote.clone());
                }
                self.wire.set_limits(self.settings.limits);
                self.phase = Phase::Proved;
                self.outputs.push_back(Output::Proved(pair.clone(), proof));
            }
            Verdict::Invalid => {
                let failure = Failure::new(Stage::Dialback, "the domain's own server did not make that key");
                self.outputs.push_back(Output::Refused(pair.clone(), failure.clone()));
                // A forger must go; but not those whom it may share the stream with (§2.2.1).
                if self.proved.is_empty() {
                    self.wire.close();
                    self.end(Some(failure));
                }
            }
            Verdict::Error(trouble) => {
                let reason = format!("we could not verify the key: {}", trouble.condition());
                let failure = Failure::new(Stage::Dialback, reason);
                self.outputs.push_back(Output::Refused(pair.clone(), failure));
            }
        }
    }
}

pub(in crate::stream) fn wire_answer(verdict: &Verdict) -> DialbackAnswer {
    match verdict {
        Verdict::Valid => DialbackAnswer::Valid,
        Verdict::Invalid => DialbackAnswer::Invalid,
        Verdict::Error(trouble) => {
            let condition = StanzaCondition::parse(trouble.condition());
            let condition = condition.unwrap_or(StanzaCondition::UndefinedCondition);
            DialbackAnswer::Error(Box::new(StanzaError::new(condition)))
        }
    }
}
