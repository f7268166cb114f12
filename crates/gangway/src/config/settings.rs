//! Every setting there is.

mod gateway;
mod proxy;

use super::schema::{Kind, Section, Setting, Shape, setting};

/// The whole file.
pub static ROOT: Section = Section {
    name: "",
    shape: Shape::Always,
    doc: "",
    settings: &[],
    children: &[&proxy::PROXY, &gateway::GATEWAY, &IDENTITY, &TRUST, &ADMIN, &LOG],
};

static IDENTITY: Section = Section {
    name: "identity",
    shape: Shape::Named,
    doc: "A certificate with its key, under a name that other settings use. Files are read again on reload.",
    settings: &[
        setting("certificate", Kind::Path, "The certificate and the chain above it, PEM, ours first.")
            .example("\"certificate.pem\""),
        setting(
            "key",
            Kind::Path,
            "The certificate's private key, PEM. Only its owner may be able to read it.",
        )
        .example("\"key.pem\""),
    ],
    children: &[],
};

static TRUST: Section = Section {
    name: "trust",
    shape: Shape::Named,
    doc: "Whose certificates are believed, under a name that other settings use. The name `system` exists \
          without being written: the authorities that the operating system trusts.",
    settings: &[
        setting("authorities", Kind::List(&Kind::Path), "Files of certificates of authorities, PEM.")
            .or("[]")
            .written("[\"/etc/gangway/internal-ca.pem\"]"),
        setting(
            "system",
            Kind::Boolean,
            "Whether the authorities of the operating system are believed besides.",
        )
        .or("false"),
    ],
    children: &[],
};

static ADMIN: Section = Section {
    name: "admin",
    shape: Shape::Always,
    doc: "Where `gangway status` and the other commands reach the running process.",
    settings: &[setting(
        "socket",
        Kind::Path,
        "The Unix socket. It is made so that only the process's own user can use it.",
    )
    .or("\"/run/gangway/admin.sock\"")],
    children: &[],
};

static LOG: Section = Section {
    name: "log",
    shape: Shape::Always,
    doc: "What is written to standard error. Bodies of messages never are; addresses of users only at `debug`.",
    settings: &[
        setting(
            "level",
            Kind::Choice(&[
                ("error", "a person must act"),
                ("warn", "also what is unusual"),
                ("info", "also every link, stream and delivery that changes"),
                ("debug", "also every decision"),
                ("trace", "also every stanza"),
            ]),
            "How much is written. `gangway log-level` changes it in a running process.",
        )
        .or("\"info\""),
        setting(
            "format",
            Kind::Choice(&[("text", "a line for people"), ("json", "an object a line, for machines")]),
            "The form of a line.",
        )
        .or("\"text\""),
    ],
    children: &[],
};

/// A time a peer may make us wait.
const fn time(key: &'static str, least: u64, most: u64, doc: &'static str) -> Setting {
    setting(key, Kind::Duration(least, most), doc)
}

/// A number of things a peer may make us hold.
const fn count(key: &'static str, least: u64, most: u64, doc: &'static str) -> Setting {
    setting(key, Kind::Count(least, most), doc)
}

/// A number of octets a peer may make us hold.
const fn size(key: &'static str, least: u64, most: u64, doc: &'static str) -> Setting {
    setting(key, Kind::Size(least, most), doc)
}

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
