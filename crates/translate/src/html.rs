//! Plain text out of HTML.

/// Returns the text that a reader of `html` sees: tags gone, entities read, blocks on lines of their own,
/// scripts, styles and comments gone. It reads what clients send as messages, not all of HTML; whatever comes
/// in, what goes out is plain text.
pub(crate) fn text_of(html: &str) -> String {
    let mut out = Out { text: String::with_capacity(html.len().min(4096)), space: false };
    let mut rest = html;
    while let Some(at) = rest.find(['<', '&']) {
        out.words(&rest[..at]);
        let here = &rest[at..];
        rest = if here.starts_with('&') { entity(here, &mut out) } else { tag(here, &mut out) };
    }
    out.words(rest);
    let end = out.text.trim_end().len();
    out.text.truncate(end);
    out.text
}

struct Out {
    text: String,
    /// White space was read and is owed before the next word.
    space: bool,
}

impl Out {
    /// Adds text with runs of white space as one space.
    fn words(&mut self, text: &str) {
        for c in text.chars() {
            if matches!(c, ' ' | '\t' | '\r' | '\n' | '\u{C}') {
                self.space = true;
            } else {
                self.push(c);
            }
        }
    }

    fn push(&mut self, c: char) {
        if self.space && !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push(' ');
        }
        self.space = false;
        self.text.push(c);
    }

    fn line_break(&mut self) {
        self.space = false;
        if !self.text.is_empty() {
            self.text.push('\n');
        }
    }

    /// Starts a block: on a new line, unless it is one already.
    fn block(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.line_break();
        }
        self.space = false;
    }
}

/// Reads one tag or comment at the start of `here`; returns what follows.
fn tag<'a>(here: &'a str, out: &mut Out) -> &'a str {
    if let Some(comment) = here.strip_prefix("<!--") {
        return comment.split_once("-->").map_or("", |(_, after)| after);
    }
    let name = here[1..].trim_start_matches('/');
    let name_end = name.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(name.len());
    let name = &name[..name_end];
    if name.is_empty() && !here.starts_with("<!") && !here.starts_with("<?") {
        // "a < b" is text, not a tag.
        out.push('<');
        return &here[1..];
    }
    let after = end_of_tag(here);
    let closes = here.starts_with("</");
    let is = |names: &[&str]| names.iter().any(|known| name.eq_ignore_ascii_case(known));
    if is(&["script", "style", "head", "title", "template"]) && !closes {
        return skip_to_close(after, name);
    }
    if is(&["br"]) {
        out.line_break();
    } else if is(&["p", "div", "li", "ul", "ol", "tr", "table", "blockquote", "pre", "hr"])
        || is(&["h1", "h2", "h3", "h4", "h5", "h6"])
    {
        out.block();
    } else if is(&["td", "th"]) {
        out.space = true;
    }
    after
}

/// Returns what follows the tag; a `>` inside an attribute's quotes does not end it.
fn end_of_tag(here: &str) -> &str {
    let mut quote = None;
    for (at, octet) in here.bytes().enumerate() {
        match (quote, octet) {
            (None, b'>') => return &here[at + 1..],
            (None, b'"' | b'\'') => quote = Some(octet),
            (Some(open), _) if open == octet => quote = None,
            _ => {}
        }
    }
    ""
}

/// Returns what follows `</name…>`; nothing if it is never closed.
fn skip_to_close<'a>(text: &'a str, name: &str) -> &'a str {
    let mut rest = text;
    while let Some(at) = rest.find("</") {
        rest = &rest[at + 2..];
        if rest.get(..name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name)) {
            return rest.split_once('>').map_or("", |(_, after)| after);
        }
    }
    ""
}

/// Reads one character reference at the start of `here`; an unknown one stays as it is written.
fn entity<'a>(here: &'a str, out: &mut Out) -> &'a str {
    // No name is longer: looking further would cost a text of many ampersands their number squared.
    let end = here.bytes().take(12).position(|octet| octet == b';').filter(|end| *end > 1);
    let known = end.and_then(|end| Some((character(&here[1..end])?, &here[end + 1..])));
    let Some((c, after)) = known else {
        out.push('&');
        return &here[1..];
    };
    out.push(c);
    after
}

fn character(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let number = match number.strip_prefix(['x', 'X']) {
            Some(digits) => u32::from_str_radix(digits, 16),
            None => number.parse(),
        };
        return char::from_u32(number.ok()?);
    }
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => ' ',
        "euro" => '€',
        "copy" => '©',
        "reg" => '®',
        "hellip" => '…',
        "ndash" => '–',
        "mdash" => '—',
        "lsquo" => '‘',
        "rsquo" => '’',
        "ldquo" => '“',
        "rdquo" => '”',
        "bull" => '•',
        "middot" => '·',
        "auml" => 'ä',
        "ouml" => 'ö',
        "uuml" => 'ü',
        "Auml" => 'Ä',
        "Ouml" => 'Ö',
        "Uuml" => 'Ü',
        "szlig" => 'ß',
        "eacute" => 'é',
        "egrave" => 'è',
        "agrave" => 'à',
        "ccedil" => 'ç',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_nothing_but_beginnings_is_read_once() {
        for piece in ["&", "<", "</", "<!--", "<a ", "<script>", "&#", "<p>"] {
            let text = text_of(&piece.repeat(100_000));

            assert!(text.len() <= 200_000, "{piece}");
        }
    }

    #[test]
    fn a_client_s_html_becomes_what_its_user_typed() {
        for (html, text) in [
            ("<html><body><b>Hi</b> there</body></html>", "Hi there"),
            ("<div>one</div><div>two<br>three</div>", "one\ntwo\nthree"),
            ("a &lt; b &amp;&amp; c &#62; d &#x1F600; &unknown; &", "a < b && c > d 😀 &unknown; &"),
            ("1 < 2", "1 < 2"),
            ("<style>p{}</style><script>alert('</p>')</script >x<!-- <b>no -->y", "xy"),
            ("<a title=\"x>y\" href='#'>link</a>", "link"),
            ("  <p> spread \n out </p>\n<p>more</p> ", "spread out\nmore"),
            ("<script>never closed", ""),
            ("<img src=x onerror=alert(1)>", ""),
            ("", ""),
        ] {
            assert_eq!(text_of(html), text, "{html}");
        }
    }
}
