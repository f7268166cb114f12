//! Handshakes between driven roles, and between a driven role and peers that are not ours.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use clock_types::Date;
use net::throwaway::{Authority, Issued, Wish};
use net::tls::{IdentitySpec, Library, TlsSpec};
use net::{Incident, ListenerKind};
use net_types::{
    Event, Identity, Order, Purpose, Remote, Stage as Reached, TlsClient, TlsFacts, TlsServer, TlsVersion,
    Trust, TrustVerdict,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use support::{Setting, Stage, send, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn tls_starts_in_place_on_both_sides() {
    let ca = Authority::new("Test CA").unwrap();
    let mut server =
        Setting { tls: ours(&ca, "server.example"), ..Setting::listening(ListenerKind::Tcp) }.start();
    let mut client = Setting { tls: ours(&ca, "client.example"), ..Setting::default() }.start();
    let dialled = client.dial(Remote::Address(server.addresses[0]), None).await;
    client.connected().await;
    let (accepted, _) = server.accepted().await;
    client.send(dialled, "<starttls/>").await;
    server.bytes("<starttls/>").await;

    server.order([send(accepted, "<proceed/>"), start_as_server(accepted)]).await;
    client.bytes("<proceed/>").await;
    let starting =
        Order::StartTlsAsClient { connection: dialled, client: Box::new(asking("server.example")) };
    client.order([starting, send(dialled, "<stream>")]).await;

    let seen_by_server = server.tls_started().await;
    let seen_by_client = client.tls_started().await;
    server.bytes("<stream>").await;
    server.send(accepted, "<features>").await;
    client.bytes("<features>").await;
    assert_eq!(seen_by_server.server_name.as_deref(), Some("server.example"));
    assert_eq!(seen_by_server.peer.as_ref().unwrap().names.dns, ["client.example"]);
    assert_eq!(seen_by_server.peer.unwrap().trust, TrustVerdict::Trusted);
    assert_eq!((seen_by_client.version, seen_by_client.server_name), (TlsVersion::Tls13, None));
    assert_eq!(seen_by_client.cipher, "TLS_AES_256_GCM_SHA384");
    assert_eq!(seen_by_client.peer.unwrap().names.dns, ["server.example"]);
    client.order([send(dialled, "</stream>"), Order::Close { connection: dialled }]).await;
    server.bytes("</stream>").await;
    assert_eq!(server.closed().await, None);
}

#[tokio::test]
async fn octets_smuggled_in_before_tls_are_not_heard_after_it() {
    let ca = Authority::new("Test CA").unwrap();
    let mut server =
        Setting { tls: ours(&ca, "server.example"), ..Setting::listening(ListenerKind::Tcp) }.start();
    let mut peer = TcpStream::connect(server.addresses[0]).await.unwrap();
    let (accepted, _) = server.accepted().await;
    server.order([Order::Pause { connection: accepted }, send(accepted, "!")]).await;
    soon(peer.read_u8()).await.unwrap();
    peer.write_all(b"<message from='somebody else'/>").await.unwrap();

    let proceed = send(accepted, "<proceed/>");
    server.order([proceed, start_as_server(accepted), Order::Resume { connection: accepted }]).await;
    soon(peer.read_exact(&mut [0; 10])).await.unwrap();
    let talk = tokio::task::spawn_blocking(move || stranger_says(peer, "hello"));

    server.tls_started().await;
    server.bytes("hello").await;
    soon(talk).await.unwrap();
}

#[tokio::test]
async fn direct_tls_chooses_a_protocol() {
    let ca = Authority::new("Test CA").unwrap();
    let kind = direct(&["xmpp-server"]);
    let mut server = Setting { tls: ours(&ca, "server.example"), ..Setting::listening(kind) }.start();
    let mut client = Setting { tls: ours(&ca, "client.example"), ..Setting::default() }.start();
    let mut asking = asking("server.example");
    asking.alpn = vec!["xmpp-server".to_owned()];

    let dialled = client.dial(Remote::Address(server.addresses[0]), Some(asking.clone())).await;
    let seen_by_client = client.connected().await.unwrap();
    let (_, seen_by_server) = server.accepted().await;
    client.send(dialled, "hello").await;
    server.bytes("hello").await;

    assert_eq!(seen_by_client.alpn.as_deref(), Some("xmpp-server"));
    assert_eq!(seen_by_server.unwrap().alpn.as_deref(), Some("xmpp-server"));

    asking.alpn = vec!["sip".to_owned()];
    client.dial(Remote::Address(server.addresses[0]), Some(asking)).await;
    let (stage, reason) = connect_failed(&mut client).await;
    assert_eq!(stage, Reached::Tls);
    assert_eq!(reason, "no common application protocol, says the peer (alert no_application_protocol)");
}

#[tokio::test]
async fn a_client_with_a_servers_certificate_is_accepted_and_named() {
    let ca = Authority::new("Test CA").unwrap();
    let wish = Wish::dns(&["example.com", "*.example.com"])
        .srv(&["_xmpp-server.example.com"])
        .xmpp_addr(&["bücher.example"])
        .uri(&["sip:example.com"]);

    let facts = shown_to_server(&ca, &ca.issue(&wish).unwrap()).await;

    let peer = facts.peer.unwrap();
    assert_eq!(peer.names, wish.names);
    assert_eq!(peer.trust, TrustVerdict::Trusted);
    assert_eq!(peer.purposes, [Purpose::ServerAuth]);
    assert_eq!((peer.subject.as_str(), peer.issuer.as_str()), ("CN=example.com", "CN=Test CA"));
    let now = net::clock::date();
    assert!(peer.not_before < now && now < peer.not_after);
}

#[tokio::test]
async fn a_certificate_for_clients_is_as_good() {
    let ca = Authority::new("Test CA").unwrap();
    let mut wish = Wish::dns(&["example.com"]);
    wish.purposes = vec![Purpose::ClientAuth];

    let facts = shown_to_server(&ca, &ca.issue(&wish).unwrap()).await;

    let peer = facts.peer.unwrap();
    assert_eq!((peer.trust.clone(), &peer.purposes[..]), (TrustVerdict::Trusted, &[Purpose::ClientAuth][..]));
}

#[tokio::test]
async fn what_is_wrong_with_a_certificate_is_said_in_words() {
    let ca = Authority::new("Test CA").unwrap();
    let other = Authority::new("Somebody's CA").unwrap();
    let wish = Wish::dns(&["example.com"]);
    let (past, future) =
        (Date::from_unix_millis(1_577_836_800_000), Date::from_unix_millis(4_102_444_800_000));
    let expired = wish.clone().valid(Date::from_unix_millis(0), past);
    let not_yet = wish.clone().valid(future, future.plus(Duration::from_secs(86_400)));
    let mut for_mail = wish.clone();
    for_mail.purposes = vec![Purpose::Other];
    let neither = "its extended key usage allows neither serverAuth nor clientAuth";

    for (issued, words) in [
        (ca.issue(&expired), "expired on 2020-01-01"),
        (ca.issue(&not_yet), "not valid before 2100-01-01"),
        (ca.issue(&for_mail), neither),
        (other.issue(&wish), "issuer unknown: CN=Somebody's CA"),
        (Issued::self_signed(&wish), "self-signed"),
    ] {
        let facts = shown_to_server(&ca, &issued.unwrap()).await;

        let peer = facts.peer.unwrap();
        assert_eq!(peer.trust, TrustVerdict::Untrusted(words.to_owned()));
        assert_eq!(peer.names.dns, ["example.com"]);
    }
}

#[tokio::test]
async fn a_pinned_certificate_is_trusted_whoever_issued_it() {
    let own = Issued::self_signed(&Wish::dns(&["example.com"])).unwrap();
    let ca = Authority::new("Test CA").unwrap();
    let facts = shown_to_server(&ca, &own).await;
    let mut spec = ours(&ca, "server.example");
    spec.trusts[0].pins = vec![facts.peer.unwrap().sha256];

    let facts = shown_to(spec, &ca, &own).await;

    assert_eq!(facts.peer.unwrap().trust, TrustVerdict::Trusted);
}

#[tokio::test]
async fn a_chain_is_judged_again_by_roots_that_decide_only_later() {
    let (ca, other) = (Authority::new("Test CA").unwrap(), Authority::new("Somebody's CA").unwrap());
    let mut theirs = other.issue(&Wish::dns(&["example.com"])).unwrap();
    theirs.certificate.push_str(other.pem());
    let mut spec = ours(&ca, "server.example");
    spec.trusts.push(other.trust("theirs"));

    let peer = shown_to(spec, &ca, &theirs).await.peer.unwrap();

    let unknown = TrustVerdict::Untrusted("issuer unknown: CN=Somebody's CA".to_owned());
    assert_eq!(peer.trust, unknown);
    assert_eq!(peer.chain.by_trust(&Trust("theirs".into())), TrustVerdict::Trusted);
    assert!(matches!(peer.chain.by_trust(&Trust("absent".into())), TrustVerdict::Untrusted(_)));
    let issuer = &peer.chain.issuers[0];
    assert_eq!(peer.chain.by_anchor(&issuer.der), TrustVerdict::Trusted);
    assert_eq!(peer.chain.by_anchor(&CertificateDer::from_pem_slice(ca.pem().as_bytes()).unwrap()), unknown);
    assert!(matches!(peer.chain.by_anchor(b"no certificate"), TrustVerdict::Untrusted(_)));
    let is_part = |whole: &[u8], part: &[u8]| whole.windows(part.len()).any(|window| window == part);
    assert!(peer.chain.public_key.len() > 64 && is_part(&peer.der, &peer.chain.public_key));
    assert!(issuer.public_key.len() > 64 && is_part(&issuer.der, &issuer.public_key));
}

#[tokio::test]
async fn a_client_without_a_certificate_is_let_in_without_a_name() {
    let ca = Authority::new("Test CA").unwrap();
    let setting = Setting { tls: ours(&ca, "server.example"), ..Setting::listening(direct(&[])) };
    let mut server = setting.start();
    let mut client = Setting { tls: ours(&ca, "client.example"), ..Setting::default() }.start();
    let mut nameless = asking("server.example");
    nameless.identity = None;

    client.dial(Remote::Address(server.addresses[0]), Some(nameless)).await;

    let (_, facts) = server.accepted().await;
    assert_eq!(facts.unwrap().peer, None);
}

#[tokio::test]
async fn the_certificate_that_fits_the_name_is_shown() {
    let ca = Authority::new("Test CA").unwrap();
    let mut spec = ours(&ca, "server.example");
    spec.identities.push(ca.issue(&Wish::dns(&["*.wild.example"])).unwrap().identity("wild"));
    spec.identities
        .push(ca.issue(&Wish::default().srv(&["_xmpp-server.srv.example"])).unwrap().identity("srv"));
    let mut server = Setting { tls: spec, ..Setting::listening(direct(&[])) }.start();
    let mut client = Setting { tls: ours(&ca, "client.example"), ..Setting::default() }.start();

    for (asked, shown) in [
        ("a.wild.example", "*.wild.example"),
        ("srv.example", "_xmpp-server.srv.example"),
        ("unknown.example", "server.example"),
    ] {
        client.dial(Remote::Address(server.addresses[0]), Some(asking(asked))).await;
        let peer = client.connected().await.unwrap().peer.unwrap();
        server.accepted().await;
        assert_eq!(peer.subject, format!("CN={shown}"));
    }
}

#[tokio::test]
async fn a_reloaded_certificate_is_shown_from_then_on() {
    let directory = Directory::new("reload");
    let ca = Authority::new("Test CA").unwrap();
    let write = |name: &str| ca.issue(&Wish::dns(&[name])).unwrap().write(&directory.0, "server").unwrap();
    let (certificate, key) = write("old.example");
    let mut spec = ours(&ca, "server.example");
    spec.identities = vec![from_files(certificate, key)];
    let mut server = Setting { tls: spec, ..Setting::listening(direct(&[])) }.start();
    let mut client = Setting { tls: ours(&ca, "client.example"), ..Setting::default() }.start();

    for (before, shown) in [(None, "old.example"), (Some("new.example"), "new.example")] {
        if let Some(name) = before {
            write(name);
            server.tls.reload().unwrap();
        }
        client.dial(Remote::Address(server.addresses[0]), Some(asking("x.example"))).await;
        let peer = client.connected().await.unwrap().peer.unwrap();
        server.accepted().await;
        assert_eq!(peer.names.dns, [shown]);
    }
    std::fs::remove_file(directory.0.join("server.key")).unwrap();
    assert_eq!(server.tls.reload().unwrap_err().len(), 1);
    assert_eq!(server.tls.identities()[0].names.dns, ["new.example"]);
}

#[tokio::test]
async fn a_peer_that_speaks_no_tls_is_an_incident() {
    let ca = Authority::new("Test CA").unwrap();
    let mut server = Setting { tls: ours(&ca, "server.example"), ..Setting::listening(direct(&[])) }.start();

    let mut peer = TcpStream::connect(server.addresses[0]).await.unwrap();
    peer.write_all(b"<?xml version='1.0'?><stream:stream>").await.unwrap();

    let Some(Incident::HandshakeFailed { reason, .. }) = soon(server.incidents.recv()).await else {
        panic!()
    };
    assert_eq!(reason, "peer does not speak TLS here");
}

#[tokio::test]
async fn a_peer_with_other_ciphers_is_told_apart() {
    let ca = Authority::new("Test CA").unwrap();
    let mut server = Setting { tls: ours(&ca, "server.example"), ..Setting::listening(direct(&[])) }.start();
    let address = server.addresses[0];
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    // Our certificate has an ECDSA key.
    provider.cipher_suites.retain(|suite| format!("{:?}", suite.suite()).starts_with("TLS_ECDHE_RSA"));
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();

    let shaking = tokio::task::spawn_blocking(move || {
        let name = "server.example".try_into().unwrap();
        let mut connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
        connection.complete_io(&mut std::net::TcpStream::connect(address).unwrap())
    });

    let Some(Incident::HandshakeFailed { reason, .. }) = soon(server.incidents.recv()).await else {
        panic!()
    };
    let offered = "no common cipher suite with the client, offered TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, ";
    assert!(reason.starts_with(offered) && reason.contains("ECDSA certificate"), "{reason}");
    assert!(soon(shaking).await.unwrap().is_err());
}

#[tokio::test]
async fn a_server_that_takes_no_servers_certificate_from_clients_is_heard() {
    let (ca, strict) = (Authority::new("Test CA").unwrap(), Authority::new("Strict CA").unwrap());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let issued = strict.issue(&Wish::dns(&["server.example"])).unwrap();
    let serving = tokio::task::spawn_blocking(move || {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(strict.pem().as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(
            Arc::new(roots),
            Arc::clone(&provider),
        );
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(
                vec![CertificateDer::from_pem_slice(issued.certificate.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).unwrap(),
            )
            .unwrap();
        let mut connection = rustls::ServerConnection::new(Arc::new(config)).unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        let outcome = connection.complete_io(&mut stream);
        // Reads to the end, so that the alert is not lost to a reset.
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
        outcome
    });
    let mut client = Setting { tls: ours(&ca, "client.example"), ..Setting::default() }.start();

    client.dial(Remote::Address(address), Some(asking("server.example"))).await;

    client.connected().await;
    assert_eq!(
        client.closed().await.unwrap(),
        "TLS: peer rejected our certificate (alert unsupported_certificate)"
    );
    drop(client);
    assert!(soon(serving).await.unwrap().is_err());
}

/// A peer that is not made of this crate: says something under TLS and closes in order.
fn stranger_says(peer: TcpStream, words: &str) {
    let mut peer = peer.into_std().unwrap();
    peer.set_nonblocking(false).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone(provider)))
        .with_no_client_auth();
    let name = "server.example".try_into().unwrap();
    let mut connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    rustls::Stream::new(&mut connection, &mut peer).write_all(words.as_bytes()).unwrap();
    connection.send_close_notify();
    connection.complete_io(&mut peer).unwrap();
}

#[derive(Debug)]
struct Anyone(Arc<rustls::crypto::CryptoProvider>);

impl rustls::client::danger::ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &rustls::pki_types::ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// One certificate of `ca` under the name `own`, and trust in `ca` under the name `partners`.
fn ours(ca: &Authority, name: &str) -> TlsSpec {
    let own = ca.issue(&Wish::dns(&[name])).unwrap();
    TlsSpec { identities: vec![own.identity("own")], trusts: vec![ca.trust("partners")] }
}

fn own() -> Identity {
    Identity("own".into())
}

fn partners() -> Trust {
    Trust("partners".into())
}

fn asking(name: &str) -> TlsClient {
    TlsClient { name: name.to_owned(), identity: Some(own()), trust: partners(), alpn: Vec::new() }
}

fn start_as_server(connection: net_types::ConnectionId) -> Order {
    Order::StartTlsAsServer { connection, server: Box::new(TlsServer { identity: own(), trust: partners() }) }
}

fn direct(alpn: &[&str]) -> ListenerKind {
    let alpn = alpn.iter().map(|&protocol| protocol.to_owned()).collect();
    ListenerKind::DirectTls { server: TlsServer { identity: own(), trust: partners() }, alpn }
}

fn from_files(certificate: std::path::PathBuf, key: std::path::PathBuf) -> IdentitySpec {
    let file = net::tls::PemSource::File;
    IdentitySpec {
        name: own(),
        certificate: file(certificate),
        key: file(key),
        library: Library::Rustls,
        place: "test".to_owned(),
    }
}

/// Returns what a server that trusts `ca` sees of a client that shows `issued`.
async fn shown_to_server(ca: &Authority, issued: &Issued) -> Box<TlsFacts> {
    shown_to(ours(ca, "server.example"), ca, issued).await
}

async fn shown_to(server: TlsSpec, ca: &Authority, issued: &Issued) -> Box<TlsFacts> {
    let mut server = Setting { tls: server, ..Setting::listening(direct(&[])) }.start();
    let tls = TlsSpec { identities: vec![issued.identity("own")], trusts: vec![ca.trust("partners")] };
    let mut client = Setting { tls, ..Setting::default() }.start();
    client.dial(Remote::Address(server.addresses[0]), Some(asking("server.example"))).await;
    server.accepted().await.1.unwrap()
}

async fn connect_failed(client: &mut Stage) -> (Reached, String) {
    match client.event().await {
        Event::ConnectFailed { stage, reason, .. } => (stage, reason),
        other => panic!("heard {other:?}"),
    }
}

/// A directory of its own for one test.
struct Directory(std::path::PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("gangway-net-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
