//! `gangway demo`: a SIP user and an XMPP user write to and see each other, and one sees what crosses.
//!
//! ```text
//!   XMPP server ── TCP, TLS, EXTERNAL ──▶ proxy ── pipe ── gateway ── TLS ──▶ SIP user agent
//!   (peer-role)                           └── as `gangway run` has them ──┘    (peer-role)
//! ```
//!
//! Everything is in this process and on 127.0.0.1. Proxy and gateway are started from a configuration file
//! that is written for the occasion; the two others are made of the project's own machines.

mod lines;
mod once;
mod peers;
mod place;
mod screen;
mod stage;
mod talk;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use admin::Request;
use peer_role::Said;
use peer_role::presence::State;

use crate::cli::ask;
use lines::Line;
use once::{Deed, STEPS, Step};
use peers::{Seen, Wish};
use screen::{Screen, Style, padded};
use stage::{Happened, Stage};
use talk::Conversation;

/// How to demonstrate.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Sends a text each way and one to nobody each way, shows presence both ways, and ends: with 0 if all went
    /// as it should.
    #[arg(long)]
    once: bool,
    /// Uses this new directory for configuration, certificates and store, and leaves it there.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

/// One of the two protocols, its user and its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// Ann, at the partner's XMPP server.
    Xmpp,
    /// Bob, at a SIP user agent.
    Sip,
}

const ANN: &str = "ann";
const BOB: &str = "bob";
const PARTNER: &str = "partner.example";
const SIP: &str = "example.com";
const PROXY: &str = "edge.example.com";
const GATEWAY: &str = "gateway.example.com";
const POOL: &str = "pool.example.com";

impl Side {
    const fn other(self) -> Self {
        match self {
            Self::Xmpp => Self::Sip,
            Self::Sip => Self::Xmpp,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Xmpp => ANN,
            Self::Sip => BOB,
        }
    }

    const fn protocol(self) -> &'static str {
        match self {
            Self::Xmpp => "XMPP",
            Self::Sip => "SIP",
        }
    }

    const fn domain(self) -> &'static str {
        match self {
            Self::Xmpp => PARTNER,
            Self::Sip => SIP,
        }
    }

    /// Returns the address of its user.
    fn user(self) -> String {
        format!("{}@{}", self.name(), self.domain())
    }

    fn named(name: &str) -> Option<Self> {
        [Self::Xmpp, Self::Sip].into_iter().find(|side| side.name().eq_ignore_ascii_case(name))
    }

    /// Returns the server that `/down` stops.
    const fn server(self) -> &'static str {
        match self {
            Self::Xmpp => "the partner's XMPP server",
            Self::Sip => "the SIP user agent",
        }
    }
}

/// Runs the demonstration.
pub fn run(options: &Options) -> ExitCode {
    let begun = Instant::now();
    let mut screen = Screen::new();
    let stage = match Stage::new(options.keep.as_deref()) {
        Ok(stage) => stage,
        Err(why) => return fail(&why),
    };
    let mut show =
        Show { stage, conversation: Conversation::default(), turn: Side::Xmpp, next_id: 0, over: None };
    let result = show.introduce(&mut screen, begun).and_then(|()| {
        if options.once { show.play_once(&mut screen, begun) } else { show.play(&mut screen) }
    });
    let kept = show.stage.place().kept().map(PathBuf::from);
    show.stage.end();
    if let Err(why) = result {
        return fail(&why);
    }
    match kept {
        Some(directory) => screen.note(&format!("Ended. Kept: {}", directory.display())),
        None => screen.note("Ended; nothing is left behind."),
    }
    ExitCode::SUCCESS
}

fn fail(why: &str) -> ExitCode {
    eprintln!("gangway: the demonstration came to nothing: {why}");
    ExitCode::FAILURE
}

/// The demonstration while it runs.
struct Show {
    stage: Stage,
    conversation: Conversation,
    /// Who writes what has no name in front.
    turn: Side,
    next_id: u64,
    /// Why it ends.
    over: Option<Over>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Over {
    /// Its user wants it.
    Wanted,
    /// The system wants it.
    Signal(&'static str),
    /// Proxy and gateway are gone.
    RolesEnded,
}

/// What the greetings at the start showed.
#[derive(Debug, Default)]
struct Greeted {
    xmpp_tls: Vec<String>,
    sip_tls: Vec<String>,
    proofs: Vec<String>,
    xmpp: bool,
    sip: bool,
}

impl Greeted {
    /// Both streams and the SIP connection are there.
    fn is_done(&self) -> bool {
        self.xmpp && self.sip && self.proofs.len() >= 2
    }

    fn hear(&mut self, side: Side, seen: Seen) -> Result<(), String> {
        match (side, seen) {
            (Side::Xmpp, Seen::Secured(words)) => self.xmpp_tls.push(words),
            (Side::Sip, Seen::Secured(words)) => self.sip_tls.push(words),
            (_, Seen::Said(Said::Note(note))) if note.contains(" proved by ") => self.proofs.push(note),
            (Side::Xmpp, Seen::Said(Said::Accepted { .. })) => self.xmpp = true,
            (Side::Sip, Seen::Said(Said::Accepted { .. })) => self.sip = true,
            (_, Seen::Said(Said::Refused { answer: why, .. } | Said::Unanswered { reason: why, .. })) => {
                return Err(format!("{} was not greeted back: {why}", side.server()));
            }
            (_, Seen::Said(_) | Seen::Sent(_) | Seen::Received(_)) => {}
        }
        Ok(())
    }
}

impl Show {
    /// Opens what there is to open, and says what runs where.
    fn introduce(&mut self, screen: &mut Screen, begun: Instant) -> Result<(), String> {
        let mut greeted = Greeted::default();
        for side in [Side::Xmpp, Side::Sip] {
            let greeting = Wish::Greet { id: format!("greeting-{}", side.name()) };
            self.stage.wish(side, greeting).map_err(|why| format!("{} {why}", side.server()))?;
        }
        let until = Instant::now() + Duration::from_secs(10);
        while !greeted.is_done() {
            match self.stage.next(Some(until)) {
                Some(Happened::Peer(side, _, seen)) => greeted.hear(side, seen)?,
                Some(Happened::Stop(name)) => {
                    self.over = Some(Over::Signal(name));
                    return Ok(());
                }
                Some(Happened::RolesEnded) => return Err("proxy and gateway have ended".into()),
                Some(Happened::Line(_) | Happened::InputEnded) => {}
                None => return Err("the connections were not there within 10 s".into()),
            }
        }
        self.say_what_runs(screen, &greeted, begun);
        Ok(())
    }

    fn say_what_runs(&self, screen: &mut Screen, greeted: &Greeted, begun: Instant) {
        let ports = self.stage.ports();
        let title = format!("Gangway {}", env!("CARGO_PKG_VERSION"));
        let title = screen.painted(Style::Bold, &title);
        screen.line(&format!(
            "\n{title}: an XMPP user and a SIP user write to each other; all in this process, on 127.0.0.1."
        ));
        let cell = |text: &str| padded(text, 16);
        let xmpp = screen.painted(Style::Of(Side::Xmpp), &cell("XMPP server"));
        let sip = screen.painted(Style::Of(Side::Sip), "SIP user agent");
        let arrow = screen.painted(Style::Dim, "◀──▶ ");
        screen.line(&format!("\n  {xmpp}{arrow}{}{arrow}{}{arrow}{sip}", cell("proxy"), cell("gateway")));
        let under = |one: &str, two: &str, three: &str, four: &str| {
            format!("  {}     {}     {}     {four}", cell(one), cell(two), cell(three))
        };
        let [one, two, three, four] = [ports.partner, ports.proxy, ports.gateway, ports.pool]
            .map(|address| format!("port {}", address.port()));
        screen.note(&under(PARTNER, "the way out", "inside, SQLite", SIP));
        screen.note(&under(&one, &two, &three, &four));
        screen.line("");
        let first = |list: &[String]| list.first().cloned().unwrap_or_default();
        screen.note(&format!("  XMPP  {}", first(&greeted.xmpp_tls).replace(", ", "\n        ")));
        let by_certificate = greeted.proofs.iter().all(|proof| proof.contains("certificate"));
        let proof = if by_certificate { "certificate, SASL EXTERNAL" } else { "dialback" };
        screen.note(&format!("        a stream each way, each domain proved to the other ({proof})"));
        screen.note(&format!("  SIP   {}", first(&greeted.sip_tls).replace(", ", "\n        ")));
        let file = self.stage.place().configuration();
        screen.note(&format!("  file  {}", file.display()));
        screen.note(&format!("  all connected after {}", talk::time(begun.elapsed())));
    }

    fn play_once(&mut self, screen: &mut Screen, begun: Instant) -> Result<(), String> {
        screen.line("");
        screen.heads();
        let mut wrong = Vec::new();
        for step in &STEPS {
            let id = self.perform(step, screen)?;
            let until = Instant::now() + once::PATIENCE;
            let is_over = |show: &Self| step.is_over(&show.conversation, &id);
            while self.over.is_none() && !is_over(self) {
                let Some(happened) = self.stage.next(Some(until)) else { break };
                self.take(happened, screen);
            }
            match self.over {
                Some(Over::Signal(name)) => return Err(format!("{name} came first")),
                Some(Over::RolesEnded) => return Err("proxy and gateway have ended".into()),
                Some(Over::Wanted) | None => {}
            }
            wrong.extend(step.judge(&self.conversation, &id).err());
        }
        let (all, right) = (STEPS.len(), STEPS.len() - wrong.len());
        let count = format!(
            "{right} of {all} steps went as they should, {} after the start.",
            talk::time(begun.elapsed())
        );
        let style = if wrong.is_empty() { Style::Good } else { Style::Bad };
        let count = screen.painted(style, &count);
        screen.line(&format!("\n{count}"));
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
    }

    /// Does what a step says; returns the id of its text.
    fn perform(&mut self, step: &Step, screen: &mut Screen) -> Result<String, String> {
        let wish = match step.deed {
            Deed::Text { to, text } => return self.send(step.from, to, text),
            Deed::Add => Wish::Add,
            Deed::Show(state) => {
                Wish::Show(state.map(|(show, note)| State { show: show.to_owned(), note: note.to_owned() }))
            }
        };
        self.wish(step.from, wish, screen).map(|()| String::new())
    }

    /// Has the server of a side do something for its user, and waits for what somebody is shown then.
    fn wish(&mut self, side: Side, wish: Wish, screen: &mut Screen) -> Result<(), String> {
        let (name, other) = (side.name(), side.other());
        let (done, watcher) = match &wish {
            Wish::Show(Some(state)) => (format!("{name} is {state}"), other),
            Wish::Show(None) => (format!("{name} is gone"), other),
            _ => (format!("{name} adds {} to the contacts", other.name()), side),
        };
        let is_seen = watcher == side || self.conversation.view(watcher).is_some();
        self.stage.wish(side, wish).map_err(|why| format!("{} {why}", side.server()))?;
        talk::deed(screen, side, &done);
        if is_seen {
            self.conversation.await_view(watcher);
        }
        Ok(())
    }

    fn play(&mut self, screen: &mut Screen) -> Result<(), String> {
        screen.line("");
        help(screen);
        screen.line("");
        screen.heads();
        self.stage.listen_to_input()?;
        let is_interactive = Screen::is_interactive();
        let mut lines: VecDeque<String> = VecDeque::new();
        let mut has_ended = false;
        while self.over.is_none() && !screen.is_broken() {
            // A script's next line waits until the one before has come to its end.
            let may_go_on = is_interactive || self.conversation.is_settled();
            if may_go_on && let Some(line) = lines.pop_front() {
                self.obey(&Line::parse(&line), &line, screen);
                continue;
            }
            if may_go_on && has_ended {
                break;
            }
            screen.prompt(self.turn);
            let until = (!may_go_on).then(|| Instant::now() + SCRIPT_PATIENCE);
            match self.stage.next(until) {
                Some(Happened::Line(line)) => lines.push_back(line),
                Some(Happened::InputEnded) => {
                    has_ended = true;
                    screen.leave();
                    if is_interactive {
                        screen.line("");
                    }
                }
                Some(other) => self.take(other, screen),
                None => self.conversation.forget(),
            }
        }
        match self.over {
            Some(Over::RolesEnded) => Err("proxy and gateway have ended".into()),
            Some(Over::Signal(name)) => {
                screen.leave();
                screen.note(&format!("\n{name}: ending"));
                Ok(())
            }
            Some(Over::Wanted) | None => Ok(()),
        }
    }

    /// Takes what happened elsewhere than at the keyboard.
    fn take(&mut self, happened: Happened, screen: &mut Screen) {
        match happened {
            Happened::Peer(side, at, Seen::Said(said)) => self.conversation.hear(side, said, at, screen),
            Happened::Peer(side, _, Seen::Secured(words)) => talk::aside(screen, side, &words),
            Happened::Peer(side, _, Seen::Sent(octets)) => screen.octets(side, "▸", &octets),
            Happened::Peer(side, _, Seen::Received(octets)) => screen.octets(side, "◂", &octets),
            Happened::Stop(name) => self.over = Some(Over::Signal(name)),
            Happened::RolesEnded => self.over = Some(Over::RolesEnded),
            Happened::Line(_) | Happened::InputEnded => {}
        }
    }

    /// Does what a line says.
    fn obey(&mut self, line: &Line, typed: &str, screen: &mut Screen) {
        match line {
            Line::Text { .. } | Line::Turn(_) => screen.take_back(typed),
            _ => screen.leave(),
        }
        match line {
            Line::Text { from, to, text } => {
                self.turn = from.unwrap_or(self.turn);
                if let Err(why) = self.send(self.turn, to.as_deref(), text) {
                    screen.note(&format!("{} cannot write that: {why}", self.turn.name()));
                }
            }
            Line::Turn(side) => {
                // An empty line of a script separates, no more.
                if Screen::is_interactive() {
                    self.turn = side.unwrap_or(self.turn.other());
                }
            }
            Line::Down(side) => tell_of(*side, Ok(self.stage.take_down(*side)), screen),
            Line::Freeze(side) => tell_of(*side, Ok(self.stage.freeze(*side)), screen),
            Line::Up(side) => tell_of(*side, self.stage.bring_up(*side), screen),
            Line::Trace => {
                let now = if self.stage.toggle_trace() {
                    "are shown; /trace again hides them"
                } else {
                    "are hidden"
                };
                screen.note(&format!("octets {now}"));
            }
            Line::Status => self.ask(&Request::Status),
            Line::Streams => self.ask(&Request::Streams),
            Line::Queue => self.ask(&Request::Queue),
            Line::Presence => self.ask(&Request::Presence { user: None, wrong: false }),
            Line::Add(who) => self.wish_as(*who, Wish::Add, screen),
            Line::Show(who, state) => self.wish_as(*who, Wish::Show(state.clone()), screen),
            Line::Help => help(screen),
            Line::Quit => self.over = Some(Over::Wanted),
            Line::Wrong(why) => screen.line(&screen.painted(Style::Bad, why)),
        }
    }

    fn wish_as(&mut self, who: Option<Side>, wish: Wish, screen: &mut Screen) {
        if let Err(why) = self.wish(who.unwrap_or(self.turn), wish, screen) {
            screen.note(&why);
        }
    }

    /// Shows what the command of this name shows, asked over the same socket.
    fn ask(&self, request: &Request) {
        // What cannot be answered has been complained of.
        let _ = ask::run(&self.stage.place().configuration(), request, ask::Form::Words);
    }

    /// Sends a text and returns its id.
    ///
    /// # Errors
    /// The sender's own server does not take it; says why.
    fn send(&mut self, from: Side, to: Option<&str>, text: &str) -> Result<String, String> {
        let there = from.other().domain();
        let to = match to {
            None => from.other().user(),
            Some(address) if address.contains('@') => address.to_owned(),
            Some(user) => format!("{user}@{there}"),
        };
        if from == Side::Xmpp && !to.ends_with(&format!("@{there}")) {
            return Err(format!("without a DNS, {} reaches {there} only", from.server()));
        }
        self.next_id += 1;
        let id = format!("text-{}", self.next_id);
        let wish = Wish::Text { id: id.clone(), to, text: text.to_owned() };
        self.stage.wish(from, wish).map_err(|why| format!("{} {why}", from.server()))?;
        self.conversation.announce(&id);
        Ok(id)
    }
}

fn tell_of(side: Side, became: Result<&str, String>, screen: &mut Screen) {
    match became {
        Ok(became) => screen.note(&format!("{} {became}", side.server())),
        Err(why) => screen.line(&screen.painted(Style::Bad, &why)),
    }
}

/// How long a script's line waits for the one before.
const SCRIPT_PATIENCE: Duration = Duration::from_secs(30);

fn help(screen: &mut Screen) {
    for (typed, meaning) in HELP {
        let typed = screen.painted(Style::Bold, &padded(typed, 27));
        let meaning = screen.painted(Style::Dim, meaning);
        screen.line(&format!("  {typed}{meaning}"));
    }
}

const HELP: [(&str, &str); 9] = [
    ("hello", "whose name stands in front writes; an empty line changes sides"),
    ("ann: hello", "Ann writes to Bob; `bob: hello` the other way"),
    ("ann > carol: hello", "to somebody else over there: see what comes back"),
    ("/add", "adds the other to the contacts, and sees whether he is there; `bob: /add` for Bob"),
    ("/away at lunch", "says how one is; also /busy /here /gone: the other sees it"),
    ("/down partner", "stops the partner's server (or `sip`): the next text is refused; /up starts it"),
    ("/freeze partner", "it stands still: the next text is kept on disk; /thaw, and it arrives"),
    ("/trace", "shows every octet that the two servers send and receive"),
    ("/status /presence /queue", "what `gangway status` and the others show (also /streams);  /help  /quit"),
];
