//! The commands that ask a running process, and what they show.

use std::path::Path;
use std::process::ExitCode;

use admin::{Reply, Request};
use comfy_table::{Table, presets};

use crate::config;

/// How an answer is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Tables for people.
    Words,
    /// The reply as it came.
    Json,
}

/// Asks the process that runs with `file`, and shows what it says.
pub fn run(file: &Path, request: &Request, form: Form) -> ExitCode {
    let socket = match socket(file) {
        Ok(socket) => socket,
        Err(code) => return code,
    };
    match admin::ask(&socket, request) {
        Ok(reply) => show(&reply, form),
        Err(why) => {
            super::complain(&why.to_string());
            ExitCode::from(super::WRONG)
        }
    }
}

/// A file with mistakes still names the socket of the process that runs with what it was.
pub fn socket(file: &Path) -> Result<std::path::PathBuf, ExitCode> {
    let reading = config::load(file).map_err(|why| {
        super::complain(&why);
        ExitCode::from(super::UNUSABLE)
    })?;
    reading.socket().ok_or_else(|| {
        super::complain(&format!("{} cannot be read; see `gangway check`", file.display()));
        ExitCode::from(super::WRONG)
    })
}

pub fn show(reply: &Reply, form: Form) -> ExitCode {
    if let (Reply::Refused { reason }, Form::Words) = (reply, form) {
        super::complain(reason);
        return ExitCode::from(super::WRONG);
    }
    let text = match form {
        Form::Json => serde_json::to_string_pretty(reply).expect("a reply has no keys but texts") + "\n",
        Form::Words => words(reply),
    };
    let code = super::print(&text);
    if matches!(reply, Reply::Refused { .. }) { ExitCode::from(super::WRONG) } else { code }
}

fn words(reply: &Reply) -> String {
    match reply {
        Reply::Status(status) => words_of_status(status),
        Reply::Streams { streams } => words_of_streams(streams),
        Reply::Partners { partners } => words_of_partners(partners),
        Reply::Queue(queue) => words_of_queue(queue),
        Reply::Conversations { conversations, learned } => words_of_conversations(conversations, learned),
        Reply::Presence { watches } => words_of_presence(watches),
        Reply::Trace(trace) => super::trace::words(trace, |at| at.to_string()),
        Reply::User(user) => super::user::words(user),
        Reply::LogLevel { level } => format!("{}\n", level.as_str()),
        Reply::Done { note } => format!("{note}\n"),
        Reply::Refused { reason } => format!("{reason}\n"),
    }
}

fn words_of_status(status: &admin::Status) -> String {
    let mut rows = vec![
        ("gangway".to_owned(), format!("{}, process {}", status.version, status.pid)),
        ("running for".to_owned(), age(status.uptime)),
    ];
    if status.stopping {
        rows.push(("state".into(), "ending".into()));
    }
    if let Some(proxy) = &status.proxy {
        rows.push(("proxy for".into(), proxy.domains.join(", ")));
        rows.push(("  partners".into(), proxy.partners.to_string()));
        rows.push(("  streams".into(), format!("{} in, {} out", proxy.streams_in, proxy.streams_out)));
        let gateways = if proxy.gateways.is_empty() { "none".into() } else { proxy.gateways.join(", ") };
        rows.push(("  gateways".into(), gateways));
        rows.push(("  stanzas waiting".into(), proxy.queued.to_string()));
    }
    if let Some(gateway) = &status.gateway {
        rows.push(("gateway for".into(), gateway.domains.join(", ")));
        for link in &gateway.links {
            rows.push((
                "  link".into(),
                format!("{}: {}", link.proxy, if link.open { "open" } else { "DOWN" }),
            ));
        }
        rows.push(("  not yet at XMPP".into(), gateway.unsettled_to_xmpp.to_string()));
        rows.push(("  not yet at SIP".into(), gateway.unsettled_to_sip.to_string()));
        if !gateway.losses.is_empty() {
            let losses = gateway.losses.iter().map(|loss| format!("{} ({})", loss.what, loss.times));
            rows.push(("  could not cross".into(), losses.collect::<Vec<_>>().join(", ")));
        }
    }
    for certificate in &status.certificates {
        let day: String = certificate.expires.chars().take(10).collect();
        let left = match certificate.days_left {
            left @ ..0 => format!("EXPIRED {} days ago", -left),
            left => format!("{left} days left"),
        };
        let names = certificate.names.join(", ");
        rows.push((format!("certificate {}", certificate.name), format!("{names}: until {day}, {left}")));
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    for (name, value) in rows {
        table.add_row([name, value]);
    }
    lines(&table)
}

fn words_of_streams(streams: &[admin::Stream]) -> String {
    if streams.is_empty() {
        return "no stream is open\n".into();
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header([
        "partner",
        "ours",
        "direction",
        "proved by",
        "TLS",
        "age",
        "stanzas",
        "unacknowledged",
        "waiting",
        "connection",
    ]);
    for stream in streams {
        table.add_row([
            stream.partners.join(" "),
            stream.local.clone().unwrap_or_default(),
            match stream.direction {
                admin::Direction::In => "in".into(),
                admin::Direction::Out => "out".to_owned(),
            },
            stream.proof.clone(),
            stream.tls.clone().unwrap_or_else(|| "IN CLEAR".into()),
            age(stream.age),
            stream.stanzas.to_string(),
            stream.unacknowledged.to_string(),
            stream.queued.to_string(),
            match stream.suspended {
                Some(since) => format!("{} lost {} ago", stream.connection, age(since)),
                None => stream.connection.clone(),
            },
        ]);
    }
    lines(&table)
}

fn words_of_partners(partners: &[admin::Partner]) -> String {
    if partners.is_empty() {
        return "there is no partner\n".into();
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["partner", "type", "proved by", "host", "streams", "note"]);
    for partner in partners {
        let mut domains = vec![partner.domain.clone()];
        domains.extend(partner.additional.iter().cloned());
        table.add_row([
            domains.join(" "),
            partner.kind.clone(),
            partner.proofs.join(", "),
            partner.host.clone().unwrap_or_default(),
            partner.streams.to_string(),
            partner.description.clone().unwrap_or_default(),
        ]);
    }
    lines(&table)
}

fn words_of_conversations(conversations: &[admin::Conversation], learned: &[admin::Learned]) -> String {
    let mut out = String::from("no conversation is open\n");
    if !conversations.is_empty() {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_header([
            "XMPP user",
            "SIP user",
            "mode",
            "state",
            "age",
            "silent for",
            "waiting",
            "Call-ID",
        ]);
        for one in conversations {
            table.add_row([
                one.xmpp.clone(),
                one.sip.clone(),
                one.mode.clone(),
                one.phase.clone(),
                age(one.age),
                age(one.idle),
                one.waiting.to_string(),
                one.call.clone().unwrap_or_default(),
            ]);
        }
        out = lines(&table);
    }
    for one in learned {
        out.push_str(&format!("{} {}\n", one.user, one.what));
    }
    out
}

fn words_of_presence(watches: &[admin::Watch]) -> String {
    if watches.is_empty() {
        return "nobody watches anybody\n".to_owned();
    }
    let mut out = String::new();
    for watch in watches {
        let mark = if watch.wrong { "! " } else { "  " };
        out.push_str(&format!("{mark}{} sees {}: {}\n", watch.watcher, watch.watched, watch.shown));
        let mut facts = vec![format!("permission {}", watch.permission)];
        match watch.dialogs.len() {
            0 => facts.push("no SIP dialog".to_owned()),
            1 => facts.push(format!("SIP dialog for {}", age(watch.dialogs[0]))),
            some => facts.push(format!("{some} SIP dialogs")),
        }
        facts.push(match watch.heard {
            Some(seconds) => format!("last word {} ago", age(seconds)),
            None => "no word yet".to_owned(),
        });
        facts.extend(watch.next.map(|seconds| format!("next in {}", age(seconds))));
        out.push_str(&format!("    {}\n", facts.join(", ")));
        for why in watch.held.iter().chain(&watch.trouble) {
            out.push_str(&format!("    {why}\n"));
        }
    }
    out
}

fn words_of_queue(queue: &admin::Queue) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.add_row(["messages not yet at XMPP".to_owned(), queue.unsettled_to_xmpp.to_string()]);
    table.add_row(["messages not yet at SIP".to_owned(), queue.unsettled_to_sip.to_string()]);
    for partner in &queue.partners {
        table.add_row([format!("stanzas for {}", partner.domain), partner.stanzas.to_string()]);
    }
    for server in &queue.servers {
        let waiting = format!(
            "{} texts, {} about presence; {} a second go",
            server.texts, server.presence, server.per_second
        );
        table.add_row([format!("requests for {}", server.server), waiting]);
    }
    lines(&table)
}

/// Returns the table without the blanks that only fill.
fn lines(table: &Table) -> String {
    table.to_string().lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

fn age(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_shown_as_lines() {
        let status = admin::Status {
            version: "0.1.0".into(),
            pid: 7,
            uptime: 3725,
            gateway: Some(admin::Gateway {
                domains: vec!["example.com".into()],
                links: vec![admin::Link { proxy: "edge".into(), open: false }],
                ..admin::Gateway::default()
            }),
            ..admin::Status::default()
        };

        let shown = words_of_status(&status);

        assert!(shown.contains("running for"), "{shown}");
        assert!(shown.contains("1 h 2 min"), "{shown}");
        assert!(shown.contains("edge: DOWN"), "{shown}");
    }
}
