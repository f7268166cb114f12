//! One response of HTTP/1.1, read octet by octet (RFC 9112).

/// The response as far as it has come.
#[derive(Debug, Default)]
pub(super) struct Response {
    part: Part,
    /// The line that is not over yet.
    line: Vec<u8>,
    /// How many octets were not body.
    framing: usize,
    length: Option<usize>,
    is_chunked: bool,
    body: Vec<u8>,
}

/// What comes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Status,
    /// The fields of a response that only says that another follows (RFC 9110 §15.2).
    InterimFields,
    Fields,
    /// So many octets of the body.
    Body(usize),
    BodyUntilClose,
    ChunkSize,
    Chunk(usize),
    ChunkEnd,
    Trailers,
    Done,
}

impl Response {
    /// Takes octets; returns the body once it is whole.
    pub(super) fn handle_bytes(&mut self, mut bytes: &[u8]) -> Result<Option<Vec<u8>>, String> {
        while self.part != Part::Done && !bytes.is_empty() {
            bytes = match self.part {
                Part::Body(left) | Part::Chunk(left) => self.take_body(bytes, left)?,
                Part::BodyUntilClose => self.take_body(bytes, bytes.len())?,
                _ => self.take_line(bytes)?,
            };
        }
        Ok((self.part == Part::Done).then(|| std::mem::take(&mut self.body)))
    }

    /// Takes the end of the connection, which may be that of the body, too (RFC 9112 §8).
    pub(super) fn handle_close(&mut self) -> Result<Vec<u8>, String> {
        match self.part {
            Part::BodyUntilClose | Part::Done => Ok(std::mem::take(&mut self.body)),
            _ => Err("it closed the connection before its answer was whole".into()),
        }
    }

    fn take_body<'a>(&mut self, bytes: &'a [u8], left: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = bytes.split_at(left.min(bytes.len()));
        if self.body.len() + taken.len() > BODY_MAX {
            return Err(too_large());
        }
        self.body.extend_from_slice(taken);
        let left = left - taken.len();
        self.part = match self.part {
            Part::Body(_) if left == 0 => Part::Done,
            Part::Body(_) => Part::Body(left),
            Part::Chunk(_) if left == 0 => Part::ChunkEnd,
            Part::Chunk(_) => Part::Chunk(left),
            part => part,
        };
        Ok(rest)
    }

    fn take_line<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], String> {
        let end = bytes.iter().position(|octet| *octet == b'\n');
        let (taken, rest) = bytes.split_at(end.map_or(bytes.len(), |end| end + 1));
        self.framing += taken.len();
        if self.framing > FRAMING_MAX {
            return Err(format!("the head of its answer is larger than {FRAMING_MAX} octets"));
        }
        self.line.extend_from_slice(taken);
        if end.is_some() {
            let line = std::mem::take(&mut self.line);
            let line = line.strip_suffix(b"\n").unwrap_or(&line);
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let line = std::str::from_utf8(line).map_err(|_| "its answer is not HTTP".to_owned())?;
            self.part = self.handle_line(line)?;
        }
        Ok(rest)
    }

    fn handle_line(&mut self, line: &str) -> Result<Part, String> {
        Ok(match self.part {
            Part::Status => status(line)?,
            Part::InterimFields if line.is_empty() => Part::Status,
            Part::InterimFields => Part::InterimFields,
            Part::Fields if line.is_empty() => match (self.is_chunked, self.length) {
                (true, Some(_)) => return Err("it says in two ways how long its answer is".into()),
                (true, None) => Part::ChunkSize,
                (false, Some(0)) => Part::Done,
                (false, Some(length)) => Part::Body(length),
                (false, None) => Part::BodyUntilClose,
            },
            Part::Fields => {
                self.handle_field(line)?;
                Part::Fields
            }
            Part::ChunkSize => match chunk_size(line)? {
                0 => Part::Trailers,
                size => Part::Chunk(size),
            },
            Part::ChunkEnd if line.is_empty() => Part::ChunkSize,
            Part::ChunkEnd => return Err("its answer is cut into wrong pieces".into()),
            Part::Trailers if line.is_empty() => Part::Done,
            part => part,
        })
    }

    fn handle_field(&mut self, line: &str) -> Result<(), String> {
        let Some((name, value)) = line.split_once(':') else {
            return Err("its answer is not HTTP".into());
        };
        let value = value.trim_matches([' ', '\t']);
        if name.eq_ignore_ascii_case("content-length") {
            let is_number = !value.is_empty() && value.bytes().all(|octet| octet.is_ascii_digit());
            let length = value.parse().ok().filter(|length| is_number && *length <= BODY_MAX);
            let length = length.ok_or_else(too_large)?;
            if self.length.replace(length).is_some_and(|former| former != length) {
                return Err("it says in two ways how long its answer is".into());
            }
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            if !value.eq_ignore_ascii_case("chunked") || self.is_chunked {
                return Err("its answer is encoded in a way that nobody asked for".into());
            }
            self.is_chunked = true;
        }
        Ok(())
    }
}

/// Only 200 has what was asked for; redirects are not followed, which RFC 7711 §10 leaves open.
fn status(line: &str) -> Result<Part, String> {
    let mut words = line.splitn(3, ' ');
    let is_http = words.next().is_some_and(|version| version.starts_with("HTTP/1."));
    let code = words.next().filter(|code| code.len() == 3).and_then(|code| code.parse::<u16>().ok());
    match code.filter(|_| is_http) {
        Some(200) => Ok(Part::Fields),
        Some(100..=199) => Ok(Part::InterimFields),
        Some(code @ 300..=399) => Err(format!("it answered {code}, a redirect, which is not followed")),
        Some(code) => Err(format!("it answered {code}")),
        None => Err("its answer is not HTTP/1.1".into()),
    }
}

fn chunk_size(line: &str) -> Result<usize, String> {
    let size = line.split(';').next().unwrap_or_default().trim_end_matches([' ', '\t']);
    let is_number = !size.is_empty() && size.bytes().all(|octet| octet.is_ascii_hexdigit());
    let size = usize::from_str_radix(size, 16).ok().filter(|size| is_number && *size <= BODY_MAX);
    size.ok_or_else(too_large)
}

fn too_large() -> String {
    format!("its answer is larger than {BODY_MAX} octets, or of no length at all")
}

/// A document is not larger.
const BODY_MAX: usize = 64 * 1024;
/// Nor is all that goes around it.
const FRAMING_MAX: usize = 16 * 1024;
