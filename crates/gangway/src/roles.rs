//! Assembles the roles of a configuration and looks after them until they are told to end.
//!
//! ```text
//!   signals, admin socket ──▶ one channel ──▶ this thread ──▶ Controls of each role
//!                                  ▲                              each role: a thread of its own with
//!                                  └────────── a role has ended ──  its driver (see `net`)
//! ```

mod answers;
pub(crate) mod gateway;
pub(crate) mod keeper;
mod losses;
mod notices;
pub(crate) mod probing;
pub(crate) mod proxy;
mod restart;
mod timeline;
mod tls;

use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use net::{Bound, Clock, Controls, DnsSettings, Driver, Ended, Resolver, Role, World};

use crate::config::{self, Reading};
use crate::log;

/// Which roles to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// All that the file has.
    All,
    /// `[proxy]` alone.
    Proxy,
    /// `[gateway]` alone.
    Gateway,
}

/// What this thread is told.
enum Told {
    /// End in good order; says who wants it.
    Stop(String),
    /// Read the file and the certificates again; whoever asks hears what came of it.
    Reload(Option<mpsc::SyncSender<Result<String, String>>>),
    /// A role is gone.
    Ended(&'static str),
}

/// One running role.
struct Running {
    name: &'static str,
    stop: Box<dyn Fn(Duration) + Send>,
    thread: JoinHandle<Ended>,
}

/// Starts the roles and returns when they have ended.
pub fn run(reading: Reading, which: Which) -> ExitCode {
    match start(&Arc::new(reading), which).and_then(House::heed_signals) {
        Ok(house) => house.live(),
        Err(reasons) => {
            for reason in reasons {
                eprintln!("gangway: {reason}");
            }
            ExitCode::FAILURE
        }
    }
}

/// All that runs.
pub(crate) struct House {
    reading: Shared,
    tell: Sender<Told>,
    told: Receiver<Told>,
    roles: Vec<Running>,
    site: Site,
    in_process: bool,
    proxy: Option<Controls<proxy::Command>>,
    gateway: Option<Controls<gateway::Command>>,
    // Dropped last: whoever asks hears until the end.
    _admin: admin::Server,
}

/// The configuration in effect, which a reload replaces.
type Shared = Arc<RwLock<Arc<Reading>>>;

/// Starts the roles. Signals are still for whoever starts them.
pub(crate) fn start(reading: &Arc<Reading>, which: Which) -> Result<House, Vec<String>> {
    let one = |why: String| vec![why];
    let configuration = reading.configuration().expect("only a right file is started");
    let with_proxy = configuration.proxy.as_ref().filter(|_| which != Which::Gateway);
    let with_gateway = configuration.gateway.as_ref().filter(|_| which != Which::Proxy);
    absent(reading, which).map_or(Ok(()), |why| Err(one(why)))?;
    let volume = log::start(&configuration.log);
    let spec = tls::spec(reading, configuration);
    let tls = net::TlsRegistry::load(spec)
        .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    let mut site = Site {
        reading: Arc::clone(reading),
        clock: Clock::start(),
        tls: Arc::new(tls),
        meeting: None,
        stop_within: if with_proxy.is_some() && with_gateway.is_some() { STOP_HALF } else { STOP_WHOLE },
        timeline: timeline::Timeline::default(),
        losses: losses::Losses::default(),
    };
    let (tell, told) = mpsc::channel();

    // Everything that can be wrong is tried before anything runs.
    let in_process = with_proxy.is_some() && with_gateway.is_some_and(|gateway| gateway.links.is_empty());
    let mut controls = answers::Roles::default();
    let proxy_parts = with_proxy
        .map(|proxy| site.prepare_proxy(proxy, in_process, &controls.connected))
        .transpose()
        .map_err(one)?;
    let gateway_parts = with_gateway.map(|gateway| site.prepare_gateway(gateway)).transpose().map_err(one)?;
    let mut roles = Vec::new();
    if let Some((role, world)) = gateway_parts {
        let (control, running) = spawn("gateway", role, world, &tell).map_err(one)?;
        controls.gateway = Some(control);
        roles.push(running);
    }
    if let Some((role, world)) = proxy_parts {
        let (control, running) = spawn("proxy", role, world, &tell).map_err(one)?;
        controls.proxy = Some(control);
        roles.push(running);
    }
    let (proxy, gateway) = (controls.proxy.clone(), controls.gateway.clone());
    let shared: Shared = Arc::new(RwLock::new(Arc::clone(reading)));
    let desk = answers::Desk {
        reading: Arc::clone(&shared),
        tls: Arc::clone(&site.tls),
        roles: controls,
        timeline: site.timeline.clone(),
        losses: site.losses.clone(),
        volume,
        started: Instant::now(),
        tell: tell.clone(),
    };
    let socket = &configuration.admin_socket.value;
    let admin =
        admin::serve(socket, move |request| desk.answer(request)).map_err(|why| one(why.to_string()))?;
    Ok(House { reading: shared, tell, told, roles, site, in_process, proxy, gateway, _admin: admin })
}

fn absent(reading: &Reading, which: Which) -> Option<String> {
    let configuration = reading.configuration()?;
    let missing = match which {
        Which::Proxy if configuration.proxy.is_none() => "[proxy]",
        Which::Gateway if configuration.gateway.is_none() => "[gateway]",
        Which::All | Which::Proxy | Which::Gateway => return None,
    };
    Some(format!("{}: there is no `{missing}` to start", reading.file().display()))
}

/// What the roles of one process have in common.
struct Site {
    reading: Arc<Reading>,
    clock: Clock,
    tls: Arc<net::TlsRegistry>,
    /// Where the gateway finds the proxy of the same process.
    meeting: Option<net::InProcessDialler>,
    stop_within: Duration,
    /// What the roles saw lately.
    timeline: timeline::Timeline,
    losses: losses::Losses,
}

impl Site {
    fn prepare_proxy(
        &mut self,
        proxy: &config::model::Proxy,
        in_process: bool,
        connected: &answers::Connected,
    ) -> Result<(proxy::Driven, World<proxy::Driven>), String> {
        let settings = self.proxy_settings(proxy, in_process, &self.reading, &self.tls.identities())?;
        let listeners = bind(proxy::listeners(&self.reading, proxy, &settings))?;
        let (dialler, listener) = net::in_process::meeting(proxy::in_process_id(proxy));
        self.meeting = in_process.then_some(dialler);
        let role = proxy_role::Proxy::new(settings, clock_types::Ids::random(net::clock::seed()));
        let (connected, timeline) = (connected.clone(), self.timeline.clone());
        let world = World {
            clock: self.clock,
            settings: net::Settings {
                write_buffer: gateway::size(proxy.limits.send_buffer),
                ..net::Settings::default()
            },
            listeners,
            in_process: in_process.then_some(listener),
            to_in_process: None,
            tls: Arc::clone(&self.tls),
            resolver: resolver(&proxy.resolver, anchors(proxy))?,
            recorder: Box::new(net::Forgetful),
            notices: Box::new(move |notice| {
                connected.hear(&notice);
                notices::of_proxy(&notice);
                timeline.push(notice);
            }),
            incidents: Arc::new(|incident| notices::of_net("proxy", &incident)),
        };
        Ok((proxy::Driven::new(role), world))
    }

    fn proxy_settings(
        &self,
        proxy: &config::model::Proxy,
        in_process: bool,
        reading: &Reading,
        identities: &[net::tls::IdentityStatus],
    ) -> Result<proxy_role::Settings, String> {
        let around = proxy::Around {
            identities,
            secret: secret_of(proxy, reading)?,
            in_process,
            drain: self.stop_within,
        };
        let settings = proxy::settings(proxy, &around);
        // `check` has said all that it knows; what it did not is not to be started on either.
        match settings.check().into_iter().find(|said| said.severity == proxy_role::Severity::Error) {
            Some(said) => Err(format!("{} [proxy]: {said}", reading.file().display())),
            None => Ok(settings),
        }
    }

    fn prepare_gateway(
        &mut self,
        gateway: &config::model::Gateway,
    ) -> Result<(gateway::Driven, World<gateway::Driven>), String> {
        let mut settings = gateway::settings(gateway, self.stop_within)?;
        settings.proxies = gateway::proxies(&self.reading, gateway)?;
        let listeners = bind(gateway::listeners(&self.reading, gateway))?;
        let path = &gateway.store.value;
        if let Some(above) = path.parent() {
            // If this is not to be, opening says why.
            let _ = std::fs::create_dir_all(above);
        }
        let (store, recovered) = store::Store::open(path)
            .map_err(|why| format!("{} [gateway] store: {why}", self.reading.place(&gateway.store.span)))?;
        let unsettled = recovered.unsettled.len();
        if unsettled > 0 {
            tracing::info!(unsettled, "messages of an earlier run are still to be delivered or reported");
        }
        let ids = clock_types::Ids::random(net::clock::seed());
        let role = gateway_role::Gateway::new(settings, recovered, ids, self.clock.now());
        let (timeline, losses) = (self.timeline.clone(), self.losses.clone());
        let world = World {
            clock: self.clock,
            settings: net::Settings {
                write_buffer: gateway::size(gateway.limits.send_buffer),
                ..net::Settings::default()
            },
            listeners,
            in_process: None,
            to_in_process: self.meeting.take(),
            tls: Arc::clone(&self.tls),
            resolver: resolver(&gateway.resolver, net::Anchors::Root)?,
            recorder: Box::new(keeper::Keeper::new(store)),
            notices: Box::new(move |notice| {
                notices::of_gateway(&notice);
                losses.hear(&notice);
                timeline.push(notice);
            }),
            incidents: Arc::new(|incident| notices::of_net("gateway", &incident)),
        };
        Ok((gateway::Driven(role), world))
    }
}

/// Returns what the file holds that `dialback-secret-file` names.
fn secret_of(proxy: &config::model::Proxy, reading: &Reading) -> Result<Option<String>, String> {
    let Some(file) = &proxy.dialback_secret_file else { return Ok(None) };
    match std::fs::read_to_string(&file.value) {
        Ok(secret) => Ok(Some(secret.trim().to_owned())),
        Err(why) => Err(format!("{} [proxy] dialback-secret-file: {why}", reading.place(&file.span))),
    }
}

fn bind(specs: Vec<net::ListenerSpec>) -> Result<Vec<Bound>, String> {
    specs.into_iter().map(|spec| Bound::bind(spec).map_err(|why| why.to_string())).collect()
}

/// Returns what DNSSEC begins with.
fn anchors(proxy: &config::model::Proxy) -> net::Anchors {
    let file = proxy.dnssec_anchors.as_ref();
    file.map_or(net::Anchors::Root, |file| net::Anchors::File(file.value.clone()))
}

fn resolver(servers: &[std::net::SocketAddr], anchors: net::Anchors) -> Result<Resolver, String> {
    let settings = DnsSettings { servers: servers.to_vec(), anchors, ..DnsSettings::default() };
    Resolver::new(&settings)
        .map_err(|why| format!("the DNS cannot be asked: {why}; write `resolver = [\"ADDRESS\"]`"))
}

/// Runs a role on a thread of its own.
fn spawn<R>(
    name: &'static str,
    role: R,
    world: World<R>,
    tell: &Sender<Told>,
) -> Result<(Controls<R::Command>, Running), String>
where
    R: Role + Send + 'static,
    R::Command: Send + 'static,
    R::Notice: 'static,
    R::Record: Send + 'static,
    R::Stored: Send + 'static,
{
    let (driver, controls) = Driver::new(role, world);
    let end = Farewell { name, tell: tell.clone() };
    let thread = net::runtime::on_thread(name, move || async move {
        let _end = end;
        driver.run().await
    });
    let thread = thread.map_err(|why| format!("the system has no thread for the {name}: {why}"))?;
    let stopper = controls.clone();
    Ok((controls, Running { name, stop: Box::new(move |patience| stopper.stop(patience)), thread }))
}

/// Tells that a role is gone, however it went.
struct Farewell {
    name: &'static str,
    tell: Sender<Told>,
}

impl Drop for Farewell {
    fn drop(&mut self) {
        // Nobody listens once the process ends.
        let _ = self.tell.send(Told::Ended(self.name));
    }
}

fn signals(tell: &Sender<Told>) -> std::io::Result<()> {
    let stop = tell.clone();
    net::runtime::on_thread("signals", move || async move {
        while let Ok(name) = net::runtime::stop_signal().await {
            if stop.send(Told::Stop(name.to_owned())).is_err() {
                return;
            }
        }
    })?;
    let reload = tell.clone();
    net::runtime::on_thread("reload", move || async move {
        let ended = net::runtime::on_reload_signal(|| drop(reload.send(Told::Reload(None)))).await;
        if let Err(why) = ended {
            tracing::warn!(%why, "SIGHUP is not heard; use `gangway reload`");
        }
    })?;
    Ok(())
}

impl House {
    /// Ends in good order at SIGTERM and SIGINT, and reads the file again at SIGHUP.
    fn heed_signals(self) -> Result<Self, Vec<String>> {
        signals(&self.tell).map_err(|why| vec![format!("the system does not tell us of signals: {why}")])?;
        Ok(self)
    }

    /// Returns what ends it in good order, from any thread.
    pub(crate) fn stopper(&self) -> impl FnOnce(&str) + Send + use<> {
        let tell = self.tell.clone();
        // It may have ended by itself.
        move |who| drop(tell.send(Told::Stop(who.to_owned())))
    }

    /// Looks after the roles until they have ended.
    pub(crate) fn live(self) -> ExitCode {
        let names: Vec<&str> = self.roles.iter().map(|role| role.name).collect();
        tracing::info!(version = env!("CARGO_PKG_VERSION"), "running: {}", names.join(", "));
        let mut code = ExitCode::SUCCESS;
        let mut gone = None;
        while let Ok(told) = self.told.recv() {
            match told {
                Told::Stop(who) => {
                    tracing::info!("{who}: ending in good order");
                    break;
                }
                Told::Reload(asker) => self.reload(asker),
                Told::Ended(name) => {
                    tracing::error!("the {name} has ended by itself; ending");
                    (code, gone) = (ExitCode::FAILURE, Some(name));
                    break;
                }
            }
        }
        self.end(gone, code)
    }

    fn reload(&self, asker: Option<mpsc::SyncSender<Result<String, String>>>) {
        let file = self.current().file().to_owned();
        let result = self.take_over(&file);
        match &result {
            Ok(note) => tracing::info!("{note}"),
            Err(why) => tracing::error!("the configuration in effect stays: {why}"),
        }
        if let Some(asker) = asker {
            // Whoever asked may have gone away.
            let _ = asker.try_send(result);
        }
    }

    fn current(&self) -> Arc<Reading> {
        Arc::clone(&self.reading.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn take_over(&self, file: &std::path::Path) -> Result<String, String> {
        let reading = config::load(file)?;
        let Some(configuration) = reading.configuration() else {
            return Err(format!(
                "{} has mistakes:\n{}",
                file.display(),
                reading.render(config::Paint::Plain)
            ));
        };
        let lines = |errors: Vec<net::tls::LoadError>| {
            errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        };
        if configuration.proxy.is_none() && self.proxy.is_some() {
            return Err("`[proxy]` is gone from the file; a role is ended by a restart".into());
        }
        // Tried first, so that nothing is in effect when something is wrong.
        let spec = tls::spec(&reading, configuration);
        let identities = net::TlsRegistry::load(spec.clone()).map_err(lines)?.identities();
        let settings = match (&configuration.proxy, &self.proxy) {
            (Some(settings), Some(proxy)) => {
                Some((self.site.proxy_settings(settings, self.in_process, &reading, &identities)?, proxy))
            }
            (None, _) | (_, None) => None,
        };
        let of_gateway = match (&configuration.gateway, &self.gateway) {
            (Some(settings), Some(gateway)) => {
                Some((gateway::settings(settings, self.site.stop_within)?, gateway))
            }
            (None, _) | (_, None) => None,
        };
        self.site.tls.replace(spec).map_err(lines)?;
        if let Some((settings, proxy)) = settings {
            // A proxy that is gone has told so.
            let _ = proxy.command_blocking(proxy::Command::Reload(Box::new(settings)));
        }
        if let Some((settings, gateway)) = of_gateway {
            let _ = gateway.command_blocking(gateway::Command::Reload(Box::new(settings)));
        }
        let running = restart::Roles { proxy: self.proxy.is_some(), gateway: self.gateway.is_some() };
        let started = self.site.reading.configuration();
        let kept = started.map(|started| restart::wanted_by(started, configuration, running));
        let kept = kept.unwrap_or_default();
        *self.reading.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(reading);
        Ok(if kept.is_empty() {
            "read again: all of it is in effect".to_owned()
        } else {
            format!("read again: in effect, but for {}: that needs a restart", kept.join(", "))
        })
    }

    /// Ends one role after the other, those first that others still carry for.
    fn end(self, gone: Option<&str>, code: ExitCode) -> ExitCode {
        let patience = if self.roles.len() > 1 { STOP_HALF } else { STOP_WHOLE } + STOP_SLACK;
        let mut late = false;
        for role in self.roles {
            if gone != Some(role.name) {
                (role.stop)(patience);
                wait(&self.told, role.name);
            }
            match role.thread.join() {
                Ok(Ended::InGoodOrder) => tracing::info!("the {} has ended", role.name),
                Ok(Ended::DeadlinePassed) => {
                    late = true;
                    tracing::warn!("the {} was not done in time; what it holds on disk is kept", role.name);
                }
                Err(_) => late = true,
            }
        }
        if late { ExitCode::FAILURE } else { code }
    }
}

/// Waits until a role is gone; a second wish to end is meant.
fn wait(told: &Receiver<Told>, name: &str) {
    loop {
        match told.recv_timeout(STOP_WHOLE + STOP_SLACK + Duration::from_secs(10)) {
            Ok(Told::Ended(ended)) if ended == name => return,
            Ok(Told::Stop(who)) => {
                tracing::warn!("{who} again: ending at once");
                std::process::exit(BROKEN.into());
            }
            Ok(Told::Ended(_) | Told::Reload(_)) => {}
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// How long a role may take to end when it is alone: the process ends within 30 s.
const STOP_WHOLE: Duration = Duration::from_secs(20);
/// How long each of two may take.
const STOP_HALF: Duration = Duration::from_secs(11);
/// What a driver gives a role beyond that, before it ends without it.
const STOP_SLACK: Duration = Duration::from_secs(2);

/// The exit code of a process that ended in the middle.
pub(crate) const BROKEN: u8 = 70;
