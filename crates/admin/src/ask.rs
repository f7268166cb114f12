//! The operator's end of the socket.

use std::fmt;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::{Reply, Request};

/// Asks the process that listens at `path`.
///
/// # Errors
/// Nobody answers; the message says what to do.
pub fn ask(path: &Path, request: &Request) -> Result<Reply, AskError> {
    exchange(path, request).map_err(|why| AskError { path: path.to_owned(), why })
}

fn exchange(path: &Path, request: &Request) -> io::Result<Reply> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut reply = String::new();
    BufReader::new(stream).read_line(&mut reply)?;
    if reply.is_empty() {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it hung up without an answer"));
    }
    Ok(serde_json::from_str(&reply)?)
}

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why there is no answer.
#[derive(Debug)]
pub struct AskError {
    path: PathBuf,
    why: io::Error,
}

impl AskError {
    /// Tells whether no process is there to be asked.
    #[must_use]
    pub fn nobody_is_there(&self) -> bool {
        matches!(self.why.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
    }
}

impl fmt::Display for AskError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match self.why.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                write!(out, "no gangway is running: nobody listens on {path} (`socket` of `[admin]`)")
            }
            io::ErrorKind::PermissionDenied => {
                write!(out, "{path} is for the user that gangway runs as; ask as that user, or as root")
            }
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                write!(out, "gangway does not answer on {path} within {} s", PATIENCE.as_secs())
            }
            _ => write!(out, "{path}: {}", self.why),
        }
    }
}

impl std::error::Error for AskError {}
