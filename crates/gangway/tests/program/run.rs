//! The program runs, answers and ends.

use std::path::Path;
use std::process::{Command, ExitStatus};

use admin::{Reply, Request, ask};
use net::throwaway::free_addresses;

use crate::support::{Place, Running, ending, host};

const BOTH: &str = r#"
[proxy]
domains = ["example.com"]
identities = ["good"]
trust = "all"
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
"#;

#[test]
fn both_roles_run_answer_and_end_when_asked() {
    let place = Place::new().with_certificates();
    place.write("gangway.toml", &both());
    let mut child = place.start(&["run", "--config", "gangway.toml"]);

    let status = until_answered(&place.path("admin.sock"), &mut child, |status| {
        status.gateway.as_ref().is_some_and(|gateway| gateway.links.iter().all(|link| link.open))
    });
    let shown = place.run(&["status", "--config", "gangway.toml"]);
    let partners = place.run(&["partner", "list", "--config", "gangway.toml"]);
    let level = place.run(&["log-level", "debug", "--config", "gangway.toml"]);
    let reload = place.run(&["reload", "--config", "gangway.toml"]);
    let stop = place.run(&["stop", "--config", "gangway.toml", "--json"]);
    let ended = child.child.wait().unwrap();

    assert_eq!(status.pid, child.child.id());
    assert_eq!(status.proxy.unwrap().partners, 1);
    let text = |output: &std::process::Output| String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text(&shown).contains("proxy: open"), "{}", text(&shown));
    assert!(text(&partners).contains("partner.example"), "{}", text(&partners));
    assert_eq!(text(&level), "debug\n");
    assert!(text(&reload).starts_with("read again"), "{}", text(&reload));
    assert!(text(&stop).contains("\"reply\": \"done\""), "{}", text(&stop));
    assert!(ended.success(), "{}", child.log());
    assert!(!place.path("admin.sock").exists());
}

#[test]
fn two_processes_are_joined_over_mutual_tls_and_end_on_sigterm() {
    let (place, address) = (Place::new().with_certificates(), free_address());
    place.write("proxy.toml", &apart(&PROXY.replace("ADDRESS", &address), "proxy.sock"));
    place.write("gateway.toml", &apart(&GATEWAY.replace("ADDRESS", &address), "gateway.sock"));
    let mut gateway = place.start(&["gateway", "--config", "gateway.toml"]);
    let mut proxy = place.start(&["proxy", "--config", "proxy.toml"]);

    let seen_by_gateway = until_answered(&place.path("gateway.sock"), &mut gateway, |status| {
        status.gateway.as_ref().is_some_and(|gateway| gateway.links.iter().all(|link| link.open))
    });
    let seen_by_proxy = until_answered(&place.path("proxy.sock"), &mut proxy, |status| {
        status.proxy.as_ref().is_some_and(|proxy| proxy.gateways.len() == 1)
    });

    assert!(seen_by_gateway.proxy.is_none());
    assert!(seen_by_proxy.gateway.is_none());
    for child in [gateway, proxy] {
        let (ended, log) = terminate(child);
        assert!(ended.success(), "{log}");
        assert!(log.contains("SIGTERM: ending in good order"), "{log}");
    }
}

#[test]
fn a_gateway_that_the_proxy_does_not_list_is_refused_and_both_say_so() {
    let (place, address) = (Place::new().with_certificates(), free_address());
    let strict = PROXY.replace("ADDRESS", &address).replace("gateway.example.com", "another.example.com");
    place.write("proxy.toml", &apart(&strict, "proxy.sock"));
    place.write("gateway.toml", &apart(&GATEWAY.replace("ADDRESS", &address), "gateway.sock"));
    let mut proxy = place.start(&["proxy", "--config", "proxy.toml"]);
    until_answered(&place.path("proxy.sock"), &mut proxy, |_| true);

    let mut gateway = place.start(&["gateway", "--config", "gateway.toml"]);
    let status = until_answered(&place.path("gateway.sock"), &mut gateway, |_| true);
    let refusal = first_line_with(&mut proxy, "refused as a gateway's");
    let down = first_line_with(&mut gateway, "link to edge.example.com: down");

    assert!(!status.gateway.unwrap().links[0].open);
    assert!(refusal.contains("none of which is a gateway"), "{refusal}");
    assert!(!down.is_empty());
    terminate(gateway);
    terminate(proxy);
}

#[test]
fn a_reload_of_a_wrong_file_keeps_what_is_in_effect_and_says_why() {
    let place = Place::new().with_certificates();
    place.write("gangway.toml", &both());
    let mut child = place.start(&["run", "--config", "gangway.toml"]);
    until_answered(&place.path("admin.sock"), &mut child, |_| true);

    place.write("gangway.toml", &both().replace("partner.example", "example.com"));
    let reload = ask(&place.path("admin.sock"), &Request::Reload).unwrap();
    let partners = ask(&place.path("admin.sock"), &Request::Partners).unwrap();

    let Reply::Refused { reason } = reload else { panic!("{reload:?}") };
    assert!(reason.contains("`example.com` is a domain of our own"), "{reason}");
    let Reply::Partners { partners } = partners else { panic!("{partners:?}") };
    assert_eq!(partners[0].domain, "partner.example");
    ask(&place.path("admin.sock"), &Request::Stop).unwrap();
    assert!(child.child.wait().unwrap().success(), "{}", child.log());
}

#[test]
fn who_may_federate_is_read_again_and_the_running_process_says_why() {
    let place = Place::new().with_certificates();
    let users = "[gateway.users]\ndefault = \"refused\"\nallowed-files = [\"staff\"]\n\n[admin]";
    place.write("gangway.toml", &both().replace("[admin]", users));
    place.write("staff", "bob@example.com\n");
    let of_file = place.run(&["user", "sip:Bob@example.com", "--config", "gangway.toml"]);
    let mut child = place.start(&["run", "--config", "gangway.toml"]);
    until_answered(&place.path("admin.sock"), &mut child, |_| true);

    let before = place.run(&["user", "ann@example.com", "--config", "gangway.toml"]);
    place.write("staff", "bob@example.com\nann@example.com # since today\n");
    let unread = place.run(&["user", "ann@example.com", "--config", "gangway.toml"]);
    let reload = place.run(&["reload", "--config", "gangway.toml"]);
    let after = place.run(&["user", "ann@example.com", "--config", "gangway.toml"]);
    let stranger = place.run(&["user", "ann@partner.example", "--config", "gangway.toml"]);
    ask(&place.path("admin.sock"), &Request::Stop).unwrap();

    let text = |output: &std::process::Output| String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        text(&of_file).starts_with("bob@example.com: may federate: the address is named in "),
        "{of_file:?}"
    );
    assert!(text(&of_file).contains("staff, line 1\n(no process runs"), "{of_file:?}");
    for refused in [before, unread] {
        let said = "ann@example.com: may not federate: nothing names the address or its domain\n";
        assert!(text(&refused).starts_with(said), "{refused:?}");
        assert_eq!(refused.status.code(), Some(1));
    }
    assert_eq!(text(&reload), "read again: all of it is in effect\n");
    assert!(text(&after).contains("staff, line 2\n(as the running gateway has it)"), "{after:?}");
    assert_eq!(after.status.code(), Some(0));
    assert!(text(&stranger).contains("no SIP domain that is served here"), "{stranger:?}");
    assert!(child.child.wait().unwrap().success(), "{}", child.log());
}

#[test]
fn a_reload_says_what_needs_a_restart() {
    let place = Place::new().with_certificates();
    place.write("gangway.toml", &both());
    let mut child = place.start(&["run", "--config", "gangway.toml"]);
    until_answered(&place.path("admin.sock"), &mut child, |_| true);

    let changed = both()
        .replace("name = \"127.0.0.1:5060\"", "name = \"127.0.0.1:5062\"")
        .replace("store = \"gateway.db\"", "store = \"gateway.db\"\nhold-time = \"1 s\"");
    place.write("gangway.toml", &changed);
    let reload = ask(&place.path("admin.sock"), &Request::Reload).unwrap();
    ask(&place.path("admin.sock"), &Request::Stop).unwrap();

    let Reply::Done { note } = reload else { panic!("{reload:?}") };
    assert_eq!(
        note,
        "read again: in effect, but for `hold-time` of `[gateway]`, `[[gateway.listen]]`: that needs a restart"
    );
    assert!(child.child.wait().unwrap().success(), "{}", child.log());
}

#[test]
fn a_port_in_use_names_the_setting() {
    let place = Place::new().with_certificates();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    place.write("gangway.toml", &both().replacen("127.0.0.1:0", &address, 1));

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
    place.write("gangway.toml", &both());

    let output = place.run(&["status", "--config", "gangway.toml"]);

    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.starts_with("gangway: no gangway is running"), "{said}");
}

const PROXY: &str = r#"
[proxy]
domains = ["example.com"]
identities = ["good"]
trust = "all"
listen = ["127.0.0.1:0"]

[[proxy.partner]]
domain = "partner.example"

[proxy.link]
listen = "ADDRESS"
identity = "good"
trust = "all"
gateways = ["gateway.example.com"]
"#;

const GATEWAY: &str = r#"
[gateway]
name = "gateway.example.com"
store = "gateway.db"

[[gateway.link]]
proxy = "ADDRESS"
proxy-name = "edge.example.com"
identity = "good"
trust = "all"

[[gateway.listen]]
transport = "tcp"
address = "127.0.0.1:0"
name = "127.0.0.1:5060"

[[gateway.domain]]
domain = "example.com"
trusted-addresses = ["127.0.0.1"]
"#;

/// Both roles in one process.
pub fn both() -> String {
    apart(BOTH, "admin.sock")
}

/// Adds what each file has.
fn apart(role: &str, socket: &str) -> String {
    format!("{role}{}", ending("good", socket))
}

pub fn free_address() -> String {
    let [address] = free_addresses(host().into()).expect("a port is free");
    address.to_string()
}

fn terminate(mut running: Running) -> (ExitStatus, String) {
    let sent = Command::new("kill").args(["-TERM", &running.child.id().to_string()]).status();
    assert!(sent.expect("there is a kill").success());
    let ended = running.child.wait().expect("it is ours");
    (ended, running.log())
}

/// Waits until the process has written a line with `words`.
#[track_caller]
pub fn first_line_with(running: &mut Running, words: &str) -> String {
    let found =
        |running: &Running| running.log().lines().find(|line| line.contains(words)).map(str::to_owned);
    running.until(found).unwrap_or_else(|why| panic!("{words}: {why}"))
}

/// Asks until the answer is as wanted; the process must not end meanwhile.
#[track_caller]
pub fn until_answered(
    socket: &Path,
    running: &mut Running,
    wanted: impl Fn(&admin::Status) -> bool,
) -> admin::Status {
    running.until_answered(socket, wanted).unwrap_or_else(|why| panic!("{why}"))
}
