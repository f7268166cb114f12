//! Processes that are measured: started, watched through `/proc`, and ended by their id.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A process that ends with this value.
pub struct Process {
    /// What it is, for people.
    pub name: &'static str,
    child: Child,
    command: Command,
}

impl Process {
    /// Starts it; what it has to say goes to a file in `home`.
    pub fn start(name: &'static str, command: &mut Command, home: &Path) -> Result<Self, String> {
        let log = fs::File::create(home.join(format!("{name}.log"))).map_err(|why| why.to_string())?;
        let error = log.try_clone().map_err(|why| why.to_string())?;
        let child = command.stdin(Stdio::null()).stdout(log).stderr(error).spawn();
        let child = child.map_err(|why| format!("{name}: {why}"))?;
        running().push(child.id());
        let mut again = Command::new(command.get_program());
        again.args(command.get_args());
        Ok(Self { name, child, command: again })
    }

    /// Kills it, so that nothing is left but what it wrote, and starts it anew.
    pub fn crash(&mut self, home: &Path) -> Result<(), String> {
        running().retain(|pid| *pid != self.child.id());
        self.child.kill().and_then(|()| self.child.wait()).map_err(|why| why.to_string())?;
        let mut command = std::mem::replace(&mut self.command, Command::new(""));
        *self = Self::start(self.name, &mut command, home)?;
        Ok(())
    }

    /// Returns its processes: itself and its children.
    pub fn pids(&self) -> Vec<u32> {
        let own = self.child.id();
        let mut pids = vec![own];
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            if stat(pid).is_some_and(|fields| fields.get(1).and_then(|ppid| ppid.parse().ok()) == Some(own)) {
                pids.push(pid);
            }
        }
        pids
    }

    /// Returns what it has used of processors so far.
    pub fn used(&self) -> Used {
        self.pids().into_iter().filter_map(used).fold(Used::default(), Used::plus)
    }

    /// Returns the most memory that it has held, in octets; of several processes the sum of what each has
    /// to itself at present.
    pub fn memory(&self) -> u64 {
        match self.pids().as_slice() {
            [one] => kilobytes(&format!("/proc/{one}/status"), "VmHWM:"),
            many => many.iter().map(|pid| kilobytes(&format!("/proc/{pid}/smaps_rollup"), "Pss:")).sum(),
        }
    }

    /// Returns the memory that it holds at present, in octets.
    pub fn resident(&self) -> u64 {
        resident_of(self.child.id())
    }

    /// Waits until it listens on `address`.
    pub fn await_listening(&mut self, address: SocketAddr) -> Result<(), String> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_ok() {
                return Ok(());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("{} ended by itself: {status}", self.name));
            }
            if Instant::now() > deadline {
                return Err(format!("{} does not listen on {address}", self.name));
            }
            sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // In good order first.
        running().retain(|pid| *pid != self.child.id());
        terminate(self.child.id());
        let deadline = Instant::now() + Duration::from_secs(5);
        while Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Ends every process that still runs, because this one is about to end.
pub fn end_all() {
    for pid in running().drain(..) {
        terminate(pid);
    }
}

fn terminate(pid: u32) {
    // The standard library has no other signal than SIGKILL.
    let _ = Command::new("kill").args(["-TERM", &pid.to_string()]).status();
}

/// The processes that were started and not ended.
fn running() -> MutexGuard<'static, Vec<u32>> {
    static RUNNING: Mutex<Vec<u32>> = Mutex::new(Vec::new());
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Seconds of processors.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Used {
    /// In the program.
    pub user: f64,
    /// In the kernel on its behalf.
    pub system: f64,
}

impl Used {
    fn plus(self, other: Self) -> Self {
        Self { user: self.user + other.user, system: self.system + other.system }
    }

    /// Returns what was used since `before`.
    pub fn since(self, before: Self) -> Self {
        Self { user: self.user - before.user, system: self.system - before.system }
    }

    /// Returns both together.
    pub fn sum(self) -> f64 {
        self.user + self.system
    }
}

/// Returns the memory that a process holds at present, in octets.
pub fn resident_of(pid: u32) -> u64 {
    kilobytes(&format!("/proc/{pid}/status"), "VmRSS:")
}

/// Returns what a process has used so far.
pub fn used(pid: u32) -> Option<Used> {
    let fields = stat(pid)?;
    let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
    // Fields 14 and 15 of proc(5), in USER_HZ, which is 100 on every Linux.
    Some(Used { user: ticks(11)? / 100.0, system: ticks(12)? / 100.0 })
}

/// Returns the fields of `/proc/PID/stat` behind the name, which may hold anything.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(") ")?;
    Some(rest.split(' ').map(str::to_owned).collect())
}

fn kilobytes(file: &str, key: &str) -> u64 {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) * 1024
}

/// Returns ports of loopback that were free a moment ago, each for TCP and UDP.
pub fn free_ports<const N: usize>() -> Result<[u16; N], String> {
    let mut held = Vec::new();
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(|why| why.to_string())?;
        *port = listener.local_addr().map_err(|why| why.to_string())?.port();
        held.push(listener);
    }
    Ok(ports)
}
