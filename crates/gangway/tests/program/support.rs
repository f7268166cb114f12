//! A place with certificates in it, and the program run there.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use clock_types::Date;
use net::throwaway::{Authority, Wish};
use net_types::Purpose;

/// Compares what was made with a file of the project; with `GANGWAY_REWRITE` set, writes it instead.
#[track_caller]
pub fn in_step(file: &str, made: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if std::env::var_os("GANGWAY_REWRITE").is_some() {
        std::fs::write(&path, made).expect("the file can be written");
    }

    let written = std::fs::read_to_string(&path).unwrap_or_default();

    if written != made {
        let lines = written.lines().zip(made.lines());
        let differs = lines.filter(|(written, made)| written != made).map(|(_, made)| made).next();
        panic!(
            "{file} is out of step; if it should be so, run `GANGWAY_REWRITE=1 cargo test -p gangway`\n\
             the first other line: {differs:?}\n\n{made}"
        );
    }
}

/// A directory that goes with the test. Its path is short, because a socket's must be.
pub struct Place(PathBuf);

impl Place {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("gangway-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let directory = std::env::temp_dir().join(name);
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).expect("the directory can be made");
        Self(directory)
    }

    /// Puts `NAME.pem` and `NAME-key.pem` there for each, and `ca.pem`.
    pub fn with_certificates(self) -> Self {
        let authority = Authority::new("Throw-away CA").expect("an authority is made");
        std::fs::write(self.0.join("ca.pem"), authority.pem()).expect("the file can be written");
        let long_ago = [1_577_836_800_000, 1_609_459_200_000].map(Date::from_unix_millis);
        let long_hence = [4_102_444_800_000, 4_133_980_800_000].map(Date::from_unix_millis);
        let now = net::clock::date();
        let good = ["example.com", "edge.example.com", "gateway.example.com"];
        let wishes = [
            ("good", Wish::dns(&good)),
            ("other", Wish::dns(&["other.example"])),
            ("expired", Wish::dns(&["example.com"]).valid(long_ago[0], long_ago[1])),
            ("soon", Wish::dns(&good).valid(now, now.plus(std::time::Duration::from_secs(5 * 86_400)))),
            ("future", Wish::dns(&["example.com"]).valid(long_hence[0], long_hence[1])),
            ("clients", Wish { purposes: vec![Purpose::ClientAuth], ..Wish::dns(&["example.com"]) }),
            ("mail", Wish { purposes: vec![Purpose::Other], ..Wish::dns(&["gateway.example.com"]) }),
        ];
        for (name, wish) in wishes {
            let issued = authority.issue(&wish).expect("a certificate is issued");
            let (certificate, key) = issued.write(&self.0, name).expect("the files can be written");
            std::fs::rename(certificate, self.0.join(format!("{name}.pem"))).expect("it can be renamed");
            std::fs::rename(key, self.0.join(format!("{name}-key.pem"))).expect("it can be renamed");
        }
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("the file can be written");
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the program starts")
    }

    pub fn start(&self, arguments: &[&str]) -> Running {
        let mut command = self.command(arguments);
        Running(command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts"))
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gangway"));
        command.args(arguments).current_dir(&self.0).stdin(Stdio::null()).env_remove("JOURNAL_STREAM");
        command
    }
}

/// A process that ends with the test, however that ends.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
