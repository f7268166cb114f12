use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use admin::{Reply, Request, ask};
use net::throwaway::{Authority, Wish};

/// Gangway with a listener for datagrams and one for streams.
pub struct Program {
    directory: PathBuf,
    child: Child,
    pub tcp: SocketAddr,
    pub udp: SocketAddr,
}

impl Program {
    pub fn start() -> Result<Self, String> {
        let words = |why: std::io::Error| why.to_string();
        let directory = std::env::temp_dir().join(format!("corpus-{}", std::process::id()));
        // Perhaps a process of the same number left it.
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).map_err(words)?;
        let authority = Authority::new("Corpus").map_err(|why| why.to_string())?;
        std::fs::write(directory.join("ca.pem"), authority.pem()).map_err(words)?;
        let issued = authority.issue(&Wish::dns(&["remote.example"])).map_err(|why| why.to_string())?;
        issued.write(&directory, "s").map_err(|why| why.to_string())?;
        let [low, high, ..] = std::process::id().to_le_bytes();
        let host = [127, 128 | (high & 0x3f), low, 1];
        let [tcp, proxy] = two_free_addresses(host)?;
        std::fs::write(directory.join("gangway.toml"), configuration(tcp, proxy)).map_err(words)?;
        let log = File::create(directory.join("log")).map_err(words)?;
        let child = Command::new(env!("CARGO_BIN_EXE_gangway"))
            .args(["run", "--config", "gangway.toml"])
            .current_dir(&directory)
            .env_remove("JOURNAL_STREAM")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(words)?;
        let mut program = Self { directory, child, tcp, udp: tcp };
        program.wait_until_ready()?;
        Ok(program)
    }

    /// Returns what the program has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }

    fn wait_until_ready(&mut self) -> Result<(), String> {
        let socket = self.directory.join("admin.sock");
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if let Ok(Reply::Status(status)) = ask(&socket, &Request::Status)
                && status.gateway.is_some()
            {
                return Ok(());
            }
            let ended = self.child.try_wait().map_err(|why| why.to_string())?.is_some();
            if ended || Instant::now() > deadline {
                return Err(format!("the program is not ready:\n{}", self.log()));
            }
            std::thread::yield_now();
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // One that has ended needs no killing.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Returns two addresses that are free; both are held until both are known, so that they differ.
fn two_free_addresses(host: [u8; 4]) -> Result<[SocketAddr; 2], String> {
    let free =
        || TcpListener::bind(SocketAddr::from((host, 0))).and_then(|held| Ok((held.local_addr()?, held)));
    match (free(), free()) {
        (Ok((one, _)), Ok((other, _))) => Ok([one, other]),
        (Err(why), _) | (_, Err(why)) => Err(why.to_string()),
    }
}

fn configuration(sip: SocketAddr, proxy: SocketAddr) -> String {
    format!(
        r#"
[proxy]
domains = ["remote.example"]
listen = ["{proxy}"]
identities = ["s"]
trust = "corpus"
resolver = ["127.0.0.1:9"]

[gateway]
name = "gateway.s.example"
store = "gateway.db"
resolver = ["127.0.0.1:9"]

[[gateway.listen]]
transport = "tcp"
address = "{sip}"

[[gateway.listen]]
transport = "udp"
address = "{sip}"

[gateway.limits]
connections-per-address = 1000

[[gateway.domain]]
domain = "remote.example"
next-hop = "sip:127.0.0.1:9;transport=tcp"
trusted-addresses = ["127.0.0.0/8"]

[identity.s]
certificate = "s.pem"
key = "s.key"

[trust.corpus]
authorities = ["ca.pem"]

[admin]
socket = "admin.sock"
"#
    )
}
