use bytes::Bytes;

use super::{
    ByteRange, Continuation, FailureReport, Ident, Malformed, Method, Path, Status, SuccessReport, comment,
};
use crate::text::{HeaderText, Text};

/// A request or a response (§9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The transaction.
    pub transaction: Ident,
    /// What it is.
    pub kind: Kind,
    /// Whom it goes to, hop by hop.
    pub to_path: Path,
    /// Whom it comes from, the latest hop first.
    pub from_path: Path,
    /// The content that it is about.
    pub message_id: Option<Ident>,
    /// Which octets of it.
    pub byte_range: Option<ByteRange>,
    /// Whether its arrival is to be told.
    pub success_report: SuccessReport,
    /// Whether its loss is to be told.
    pub failure_report: FailureReport,
    /// What a REPORT says.
    pub status: Option<Status>,
    /// The content's type, as written.
    pub content_type: Option<HeaderText>,
    /// The content. A request without a body says less than one with an empty body (§7.1).
    pub body: Option<Bytes>,
    /// How it ends.
    pub continuation: Continuation,
}

/// What a message is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A request.
    Request(Method),
    /// The response to the request of the same transaction.
    Response {
        /// Three digits.
        code: u16,
        /// Words.
        comment: HeaderText,
    },
}

impl Message {
    /// Returns a request without a body.
    #[must_use]
    pub const fn request(transaction: Ident, method: Method, to_path: Path, from_path: Path) -> Self {
        Self {
            transaction,
            kind: Kind::Request(method),
            to_path,
            from_path,
            message_id: None,
            byte_range: None,
            success_report: SuccessReport::No,
            failure_report: FailureReport::Yes,
            status: None,
            content_type: None,
            body: None,
            continuation: Continuation::Complete,
        }
    }

    /// Returns the response to this request, from `ours`. It goes to the hop that the request came from, or for another
    /// method than SEND the whole way back (§7.2).
    #[must_use]
    pub fn response(&self, code: u16, ours: &super::Uri) -> Self {
        let to_path = match &self.kind {
            Kind::Request(Method::Send) => Path::to(self.from_path.next().clone()),
            Kind::Request(_) | Kind::Response { .. } => self.from_path.clone(),
        };
        Self {
            kind: Kind::Response { code, comment: HeaderText::from_static(comment(code)) },
            ..Self::request(self.transaction.clone(), Method::Send, to_path, Path::to(ours.clone()))
        }
    }

    /// Returns the REPORT that tells the sender of this request what became of these octets of its content (§7.1.3,
    /// §7.1.4); `None` if the content has no name.
    #[must_use]
    pub fn report(&self, transaction: Ident, range: ByteRange, code: u16, ours: &super::Uri) -> Option<Self> {
        let message_id = self.message_id.clone()?;
        let path = Path::to(ours.clone());
        Some(Self {
            message_id: Some(message_id),
            byte_range: Some(range),
            status: Some(Status::of_code(code)),
            ..Self::request(transaction, Method::Report, self.from_path.clone(), path)
        })
    }

    /// Returns whether the name of the transaction stands in the body, where its end-line could too: such a message must
    /// get another name (§7.1).
    #[must_use]
    pub fn collides(&self) -> bool {
        let body = self.body.as_deref().unwrap_or_default();
        memchr::memmem::find(body, self.transaction.as_str().as_bytes()).is_some()
    }

    /// Appends the message as it goes on the wire.
    pub fn print(&self, out: &mut Vec<u8>) {
        let mut line = |parts: &[&str]| {
            parts.iter().for_each(|part| out.extend_from_slice(part.as_bytes()));
            out.extend_from_slice(b"\r\n");
        };
        let id = self.transaction.as_str();
        match &self.kind {
            Kind::Request(method) => line(&["MSRP ", id, " ", method.as_str()]),
            Kind::Response { code, comment } if comment.as_str().is_empty() => {
                line(&["MSRP ", id, " ", &format!("{code:03}")]);
            }
            Kind::Response { code, comment } => {
                line(&["MSRP ", id, " ", &format!("{code:03} "), comment.as_str()]);
            }
        }
        line(&["To-Path: ", &self.to_path.to_string()]);
        line(&["From-Path: ", &self.from_path.to_string()]);
        if let Some(message_id) = &self.message_id {
            line(&["Message-ID: ", message_id.as_str()]);
        }
        match self.success_report {
            SuccessReport::No => {}
            SuccessReport::Yes => line(&["Success-Report: yes"]),
        }
        match self.failure_report {
            FailureReport::Yes => {}
            FailureReport::Partial => line(&["Failure-Report: partial"]),
            FailureReport::No => line(&["Failure-Report: no"]),
        }
        if let Some(range) = &self.byte_range {
            line(&["Byte-Range: ", &range.to_string()]);
        }
        if let Some(Status { namespace, code, comment }) = &self.status {
            let words = if comment.as_str().is_empty() { "" } else { " " };
            line(&["Status: ", &format!("{namespace:03} {code:03}{words}"), comment.as_str()]);
        }
        if let Some(body) = &self.body {
            // It is the last header (§7.1), and must be there where there is a body.
            line(&["Content-Type: ", self.content_type.as_ref().map_or("text/plain", HeaderText::as_str)]);
            line(&[]);
            out.extend_from_slice(body);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"-------");
        out.extend_from_slice(id.as_bytes());
        out.push(self.continuation.octet());
        out.extend_from_slice(b"\r\n");
    }

    /// Reads the lines from the start line to the last header.
    pub(super) fn read_head(head: &[u8]) -> Result<Self, Malformed> {
        let head = std::str::from_utf8(head).map_err(|_| Malformed("the headers are not UTF-8"))?;
        let mut lines = head.split("\r\n").filter(|line| !line.is_empty());
        let (transaction, kind) =
            start_line(lines.next().unwrap_or_default()).ok_or(Malformed("the start line is none"))?;
        let mut fields = Fields::default();
        for line in lines {
            fields.read(line)?;
        }
        let (to_path, from_path) =
            fields.to_path.zip(fields.from_path).ok_or(Malformed("a path is missing"))?;
        Ok(Self {
            transaction,
            kind,
            to_path,
            from_path,
            message_id: fields.message_id,
            byte_range: fields.byte_range,
            success_report: fields.success_report,
            failure_report: fields.failure_report,
            status: fields.status,
            content_type: fields.content_type,
            body: None,
            continuation: Continuation::Complete,
        })
    }
}

/// Reads `MSRP transaction METHOD` or `MSRP transaction 200 comment`.
pub(super) fn start_line(line: &str) -> Option<(Ident, Kind)> {
    let mut parts = line.strip_prefix("MSRP ")?.splitn(3, ' ');
    let transaction = Ident::parse(parts.next()?)?;
    let word = parts.next()?;
    let is_code = word.len() == 3 && word.bytes().all(|octet| octet.is_ascii_digit());
    let kind = if is_code {
        let comment = HeaderText::clean(parts.next().unwrap_or_default()).text;
        Kind::Response { code: word.parse().ok()?, comment }
    } else {
        Kind::Request(Method::parse(word).filter(|_| parts.next().is_none())?)
    };
    Some((transaction, kind))
}

#[derive(Default)]
struct Fields {
    to_path: Option<Path>,
    from_path: Option<Path>,
    message_id: Option<Ident>,
    byte_range: Option<ByteRange>,
    success_report: SuccessReport,
    failure_report: FailureReport,
    status: Option<Status>,
    content_type: Option<HeaderText>,
}

impl Fields {
    fn read(&mut self, line: &str) -> Result<(), Malformed> {
        let (name, value) = line.split_once(':').ok_or(Malformed("a header line has no colon"))?;
        let value = value.trim_matches([' ', '\t']);
        let is = |known: &str| name.trim_end().eq_ignore_ascii_case(known);
        if is("To-Path") {
            self.to_path = Some(Path::parse(value).ok_or(Malformed("To-Path is no path"))?);
        } else if is("From-Path") {
            self.from_path = Some(Path::parse(value).ok_or(Malformed("From-Path is no path"))?);
        } else if is("Message-ID") {
            self.message_id =
                Some(Ident::parse(Text::from(value)).ok_or(Malformed("Message-ID is no name"))?);
        } else if is("Byte-Range") {
            let range = ByteRange::parse(value).ok_or(Malformed("Byte-Range is no range"))?;
            // COMPAT(several clients, 2010s): `0-0/0` for content without octets, which begins at 1 (§7.1.1); may stay.
            self.byte_range = Some(ByteRange { start: range.start.max(1), ..range });
        } else if is("Success-Report") {
            let wanted = value.eq_ignore_ascii_case("yes");
            self.success_report = if wanted { SuccessReport::Yes } else { SuccessReport::No };
        } else if is("Failure-Report") {
            self.failure_report = match () {
                () if value.eq_ignore_ascii_case("no") => FailureReport::No,
                () if value.eq_ignore_ascii_case("partial") => FailureReport::Partial,
                () => FailureReport::Yes,
            };
        } else if is("Status") {
            self.status = Some(Status::parse(value).ok_or(Malformed("Status is no status"))?);
        } else if is("Content-Type") {
            let kind = HeaderText::parse(value).map_err(|_| Malformed("Content-Type is no media type"))?;
            self.content_type = Some(kind).filter(|kind| !kind.as_str().is_empty());
        }
        Ok(())
    }
}
