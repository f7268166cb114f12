//! What all watches share.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use clock_types::{Ids, Moment, Now};
use sip_proto::endpoint::ServerKey;
use sip_proto::subscription::{self, Notifier};
use sip_types::header::{CallId, Event, HeaderName, NameAddr};
use sip_types::{HeaderText, Method, Request, Response, Token, Uri};
use translate::message::DATAGRAM_MAX;
use translate::presence::{DocumentOptions, OCTETS_MAX, PIDF_TYPE};
use translate::{Abilities, Capabilities, Losses, jid_to_sip};
use xmpp_proto::link::PartnerKind;
use xmpp_types::jid::{DomainName, Jid};
use xmpp_types::xml::Element;

use super::effect::{Effect, WatchChange, WatchRequest, WatchWord};
use super::record::{Authorisation, WatchDirection, WatchRecord};
use crate::answers;
use crate::conversation::{Pair, contact};
use crate::partners::Partners;
use crate::settings::{Settings, SipDomain};

/// What a NOTIFY with a document has beside it and beside one without: its type, and a longer length.
const TYPE_OCTETS: usize = "Content-Type: application/pidf+xml\r\n".len() + 4;
/// How long a domain whose servers took no connection is believed to take datagrams only.
const NARROW: Duration = Duration::from_secs(300);

/// Names a watch among those of its direction.
pub type Slot = u32;

/// Whose request it is that waits for an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asker {
    /// The subscriber of an outward watch.
    Outward(Slot),
    /// The notifier with this tag of an inward watch.
    Inward(Slot, Box<str>),
    /// Whoever looks after this SIP domain.
    Check(DomainName),
}

/// What all watches share.
#[derive(Debug)]
pub struct Desk {
    pub settings: Arc<Settings>,
    pub subscriptions: Arc<subscription::Settings>,
    /// What the proxies say of their partners.
    pub partners: Arc<Partners>,
    pub ids: Ids,
    /// Our requests that have no answer.
    pub requests: BTreeMap<WatchRequest, Asker>,
    next_request: u64,
    /// What SIP users decided, on its way to the XMPP side.
    pub words: BTreeMap<WatchWord, (Slot, Authorisation)>,
    next_word: u64,
    pub outputs: VecDeque<Effect>,
    /// Until when which domains' servers are believed to take datagrams only: what does not fit into one may be lost.
    narrow: BTreeMap<DomainName, Moment>,
    /// What users of each SIP domain are said to be able to do.
    capabilities: BTreeMap<DomainName, Capabilities>,
}

impl Desk {
    pub fn new(settings: Arc<Settings>, ids: Ids) -> Self {
        Self {
            subscriptions: Arc::new(subscriptions_of(&settings)),
            narrow: BTreeMap::new(),
            capabilities: capabilities_of(&settings),
            settings,
            partners: Arc::default(),
            ids,
            requests: BTreeMap::new(),
            next_request: 0,
            words: BTreeMap::new(),
            next_word: 0,
            outputs: VecDeque::new(),
        }
    }

    /// Puts other settings into effect, for what begins from now on.
    pub fn handle_settings(&mut self, settings: Arc<Settings>) {
        self.subscriptions = Arc::new(subscriptions_of(&settings));
        self.capabilities = capabilities_of(&settings);
        self.narrow.clear();
        self.settings = settings;
    }

    pub fn send(&mut self, asker: Asker, request: Box<Request>, domain: &DomainName) {
        self.next_request += 1;
        let name = WatchRequest(self.next_request);
        self.requests.insert(name, asker);
        self.outputs.push_back(Effect::Send { name, request, domain: domain.clone() });
    }

    pub fn respond(&mut self, key: ServerKey, response: impl Into<Box<Response>>) {
        self.outputs.push_back(Effect::Respond { key, response: response.into() });
    }

    pub fn stanza(&mut self, pair: &Arc<Pair>, stanza: Element) {
        self.outputs.push_back(Effect::Stanza { pair: Arc::clone(pair), stanza });
    }

    pub fn word(&mut self, slot: Slot, authorisation: Authorisation, pair: &Arc<Pair>, stanza: Element) {
        self.next_word += 1;
        let name = WatchWord(self.next_word);
        self.words.insert(name, (slot, authorisation));
        self.outputs.push_back(Effect::Word { name, pair: Arc::clone(pair), stanza });
    }

    pub fn record(&mut self, record: WatchRecord) {
        self.outputs.push_back(Effect::Record(record));
    }

    pub fn changed(&mut self, direction: WatchDirection, pair: &Arc<Pair>, change: WatchChange) {
        self.outputs.push_back(Effect::Changed { direction, pair: Arc::clone(pair), change });
    }

    pub fn lost(&mut self, direction: WatchDirection, pair: &Arc<Pair>, losses: Losses) {
        if !losses.is_empty() {
            self.outputs.push_back(Effect::Lost { direction, pair: Arc::clone(pair), losses });
        }
    }

    /// Returns the address that requests to this XMPP user come to in dialogs with that SIP domain.
    pub fn contact(&self, user: &Jid, domain: &DomainName) -> Option<NameAddr> {
        contact(user, self.settings.listener_towards(domain)?)
    }

    /// Returns a question whether the SIP user's servers are there, in the name of the XMPP user.
    pub fn options(&mut self, pair: &Pair) -> Option<Request> {
        let address = |jid: &Jid| jid_to_sip(jid, translate::Profile::BareAddress).ok();
        let from = NameAddr::new(address(&pair.xmpp)?);
        let to = Uri::parse(format!("sip:{}", pair.sip.domain().to_ascii())).ok()?;
        let tag = Token::parse(self.ids.token("tag"))?;
        let call_id = CallId::parse(self.ids.token("call"))?;
        let server = NameAddr::new(to.clone());
        Some(Request::new(Method::Options, to, from.with_tag(&tag), server, call_id, 1))
    }

    /// Tells whether the XMPP user of a pair may read what the SIP user writes about his state.
    pub fn shows_notes(&self, pair: &Pair) -> bool {
        self.partners.kind_of(pair.xmpp.domain()) == PartnerKind::Federated
    }

    /// Returns a time by which many that do the same do not do it together.
    pub fn within(&mut self, spread: Duration) -> Duration {
        let spread = u64::try_from(spread.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(self.ids.below(spread.max(1)))
    }

    /// Returns what users of a SIP domain are said to be able to do.
    pub fn capabilities(&self, domain: &DomainName) -> Option<&Capabilities> {
        self.capabilities.get(domain)
    }

    /// Learns that a domain's servers take datagrams only. It may have been an outage: after a while a connection is tried
    /// again, as it is after other settings.
    pub fn handle_narrow(&mut self, domain: &DomainName, now: Now) {
        if self.settings.domain(domain).is_some() {
            self.narrow.insert(domain.clone(), now.moment + NARROW);
        }
    }

    /// Returns how a document for a SIP domain is written that stands in this notifier's next NOTIFY.
    pub fn document_options(&self, domain: &DomainName, notifier: &Notifier, now: Now) -> DocumentOptions {
        let Some(domain) = self.settings.domain(domain) else { return DocumentOptions::default() };
        let octets_max = if self.narrow.get(&domain.name).is_some_and(|until| now.moment < *until) {
            let beside = notifier.head_octets(now) + TYPE_OCTETS + domain.to_sip.transport_octets;
            DATAGRAM_MAX.saturating_sub(beside)
        } else {
            OCTETS_MAX
        };
        DocumentOptions {
            profile: domain.to_sip.profile,
            one_tuple: !domain.to_sip.profile.shows_resource(),
            without_status: false,
            octets_max,
        }
    }
}

fn subscriptions_of(settings: &Settings) -> subscription::Settings {
    let watches = &settings.watches;
    let event = Event::parse("presence").expect("a token is an event");
    let mut subscriptions = subscription::Settings::new(event, HeaderText::from_static(PIDF_TYPE));
    subscriptions.timing = settings.sip.timing;
    subscriptions.headers = vec![(HeaderName::Allow, HeaderText::from_static(answers::ALLOW))];
    subscriptions.expires = watches.expires;
    subscriptions.expires_min = watches.expires_min;
    subscriptions.expires_max = watches.expires_max;
    subscriptions.pace = watches.pace;
    subscriptions
}

fn capabilities_of(settings: &Settings) -> BTreeMap<DomainName, Capabilities> {
    let of = |domain: &SipDomain| {
        // In page mode typing is not shown to SIP users, and a 200 is worth a receipt only if the operator says so.
        let has_sessions = domain.dialect.has_sessions();
        Capabilities::of(Abilities {
            chat_states: has_sessions && settings.conversations.typing,
            receipts: has_sessions || settings.page_mode_receipts,
        })
    };
    settings.domains.iter().map(|domain| (domain.name.clone(), of(domain))).collect()
}
