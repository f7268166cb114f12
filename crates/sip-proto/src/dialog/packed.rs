//! Dialogs at rest.

use net_types::Bytes;
use sip_types::header::{CallId, NameAddr};
use sip_types::{Uri, Verbatim};

use super::{Dialog, Parts};

/// A dialog as a few octets of text, for one that lives for hours and speaks for moments: a subscription's. It takes a
/// quarter of the memory, and is read each time that it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed(Form);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    Texts {
        /// Our tag, Call-ID, From, To, target and routes, with a line end between two.
        texts: Box<[u8]>,
        local_seq: u32,
        remote_seq: Option<u32>,
        secure: bool,
    },
    /// One whose texts would not be read as they are written.
    Whole(Dialog),
}

impl Packed {
    /// Packs a dialog.
    #[must_use]
    pub fn new(dialog: Dialog) -> Self {
        let packed = Self(Form::Texts {
            texts: texts_of(&dialog.parts).into(),
            local_seq: dialog.parts.local_seq,
            remote_seq: dialog.parts.remote_seq,
            secure: dialog.parts.secure,
        });
        if packed.read().as_ref() == Some(&dialog) { packed } else { Self(Form::Whole(dialog)) }
    }

    /// Returns the dialog.
    #[must_use]
    pub fn unpack(&self) -> Dialog {
        match &self.0 {
            Form::Texts { .. } => self.read().expect("it was read back when it was packed"),
            Form::Whole(dialog) => dialog.clone(),
        }
    }

    /// Uses the dialog, which may change it.
    pub fn with<T>(&mut self, act: impl FnOnce(&mut Dialog) -> T) -> T {
        let mut dialog = self.unpack();
        let result = act(&mut dialog);
        match &mut self.0 {
            // Nearly always only the numbers have changed.
            Form::Texts { texts, local_seq, remote_seq, .. } if **texts == *texts_of(&dialog.parts) => {
                (*local_seq, *remote_seq) = (dialog.parts.local_seq, dialog.parts.remote_seq);
            }
            Form::Texts { .. } | Form::Whole(_) => *self = Self::new(dialog),
        }
        result
    }

    /// Returns our tag; empty if there is none.
    #[must_use]
    pub fn local_tag(&self) -> &str {
        match &self.0 {
            Form::Texts { texts, .. } => {
                let tag = texts.split(|octet| *octet == b'\n').next().unwrap_or_default();
                std::str::from_utf8(tag).unwrap_or_default()
            }
            Form::Whole(dialog) => dialog.parts.local.tag().unwrap_or_default(),
        }
    }

    fn read(&self) -> Option<Dialog> {
        let Form::Texts { texts, local_seq, remote_seq, secure } = &self.0 else { return None };
        let mut lines = texts.split(|octet| *octet == b'\n').skip(1);
        let mut text = || std::str::from_utf8(lines.next()?).ok();
        let parts = Parts {
            call_id: CallId::parse(text()?)?,
            local: NameAddr::parse(text()?).ok()?,
            remote: NameAddr::parse(text()?).ok()?,
            local_seq: *local_seq,
            remote_seq: *remote_seq,
            target: Uri::parse(text()?).ok()?,
            routes: lines
                .map(|route| Verbatim::parse(Bytes::copy_from_slice(route)))
                .collect::<Option<_>>()?,
            secure: *secure,
        };
        Some(Dialog::from_parts(parts))
    }
}

fn texts_of(parts: &Parts) -> Vec<u8> {
    let (local, remote) = (parts.local.to_string(), parts.remote.to_string());
    let tag = parts.local.tag().unwrap_or_default();
    let head = [tag, parts.call_id.as_str(), &local, &remote, parts.target.as_str()];
    let lines = head.into_iter().map(str::as_bytes).chain(parts.routes.iter().map(Verbatim::as_bytes));
    let mut texts = Vec::with_capacity(256);
    for (at, line) in lines.enumerate() {
        if at > 0 {
            texts.push(b'\n');
        }
        texts.extend_from_slice(line);
    }
    texts
}

#[cfg(test)]
mod tests {
    use sip_types::Method;

    use super::*;

    fn parts() -> Parts {
        let route = Bytes::from_static(b"<sip:pool.s.example;ms-route-sig=aB\"\xC3\xA9;lr>;tag=q");
        Parts {
            call_id: CallId::parse("c1@host").unwrap(),
            local: NameAddr::parse("<sip:ann@x.example>;tag=w1").unwrap(),
            remote: NameAddr::parse("\"Bob \\\"B\\\"\" <sip:bob@s.example>;tag=b;epid=2c19").unwrap(),
            local_seq: 7,
            remote_seq: None,
            target: Uri::parse("sip:bob@s.example;opaque=user:epid:Kq1;gruu").unwrap(),
            routes: vec![Verbatim::parse(route).unwrap(); 2],
            secure: false,
        }
    }

    #[test]
    fn a_dialog_is_unpacked_octet_for_octet() {
        let dialog = Dialog::from_parts(parts());
        let packed = Packed::new(dialog.clone());

        assert_eq!(packed.unpack(), dialog);
        assert_eq!(packed.local_tag(), "w1");
        assert!(matches!(packed.0, Form::Texts { .. }), "{packed:?}");
    }

    #[test]
    fn what_happens_to_a_packed_dialog_happens_to_the_dialog() {
        let mut dialog = Dialog::from_parts(parts());
        let mut packed = Packed::new(dialog.clone());

        assert_eq!(
            packed.with(|dialog| dialog.request(Method::Notify)).cseq(),
            dialog.request(Method::Notify).cseq()
        );
        assert_eq!(packed.unpack(), dialog);
    }

    #[test]
    fn a_dialog_that_has_neither_tag_nor_route_is_packed_too() {
        let bare =
            Parts { routes: Vec::new(), local: NameAddr::parse("sip:ann@x.example").unwrap(), ..parts() };
        let dialog = Dialog::from_parts(bare);

        assert_eq!(Packed::new(dialog.clone()).unpack(), dialog);
        assert_eq!(Packed::new(dialog).local_tag(), "");
    }
}
