//! Watches that an earlier process left, taken over by a gateway in this process, without sockets: whether a million cost
//! each what a thousand do.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use clock_types::{Ids, Moment, Now};
use gateway_role::{
    AddressRange, Authorisation, Dialect, Gateway, KeptDialog, KeptWatch, Pair, Peers, ProxyLink, Recovered,
    Settings, SipDomain, WatchDirection,
};
use net_types::{ListenerId, Remote, Trust};
use sip_proto::endpoint::{self, FixedHop, Listener, Route, Transport};
use xmpp_types::jid::DomainName;

use crate::pairs::pair;
use crate::process::{resident_of, used};
use crate::xmpp::jid;

/// What so many watches cost.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// How many there are, both ways together.
    pub count: u32,
    /// Resident memory for each, in octets.
    pub memory: f64,
    /// Microseconds of a processor for each, from what the store said until the gateway is ready.
    pub cost: f64,
}

/// What it is called.
pub const NAME: &str = "watches resumed in process";

/// Measures one size after the other.
pub fn measure(is_quick: bool) -> Result<Vec<Scale>, String> {
    let (counts, rest): (&[u32], _) =
        if is_quick { (&[1000], Duration::from_millis(100)) } else { (&SIZES, Duration::from_secs(15)) };
    counts.iter().map(|count| of(*count, rest)).collect()
}

const SIZES: [u32; 4] = [1000, 10_000, 100_000, 1_000_000];

fn of(count: u32, rest: Duration) -> Result<Scale, String> {
    let now = Now { moment: Moment::ZERO, date: net::clock::date() };
    let own = std::process::id();
    // What is built once at the first is not of the others; what the records take is let go before it is looked at.
    let few = Gateway::new(settings()?, recovered(10, now)?, Ids::counting(), now);
    settle(rest);
    let before = resident_of(own);
    let recovered = recovered(count, now)?;
    let began = used(own).unwrap_or_default();
    let gateway = Gateway::new(settings()?, recovered, Ids::counting(), now);
    let took = used(own).unwrap_or_default().since(began);
    settle(rest);
    let grown = resident_of(own).saturating_sub(before);
    drop((few, gateway));
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let grown = grown as f64;
    Ok(Scale { count, memory: grown / f64::from(count), cost: took.sum() * 1e6 / f64::from(count) })
}

/// Gives the allocator the time, and the occasion, to let go of what is free.
fn settle(rest: Duration) {
    for _ in 0..20 {
        sleep(rest / 20);
        drop(std::hint::black_box(vec![0_u8; 1 << 16]));
    }
}

fn recovered(count: u32, now: Now) -> Result<Recovered, String> {
    let (xmpp, sip) = (domain("partner.example")?, domain("tls.example")?);
    let watches = (0..count).map(|number| {
        let (watcher, watched) = pair(number / 2);
        let (direction, pair) = if number.is_multiple_of(2) {
            (WatchDirection::Outward, Pair::new(&jid(watcher, &xmpp), &jid(watched, &sip)))
        } else {
            (WatchDirection::Inward, Pair::new(&jid(watched, &xmpp), &jid(watcher, &sip)))
        };
        let dialog = KeptDialog {
            tag: format!("tag{number:024x}"),
            call_id: format!("call{number:024x}"),
            local: format!("<sip:{}>;tag=tag{number:024x}", pair.xmpp),
            remote: format!("<sip:{}>;tag={number:x}", pair.sip),
            local_seq: 1,
            remote_seq: Some(1),
            target: format!("sip:{}@10.0.0.9:5061;transport=tls", pair.sip.local().unwrap_or_default()),
            routes: Vec::new(),
            secure: false,
            event: "presence".to_owned(),
            authorised: true,
            expires: now.date.plus(Duration::from_secs(3600)),
        };
        let (authorisation, shown) = (Authorisation::Granted, Vec::new());
        KeptWatch { direction, pair: Arc::new(pair), authorisation, shown, dialogs: vec![dialog] }
    });
    Ok(Recovered { watches: watches.collect(), ..Recovered::default() })
}

fn settings() -> Result<Settings, String> {
    let peer = SocketAddr::from(([10, 0, 0, 9], 5061));
    let host = sip_types::Host::parse("10.0.0.2").ok_or("it is no host")?;
    let listener = Listener { id: ListenerId(0), transport: Transport::Tls, host, port: 5061 };
    let mut settings = Settings::new(endpoint::Settings::new(vec![listener], None, Trust("none".into())));
    settings.proxies =
        vec![ProxyLink { name: "proxy".to_owned(), remote: Remote::InProcess, host: None, tls: None }];
    settings.domains = vec![SipDomain {
        name: domain("tls.example")?,
        route: Route::fixed(FixedHop::at(Transport::Tls, peer.ip(), peer.port())),
        peers: Peers { names: Vec::new(), addresses: vec![AddressRange::one(peer.ip())] },
        dialect: Dialect::PageMode,
        to_sip: translate::message::ToSipOptions::default(),
    }];
    Ok(settings)
}

fn domain(name: &str) -> Result<DomainName, String> {
    DomainName::parse(name).map_err(|why| why.to_string())
}
