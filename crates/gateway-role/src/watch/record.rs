//! What of a watch outlives the process.

use std::fmt;
use std::sync::Arc;

use clock_types::Date;
use net_types::Bytes;
use sip_proto::dialog::Parts;
use sip_proto::subscription::Kept;
use sip_types::header::{CallId, Event, NameAddr};
use sip_types::{Uri, Verbatim};

use crate::conversation::Pair;

/// Who watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WatchDirection {
    /// The XMPP user watches the SIP user.
    Outward,
    /// The SIP user watches the XMPP user.
    Inward,
}

impl fmt::Display for WatchDirection {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Outward => "XMPP watches SIP",
            Self::Inward => "SIP watches XMPP",
        })
    }
}

/// Whether the watched user allows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Authorisation {
    /// He has been asked.
    Pending,
    /// He has.
    Granted,
    /// He has refused, or taken it back.
    Denied,
}

impl fmt::Display for Authorisation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Pending => "pending",
            Self::Granted => "granted",
            Self::Denied => "denied",
        })
    }
}

/// One change of what is durable; applied in order.
#[derive(Clone, Debug, PartialEq)]
pub enum WatchRecord {
    /// The watch exists, with this permission.
    Authorisation {
        /// Who watches.
        direction: WatchDirection,
        /// Between whom.
        pair: Arc<Pair>,
        /// The permission.
        authorisation: Authorisation,
    },
    /// The watch exists no more, nor do its dialogs.
    Forgotten {
        /// Who watched.
        direction: WatchDirection,
        /// Between whom.
        pair: Arc<Pair>,
    },
    /// One of its dialogs, new or changed; our tag names it.
    Dialog {
        /// Who watches.
        direction: WatchDirection,
        /// Between whom.
        pair: Arc<Pair>,
        /// The dialog.
        kept: Box<KeptDialog>,
    },
    /// What an XMPP user may have been told to be there of a SIP user: kept before he is told, so that what has gone
    /// meanwhile can be taken back by the next process.
    Shown {
        /// Between whom.
        pair: Arc<Pair>,
        /// The devices, in the place of those kept before; the empty name is the SIP user's bare address.
        devices: Vec<Box<str>>,
    },
    /// One of its dialogs has ended.
    DialogEnded {
        /// Our tag in it.
        tag: Box<str>,
    },
}

/// A watch as an earlier process left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptWatch {
    /// Who watches.
    pub direction: WatchDirection,
    /// Between whom.
    pub pair: Arc<Pair>,
    /// The permission.
    pub authorisation: Authorisation,
    /// What an XMPP user may have been told to be there, as in [`WatchRecord::Shown`].
    pub shown: Vec<Box<str>>,
    /// Its dialogs.
    pub dialogs: Vec<KeptDialog>,
}

/// A dialog in plain parts (RFC 3261 §12): the texts are those of the headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptDialog {
    /// Our tag, which no other dialog has.
    pub tag: String,
    /// The Call-ID.
    pub call_id: String,
    /// From of our requests.
    pub local: String,
    /// To of our requests.
    pub remote: String,
    /// The number of our last request.
    pub local_seq: u32,
    /// The number of the peer's last request.
    pub remote_seq: Option<u32>,
    /// The Request-URI of our requests.
    pub target: String,
    /// The values of Route of our requests, octet for octet; none holds a line end.
    pub routes: Vec<Vec<u8>>,
    /// Whether it was made by a request to a `sips` URI.
    pub secure: bool,
    /// Event, with the `id` that a notifier echoes.
    pub event: String,
    /// Whether the watched user allows it.
    pub authorised: bool,
    /// Until when it lives.
    pub expires: Date,
}

impl KeptDialog {
    pub(super) fn of(kept: &Kept) -> Self {
        let dialog = &kept.dialog;
        Self {
            tag: dialog.local.tag().unwrap_or_default().to_owned(),
            call_id: dialog.call_id.to_string(),
            local: dialog.local.to_string(),
            remote: dialog.remote.to_string(),
            local_seq: dialog.local_seq,
            remote_seq: dialog.remote_seq,
            target: dialog.target.as_str().to_owned(),
            routes: dialog.routes.iter().map(|route| route.as_bytes().to_vec()).collect(),
            secure: dialog.secure,
            event: kept.event.to_string(),
            authorised: kept.authorised,
            expires: kept.expires,
        }
    }

    /// Returns the dialog, unless somebody has written something else into the store.
    pub(super) fn read(self) -> Option<Kept> {
        let routes = self.routes.into_iter().map(|route| Verbatim::parse(Bytes::from(route)));
        let dialog = Parts {
            call_id: CallId::parse(self.call_id)?,
            local: NameAddr::parse(self.local).ok()?,
            remote: NameAddr::parse(self.remote).ok()?,
            local_seq: self.local_seq,
            remote_seq: self.remote_seq,
            target: Uri::parse(self.target).ok()?,
            routes: routes.collect::<Option<_>>()?,
            secure: self.secure,
        };
        Some(Kept {
            dialog,
            expires: self.expires,
            event: Event::parse(self.event)?,
            authorised: self.authorised,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dialog_comes_back_octet_for_octet() {
        let route = b"<sip:pool.s.example;ms-route-sig=aB\"\xC3\xA9;lr>;tag=q";
        let kept = KeptDialog {
            tag: "w1".into(),
            call_id: "c1@host".into(),
            local: "<sip:ann@xn--bcher-kva.example>;tag=w1".into(),
            remote: "\"Bob \\\"B\\\"\" <sip:bob@s.example>;tag=b;epid=2c19".into(),
            local_seq: 7,
            remote_seq: None,
            target: "sip:bob@s.example;opaque=user:epid:Kq1;gruu".into(),
            routes: vec![route.to_vec(); 2],
            secure: false,
            event: "presence;id=7".into(),
            authorised: true,
            expires: Date::from_unix_millis(1_800_000_000_123),
        };

        assert_eq!(KeptDialog::of(&kept.clone().read().unwrap()), kept);
        assert_eq!(KeptDialog { call_id: "a b".into(), ..kept }.read(), None);
    }
}
