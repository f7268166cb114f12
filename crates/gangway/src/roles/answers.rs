//! What the running process answers to `gangway status` and the others.

use std::collections::BTreeSet;
use std::sync::mpsc::{self, Sender, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use admin::{Reply, Request, Status};
use clock_types::{Date, Moment};
use gateway_role::{ConversationState, Phase, WatchDirection, WatchState};
use net::{Controls, TlsRegistry};
use proxy_role::{Direction, Partner, Settings, StreamSnapshot};
use sip_proto::endpoint::PaceState;
use xmpp_types::outline::Bodies;

use super::losses::Losses;
use super::timeline::{Question, Subject, Timeline};
use super::{Shared, Told, gateway, proxy};
use crate::config::Reading;
use crate::config::model::{self, Configuration};
use crate::log::Volume;

/// The roles that run, to be asked.
#[derive(Default)]
pub struct Roles {
    pub proxy: Option<Controls<proxy::Command>>,
    pub gateway: Option<Controls<gateway::Command>>,
    /// The names of the gateways that are connected to the proxy.
    pub connected: Connected,
}

/// Which gateways are connected, as the proxy's notices tell.
#[derive(Clone, Debug, Default)]
pub struct Connected(Arc<Mutex<BTreeSet<String>>>);

impl Connected {
    /// Takes what the proxy tells.
    pub fn hear(&self, notice: &proxy_role::Notice) {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match notice {
            proxy_role::Notice::GatewayUp { name, .. } => drop(names.insert(name.clone())),
            proxy_role::Notice::GatewayDown { name, .. } => drop(names.remove(name)),
            _ => {}
        }
    }

    fn names(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

/// Who answers.
pub struct Desk {
    pub reading: Shared,
    pub tls: Arc<TlsRegistry>,
    pub roles: Roles,
    pub timeline: Timeline,
    pub losses: Losses,
    pub volume: Volume,
    pub started: Instant,
    pub tell: Sender<Told>,
}

impl Desk {
    /// Answers one request; called from the admin socket's threads.
    pub fn answer(&self, request: Request) -> Reply {
        match request {
            Request::Status => Reply::Status(self.status()),
            Request::Streams => Reply::Streams { streams: self.streams().into_iter().map(stream).collect() },
            Request::Partners => Reply::Partners { partners: self.partners() },
            Request::Queue => Reply::Queue(self.queue()),
            Request::Conversations => self.conversations(),
            Request::Presence { user, wrong } => self.presence(user.as_deref(), wrong),
            Request::Trace { subject, after, follow, bodies } => {
                Reply::Trace(self.trace(&subject, after, follow, bodies))
            }
            Request::User { address } => self.user(&address),
            Request::LogLevel { level } => {
                if let Some(level) = level {
                    self.volume.set(level);
                }
                Reply::LogLevel { level: self.volume.level() }
            }
            Request::Reload => self.reload(),
            Request::Stop => match self.tell.send(Told::Stop("`gangway stop`".into())) {
                Ok(()) => Reply::Done { note: "ending in good order".into() },
                Err(_) => Reply::Refused { reason: "it is ending already".into() },
            },
        }
    }

    fn reload(&self) -> Reply {
        let (asker, answer) = mpsc::sync_channel(1);
        if self.tell.send(Told::Reload(Some(asker))).is_err() {
            return Reply::Refused { reason: "it is ending".into() };
        }
        match answer.recv_timeout(PATIENCE) {
            Ok(Ok(note)) => Reply::Done { note },
            Ok(Err(reason)) => Reply::Refused { reason },
            Err(_) => Reply::Refused { reason: "it is busy or ending; see the log".into() },
        }
    }

    fn status(&self) -> Status {
        let reading = self.current();
        let configuration = reading.configuration();
        let gateway = self.gateway();
        let with_proxy = self.roles.proxy.is_some();
        let proxy =
            configuration.and_then(|configuration| configuration.proxy.as_ref()).filter(|_| with_proxy);
        Status {
            version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            uptime: self.started.elapsed().as_secs(),
            stopping: gateway.as_ref().is_some_and(|gateway| gateway.stopping),
            proxy: proxy.map(|proxy| self.proxy(proxy)),
            gateway: gateway.map(|snapshot| of_gateway(snapshot, configuration, &self.losses)),
            certificates: self.certificates(),
        }
    }

    fn current(&self) -> Arc<Reading> {
        Arc::clone(&self.reading.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn streams(&self) -> Vec<StreamSnapshot> {
        self.roles.proxy.as_ref().and_then(|proxy| ask(proxy, proxy::Command::Streams)).unwrap_or_default()
    }

    fn proxy(&self, settings: &model::Proxy) -> admin::Proxy {
        let streams = self.streams();
        let count = |direction| streams.iter().filter(|stream| stream.direction == direction).count();
        admin::Proxy {
            domains: settings.domains.iter().map(|domain| domain.value.clone()).collect(),
            partners: settings.partners.len(),
            streams_in: count(Direction::Inward),
            streams_out: count(Direction::Outward),
            gateways: self.roles.connected.names(),
            queued: streams.iter().map(|stream| stream.queued).sum(),
        }
    }

    fn partners(&self) -> Vec<admin::Partner> {
        let reading = self.current();
        let Some(proxy) = reading.configuration().and_then(|configuration| configuration.proxy.as_ref())
        else {
            return Vec::new();
        };
        let streams = self.streams();
        let around = proxy::Around {
            identities: &self.tls.identities(),
            secret: None,
            in_process: false,
            drain: Duration::ZERO,
        };
        let settings = proxy::settings(proxy, &around);
        settings.partners.iter().map(|one| partner(one, &settings, &streams)).collect()
    }

    fn gateway(&self) -> Option<gateway_role::Snapshot> {
        ask(self.roles.gateway.as_ref()?, gateway::Command::Snapshot)
    }

    fn conversations(&self) -> Reply {
        let held =
            self.roles.gateway.as_ref().and_then(|gateway| ask(gateway, gateway::Command::Conversations));
        let Some(held) = held else {
            return Reply::Refused { reason: "no gateway runs here, which alone has conversations".into() };
        };
        let reading = self.current();
        let settings = reading.configuration().and_then(|configuration| configuration.gateway.as_ref());
        let mode = |domain: &str| {
            let domains = settings.into_iter().flat_map(|gateway| &gateway.domains);
            let ours = domains.into_iter().find(|ours| *ours.domain.value == *domain);
            ours.map_or("", |ours| ours.profile.value.as_str()).to_owned()
        };
        let conversation = |(state, queued): (ConversationState, usize)| admin::Conversation {
            mode: mode(state.pair.sip.domain().as_str()),
            xmpp: state.pair.xmpp.to_string(),
            sip: state.pair.sip.to_string(),
            phase: match state.phase {
                Phase::Calling => "calling",
                Phase::Open => "open",
            }
            .to_owned(),
            call: state.call,
            age: held.now.since(state.since).as_secs(),
            idle: held.now.since(state.last).as_secs(),
            waiting: state.waiting + queued,
            fallbacks: state.fallbacks.iter().map(ToString::to_string).collect(),
        };
        Reply::Conversations {
            conversations: held.conversations.into_iter().map(conversation).collect(),
            learned: held
                .learned
                .into_iter()
                .map(|(user, fallback)| admin::Learned { user, what: fallback.to_string() })
                .collect(),
        }
    }

    fn presence(&self, user: Option<&str>, wrong: bool) -> Reply {
        let user = user.map(|user| user.strip_prefix("sip:").unwrap_or(user).to_owned());
        let gateway = self.roles.gateway.as_ref();
        let watched =
            gateway.and_then(|gateway| ask(gateway, |asker| gateway::Command::Presence(user, asker)));
        let Some(watched) = watched else {
            return Reply::Refused { reason: "no gateway runs here, which alone knows presence".into() };
        };
        let seconds = |at: Moment| at.since(watched.now.moment).as_secs();
        let since = |date: Date| {
            let millis = watched.now.date.unix_millis().saturating_sub(date.unix_millis());
            u64::try_from(millis / 1000).unwrap_or(0)
        };
        let shape = |state: WatchState| {
            let (xmpp, sip) = (state.pair.xmpp.to_string(), state.pair.sip.to_string());
            let (watcher, watched) = match state.direction {
                WatchDirection::Outward => (xmpp, sip),
                WatchDirection::Inward => (sip, xmpp),
            };
            admin::Watch {
                watcher,
                watched,
                permission: state.authorisation.to_string(),
                dialogs: state.dialogs.into_iter().map(seconds).collect(),
                next: state.next.map(seconds),
                shown: state.shown,
                heard: state.heard.map(since),
                trouble: state.trouble,
                held: state.held,
                wrong: state.is_wrong,
            }
        };
        let watches = watched.watches.into_iter().filter(|state| state.is_wrong || !wrong);
        Reply::Presence { watches: watches.map(shape).collect() }
    }

    /// Returns what was seen; with `follow`, what crosses is seen for a while more closely.
    fn trace(&self, subject: &str, after: u64, follow: bool, bodies: bool) -> admin::Trace {
        let subject = Subject::parse(subject);
        if follow {
            let watched = if bodies { Bodies::Shown } else { Bodies::Hidden };
            if bodies {
                self.timeline.show_bodies(&subject, gateway::WATCH);
            }
            // A role that is gone has nothing to show.
            let gateway = self.roles.gateway.as_ref();
            gateway.map(|gateway| gateway.command_blocking(gateway::Command::Watch(watched)));
            let proxy = self.roles.proxy.as_ref();
            proxy.map(|proxy| proxy.command_blocking(proxy::Command::Watch(watched)));
            if after > 0 {
                self.timeline.wait(after, FOLLOWED);
            }
        }
        let found = self.timeline.find(&Question { subject, after, bodies });
        admin::Trace { events: found.events, last: found.last, has_gap: found.has_gap }
    }

    fn user(&self, address: &str) -> Reply {
        let reading = self.current();
        let settings = reading.configuration().and_then(|configuration| configuration.gateway.as_ref());
        let policy = self.roles.gateway.as_ref().and_then(|gateway| ask(gateway, gateway::Command::Policy));
        match (settings, policy) {
            (Some(settings), Some(policy)) => {
                crate::cli::user::answer(address, settings, &policy, "as the running gateway has it")
            }
            _ => Reply::Refused { reason: "no gateway runs here, which alone knows SIP users".into() },
        }
    }

    fn queue(&self) -> admin::Queue {
        let gateway = self.gateway().unwrap_or_default();
        admin::Queue {
            unsettled_to_xmpp: gateway.to_xmpp,
            unsettled_to_sip: gateway.to_sip,
            partners: waiting(&self.streams()),
            servers: gateway.paced.into_iter().map(queued_server).collect(),
        }
    }

    fn certificates(&self) -> Vec<admin::Certificate> {
        let today = net::clock::date().unix_millis();
        let certificate = |status: net::tls::IdentityStatus| admin::Certificate {
            name: status.name.0.to_string(),
            names: [status.names.dns, status.names.srv, status.names.xmpp_addr, status.names.uri].concat(),
            expires: status.not_after.to_string(),
            days_left: (status.not_after.unix_millis() - today).div_euclid(86_400_000),
        };
        self.tls.identities().into_iter().map(certificate).collect()
    }
}

fn stream(stream: StreamSnapshot) -> admin::Stream {
    let mut proofs: Vec<String> = stream.proved.iter().map(|(_, proof)| proof.to_string()).collect();
    proofs.dedup();
    let claimed = stream.remote.iter().map(|domain| format!("({domain}?)", domain = domain.as_str()));
    let proved: Vec<String> = stream.proved.iter().map(|(domain, _)| domain.as_str().to_owned()).collect();
    admin::Stream {
        connection: stream.connection.to_string(),
        direction: match stream.direction {
            Direction::Inward => admin::Direction::In,
            Direction::Outward => admin::Direction::Out,
        },
        partners: if proved.is_empty() { claimed.collect() } else { proved },
        local: stream.local.map(|domain| domain.as_str().to_owned()),
        proof: proofs.join(", "),
        tls: stream.tls,
        age: stream.age.as_secs(),
        stanzas: stream.stanzas,
        unacknowledged: stream.unacknowledged,
        queued: stream.queued,
        suspended: stream.suspended.map(|since| since.as_secs()),
    }
}

fn partner(partner: &Partner, settings: &Settings, streams: &[StreamSnapshot]) -> admin::Partner {
    let methods = partner.methods();
    let ways = [
        (methods.external, "certificate"),
        (methods.dialback_over_tls, "dialback over TLS"),
        (methods.dialback_in_clear, "dialback IN CLEAR"),
    ];
    let is_its = |stream: &&StreamSnapshot| {
        let domain = stream.remote.as_ref().and_then(|remote| settings.partner(remote));
        domain.is_some_and(|found| found.domain == partner.domain)
    };
    admin::Partner {
        domain: partner.domain.as_str().to_owned(),
        additional: partner.additional.iter().map(|domain| domain.as_str().to_owned()).collect(),
        kind: partner.kind.as_str().to_owned(),
        proofs: ways.iter().filter(|(may, _)| *may).map(|(_, way)| (*way).to_owned()).collect(),
        host: partner.fixed_host.clone(),
        streams: streams.iter().filter(is_its).count(),
        description: Some(partner.description.clone()).filter(|note| !note.is_empty()),
    }
}

fn waiting(streams: &[StreamSnapshot]) -> Vec<admin::QueuedPartner> {
    let waiting = streams.iter().filter(|stream| stream.queued > 0);
    let queued = |stream: &StreamSnapshot| admin::QueuedPartner {
        domain: stream.remote.as_ref().map(|domain| domain.as_str().to_owned()).unwrap_or_default(),
        stanzas: stream.queued,
    };
    waiting.map(queued).collect()
}

fn queued_server(state: PaceState) -> admin::QueuedServer {
    admin::QueuedServer {
        server: state.peer.to_string(),
        texts: state.waiting,
        presence: state.waiting_later,
        per_second: state.per_second,
    }
}

fn of_gateway(
    snapshot: gateway_role::Snapshot,
    configuration: Option<&Configuration>,
    losses: &Losses,
) -> admin::Gateway {
    let settings = configuration.and_then(|configuration| configuration.gateway.as_ref());
    let domains = settings.into_iter().flat_map(|gateway| &gateway.domains);
    let link = |(proxy, open): (String, bool)| admin::Link { proxy, open };
    admin::Gateway {
        domains: domains.map(|domain| domain.domain.value.clone()).collect(),
        links: snapshot.links.into_iter().map(link).collect(),
        unsettled_to_xmpp: snapshot.to_xmpp,
        unsettled_to_sip: snapshot.to_sip,
        losses: losses.counted(),
    }
}

/// Asks a role; one that is gone or does not answer in time has nothing to say.
fn ask<Command, Answer>(
    role: &Controls<Command>,
    question: impl FnOnce(SyncSender<Answer>) -> Command,
) -> Option<Answer> {
    let (asker, answer) = mpsc::sync_channel(1);
    role.command_blocking(question(asker)).ok()?;
    answer.recv_timeout(PATIENCE).ok()
}

/// How long whoever follows waits for news, before he asks again.
const FOLLOWED: Duration = Duration::from_secs(1);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
