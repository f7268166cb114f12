//! What the roles and the network have to tell, as lines for operators.
//!
//! Addresses of users appear at `debug` only.

use gateway_role::{Notice, Trace, WatchChange};
use net::Incident;
use xmpp_types::outline::Bodies;

/// Writes a notice of the gateway.
pub fn of_gateway(notice: &Notice) {
    match notice {
        Notice::Arrived(_) | Notice::Refused { .. } | Notice::Ended { .. } => tracing::debug!("{notice}"),
        Notice::Delivered { .. } | Notice::Lost { .. } | Notice::Kept(_) => tracing::debug!("{notice}"),
        Notice::Failed { trace, outcome } => {
            tracing::debug!("{notice}");
            with_names(trace, &format!("not delivered: {outcome}"));
        }
        Notice::Reported(trace) => with_names(trace, "the sender was told that it was not delivered"),
        Notice::ReportRefused { trace, reason } => {
            tracing::warn!(
                id = trace.stanza,
                call = trace.call,
                "{}: not delivered, and the sender's server refuses the report: {reason}",
                trace.direction
            );
        }
        Notice::Watch { change: WatchChange::Unreadable(why), .. } => {
            tracing::debug!("{notice}");
            tracing::warn!("presence: a document of a SIP server was refused: {why}");
        }
        Notice::Session { .. } | Notice::Learned { .. } | Notice::Watch { .. } | Notice::WatchLost { .. } => {
            tracing::debug!("{notice}")
        }
        // For those alone who watch; see `timeline`.
        Notice::Stanza { .. } | Notice::Sip(sip_proto::endpoint::Notice::Message { .. }) => {}
        Notice::Watched { bodies: Bodies::Hidden } => tracing::info!("{notice}"),
        Notice::Watched { bodies: Bodies::Shown } => tracing::warn!("{notice}"),
        Notice::LinkUp { .. } => tracing::info!("{notice}"),
        Notice::LinkDown { .. } => tracing::warn!("{notice}"),
        Notice::StoreFailed { .. } => tracing::error!("{notice}"),
        Notice::Sip(sip) => of_sip(sip, notice),
    }
}

fn of_sip(sip: &sip_proto::endpoint::Notice, notice: &Notice) {
    use sip_proto::endpoint::Notice as Sip;
    match sip {
        Sip::TargetFailed { target, failure } => {
            let failure = failure.to_string();
            tracing::warn!("sip: {target}: {failure}{}", remedy("gateway", &failure));
        }
        Sip::TargetRests { .. } | Sip::Shed { .. } | Sip::ConnectionRefused { .. } => {
            tracing::warn!("{notice}");
        }
        Sip::Opened { .. } | Sip::Closed { .. } | Sip::Malformed { .. } => tracing::info!("{notice}"),
        Sip::Message { .. } => {}
        Sip::StrayResponse { .. } | Sip::Oversized { .. } => tracing::debug!("{notice}"),
    }
}

/// Writes a notice of the proxy.
pub fn of_proxy(notice: &proxy_role::Notice) {
    use proxy_role::Notice as Proxy;
    match notice {
        Proxy::AttemptFailed { .. } | Proxy::GatewayDown { .. } | Proxy::GatewayRefused { .. } => {
            tracing::warn!("{notice}");
        }
        Proxy::Opened { .. } | Proxy::Closed { .. } | Proxy::Refused { .. } | Proxy::GatewayUp { .. } => {
            tracing::info!("{notice}");
        }
        Proxy::Suspended { .. } | Proxy::Resumed { .. } | Proxy::GivenUp { .. } => tracing::info!("{notice}"),
        Proxy::Bounced { .. } | Proxy::Paused { .. } => tracing::info!("{notice}"),
        Proxy::Stanza { .. } => {}
        Proxy::Watched { bodies: Bodies::Hidden } => tracing::info!("{notice}"),
        Proxy::Watched { bodies: Bodies::Shown } => tracing::warn!("{notice}"),
        Proxy::Relayed { .. } | Proxy::Stopped => tracing::debug!("{notice}"),
    }
}

/// Writes a line that names a message without naming its users.
fn with_names(trace: &Trace, what: &str) {
    tracing::info!(id = trace.stanza, call = trace.call, "{}: {what}", trace.direction);
}

/// Returns what can be done about a SIP server that shares no cipher suite with us.
fn remedy(role: &str, reason: &str) -> &'static str {
    if role == "gateway" && reason.contains("no common cipher suite") {
        "; or write tls-library = \"openssl\" in `[[gateway.listen]]`"
    } else {
        ""
    }
}

/// Writes what no role can hear of.
pub fn of_net(role: &str, incident: &Incident) {
    match incident {
        Incident::HandshakeFailed { remote, reason, .. } => {
            tracing::info!("{role}: TLS with {remote} came to nothing: {reason}{}", remedy(role, reason));
        }
        Incident::AcceptHeldBack { reason, .. } => {
            tracing::error!("{role}: no more connections are taken for the moment: {reason}");
        }
        Incident::DatagramLost { to, reason, .. } => {
            tracing::warn!("{role}: a datagram to {to} did not leave: {reason}");
        }
    }
}
