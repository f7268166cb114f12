//! The program in a directory of its own, for every test that starts it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use admin::{Reply, Request, Status, ask};
use net::throwaway::Authority;

/// A directory that goes with the test. Its path is short, because a socket's must be.
pub struct Place(PathBuf);

impl Place {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("gangway-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let directory = std::env::temp_dir().join(name);
        // Perhaps a process of the same number left it.
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).expect("the directory can be made");
        Self(directory)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("the file can be written");
    }

    /// Makes an authority; whoever trusts it names `ca.pem`.
    pub fn authority(&self) -> Authority {
        let authority = Authority::new("Throw-away CA").expect("an authority is made");
        self.write("ca.pem", authority.pem());
        authority
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gangway"));
        command.args(arguments).current_dir(&self.0).stdin(Stdio::null()).env_remove("JOURNAL_STREAM");
        command
    }

    /// Starts the program. All that run the same command here write the same log.
    pub fn start(&self, arguments: &[&str]) -> Running {
        let log = self.path(&format!("{}.log", arguments[0]));
        let file = File::options().create(true).append(true).open(&log).expect("the file can be written");
        let child = self.command(arguments).stdout(Stdio::null()).stderr(file).spawn();
        Running { child: child.expect("the program starts"), log }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A process that ends with the test, however that ends.
pub struct Running {
    pub child: Child,
    pub log: PathBuf,
}

impl Running {
    /// Returns what the program has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Tells whether the process that was started still runs.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    pub fn kill(&mut self) {
        // One that has ended needs no killing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Looks until there is what is wanted; the process must not end meanwhile.
    pub fn until<T>(&mut self, look: impl Fn(&Self) -> Option<T>) -> Result<T, String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let is_last = !self.is_alive() || Instant::now() > deadline;
            if let Some(found) = look(self) {
                return Ok(found);
            }
            if is_last {
                return Err(format!("the program has ended or is never as wanted:\n{}", self.log()));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Asks for the status until it is as wanted.
    pub fn until_answered(
        &mut self,
        socket: &Path,
        wanted: impl Fn(&Status) -> bool,
    ) -> Result<Status, String> {
        self.until(|_| match ask(socket, &Request::Status) {
            Ok(Reply::Status(status)) if wanted(&status) => Some(status),
            _ => None,
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Returns what every configuration here ends with: a certificate of ours, whom we trust, and where we are asked.
pub fn ending(identity: &str, socket: &str) -> String {
    format!(
        r#"
[identity.{identity}]
certificate = "{identity}.pem"
key = "{identity}.key"

[trust.all]
authorities = ["ca.pem"]

[admin]
socket = "{socket}"
"#
    )
}

/// Returns a host of its own, so that what runs at the same time does not take its ports.
pub fn host() -> [u8; 4] {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [low, high, ..] = std::process::id().to_le_bytes();
    [127, 64 | (high & 0x3f), low, NEXT.fetch_add(1, Ordering::Relaxed)]
}

const PATIENCE: Duration = Duration::from_secs(60);
