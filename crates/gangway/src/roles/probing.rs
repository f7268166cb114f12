//! The test of a partner, driven as a role of its own.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use clock_types::{Ids, Moment, Now};
use net::{Clock, Driver, Effect, Role, World};
use net_types::Event;
use proxy_role::{Finding, Probe, ProbeOutput, Verdict};
use xmpp_types::jid::DomainName;

use super::{Which, absent, anchors, proxy, resolver, secret_of, tls};
use crate::config::Reading;

/// Tries to reach `remote` as the proxy of this configuration would, and tells each stage as it is over.
///
/// # Errors
/// The test cannot begin, in words.
pub fn probe(
    reading: &Reading,
    remote: DomainName,
    local: Option<DomainName>,
    mut tell: impl FnMut(&Finding) + Send + 'static,
) -> Result<Verdict, String> {
    absent(reading, Which::Proxy).map_or(Ok(()), Err)?;
    let configuration = reading.configuration().ok_or("the configuration has mistakes")?;
    let proxy = configuration.proxy.as_ref().ok_or("there is no [proxy]")?;
    let registry = net::TlsRegistry::load(tls::spec(reading, configuration))
        .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;
    let around = proxy::Around {
        identities: &registry.identities(),
        secret: secret_of(proxy, reading)?,
        in_process: true,
        drain: Duration::from_secs(1),
    };
    let settings = proxy::settings(proxy, &around);
    let clock = Clock::start();
    let ids = Ids::random(net::clock::seed());
    let role = Probing { probe: Probe::new(settings, remote, local, ids, clock.now()), stop: Stop::NotYet };
    let (verdicts, verdict) = mpsc::channel();
    let world = World {
        clock,
        settings: net::Settings { linger: Duration::from_secs(1), ..net::Settings::default() },
        listeners: Vec::new(),
        in_process: None,
        to_in_process: None,
        tls: Arc::new(registry),
        resolver: resolver(&proxy.resolver, anchors(proxy))?,
        recorder: Box::new(net::Forgetful),
        notices: Box::new(move |notice| match notice {
            Said::Finding(finding) => tell(&finding),
            // It is waited for below.
            Said::Verdict(verdict) => drop(verdicts.send(verdict)),
        }),
        incidents: Arc::new(|_| {}),
    };
    let (driver, _controls) = Driver::new(role, world);
    net::runtime::block_on(driver.run()).map_err(|why| format!("the system has no event loop: {why}"))?;
    verdict.try_recv().map_err(|_| "the test ended without a verdict".to_owned())
}

/// The probe as its driver sees it.
struct Probing {
    probe: Probe,
    stop: Stop,
}

/// The driver wants to hear once that the role is done.
#[derive(Clone, Copy)]
enum Stop {
    NotYet,
    Due,
    Said,
}

/// What it has to tell.
enum Said {
    Finding(Finding),
    Verdict(Verdict),
}

impl Role for Probing {
    type Command = ();
    type Notice = Said;
    type Record = ();
    type Stored = ();

    fn handle_event(&mut self, event: Event, now: Now) {
        self.probe.handle_event(event, now);
    }

    fn handle_command(&mut self, (): (), _now: Now) {}

    fn handle_stored(&mut self, (): (), _now: Now) {}

    fn handle_stop(&mut self, _now: Now) {}

    fn handle_timeout(&mut self, now: Now) {
        self.probe.handle_timeout(now);
    }

    fn poll_timeout(&self) -> Option<Moment> {
        self.probe.poll_timeout()
    }

    fn poll_output(&mut self) -> Option<Effect<Said, ()>> {
        match self.probe.poll_output() {
            Some(ProbeOutput::Order(order)) => Some(Effect::Order(order)),
            Some(ProbeOutput::Finding(finding)) => Some(Effect::Notice(Said::Finding(finding))),
            Some(ProbeOutput::Verdict(verdict)) => {
                self.stop = Stop::Due;
                Some(Effect::Notice(Said::Verdict(verdict)))
            }
            None => match self.stop {
                Stop::NotYet | Stop::Said => None,
                Stop::Due => {
                    self.stop = Stop::Said;
                    Some(Effect::Stopped)
                }
            },
        }
    }
}
