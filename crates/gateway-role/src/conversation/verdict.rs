//! What a peer's answers mean for a conversation.

use sip_proto::endpoint::Failure;
use sip_proto::msrp;
use sip_proto::session::End;
use sip_types::Response;
use translate::error::{self, failure_to_xmpp, response_to_xmpp, status_to_condition};
use xmpp_types::stanza_error::StanzaError;

use super::fate::Why;
use super::machine::{Refused, Said};
use crate::answers;

/// How a session ended, as far as the conversation goes on differently.
#[derive(Debug)]
pub enum Ending {
    /// Our call came to nothing.
    Refused(Refused),
    /// The peer closed it.
    ByPeer,
    /// Otherwise.
    Otherwise,
}

/// Judges the final answer to a text. 481 says that there is no session; 408 and 480 that nobody is at its other end
/// any more, which Microsoft's clients take for the same (RFC 5057 §5.1).
pub fn of_text(response: &Response) -> Said {
    match response.status() {
        200..300 => Said::Taken { by_agent: response.status() == 200 },
        408 | 480 | 481 => Said::Dead(of_response(response)),
        _ => Said::Refused(of_response(response)),
    }
}

/// Judges that a text had no final answer. If it may have arrived, the session is given up: it is said once more, at
/// the risk that it shows twice.
pub fn of_lost_text(failure: &Failure) -> Said {
    let why = of_failure(failure);
    if failure.may_have_arrived() { Said::Dead(why) } else { Said::Refused(why) }
}

/// Tells whether the peer does not want to hear of typing (RFC 3994 §4).
pub fn wants_no_typing(response: &Response) -> bool {
    matches!(response.status(), 405 | 406 | 415 | 488 | 501)
}

/// Judges the end of a session.
pub fn of_end(end: End) -> Ending {
    match end {
        End::Refused(response) => {
            let why = of_response(&response);
            let is_page = takes_no_sessions(&response);
            Ending::Refused(if is_page { Refused::NoSessions(why) } else { Refused::No(why) })
        }
        End::Failed(failure) => Ending::Refused(Refused::No(of_failure(&failure))),
        End::ByPeer(_) => Ending::ByPeer,
        End::Cancelled | End::Declined(_) | End::ByUs | End::Gone(_) | End::Unacknowledged | End::Expired => {
            Ending::Otherwise
        }
    }
}

/// Says in words how a session ended.
pub fn words(end: &End) -> String {
    match end {
        End::Refused(response) => outcome(response),
        End::Failed(failure) => failure.to_string(),
        End::Cancelled => "the call was cancelled".to_owned(),
        End::Declined(status) => format!("refused with {status}"),
        End::ByUs => "ended here".to_owned(),
        End::ByPeer(None) => "ended by the peer".to_owned(),
        End::ByPeer(Some(reason)) => format!("ended by the peer: {reason}"),
        End::Gone(status) => format!("the peer knows nothing of it: {status}"),
        End::Unacknowledged => "the peer never acknowledged our answer".to_owned(),
        End::Expired => "nobody refreshed it in time".to_owned(),
    }
}

/// No session may be opened at present.
pub fn too_many() -> Refused {
    let error = failure_to_xmpp(&error::Failure::Busy);
    let outcome = "too many conversations are open".to_owned();
    Refused::No(Box::new(Why { error, outcome, status: None }))
}

/// There is no address that the peer could answer to.
pub fn no_contact() -> Refused {
    let outcome = "no SIP listener is configured that the peer could answer to".to_owned();
    let error = failure_to_xmpp(&error::Failure::Unreachable(outcome.clone()));
    Refused::No(Box::new(Why { error, outcome, status: None }))
}

/// The session ended before the text could be said.
pub fn session_lost() -> Said {
    let outcome = "the session ended before the text was sent".to_owned();
    let error = failure_to_xmpp(&error::Failure::Unreachable(outcome.clone()));
    Said::Dead(Box::new(Why { error, outcome, status: None }))
}

/// Judges that a text was not taken by MSRP (RFC 4975 §10). Its codes mean what SIP's do.
pub fn of_wired(failure: &msrp::Failure) -> Said {
    let (code, outcome) = match failure {
        msrp::Failure::Refused { code } => (*code, format!("{code} by MSRP")),
        msrp::Failure::TimedOut => return Said::Dead(gone("no response by MSRP in time")),
        msrp::Failure::Ended { .. } => return Said::Dead(gone("the MSRP session ended before its response")),
    };
    let (kind, condition) = status_to_condition(code, false);
    let error = StanzaError::new(condition).with_type(kind).with_text(outcome.as_str());
    let why = Box::new(Why { error, outcome, status: Some(code) });
    if matches!(code, 481 | 506) { Said::Dead(why) } else { Said::Refused(why) }
}

/// Judges the end of an MSRP session that was needed.
pub fn of_wire_end(end: &msrp::End) -> Refused {
    Refused::No(gone(&end.to_string()))
}

/// The peer's answer has no texts by MSRP.
pub fn no_line() -> Refused {
    Refused::NoSessions(gone("the peer's answer names no way for texts by MSRP"))
}

/// There is no listener for MSRP.
pub fn no_wire() -> Refused {
    Refused::NoSessions(gone("no MSRP listener is configured, or all its sessions are taken"))
}

/// Returns the code of MSRP that says what a SIP status does (RFC 4975 §10).
pub const fn wire_code(status: u16) -> u16 {
    match status {
        400 | 413 | 415 | 481 => status,
        408 | 500..=599 => 408,
        _ => 403,
    }
}

fn gone(outcome: &str) -> Box<Why> {
    let error = failure_to_xmpp(&error::Failure::Unreachable(outcome.to_owned()));
    Box::new(Why { error, outcome: outcome.to_owned(), status: None })
}

/// Tells whether a refused call means that the peer takes no sessions of texts at all (RFC 3261 §21.4.26, §21.6.4),
/// and not that it does not like this one: Microsoft's filters say the same with a warning.
fn takes_no_sessions(response: &Response) -> bool {
    let is_filtered = || response.headers().warnings().iter().any(|warning| warning.code == CONTENT_POLICY);
    matches!(response.status(), 415 | 488 | 606) && !is_filtered()
}

fn of_response(response: &Response) -> Box<Why> {
    let error = response_to_xmpp(response).value;
    Box::new(Why { error, outcome: outcome(response), status: Some(response.status()) })
}

fn of_failure(failure: &Failure) -> Box<Why> {
    let error = failure_to_xmpp(&answers::failure(failure));
    Box::new(Why { error, outcome: failure.to_string(), status: None })
}

fn outcome(response: &Response) -> String {
    format!("{} {}", response.status(), response.reason())
}

/// The warning with which Microsoft's servers say that a policy forbids the content.
const CONTENT_POLICY: u16 = 309;
