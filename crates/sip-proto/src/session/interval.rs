//! The session interval (RFC 4028): who refreshes the session, how often, and when it has expired.

use std::time::Duration;

use clock_types::{Moment, Now};
use sip_types::header::HeaderName;
use sip_types::{HeaderText, Headers, Request, Response};

use super::settings::Settings;

/// Who sends the refreshes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refresher {
    We,
    They,
}

/// What an INVITE or UPDATE of the peer's asks for, and we grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    seconds: u32,
    refresher: Refresher,
}

/// The interval that both sides agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Interval {
    pub(super) seconds: u32,
    pub(super) refresher: Refresher,
    /// When we refresh next, if we do.
    refresh_at: Moment,
    /// When the session is given up, by BYE.
    expires_at: Moment,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    Refresh,
    Expiry,
}

/// A refresh that was refused is not sent again sooner, however near the end is.
const RETRY_MIN: Duration = Duration::from_secs(5);

/// The smallest interval that may be asked for (RFC 4028 §4).
const INTERVAL_MIN: u32 = 90;

impl Asked {
    /// Puts the interval on our 2xx (§9).
    pub(super) fn put(&self, response: &mut Response) {
        let refresher = match self.refresher {
            Refresher::They => "uac",
            Refresher::We => "uas",
        };
        let value = HeaderText::clean(&format!("{};refresher={refresher}", self.seconds)).text;
        response.headers_mut().push(HeaderName::SessionExpires, &value);
        if self.refresher == Refresher::They {
            response.headers_mut().push(HeaderName::Require, &HeaderText::from_static("timer"));
        }
    }

    pub(super) fn as_server(self) -> (u32, Refresher) {
        (self.seconds, self.refresher)
    }
}

impl Interval {
    pub(super) fn new((seconds, refresher): (u32, Refresher), now: Now) -> Self {
        let whole = Duration::from_secs(seconds.into());
        // §10: a third of the interval, or 32 s if that is less, before its end.
        let before = Duration::from_secs(32).min(whole / 3);
        Self {
            seconds,
            refresher,
            refresh_at: now.moment + whole / 2,
            expires_at: now.moment + whole - before,
        }
    }

    pub(super) fn due(&self, now: Now) -> Due {
        if self.expires_at <= now.moment {
            Due::Expiry
        } else if self.refresher == Refresher::We && self.refresh_at <= now.moment {
            Due::Refresh
        } else {
            Due::Nothing
        }
    }

    pub(super) fn next(&self, is_refreshing: bool) -> Moment {
        match self.refresher {
            Refresher::We if !is_refreshing => self.refresh_at.min(self.expires_at),
            Refresher::We | Refresher::They => self.expires_at,
        }
    }

    /// Refreshes again half way to the end, or after that time.
    pub(super) fn refresh_later(&mut self, after: Option<Duration>, now: Now) {
        let half = self.expires_at.since(now.moment) / 2;
        self.refresh_at = now.moment + after.unwrap_or(half.max(RETRY_MIN));
    }
}

/// Returns the interval that a request of the peer's asks for, as far as we grant it.
///
/// # Errors
/// Is the 422 for an interval that is too brief (§9).
pub(super) fn asked(request: &Request, settings: &Settings) -> Result<Option<Asked>, Box<Response>> {
    let headers = request.headers();
    let Some((seconds, named)) = expires_of(headers) else { return Ok(None) };
    let knows_timers =
        headers.lists(HeaderName::Supported, "timer") || headers.lists(HeaderName::Require, "timer");
    let least = settings.interval_min.max(INTERVAL_MIN);
    if seconds < least {
        // A proxy asked for it that may not: a peer without timers would not understand 422.
        if !knows_timers {
            return Ok(None);
        }
        let least = HeaderText::from(least);
        return Err(Response::to(request, 422).with(HeaderName::MinSe, &least).into());
    }
    let floor = min_of(headers).unwrap_or(least);
    let seconds = seconds.min(settings.interval_max.max(floor));
    let refresher = match named {
        _ if !knows_timers => Refresher::We,
        Some(Named::Client) | None => Refresher::They,
        Some(Named::Server) => Refresher::We,
    };
    Ok(Some(Asked { seconds, refresher }))
}

/// Returns the interval of a 2xx to a request of ours (§7.2).
pub(super) fn agreed_by_client(response: &Response) -> Option<(u32, Refresher)> {
    let (seconds, named) = expires_of(response.headers())?;
    let refresher = match named {
        Some(Named::Server) => Refresher::They,
        Some(Named::Client) | None => Refresher::We,
    };
    Some((seconds.max(INTERVAL_MIN), refresher))
}

/// Returns the seconds of `Min-SE`.
pub(super) fn min_of(headers: &Headers) -> Option<u32> {
    let text = headers.text(HeaderName::MinSe)?;
    seconds(text.split(';').next()?)
}

/// Whom `refresher` names: the client or the server of that transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named {
    Client,
    Server,
}

fn expires_of(headers: &Headers) -> Option<(u32, Option<Named>)> {
    let text = headers.text(HeaderName::SessionExpires)?;
    let mut parts = text.split(';');
    let seconds = seconds(parts.next()?)?;
    let named = parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        if !name.trim().eq_ignore_ascii_case("refresher") {
            return None;
        }
        match value.trim() {
            value if value.eq_ignore_ascii_case("uac") => Some(Named::Client),
            value if value.eq_ignore_ascii_case("uas") => Some(Named::Server),
            _ => None,
        }
    });
    Some((seconds, named))
}

fn seconds(text: &str) -> Option<u32> {
    let text = text.trim();
    let is_number = !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u32::MAX))
}
