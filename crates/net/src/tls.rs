//! Certificates, trust and handshakes, by the names that orders carry.
//!
//! A [`TlsRegistry`] holds what the operator configured, loaded, and can be loaded again while handshakes
//! run: each uses what was current when it began. No certificate is refused in a handshake; it is
//! judged afterwards and told as [`TlsFacts`].

mod choose;
mod facts;
mod load;
#[cfg(feature = "openssl-sip")]
mod openssl;
pub(crate) mod session;
mod verify;
pub(crate) mod words;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use clock_types::Date;
use net_types::{CertificateNames, Identity, Purpose, TlsClient, TlsFacts, TlsServer, TlsVersion, Trust};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};

pub use load::{Flaw, IdentitySpec, Library, LoadError, PemSource, TrustSpec};

use choose::{Always, BySni};
use facts::Trusts;
use load::Loaded;
use session::{Session, Shown};
use verify::Possession;

/// Everything TLS that the operator configured, to be loaded.
#[derive(Clone, Debug, Default)]
pub struct TlsSpec {
    /// Our certificates.
    pub identities: Vec<IdentitySpec>,
    /// Whom we trust.
    pub trusts: Vec<TrustSpec>,
}

/// Everything TLS, loaded; shared by all drivers of a process.
#[derive(Debug)]
pub struct TlsRegistry {
    provider: Arc<CryptoProvider>,
    spec: Mutex<TlsSpec>,
    current: ArcSwap<Snapshot>,
}

/// What a loaded identity says of itself, for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityStatus {
    /// What orders call it.
    pub name: Identity,
    /// Whom it speaks for.
    pub names: CertificateNames,
    /// Its first day.
    pub not_before: Date,
    /// Its last day.
    pub not_after: Date,
    /// What it may be used for; empty means anything.
    pub purposes: Vec<Purpose>,
}

#[derive(Debug)]
struct Snapshot {
    identities: Arc<[Loaded]>,
    trusts: Arc<Trusts>,
    /// Made once for each use, because they hold the sessions that can be resumed.
    servers: Prepared<Identity, ServerConfig>,
    clients: Prepared<Option<Identity>, ClientConfig>,
}

/// Configurations by whose certificate they show and which protocols they speak; as many as the settings name.
type Prepared<Shown, Config> = Mutex<BTreeMap<(Shown, Vec<String>), Arc<Config>>>;

impl TlsRegistry {
    /// Loads everything that `spec` names.
    ///
    /// # Errors
    ///
    /// Returns everything that is wrong, not only the first.
    pub fn load(spec: TlsSpec) -> Result<Self, Vec<LoadError>> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let snapshot = Snapshot::load(&spec, &provider)?;
        Ok(Self { provider, spec: Mutex::new(spec), current: ArcSwap::from_pointee(snapshot) })
    }

    /// Reads the files again; handshakes that begin later use what is in them.
    ///
    /// # Errors
    ///
    /// Returns everything that is wrong; then what was loaded before stays in use.
    pub fn reload(&self) -> Result<(), Vec<LoadError>> {
        let spec = self.spec.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.replace(spec)
    }

    /// Loads another configuration in place of this one.
    ///
    /// # Errors
    ///
    /// Returns everything that is wrong; then what was loaded before stays in use.
    pub fn replace(&self, spec: TlsSpec) -> Result<(), Vec<LoadError>> {
        let snapshot = Snapshot::load(&spec, &self.provider)?;
        self.current.store(Arc::new(snapshot));
        *self.spec.lock().unwrap_or_else(PoisonError::into_inner) = spec;
        Ok(())
    }

    /// Returns our certificates, as loaded.
    #[must_use]
    pub fn identities(&self) -> Vec<IdentityStatus> {
        let current = self.current.load();
        let status = |loaded: &Loaded| IdentityStatus {
            name: loaded.name.clone(),
            names: loaded.says.names.clone(),
            not_before: loaded.says.not_before,
            not_after: loaded.says.not_after,
            purposes: loaded.says.purposes.clone(),
        };
        current.identities.iter().map(status).collect()
    }

    /// Begins a handshake as the client.
    pub(crate) fn client(&self, client: &TlsClient) -> Result<Session, String> {
        #[cfg(feature = "openssl-sip")]
        if let Some(prepared) = self.current.load().openssl(client.identity.as_ref()) {
            return prepared
                .client(&client.name, &client.alpn)
                .map(|session| Session::OpenSsl(Box::new(session)));
        }
        let name = ServerName::try_from(client.name.clone())
            .map_err(|_| format!("`{}` is no name to ask for in TLS", client.name))?;
        let config = self.current.load().client_config(client, &self.provider)?;
        let connection = ClientConnection::new(config, name).map_err(|error| words::tls_in_words(&error))?;
        Ok(Connection::Client(connection).into())
    }

    /// Begins a handshake as the server, accepting these protocols; none accepts any.
    pub(crate) fn server(&self, server: &TlsServer, alpn: &[String]) -> Result<Session, String> {
        #[cfg(feature = "openssl-sip")]
        if let Some(prepared) = self.current.load().openssl(Some(&server.identity)) {
            return prepared.server().map(|session| Session::OpenSsl(Box::new(session)));
        }
        let config = self.current.load().server_config(server, alpn, &self.provider)?;
        let connection = ServerConnection::new(config).map_err(|error| words::tls_in_words(&error))?;
        Ok(Connection::Server(connection).into())
    }

    /// Returns what a handshake that is over showed, judged by `trust` and today's date.
    pub(crate) fn facts(&self, session: &Session, trust: &Trust) -> TlsFacts {
        let Shown { is_tls13, cipher, alpn, server_name, chain } = session.shown();
        let current = self.current.load();
        let algorithms = &self.provider.signature_verification_algorithms;
        let peer = facts::judge(&chain, trust, &current.trusts, algorithms, crate::clock::date());
        let version = if is_tls13 { TlsVersion::Tls13 } else { TlsVersion::Tls12 };
        TlsFacts { version, cipher, alpn, server_name, peer: peer.map(Arc::new) }
    }
}

impl Snapshot {
    fn load(spec: &TlsSpec, provider: &CryptoProvider) -> Result<Self, Vec<LoadError>> {
        let mut errors = Vec::new();
        let mut identities = Vec::new();
        for identity in &spec.identities {
            match load::identity(identity, provider) {
                Ok(loaded) => identities.push(loaded),
                Err(error) => errors.push(error),
            }
        }
        let mut trusts = BTreeMap::new();
        for trust in &spec.trusts {
            match load::trust(trust) {
                Ok(loaded) => {
                    trusts.insert(trust.name.clone(), loaded);
                }
                Err(found) => errors.extend(found),
            }
        }
        if errors.is_empty() {
            let (servers, clients) = (Mutex::default(), Mutex::default());
            Ok(Self { identities: identities.into(), trusts: Arc::new(trusts), servers, clients })
        } else {
            Err(errors)
        }
    }

    /// Returns what speaks for us by OpenSSL, if this certificate is for that.
    #[cfg(feature = "openssl-sip")]
    fn openssl(&self, name: Option<&Identity>) -> Option<openssl::Prepared> {
        let found = self.identities.iter().find(|loaded| Some(&loaded.name) == name)?;
        found.openssl.clone()
    }

    fn identity(&self, name: &Identity) -> Result<&Loaded, String> {
        let found = self.identities.iter().find(|loaded| loaded.name == *name);
        found.ok_or_else(|| format!("our certificate `{}` is not loaded", name.0))
    }

    fn client_config(
        &self,
        client: &TlsClient,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<ClientConfig>, String> {
        let key = (client.identity.clone(), client.alpn.clone());
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = clients.get(&key) {
            return Ok(Arc::clone(config));
        }
        let builder = ClientConfig::builder_with_provider(Arc::clone(provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| words::tls_in_words(&error))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Possession(Arc::clone(provider))));
        let mut config = match &client.identity {
            Some(name) => {
                let certified = Arc::clone(&self.identity(name)?.certified);
                builder.with_client_cert_resolver(Arc::new(Always(certified)))
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = wire_alpn(&client.alpn);
        let config = Arc::new(config);
        clients.insert(key, Arc::clone(&config));
        Ok(config)
    }

    fn server_config(
        &self,
        server: &TlsServer,
        alpn: &[String],
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<ServerConfig>, String> {
        let key = (server.identity.clone(), alpn.to_vec());
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = servers.get(&key) {
            return Ok(Arc::clone(config));
        }
        let fallback = Arc::clone(&self.identity(&server.identity)?.certified);
        let chosen = BySni { identities: Arc::clone(&self.identities), fallback };
        let mut config = ServerConfig::builder_with_provider(Arc::clone(provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| words::tls_in_words(&error))?
            .with_client_cert_verifier(Arc::new(Possession(Arc::clone(provider))))
            .with_cert_resolver(Arc::new(chosen));
        config.alpn_protocols = wire_alpn(alpn);
        let config = Arc::new(config);
        servers.insert(key, Arc::clone(&config));
        Ok(config)
    }
}

fn wire_alpn(alpn: &[String]) -> Vec<Vec<u8>> {
    alpn.iter().map(|protocol| protocol.clone().into_bytes()).collect()
}
