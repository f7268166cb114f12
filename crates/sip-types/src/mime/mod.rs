//! Bodies: charsets, transfer encodings, multiparts and CPIM (RFC 2045, RFC 2046, RFC 3862).

mod charset;
mod cpim;
mod multipart;
mod transfer;

pub use charset::{Decoded, UnknownCharset, decode_text};
pub use cpim::Cpim;
pub use multipart::{Part, leaves, parts};

/// What a body may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MimeLimits {
    /// Parts, all that are nested counted together.
    pub parts: usize,
    /// How many multiparts may stand one in another.
    pub depth: usize,
    /// Header lines of one part.
    pub header_lines: usize,
}

impl Default for MimeLimits {
    fn default() -> Self {
        Self { parts: 32, depth: 4, header_lines: 32 }
    }
}

/// Why a body cannot be taken apart; a UAS answers 400, and 415 to a charset that it does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadBody(
    /// What is wrong.
    pub &'static str,
);

impl std::fmt::Display for BadBody {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.0)
    }
}

impl std::error::Error for BadBody {}
