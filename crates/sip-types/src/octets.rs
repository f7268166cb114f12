//! Classes of octets (RFC 3261 §25.1) and the few cuts that all parsers here share.

/// `token`.
pub(crate) const TOKEN: u8 = 1;
/// `user` unescaped: unreserved and user-unreserved.
pub(crate) const USER: u8 = 2;
/// `paramchar` unescaped: unreserved and param-unreserved.
pub(crate) const PARAM: u8 = 4;
/// `password` unescaped.
pub(crate) const PASSWORD: u8 = 8;
/// `hname`, `hvalue` unescaped, and the `&` and `=` between them.
pub(crate) const HEADERS: u8 = 16;
/// `word`, of which a Call-ID is made.
pub(crate) const WORD: u8 = 32;
/// A host name; the underscore is not in RFC 3261 but in use.
pub(crate) const HOST: u8 = 64;
/// The value of a header's parameter when it is not quoted: a token, a host, and what others put there
/// unquoted (`=`, `/`, `+`, UTF-8).
pub(crate) const VALUE: u8 = 128;

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut octet: u8 = 0;
    loop {
        table[octet as usize] = class_of(octet);
        if octet == 255 {
            return table;
        }
        octet += 1;
    }
}

/// Returns the classes that `octet` is of.
pub(crate) const fn class_of(octet: u8) -> u8 {
    let alphanumeric = octet.is_ascii_alphanumeric();
    let mark = matches!(octet, b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' | b'(' | b')');
    let unreserved = alphanumeric || mark;
    let token =
        alphanumeric || matches!(octet, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~');
    let mut classes = 0;
    if token {
        classes |= TOKEN;
    }
    if unreserved || matches!(octet, b'&' | b'=' | b'+' | b'$' | b',' | b';' | b'?' | b'/') {
        classes |= USER;
    }
    if unreserved || matches!(octet, b'[' | b']' | b'/' | b':' | b'&' | b'+' | b'$') {
        classes |= PARAM;
    }
    if unreserved || matches!(octet, b'&' | b'=' | b'+' | b'$' | b',') {
        classes |= PASSWORD;
    }
    if unreserved || matches!(octet, b'[' | b']' | b'/' | b'?' | b':' | b'+' | b'$' | b'&' | b'=') {
        classes |= HEADERS;
    }
    if token
        || matches!(
            octet,
            b'(' | b')' | b'<' | b'>' | b':' | b'\\' | b'"' | b'/' | b'[' | b']' | b'?' | b'{' | b'}'
        )
    {
        classes |= WORD;
    }
    if alphanumeric || matches!(octet, b'-' | b'.' | b'_') {
        classes |= HOST;
    }
    if (octet.is_ascii_graphic() && !matches!(octet, b'"' | b',' | b';' | b'<' | b'>' | b'\\'))
        || octet >= 0x80
    {
        classes |= VALUE;
    }
    classes
}

static CLASSES: [u8; 256] = classes();

/// Returns whether `octet` is of `class`.
#[inline]
pub(crate) fn is(octet: u8, class: u8) -> bool {
    CLASSES[usize::from(octet)] & class != 0
}

/// Returns whether all of `octets` are of `class`.
#[inline]
pub(crate) fn all(octets: &[u8], class: u8) -> bool {
    octets.iter().all(|octet| is(*octet, class))
}

/// Returns whether all of `octets` are of `class` or part of a well-formed `%HH`.
#[inline]
pub(crate) fn all_or_escaped(octets: &[u8], class: u8) -> bool {
    match octets.iter().position(|octet| !is(*octet, class) || *octet == b'%') {
        None => true,
        Some(at) => escaped_from(&octets[at..], class),
    }
}

fn escaped_from(octets: &[u8], class: u8) -> bool {
    let mut rest = octets;
    while let Some((first, after)) = rest.split_first() {
        if is(*first, class) && *first != b'%' {
            rest = after;
        } else if *first == b'%'
            && after.len() >= 2
            && after[0].is_ascii_hexdigit()
            && after[1].is_ascii_hexdigit()
        {
            rest = &after[2..];
        } else {
            return false;
        }
    }
    true
}

/// Returns where `octet` is first. For parts of a few octets, where a search of many at once does not pay.
#[inline]
pub(crate) fn find(octets: &[u8], octet: u8) -> Option<usize> {
    octets.iter().position(|one| *one == octet)
}

/// Returns where the octets of `class` that begin at `start` end.
#[inline]
pub(crate) fn run(octets: &[u8], start: usize, class: u8) -> usize {
    let rest = octets.get(start..).unwrap_or_default();
    start + rest.iter().position(|octet| !is(*octet, class)).unwrap_or(rest.len())
}

/// Returns the value of a hexadecimal digit.
pub(crate) const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Returns whether `octets` are a `token`.
pub(crate) fn is_token(octets: &[u8]) -> bool {
    !octets.is_empty() && all(octets, TOKEN)
}

/// Returns where a quoted string that begins at `start` ends: the position after its closing quote.
pub(crate) fn quoted_end(octets: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    while let Some(found) = memchr::memchr2(b'"', b'\\', octets.get(at..)?) {
        at += found;
        if octets[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
    None
}

/// Returns `octets` without the spaces and tabs around them.
#[inline]
pub(crate) fn trim(octets: &[u8]) -> &[u8] {
    let (start, end) = trimmed(octets);
    &octets[start..end]
}

/// Returns where `octets` begin and end without the spaces and tabs around them.
#[inline]
pub(crate) fn trimmed(octets: &[u8]) -> (usize, usize) {
    let mut start = 0;
    let mut end = octets.len();
    while start < end && is_white(octets[start]) {
        start += 1;
    }
    while end > start && is_white(octets[end - 1]) {
        end -= 1;
    }
    (start, end)
}

/// Returns the position after the spaces and tabs at `at`.
#[inline]
pub(crate) fn skip_white(octets: &[u8], mut at: usize) -> usize {
    while at < octets.len() && is_white(octets[at]) {
        at += 1;
    }
    at
}

/// Returns whether `octet` is a space or a tab.
#[inline]
pub(crate) const fn is_white(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t')
}

/// Returns the number that `octets` are: `1*DIGIT` and nothing else, `None` also if it exceeds `u64`.
pub(crate) fn digits(octets: &[u8]) -> Option<Number> {
    if octets.is_empty() || !octets.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut number: u64 = 0;
    for octet in octets {
        match number.checked_mul(10).and_then(|tens| tens.checked_add(u64::from(octet - b'0'))) {
            Some(next) => number = next,
            None => return Some(Number::Overlarge),
        }
    }
    Some(Number::Is(number))
}

/// A number of any length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Number {
    /// It fits.
    Is(u64),
    /// It does not fit 64 bits.
    Overlarge,
}

impl Number {
    /// Returns the number, or `max` if it is larger.
    pub(crate) fn capped(self, max: u32) -> u32 {
        match self {
            Self::Is(number) => u32::try_from(number).map_or(max, |number| number.min(max)),
            Self::Overlarge => max,
        }
    }

    /// Returns the number unless it is larger than `max`.
    pub(crate) fn up_to(self, max: u32) -> Option<u32> {
        match self {
            Self::Is(number) => u32::try_from(number).ok().filter(|number| *number <= max),
            Self::Overlarge => None,
        }
    }
}

/// Appends a number in decimal digits.
pub(crate) fn put_number(out: &mut Vec<u8>, number: u32) {
    let mut digits = [0; 10];
    let mut at = digits.len();
    let mut rest = number;
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_digits_only_and_never_wraps() {
        assert_eq!(digits(b"0068"), Some(Number::Is(68)));
        assert_eq!(digits(b"36893488147419103232"), Some(Number::Overlarge));
        for octets in [&b""[..], b"+5", b"-1", b"5 ", b"5,5", b"0x5"] {
            assert_eq!(digits(octets), None);
        }
    }

    #[test]
    fn an_escaped_quote_does_not_end_a_quoted_string() {
        assert_eq!(quoted_end(br#""a\"b"c"#, 0), Some(6));
        assert_eq!(quoted_end(br#""a\""#, 0), None);
        assert_eq!(quoted_end(br#""a\"#, 0), None);
    }

    #[test]
    fn numbers_print_in_decimal() {
        for number in [0, 7, 10, 1_234_567_890, u32::MAX] {
            let mut out = Vec::new();
            put_number(&mut out, number);
            assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
        }
    }
}
