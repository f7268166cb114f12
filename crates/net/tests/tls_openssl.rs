//! What Windows Server 2012 R2 offers with an RSA certificate, played by `openssl s_client` and `openssl s_server`: rustls shares
//! nothing with it and says so, OpenSSL does.

#![cfg(feature = "openssl-sip")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use net::tls::{IdentitySpec, Library, PemSource, TlsSpec, TrustSpec};
use net::{Incident, ListenerKind};
use net_types::{
    Event, Identity, Purpose, Remote, Stage as Reached, TlsClient, TlsServer, TlsVersion, Trust, TrustVerdict,
};
use support::{Setting, Stage, soon};

/// The suites that those systems have for an RSA certificate, with forward secrecy.
const OLD: [(&str, &str); 2] = [
    ("ECDHE-RSA-AES256-SHA384", "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384"),
    ("DHE-RSA-AES256-GCM-SHA384", "TLS_DHE_RSA_WITH_AES_256_GCM_SHA384"),
];

#[tokio::test]
async fn rustls_tells_what_an_old_client_offered() {
    let place = Place::new("rustls-server");
    let mut server = place.listening(Library::Rustls);

    let _client = place.client(server.addresses[0], &old_suites());
    let incident = soon(server.incidents.recv()).await.unwrap();

    let Incident::HandshakeFailed { reason, .. } = incident else { panic!("{incident:?}") };
    let offered = format!("no common cipher suite with the client, offered {}, {}", OLD[0].1, OLD[1].1);
    assert!(reason.starts_with(&offered) && reason.contains("ECDSA certificate"), "{reason}");
}

#[tokio::test]
async fn rustls_tells_that_an_old_server_shares_nothing() {
    let place = Place::new("rustls-client");
    let (_server, address) = place.server(&old_suites());
    let mut client = place.dialling(Library::Rustls);

    client.dial(Remote::Address(address), Some(asking())).await;

    let Event::ConnectFailed { stage, reason, .. } = client.event().await else { panic!("it failed not") };
    assert_eq!(stage, Reached::Tls);
    assert!(reason.starts_with("no common cipher suite with the server, offered TLS_"), "{reason}");
    assert!(reason.contains("says the peer (alert handshake_failure)"), "{reason}");
}

#[tokio::test]
async fn openssl_serves_an_old_client_with_the_same_facts() {
    for (suite, registered) in OLD {
        let place = Place::new(&format!("server-{suite}"));
        let mut server = place.listening(Library::OpenSsl);

        let mut client = place.client(server.addresses[0], suite);
        let (connection, facts) = server.accepted().await;
        let facts = facts.unwrap();
        client.0.stdin.as_mut().unwrap().write_all(b"NEGOTIATE").unwrap();
        server.bytes("NEGOTIATE").await;
        server.send(connection, &"x".repeat(100_000)).await;
        let mut heard = vec![0; 100_000];
        let mut stdout = client.0.stdout.take().unwrap();
        let read = tokio::task::spawn_blocking(move || stdout.read_exact(&mut heard).map(|()| heard));
        let heard = soon(read).await.unwrap().unwrap();

        assert!(heard.iter().all(|octet| *octet == b'x'));
        assert_eq!((facts.version, facts.cipher.as_str()), (TlsVersion::Tls12, registered));
        assert_eq!(facts.server_name.as_deref(), Some("gw.example"));
        let peer = facts.peer.unwrap();
        assert_eq!(peer.names.dns, ["pool.example"]);
        // For server authentication alone, and good.
        assert_eq!((&peer.trust, &*peer.purposes), (&TrustVerdict::Trusted, &[Purpose::ServerAuth][..]));
        client.0.kill().unwrap();
        assert!(server.closed().await.is_some());
    }
}

#[tokio::test]
async fn openssl_reaches_an_old_server_with_the_same_facts() {
    for (suite, registered) in OLD {
        let place = Place::new(&format!("client-{suite}"));
        let (mut server, address) = place.server(suite);
        let mut client = place.dialling(Library::OpenSsl);

        client.dial(Remote::Address(address), Some(asking())).await;
        let facts = client.connected().await.unwrap();
        server.0.stdin.as_mut().unwrap().write_all(b"200 OK\n").unwrap();
        client.bytes("200 OK\n").await;

        assert_eq!((facts.version, facts.cipher.as_str()), (TlsVersion::Tls12, registered));
        let peer = facts.peer.unwrap();
        assert_eq!(
            (&peer.names.dns[..], &peer.trust),
            (&["pool.example".to_owned()][..], &TrustVerdict::Trusted)
        );
    }
}

#[tokio::test]
async fn a_stranger_is_told_as_one_and_both_libraries_understand_each_other() {
    let place = Place::new("both");
    for [listens, dials] in [[Library::OpenSsl, Library::Rustls], [Library::Rustls, Library::OpenSsl]] {
        let mut server = place.listening(listens);
        let mut client = place.dialling_trusting("gw.pem", dials);

        let dialled = client.dial(Remote::Address(server.addresses[0]), Some(asking())).await;
        let of_server = client.connected().await.unwrap();
        let (_, of_client) = server.accepted().await;
        client.send(dialled, "hello").await;
        server.bytes("hello").await;

        assert_eq!(of_server.version, TlsVersion::Tls13);
        assert_eq!(of_server.peer.unwrap().trust, TrustVerdict::Trusted);
        // The listener trusts the pool alone.
        let stranger = of_client.unwrap().peer.unwrap();
        assert!(matches!(stranger.trust, TrustVerdict::Untrusted(_)), "{:?}", stranger.trust);
        client.order([net_types::Order::Close { connection: dialled }]).await;
        assert_eq!(server.closed().await, None);
    }
}

#[tokio::test]
async fn what_is_no_tls_is_said_to_be_none() {
    let place = Place::new("no-tls");
    let mut server = place.listening(Library::OpenSsl);

    let mut peer = std::net::TcpStream::connect(server.addresses[0]).unwrap();
    peer.write_all(b"OPTIONS sip:gw.example SIP/2.0\r\n\r\n").unwrap();
    let incident = soon(server.incidents.recv()).await.unwrap();

    let Incident::HandshakeFailed { reason, .. } = incident else { panic!("{incident:?}") };
    assert_eq!(reason, "peer does not speak TLS here");
}

fn old_suites() -> String {
    OLD.map(|(suite, _)| suite).join(":")
}

fn own() -> Identity {
    Identity("own".into())
}

fn servers() -> Trust {
    Trust("servers".into())
}

fn asking() -> TlsClient {
    TlsClient { name: "pool.example".to_owned(), identity: Some(own()), trust: servers(), alpn: Vec::new() }
}

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A directory with RSA certificates: the gateway's, and that of an old pool.
struct Place(PathBuf);

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("gangway-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        for (file, host) in [("gw", "gw.example"), ("pool", "pool.example")] {
            let made = Command::new("openssl")
                .args([
                    "req",
                    "-x509",
                    "-newkey",
                    "rsa:2048",
                    "-nodes",
                    "-days",
                    "30",
                    "-subj",
                    &format!("/CN={host}"),
                ])
                .args([
                    "-addext",
                    &format!("subjectAltName=DNS:{host}"),
                    "-addext",
                    "extendedKeyUsage=serverAuth",
                ])
                .args(["-keyout", &format!("{file}.key"), "-out", &format!("{file}.pem")])
                .current_dir(&path)
                .output()
                .unwrap();
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        }
        Self(path)
    }

    fn tls(&self, trusted: &str, library: Library) -> TlsSpec {
        let file = |name: &str| PemSource::File(self.0.join(name));
        TlsSpec {
            identities: vec![IdentitySpec {
                name: own(),
                certificate: file("gw.pem"),
                key: file("gw.key"),
                library,
                place: "test".to_owned(),
            }],
            trusts: vec![TrustSpec {
                name: servers(),
                authorities: vec![file(trusted)],
                native_roots: false,
                pins: Vec::new(),
                place: "test".to_owned(),
            }],
        }
    }

    fn listening(&self, library: Library) -> Stage {
        let server = TlsServer { identity: own(), trust: servers() };
        let kind = ListenerKind::DirectTls { server, alpn: Vec::new() };
        Setting { tls: self.tls("pool.pem", library), ..Setting::listening(kind) }.start()
    }

    fn dialling(&self, library: Library) -> Stage {
        self.dialling_trusting("pool.pem", library)
    }

    fn dialling_trusting(&self, trusted: &str, library: Library) -> Stage {
        Setting { tls: self.tls(trusted, library), ..Setting::default() }.start()
    }

    /// Starts an old client, which shows the pool's certificate.
    fn client(&self, to: SocketAddr, suites: &str) -> Running {
        let connect = ["s_client", "-quiet", "-connect", &to.to_string()].map(str::to_owned);
        let shown = ["-servername", "gw.example", "-cert", "pool.pem", "-key", "pool.key"];
        Running(old(&self.0).args(connect).args(shown).args(["-tls1_2", "-cipher", suites]).spawn().unwrap())
    }

    /// Starts an old server, which shows the pool's certificate and wants one; returns where it listens.
    fn server(&self, suites: &str) -> (Running, SocketAddr) {
        let shown =
            ["s_server", "-accept", "127.0.0.1:0", "-Verify", "1", "-cert", "pool.pem", "-key", "pool.key"];
        let mut server =
            Running(old(&self.0).args(shown).args(["-tls1_2", "-cipher", suites]).spawn().unwrap());
        let mut lines = BufReader::new(server.0.stdout.take().unwrap()).lines().map_while(Result::ok);
        let address = lines.find_map(|line| line.strip_prefix("ACCEPT ").map(str::to_owned)).unwrap();
        // It goes on writing, and must not find the pipe closed.
        std::thread::spawn(move || lines.for_each(drop));
        (server, address.parse().unwrap())
    }
}

fn old(place: &Path) -> Command {
    let mut command = Command::new("openssl");
    command.current_dir(place).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}
