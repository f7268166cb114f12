//! How fast requests go to one peer: evenly, never faster than it wants, what people wait for first.
//!
//! Each peer has a bucket that fills by its rate and holds a tenth of a second's worth. A request that finds
//! it empty waits for its turn; nothing is dropped. A peer that is new to us, because we have just started,
//! is approached slowly: with a third of its rate, and as much more with each second, but by 5 at least.
//! Responses and ACKs are not paced.

use std::collections::VecDeque;
use std::hash::BuildHasherDefault;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use clock_types::{Moment, Now};
use sip_types::Method;
use siphasher::sip::SipHasher13;

use super::route::Route;
use super::sending::Step;
use super::{Endpoint, Timer};
use crate::arena::Arena;

/// How fast requests may go to a peer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pace {
    /// The peer; all routes that name it share its bucket.
    pub peer: Arc<str>,
    /// Requests a second.
    pub per_second: NonZeroU32,
}

/// What waits for one peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaceState {
    /// The peer.
    pub peer: Arc<str>,
    /// Requests a second, once it has been approached.
    pub per_second: u32,
    /// Requests that people wait for: INVITE, MESSAGE, INFO, BYE.
    pub waiting: usize,
    /// Requests about presence, which come after those.
    pub waiting_later: usize,
}

/// The buckets of all peers.
#[derive(Debug)]
pub struct Pacing {
    buckets: Arena<Bucket>,
    by_peer: hashbrown::HashMap<Arc<str>, u64, BuildHasherDefault<SipHasher13>>,
}

#[derive(Debug)]
struct Bucket {
    peer: Arc<str>,
    per_second: u32,
    /// When the first request went.
    started_at: Moment,
    /// When it is full again but for the burst it may hold.
    full_at: Moment,
    waiting: VecDeque<u64>,
    waiting_later: VecDeque<u64>,
    /// When its timer is set to fire.
    wake: Option<Moment>,
}

/// What becomes of a request that wants to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Now,
    /// It waits in this bucket.
    Later(u64),
}

/// The least rate that a peer is approached with at first, and by which it grows in each second.
const RAMP_MIN: u32 = 5;

impl Pacing {
    pub fn new() -> Self {
        Self { buckets: Arena::new(), by_peer: hashbrown::HashMap::default() }
    }

    /// Returns when a bucket's timer is set to fire.
    pub fn wake(&self, bucket: u64) -> Option<Moment> {
        self.buckets.get(bucket)?.wake
    }

    /// Returns what waits, by peer, of those for whom anything does.
    pub fn states(&self) -> Vec<PaceState> {
        let mut states: Vec<PaceState> = self
            .buckets
            .iter()
            .map(|(_, bucket)| PaceState {
                peer: Arc::clone(&bucket.peer),
                per_second: bucket.per_second,
                waiting: bucket.waiting.len(),
                waiting_later: bucket.waiting_later.len(),
            })
            .filter(|state| state.waiting + state.waiting_later > 0)
            .collect();
        states.sort_by(|one, other| one.peer.cmp(&other.peer));
        states
    }

    fn admit(&mut self, pace: &Pace, method: &Method, request: u64, max: usize, now: Now) -> Turn {
        let number = self.bucket_of(pace, max, now);
        let Some(bucket) = self.buckets.get_mut(number) else { return Turn::Now };
        bucket.per_second = pace.per_second.get();
        if bucket.is_empty() && bucket.may_go_at(now) <= now.moment {
            bucket.take(now);
            return Turn::Now;
        }
        match method {
            Method::Subscribe | Method::Notify | Method::Publish | Method::Options => {
                bucket.waiting_later.push_back(request);
            }
            _ => bucket.waiting.push_back(request),
        }
        Turn::Later(number)
    }

    fn bucket_of(&mut self, pace: &Pace, max: usize, now: Now) -> u64 {
        if let Some(number) = self.by_peer.get(&pace.peer) {
            return *number;
        }
        if self.by_peer.len() >= max {
            self.forget_longest_idle();
        }
        let number = self.buckets.insert(Bucket {
            peer: Arc::clone(&pace.peer),
            per_second: pace.per_second.get(),
            started_at: now.moment,
            full_at: now.moment,
            waiting: VecDeque::new(),
            waiting_later: VecDeque::new(),
            wake: None,
        });
        self.by_peer.insert(Arc::clone(&pace.peer), number);
        number
    }

    /// A bucket in which something waits stays; so there may be one more for each open request.
    fn forget_longest_idle(&mut self) {
        let idle = self.buckets.iter().filter(|(_, bucket)| bucket.is_empty());
        let longest = idle.min_by_key(|(_, bucket)| bucket.full_at).map(|(number, _)| number);
        if let Some(bucket) = longest.and_then(|number| self.buckets.remove(number)) {
            self.by_peer.remove(&bucket.peer);
        }
    }
}

impl Bucket {
    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.waiting_later.is_empty()
    }

    fn rate(&self, now: Now) -> u32 {
        let seconds = u32::try_from(now.moment.since(self.started_at).as_secs()).unwrap_or(u32::MAX);
        let ramp = RAMP_MIN.max(self.per_second.div_ceil(3));
        self.per_second.min(ramp.saturating_mul(seconds.saturating_add(1)))
    }

    fn spacing(&self, now: Now) -> Duration {
        Duration::from_secs(1) / self.rate(now).max(1)
    }

    /// Returns when the next request may go.
    fn may_go_at(&self, now: Now) -> Moment {
        let burst = (self.rate(now) / 10).max(1);
        self.full_at - self.spacing(now) * (burst - 1)
    }

    fn take(&mut self, now: Now) {
        self.full_at = self.full_at.max(now.moment) + self.spacing(now);
    }

    fn pop(&mut self) -> Option<u64> {
        self.waiting.pop_front().or_else(|| self.waiting_later.pop_front())
    }
}

impl Endpoint {
    /// Returns what waits for its turn, by peer.
    #[must_use]
    pub fn paced(&self) -> Vec<PaceState> {
        self.pacing.states()
    }

    /// Lets a request go when its turn has come.
    pub(super) fn pace(&mut self, number: u64, route: &Route, now: Now) {
        let pace = match route {
            Route::Fixed(hop) => hop.pace.clone(),
            Route::Locate(hop) => hop.pace.clone(),
        };
        let Some(sending) = self.sendings.requests.get_mut(number) else { return };
        if let Some(pace) = pace
            && *sending.request.method() != Method::Ack
        {
            let max = self.settings.limits.names;
            match self.pacing.admit(&pace, sending.request.method(), number, max, now) {
                Turn::Now => {}
                Turn::Later(bucket) => {
                    sending.step = Step::Pacing;
                    self.set_pace_timer(bucket, now);
                    return;
                }
            }
        }
        self.search_on(number, now);
    }

    /// Lets those go whose turn has come.
    pub(super) fn handle_pace_timeout(&mut self, bucket: u64, now: Now) {
        loop {
            let Some(found) = self.pacing.buckets.get_mut(bucket) else { return };
            found.wake = None;
            if found.may_go_at(now) > now.moment {
                break;
            }
            let Some(number) = found.pop() else { break };
            // It may have been cancelled while it waited.
            let Some(sending) = self.sendings.requests.get_mut(number) else { continue };
            found.take(now);
            sending.step = Step::Locating;
            sending.until = now.moment + self.settings.try_within;
            self.search_on(number, now);
        }
        self.set_pace_timer(bucket, now);
    }

    fn set_pace_timer(&mut self, bucket: u64, now: Now) {
        let Some(found) = self.pacing.buckets.get_mut(bucket) else { return };
        if found.is_empty() || found.wake.is_some() {
            return;
        }
        let at = found.may_go_at(now).max(now.moment);
        found.wake = Some(at);
        self.deadlines.push(at, now.moment, Timer::Pace(bucket));
    }
}
