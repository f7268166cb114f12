use serde::{Deserialize, Serialize};

/// What an operator may ask; on the wire `{"command":"status"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case")]
pub enum Request {
    /// How the process is.
    Status,
    /// Which streams are open with partners.
    Streams,
    /// Which partners there are.
    Partners,
    /// What waits.
    Queue,
    /// Which conversations are held in sessions.
    Conversations,
    /// Who sees whose presence, and why.
    Presence {
        /// The user, by his address; all users without one.
        user: Option<String>,
        /// Only what should be otherwise.
        wrong: bool,
    },
    /// What was seen of a user, a domain or a message.
    Trace {
        /// The user's address, the domain, or the message's id in either protocol.
        subject: String,
        /// Only what came after the event of this number.
        after: u64,
        /// Whether to wait a while for something new, and to show messages as they cross from now on.
        follow: bool,
        /// Whether to show what people write, of what crosses from now on.
        bodies: bool,
    },
    /// Whether a SIP user may federate.
    User {
        /// His address.
        address: String,
    },
    /// How much is logged, and from now on how much if `level` is there.
    LogLevel {
        /// The level to change to.
        level: Option<Level>,
    },
    /// Read the configuration and the certificates again.
    Reload,
    /// End in good order.
    Stop,
}

/// The answer to a [`Request`]; on the wire `{"reply":"status",…}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "kebab-case")]
pub enum Reply {
    /// To [`Request::Status`].
    Status(Status),
    /// To [`Request::Streams`].
    Streams {
        /// The open ones.
        streams: Vec<Stream>,
    },
    /// To [`Request::Partners`].
    Partners {
        /// In the order of the configuration.
        partners: Vec<Partner>,
    },
    /// To [`Request::Queue`].
    Queue(Queue),
    /// To [`Request::Conversations`].
    Conversations {
        /// Those that have a session or call for one.
        conversations: Vec<Conversation>,
        /// What was found of SIP users' programs.
        learned: Vec<Learned>,
    },
    /// To [`Request::Presence`].
    Presence {
        /// In the order of the users who are watched.
        watches: Vec<Watch>,
    },
    /// To [`Request::Trace`].
    Trace(Trace),
    /// To [`Request::User`].
    User(User),
    /// To [`Request::LogLevel`].
    LogLevel {
        /// What holds from now on.
        level: Level,
    },
    /// It is done, or has begun.
    Done {
        /// What was done, in words.
        note: String,
    },
    /// It cannot be done.
    Refused {
        /// Why and what to do, in words.
        reason: String,
    },
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names are those of the setting")]
pub enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl Level {
    /// Every level, the quietest first.
    pub const ALL: [Self; 5] = [Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace];

    /// Returns the word that the configuration has for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }

    /// Returns the level that a word names.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str() == word)
    }
}

/// How a process is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The program's version.
    pub version: String,
    /// The process.
    pub pid: u32,
    /// How long it runs, in seconds.
    pub uptime: u64,
    /// Whether it is ending.
    pub stopping: bool,
    /// The role in the DMZ, if it runs here.
    pub proxy: Option<Proxy>,
    /// The role inside, if it runs here.
    pub gateway: Option<Gateway>,
    /// Our certificates.
    pub certificates: Vec<Certificate>,
}

/// How a proxy is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Proxy {
    /// The domains that it answers for.
    pub domains: Vec<String>,
    /// How many partners are configured.
    pub partners: usize,
    /// How many streams are open that partners opened.
    pub streams_in: usize,
    /// How many streams are open that we opened.
    pub streams_out: usize,
    /// The names of the gateways that are connected.
    pub gateways: Vec<String>,
    /// How many stanzas wait.
    pub queued: usize,
}

/// How a gateway is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Gateway {
    /// The SIP domains that it connects.
    pub domains: Vec<String>,
    /// The links to proxies.
    pub links: Vec<Link>,
    /// Messages from SIP that are neither delivered nor reported yet.
    pub unsettled_to_xmpp: usize,
    /// Messages from XMPP that are neither delivered nor reported yet.
    pub unsettled_to_sip: usize,
    /// What could not cross since the start, and how often.
    pub losses: Vec<Loss>,
}

/// Something of messages that could not cross.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// What it was, in words.
    pub what: String,
    /// How often.
    pub times: u64,
}

/// A gateway's link to a proxy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The proxy.
    pub proxy: String,
    /// Whether stanzas can cross.
    pub open: bool,
}

/// One of our certificates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// Its name in the configuration.
    pub name: String,
    /// The names in it.
    pub names: Vec<String>,
    /// The last instant it holds, as RFC 3339 writes it.
    pub expires: String,
    /// The days until then; below 0 it has expired.
    pub days_left: i64,
}

/// Who opened a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// The partner.
    In,
    /// We.
    Out,
}

/// One open stream with a partner.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stream {
    /// The connection's name in logs.
    pub connection: String,
    /// Who opened it.
    pub direction: Direction,
    /// The partner's domains that are proved on it.
    pub partners: Vec<String>,
    /// The domain of ours that it is for.
    pub local: Option<String>,
    /// What proved the partner, such as `certificate`.
    pub proof: String,
    /// The TLS version and cipher; none in clear.
    pub tls: Option<String>,
    /// How long it is open, in seconds.
    pub age: u64,
    /// Stanzas that it carried, the way it was opened.
    pub stanzas: u64,
    /// Of those, how many are not acknowledged.
    pub unacknowledged: usize,
    /// Stanzas that wait to be sent on it.
    pub queued: usize,
    /// For how long it has had no connection and waits to be resumed, in seconds; none while it is connected.
    #[serde(default)]
    pub suspended: Option<u64>,
}

/// One partner.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Partner {
    /// Its domain.
    pub domain: String,
    /// Its additional domains.
    pub additional: Vec<String>,
    /// What its users may do.
    pub kind: String,
    /// By which ways it may prove its domain, such as `SASL over TLS`.
    pub proofs: Vec<String>,
    /// Its fixed host.
    pub host: Option<String>,
    /// How many streams are open with it.
    pub streams: usize,
    /// What people noted about it.
    pub description: Option<String>,
}

/// A conversation that is held in a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversation {
    /// The XMPP user.
    pub xmpp: String,
    /// The SIP user.
    pub sip: String,
    /// How it is carried, such as `microsoft`.
    pub mode: String,
    /// `calling` or `open`.
    pub phase: String,
    /// The session's Call-ID.
    pub call: Option<String>,
    /// How long there is a session or a call, in seconds.
    pub age: u64,
    /// How long nothing was said, in seconds.
    pub idle: u64,
    /// How many texts wait.
    pub waiting: usize,
    /// What is done without, in words.
    pub fallbacks: Vec<String>,
}

/// Who sees whose presence, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// Who watches.
    pub watcher: String,
    /// Who is watched.
    pub watched: String,
    /// `pending`, `granted` or `denied`.
    pub permission: String,
    /// In how many seconds each SIP dialog ends unless it is refreshed.
    pub dialogs: Vec<u64>,
    /// In how many seconds something is tried or refreshed next.
    pub next: Option<u64>,
    /// What the watcher sees, in words.
    pub shown: String,
    /// How many seconds ago the last word about the watched user came.
    pub heard: Option<u64>,
    /// What went wrong last, if it has not come right since.
    pub trouble: Option<String>,
    /// Why the watched side is not asked, though nobody forbids it; in words.
    pub held: Option<String>,
    /// Whether the watcher sees something else than he should.
    pub wrong: bool,
}

/// What the programs of a SIP user were found not to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Learned {
    /// The SIP user.
    pub user: String,
    /// What is done without, in words.
    pub what: String,
}

/// What was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// In the order in which it was seen.
    pub events: Vec<TraceEvent>,
    /// What to give as `after` to go on.
    pub last: u64,
    /// Whether something was forgotten between `after` and the first event.
    pub has_gap: bool,
}

/// One thing that was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceEvent {
    /// Its place in what the process saw.
    pub number: u64,
    /// When, in milliseconds since 1970.
    pub at: i64,
    /// Who saw it: `gateway` or `proxy`.
    pub role: String,
    /// `SIP` or `XMPP`, if it crossed a wire.
    pub side: Option<String>,
    /// Which way it crossed.
    pub direction: Option<Direction>,
    /// Who was at the other end.
    pub peer: String,
    /// What it was, in words.
    pub what: String,
    /// The users whom it concerns.
    pub addresses: Vec<String>,
    /// What names the message: the stanza's id, the Call-ID.
    pub ids: Vec<String>,
    /// What was written, if it may be shown.
    pub body: Option<String>,
}

/// Whether a SIP user may federate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// His address in its normal form.
    pub address: String,
    /// Whether he may.
    pub may_federate: bool,
    /// Why, in words.
    pub why: String,
    /// Where that was read, in words.
    pub source: String,
}

/// What waits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Queue {
    /// Messages from SIP that are neither delivered nor reported yet.
    pub unsettled_to_xmpp: usize,
    /// Messages from XMPP that are neither delivered nor reported yet.
    pub unsettled_to_sip: usize,
    /// Stanzas that wait for a partner.
    pub partners: Vec<QueuedPartner>,
    /// Requests that wait for their turn at a SIP server, which takes so many a second.
    pub servers: Vec<QueuedServer>,
}

/// What waits for its turn at one SIP server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuedServer {
    /// The server, as the configuration names it.
    pub server: String,
    /// Requests that carry texts and sessions.
    pub texts: usize,
    /// Requests about presence, which come after those.
    pub presence: usize,
    /// How many requests it is sent in a second.
    pub per_second: u32,
}

/// What waits for one partner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuedPartner {
    /// The partner's domain.
    pub domain: String,
    /// How many stanzas.
    pub stanzas: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_one_plain_object() {
        let json = |request: &Request| serde_json::to_string(request).unwrap();

        assert_eq!(json(&Request::Status), r#"{"command":"status"}"#);
        assert_eq!(
            json(&Request::LogLevel { level: Some(Level::Debug) }),
            r#"{"command":"log-level","level":"debug"}"#
        );
    }

    #[test]
    fn a_level_is_read_as_it_is_written() {
        for level in Level::ALL {
            assert_eq!(Level::parse(level.as_str()), Some(level));
        }
        assert_eq!(Level::parse("loud"), None);
    }
}

/// What `gangway partner test --json` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartnerTest {
    /// The domain that was tested.
    pub domain: String,
    /// The stages, in the order in which they were gone through; one may come twice.
    pub stages: Vec<TestedStage>,
    /// The stage that kept stanzas from the partner; none if nothing did.
    pub failed_at: Option<String>,
    /// How it ended, in words.
    pub verdict: String,
    /// What to do about it, in words.
    pub fix: Option<String>,
    /// What is good to know whatever came of it.
    pub notes: Vec<String>,
    /// What the command ends with.
    pub exit_code: u8,
}

/// One stage of a [`PartnerTest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestedStage {
    /// Its name.
    pub stage: String,
    /// How it went.
    pub outcome: StageOutcome,
    /// How long it took.
    pub milliseconds: u64,
    /// What was seen.
    pub lines: Vec<String>,
}

/// How a stage went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StageOutcome {
    /// As it should.
    Passed,
    /// It led on, but somebody should look at it.
    Noted,
    /// It led nowhere.
    Failed,
}
