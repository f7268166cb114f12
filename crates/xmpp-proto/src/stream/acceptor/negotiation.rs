//! Headers, features and STARTTLS at the receiving end.

use clock_types::Now;
use xmpp_types::features::{DialbackFeature, FeatureSet, StartTls, StreamLimits};
use xmpp_types::jid::DomainName;
use xmpp_types::negotiation::TlsNegotiation;
use xmpp_types::ns;
use xmpp_types::stream::{StreamCondition, StreamError, StreamHeader, StreamVersion};

use super::{Acceptor, Output, Phase};
use crate::dialback::Pair;
use crate::failure::Stage;
use crate::identity;
use crate::stream::{Methods, Policy, Proof, no_meaning};

impl Acceptor {
    /// Answers the peer's header with ours (RFC 6120 §4.7) and says what may follow.
    pub(super) fn handle_header(&mut self, header: &StreamHeader, now: Now) {
        let checked = self.check_header(header);
        self.peer.id = self.ids.token("stream");
        let mut ours = StreamHeader::server().with_id(self.peer.id.as_str());
        // A name that is not ours is not echoed as if it were (RFC 6120 §4.9.1.3).
        if let Some(local) = &self.peer.local {
            ours = ours.with_from(local.as_str());
        }
        if let Some(remote) = &self.peer.remote {
            ours = ours.with_to(remote.as_str());
        }
        if header.version == StreamVersion::Absent {
            // A peer of the time before features gets a header without version (§4.7.5).
            ours.version = StreamVersion::Absent;
        }
        self.wire.greet(&ours);
        match checked {
            Ok(()) => self.offer(now),
            Err(error) => {
                let stage = if error.condition == StreamCondition::PolicyViolation {
                    Stage::Policy
                } else {
                    Stage::Stream
                };
                self.refuse(&error, stage);
            }
        }
    }

    fn check_header(&mut self, header: &StreamHeader) -> Result<(), StreamError> {
        let wrong = |condition, text: &str| Err(StreamError::new(condition).with_text(text));
        if header.content != *ns::SERVER {
            return wrong(StreamCondition::InvalidNamespace, "the content namespace must be jabber:server");
        }
        let domain = |text: Option<&str>| match text.filter(|text| !text.is_empty()) {
            None => Ok(None),
            Some(text) => DomainName::parse(text).map(Some).map_err(drop),
        };
        let remote = domain(header.from.as_deref());
        let local = domain(header.to.as_deref());
        if let Ok(Some(local)) = &local
            && self.rules.serves(local)
        {
            self.peer.local = Some(local.clone());
        }
        if let Ok(Some(remote)) = &remote
            && self.rules.serves(remote)
        {
            // Before anything else, for this is what our own stream to a partner says that leads back to us.
            return wrong(StreamCondition::InvalidFrom, OURS);
        }
        if !header.version.has_features() {
            return wrong(StreamCondition::UnsupportedVersion, "version 1.0 or later is required");
        }
        match local {
            Ok(Some(local)) if self.rules.serves(&local) => {}
            Ok(Some(_)) => return wrong(StreamCondition::HostUnknown, "that domain is not served here"),
            Ok(None) => return wrong(StreamCondition::ImproperAddressing, "the header has no to"),
            Err(()) => return wrong(StreamCondition::ImproperAddressing, "the header's to is no domain"),
        }
        let Ok(remote) = remote else {
            return wrong(StreamCondition::ImproperAddressing, "the header's from is no domain");
        };
        if let Some(remote) = &remote
            && self.rules.policy(remote).is_none()
        {
            return wrong(StreamCondition::PolicyViolation, "this server does not federate with that domain");
        }
        if self.peer.authenticated.is_some() && self.peer.authenticated != remote {
            return wrong(StreamCondition::InvalidFrom, "the header must claim the domain that was proved");
        }
        self.peer.remote = remote;
        Ok(())
    }

    fn offer(&mut self, now: Now) {
        let methods = self.methods();
        let is_secure = self.peer.tls.is_some();
        let mut features = FeatureSet { limits: Some(self.announced_limits()), ..FeatureSet::default() };
        let is_provable_here = if is_secure { methods.dialback_over_tls } else { methods.dialback_in_clear };
        if is_provable_here {
            features.dialback = Some(DialbackFeature::WithErrors);
        }
        if !self.proved.is_empty() {
            features.sm = self.settings.stream_management;
            self.phase = Phase::Proved;
            self.tell_authenticated();
        } else if is_secure {
            let unproved = self.offer_external(methods, now);
            self.peer.is_external_offered = unproved.is_none();
            if unproved.is_none() {
                features.mechanisms.push("EXTERNAL".into());
            }
            features.bidi = self.settings.both_ways;
            // No features come after dialback: what may be used after it must be said before (XEP-0198 §2). Where
            // EXTERNAL is offered they do.
            features.sm = self.settings.stream_management && unproved.is_some() && is_provable_here;
            self.phase = Phase::Unproved;
            if let (Some(unproved), false) = (unproved, is_provable_here) {
                // Nothing that this peer could do would prove it: it is told why, at once.
                return self.refuse(
                    &StreamError::new(StreamCondition::NotAuthorized).with_text(unproved),
                    Stage::Certificate,
                );
            }
        } else {
            features.starttls = match (methods.has_tls(), methods.requires_tls()) {
                (true, true) => Some(StartTls::Required),
                (true, false) => Some(StartTls::Optional),
                (false, _) => None,
            };
            features.sm = self.settings.stream_management && is_provable_here;
            self.phase = Phase::Unproved;
        }
        self.wire.print(&features.to_element());
    }

    /// Tells what SASL has proved, once the new stream is open on which it counts.
    fn tell_authenticated(&mut self) {
        if let (Some(local), Some(remote)) = (self.peer.local.clone(), self.peer.authenticated.clone()) {
            self.outputs.push_back(Output::Proved(Pair { local, remote }, Proof::Certificate));
        }
    }

    /// Returns why EXTERNAL cannot be offered, `None` if it can: only when it is known to succeed
    /// (XEP-0178 §3).
    fn offer_external(&self, methods: Methods, now: Now) -> Option<String> {
        if !methods.external {
            return Some("certificates do not prove this domain here".into());
        }
        let Some(remote) = &self.peer.remote else {
            return Some("the header has no from".into());
        };
        self.prove_by_certificate(remote, now).err()
    }

    /// Checks that the certificate proves a domain, judged by the roots for that very domain.
    pub(super) fn prove_by_certificate(&self, remote: &DomainName, now: Now) -> Result<(), String> {
        let certificate = self.peer.tls.as_ref().and_then(|tls| tls.peer.as_deref());
        let roots = self.rules.own_roots(remote);
        identity::prove_by(certificate, roots.as_ref(), remote, now.date)
            .map_err(|unproved| unproved.to_string())
    }

    /// What holds for the domain that the peer claims. One that claims none must use TLS, and prove
    /// whatever it claims later by dialback.
    fn methods(&self) -> Methods {
        const UNKNOWN: Methods =
            Methods { external: false, dialback_over_tls: true, dialback_in_clear: false };
        self.policy().map_or(UNKNOWN, |policy| policy.methods)
    }

    pub(super) fn policy(&self) -> Option<Policy> {
        self.peer.remote.as_ref().and_then(|remote| self.rules.policy(remote))
    }

    fn announced_limits(&self) -> StreamLimits {
        StreamLimits {
            max_bytes: Some(self.settings.limits.stanza_bytes as u64),
            idle_seconds: self.policy().map(|policy| policy.silence_max.as_secs()),
        }
    }

    pub(super) fn handle_tls_negotiation(&mut self, said: TlsNegotiation) {
        let may_start = self.peer.tls.is_none() && self.proved.is_empty() && self.methods().has_tls();
        match (said, &self.peer.local) {
            (TlsNegotiation::StartTls, Some(local)) if may_start => {
                let local = local.clone();
                self.wire.print(&TlsNegotiation::Proceed.to_element());
                self.flush();
                self.phase = Phase::Securing;
                self.outputs.push_back(Output::StartTls(local));
            }
            (TlsNegotiation::StartTls, _) => {
                self.wire.print(&TlsNegotiation::Failure.to_element());
                self.wire.close();
                self.end(Some(crate::failure::Failure::new(
                    Stage::Policy,
                    "the peer asked for TLS where it is not offered",
                )));
            }
            (TlsNegotiation::Proceed | TlsNegotiation::Failure, _) => self.refuse_type(),
        }
    }

    pub(super) fn refuse_type(&mut self) {
        self.refuse(&no_meaning(), Stage::Stream);
    }
}

/// What a stream hears whose sender claims to be us: it is ours, come back, or somebody who lies.
const OURS: &str = "that is a domain of our own: a stream of ours that leads back to us, or a forger's";
