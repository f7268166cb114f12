use std::fmt;

use crate::octets;
use crate::params::{Params, push_quoted, unquote};
use crate::text::{HeaderText, Text};

/// One value of a Warning header (RFC 3261 §20.43).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Three digits.
    pub code: u16,
    /// Who says so: a host or a pseudonym.
    pub agent: Text,
    /// What it says, unquoted.
    pub text: String,
}

impl Warning {
    /// Returns the value that `text` is.
    #[must_use]
    pub fn parse(text: impl Into<Text>) -> Option<Self> {
        let text = text.into();
        let mut parts = text.splitn(3, ' ');
        let code = parts.next().filter(|code| code.len() == 3)?;
        let code = octets::digits(code.as_bytes())?.up_to(999).and_then(|code| u16::try_from(code).ok())?;
        let agent = parts.next().filter(|agent| !agent.is_empty())?;
        let quoted = parts.next()?.trim();
        if octets::quoted_end(quoted.as_bytes(), 0) != Some(quoted.len()) || !quoted.starts_with('"') {
            return None;
        }
        Some(Self { code, agent: Text::from(agent), text: unquote(quoted).into_owned() })
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut quoted = String::new();
        push_quoted(&mut quoted, HeaderText::clean(&self.text).text.as_str());
        write!(out, "{:03} {} {quoted}", self.code, self.agent)
    }
}

/// An `ms-diagnostics` header (MS-OCER §2.2.1): `1008;reason="…";source="fqdn"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MsDiagnostics {
    /// The error's number.
    pub id: u32,
    /// `reason`, `source` and others.
    pub params: Params,
}

impl MsDiagnostics {
    /// Returns the value that `text` is.
    #[must_use]
    pub fn parse(text: impl Into<Text>) -> Option<Self> {
        let (id, params) = Params::split_header(&text.into())?;
        let id = octets::digits(id.as_bytes())?.up_to(u32::MAX)?;
        Some(Self { id, params })
    }

    /// Returns the reason in words.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        self.params.unquoted("reason").map(|reason| reason.into_owned())
    }

    /// Returns the name of the host that says so.
    #[must_use]
    pub fn source(&self) -> Option<String> {
        self.params.unquoted("source").map(|source| source.into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_reads_and_prints() {
        let warning =
            Warning::parse("307 isi.edu \"Session \\\"parameter\\\" 'foo' not understood\"").unwrap();

        assert_eq!(warning.text, "Session \"parameter\" 'foo' not understood");
        assert_eq!(Warning::parse(warning.to_string()).unwrap(), warning);
        assert_eq!(Warning::parse("1812 overture \"In Progress\""), None);
        assert_eq!(Warning::parse("399 a b"), None);
    }

    #[test]
    fn diagnostics_tell_number_reason_and_source() {
        let text =
            "1008;reason=\"Unable to resolve DNS SRV record\";domain=\"x.example\";source=\"sip.s.example\"";

        let diagnostics = MsDiagnostics::parse(text).unwrap();

        assert_eq!(diagnostics.id, 1008);
        assert_eq!(diagnostics.reason().unwrap(), "Unable to resolve DNS SRV record");
        assert_eq!(diagnostics.source().unwrap(), "sip.s.example");
        assert_eq!(MsDiagnostics::parse("x;reason=1"), None);
    }
}
