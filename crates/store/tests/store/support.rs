//! A place for a file, and messages to put into it.

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use clock_types::Date;
use gateway_role::{AcceptedMessage, Direction, MessageKey, Record};
use store::{Outcome, Store};

/// A directory that goes with the test.
pub struct Place(PathBuf);

impl Place {
    pub fn new() -> Self {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("store-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).expect("the directory can be made");
        Self(directory)
    }

    pub fn directory(&self) -> &Path {
        &self.0
    }

    pub fn file(&self) -> PathBuf {
        self.0.join("gateway.db")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn key(name: &str) -> MessageKey {
    MessageKey(name.into())
}

pub fn message(name: &str) -> AcceptedMessage {
    let accepted = Date::from_unix_millis(1_700_000_000_000);
    AcceptedMessage {
        key: key(name),
        direction: Direction::ToXmpp,
        stanza: format!("<message id='{name}'/>"),
        report_to: Some("sip:romeo@example.com".into()),
        accepted,
        expires: accepted.plus(Duration::from_secs(24 * 3600)),
        report: None,
    }
}

pub fn accepted(name: &str) -> Record {
    Record::Accepted(Box::new(message(name)))
}

pub struct Told(pub Outcome);

impl Told {
    #[track_caller]
    pub fn expect_stored(self) {
        assert_eq!(self.0, Outcome::Stored);
    }
}

/// Submits a batch and waits for what became of it.
pub fn commit(store: &Store, records: Vec<Record>) -> Told {
    let (tell, told) = mpsc::channel();
    store.submit(records, move |outcome| tell.send(outcome).expect("the test waits"));
    Told(told.recv().expect("every batch is told"))
}
