use std::fmt;
use std::time::Duration;

use net_types::{ConnectionId, Remote};
use xmpp_proto::dialback::Pair;
use xmpp_proto::failure::Failure;
use xmpp_proto::stream::Proof;
use xmpp_types::outline::Bodies;
use xmpp_types::stanza::StanzaKind;
use xmpp_types::stanza_error::StanzaCondition;
use xmpp_types::xml::Element;

/// What an operator may want to know; the closed list from which logs, counters and the page derive.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// Stanzas may cross between a pair of domains.
    Opened {
        /// The pair.
        pair: Pair,
        /// Which way.
        direction: Direction,
        /// How the partner was proved.
        proof: Proof,
        /// The TLS version and cipher suite; `None` in clear.
        tls: Option<String>,
        /// On which connection.
        connection: ConnectionId,
    },
    /// A stream that was open is over.
    Closed {
        /// The pair it was opened for.
        pair: Pair,
        /// Which way.
        direction: Direction,
        /// On which connection.
        connection: ConnectionId,
        /// Why, unless it was closed in good order.
        failure: Option<Failure>,
    },
    /// A stream lost its connection and is kept for a while: it may go on over another (XEP-0198).
    Suspended {
        /// The pair it was opened for.
        pair: Pair,
        /// Which way.
        direction: Direction,
        /// The connection that is gone.
        connection: ConnectionId,
        /// How many of our stanzas the partner has not acknowledged.
        unacknowledged: usize,
        /// How long it is kept.
        max: Duration,
    },
    /// A stream goes on that had lost its connection.
    Resumed {
        /// The pair it was opened for.
        pair: Pair,
        /// Which way.
        direction: Direction,
        /// The connection that it goes on over.
        connection: ConnectionId,
        /// How many of our stanzas were sent again.
        again: usize,
    },
    /// A stream that had lost its connection does not go on.
    GivenUp {
        /// The pair it was opened for.
        pair: Pair,
        /// Which way.
        direction: Direction,
        /// The connection that is gone.
        connection: ConnectionId,
        /// How many of our stanzas the partner may lack: they are sent another way, or reported.
        unacknowledged: usize,
        /// Why.
        reason: String,
    },
    /// An attempt to open a stream failed.
    AttemptFailed {
        /// The pair.
        pair: Pair,
        /// Which way.
        direction: Direction,
        /// Stage, reason, and the peer's own text; [`Failure::advice`] says what to do.
        failure: Failure,
        /// When we try again, if anything is sent.
        retry: Option<Duration>,
    },
    /// A connection ended before its peer said who it is, or was refused at once.
    Refused {
        /// Where it came from.
        remote: Remote,
        /// Why.
        reason: String,
    },
    /// A gateway is connected.
    GatewayUp {
        /// What it calls itself.
        name: String,
        /// Whether it goes on where it was.
        resumed: bool,
    },
    /// A gateway is not connected any more.
    GatewayDown {
        /// What it calls itself.
        name: String,
        /// Why.
        reason: String,
    },
    /// A connection may not be a gateway's.
    GatewayRefused {
        /// Where it came from.
        remote: Remote,
        /// Why.
        reason: String,
    },
    /// A stanza was handed on.
    Relayed {
        /// Between which domains.
        pair: Pair,
        /// Which way.
        direction: Direction,
        /// Of which kind.
        kind: StanzaKind,
        /// Between whom.
        names: Names,
    },
    /// A stanza on its way; told only while somebody watches.
    Stanza {
        /// Between which domains.
        pair: Pair,
        /// Which way.
        direction: Direction,
        /// The stanza, as far as it may be shown.
        stanza: Box<Element>,
    },
    /// Somebody begins to watch stanzas on their way.
    Watched {
        /// Whether he sees what people write.
        bodies: Bodies,
    },
    /// A stanza was answered with an error.
    Bounced {
        /// Between which domains.
        pair: Pair,
        /// Which way it was going.
        direction: Direction,
        /// The condition.
        condition: StanzaCondition,
        /// Why, in words.
        reason: String,
    },
    /// A stream is not read for the moment.
    Paused {
        /// Which connection.
        connection: ConnectionId,
        /// Why.
        reason: &'static str,
    },
    /// Everything is closed.
    Stopped,
}

/// Who writes to whom under which id, in one piece, because every stanza has one. `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Names(Box<str>);

impl Names {
    /// Returns those of a stanza.
    #[must_use]
    pub fn of(stanza: &Element) -> Self {
        let [from, to, id] = ["from", "to", "id"].map(|key| stanza.attr(key).unwrap_or_default());
        let mut joined = String::with_capacity(from.len() + to.len() + id.len() + 2);
        joined.push_str(from);
        joined.push('\n');
        joined.push_str(to);
        joined.push('\n');
        joined.push_str(id);
        Self(joined.into())
    }

    /// Returns the sender, the recipient and the id; no address holds the line break between them.
    #[must_use]
    pub fn parts(&self) -> [&str; 3] {
        let mut parts = self.0.splitn(3, '\n');
        std::array::from_fn(|_| parts.next().unwrap_or_default())
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Names")
    }
}

/// Which way stanzas go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// From the partner to us.
    Inward,
    /// From us to the partner.
    Outward,
}

impl fmt::Display for Direction {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Inward => "in",
            Self::Outward => "out",
        })
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opened { pair, direction, proof, tls, connection } => {
                let tls = tls.as_deref().unwrap_or("in clear");
                write!(
                    out,
                    "{} {direction}: open for {}, proved by {proof}, {tls}, {connection}",
                    pair.remote, pair.local
                )
            }
            Self::Closed { pair, direction, connection, failure: None } => {
                write!(out, "{} {direction}: closed, {connection}", pair.remote)
            }
            Self::Closed { pair, direction, connection, failure: Some(failure) } => {
                write!(out, "{} {direction}: broke, {failure}, {connection}", pair.remote)
            }
            Self::Suspended { pair, direction, connection, unacknowledged, max } => {
                let remote = &pair.remote;
                let max = max.as_secs_f32().ceil();
                write!(out, "{remote} {direction}: suspended for up to {max} s, ")?;
                write!(out, "{unacknowledged} unacknowledged, {connection}")
            }
            Self::Resumed { pair, direction, connection, again } => {
                write!(out, "{} {direction}: resumed, {again} sent again, {connection}", pair.remote)
            }
            Self::GivenUp { pair, direction, connection, unacknowledged, reason } => {
                write!(out, "{} {direction}: not resumed, {reason}; ", pair.remote)?;
                write!(out, "{unacknowledged} unacknowledged, {connection}")
            }
            Self::AttemptFailed { pair, direction, failure, retry } => {
                write!(out, "{} {direction}: failed at {failure}; {}", pair.remote, failure.advice())?;
                match retry {
                    Some(retry) => {
                        write!(out, "; next attempt in {} s at the earliest", retry.as_secs_f32().ceil())
                    }
                    None => Ok(()),
                }
            }
            Self::Refused { remote, reason } => write!(out, "connection from {remote} refused: {reason}"),
            Self::GatewayUp { name, resumed: false } => write!(out, "gateway {name} connected"),
            Self::GatewayUp { name, resumed: true } => write!(out, "gateway {name} connected again"),
            Self::GatewayDown { name, reason } => write!(out, "gateway {name} gone: {reason}"),
            Self::GatewayRefused { remote, reason } => {
                write!(out, "connection from {remote} refused as a gateway's: {reason}")
            }
            Self::Stanza { pair, direction, stanza } => write!(out, "{} {direction}: {stanza}", pair.remote),
            Self::Watched { bodies: Bodies::Hidden } => {
                out.write_str("somebody watches stanzas as they cross, without their bodies")
            }
            Self::Watched { bodies: Bodies::Shown } => {
                out.write_str("somebody watches stanzas as they cross, AND SEES WHAT PEOPLE WRITE")
            }
            Self::Relayed { pair, direction, kind, .. } => {
                write!(out, "{} {direction}: {kind} for {}", pair.remote, pair.local)
            }
            Self::Bounced { pair, direction, condition, reason } => {
                write!(out, "{} {direction}: answered with {condition}: {reason}", pair.remote)
            }
            Self::Paused { connection, reason } => write!(out, "{connection} is not read: {reason}"),
            Self::Stopped => out.write_str("the proxy has stopped"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use xmpp_proto::failure::Stage;
    use xmpp_types::jid::DomainName;

    #[test]
    fn a_failed_attempt_is_one_line_with_partner_stage_reason_and_advice() {
        let notice = Notice::AttemptFailed {
            pair: Pair {
                local: DomainName::parse("us.example").unwrap(),
                remote: DomainName::parse("partner.example").unwrap(),
            },
            direction: Direction::Outward,
            failure: Failure::new(Stage::Tcp, "connection refused by 192.0.2.1:5269"),
            retry: Some(Duration::from_millis(1500)),
        };

        assert_eq!(
            notice.to_string(),
            "partner.example out: failed at tcp: connection refused by 192.0.2.1:5269; check the firewall towards \
             the partner's port, and that its server runs; next attempt in 2 s at the earliest"
        );
    }
}
