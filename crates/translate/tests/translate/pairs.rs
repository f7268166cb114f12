//! Pairs of files in `tests/pairs`: what comes in, and what goes out.
//!
//! `to_sip_NAME.xmpp` is a stanza, `to_sip_NAME.sip` the request it becomes; `to_xmpp_NAME.sip` is a request,
//! `to_xmpp_NAME.xmpp` its stanza. The output's first line tells what was lost, or that nothing crosses and why.
//! Line ends are LF in the files; headers get their CR back.

use std::fs;
use std::path::{Path, PathBuf};

use translate::{
    Losses, Refusal, ToSip, ToSipOptions, ToXmpp, ToXmppOptions, message_to_sip, message_to_xmpp,
};

use crate::{printed, request, stanza};

#[test]
fn each_pair_of_files_is_a_translation() {
    let mut wrong = Vec::new();
    let inputs = inputs();
    for input in &inputs {
        let name = input.file_name().unwrap().to_str().unwrap();
        let (found, output) = if name.starts_with("to_sip_") {
            (to_sip(&fs::read_to_string(input).unwrap()), input.with_extension("sip"))
        } else {
            (to_xmpp(&fs::read(input).unwrap()), input.with_extension("xmpp"))
        };
        let expected = fs::read_to_string(&output).unwrap_or_default();
        if found != expected {
            wrong.push(format!("--- {} should be\n{expected}\n--- but is\n{found}", output.display()));
        }
    }

    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(inputs.len() >= 40, "{} pairs", inputs.len());
}

fn inputs() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pairs");
    let is_input = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        name.starts_with("to_sip_") && name.ends_with(".xmpp")
            || name.starts_with("to_xmpp_") && name.ends_with(".sip")
    };
    let mut inputs: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(is_input).collect();
    inputs.sort();
    inputs
}

fn to_sip(text: &str) -> String {
    let translated = message_to_sip(&stanza(text), "key", &ToSipOptions::default());
    let rest = match translated.value {
        ToSip::Message(message) => String::from_utf8(printed(&message.into_request())).unwrap(),
        ToSip::NotAMessage(reason) => format!("not a message: {reason:?}\n"),
        ToSip::Refused(error) => format!("refused: {error}\n"),
    };
    format!("{}{}", lost(translated.losses), with_line_feeds(&rest))
}

fn to_xmpp(octets: &[u8]) -> String {
    let head_end = octets.windows(2).position(|two| two == b"\n\n").unwrap() + 1;
    let head = String::from_utf8(octets[..head_end].to_vec()).unwrap().replace('\n', "\r\n");
    // The last line feed is the file's.
    let body = &octets[head_end + 1..octets.len() - 1];
    let added = format!(
        "Via: SIP/2.0/TCP s.example;branch=z9hG4bK1\r\nMax-Forwards: 70\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let request = request([head.as_bytes(), added.as_bytes(), body].concat());
    match message_to_xmpp(&request, &ToXmppOptions::default()) {
        Ok(translated) => {
            let rest = match translated.value {
                ToXmpp::Message(message) => message.stanza.to_string(),
                ToXmpp::Signal(signal) => format!("signal: {:?}", signal.heard),
                ToXmpp::Empty => "empty".to_owned(),
            };
            format!("{}{rest}\n", lost(translated.losses))
        }
        Err(refusal) => refused(&refusal),
    }
}

fn refused(refusal: &Refusal) -> String {
    let accept = refusal.accept.as_ref().map(|accept| format!(", Accept: {accept}")).unwrap_or_default();
    format!("refused: {} {}{accept}\n", refusal.status, refusal.reason)
}

fn lost(losses: Losses) -> String {
    let names: Vec<_> = losses.iter().map(|loss| loss.words()).collect();
    if names.is_empty() { "lost: nothing\n".to_owned() } else { format!("lost: {}\n", names.join(", ")) }
}

/// Carriage returns before line feeds go, so that the files are ordinary text.
fn with_line_feeds(text: &str) -> String {
    let mut text = text.replace("\r\n", "\n");
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}
