//! From the text of a play to its values.

use std::time::Duration;

use super::document::{self, DocumentPattern};
use super::pattern::Pattern;
use super::sip::{SipAnswer, SipLine, SipPattern, SipStart, is_method};
use super::stanza::{StanzaLine, StanzaPattern};
use super::{Act, BadPlay, Fault, Play, Step, Timing, duration};

/// A line that begins at the margin, with the indented lines below it.
struct Block<'a> {
    line: usize,
    head: &'a str,
    below: Vec<(usize, &'a str)>,
}

pub(super) fn play(text: &str) -> Result<Play, BadPlay> {
    let mut play = Play {
        title: String::new(),
        specs: Vec::new(),
        cases: Vec::new(),
        settings: Vec::new(),
        names: Vec::new(),
        steps: Vec::new(),
    };
    for block in blocks(text)? {
        match block.head.split_once(": ") {
            Some((key @ ("title" | "spec" | "case" | "set"), value)) => {
                if !play.steps.is_empty() {
                    return Err(block.bad("what a play is about stands before its first step"));
                }
                describe(&mut play, key, value.trim(), &block)?;
            }
            _ if block.head.starts_with("let ") => play.names.push(name_of(&block)?),
            _ if block.head.starts_with("repeat ") => play.names.push(repetition(&block)?),
            _ => play.steps.push(Step { line: block.line, act: act(&block)? }),
        }
    }
    if play.title.is_empty() {
        return Err(BadPlay { line: 1, what: "a play has a title".to_owned() });
    }
    Ok(play)
}

fn blocks(text: &str) -> Result<Vec<Block<'_>>, BadPlay> {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let number = at + 1;
        let line = line.trim_end();
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        if !line.starts_with([' ', '\t']) {
            blocks.push(Block { line: number, head: line, below: Vec::new() });
            continue;
        }
        let last = blocks.last_mut();
        let block =
            last.ok_or(BadPlay { line: number, what: "an indented line belongs to one above".to_owned() })?;
        block.below.push((number, line.trim()));
    }
    Ok(blocks)
}

fn describe(play: &mut Play, key: &str, value: &str, block: &Block<'_>) -> Result<(), BadPlay> {
    match key {
        "title" => play.title = value.to_owned(),
        "spec" => play.specs.extend(value.split(", ").map(str::to_owned)),
        "case" => {
            for number in value.split(", ") {
                play.cases.push(number.parse().map_err(|_| block.bad("a case is a number"))?);
            }
        }
        _ => {
            let (name, value) = value.split_once(' ').ok_or_else(|| block.bad("set: name value"))?;
            play.settings.push((name.to_owned(), value.trim().to_owned()));
        }
    }
    Ok(())
}

/// Reads `let $name text`.
fn name_of(block: &Block<'_>) -> Result<(String, String), BadPlay> {
    let told = block.head.strip_prefix("let $").and_then(|rest| rest.split_once(' '));
    let (name, text) = told.ok_or_else(|| block.bad("let $name text"))?;
    let text = octets(text).and_then(|octets| String::from_utf8(octets).ok());
    Ok((name.to_owned(), text.ok_or_else(|| block.bad("an unknown escape in a text"))?))
}

/// Reads `repeat $name 30000 text`.
fn repetition(block: &Block<'_>) -> Result<(String, String), BadPlay> {
    let told = block.head.strip_prefix("repeat $").and_then(|rest| rest.split_once(' '));
    let told = told.and_then(|(name, rest)| Some((name, rest.split_once(' ')?)));
    let read = told.and_then(|(name, (count, text))| Some((name, count.parse().ok()?, text)));
    let (name, count, text): (&str, usize, &str) =
        read.ok_or_else(|| block.bad("repeat $name 30000 text"))?;
    if count.saturating_mul(text.len()) > REPEATED_MAX {
        return Err(block.bad("nobody sends so much"));
    }
    Ok((name.to_owned(), text.repeat(count)))
}

fn act(block: &Block<'_>) -> Result<Act, BadPlay> {
    let (verb, rest) = block.head.split_once(' ').unwrap_or((block.head, ""));
    let rest = rest.trim();
    match (verb, rest.split_once(' ').unwrap_or((rest, ""))) {
        ("xmpp", (">", stanza)) => {
            let text = block.joined(stanza);
            StanzaLine::parse(&text).map(Act::XmppSays).map_err(|what| block.bad(&what))
        }
        ("xmpp", ("<", stanza)) => xmpp_hears(block, stanza),
        ("sip", (">", "again")) => Ok(Act::SipRepeats),
        ("sip", (">", "hangs up")) => Ok(Act::SipHangsUp),
        ("sip", (">", start)) => sip_says(block, start),
        ("sip", ("<", start)) => sip_hears(block, start),
        ("notice", ("<", words)) => operator_hears(block, words),
        ("wait", _) => Ok(Act::Wait(duration(rest).ok_or_else(|| block.bad("wait 2 s"))?)),
        ("differ", _) => names(rest).map(Act::Differ).ok_or_else(|| block.bad("differ $one $other")),
        _ => fault(block.head).map(Act::Fault).ok_or_else(|| block.bad("no such step")),
    }
}

fn xmpp_hears(block: &Block<'_>, stanza: &str) -> Result<Act, BadPlay> {
    let mut text = stanza.to_owned();
    let mut absent = Vec::new();
    let mut timing = Timing::default();
    for (line, below) in &block.below {
        if time(below, &mut timing) {
            continue;
        }
        match below.strip_prefix("no ") {
            Some(what) => absent.push(what.trim().to_owned()),
            None if absent.is_empty() => {
                text.push('\n');
                text.push_str(below);
            }
            None => {
                return Err(BadPlay { line: *line, what: "a stanza ends before its conditions".to_owned() });
            }
        }
    }
    let pattern = StanzaPattern::parse(&text, &absent).map_err(|what| block.bad(&what))?;
    Ok(Act::XmppHears(pattern, timing))
}

fn operator_hears(block: &Block<'_>, words: &str) -> Result<Act, BadPlay> {
    let mut timing = Timing::default();
    for (line, below) in &block.below {
        if !time(below, &mut timing) {
            return Err(BadPlay { line: *line, what: "below a notice stands only when it comes".to_owned() });
        }
    }
    Ok(Act::OperatorHears(Pattern::parse(words), timing))
}

fn sip_says(block: &Block<'_>, start: &str) -> Result<Act, BadPlay> {
    let mut headers = Vec::new();
    let (mut body, mut document) = (Body::default(), String::new());
    let (mut tag, mut of, mut over) = (None, None, 1);
    for (line, below) in &block.below {
        let bad = |what: &str| BadPlay { line: *line, what: what.to_owned() };
        let (name, value) = header(below).ok_or_else(|| bad("Name: value"))?;
        match name {
            "body" => body.add(value).ok_or_else(|| bad("an unknown escape in a body"))?,
            "pidf" => document.push_str(value),
            "tag" => tag = Some(value.to_owned()),
            "of" => of = Some(value.to_owned()),
            "over" => over = value.parse().map_err(|_| bad("over: the number of a connection"))?,
            _ => headers.push((name.to_owned(), value.to_owned())),
        }
    }
    let mut body = body.octets();
    if !document.is_empty() {
        body = document::said(&mut headers, &document).into_bytes();
    }
    let (first, second) = start.split_once(' ').unwrap_or((start, ""));
    let second = second.trim().to_owned();
    if let Ok(status) = first.parse() {
        return Ok(Act::SipAnswers(SipAnswer {
            status,
            reason: second,
            headers,
            body: body.into(),
            tag,
            of,
        }));
    }
    if !is_method(first) || second.is_empty() {
        return Err(block.bad("sip > METHOD uri, sip > STATUS reason, sip > again, or sip > hangs up"));
    }
    Ok(Act::SipSays(SipLine { method: first.to_owned(), uri: second, headers, body: body.into(), over }))
}

fn sip_hears(block: &Block<'_>, start: &str) -> Result<Act, BadPlay> {
    let (first, second) = start.split_once(' ').unwrap_or((start, ""));
    let second = second.trim();
    let start = match first.parse() {
        Ok(status) => {
            SipStart::Response { status, reason: Some(second).filter(|r| !r.is_empty()).map(Pattern::parse) }
        }
        Err(_) if is_method(first) && !second.is_empty() => {
            SipStart::Request { method: first.to_owned(), uri: Pattern::parse(second) }
        }
        Err(_) => return Err(block.bad("sip < METHOD uri, or sip < STATUS reason")),
    };
    let mut pattern =
        SipPattern { start, headers: Vec::new(), absent: Vec::new(), body: None, document: None, over: None };
    let mut timing = Timing::default();
    let (mut body, mut document) = (Body::default(), String::new());
    for (line, below) in &block.below {
        if time(below, &mut timing) {
            continue;
        }
        if let Some(name) = below.strip_prefix("no ") {
            pattern.absent.push(name.trim().to_owned());
            continue;
        }
        let bad = |what: &str| BadPlay { line: *line, what: what.to_owned() };
        let (name, value) = header(below).ok_or_else(|| bad("Name: value"))?;
        match name {
            "body" => body.add(value).ok_or_else(|| bad("an unknown escape in a body"))?,
            "pidf" => document.push_str(value),
            "over" => {
                pattern.over = Some(value.parse().map_err(|_| bad("over: the number of a connection"))?)
            }
            _ => pattern.headers.push((name.to_owned(), Pattern::parse(value))),
        }
    }
    if body.0.is_some() {
        let text =
            String::from_utf8(body.octets()).map_err(|_| block.bad("a body that is expected is UTF-8"))?;
        pattern.body = Some(Pattern::parse(&text));
    }
    if !document.is_empty() {
        pattern.document = Some(DocumentPattern::parse(&document).map_err(|what| block.bad(&what))?);
    }
    Ok(Act::SipHears(pattern, timing))
}

/// A body, with its lines joined by line ends.
#[derive(Default)]
struct Body(Option<Vec<u8>>);

impl Body {
    fn add(&mut self, line: &str) -> Option<()> {
        let line = octets(line)?;
        match &mut self.0 {
            Some(body) => {
                body.extend_from_slice(b"\r\n");
                body.extend(line);
            }
            None => self.0 = Some(line),
        }
        Some(())
    }

    fn octets(self) -> Vec<u8> {
        self.0.unwrap_or_default()
    }
}

impl Block<'_> {
    fn bad(&self, what: &str) -> BadPlay {
        BadPlay { line: self.line, what: what.to_owned() }
    }

    fn joined(&self, first: &str) -> String {
        let mut text = first.to_owned();
        for (_, below) in &self.below {
            text.push('\n');
            text.push_str(below);
        }
        text
    }
}

fn header(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once(':')?;
    let is_name =
        !name.is_empty() && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-');
    is_name.then(|| (name, value.strip_prefix(' ').unwrap_or(value)))
}

/// Reads `within 2 s` and `after 2 s`.
fn time(line: &str, timing: &mut Timing) -> bool {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    match (word, duration(rest)) {
        ("within", Some(time)) => timing.within = time,
        ("after", Some(time)) => {
            timing.after = time;
            timing.within = timing.within.max(time + Duration::from_secs(5));
        }
        _ => return false,
    }
    true
}

fn names(text: &str) -> Option<Vec<String>> {
    let names: Option<Vec<_>> =
        text.split(' ').map(|name| name.strip_prefix('$').map(str::to_owned)).collect();
    names.filter(|names| names.len() >= 2)
}

fn fault(line: &str) -> Option<Fault> {
    Some(match line {
        "restart gateway" => Fault::RestartGateway,
        "stop gateway" => Fault::StopGateway,
        "start gateway" => Fault::StartGateway,
        "hold sip" => Fault::HoldSip,
        "mend sip" => Fault::MendSip,
        "restart proxy" => Fault::RestartProxy,
        "cut link" => Fault::CutLink,
        "hold link" => Fault::HoldLink,
        "mend link" => Fault::MendLink,
        "hold acks" => Fault::HoldAcks,
        "release acks" => Fault::ReleaseAcks,
        "stop partner" => Fault::StopPartner,
        "start partner" => Fault::StartPartner,
        "hold partner" => Fault::HoldPartner,
        "mend partner" => Fault::MendPartner,
        "cut partner" => Fault::CutPartner,
        "partner hangs up" => Fault::HangUp,
        "partner drips" => Fault::Drip,
        "partner behaves" => Fault::BehaveWell,
        "certificate expires" => Fault::ExpireCertificate,
        _ => return None,
    })
}

/// Reads a body's escapes: `\r \n \t \\ \xHH`.
fn octets(text: &str) -> Option<Vec<u8>> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = match (first, after) {
            (b'\\', [b'x', high, low, after @ ..]) => {
                let digits = [*high, *low];
                let digits = std::str::from_utf8(&digits).ok()?;
                octets.push(u8::from_str_radix(digits, 16).ok()?);
                after
            }
            (b'\\', [letter, after @ ..]) => {
                octets.push(match letter {
                    b'r' => b'\r',
                    b'n' => b'\n',
                    b't' => b'\t',
                    b'\\' => b'\\',
                    _ => return None,
                });
                after
            }
            (b'\\', []) => return None,
            _ => {
                octets.push(*first);
                after
            }
        };
    }
    Some(octets)
}

/// How long a repeated text may be.
const REPEATED_MAX: usize = 1 << 22;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::play::Bindings;

    #[test]
    fn a_name_can_be_given_its_text() {
        let play = Play::parse("title: t\nlet $sdp v=0\\r\\n\n").unwrap();

        assert_eq!(play.names, [("sdp".to_owned(), "v=0\r\n".to_owned())]);
        let play = Play::parse("title: t\nrepeat $long 3 ab\n").unwrap();
        assert_eq!(play.names, [("long".to_owned(), "ababab".to_owned())]);
    }

    const ANN_WRITES: &str = "\
# A comment.
title: a text crosses
spec: RFC 7572 §4, RFC 3428 §4
case: 1
set: message-type chat

xmpp > <message from='ann@x.example/desk' to='bob@s.example' id='m1'>
         <body>Hi</body>
       </message>
sip < MESSAGE sip:bob@s.example
      From: *;tag=$tag
      no Contact
      body: Hi
      within 2 s
sip > 200
wait 1 s
sip > MESSAGE sip:ann@x.example
      From: <sip:bob@s.example>;tag=1
      body: caf\\xE9\\r\\n
sip > again
xmpp < <message to='ann@x.example'/>
       no @type
       after 6 s
differ $tag $id
restart gateway
";

    #[test]
    fn a_play_is_read_step_by_step() {
        let play = Play::parse(ANN_WRITES).unwrap();

        assert_eq!(play.title, "a text crosses");
        assert_eq!(play.specs, ["RFC 7572 §4", "RFC 3428 §4"]);
        assert_eq!(play.cases, [1]);
        assert_eq!(play.setting("message-type"), Some("chat"));
        assert_eq!(play.steps.len(), 9);
        assert_eq!(play.steps[1].line, 10);
        assert!(matches!(play.steps[2].act, Act::SipAnswers(SipAnswer { status: 200, .. })));
        assert!(matches!(play.steps[3].act, Act::Wait(_)));
        assert!(
            matches!(&play.steps[6].act, Act::XmppHears(_, timing) if timing.after == Duration::from_secs(6))
        );
        assert!(matches!(play.steps[8].act, Act::Fault(Fault::RestartGateway)));
    }

    #[test]
    fn a_request_of_a_play_is_what_stands_on_the_wire() {
        let play = Play::parse(ANN_WRITES).unwrap();
        let Act::SipSays(line) = &play.steps[4].act else { panic!("step 5 is a request") };

        let octets = line.request("SIP/2.0/UDP s.example;branch=z9hG4bK1", &Bindings::default()).octets();

        let head = "MESSAGE sip:ann@x.example SIP/2.0\r\nVia: SIP/2.0/UDP s.example;branch=z9hG4bK1\r\n\
            Max-Forwards: 70\r\nFrom: <sip:bob@s.example>;tag=1\r\nContent-Length: 6\r\n\r\ncaf";
        assert_eq!(octets, [head.as_bytes(), b"\xE9\r\n"].concat());
    }

    #[test]
    fn an_answer_can_have_a_body_of_several_lines_and_the_tag_of_a_fork() {
        let text = "title: a\nsip > 200 OK\n  of: INVITE\n  tag: fork\n  body: v=0\n  body: s=-\\r\\n\n\
            sip > MESSAGE sip:a\n  over: 3\nsip < 200\n  over: 3\nsip > hangs up\n";

        let play = Play::parse(text).unwrap();

        let Act::SipAnswers(answer) = &play.steps[0].act else { panic!("step 1 is an answer") };
        assert_eq!((answer.tag.as_deref(), answer.of.as_deref()), (Some("fork"), Some("INVITE")));
        assert_eq!(answer.body, "v=0\r\ns=-\r\n");
        assert!(matches!(&play.steps[1].act, Act::SipSays(SipLine { over: 3, .. })));
        assert!(matches!(&play.steps[2].act, Act::SipHears(SipPattern { over: Some(3), .. }, _)));
        assert_eq!(play.steps[3].act, Act::SipHangsUp);
    }

    #[test]
    fn a_mistake_is_told_with_its_line() {
        for (text, line, what) in [
            ("title: a\nxmpp > nothing\n", 2, "a stanza begins with <"),
            ("title: a\n\nsip > 200\nspec: RFC 1\n", 4, "what a play is about stands before its first step"),
            ("  title: a\n", 1, "an indented line belongs to one above"),
            ("title: a\nsing\n", 2, "no such step"),
            ("wait 1 s\n", 1, "a play has a title"),
            ("title: a\nsip > MESSAGE sip:a\n  body: \\q\n", 3, "an unknown escape in a body"),
        ] {
            let error = Play::parse(text).unwrap_err();

            assert_eq!((error.line, error.what.as_str()), (line, what));
        }
    }
}
