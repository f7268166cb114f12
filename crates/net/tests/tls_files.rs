//! What an operator reads about certificates and keys that cannot be used.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::{Path, PathBuf};

use net::TlsRegistry;
use net::throwaway::{Authority, Issued, Wish};
use net::tls::{IdentitySpec, Library, PemSource, TlsSpec, TrustSpec};
use net_types::{Identity, Trust};

#[test]
fn a_key_of_another_certificate_names_both_files() {
    let files = Files::new("mismatch");
    let (certificate, _) = files.put("one", &issued());
    let (_, key) = files.put("two", &issued());

    let words = load(&certificate, &key);

    assert_eq!(
        words,
        format!(
            "gangway.toml:7: {}: the key does not belong to the first certificate in {}; give the pair that was issued \
             together, the server's own certificate first",
            key.display(),
            certificate.display()
        )
    );
}

#[test]
fn a_missing_file_is_named() {
    let files = Files::new("missing");
    let (certificate, _) = files.put("one", &issued());
    let key = files.0.join("absent.key");

    let words = load(&certificate, &key);

    let path = key.display();
    assert_eq!(
        words,
        format!("gangway.toml:7: {path}: no such file; correct the path, or put the file there")
    );
}

#[cfg(unix)]
#[test]
fn a_key_that_everyone_may_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;

    let files = Files::new("public");
    let (certificate, key) = files.put("one", &issued());
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();

    let words = load(&certificate, &key);

    let path = key.display();
    let flaw = "the private key can be read by every user of this machine; chmod 640";
    assert_eq!(words, format!("gangway.toml:7: {path}: {flaw} {path}"));
}

#[test]
fn files_without_what_they_should_hold_are_told_apart() {
    let files = Files::new("empty");
    let (certificate, key) = files.put("one", &issued());
    let empty = files.write("empty.pem", b"");
    let der = files.write("binary.der", &[0x30, 0x82, 1, 2]);

    assert!(load(&empty, &key).contains("no certificate in it"));
    assert!(load(&certificate, &certificate).contains("no private key in it"));
    assert!(load(&der, &key).contains("not PEM (it looks like DER)"));
}

#[test]
fn everything_wrong_is_told_at_once() {
    let missing = |name: &str| PemSource::File(PathBuf::from(format!("/nonexistent/{name}")));
    let identity = identity(missing("a.pem"), missing("a.key"));
    let trust = TrustSpec {
        name: Trust("partners".into()),
        authorities: vec![missing("ca.pem"), missing("other.pem")],
        native_roots: false,
        pins: Vec::new(),
        place: "gangway.toml:9".to_owned(),
    };

    let errors = TlsRegistry::load(TlsSpec { identities: vec![identity], trusts: vec![trust] }).unwrap_err();

    let files: Vec<_> = errors.iter().map(|error| error.file.as_str()).collect();
    assert_eq!(files, ["/nonexistent/a.pem", "/nonexistent/ca.pem", "/nonexistent/other.pem"]);
}

fn issued() -> Issued {
    Authority::new("Test CA").unwrap().issue(&Wish::dns(&["example.com"])).unwrap()
}

fn identity(certificate: PemSource, key: PemSource) -> IdentitySpec {
    IdentitySpec {
        name: Identity("own".into()),
        certificate,
        key,
        library: Library::Rustls,
        place: "gangway.toml:7".to_owned(),
    }
}

#[track_caller]
fn load(certificate: &Path, key: &Path) -> String {
    let identity = identity(PemSource::File(certificate.to_path_buf()), PemSource::File(key.to_path_buf()));
    let errors = TlsRegistry::load(TlsSpec { identities: vec![identity], trusts: Vec::new() }).unwrap_err();
    assert_eq!(errors.len(), 1);
    errors[0].to_string()
}

/// A directory of its own for one test.
struct Files(PathBuf);

impl Files {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("gangway-net-files-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn put(&self, name: &str, issued: &Issued) -> (PathBuf, PathBuf) {
        issued.write(&self.0, name).unwrap()
    }

    fn write(&self, name: &str, octets: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, octets).unwrap();
        path
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
