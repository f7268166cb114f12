//! How a setting is declared: once, as a value, from which the reader, the example and the manual derive.

/// A table of the configuration file.
#[derive(Debug)]
pub struct Section {
    /// Its own name, without those above it.
    pub name: &'static str,
    /// How often it may appear and how it is written.
    pub shape: Shape,
    /// What it is for, in whole sentences.
    pub doc: &'static str,
    /// What may stand in it.
    pub settings: &'static [Setting],
    /// The tables below it.
    pub children: &'static [&'static Section],
}

/// How a table is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `[name]`; without it everything in it has its default.
    Always,
    /// `[name]`; without it there is no such thing.
    Optional,
    /// `[[name]]`, any number of times.
    Repeated,
    /// `[name.NAME]`, any number of times, NAME chosen by the operator.
    Named,
}

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its key.
    pub key: &'static str,
    /// What may stand behind the key.
    pub kind: Kind,
    /// What holds without it.
    pub default: Default,
    /// What it does, in whole sentences.
    pub doc: &'static str,
    /// Microsoft's name for the same thing.
    pub microsoft: Option<&'static str>,
    /// A value in TOML for the example, where the default is none to show.
    pub example: Option<&'static str>,
    /// Whether the example writes it although it need not be.
    pub is_written: bool,
}

/// What holds when a setting is not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Default {
    /// It must be written.
    Required,
    /// A value, in TOML.
    Is(&'static str),
    /// There is none; in words, what happens then.
    Absent(&'static str),
}

/// What a value may be.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Any text but an empty one.
    Text,
    /// `true` or `false`.
    Boolean,
    /// A whole number within bounds.
    Count(u64, u64),
    /// A time with its unit, within bounds in milliseconds.
    Duration(u64, u64),
    /// A size with its unit, within bounds in octets.
    Size(u64, u64),
    /// One of a few words, each with what it means.
    Choice(&'static [(&'static str, &'static str)]),
    /// A domain name of XMPP or SIP.
    Domain,
    /// An address to listen on: `0.0.0.0:5269`, `[::]:5269`.
    Address,
    /// A host, with or without a port: `xmpp.example.com:5269`.
    Host,
    /// A SIP URI that names the next hop: `sip:192.0.2.1:5061;transport=tls`.
    NextHop,
    /// A file; a relative one is sought from the configuration file.
    Path,
    /// The name of an `[identity.NAME]`.
    Identity,
    /// The name of a `[trust.NAME]`.
    Trust,
    /// SHA-256 in hexadecimal digits, with or without colons.
    Fingerprint,
    /// The address of a DNS server; the port is 53 unless written.
    Resolver,
    /// An address, or a network by its prefix: `192.0.2.10`, `192.0.2.0/24`.
    Network,
    /// A SIP user's address, or a domain for all its users.
    User,
    /// What an activity of SIP is in XMPP: `busy: away, In a meeting`.
    Seen,
    /// The activity that stands for a state of XMPP: `dnd: meeting`.
    Shown,
    /// Several of the same.
    List(&'static Kind),
}

impl Kind {
    /// Returns what to call it in a message and in the manual.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Text => "text".into(),
            Self::Boolean => "`true` or `false`".into(),
            Self::Count(least, most) => format!("a whole number from {least} to {most}"),
            Self::Duration(least, most) => {
                format!("a time from \"{}\" to \"{}\"", duration_text(*least), duration_text(*most))
            }
            Self::Size(least, most) => {
                format!("a size from \"{}\" to \"{}\"", size_text(*least), size_text(*most))
            }
            Self::Choice(words) => {
                let words: Vec<String> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
                format!("one of {}", words.join(", "))
            }
            Self::Domain => "a domain name".into(),
            Self::Address => "an address with a port".into(),
            Self::Host => "a host name or address, with or without a port".into(),
            Self::NextHop => "a SIP URI that names a next hop".into(),
            Self::Path => "the path of a file".into(),
            Self::Identity => "NAME of an `[identity.NAME]`".into(),
            Self::Trust => "NAME of a `[trust.NAME]`, or \"system\"".into(),
            Self::Fingerprint => "a SHA-256 fingerprint".into(),
            Self::Resolver => "the address of a DNS server".into(),
            Self::Network => "an IP address, or a network with its prefix".into(),
            Self::User => "the address of a SIP user, or a domain".into(),
            Self::Seen => "an activity, a state of XMPP, and perhaps words".into(),
            Self::Shown => "a state of XMPP and an activity".into(),
            Self::List(kind) => format!("a list, each {}", kind.describe()),
        }
    }

    /// Returns a value in TOML that shows the form.
    #[must_use]
    pub fn sample(&self) -> &'static str {
        match self {
            Self::Text => "\"text\"",
            Self::Boolean => "true",
            Self::Count(..) => "20",
            Self::Duration(..) => "\"30 s\"",
            Self::Size(..) => "\"64 KiB\"",
            Self::Choice(words) => words.first().map_or("\"\"", |(word, _)| word),
            Self::Domain => "\"example.com\"",
            Self::Address => "\"0.0.0.0:5269\"",
            Self::Host => "\"xmpp.example.com:5269\"",
            Self::NextHop => "\"sip:192.0.2.1:5061;transport=tls\"",
            Self::Path => "\"/etc/gangway/file\"",
            Self::Identity | Self::Trust => "\"public\"",
            Self::Fingerprint => "\"5f:3a:…\" (32 octets)",
            Self::Resolver => "\"192.0.2.53\"",
            Self::Network => "\"192.0.2.0/24\"",
            Self::User => "\"bob@example.com\"",
            Self::Seen => "\"busy: away\"",
            Self::Shown => "\"dnd: meeting\"",
            Self::List(_) => "[\"…\", \"…\"]",
        }
    }
}

/// Starts the declaration of a setting that must be written; the verbs below refine it.
#[must_use]
pub const fn setting(key: &'static str, kind: Kind, doc: &'static str) -> Setting {
    Setting { key, kind, default: Default::Required, doc, microsoft: None, example: None, is_written: false }
}

impl Setting {
    /// Gives it a default, in TOML.
    #[must_use]
    pub const fn or(mut self, toml: &'static str) -> Self {
        self.default = Default::Is(toml);
        self
    }

    /// Says what happens without it.
    #[must_use]
    pub const fn absent(mut self, words: &'static str) -> Self {
        self.default = Default::Absent(words);
        self
    }

    /// Gives Microsoft's name for it.
    #[must_use]
    pub const fn microsoft(mut self, name: &'static str) -> Self {
        self.microsoft = Some(name);
        self
    }

    /// Has the example write it although it need not be, with this value in TOML.
    #[must_use]
    pub const fn written(mut self, toml: &'static str) -> Self {
        self.is_written = true;
        self.example(toml)
    }

    /// Gives a value for the example, in TOML.
    #[must_use]
    pub const fn example(mut self, toml: &'static str) -> Self {
        self.example = Some(toml);
        self
    }
}

impl Section {
    /// Returns the setting with this key.
    #[must_use]
    pub fn setting(&self, key: &str) -> Option<&'static Setting> {
        self.settings.iter().find(|setting| setting.key == key)
    }

    /// Returns the table with this name directly below.
    #[must_use]
    pub fn child(&self, name: &str) -> Option<&'static Section> {
        self.children.iter().find(|section| section.name == name).copied()
    }
}

/// Returns milliseconds in the largest unit that fits.
#[must_use]
pub fn duration_text(millis: u64) -> String {
    for (unit, size) in [("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000)] {
        if millis >= size && millis.is_multiple_of(size) {
            return format!("{} {unit}", millis / size);
        }
    }
    format!("{millis} ms")
}

/// Returns octets in the largest unit that fits.
#[must_use]
pub fn size_text(octets: u64) -> String {
    for (unit, size) in [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
        if octets >= size && octets.is_multiple_of(size) {
            return format!("{} {unit}", octets / size);
        }
    }
    format!("{octets} B")
}
