//! What became of texts, told to those who asked for it: receipts (XEP-0184) and markers (XEP-0333) of XMPP users
//! become IMDN (RFC 5438), and IMDN becomes markers.
//!
//! It is a courtesy on both sides: what nobody remembers to have been asked for is not passed on, nothing is told
//! twice, nothing of it is kept over a restart, and none of it opens a session.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use clock_types::{Moment, Now};
use sip_types::Uri;
use translate::message::{MessageToSip, NotificationRequest, disposition_message};
use translate::session::{Disposed, Disposition, Parties, displayed_stanza, signals_of};
use xmpp_types::jid::Jid;
use xmpp_types::stanza;
use xmpp_types::xml::Element;

use crate::conversation::{Pair, Sender};
use crate::gateway::{Gateway, Ours};
use crate::links::Sent;
use crate::settings::SipDomain;

/// What is to be told, and to whom.
#[derive(Debug, Default)]
pub(crate) struct Dispositions {
    /// What SIP users asked about their texts, by the pair and the id of the stanza.
    of_sip: Memory<(Uri, NotificationRequest)>,
    /// Messages of XMPP users who asked to hear that they were seen, by the pair and the name in the envelope.
    of_xmpp: Memory<Box<Sender>>,
}

impl Dispositions {
    /// Takes what a SIP user wants to hear of a text.
    pub(crate) fn asked(
        &mut self,
        pair: &Pair,
        id: &str,
        sender: &Uri,
        asked: Option<&NotificationRequest>,
        now: Now,
    ) {
        let Some(asked) = asked.filter(|asked| asked.positive || asked.display) else { return };
        if asked.message_id.len() <= NAME_MAX && asked.date_time.len() <= NAME_MAX {
            self.of_sip.remember(key(&pair.key, id), (sender.clone(), asked.clone()), now);
        }
    }

    /// Takes a message whose sender wants to hear that it was seen; the SIP user calls it `message_id`.
    pub(crate) fn ask(&mut self, message_id: String, sender: Box<Sender>, now: Now) {
        if sender.id.len() <= NAME_MAX {
            let pair = Pair::key_of(&sender.from, &sender.to);
            self.of_xmpp.remember(key(&pair, &message_id), sender, now);
        }
    }

    /// Returns whom to tell that this became of his text, if he asked for it and was not told.
    fn take_wish(
        &mut self,
        pair: &str,
        id: &str,
        what: Disposed,
        now: Now,
    ) -> Option<(Uri, NotificationRequest)> {
        let (sender, asked) = self.of_sip.get(&key(pair, id), now)?;
        if !what.is_wanted(asked) {
            return None;
        }
        let wish = (sender.clone(), asked.clone());
        match what {
            Disposed::Delivered => asked.positive = false,
            Disposed::Displayed => asked.display = false,
            Disposed::Failed => asked.negative = false,
        }
        Some(wish)
    }
}

impl Gateway {
    /// Tells a SIP user what an XMPP user's client says became of his text.
    pub(crate) fn tell_disposition(&mut self, stanza: &Element, to: &Jid, domain: &SipDomain, now: Now) {
        let signals = signals_of(stanza);
        let told = [(Disposed::Delivered, signals.received), (Disposed::Displayed, signals.displayed)];
        for (what, id) in told {
            let Some(id) = id else { continue };
            let Some(from) = stanza::from(stanza).ok().flatten() else { return };
            let pair = Pair::key_of(&from, to);
            let Some((sender, asked)) = self.dispositions.take_wish(&pair, &id, what, now) else { continue };
            let profile = domain.to_sip.profile;
            let Ok(message) = disposition_message(&from, &sender, &asked, what, profile) else { continue };
            if let Some(message) = self.conversations.handle_told(&pair, Box::new(message), now) {
                self.page_told(message, now);
            }
        }
    }

    /// Tells a SIP user in page mode what became of his text.
    pub(crate) fn page_told(&mut self, message: Box<MessageToSip>, now: Now) {
        let settings = self.settings.clone();
        if let Some(domain) = settings.domain(message.to_jid.domain())
            && settings.policy.allows(&message.to_jid)
        {
            self.send(Ours::Told, message.into_request(), &domain.route, now);
        }
    }

    /// Takes a SIP user's word on a message: tells its sender, if he asked, that it was seen. That it was delivered or
    /// was not, its answer or its report has said.
    pub(crate) fn hear_disposition(&mut self, pair: &Pair, disposition: &Disposition, now: Now) {
        if disposition.what != Disposed::Displayed {
            return;
        }
        let name = key(&pair.key, &disposition.message_id);
        let Some(sender) = self.dispositions.of_xmpp.take(&name, now) else { return };
        let parties = Parties { from: &sender.to, to: &sender.from, thread: None };
        let stanza = displayed_stanza(&parties, &sender.id);
        self.links.send(stanza, Sent::Courtesy, || format!("{} {}", pair.sip, pair.xmpp), now);
    }
}

fn key(pair: &str, id: &str) -> String {
    format!("{pair} {id}")
}

/// A memory of so many things for so long: the oldest goes first.
#[derive(Debug)]
struct Memory<T> {
    known: BTreeMap<String, (Moment, T)>,
    /// In the order in which they came; what was taken may stand here still.
    order: VecDeque<(Moment, String)>,
}

impl<T> Default for Memory<T> {
    fn default() -> Self {
        Self { known: BTreeMap::new(), order: VecDeque::new() }
    }
}

impl<T> Memory<T> {
    /// Remembers something; what is known stays as it is.
    fn remember(&mut self, key: String, value: T, now: Now) {
        self.forget_old(now);
        if self.known.contains_key(&key) {
            return;
        }
        if self.order.len() >= REMEMBERED_MAX {
            self.forget_oldest();
        }
        self.order.push_back((now.moment, key.clone()));
        self.known.insert(key, (now.moment, value));
    }

    fn get(&mut self, key: &str, now: Now) -> Option<&mut T> {
        self.forget_old(now);
        self.known.get_mut(key).map(|(_, value)| value)
    }

    fn take(&mut self, key: &str, now: Now) -> Option<T> {
        self.forget_old(now);
        self.known.remove(key).map(|(_, value)| value)
    }

    fn forget_old(&mut self, now: Now) {
        while self.order.front().is_some_and(|(since, _)| now.moment.since(*since) >= REMEMBERED_FOR) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some((since, key)) = self.order.pop_front() else { return };
        // It may have been taken, and come again since.
        if self.known.get(&key).is_some_and(|(known, _)| *known == since) {
            self.known.remove(&key);
        }
    }
}

/// So many are remembered in each direction.
const REMEMBERED_MAX: usize = 10_000;
/// Whoever reads a text later than this has its sender not told.
const REMEMBERED_FOR: Duration = Duration::from_secs(3600);
/// The longest name of a message that is remembered, and the longest date.
const NAME_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use clock_types::Date;

    use super::*;

    fn at(seconds: u64) -> Now {
        let start = Now { moment: Moment::ZERO, date: Date::from_unix_millis(0) };
        start.plus(Duration::from_secs(seconds))
    }

    #[test]
    fn a_thing_is_remembered_for_an_hour_and_taken_once() {
        let mut memory = Memory::default();
        memory.remember("a".to_owned(), 1, at(0));
        memory.remember("a".to_owned(), 2, at(1));
        memory.remember("b".to_owned(), 3, at(10));

        assert_eq!(memory.get("a", at(3599)), Some(&mut 1));
        assert_eq!(memory.get("a", at(3600)), None);
        assert_eq!(memory.take("b", at(3600)), Some(3));
        assert_eq!(memory.take("b", at(3600)), None);
    }

    #[test]
    fn what_came_again_is_not_forgotten_with_the_first() {
        let mut memory = Memory::default();
        memory.remember("a".to_owned(), 1, at(0));
        memory.take("a", at(1));
        memory.remember("a".to_owned(), 2, at(2));

        assert_eq!(memory.take("a", at(3601)), Some(2));
    }

    #[test]
    fn the_oldest_is_forgotten_first() {
        let mut memory = Memory::default();
        for number in 0..=REMEMBERED_MAX {
            memory.remember(number.to_string(), number, at(0));
        }

        assert_eq!(memory.get("0", at(1)), None);
        assert_eq!(memory.get("1", at(1)), Some(&mut 1));
        assert_eq!((memory.known.len(), memory.order.len()), (REMEMBERED_MAX, REMEMBERED_MAX));
    }

    #[test]
    fn each_kind_is_told_once_to_whom_it_was_asked() {
        let jid = |text: &str| Jid::parse(text).unwrap();
        let pair = Pair::new(&jid("ann@x.example"), &jid("bob@s.example"));
        let sender = Uri::parse("sip:bob@s.example").unwrap();
        let asked = NotificationRequest {
            message_id: "m1".to_owned(),
            date_time: String::new(),
            negative: false,
            positive: true,
            display: false,
        };
        let mut dispositions = Dispositions::default();
        dispositions.asked(&pair, "s1", &sender, Some(&asked), at(0));
        let mut take = |pair: &str, what| dispositions.take_wish(pair, "s1", what, at(1)).is_some();

        assert!(!take("eve@x.example bob@s.example", Disposed::Delivered));
        assert!(!take(&pair.key, Disposed::Displayed));
        assert!(take(&pair.key, Disposed::Delivered));
        assert!(!take(&pair.key, Disposed::Delivered));
    }
}
