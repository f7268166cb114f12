//! Headers, features, STARTTLS and EXTERNAL at the initiating end.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clock_types::Now;
use net_types::TlsFacts;
use xmpp_types::features::FeatureSet;
use xmpp_types::negotiation::{Bidi, TlsNegotiation};
use xmpp_types::ns;
use xmpp_types::sasl::Sasl;
use xmpp_types::stream::{StreamCondition, StreamError, StreamHeader};
use xmpp_types::xml::Limits;

use super::{Initiator, Output, Phase, Purpose};
use crate::failure::{Failure, Stage, shortened};
use crate::identity::Unproved;
use crate::stream::{Methods, Proof};

impl Initiator {
    pub(super) fn handle_header(&mut self, header: &StreamHeader, now: Now) {
        if header.content != *ns::SERVER {
            return self.refuse(&StreamError::new(StreamCondition::InvalidNamespace), Stage::Stream);
        }
        self.stream_id = header.id.as_deref().map(str::to_string);
        self.phase = Phase::Choosing;
        if !header.version.has_features() {
            // A server of the time before features: there is only dialback in clear (§4.7.5).
            self.choose(&FeatureSet::default(), now);
        }
    }

    /// Takes the news that the connection is encrypted: the certificate decides what may follow.
    pub(super) fn secured(&mut self, facts: Box<TlsFacts>, now: Now) {
        let approach = &self.approach;
        let certificate = facts.peer.as_deref();
        let proof = approach.evidence.prove(certificate, None, &approach.pair.remote, now.date);
        let without_posh = approach.evidence.without_posh(certificate, now.date);
        self.tls = Some(facts);
        self.proved_by = proof.as_ref().ok().copied();
        match proof {
            // What contradicts the partner's own zone is not the partner, however it may go on (RFC 6698 §4.1).
            Err(unproved) if !approach.methods.dialback_over_tls || approach.evidence.demands_tls() => {
                self.phase = Phase::Securing;
                let failure = match without_posh {
                    Some(words) => Failure::new(Stage::Certificate, format!("{unproved}; {words}")),
                    None => Failure::new(Stage::Certificate, unproved.to_string()),
                };
                self.hang_up(Some(match unproved {
                    Unproved::NotInZone { .. } => failure.with_advice(DANE_ADVICE),
                    _ => failure,
                }));
            }
            Ok(_) | Err(_) => self.greet(),
        }
    }

    pub(super) fn handle_features(&mut self, features: FeatureSet, now: Now) {
        if let Some(unknown) = features.unknown_requirement() {
            let reason =
                format!("the partner requires <{}/>, which we do not have", shortened(unknown.name()));
            self.wire.refuse(&StreamError::new(StreamCondition::UnsupportedFeature));
            return self.hang_up(Some(Failure::new(Stage::Stream, reason)));
        }
        self.choose(&features, now);
    }

    /// Chooses the next step, the best method first.
    fn choose(&mut self, features: &FeatureSet, now: Now) {
        self.features = features.clone();
        let methods = self.methods();
        if self.is_authenticated {
            return self.become_ready(now);
        }
        if self.tls.is_some() {
            return self.choose_inside_tls(now);
        }
        if features.starttls.is_some() && methods.has_tls() {
            self.wire.print(&TlsNegotiation::StartTls.to_element());
            self.phase = Phase::AskingForTls;
        } else if methods.requires_tls() {
            // Nothing crosses in clear because somebody on the way took an offer out (RFC 7590 §3.1).
            self.fail(Failure::new(Stage::Tls, "the partner offers no TLS, which our settings require"));
        } else if features.starttls == Some(xmpp_types::features::StartTls::Required) {
            self.fail(Failure::new(Stage::Policy, "the partner requires TLS, which our settings exclude"));
        } else {
            self.prove_by_dialback(now);
        }
    }

    /// What may prove the partner: nothing in clear where its zone vouches for a certificate.
    fn methods(&self) -> Methods {
        let methods = self.approach.methods;
        Methods {
            dialback_in_clear: methods.dialback_in_clear && !self.approach.evidence.demands_tls(),
            ..methods
        }
    }

    fn choose_inside_tls(&mut self, now: Now) {
        let methods = self.approach.methods;
        match self.approach.purpose {
            Purpose::Ask => {
                self.phase = Phase::Asking;
                self.ask_held(now);
            }
            // Certificates prove both sides or none: ours is not for a partner that is not proved by its own.
            Purpose::Speak
                if methods.external && self.proved_by.is_some() && self.features.offers("EXTERNAL") =>
            {
                self.offer_both_ways();
                let identity = STANDARD.encode(self.approach.pair.local.as_str());
                let auth = Sasl::Auth { mechanism: "EXTERNAL".into(), response: Some(identity.into()) };
                self.wire.print(&auth.to_element());
                self.phase = Phase::Authenticating;
            }
            Purpose::Speak if methods.dialback_over_tls => {
                self.offer_both_ways();
                self.prove_by_dialback(now);
            }
            Purpose::Speak => self.fail(Failure::new(
                Stage::Auth,
                "the partner does not offer EXTERNAL: it does not accept our certificate",
            )),
        }
    }

    /// Only a certificate proves the partner well enough to let it speak on a stream that we opened
    /// (XEP-0288 §2.3).
    fn offer_both_ways(&mut self) {
        let agreed = self.features.bidi && self.settings.both_ways;
        if agreed && self.proved_by.is_some() && !self.is_both_ways {
            self.wire.print(&Bidi::default().to_element());
            self.is_both_ways = true;
        }
    }

    pub(super) fn handle_tls_negotiation(&mut self, said: TlsNegotiation) {
        match (said, self.phase) {
            (TlsNegotiation::Proceed, Phase::AskingForTls) => {
                self.flush();
                self.phase = Phase::Securing;
                self.outputs.push_back(Output::StartTls);
            }
            (TlsNegotiation::Failure, Phase::AskingForTls) => {
                self.fail(Failure::new(Stage::Tls, "the partner cannot start TLS now"));
            }
            _ => self.refuse(&StreamError::new(StreamCondition::UnsupportedStanzaType), Stage::Stream),
        }
    }

    pub(super) fn handle_sasl(&mut self, said: Sasl, now: Now) {
        if self.phase != Phase::Authenticating {
            return self.refuse(&StreamError::new(StreamCondition::UnsupportedStanzaType), Stage::Stream);
        }
        match said {
            Sasl::Success(_) => {
                self.is_authenticated = true;
                self.wire.restart(Limits::BEFORE_AUTHENTICATION);
                self.greet();
            }
            Sasl::Failure { condition, text } => {
                let text = text.map_or_else(|| condition.to_string(), |text| format!("{condition}: {text}"));
                let failure = Failure::new(Stage::Auth, "the partner refused our certificate")
                    .with_peer_text(Some(text));
                if self.approach.methods.dialback_over_tls {
                    self.refusal = Some(failure);
                    self.prove_by_dialback(now);
                } else {
                    self.fail(failure);
                }
            }
            Sasl::Challenge(_) => {
                self.wire.print(&Sasl::Response(Some(xmpp_types::sasl::EMPTY.into())).to_element());
            }
            Sasl::Auth { .. } | Sasl::Response(_) | Sasl::Abort => {
                self.refuse(&StreamError::new(StreamCondition::UnsupportedStanzaType), Stage::Stream);
            }
        }
    }

    /// Goes on with the former session, if there is one and the partner can; begins a new one otherwise.
    pub(super) fn become_ready(&mut self, now: Now) {
        self.wire.set_limits(self.settings.limits);
        if self.features.sm && self.settings.stream_management {
            if self.ask_to_resume() {
                return;
            }
            self.flow.enable(self.settings.resumption.is_some(), &mut self.wire);
        } else {
            self.give_up_former("the partner does not count stanzas any more");
        }
        self.begin(now);
    }

    pub(super) fn begin(&mut self, now: Now) {
        let proof = self.proved_by.unwrap_or(Proof::Dialback);
        self.phase = Phase::Ready;
        self.moved = now.moment;
        self.kept_alive = now.moment;
        self.outputs.push_back(Output::Ready { proof, is_both_ways: self.is_both_ways });
        self.ask_held(now);
    }
}

/// What helps where a zone and a server contradict each other: no authority, and no dialback.
const DANE_ADVICE: &str = "the partner's TLSA records and its certificate must agree: it has to mend one of them; \
                           `dane = false` goes without its zone's word";
