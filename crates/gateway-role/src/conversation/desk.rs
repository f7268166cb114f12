//! What all conversations share.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use clock_types::{Ids, Now};
use sip_proto::endpoint::{Listener, Transport};
use sip_proto::msrp::{self, Msrp, SessionKey};
use sip_proto::session;
use sip_types::header::{CallId, NameAddr};
use sip_types::msrp::{self as msrp_types, Ident};
use sip_types::{HeaderName, HeaderText, Method, Request, SipUri, Token};
use translate::jid_to_sip;
use translate::session::TypingDialect;
use xmpp_types::jid::{DomainName, Jid};

use super::effect::Effect;
use super::fate::Item;
use super::learned::{Fallback, Learned};
use super::machine::{Leg, Pace};
use super::offer::{self, Place};
use super::pair::Pair;
use super::settings::Dialect;
use crate::answers;
use crate::settings::Settings;

/// Names a session among all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionId {
    /// Its conversation.
    pub conversation: u64,
    /// Its number there.
    pub leg: Leg,
}

/// What all conversations share.
#[derive(Debug)]
pub struct Desk {
    pub settings: Arc<Settings>,
    pub sessions: Arc<session::Settings>,
    pub pace: Pace,
    pub ids: Ids,
    /// The connections of sessions by MSRP.
    pub msrp: Msrp,
    /// Sessions by their connection.
    pub wires: BTreeMap<SessionKey, SessionId>,
    /// What the names of our messages there begin with: another in each process.
    instance: String,
    /// Sessions by our tag in them.
    pub tags: BTreeMap<Box<str>, SessionId>,
    pub learned: Learned,
    /// Conversations with a session, in all and by SIP domain.
    pub open: usize,
    pub open_by_domain: BTreeMap<DomainName, usize>,
    /// Sessions that have not ended.
    pub live: usize,
    pub outputs: VecDeque<Effect>,
}

impl Desk {
    /// Returns the desk of a gateway without conversations.
    pub fn new(settings: Arc<Settings>, mut ids: Ids) -> Self {
        let allow = (HeaderName::Allow, HeaderText::from_static(answers::ALLOW));
        let sessions = session::Settings {
            timing: settings.sip.timing,
            headers: vec![allow],
            ..session::Settings::default()
        };
        let no_listener = || msrp::Settings::new(Vec::new(), None, settings.sip.trust.clone());
        let mut instance = ids.token("m");
        instance.truncate(INSTANCE_LENGTH);
        Self {
            msrp: Msrp::new(settings.msrp.clone().unwrap_or_else(no_listener), ids.fork()),
            wires: BTreeMap::new(),
            instance,
            pace: pace_of(&settings),
            sessions: Arc::new(sessions),
            settings,
            ids,
            tags: BTreeMap::new(),
            learned: Learned::default(),
            open: 0,
            open_by_domain: BTreeMap::new(),
            live: 0,
            outputs: VecDeque::new(),
        }
    }

    /// Puts other settings into effect.
    pub fn handle_settings(&mut self, settings: Arc<Settings>) {
        self.pace = pace_of(&settings);
        self.settings = settings;
    }

    /// Returns whether another conversation with this SIP user may open a session.
    pub fn may_open(&self, pair: &Pair) -> bool {
        let limits = &self.settings.conversations;
        self.open < limits.open_max
            && self
                .open_by_domain
                .get(pair.sip.domain())
                .is_none_or(|open| *open < limits.open_per_domain_max)
    }

    /// Counts a conversation that has a session, or has none any more.
    pub fn count(&mut self, pair: &Pair, is_open: bool) {
        let by_domain = self.open_by_domain.entry(pair.sip.domain().clone()).or_default();
        if is_open {
            self.open += 1;
            *by_domain += 1;
        } else {
            self.open = self.open.saturating_sub(1);
            *by_domain = by_domain.saturating_sub(1);
        }
    }

    /// Remembers what a SIP user's programs do not do.
    pub fn learn(&mut self, pair: &Arc<Pair>, fallback: Fallback, now: Now) {
        if self.learned.handle_found(pair.sip.as_str(), fallback, now) {
            self.outputs.push_back(Effect::Learned { pair: Arc::clone(pair), fallback });
        }
    }

    /// Returns a tag that nobody has.
    pub fn tag(&mut self) -> Token {
        Token::parse(self.ids.token("tag")).expect("letters and digits are a token")
    }

    /// Returns how conversations with this SIP user are held.
    pub fn dialect_of(&self, pair: &Pair) -> Dialect {
        self.settings.domain(pair.sip.domain()).map(|domain| domain.dialect).unwrap_or_default()
    }

    /// Returns how often things are said in conversations with this SIP user.
    pub fn pace_of(&self, pair: &Pair) -> Pace {
        match self.dialect_of(pair) {
            Dialect::Msrp => Pace { typing_every: TypingDialect::IsComposing.refresh(), ..self.pace },
            Dialect::PageMode | Dialect::Microsoft | Dialect::Cisco => self.pace,
        }
    }

    /// Prepares a connection for a session of ours with this SIP user: over TLS where his servers are reached so.
    pub fn wire_towards(&mut self, pair: &Pair, now: Now) -> Option<(SessionKey, msrp_types::Uri)> {
        let is_secure =
            self.listener_towards(pair).is_some_and(|listener| listener.transport == Transport::Tls);
        let first = self.msrp.prepare(is_secure, now);
        first.or_else(|| self.msrp.prepare(!is_secure, now))
    }

    /// Returns the most octets that come in one message by MSRP.
    pub fn wired_max(&self) -> usize {
        self.settings.msrp.as_ref().map_or(0, |settings| settings.limits.message_bytes)
    }

    /// Returns the name of a message by MSRP, the same when it is sent again.
    pub fn message_id(&self, item: Item) -> Ident {
        let (kind, number) = match item {
            Item::Text(number) => ('m', number),
            Item::Report(number) => ('r', number),
        };
        Ident::parse(format!("{}.{kind}{}", self.instance, number.0)).expect("letters and digits are a name")
    }

    /// Returns the INVITE that begins a session, and our tag in it; `None` if there is no listener to be answered at.
    /// `wire` is where texts go, unless they go in the session itself.
    pub fn invite(
        &mut self,
        pair: &Pair,
        from: &NameAddr,
        to: &NameAddr,
        uri: &SipUri,
        wire: Option<&msrp_types::Uri>,
    ) -> Option<(Request, Box<str>)> {
        let listener = self.listener_towards(pair)?;
        let contact = contact(&pair.xmpp, listener)?;
        let place = Place { host: &listener.host, port: listener.port };
        let content = match wire {
            Some(wire) => offer::line_offer(place, wire, self.wired_max()),
            None => offer::offer(place),
        };
        let tag = self.tag();
        let call_id = CallId::parse(self.ids.token("call")).expect("letters and digits are a word");
        let from = from.clone().with_tag(&tag);
        let invite = Request::new(Method::Invite, uri.clone().into(), from, to.clone(), call_id, 1)
            .with_contact(&contact)
            .with(HeaderName::Allow, &HeaderText::from_static(answers::ALLOW))
            .with_body(&content.content_type, content.body);
        Some((invite, tag.as_str().into()))
    }

    /// Returns the listener that the peer's servers reach us by.
    pub fn listener_towards(&self, pair: &Pair) -> Option<&Listener> {
        self.settings.listener_towards(pair.sip.domain())
    }
}

/// Returns the address that requests in a session with this XMPP user come to (RFC 3261 §8.1.1.8).
///
/// COMPAT(Skype for Business, all): `transport=tls` is written, which RFC 3261 §26.2.2 advises against, because
/// without it TCP is tried.
pub fn contact(user: &Jid, listener: &Listener) -> Option<NameAddr> {
    let address = jid_to_sip(user, translate::Profile::BareAddress).ok()?;
    // Written and read at once: step by step, each parameter copies it, and a start makes very many.
    let user = address.user().map(|user| format!("{user}@")).unwrap_or_default();
    let (host, port, transport) = (&listener.host, listener.port, listener.transport.as_str());
    let uri = SipUri::parse(format!("sip:{user}{host}:{port};transport={transport}")).ok()?;
    Some(NameAddr::new(uri))
}

/// A name of a message has 31 characters at most (RFC 4975 §9).
const INSTANCE_LENGTH: usize = 18;

fn pace_of(settings: &Settings) -> Pace {
    Pace {
        idle_after: settings.conversations.idle_after,
        answer_within: settings.conversations.answer_within,
        typing_every: TypingDialect::KeyboardActivity.refresh(),
    }
}
