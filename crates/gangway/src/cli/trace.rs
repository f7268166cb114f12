//! `gangway trace`: what a process saw of a user, a domain or a message, in one timeline.

use std::path::Path;
use std::process::ExitCode;

use admin::{Direction, Reply, Request, Trace, TraceEvent};
use time::{OffsetDateTime, UtcOffset};

use super::ask::{self, Form};
use super::{WRONG, complain};

/// What to show.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// A user's address, a domain, a stanza's id or a Call-ID.
    subject: String,
    /// Goes on and shows messages as they cross, until it is interrupted.
    #[arg(long, short)]
    follow: bool,
    /// Shows what people write, of what crosses from now on. The process notes that in its log.
    #[arg(long, requires = "follow")]
    bodies: bool,
    #[command(flatten)]
    ask: super::Ask,
}

/// Asks the process, again and again if so wished.
pub fn run(options: &Options) -> ExitCode {
    let socket = match ask::socket(&options.ask.at.config) {
        Ok(socket) => socket,
        Err(code) => return code,
    };
    let mut after = 0;
    loop {
        match once(&socket, options, after) {
            Ok(last) if options.follow => after = last,
            Ok(_) => return ExitCode::SUCCESS,
            Err(why) => {
                complain(&why);
                return ExitCode::from(WRONG);
            }
        }
    }
}

fn once(socket: &Path, options: &Options, after: u64) -> Result<u64, String> {
    let Options { subject, follow, bodies, .. } = options;
    let request = Request::Trace { subject: subject.clone(), after, follow: *follow, bodies: *bodies };
    let trace = match admin::ask(socket, &request).map_err(|why| why.to_string())? {
        Reply::Trace(trace) => trace,
        Reply::Refused { reason } => return Err(reason),
        other => return Err(format!("the process answers with something else: {other:?}")),
    };
    let text = match options.ask.form() {
        Form::Json => trace.events.iter().map(json).collect(),
        Form::Words if trace.events.is_empty() && after == 0 => {
            let more = if *follow { "" } else { "; `--follow` waits for what comes" };
            eprintln!("nothing was seen lately of `{subject}`{more}");
            String::new()
        }
        Form::Words => words(&trace, local),
    };
    // Whoever does not read any more has seen enough.
    if super::print(&text) != ExitCode::SUCCESS {
        return Err("nobody reads on".to_owned());
    }
    // Nothing yet is not the same as everything from the start.
    Ok(trace.last.max(1))
}

fn json(event: &TraceEvent) -> String {
    serde_json::to_string(event).expect("an event has no keys but texts") + "\n"
}

/// Returns the timeline for people; `clock` says how late it was.
pub fn words(trace: &Trace, clock: impl Fn(i64) -> String) -> String {
    let mut out = String::new();
    if trace.has_gap {
        out.push_str("… some of it was forgotten before it could be shown\n");
    }
    let width = |text: fn(&TraceEvent) -> String| {
        trace.events.iter().map(|event| text(event).chars().count()).max().unwrap_or_default()
    };
    let (roles, places) = (width(|event| event.role.clone()), width(place));
    for event in &trace.events {
        let line = format!(
            "{}  {:roles$}  {:places$}  {}",
            clock(event.at),
            event.role,
            place(event),
            printable(&event.what)
        );
        out.push_str(line.trim_end());
        out.push('\n');
        for line in event.body.iter().flat_map(|body| body.lines()) {
            out.push_str(&format!("{:indent$}| {}\n", "", printable(line), indent = CLOCK + 2));
        }
    }
    out
}

/// Where a message crossed: `SIP  ◀── 10.0.0.9:5060/UDP`.
fn place(event: &TraceEvent) -> String {
    let Some(side) = &event.side else { return String::new() };
    let arrow = match event.direction {
        Some(Direction::In) => "◀──",
        Some(Direction::Out) => "──▶",
        None => "───",
    };
    format!("{side:4} {arrow} {}", event.peer)
}

/// What a peer wrote must not move the cursor.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// The time of this machine's place, or UTC marked as such where that cannot be known.
fn local(at: i64) -> String {
    let Ok(utc) = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at) * 1_000_000) else {
        return at.to_string();
    };
    let offset = UtcOffset::local_offset_at(utc);
    let mark = if offset.is_ok() { "" } else { "Z" };
    let time = utc.to_offset(offset.unwrap_or(UtcOffset::UTC)).time();
    format!("{:02}:{:02}:{:02}.{:03}{mark}", time.hour(), time.minute(), time.second(), time.millisecond())
}

/// How wide a time is.
const CLOCK: usize = "12:34:56.789".len();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeline_is_aligned_and_holds_no_control_characters() {
        let event = |side: Option<&str>, direction, peer: &str, what: &str| TraceEvent {
            role: "gateway".to_owned(),
            side: side.map(str::to_owned),
            direction,
            peer: peer.to_owned(),
            what: what.to_owned(),
            ..TraceEvent::default()
        };
        let mut stanza = event(Some("XMPP"), Some(Direction::Out), "edge", "<message id='m1'/>");
        stanza.body = Some("Hi\u{1b}[2J\nAnn".to_owned());
        let events = vec![
            event(Some("SIP"), Some(Direction::In), "10.0.0.9:5060/UDP", "MESSAGE sip:ann@x.example"),
            event(None, None, "", "SIP → XMPP: arrived"),
            stanza,
        ];
        let trace = Trace { events, last: 3, has_gap: false };

        let shown = words(&trace, |_| "12:34:56.789".to_owned());

        assert_eq!(
            shown,
            "12:34:56.789  gateway  SIP  ◀── 10.0.0.9:5060/UDP  MESSAGE sip:ann@x.example\n\
             12:34:56.789  gateway                              SIP → XMPP: arrived\n\
             12:34:56.789  gateway  XMPP ──▶ edge               <message id='m1'/>\n\
             \x20             | Hi\u{fffd}[2J\n\
             \x20             | Ann\n"
        );
    }
}
