//! What the XMPP server of a play says and hears.

use xmpp_types::ns;
use xmpp_types::xml::{Element, Limits, parse_document};

use super::pattern::{Bindings, Mismatch, Pattern};

/// A stanza to send; `$names` in it are filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StanzaLine(String);

/// A stanza to expect: its element, and at least its attributes and children.
#[derive(Clone, Debug, PartialEq)]
pub struct StanzaPattern {
    element: Element,
    absent: Vec<Absent>,
}

/// What a stanza must not have.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Absent {
    Attribute(String),
    Child(String),
}

impl StanzaLine {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        stanza(text)?;
        Ok(Self(text.to_owned()))
    }

    /// Returns the stanza with its names filled in.
    ///
    /// # Errors
    /// Says why it is no stanza with these names.
    pub fn element(&self, bindings: &Bindings) -> Result<Element, String> {
        stanza(&bindings.fill(&self.0))
    }
}

impl StanzaPattern {
    pub(super) fn parse(text: &str, absent: &[String]) -> Result<Self, String> {
        let absent = absent.iter().map(|what| match what.strip_prefix('@') {
            Some(attribute) => Absent::Attribute(attribute.to_owned()),
            None => Absent::Child(what.clone()),
        });
        Ok(Self { element: stanza(text)?, absent: absent.collect() })
    }

    /// Compares a stanza. Attributes and children that the pattern does not name may be there.
    ///
    /// # Errors
    /// Says what is missing, different or too much.
    pub fn matches(&self, found: &Element, bindings: &mut Bindings) -> Result<(), Mismatch> {
        let mut attempt = bindings.clone();
        compare(&self.element, found, &mut attempt)?;
        for absent in &self.absent {
            let (what, there) = match absent {
                Absent::Attribute(name) => (format!("@{name}"), found.attr(name).map(str::to_owned)),
                Absent::Child(name) => (
                    name.clone(),
                    found.elements().find(|child| child.name() == name).map(ToString::to_string),
                ),
            };
            if let Some(there) = there {
                return Err(Mismatch { at: what, expected: "nothing".to_owned(), found: there });
            }
        }
        *bindings = attempt;
        Ok(())
    }
}

pub(super) fn compare(pattern: &Element, found: &Element, bindings: &mut Bindings) -> Result<(), Mismatch> {
    let at = pattern.name();
    if !found.is(pattern.name(), pattern.namespace()) {
        let expected = format!("<{} xmlns='{}'>", pattern.name(), pattern.namespace());
        return Err(Mismatch { at: at.to_owned(), expected, found: found.to_string() });
    }
    for attribute in pattern.attributes() {
        let value = found.attr_in(attribute.namespace(), attribute.name()).unwrap_or_default();
        Pattern::parse(attribute.value()).matches(&format!("{at}/@{}", attribute.name()), value, bindings)?;
    }
    let text = pattern.text();
    // White space between children is the file's layout; without children it is text.
    if pattern.elements().next().is_none() || !text.trim().is_empty() {
        Pattern::parse(&text).matches(at, &found.text(), bindings)?;
    }
    for child in pattern.elements() {
        let mut first = None;
        let fits = found.elements().any(|candidate| {
            let mut attempt = bindings.clone();
            match compare(child, candidate, &mut attempt) {
                Ok(()) => {
                    *bindings = attempt;
                    true
                }
                Err(mismatch) => {
                    if candidate.name() == child.name() {
                        first.get_or_insert(mismatch);
                    }
                    false
                }
            }
        });
        if !fits {
            let missing =
                || Mismatch { at: at.to_owned(), expected: child.to_string(), found: found.to_string() };
            return Err(first.unwrap_or_else(missing));
        }
    }
    Ok(())
}

/// Reads a stanza written without its namespace.
fn stanza(text: &str) -> Result<Element, String> {
    let text = text.trim();
    let name_end = text.find(|c: char| c.is_whitespace() || c == '>' || c == '/').unwrap_or(text.len());
    let (start, rest) = text.split_at(name_end);
    if !start.starts_with('<') {
        return Err("a stanza begins with <".to_owned());
    }
    let document = format!("{start} xmlns='{}'{rest}", ns::SERVER);
    parse_document(document.as_bytes(), &Limits::default()).map_err(|error| format!("not a stanza: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> StanzaPattern {
        StanzaPattern::parse(text, &[]).unwrap()
    }

    #[test]
    fn a_stanza_fits_if_it_has_at_least_what_the_pattern_names() {
        let found = stanza(
            "<message to='a@x' id='7' type='chat'><thread>t</thread><body>hi &amp; bye</body></message>",
        )
        .unwrap();
        let mut names = Bindings::default();

        let expected = pattern("<message id='$id' to='a@x'>\n  <body>hi &amp; *</body>\n</message>");

        assert_eq!(expected.matches(&found, &mut names), Ok(()));
        assert_eq!(names.get("id"), Some("7"));
    }

    #[test]
    fn a_mismatch_says_where() {
        let found = stanza("<message to='a@x'><body>no</body></message>").unwrap();
        let mut names = Bindings::default();

        let wrong_text =
            pattern("<message><body>yes</body></message>").matches(&found, &mut names).unwrap_err();
        let wrong_name = pattern("<iq/>").matches(&found, &mut names).unwrap_err();
        let absent = StanzaPattern::parse("<message/>", &["@to".to_owned()]).unwrap();

        assert_eq!(wrong_text.to_string(), "body: expected \"yes\", found \"no\"");
        assert_eq!(wrong_name.at, "iq");
        assert_eq!(absent.matches(&found, &mut names).unwrap_err().found, "a@x");
    }
}
