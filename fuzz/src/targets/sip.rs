//! Octets that a SIP peer may send.

use bytes::Bytes;
use sip_types::{Frame, Limits, Message, StreamFramer, Uri, parse_datagram};

/// What is accepted prints, and reads and prints the same again; what is not can be answered.
pub fn datagram(input: &[u8]) {
    match parse_datagram(&Bytes::copy_from_slice(input), &Limits::default()) {
        Ok(message) => prints_again(&message),
        Err(malformed) => {
            if let Some(answer) = malformed.into_answer() {
                let octets = printed(&Message::Response(answer));
                let headers = headers_of(&octets);
                assert!(
                    headers.ends_with(b"\r\n\r\n")
                        && !headers[..headers.len() - 4].windows(4).any(|w| w == b"\r\n\r\n")
                );
            }
        }
    }
}

fn headers_of(octets: &[u8]) -> &[u8] {
    let end = octets.windows(4).position(|w| w == b"\r\n\r\n").map_or(octets.len(), |at| at + 4);
    &octets[..end]
}

fn printed(message: &Message) -> Vec<u8> {
    let mut octets = Vec::new();
    message.print(&mut octets);
    octets
}

/// Prints a message and reads it back: one message, the same octets.
fn prints_again(message: &Message) {
    let once = printed(message);
    // What is printed may be longer than what was read: short names become long ones.
    let limits = Limits { header_bytes: usize::MAX, ..Limits::default() };
    let again = parse_datagram(&Bytes::from(once.clone()), &limits);
    let again = again.unwrap_or_else(|error| panic!("{error}: {}", once.escape_ascii()));
    assert_eq!(words(&printed(&again)), words(&once), "printed again");
}

/// A message as text, with one blank for each run of them in its headers and none at a line's end: what a folded line leaves behind
/// means nothing.
fn words(octets: &[u8]) -> String {
    let headers = headers_of(octets);
    let mut text = Vec::with_capacity(octets.len());
    for line in headers.split_inclusive(|&octet| octet == b'\n') {
        let mut line = line.trim_ascii_end().to_vec();
        line.dedup_by(|next, last| matches!(next, b' ' | b'\t') && matches!(last, b' ' | b'\t'));
        text.extend_from_slice(&line);
        text.push(b'\n');
    }
    text.extend_from_slice(&octets[headers.len()..]);
    text.escape_ascii().to_string()
}

/// A stream is cut the same in every split, and a message on it prints and reads the same again.
pub fn stream(input: &[u8]) {
    let whole = frames(std::iter::once(input));
    let piece = input.len() / 4096 + 1;
    assert_eq!(whole, frames(input.chunks(piece)), "in pieces of {piece}");
    let half = input.len() / 2;
    assert_eq!(whole, frames([&input[..half], &input[half..]].into_iter()), "in two halves");
}

/// What a framer makes of a stream, as text.
fn frames<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<String> {
    let mut framer = StreamFramer::new(Limits::default());
    let mut frames = Vec::new();
    for piece in pieces {
        framer.push(piece);
        while let Some(frame) = framer.poll_frame() {
            assert!(
                !frames.last().is_some_and(|last: &String| last.starts_with("lost")),
                "nothing follows a lost frame"
            );
            frames.push(match frame {
                Frame::Message(message) => {
                    prints_again(&message);
                    printed(&message).escape_ascii().to_string()
                }
                Frame::Ping => "ping".to_owned(),
                Frame::Pong => "pong".to_owned(),
                Frame::Malformed(malformed) => format!("malformed {}", malformed.status()),
                Frame::Lost(malformed) => format!("lost {}", malformed.status()),
            });
        }
    }
    frames
}

/// A URI is refused, or reads the same from what it shows.
pub fn uri(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(uri) = Uri::parse(text) else { return };
    let again = Uri::parse(uri.as_str());
    assert_eq!(again.as_ref(), Ok(&uri), "read from what it shows");
    // One that has a parameter twice is like no other, itself included (RFC 3261 §19.1.1).
    let _ = uri.matches(&uri);
    if let Some(sip) = uri.as_sip() {
        let _ = (sip.decoded_user(), sip.password(), sip.headers(), sip.decoded_param("gr"));
        let address = sip.address();
        assert_eq!(address.decoded_user(), sip.decoded_user(), "the user of the address");
    }
}
