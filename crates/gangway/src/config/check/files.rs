//! Files that the configuration names: there, readable by us and not by everybody, and right.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::config::mistake::{Mistake, Span};
use crate::config::value::At;

/// Adds what is wrong with a file that holds the dialback secret.
pub fn check_secret_file(file: &At<PathBuf>, findings: &mut Vec<Mistake>) {
    let Some(octets) = read(file, findings) else { return };
    check_private(&file.value, &file.span, findings);
    if std::str::from_utf8(&octets).map_or(0, |text| text.trim().chars().count()) < 16 {
        findings.push(
            Mistake::error(
                &file.span,
                format!("{} holds no secret of 16 characters at least", shown(&file.value)),
            )
            .help(format!("make one: `openssl rand -hex 32 > {}`", file.value.display())),
        );
    }
}

/// Returns what is in the file, or adds why it cannot be read.
pub fn read(file: &At<PathBuf>, findings: &mut Vec<Mistake>) -> Option<Vec<u8>> {
    match fs::read(&file.value) {
        Ok(octets) => Some(octets),
        Err(why) => {
            let mistake =
                Mistake::error(&file.span, format!("{} cannot be read: {}", shown(&file.value), words(&why)));
            findings.push(match why.kind() {
                std::io::ErrorKind::PermissionDenied => {
                    mistake.help("let the user that runs gangway read it, and nobody else")
                }
                _ => mistake.help("put the file there, or write where it is"),
            });
            None
        }
    }
}

/// Adds that others can read what only we may.
pub fn check_private(path: &Path, span: &Span, findings: &mut Vec<Mistake>) {
    let Ok(metadata) = fs::metadata(path) else { return };
    if metadata.permissions().mode() & 0o007 != 0 {
        findings.push(
            Mistake::error(span, format!("{} can be read by everybody", shown(path)))
                .help(format!("take that away: `chmod o= {}`", path.display())),
        );
    }
}

fn shown(path: &Path) -> String {
    format!("`{}`", path.display())
}

/// Returns why the system refused, without its number.
fn words(why: &std::io::Error) -> String {
    match why.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".into(),
        std::io::ErrorKind::PermissionDenied => "we have no right to".into(),
        std::io::ErrorKind::IsADirectory => "it is a directory".into(),
        _ => why.to_string(),
    }
}
