//! One file of text, and for Rust the difference between its code, its comments and its strings.

use std::ops::Range;

/// A file of the workspace.
#[derive(Debug)]
pub struct Source {
    /// The path from the workspace's root, with `/` on every system.
    pub path: String,
    /// The text as it stands.
    pub text: String,
    /// For Rust: the text with comments and the insides of literals blanked, same length, same lines. Else empty.
    pub code: String,
    /// For Rust: the text with everything but comments blanked. Else empty.
    pub comments: String,
    /// For Rust: the bytes that belong to `#[cfg(test)]` items. A file below `tests/` or `benches/` is test code as a whole.
    test_code: Vec<Range<usize>>,
}

/// A function as found in masked code.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    /// The name after `fn`.
    pub name: String,
    /// The line of its `fn`, counted from 1.
    pub line: usize,
    /// Lines from `fn` to the closing brace, both included.
    pub lines: usize,
    /// Whether it carries a `#[test]` attribute.
    pub is_test: bool,
}

impl Source {
    /// Takes a file's text apart.
    pub fn new(path: String, text: String) -> Self {
        let mut source =
            Self { path, text, code: String::new(), comments: String::new(), test_code: Vec::new() };
        if source.is_rust() {
            (source.code, source.comments) = mask(&source.text);
            source.test_code = test_items(&source.code);
        }
        source
    }

    /// Whether the file is Rust.
    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Returns the directory name of the crate that the file belongs to, if it lies in `crates/`.
    pub fn crate_name(&self) -> Option<&str> {
        self.path.strip_prefix("crates/")?.split('/').next()
    }

    /// Whether a byte of the file is compiled for tests only.
    pub fn is_test_at(&self, offset: usize) -> bool {
        self.path.contains("/tests/")
            || self.path.contains("/benches/")
            || self.path.ends_with("/tests.rs")
            || self.path.ends_with("_tests.rs")
            || self.test_code.iter().any(|range| range.contains(&offset))
    }

    /// Returns the line of a byte, counted from 1.
    pub fn line_at(&self, offset: usize) -> usize {
        1 + self.text.as_bytes()[..offset].iter().filter(|&&b| b == b'\n').count()
    }

    /// Returns where a word stands in code, as a whole word where it begins or ends with a letter.
    pub fn code_places<'a>(&'a self, word: &'a str) -> impl Iterator<Item = usize> + 'a {
        places(&self.code, word)
    }

    /// Returns the file's functions with a body.
    pub fn functions(&self) -> Vec<Function> {
        places(&self.code, "fn").filter_map(|at| self.function_at(at)).collect()
    }

    fn function_at(&self, at: usize) -> Option<Function> {
        let rest = &self.code[at + 2..];
        let name: String =
            rest.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        // `fn(u8) -> u8` is a type, not a function.
        if name.is_empty() {
            return None;
        }
        let end = body_end(&self.code, at)?;
        let line = self.line_at(at);
        Some(Function {
            name,
            line,
            lines: self.line_at(end) - line + 1,
            is_test: self.has_test_attribute(at),
        })
    }

    /// Looks upwards over attributes and comments, from the line of `fn`.
    fn has_test_attribute(&self, at: usize) -> bool {
        let before = &self.code[..self.code[..at].rfind('\n').map_or(0, |n| n)];
        before
            .lines()
            .rev()
            .take_while(|line| line.trim().is_empty() || line.trim_start().starts_with("#["))
            .any(|line| line.contains("#[test]") || line.contains("::test]"))
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn places<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let bytes = text.as_bytes();
    let (first, last) = (word.as_bytes()[0], word.as_bytes()[word.len() - 1]);
    text.match_indices(word).map(|(at, _)| at).filter(move |&at| {
        let opens = !is_word(first) || at == 0 || !is_word(bytes[at - 1]);
        let closes = !is_word(last) || bytes.get(at + word.len()).is_none_or(|&b| !is_word(b));
        opens && closes
    })
}

/// Returns the offset of the brace that closes the first block after `from`, or `None` when a `;` comes first.
fn body_end(code: &str, from: usize) -> Option<usize> {
    let mut depth = 0usize;
    let mut nested = 0usize;
    for (at, byte) in code.bytes().enumerate().skip(from) {
        match byte {
            b'(' | b'[' if depth == 0 => nested += 1,
            b')' | b']' if depth == 0 => nested = nested.saturating_sub(1),
            b';' if depth == 0 && nested == 0 => return None,
            b'{' => depth += 1,
            b'}' if depth == 1 => return Some(at),
            b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

fn test_items(code: &str) -> Vec<Range<usize>> {
    code.match_indices("#[cfg(test)]")
        .map(|(at, _)| {
            let end = body_end(code, at + "#[cfg(test)]".len());
            at..end.or_else(|| code[at..].find(';').map(|n| at + n)).unwrap_or(code.len())
        })
        .collect()
}

/// Returns the code and the comments of a Rust text, each with everything else blanked.
fn mask(text: &str) -> (String, String) {
    let bytes = text.as_bytes();
    let blank: Vec<u8> = bytes.iter().map(|&b| if b == b'\n' { b } else { b' ' }).collect();
    let (mut code, mut comments) = (bytes.to_vec(), blank.clone());
    let mut at = 0;
    while at < bytes.len() {
        let end = match &bytes[at..] {
            [b'/', b'/', ..] => text[at..].find('\n').map_or(bytes.len(), |n| at + n),
            [b'/', b'*', ..] => block_comment_end(bytes, at),
            _ => {
                at = literal_end(bytes, at).map_or(at + 1, |(inside, end)| {
                    code[inside.clone()].copy_from_slice(&blank[inside]);
                    end
                });
                continue;
            }
        };
        code[at..end].copy_from_slice(&blank[at..end]);
        comments[at..end].copy_from_slice(&bytes[at..end]);
        at = end;
    }
    (ascii_only(code), ascii_only(comments))
}

/// Blanked pieces may begin inside a character; the rules only look for ASCII, and offsets must stay.
fn ascii_only(bytes: Vec<u8>) -> String {
    match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            error.into_bytes().into_iter().map(|b| if b.is_ascii() { char::from(b) } else { ' ' }).collect()
        }
    }
}

fn block_comment_end(bytes: &[u8], from: usize) -> usize {
    let mut depth = 0usize;
    let mut at = from;
    while at < bytes.len() {
        match &bytes[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] if depth == 1 => return at + 2,
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    bytes.len()
}

/// If a literal begins here, returns its inside and its end. A lifetime is not a literal.
fn literal_end(bytes: &[u8], at: usize) -> Option<(Range<usize>, usize)> {
    match bytes[at] {
        b'"' => Some(quoted(bytes, at, b'"')),
        b'\'' if bytes.get(at + 1) == Some(&b'\\') => Some(quoted(bytes, at, b'\'')),
        b'\'' => {
            let width = std::str::from_utf8(&bytes[at + 1..(at + 5).min(bytes.len())])
                .map_or_else(|error| error.valid_up_to(), str::len)
                .min(4);
            let first = std::str::from_utf8(&bytes[at + 1..at + 1 + width]).ok()?.chars().next()?.len_utf8();
            (bytes.get(at + 1 + first) == Some(&b'\'')).then(|| (at + 1..at + 1 + first, at + first + 2))
        }
        b'r' | b'b' | b'c' if at == 0 || !is_word(bytes[at - 1]) => {
            let prefix = bytes[at..].iter().take(2).take_while(|b| b"rbc".contains(b)).count();
            let hashes = bytes[at + prefix..].iter().take_while(|&&b| b == b'#').count();
            let raw = bytes[at..at + prefix].contains(&b'r');
            (raw && bytes.get(at + prefix + hashes) == Some(&b'"'))
                .then(|| raw_string(bytes, at + prefix + hashes, hashes))
        }
        _ => None,
    }
}

fn quoted(bytes: &[u8], at: usize, quote: u8) -> (Range<usize>, usize) {
    let mut end = at + 1;
    while end < bytes.len() && bytes[end] != quote {
        end += if bytes[end] == b'\\' { 2 } else { 1 };
    }
    let end = end.min(bytes.len());
    (at + 1..end, (end + 1).min(bytes.len()))
}

fn raw_string(bytes: &[u8], quote: usize, hashes: usize) -> (Range<usize>, usize) {
    let mut close = vec![b'#'; hashes + 1];
    close[0] = b'"';
    let end = bytes[quote + 1..]
        .windows(close.len())
        .position(|window| window == close)
        .map_or(bytes.len(), |n| quote + 1 + n);
    (quote + 1..end, (end + close.len()).min(bytes.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rust(text: &str) -> Source {
        Source::new("crates/x/src/lib.rs".into(), text.into())
    }

    #[test]
    fn strings_and_comments_are_not_code() {
        let source = rust(
            "let a = \"unwrap()\"; // unwrap()\nlet b = r#\"\"unwrap()\"\"#; /* unwrap() /* x */ */ b.unwrap()",
        );

        assert_eq!(source.code_places("unwrap()").count(), 1);
        assert_eq!(source.code.len(), source.text.len());
    }

    #[test]
    fn a_lifetime_does_not_open_a_literal() {
        let source = rust("fn a<'a>(x: &'a str) -> char { '\"' } // told\nfn b() { 'ä'; '\\''; b'{'; }");

        let names: Vec<_> = source.functions().into_iter().map(|f| (f.name, f.lines)).collect();

        assert_eq!(names, [("a".into(), 1), ("b".into(), 1)]);
        assert!(source.comments.contains("told"));
    }

    #[test]
    fn a_function_ends_at_its_closing_brace() {
        let source = rust(
            "trait T { fn declared(&self) -> [u8; 4]; }\n#[test]\nfn long() {\n  if x {\n  }\n}\ntype F = fn(u8);\n",
        );

        assert_eq!(source.functions(), [Function { name: "long".into(), line: 3, lines: 4, is_test: true }]);
    }

    #[test]
    fn code_for_tests_is_told_apart() {
        let source = rust("fn a() { now() }\n#[cfg(test)]\nmod tests { fn b() { now() } }\n");

        let places: Vec<_> = source.code_places("now()").map(|at| source.is_test_at(at)).collect();

        assert_eq!(places, [false, true]);
    }
}
