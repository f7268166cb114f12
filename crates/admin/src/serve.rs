//! The process's end of the socket.

use std::fmt;
use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::{REQUEST_MAX, Reply, Request};

/// A socket that is served until this is dropped.
#[derive(Debug)]
pub struct Server {
    path: PathBuf,
    ended: Arc<AtomicBool>,
    acceptor: Option<thread::JoinHandle<()>>,
}

/// Makes the socket at `path` and answers on threads of its own.
///
/// # Errors
/// The socket cannot be made; the message says what to do.
pub fn serve(
    path: &Path,
    answer: impl Fn(Request) -> Reply + Send + Sync + 'static,
) -> Result<Server, SocketError> {
    if UnixStream::connect(path).is_ok() {
        return Err(SocketError { path: path.to_owned(), cause: Cause::Answered });
    }
    let failed = |why: io::Error| SocketError { path: path.to_owned(), cause: Cause::System(why) };
    let listener = bind(path).map_err(failed)?;
    let ended = Arc::new(AtomicBool::new(false));
    let until = Arc::clone(&ended);
    let acceptor = thread::Builder::new()
        .name("admin".into())
        .spawn(move || accept(&listener, &until, Arc::new(answer)))
        .map_err(failed)?;
    Ok(Server { path: path.to_owned(), ended, acceptor: Some(acceptor) })
}

/// Takes the path's place with a socket that was never open to others: it is made in a directory of
/// our own and moved.
fn bind(path: &Path) -> io::Result<UnixListener> {
    let name = path.file_name().ok_or_else(|| io::Error::other("the path names no file"))?;
    let above = path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(above)?;
    let private = above.join(format!(".{}.{}", name.to_string_lossy(), std::process::id()));
    fs::create_dir_all(&private)?;
    fs::set_permissions(&private, fs::Permissions::from_mode(0o700))?;
    let inner = private.join("s");
    let _ = fs::remove_file(&inner);
    let bound = UnixListener::bind(&inner).and_then(|listener| {
        fs::set_permissions(&inner, fs::Permissions::from_mode(0o600))?;
        fs::rename(&inner, path)?;
        Ok(listener)
    });
    let _ = fs::remove_dir_all(&private);
    bound
}

fn accept<A>(listener: &UnixListener, ended: &AtomicBool, answer: Arc<A>)
where
    A: Fn(Request) -> Reply + Send + Sync + 'static,
{
    let open = Arc::new(AtomicUsize::new(0));
    for stream in listener.incoming() {
        if ended.load(Ordering::Acquire) {
            return;
        }
        let Ok(stream) = stream else { continue };
        if open.fetch_add(1, Ordering::AcqRel) >= OPEN_MAX {
            open.fetch_sub(1, Ordering::AcqRel);
            // Dropped: whoever asks sees the end.
            continue;
        }
        let (answer, done) = (Arc::clone(&answer), Arc::clone(&open));
        let started = thread::Builder::new().name("admin".into()).spawn(move || {
            // Whoever goes away in the middle has seen enough.
            let _ = converse(&stream, &*answer);
            done.fetch_sub(1, Ordering::AcqRel);
        });
        if started.is_err() {
            open.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

fn converse(stream: &UnixStream, answer: &impl Fn(Request) -> Reply) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut lines = BufReader::new(stream);
    loop {
        let mut line = Vec::new();
        lines.by_ref().take(REQUEST_MAX).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(());
        }
        let whole = line.ends_with(b"\n");
        let reply = match serde_json::from_slice::<Request>(&line) {
            Ok(request) => answer(request),
            Err(why) => Reply::Refused { reason: format!("no request of ours: {why}") },
        };
        let mut out = serde_json::to_vec(&reply)?;
        out.push(b'\n');
        (&mut &*stream).write_all(&out)?;
        if !whole {
            return Ok(());
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        // Wakes the acceptor, which then sees that it is over.
        let woken = UnixStream::connect(&self.path).is_ok();
        let _ = fs::remove_file(&self.path);
        if let Some(acceptor) = self.acceptor.take().filter(|_| woken) {
            let _ = acceptor.join();
        }
    }
}

/// Conversations at once.
const OPEN_MAX: usize = 16;
/// How long a silent one is kept.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why there is no socket; the text says what to do.
#[derive(Debug)]
pub struct SocketError {
    path: PathBuf,
    cause: Cause,
}

#[derive(Debug)]
enum Cause {
    Answered,
    System(io::Error),
}

impl fmt::Display for SocketError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.cause {
            Cause::Answered => write!(
                out,
                "another gangway answers on {path}; stop it first, or give this one another `socket` in `[admin]`"
            ),
            Cause::System(why) => write!(
                out,
                "the admin socket {path} cannot be made: {why}; write a path in a directory of ours as `socket` in \
                 `[admin]`"
            ),
        }
    }
}

impl std::error::Error for SocketError {}
