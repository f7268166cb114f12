//! An authority to throw away, certificates of it, and addresses: for demonstrations, for a laboratory and for tests.

use std::fs;
use std::io;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clock_types::Date;
use net_types::{CertificateNames, Identity, Purpose, Trust};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};

use crate::tls::{IdentitySpec, Library, PemSource, TrustSpec};

/// An authority whose key lives in this process only.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// What a certificate is to say.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// Whom it speaks for; the first DNS name is also its common name.
    pub names: CertificateNames,
    /// What it may be used for; empty means anything.
    pub purposes: Vec<Purpose>,
    /// Its first day; `None` is yesterday.
    pub not_before: Option<Date>,
    /// Its last day; `None` is in thirty days.
    pub not_after: Option<Date>,
}

impl Wish {
    /// Wishes for a server of these DNS names.
    #[must_use]
    pub fn dns(names: &[&str]) -> Self {
        Self {
            names: CertificateNames { dns: owned(names), ..CertificateNames::default() },
            purposes: vec![Purpose::ServerAuth],
            ..Self::default()
        }
    }

    /// Adds SRVNames, such as `_xmpp-server.example.com` (RFC 4985).
    #[must_use]
    pub fn srv(mut self, names: &[&str]) -> Self {
        self.names.srv = owned(names);
        self
    }

    /// Adds xmppAddrs (RFC 6120 §13.7.1.4).
    #[must_use]
    pub fn xmpp_addr(mut self, names: &[&str]) -> Self {
        self.names.xmpp_addr = owned(names);
        self
    }

    /// Adds URIs, such as `sip:example.com` (RFC 5922).
    #[must_use]
    pub fn uri(mut self, names: &[&str]) -> Self {
        self.names.uri = owned(names);
        self
    }

    /// Makes it hold from one day to another.
    #[must_use]
    pub fn valid(mut self, not_before: Date, not_after: Date) -> Self {
        self.not_before = Some(not_before);
        self.not_after = Some(not_after);
        self
    }
}

/// Returns addresses of this host that were free a moment ago.
///
/// # Errors
/// The system has no free port.
pub fn free_addresses<const N: usize>(host: Ipv4Addr) -> io::Result<[SocketAddr; N]> {
    // All are held until all are known, so that they differ.
    let held = [(); N].map(|()| TcpListener::bind((host, 0)));
    let mut addresses = [SocketAddr::from((host, 0)); N];
    for (address, held) in addresses.iter_mut().zip(held.iter()) {
        *address = held.as_ref().map_err(|why| io::Error::from(why.kind()))?.local_addr()?;
    }
    Ok(addresses)
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

/// A certificate with its key, in PEM.
#[derive(Clone)]
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

impl std::fmt::Debug for Issued {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Issued")
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Authority")
    }
}

impl Authority {
    /// Makes an authority of this common name.
    ///
    /// # Errors
    ///
    /// When the name cannot be written into a certificate.
    pub fn new(name: &str) -> Result<Self, rcgen::Error> {
        let mut params = CertificateParams::default();
        params.distinguished_name = common_name(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        hold(&mut params, None, None);
        let key = KeyPair::generate()?;
        let pem = params.self_signed(&key)?.pem();
        Ok(Self { issuer: Issuer::new(params, key), pem })
    }

    /// Returns the authority's own certificate in PEM.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Issues a certificate.
    ///
    /// # Errors
    ///
    /// When a name cannot be written into a certificate.
    pub fn issue(&self, wish: &Wish) -> Result<Issued, rcgen::Error> {
        let key = KeyPair::generate()?;
        let certificate = params(wish).signed_by(&key, &self.issuer)?;
        Ok(Issued { certificate: certificate.pem(), key: key.serialize_pem() })
    }

    /// Returns the setting that trusts this authority, and nobody else, under a name.
    #[must_use]
    pub fn trust(&self, name: &str) -> TrustSpec {
        TrustSpec {
            name: Trust(Arc::from(name)),
            authorities: vec![memory("throw-away authority", &self.pem)],
            native_roots: false,
            pins: Vec::new(),
            place: "throw-away".to_owned(),
        }
    }
}

impl Issued {
    /// Makes a certificate that vouches for itself.
    ///
    /// # Errors
    ///
    /// When a name cannot be written into a certificate.
    pub fn self_signed(wish: &Wish) -> Result<Self, rcgen::Error> {
        let key = KeyPair::generate()?;
        let certificate = params(wish).self_signed(&key)?;
        Ok(Self { certificate: certificate.pem(), key: key.serialize_pem() })
    }

    /// Returns the setting that loads this pair under a name.
    #[must_use]
    pub fn identity(&self, name: &str) -> IdentitySpec {
        IdentitySpec {
            name: Identity(Arc::from(name)),
            certificate: memory("throw-away certificate", &self.certificate),
            key: memory("throw-away key", &self.key),
            library: Library::Rustls,
            place: "throw-away".to_owned(),
        }
    }

    /// Writes `name.pem` and `name.key`, the key for our user only, and returns their paths.
    ///
    /// # Errors
    ///
    /// When the operating system does not let us.
    pub fn write(&self, directory: &Path, name: &str) -> io::Result<(PathBuf, PathBuf)> {
        let certificate = directory.join(format!("{name}.pem"));
        let key = directory.join(format!("{name}.key"));
        fs::write(&certificate, &self.certificate)?;
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&key)?.write_all(self.key.as_bytes())?;
        Ok((certificate, key))
    }
}

fn memory(name: &str, pem: &str) -> PemSource {
    PemSource::Memory { name: name.to_owned(), pem: Arc::from(pem) }
}

fn params(wish: &Wish) -> CertificateParams {
    let mut params = CertificateParams::default();
    let names = &wish.names;
    let first = [&names.dns, &names.srv, &names.xmpp_addr, &names.uri].into_iter().flatten().next();
    params.distinguished_name = common_name(first.map_or("nobody", String::as_str));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = wish.purposes.iter().map(usage).collect();
    params.custom_extensions = vec![subject_alt_name(names)];
    hold(&mut params, wish.not_before, wish.not_after);
    params
}

fn usage(purpose: &Purpose) -> ExtendedKeyUsagePurpose {
    match purpose {
        Purpose::ServerAuth => ExtendedKeyUsagePurpose::ServerAuth,
        Purpose::ClientAuth => ExtendedKeyUsagePurpose::ClientAuth,
        Purpose::Other => ExtendedKeyUsagePurpose::EmailProtection,
    }
}

fn common_name(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn hold(params: &mut CertificateParams, not_before: Option<Date>, not_after: Option<Date>) {
    const DAY: i64 = 86_400_000;
    let today = crate::clock::date();
    let yesterday = Date::from_unix_millis(today.unix_millis() - DAY);
    let midnight = |date: Date| {
        let fields = date.fields();
        let small = |number: i64| u8::try_from(number).unwrap_or(1);
        date_time_ymd(i32::try_from(fields.year).unwrap_or(9999), small(fields.month), small(fields.day))
    };
    params.not_before = midnight(not_before.unwrap_or(yesterday));
    params.not_after = midnight(not_after.unwrap_or(today.plus(Duration::from_secs(30 * 86_400))));
}

/// Writes subjectAltName (RFC 5280 §4.2.1.6) by hand: SRVName is an IA5String, which the library cannot say.
fn subject_alt_name(names: &CertificateNames) -> CustomExtension {
    let mut all = Vec::new();
    for name in &names.dns {
        all.extend(element(0x82, name.as_bytes()));
    }
    for uri in &names.uri {
        all.extend(element(0x86, uri.as_bytes()));
    }
    for name in &names.srv {
        all.extend(other_name(ID_ON_DNS_SRV, &element(0x16, name.as_bytes())));
    }
    for address in &names.xmpp_addr {
        all.extend(other_name(ID_ON_XMPP_ADDR, &element(0x0c, address.as_bytes())));
    }
    CustomExtension::from_oid_content(&[2, 5, 29, 17], element(0x30, &all))
}

/// The last octet of id-on-dnsSRV (RFC 4985 §2).
const ID_ON_DNS_SRV: u8 = 7;
/// The last octet of id-on-xmppAddr (RFC 6120 §13.7.1.4).
const ID_ON_XMPP_ADDR: u8 = 5;

fn other_name(id_on: u8, value: &[u8]) -> Vec<u8> {
    // 1.3.6.1.5.5.7.8.x
    let mut content = element(0x06, &[0x2b, 6, 1, 5, 5, 7, 8, id_on]);
    content.extend(element(0xa0, value));
    element(0xa0, &content)
}

/// Writes one DER element; names longer than 64 kB are cut off by nobody, because nobody makes them.
fn element(tag: u8, value: &[u8]) -> Vec<u8> {
    let mut der = vec![tag];
    match u16::try_from(value.len()).unwrap_or(u16::MAX) {
        length @ 0..=0x7f => der.push(length.to_be_bytes()[1]),
        length @ 0x80..=0xff => der.extend([0x81, length.to_be_bytes()[1]]),
        length => {
            der.push(0x82);
            der.extend(length.to_be_bytes());
        }
    }
    der.extend_from_slice(value);
    der
}
