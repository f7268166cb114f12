use sip_types::header::{CallId, NameAddr};
use sip_types::{Uri, Verbatim};

/// A dialog taken apart (RFC 3261 §12): all that there is to know of it, to be kept over a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// The Call-ID.
    pub call_id: CallId,
    /// Our From, with our tag, as it stands in each request of ours.
    pub local: NameAddr,
    /// The peer, with its tag and whatever else it wrote there (`epid`): our To.
    pub remote: NameAddr,
    /// The number of our last request; 0 if we sent none.
    pub local_seq: u32,
    /// The number of the peer's last request, if it sent one.
    pub remote_seq: Option<u32>,
    /// The peer's Contact as written: the Request-URI of our requests.
    pub target: Uri,
    /// The route set in our order, octet for octet.
    pub routes: Vec<Verbatim>,
    /// Whether it was made by a request to a `sips` URI (§12.1.1).
    pub secure: bool,
}

impl Parts {
    /// Lets go of the messages that the parts were cut from: a dialog lives longer than they should.
    pub(super) fn compact(&mut self) {
        let copy = |address: &NameAddr| NameAddr::parse(address.to_string()).ok();
        if let Some(local) = copy(&self.local) {
            self.local = local;
        }
        if let Some(remote) = copy(&self.remote) {
            self.remote = remote;
        }
        if let Some(call_id) = CallId::parse(self.call_id.as_str()) {
            self.call_id = call_id;
        }
        if let Ok(target) = Uri::parse(self.target.as_str()) {
            self.target = target;
        }
        for route in &mut self.routes {
            if let Some(copy) = Verbatim::parse(net_types::Bytes::copy_from_slice(route.as_bytes())) {
                *route = copy;
            }
        }
        self.routes.shrink_to_fit();
    }
}
