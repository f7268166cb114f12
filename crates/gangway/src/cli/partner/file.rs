//! The configuration file as it is changed: checked before it is written, written whole or not at all.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use admin::{Reply, Request};

use super::edit;
use crate::cli;
use crate::config::{self, Reading, Severity, mistake};

/// Prints a partner's settings.
pub fn show(file: &Path, domain: &str) -> ExitCode {
    let shown = read(file).and_then(|text| edit::show(&text, domain));
    match shown {
        Ok(text) => cli::print(&text),
        Err(why) => refuse(file, &why, cli::WRONG),
    }
}

/// Changes the file, and has the process that runs with it read it again.
pub fn change(file: &Path, edit: impl FnOnce(&str) -> Result<String, String>) -> ExitCode {
    // What a link leads to is changed, not the link.
    let file = match fs::canonicalize(file) {
        Ok(file) => file,
        Err(why) => return refuse(file, &why.to_string(), cli::UNUSABLE),
    };
    let before = match read(&file) {
        Ok(before) => before,
        Err(why) => return refuse(&file, &why, cli::UNUSABLE),
    };
    let after = match edit(&before) {
        Ok(after) => after,
        Err(why) => return refuse(&file, &why, cli::WRONG),
    };
    let reading = config::read(&file, after.clone());
    tell_findings(&reading, &config::read(&file, before.clone()), &after);
    if !reading.is_right() {
        return refuse(&file, "it would be wrong with that change; nothing is written", cli::WRONG);
    }
    if after == before {
        return cli::print("nothing to change\n");
    }
    match replace(&file, &before, &after) {
        Ok(()) => reload(&reading),
        Err(why) => refuse(&file, &format!("it is not changed: {why}"), cli::WRONG),
    }
}

fn read(file: &Path) -> Result<String, String> {
    fs::read_to_string(file).map_err(|why| why.to_string())
}

fn refuse(file: &Path, why: &str, code: u8) -> ExitCode {
    cli::complain(&format!("{}: {why}", file.display()));
    ExitCode::from(code)
}

/// Says what is wrong with the file, and warns of what was no matter before.
fn tell_findings(reading: &Reading, before: &Reading, text: &str) {
    let is_old = |what: &str| before.findings().iter().any(|old| old.what == what);
    for finding in reading.findings() {
        if finding.severity == Severity::Error || !is_old(&finding.what) {
            eprintln!("{}", mistake::render(finding, reading.file(), text, config::paint_for_stderr()));
        }
    }
}

/// Puts the new text in the place of the old one, in one step, with the same owner and permissions.
fn replace(file: &Path, before: &str, after: &str) -> Result<(), String> {
    let beside = beside(file);
    let written = write(file, &beside, after).and_then(|()| {
        if fs::read_to_string(file)? == before {
            fs::rename(&beside, file)
        } else {
            Err(io::Error::other("somebody else has changed it meanwhile; try again"))
        }
    });
    if let Err(why) = written {
        // It may not have come to be.
        let _ = fs::remove_file(&beside);
        return Err(why.to_string());
    }
    // The new name lasts once the directory does; where it cannot be opened, the system sees to it.
    if let Some(directory) = file.parent().and_then(|directory| fs::File::open(directory).ok()) {
        let _ = directory.sync_all();
    }
    Ok(())
}

/// Names the new file so that two changes at once do not share it, and in the same directory, because only
/// within a file system is a renaming one step.
fn beside(file: &Path) -> PathBuf {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    file.with_file_name(format!(".{name}.{}", std::process::id()))
}

fn write(file: &Path, beside: &Path, text: &str) -> io::Result<()> {
    let old = fs::metadata(file)?;
    // It may hold secrets: nobody else reads it before it has the old one's permissions.
    let mut new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(beside)?;
    new.write_all(text.as_bytes())?;
    let made = new.metadata()?;
    if (made.uid(), made.gid()) != (old.uid(), old.gid()) {
        chown(beside, Some(old.uid()), Some(old.gid()))?;
    }
    new.set_permissions(old.permissions())?;
    new.sync_all()
}

fn reload(reading: &Reading) -> ExitCode {
    let Some(socket) = reading.socket() else { return ExitCode::SUCCESS };
    match admin::ask(&socket, &Request::Reload) {
        Ok(Reply::Done { note }) => cli::print(&format!("written, and in effect: {note}\n")),
        Ok(Reply::Refused { reason }) => {
            cli::complain(&format!("written, but the running process keeps what it has: {reason}"));
            ExitCode::from(cli::WRONG)
        }
        Ok(other) => {
            cli::complain(&format!("written, but the running process said {other:?}; see `gangway status`"));
            ExitCode::from(cli::WRONG)
        }
        Err(why) if why.nobody_is_there() => {
            cli::print("written; no gangway runs with this file, so it takes effect at the next start\n")
        }
        Err(why) => {
            cli::complain(&format!("written, but not in effect: {why}; then `gangway reload`"));
            ExitCode::from(cli::WRONG)
        }
    }
}
