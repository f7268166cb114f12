//! Reads certificates, keys and trust from PEM, and says what is wrong with them.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use net_types::{Identity, Trust};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::facts::{self, Trusted};

/// Where PEM comes from.
#[derive(Clone, Debug)]
pub enum PemSource {
    /// A file, read again at each reload.
    File(PathBuf),
    /// Made in this process, under a name for errors.
    Memory {
        /// What errors call it.
        name: String,
        /// The PEM itself.
        pem: Arc<str>,
    },
}

/// A certificate chain with its key, to be loaded under a name.
#[derive(Clone, Debug)]
pub struct IdentitySpec {
    /// What orders call it.
    pub name: Identity,
    /// The certificate, then its intermediates.
    pub certificate: PemSource,
    /// The private key.
    pub key: PemSource,
    /// Which library shakes hands with it.
    pub library: Library,
    /// Where the setting stands; errors begin with it.
    pub place: String,
}

/// A library that speaks TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Library {
    /// For everybody but old SIP servers.
    #[default]
    Rustls,
    /// For SIP servers that share no cipher suite with the other; only with the build's feature `openssl-sip`.
    OpenSsl,
}

impl Library {
    /// Tells whether this build has it.
    #[must_use]
    pub const fn is_built(self) -> bool {
        match self {
            Self::Rustls => true,
            Self::OpenSsl => cfg!(feature = "openssl-sip"),
        }
    }
}

/// A set of trust, to be loaded under a name.
#[derive(Clone, Debug)]
pub struct TrustSpec {
    /// What orders call it.
    pub name: Trust,
    /// Certificates of authorities. A server's own certificate may stand here too: then it is trusted itself.
    pub authorities: Vec<PemSource>,
    /// Whether the operating system's authorities are trusted too.
    pub native_roots: bool,
    /// SHA-256 of certificates that are trusted themselves.
    pub pins: Vec<[u8; 32]>,
    /// Where the setting stands; errors begin with it.
    pub place: String,
}

/// What is wrong with certificates, a key or trust: where the setting stands, which file, and what to do.
#[derive(Debug, PartialEq, Eq)]
pub struct LoadError {
    /// Where the setting stands.
    pub place: String,
    /// The file, or the name of what was made in memory.
    pub file: String,
    /// What is wrong.
    pub flaw: Flaw,
}

/// What may be wrong with a PEM file.
#[derive(Debug, PartialEq, Eq)]
pub enum Flaw {
    /// It does not exist.
    Missing,
    /// We may not read it.
    Forbidden,
    /// It cannot be read, in words.
    Unreadable(String),
    /// It is not PEM, in words.
    NotPem(String),
    /// It is PEM without a certificate.
    NoCertificate,
    /// It is PEM without a private key.
    NoKey,
    /// It holds a certificate that cannot be used, in words.
    BadCertificate(String),
    /// It holds a key that cannot be used, in words.
    BadKey(String),
    /// The key belongs to another certificate than the one in this file.
    KeyOfAnotherCertificate {
        /// Where the certificate is.
        certificate: String,
    },
    /// Every user of this machine may read the key.
    KeyReadableByEveryone,
    /// The library that is to use it is not in this build.
    NoOpenSsl,
    /// The operating system has no authorities to trust, in words.
    NoNativeRoots(String),
}

impl fmt::Display for LoadError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, file, flaw } = self;
        write!(out, "{place}: {file}: ")?;
        match flaw {
            Flaw::Missing => out.write_str("no such file; correct the path, or put the file there"),
            Flaw::Forbidden => write!(
                out,
                "permission denied; let our user read it (chgrp to our group, chmod 640, and x on its directories)"
            ),
            Flaw::Unreadable(reason) => write!(out, "cannot be read: {reason}"),
            Flaw::NotPem(reason) => write!(
                out,
                "not PEM ({reason}); convert it, for example: openssl x509 -inform der -in {file} -out {file}.pem"
            ),
            Flaw::NoCertificate => {
                out.write_str("no certificate in it; it must hold a -----BEGIN CERTIFICATE----- block")
            }
            Flaw::NoKey => out.write_str(
                "no private key in it; it must hold an unencrypted -----BEGIN PRIVATE KEY----- block",
            ),
            Flaw::BadCertificate(reason) => write!(out, "unusable certificate: {reason}"),
            Flaw::BadKey(reason) => write!(out, "unusable private key: {reason}"),
            Flaw::KeyOfAnotherCertificate { certificate } => write!(
                out,
                "the key does not belong to the first certificate in {certificate}; give the pair that was issued \
                 together, the server's own certificate first"
            ),
            Flaw::KeyReadableByEveryone => {
                write!(out, "the private key can be read by every user of this machine; chmod 640 {file}")
            }
            Flaw::NoOpenSsl => out.write_str(
                "it is for OpenSSL, which this build is without; build with --features openssl-sip, or use rustls",
            ),
            Flaw::NoNativeRoots(reason) => write!(
                out,
                "no authorities found on this machine ({reason}); install ca-certificates, or name the files"
            ),
        }
    }
}

impl std::error::Error for LoadError {}

/// A certificate with its key, loaded.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) name: Identity,
    pub(super) certified: Arc<CertifiedKey>,
    /// For OpenSSL, if that shakes hands with it.
    #[cfg(feature = "openssl-sip")]
    pub(super) openssl: Option<super::openssl::Prepared>,
    pub(super) says: facts::Read,
}

pub(super) fn identity(spec: &IdentitySpec, provider: &CryptoProvider) -> Result<Loaded, LoadError> {
    let chain = certificates(&spec.certificate, &spec.place)?;
    let flaw = |source: &PemSource, flaw| LoadError { place: spec.place.clone(), file: source.name(), flaw };
    let Some(own) = chain.first() else { return Err(flaw(&spec.certificate, Flaw::NoCertificate)) };
    let says = facts::read(own).map_err(|reason| flaw(&spec.certificate, Flaw::BadCertificate(reason)))?;

    let pem = spec.key.read().map_err(|found| flaw(&spec.key, found))?;
    let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| {
        flaw(
            &spec.key,
            match error {
                pem::Error::NoItemsFound => Flaw::NoKey,
                error => Flaw::NotPem(error.to_string()),
            },
        )
    })?;
    if let PemSource::File(path) = &spec.key {
        refuse_public_key_file(path).map_err(|found| flaw(&spec.key, found))?;
    }
    let key = provider
        .key_provider
        .load_private_key(key)
        .map_err(|error| flaw(&spec.key, Flaw::BadKey(error.to_string())))?;
    if !spec.library.is_built() {
        return Err(flaw(&spec.certificate, Flaw::NoOpenSsl));
    }
    #[cfg(feature = "openssl-sip")]
    let openssl = match spec.library {
        Library::Rustls => None,
        Library::OpenSsl => {
            let prepared = super::openssl::Prepared::new(&chain, &pem);
            Some(prepared.map_err(|reason| flaw(&spec.certificate, Flaw::BadCertificate(reason)))?)
        }
    };
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) => {}
        Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::KeyMismatch)) => {
            return Err(flaw(
                &spec.key,
                Flaw::KeyOfAnotherCertificate { certificate: spec.certificate.name() },
            ));
        }
        Err(error) => return Err(flaw(&spec.key, Flaw::BadKey(error.to_string()))),
    }
    Ok(Loaded {
        name: spec.name.clone(),
        certified: Arc::new(certified),
        #[cfg(feature = "openssl-sip")]
        openssl,
        says,
    })
}

pub(super) fn trust(spec: &TrustSpec) -> Result<Trusted, Vec<LoadError>> {
    let mut trusted = Trusted { pins: spec.pins.clone(), ..Trusted::default() };
    let mut errors = Vec::new();
    for source in &spec.authorities {
        match authorities(source, &spec.place) {
            Ok(found) => {
                for certificate in &found {
                    trusted.pins.push(facts::sha256(certificate));
                    add_anchor(certificate, &mut trusted);
                }
            }
            Err(error) => errors.push(error),
        }
    }
    if spec.native_roots {
        let native = rustls_native_certs::load_native_certs();
        for certificate in &native.certs {
            add_anchor(certificate, &mut trusted);
        }
        if native.certs.is_empty() {
            let reason =
                native.errors.first().map_or_else(|| "nothing there".to_owned(), ToString::to_string);
            errors.push(LoadError {
                place: spec.place.clone(),
                file: "the operating system's trust".to_owned(),
                flaw: Flaw::NoNativeRoots(reason),
            });
        }
    }
    if errors.is_empty() { Ok(trusted) } else { Err(errors) }
}

fn authorities(source: &PemSource, place: &str) -> Result<Vec<CertificateDer<'static>>, LoadError> {
    let found = certificates(source, place)?;
    match found.iter().find_map(|certificate| facts::read(certificate).err()) {
        None => Ok(found),
        Some(reason) => Err(LoadError {
            place: place.to_owned(),
            file: source.name(),
            flaw: Flaw::BadCertificate(reason),
        }),
    }
}

/// Adds an authority; what the chain builder cannot read as one stays trusted only as itself.
fn add_anchor(certificate: &CertificateDer<'_>, trusted: &mut Trusted) {
    match webpki::anchor_from_trusted_cert(certificate) {
        Ok(anchor) => trusted.anchors.push(anchor.to_owned()),
        Err(error) => tracing::debug!(?error, "a certificate in a trust file is no authority's"),
    }
}

fn certificates(source: &PemSource, place: &str) -> Result<Vec<CertificateDer<'static>>, LoadError> {
    let flaw = |flaw| LoadError { place: place.to_owned(), file: source.name(), flaw };
    let pem = source.read().map_err(flaw)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let found = found.map_err(|error| flaw(Flaw::NotPem(error.to_string())))?;
    if found.is_empty() {
        let looks_like_der = pem.first() == Some(&0x30);
        return Err(flaw(if looks_like_der {
            Flaw::NotPem("it looks like DER".to_owned())
        } else {
            Flaw::NoCertificate
        }));
    }
    Ok(found)
}

impl PemSource {
    fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Memory { name, .. } => name.clone(),
        }
    }

    fn read(&self) -> Result<Vec<u8>, Flaw> {
        match self {
            Self::Memory { pem, .. } => Ok(pem.as_bytes().to_vec()),
            Self::File(path) => std::fs::read(path).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => Flaw::Missing,
                io::ErrorKind::PermissionDenied => Flaw::Forbidden,
                _ => Flaw::Unreadable(error.to_string()),
            }),
        }
    }
}

/// A key that every user may read is a key that nobody owns.
#[cfg(unix)]
fn refuse_public_key_file(path: &Path) -> Result<(), Flaw> {
    use std::os::unix::fs::PermissionsExt;

    match std::fs::metadata(path) {
        Ok(metadata) if metadata.permissions().mode() & 0o004 != 0 => Err(Flaw::KeyReadableByEveryone),
        // What else is wrong shows when it is read.
        Ok(_) | Err(_) => Ok(()),
    }
}

#[cfg(not(unix))]
fn refuse_public_key_file(_path: &Path) -> Result<(), Flaw> {
    Ok(())
}
