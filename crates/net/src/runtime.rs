//! Threads with an event loop, and the signals of the operating system, for the program that assembles roles.
//!
//! One role and its connections on one thread is the fastest arrangement per processor second: an event
//! needs no wake-up of another thread. Several roles are several threads.

use std::future::Future;
use std::io;
use std::thread::{self, JoinHandle};

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

/// Runs the future that `make` returns on a thread of its own with an event loop of its own.
///
/// # Errors
///
/// When the operating system gives no thread or no event queue.
pub fn on_thread<F, Fut>(name: &str, make: F) -> io::Result<JoinHandle<Fut::Output>>
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future,
    Fut::Output: Send + 'static,
{
    let runtime = single()?;
    thread::Builder::new().name(name.to_owned()).spawn(move || runtime.block_on(make()))
}

/// Runs a future on this thread until it is done.
///
/// # Errors
///
/// When the operating system gives no event queue.
pub fn block_on<Fut: Future>(future: Fut) -> io::Result<Fut::Output> {
    Ok(single()?.block_on(future))
}

/// Waits for SIGTERM or SIGINT and returns its name.
///
/// # Errors
///
/// When the operating system refuses to tell us of signals.
pub async fn stop_signal() -> io::Result<&'static str> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    })
}

/// Calls `reload` at each SIGHUP, for ever.
///
/// # Errors
///
/// When the operating system refuses to tell us of signals.
pub async fn on_reload_signal(mut reload: impl FnMut()) -> io::Result<()> {
    let mut hang_up = signal(SignalKind::hangup())?;
    while hang_up.recv().await.is_some() {
        reload();
    }
    Ok(())
}

fn single() -> io::Result<Runtime> {
    // Turns of the role are long beside a poll of the sockets; looking for events often keeps reads large.
    Builder::new_current_thread().enable_all().build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_returns_what_its_future_returned() {
        let thread = on_thread("answer", || async { 42 }).unwrap();

        assert_eq!(thread.join().unwrap(), 42);
    }
}
