//! Both ends of the socket together.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use admin::{Level, Reply, Request, Status, ask, serve};

/// A path that goes with the test. Sockets have short paths.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("gangway-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&directory);
        Self(directory)
    }

    fn socket(&self) -> PathBuf {
        self.0.join("admin.sock")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn answer(request: Request) -> Reply {
    match request {
        Request::Status => Reply::Status(Status { pid: 7, ..Status::default() }),
        Request::LogLevel { level } => Reply::LogLevel { level: level.unwrap_or(Level::Info) },
        _ => Reply::Done { note: "done".into() },
    }
}

#[test]
fn a_request_gets_its_reply() {
    let place = Place::new("reply");
    let _server = serve(&place.socket(), answer).unwrap();

    let status = ask(&place.socket(), &Request::Status).unwrap();
    let level = ask(&place.socket(), &Request::LogLevel { level: Some(Level::Trace) }).unwrap();

    assert_eq!(status, Reply::Status(Status { pid: 7, ..Status::default() }));
    assert_eq!(level, Reply::LogLevel { level: Level::Trace });
}

#[test]
fn one_conversation_may_have_several_requests_and_survives_nonsense() {
    let place = Place::new("several");
    let _server = serve(&place.socket(), answer).unwrap();
    let mut stream = UnixStream::connect(place.socket()).unwrap();

    stream.write_all(b"{\"command\":\"stop\"}\nnonsense\n{\"command\":\"dance\"}\n").unwrap();

    let replies: Vec<String> = BufReader::new(stream).lines().take(3).map(Result::unwrap).collect();
    assert_eq!(replies[0], r#"{"reply":"done","note":"done"}"#);
    assert!(replies[1].starts_with(r#"{"reply":"refused","reason":"no request of ours"#), "{}", replies[1]);
    assert!(replies[2].starts_with(r#"{"reply":"refused""#), "{}", replies[2]);
}

#[test]
fn a_request_without_end_is_cut_off() {
    let place = Place::new("endless");
    let _server = serve(&place.socket(), answer).unwrap();
    let mut stream = UnixStream::connect(place.socket()).unwrap();

    stream.write_all(&[b' '; 4096]).unwrap();

    let replies: Vec<String> = BufReader::new(stream).lines().map_while(Result::ok).collect();
    assert_eq!(replies.len(), 1);
}

#[test]
fn only_the_processs_own_user_can_use_the_socket() {
    let place = Place::new("private");
    let _server = serve(&place.socket(), answer).unwrap();

    let mode = std::fs::metadata(place.socket()).unwrap().permissions().mode() & 0o777;

    assert_eq!(mode, 0o600);
    assert_eq!(entries(&place.0), ["admin.sock"]);
}

#[test]
fn a_socket_left_by_a_dead_process_is_taken_over_and_a_live_one_is_not() {
    let place = Place::new("stale");
    std::fs::create_dir_all(&place.0).unwrap();
    drop(UnixListener::bind(place.socket()).unwrap());

    let _server = serve(&place.socket(), answer).unwrap();
    let second = serve(&place.socket(), answer).unwrap_err();

    assert!(second.to_string().contains("another gangway answers"), "{second}");
}

#[test]
fn a_server_that_ends_takes_its_socket_away() {
    let place = Place::new("end");

    drop(serve(&place.socket(), answer).unwrap());

    let unanswered = ask(&place.socket(), &Request::Status).unwrap_err();
    assert!(unanswered.to_string().starts_with("no gangway is running"), "{unanswered}");
    assert!(entries(&place.0).is_empty());
}

fn entries(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).expect("it is there");
    entries.map(|entry| entry.expect("it can be read").file_name().to_string_lossy().into_owned()).collect()
}
