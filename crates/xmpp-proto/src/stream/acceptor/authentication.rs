//! SASL EXTERNAL at the receiving end (RFC 6120 §6, XEP-0178).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clock_types::Now;
use xmpp_types::jid::DomainName;
use xmpp_types::sasl::{EMPTY, Sasl, SaslCondition};
use xmpp_types::stream::{StreamCondition, StreamError};
use xmpp_types::xml::Limits;

use super::{Acceptor, Output, Phase};
use crate::dialback::Pair;
use crate::failure::{Failure, Stage};
use crate::stream::Proof;

/// How often a peer may fail before the stream ends (RFC 6120 §6.4.5 asks for 2 to 5).
const ATTEMPTS_MAX: u32 = 3;

impl Acceptor {
    pub(super) fn handle_sasl(&mut self, said: Sasl, now: Now) {
        let challenged = std::mem::take(&mut self.peer.is_challenged);
        match said {
            Sasl::Auth { .. } if self.peer.tls.is_none() => {
                self.fail_sasl(SaslCondition::EncryptionRequired, "SASL is offered only inside TLS");
            }
            Sasl::Auth { mechanism, .. } if mechanism != "EXTERNAL" || !self.peer.is_external_offered => {
                self.fail_sasl(SaslCondition::InvalidMechanism, "that mechanism is not offered");
            }
            Sasl::Auth { response: Some(response), .. } => self.authenticate(&response, now),
            Sasl::Auth { response: None, .. } => {
                self.peer.is_challenged = true;
                self.wire.print(&Sasl::Challenge(None).to_element());
            }
            Sasl::Response(response) if challenged => {
                self.authenticate(response.as_deref().unwrap_or(EMPTY), now);
            }
            Sasl::Abort => self.fail_sasl(SaslCondition::Aborted, "as you wish"),
            Sasl::Response(_) | Sasl::Challenge(_) | Sasl::Success(_) | Sasl::Failure { .. } => {
                self.refuse_type();
            }
        }
    }

    /// Takes the authorization identity: none, or the very domain that the header claims.
    fn authenticate(&mut self, response: &str, now: Now) {
        let Some(remote) = self.peer.remote.clone() else {
            return self.fail_sasl(SaslCondition::NotAuthorized, "the header has no from");
        };
        if response != EMPTY {
            let Ok(octets) = STANDARD.decode(response) else {
                return self.fail_sasl(SaslCondition::IncorrectEncoding, "that is not base64");
            };
            let claimed = std::str::from_utf8(&octets).ok().and_then(|text| DomainName::parse(text).ok());
            if claimed.as_ref() != Some(&remote) {
                return self.fail_sasl(
                    SaslCondition::InvalidAuthzid,
                    "the identity is not the domain that the stream header claims",
                );
            }
        }
        if let Err(unproved) = self.prove_by_certificate(&remote, now) {
            return self.fail_sasl(SaslCondition::NotAuthorized, &unproved);
        }
        self.wire.print(&Sasl::Success(None).to_element());
        self.wire.restart(Limits {
            header_bytes: Limits::BEFORE_AUTHENTICATION.header_bytes,
            ..self.settings.limits
        });
        self.proved.insert(remote.clone(), Proof::Certificate);
        self.peer.authenticated = Some(remote.clone());
        self.peer.is_external_offered = false;
        self.phase = Phase::Greeting;
    }

    fn fail_sasl(&mut self, condition: SaslCondition, text: &str) {
        self.wire.print(&Sasl::Failure { condition, text: Some(text.into()) }.to_element());
        self.peer.failed_attempts += 1;
        if let (Some(local), Some(remote)) = (self.peer.local.clone(), self.peer.remote.clone()) {
            let failure = Failure::new(Stage::Auth, format!("we refused EXTERNAL: {text}"));
            self.outputs.push_back(Output::Refused(Pair { local, remote }, failure));
        }
        if self.peer.failed_attempts >= ATTEMPTS_MAX {
            self.refuse(
                &StreamError::new(StreamCondition::PolicyViolation).with_text("too many failed attempts"),
                Stage::Auth,
            );
        }
    }
}
