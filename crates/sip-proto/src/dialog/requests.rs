//! The requests we send inside a dialog (RFC 3261 §12.2.1.1).

use sip_types::header::{HeaderName, NameAddr};
use sip_types::uri::SipUri;
use sip_types::{Method, Request, Uri, Verbatim};

use super::Dialog;

impl Dialog {
    /// Returns the next request of ours, its number one higher than the last.
    #[must_use]
    pub fn request(&mut self, method: Method) -> Request {
        self.parts.local_seq = self.parts.local_seq.saturating_add(1);
        self.made(method, self.parts.local_seq)
    }

    /// Returns the ACK of a 2xx to our INVITE with this number (§13.2.2.4).
    #[must_use]
    pub fn ack(&self, invite: u32) -> Request {
        self.made(Method::Ack, invite)
    }

    /// Returns where our requests go first: the top of the route set, or else the target (§12.2.1.1).
    #[must_use]
    pub fn next_hop(&self) -> Uri {
        match self.parts.routes.first().and_then(address_of) {
            Some(top) => top.uri,
            None => self.parts.target.clone(),
        }
    }

    /// Returns the top of the route set if it is of a router that wants to be the Request-URI itself.
    fn strict_router(&self) -> Option<NameAddr> {
        let top = self.parts.routes.first()?;
        // Nearly all say `lr`, and then nothing need be read.
        let uri = top.as_bytes().split(|octet| *octet == b'>').next().unwrap_or_default();
        if uri.windows(3).any(|octets| octets.eq_ignore_ascii_case(b";lr")) {
            return None;
        }
        address_of(top).filter(|top| !is_loose(&top.uri))
    }

    fn made(&self, method: Method, number: u32) -> Request {
        let parts = &self.parts;
        let request = |uri: Uri| {
            let (from, to) = (parts.local.clone(), parts.remote.clone());
            Request::new(method.clone(), uri, from, to, parts.call_id.clone(), number)
        };
        match self.strict_router() {
            None => {
                let mut request = request(parts.target.clone());
                push_routes(&mut request, &parts.routes);
                request
            }
            // A router of RFC 2543 wants to be the Request-URI itself, and the target as the last Route.
            Some(top) => {
                let mut request = request(without_headers(top.uri));
                push_routes(&mut request, &parts.routes[1..]);
                request.with_route(&NameAddr::new(parts.target.clone()))
            }
        }
    }
}

/// Returns where a request goes first by its own headers: to the top Route, or else to its Request-URI
/// (§8.1.2).
#[must_use]
pub fn next_hop_of(request: &Request) -> Uri {
    let top = request.headers().values(HeaderName::Route).next();
    let top = top.and_then(|top| NameAddr::parse(String::from_utf8_lossy(top).as_ref()).ok());
    top.map_or_else(|| request.uri().clone(), |top| top.uri)
}

fn push_routes(request: &mut Request, routes: &[Verbatim]) {
    for route in routes {
        request.headers_mut().push_verbatim(HeaderName::Route, route);
    }
}

fn address_of(route: &Verbatim) -> Option<NameAddr> {
    NameAddr::parse(route.to_text()).ok()
}

fn is_loose(uri: &Uri) -> bool {
    uri.as_sip().is_none_or(|uri| uri.params().has("lr"))
}

/// What a Request-URI must not have (§19.1.1, table 1): headers, and a `method` parameter.
fn without_headers(uri: Uri) -> Uri {
    let Some(sip) = uri.as_sip() else { return uri };
    let text = sip.as_str();
    let text = text.split('?').next().unwrap_or(text);
    match SipUri::parse(text) {
        Ok(sip) => Uri::Sip(sip.without_param("method")),
        Err(_) => uri,
    }
}
