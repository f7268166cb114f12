//! What subscriptions must keep to (RFC 6665), whoever watches.

use crate::raw::RawMessage;

/// What is wrong with a SUBSCRIBE of Gangway's.
pub(super) fn subscribe(request: &RawMessage) -> Vec<String> {
    let mut wrong = without(request, &["Event", "Accept", "Expires"]);
    unwished(request, "Supported", &mut wrong);
    wrong
}

/// What is wrong with an answer of Gangway's to our SUBSCRIBE.
pub(super) fn answered(request: &RawMessage, response: &RawMessage, status: u16) -> Vec<String> {
    let of = match status {
        200..300 => "Expires",
        423 => "Min-Expires",
        489 => "Allow-Events",
        _ => return Vec::new(),
    };
    let mut wrong = without(response, &[of]);
    if status >= 300 {
        return wrong;
    }
    if let (Some(asked), Some(granted)) = (number(request, "Expires"), number(response, "Expires"))
        && granted > asked
    {
        wrong.push(format!("{granted} s are granted, and {asked} s asked for (RFC 6665 §4.2.1.1)"));
    }
    if !response.body.is_empty() {
        wrong.push("a document inside the answer to SUBSCRIBE".to_owned());
    }
    unwished(response, "Supported", &mut wrong);
    unwished(response, "Require", &mut wrong);
    wrong
}

/// What is wrong with a NOTIFY of Gangway's for our SUBSCRIBE.
pub(super) fn notify(request: &RawMessage, subscribe: Option<&RawMessage>) -> Vec<String> {
    let mut wrong = without(request, &["Event", "Subscription-State", "Contact"]);
    let (event, state) = (request.header("Event"), request.header("Subscription-State").unwrap_or_default());
    let asked = subscribe.map(|subscribe| subscribe.header("Event"));
    if asked.is_some_and(|asked| asked != event) {
        wrong.push(format!("Event {event:?} is not that of the SUBSCRIBE (RFC 6665 §8.2.1)"));
    }
    let has = |name: &str| state.split(';').skip(1).any(|part| part.trim_start().starts_with(name));
    match state.split(';').next().unwrap_or_default() {
        "active" | "pending" if !has("expires=") => wrong.push(format!("{state:?} does not say how long")),
        "terminated" if !has("reason=") => wrong.push(format!("{state:?} does not say why")),
        "pending" if !request.body.is_empty() => {
            wrong.push("a document before anybody allowed it".to_owned())
        }
        "active" | "pending" | "terminated" => {}
        _ => wrong.push(format!("{state:?} is no state (RFC 6665 §4.1.3)")),
    }
    let kind = request.header("Content-Type");
    if !request.body.is_empty() && kind != Some("application/pidf+xml") {
        wrong.push(format!("a document of the type {kind:?}, which some readers do not know"));
    }
    wrong
}

/// Tells whether a NOTIFY is the last one.
pub(super) fn is_last(request: &RawMessage) -> bool {
    request.header("Subscription-State").is_some_and(|state| state.starts_with("terminated"))
}

fn without(message: &RawMessage, names: &[&str]) -> Vec<String> {
    let method = message.method().unwrap_or("the answer to SUBSCRIBE");
    let missing = names.iter().filter(|name| message.header(name).is_none());
    missing.map(|name| format!("no {name} in {method}")).collect()
}

/// What would wake Microsoft's dialect, which is not spoken here.
fn unwished(message: &RawMessage, header: &str, wrong: &mut Vec<String>) {
    let dialect = ["ms-", "com.microsoft.", "eventlist", "adhoclist", "categoryList"];
    for value in message.values(header) {
        if dialect.iter().any(|begin| value.starts_with(begin)) {
            wrong.push(format!("{header}: {value}, which is not spoken here"));
        }
    }
}

fn number(message: &RawMessage, header: &str) -> Option<u64> {
    message.header(header)?.trim().parse().ok()
}
