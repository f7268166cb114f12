//! Everything that runs in a demonstration, started and ended together.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use net::throwaway::free_addresses;
use net::{Clock, TlsRegistry};

use super::Side;
use super::peers::{self, Running, Seen, Surroundings, Wish};
use super::place::{Place, Ports};
use crate::config;
use crate::roles::{self, House, Which};

/// What the demonstration is told.
#[derive(Debug)]
pub enum Happened {
    /// Something at the peer of a side.
    Peer(Side, Instant, Seen),
    /// A line was typed.
    Line(String),
    /// No more lines come.
    InputEnded,
    /// The system wants the end.
    Stop(&'static str),
    /// Proxy and gateway have ended.
    RolesEnded,
}

/// Everything that runs.
pub struct Stage {
    around: Surroundings,
    xmpp: Peer,
    sip: Peer,
    roles: Option<Roles>,
    tell: Sender<Happened>,
    told: Receiver<Happened>,
    // Dropped last: the others have files open in it.
    place: Place,
}

/// The server of one side.
enum Peer {
    Running(Running),
    Frozen(Running),
    Down,
}

struct Roles {
    stop: Box<dyn FnOnce(&str) + Send>,
    thread: JoinHandle<ExitCode>,
}

impl Stage {
    /// Starts everything.
    ///
    /// # Errors
    /// Says what cannot be started, and why.
    pub fn new(keep: Option<&Path>) -> Result<Self, String> {
        let (tell, told) = mpsc::channel();
        heed_signals(&tell)?;
        let place = Place::new(keep)?;
        let tls = TlsRegistry::load(place.certify()?)
            .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let (partner, pool) = (peers::bind(Side::Xmpp, any)?, peers::bind(Side::Sip, any)?);
        let others = [partner.local_address(), pool.local_address()];
        let (house, ports) = start_roles(&place, others)?;
        let roles = Roles { stop: Box::new(house.stopper()), thread: spawn_roles(house, tell.clone())? };
        let around = Surroundings {
            clock: Clock::start(),
            tls: Arc::new(tls),
            traced: Arc::new(AtomicBool::new(false)),
            ports,
            disk: Arc::default(),
        };
        let mut stage =
            Self { around, xmpp: Peer::Down, sip: Peer::Down, roles: Some(roles), tell, told, place };
        stage.xmpp = Peer::Running(stage.start(Side::Xmpp, partner)?);
        stage.sip = Peer::Running(stage.start(Side::Sip, pool)?);
        Ok(stage)
    }

    fn start(&self, side: Side, socket: net::Bound) -> Result<Running, String> {
        let tell = self.tell.clone();
        Running::start(side, socket, &self.around, move |seen| {
            // Nobody listens once the demonstration ends.
            let _ = tell.send(Happened::Peer(side, Instant::now(), seen));
        })
    }

    /// Returns who listens where.
    pub fn ports(&self) -> &Ports {
        &self.around.ports
    }

    /// Returns the directory.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Hears of every line of standard input from here on.
    ///
    /// # Errors
    /// The system has no thread for it.
    pub fn listen_to_input(&self) -> Result<(), String> {
        let tell = self.tell.clone();
        let read = move || {
            for line in std::io::stdin().lines() {
                // A line that is no text ends the input as the end of it does.
                let Ok(line) = line else { break };
                if tell.send(Happened::Line(line)).is_err() {
                    return;
                }
            }
            let _ = tell.send(Happened::InputEnded);
        };
        let named = thread::Builder::new().name("input".into());
        named.spawn(read).map(drop).map_err(|why| format!("the system has no thread for the input: {why}"))
    }

    /// Returns what happens next; none if nothing does until then.
    pub fn next(&self, until: Option<Instant>) -> Option<Happened> {
        // The stage itself holds a sender.
        let Some(until) = until else { return self.told.recv().ok() };
        self.told.recv_timeout(until.saturating_duration_since(Instant::now())).ok()
    }

    /// Has the peer of a side do something.
    ///
    /// # Errors
    /// It cannot; says why.
    pub fn wish(&mut self, side: Side, wish: Wish) -> Result<(), &'static str> {
        match self.peer(side) {
            Peer::Running(running) => {
                running.wish(wish);
                Ok(())
            }
            Peer::Frozen(_) => Err("stands still"),
            Peer::Down => Err("is down"),
        }
    }

    fn peer(&mut self, side: Side) -> &mut Peer {
        match side {
            Side::Xmpp => &mut self.xmpp,
            Side::Sip => &mut self.sip,
        }
    }

    /// Stops the peer of a side; says what became of it.
    pub fn take_down(&mut self, side: Side) -> &'static str {
        match std::mem::replace(self.peer(side), Peer::Down) {
            Peer::Running(running) | Peer::Frozen(running) => {
                running.stop();
                "is stopped"
            }
            Peer::Down => "is down already",
        }
    }

    /// Has the peer of a side stand still; says what became of it.
    pub fn freeze(&mut self, side: Side) -> &'static str {
        match std::mem::replace(self.peer(side), Peer::Down) {
            Peer::Running(running) => {
                running.wish(Wish::Freeze);
                *self.peer(side) = Peer::Frozen(running);
                "stands still: its connections stay, and it answers nothing"
            }
            Peer::Frozen(running) => {
                *self.peer(side) = Peer::Frozen(running);
                "stands still already"
            }
            Peer::Down => "is down",
        }
    }

    /// Has the peer of a side run, whatever it did before; says what became of it.
    ///
    /// # Errors
    /// Its address is taken, or the system has nothing to run it on.
    pub fn bring_up(&mut self, side: Side) -> Result<&'static str, String> {
        let address = match side {
            Side::Xmpp => self.around.ports.partner,
            Side::Sip => self.around.ports.pool,
        };
        let (running, words) = match std::mem::replace(self.peer(side), Peer::Down) {
            Peer::Running(running) => (running, "runs already"),
            Peer::Frozen(running) => {
                running.wish(Wish::Thaw);
                (running, "goes on")
            }
            Peer::Down => (self.start(side, peers::bind(side, address)?)?, "runs again"),
        };
        *self.peer(side) = Peer::Running(running);
        Ok(words)
    }

    /// Shows octets or does not, the other way than before; returns which.
    pub fn toggle_trace(&self) -> bool {
        !self.around.traced.fetch_xor(true, Ordering::Relaxed)
    }

    /// Ends everything: first proxy and gateway, then the peers that they spoke with.
    pub fn end(mut self) {
        if let Some(roles) = self.roles.take()
            && !roles.thread.is_finished()
        {
            (roles.stop)("the demonstration");
            // What is still on its way is not worth more than this here; the process ends with it.
            let patience = Instant::now() + PATIENCE;
            while let Some(happened) = self.next(Some(patience)) {
                if matches!(happened, Happened::RolesEnded) {
                    let _ = roles.thread.join();
                    break;
                }
            }
        }
        self.take_down(Side::Xmpp);
        self.take_down(Side::Sip);
    }
}

/// How long proxy and gateway may take to end.
const PATIENCE: Duration = Duration::from_secs(3);

/// Writes the configuration and starts what it says. A port that was free may be taken the moment after:
/// then others are tried.
fn start_roles(place: &Place, [partner, pool]: [SocketAddr; 2]) -> Result<(House, Ports), String> {
    let mut tries_left = 5;
    loop {
        let free = free_addresses(Ipv4Addr::LOCALHOST);
        let [proxy, gateway] = free.map_err(|why| format!("no free port on 127.0.0.1: {why}"))?;
        let ports = Ports { partner, pool, proxy, gateway };
        place.configure(&ports)?;
        let reading = config::load(&place.configuration())?;
        if !reading.is_right() {
            return Err(format!("its own configuration is wrong:\n{}", reading.render(config::Paint::Plain)));
        }
        match roles::start(&Arc::new(reading), Which::All) {
            Ok(house) => return Ok((house, ports)),
            Err(reasons) => {
                let reasons = reasons.join("\n");
                tries_left -= 1;
                if tries_left == 0 || !reasons.contains("address in use") {
                    return Err(reasons);
                }
            }
        }
    }
}

fn spawn_roles(house: House, tell: Sender<Happened>) -> Result<JoinHandle<ExitCode>, String> {
    let live = move || {
        let code = house.live();
        let _ = tell.send(Happened::RolesEnded);
        code
    };
    let thread = thread::Builder::new().name("roles".into()).spawn(live);
    thread.map_err(|why| format!("the system has no thread for the roles: {why}"))
}

/// Every signal that would end the process ends the demonstration in good order.
fn heed_signals(tell: &Sender<Happened>) -> Result<(), String> {
    let failed = |why: std::io::Error| format!("the system does not tell us of signals: {why}");
    let stop = tell.clone();
    net::runtime::on_thread("signals", move || async move {
        while let Ok(name) = net::runtime::stop_signal().await {
            if stop.send(Happened::Stop(name)).is_err() {
                return;
            }
        }
    })
    .map_err(failed)?;
    let hang_up = tell.clone();
    net::runtime::on_thread("hang-up", move || async move {
        net::runtime::on_reload_signal(|| drop(hang_up.send(Happened::Stop("SIGHUP")))).await
    })
    .map(drop)
    .map_err(failed)
}
