use crate::octets;

/// Cuts a line at its commas, those inside quotes and angle brackets excepted (RFC 3261 §7.3.1). Empty
/// values are left out.
#[derive(Clone, Debug)]
pub struct Values<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Values<'a> {
    /// Returns the values of `line`.
    #[must_use]
    pub const fn new(line: &'a [u8]) -> Self {
        Self { rest: Some(line) }
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            let rest = self.rest?;
            let end = value_end(rest);
            self.rest = rest.get(end + 1..);
            let value = octets::trim(&rest[..end]);
            if !value.is_empty() {
                return Some(value);
            }
        }
    }
}

/// Returns where the first value ends. An open quote or bracket reaches to the end of the line, so that
/// a broken value is one value and not several.
fn value_end(octets: &[u8]) -> usize {
    let mut at = 0;
    while let Some(found) = memchr::memchr3(b',', b'"', b'<', &octets[at..]) {
        at += found;
        let end = match octets[at] {
            b',' => return at,
            b'"' => octets::quoted_end(octets, at),
            _ => memchr::memchr(b'>', &octets[at..]).map(|close| at + close + 1),
        };
        match end {
            Some(end) => at = end,
            None => break,
        }
    }
    octets.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_in_quotes_and_brackets_do_not_separate() {
        let line = br#""Quoted, \",string" <sip:a,b@x.example> ; q=0.1 ,, <sip:c@x.example>;p="1,2", sip:d@x.example"#;

        let values: Vec<_> = Values::new(line).collect();

        assert_eq!(values.len(), 3);
        assert_eq!(values[1], br#"<sip:c@x.example>;p="1,2""#);
    }

    #[test]
    fn an_open_quote_reaches_to_the_end() {
        assert_eq!(Values::new(b"\"a, b").count(), 1);
        assert_eq!(Values::new(b"<a, b").count(), 1);
        assert_eq!(Values::new(b"").count(), 0);
        assert_eq!(Values::new(b" , ,").count(), 0);
    }
}
