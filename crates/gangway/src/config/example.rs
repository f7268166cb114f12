//! The example and the manual's page, made from the table of settings.

use std::fmt::Write as _;

use super::reader::{header, join};
use super::schema::{Default, Kind, Section, Setting, Shape};
use super::settings::ROOT;

/// Returns a commented configuration that is right once its names and files are the operator's own.
#[must_use]
pub fn example() -> String {
    let mut out = String::from(
        "# Gangway's configuration. Lines that start with `#` show a default, or a setting that may be left out.\n\
         # `gangway check --config FILE` says what is wrong with a file, before anything is started.\n",
    );
    for section in ROOT.children {
        example_of(section, "", &mut out);
    }
    out
}

fn example_of(section: &Section, above: &str, out: &mut String) {
    let path = join(above, section.name);
    out.push('\n');
    comment(section.doc, out);
    let names: &[&str] = match (section.shape, section.name) {
        (Shape::Named, "identity") => &["public", "internal"],
        (Shape::Named, _) => &["internal"],
        _ => &[""],
    };
    for (at, name) in names.iter().enumerate() {
        if at > 0 {
            out.push('\n');
        }
        let _ = writeln!(out, "{}", header(section, &path).replace("NAME", name));
        for setting in section.settings {
            if at == 0 {
                example_of_setting(setting, name, out);
            } else if setting.default == Default::Required {
                let _ = writeln!(out, "{} = {}", setting.key, shown(setting, name));
            }
        }
    }
    for child in section.children {
        example_of(child, &path, out);
    }
}

fn example_of_setting(setting: &Setting, name: &str, out: &mut String) {
    out.push('\n');
    comment(setting.doc, out);
    if let Kind::Choice(words) = setting.kind {
        for (word, meaning) in words {
            comment(&format!("  \"{word}\": {meaning}"), out);
        }
    }
    match setting.default {
        Default::Required => {
            let _ = writeln!(out, "{} = {}", setting.key, shown(setting, name));
        }
        Default::Is(_) if setting.is_written => {
            let _ = writeln!(out, "{} = {}", setting.key, shown(setting, name));
        }
        Default::Is(toml) => {
            let _ = writeln!(out, "#{} = {toml}", setting.key);
        }
        Default::Absent(words) => {
            comment(&format!("Without it: {words}."), out);
            let mark = if setting.is_written { "" } else { "#" };
            let _ = writeln!(out, "{mark}{} = {}", setting.key, shown(setting, name));
        }
    }
}

fn shown(setting: &Setting, name: &str) -> String {
    match setting.key {
        "certificate" | "key" => format!("\"/etc/gangway/{name}-{}.pem\"", setting.key),
        _ => setting.example.unwrap_or(setting.kind.sample()).to_owned(),
    }
}

fn comment(text: &str, out: &mut String) {
    let indent: String = text.chars().take_while(|c| *c == ' ').collect();
    let mut line = format!("#{}", if indent.is_empty() { "" } else { &indent });
    for word in text.split_whitespace() {
        if line.chars().count() + word.chars().count() > 100 {
            let _ = writeln!(out, "{line}");
            line = format!("#{indent}");
        }
        line.push(' ');
        line.push_str(word);
    }
    let _ = writeln!(out, "{line}");
}

/// Returns the manual's page of all settings, in Markdown.
#[must_use]
pub fn manual() -> String {
    let mut out = String::from(
        "# Settings\n\n\
         This page is made from the code; `gangway config example` prints the same as a file to start from, and\n\
         `gangway check --config FILE` finds the mistakes in one. The file is TOML. Times and sizes carry their\n\
         unit: `\"30 s\"`, `\"24 h\"`, `\"64 KiB\"`. Relative paths start from the file's own directory. A key that is\n\
         not on this page is a mistake.\n\n\
         *Microsoft's name* is the name of the same setting in Skype for Business Server\n\
         (`CsXmppAllowedPartner`, `CsXmppGatewayConfiguration`).\n",
    );
    for section in ROOT.children {
        manual_of(section, "", &mut out);
    }
    out
}

fn manual_of(section: &Section, above: &str, out: &mut String) {
    let path = join(above, section.name);
    let how = match section.shape {
        Shape::Always => "May be left out.",
        Shape::Optional => "Without it there is none.",
        Shape::Repeated => "Once for each.",
        Shape::Named => "Once for each; NAME is yours.",
    };
    let _ = write!(out, "\n## `{}`\n\n{} {how}\n", header(section, &path), section.doc);
    for setting in section.settings {
        let _ = write!(out, "\n### `{}`\n\n{}\n\n", setting.key, setting.doc);
        let _ = writeln!(out, "- **Value**: {}.", setting.kind.describe());
        if let Kind::Choice(words) = setting.kind {
            for (word, meaning) in words {
                let _ = writeln!(out, "  - `\"{word}\"`: {meaning}.");
            }
        }
        let _ = match setting.default {
            Default::Required => writeln!(out, "- **Default**: none; it must be written."),
            Default::Is(toml) => writeln!(out, "- **Default**: `{toml}`."),
            Default::Absent(words) => writeln!(out, "- **Without it**: {words}."),
        };
        if let Some(name) = setting.microsoft {
            let _ = writeln!(out, "- **Microsoft's name**: {name}.");
        }
    }
    for child in section.children {
        manual_of(child, &path, out);
    }
}
