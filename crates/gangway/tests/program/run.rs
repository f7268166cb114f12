//! The program runs, answers and ends.

use std::io::Read as _;
use std::process::Child;
use std::time::{Duration, Instant};

use admin::{Reply, Request, ask};

use crate::support::Place;

const BOTH: &str = r#"
[proxy]
domains = ["example.com"]
identities = ["good"]
trust = "lab"
listen = ["127.0.0.1:0"]

[[proxy.partner]]
domain = "partner.example"

[gateway]
name = "gateway.example.com"
store = "gateway.db"

[[gateway.listen]]
transport = "udp"
address = "127.0.0.1:0"
name = "127.0.0.1:5060"

[[gateway.domain]]
domain = "example.com"
next-hop = "sip:127.0.0.1:5070;transport=udp"
trusted-addresses = ["127.0.0.1"]

[identity.good]
certificate = "good.pem"
key = "good-key.pem"

[trust.lab]
authorities = ["ca.pem"]

[admin]
socket = "admin.sock"
"#;

#[test]
fn both_roles_run_answer_and_end_when_asked() {
    let place = Place::new().with_certificates();
    place.write("gangway.toml", BOTH);
    let mut child = place.start(&["run", "--config", "gangway.toml"]);

    let status = until_answered(&place, &mut child, |status| {
        status.gateway.as_ref().is_some_and(|gateway| gateway.links.iter().all(|link| link.open))
    });
    let shown = place.run(&["status", "--config", "gangway.toml"]);
    let partners = place.run(&["partner", "list", "--config", "gangway.toml"]);
    let level = place.run(&["log-level", "debug", "--config", "gangway.toml"]);
    let reload = place.run(&["reload", "--config", "gangway.toml"]);
    let stop = place.run(&["stop", "--config", "gangway.toml", "--json"]);
    let ended = child.wait().unwrap();

    assert_eq!(status.pid, child.id());
    assert_eq!(status.proxy.unwrap().partners, 1);
    let text = |output: &std::process::Output| String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text(&shown).contains("proxy: open"), "{}", text(&shown));
    assert!(text(&partners).contains("partner.example"), "{}", text(&partners));
    assert_eq!(text(&level), "debug\n");
    assert!(text(&reload).starts_with("read again"), "{}", text(&reload));
    assert!(text(&stop).contains("\"reply\": \"done\""), "{}", text(&stop));
    assert!(ended.success(), "{}", log(child));
    assert!(!place.path("admin.sock").exists());
}

#[test]
fn a_reload_of_a_wrong_file_keeps_what_is_in_effect_and_says_why() {
    let place = Place::new().with_certificates();
    place.write("gangway.toml", BOTH);
    let mut child = place.start(&["run", "--config", "gangway.toml"]);
    until_answered(&place, &mut child, |_| true);

    place.write("gangway.toml", &BOTH.replace("partner.example", "example.com"));
    let reload = ask(&place.path("admin.sock"), &Request::Reload).unwrap();
    let partners = ask(&place.path("admin.sock"), &Request::Partners).unwrap();

    let Reply::Refused { reason } = reload else { panic!("{reload:?}") };
    assert!(reason.contains("`example.com` is a domain of our own"), "{reason}");
    let Reply::Partners { partners } = partners else { panic!("{partners:?}") };
    assert_eq!(partners[0].domain, "partner.example");
    ask(&place.path("admin.sock"), &Request::Stop).unwrap();
    assert!(child.wait().unwrap().success(), "{}", log(child));
}

#[test]
fn a_port_in_use_names_the_setting() {
    let place = Place::new().with_certificates();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    place.write("gangway.toml", &BOTH.replacen("127.0.0.1:0", &address, 1));

    let output = place.run(&["run", "--config", "gangway.toml"]);

    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains(&format!("gangway.toml:6 [proxy] listen: cannot listen on {address}: address in use")),
        "{said}"
    );
}

#[test]
fn commands_say_that_nothing_runs() {
    let place = Place::new().with_certificates();
    place.write("gangway.toml", BOTH);

    let output = place.run(&["status", "--config", "gangway.toml"]);

    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.starts_with("gangway: no gangway is running"), "{said}");
}

/// Asks until the answer is as wanted; the process must not end meanwhile.
#[track_caller]
fn until_answered(
    place: &Place,
    child: &mut Child,
    wanted: impl Fn(&admin::Status) -> bool,
) -> admin::Status {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Ok(Reply::Status(status)) = ask(&place.path("admin.sock"), &Request::Status)
            && wanted(&status)
        {
            return status;
        }
        let ended = child.try_wait().expect("it is ours");
        if ended.is_some() || Instant::now() > deadline {
            let _ = child.kill();
            let mut said = String::new();
            child.stderr.take().expect("it was asked for").read_to_string(&mut said).expect("it is text");
            panic!("it ended ({ended:?}) or was never as wanted:\n{said}");
        }
        std::thread::yield_now();
    }
}

fn log(mut child: Child) -> String {
    let mut said = String::new();
    let _ = child.stderr.take().map(|mut stderr| stderr.read_to_string(&mut said));
    said
}
