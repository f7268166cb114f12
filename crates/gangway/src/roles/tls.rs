//! Certificates and trust, from the configuration to what is loaded.

use std::sync::Arc;

use net::tls::{IdentitySpec, Library, PemSource, TlsSpec, TrustSpec};
use net_types::{Identity, Trust};

use crate::config::Reading;
use crate::config::check::SYSTEM;
use crate::config::model::{Configuration, Partner};

/// Returns all that the configuration names.
pub fn spec(reading: &Reading, configuration: &Configuration) -> TlsSpec {
    let identities = configuration.identities.iter().map(|(name, files)| IdentitySpec {
        name: Identity(Arc::from(name.as_str())),
        certificate: PemSource::File(files.certificate.value.clone()),
        key: PemSource::File(files.key.value.clone()),
        library: library(configuration, name),
        place: format!("{} [identity.{name}]", reading.place(&files.span)),
    });
    let trusts = configuration.trusts.iter().map(|(name, files)| TrustSpec {
        name: Trust(Arc::from(name.as_str())),
        authorities: files.authorities.iter().map(|file| PemSource::File(file.value.clone())).collect(),
        native_roots: files.system,
        pins: Vec::new(),
        place: format!("{} [trust.{name}]", reading.place(&files.span)),
    });
    let partners = configuration.proxy.iter().flat_map(|proxy| &proxy.partners);
    let pinned = partners.filter(|partner| !partner.pins.is_empty()).map(|partner| TrustSpec {
        name: pins(partner),
        authorities: Vec::new(),
        native_roots: false,
        pins: partner.pins.clone(),
        place: format!("{} [[proxy.partner]] pins", reading.place(&partner.span)),
    });
    let mut trusts: Vec<TrustSpec> = trusts.chain(pinned).collect();
    if uses_system(configuration) {
        trusts.push(TrustSpec {
            name: Trust(Arc::from(SYSTEM)),
            authorities: Vec::new(),
            native_roots: true,
            pins: Vec::new(),
            place: format!("{} trust", reading.file().display()),
        });
    }
    TlsSpec { identities: identities.collect(), trusts }
}

/// Returns what shakes hands with a certificate: what its listener says.
fn library(configuration: &Configuration, identity: &str) -> Library {
    let listeners = configuration.gateway.iter().flat_map(|gateway| &gateway.listen);
    let mut its =
        listeners.filter(|listen| listen.identity.as_ref().is_some_and(|name| name.value == identity));
    if its.any(|listen| listen.open_ssl.value) { Library::OpenSsl } else { Library::Rustls }
}

/// Returns the name of the trust that holds a partner's pins. No operator's name has a colon.
pub fn pins(partner: &Partner) -> Trust {
    Trust(format!("pins:{}", partner.domain.value).into())
}

/// Whether the authorities of the operating system are wanted under their own name; they are read only
/// then, because a closed network may have none.
fn uses_system(configuration: &Configuration) -> bool {
    let of_proxy = configuration.proxy.as_ref().is_some_and(|proxy| {
        proxy.trust.value == SYSTEM
            || proxy
                .partners
                .iter()
                .any(|partner| partner.trust.as_ref().is_some_and(|name| name.value == SYSTEM))
            || proxy.link.as_ref().is_some_and(|link| link.trust.value == SYSTEM)
    });
    let of_gateway = configuration.gateway.as_ref().is_some_and(|gateway| {
        gateway.links.iter().any(|link| link.trust.value == SYSTEM)
            || gateway
                .listen
                .iter()
                .any(|listen| listen.trust.as_ref().is_some_and(|name| name.value == SYSTEM))
    });
    of_proxy || of_gateway
}
