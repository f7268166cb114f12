//! The partners in the text of a configuration file; all that is not asked for stays as it is.

use toml_edit::{Array, ArrayOfTables, Document, DocumentMut, Formatted, Item, Table, TableLike, Value};
use xmpp_types::jid::DomainName;

use crate::config::mistake::closest;
use crate::config::schema::{Default, Kind, Setting};
use crate::config::settings;

/// A setting and what it shall be; without a value it is taken out.
#[derive(Debug)]
pub struct Wish {
    setting: &'static Setting,
    value: Option<Value>,
}

/// Reads `key=value` for each.
///
/// # Errors
/// There is no such setting, or no `=`.
pub fn wishes(written: &[String]) -> Result<Vec<Wish>, String> {
    written.iter().map(|written| wish(written)).collect()
}

fn wish(written: &str) -> Result<Wish, String> {
    let (key, value) = written.split_once('=').ok_or_else(|| format!("`{written}`: write KEY=VALUE"))?;
    let (key, value) = (key.trim(), value.trim());
    let Some(setting) = partner_settings().iter().find(|setting| setting.key == key) else {
        let hint = match closest(key, partner_settings().iter().map(|setting| setting.key)) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "`gangway partner show` prints all there are".into(),
        };
        return Err(format!("`{key}` is no setting of a partner; {hint}"));
    };
    let value = (!value.is_empty()).then(|| value_of(&setting.kind, value));
    if value.is_none() && setting.default == Default::Required {
        return Err(format!("`{key}` cannot be taken out of a partner"));
    }
    Ok(Wish { setting, value })
}

/// Reads a value as people write it on a command line: quotes and brackets may be left out. Whether it may
/// stand there is for the check to say.
fn value_of(kind: &Kind, text: &str) -> Value {
    let is_quoted = text.starts_with(['"', '\'', '[']);
    let literal = || text.parse::<Value>().ok();
    match kind {
        Kind::List(_) if text.starts_with('[') => literal().unwrap_or_else(|| text.into()),
        Kind::List(each) => {
            let values = text.split(',').map(str::trim).filter(|text| !text.is_empty());
            Value::Array(values.map(|text| value_of(each, text)).collect::<Array>())
        }
        Kind::Boolean | Kind::Count(..) => literal().unwrap_or_else(|| text.into()),
        _ if is_quoted => literal().unwrap_or_else(|| text.into()),
        _ => Value::String(Formatted::new(text.to_owned())),
    }
}

/// Returns the text with one partner more, after the others.
///
/// # Errors
/// The text is not TOML, or has the partner.
pub fn add(text: &str, domain: &str, wishes: &[Wish]) -> Result<String, String> {
    let domain = parse_domain(domain)?;
    let mut document = parse(text)?;
    let Some(proxy) = document.get_mut("proxy").and_then(Item::as_table_mut) else {
        return Err("there is no `[proxy]`, so it can have no partner".into());
    };
    let partners = proxy.entry("partner").or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
    let Some(partners) = partners.as_array_of_tables_mut() else { return Err(WRITTEN_INLINE.into()) };
    if partners.iter().any(|partner| is_of(partner, &domain)) {
        return Err(format!("there is the partner {domain} already; `gangway partner set` changes it"));
    }
    let mut table = Table::new();
    table.insert("domain", domain.as_str().into());
    table.decor_mut().set_prefix("\n");
    apply(&mut table, wishes);
    partners.push(table);
    Ok(document.to_string())
}

/// Returns the text with other settings of a partner.
///
/// # Errors
/// The text is not TOML, or has no such partner.
pub fn set(text: &str, domain: &str, wishes: &[Wish]) -> Result<String, String> {
    let domain = parse_domain(domain)?;
    let mut document = parse(text)?;
    let partners = document.get_mut("proxy").and_then(|proxy| proxy.get_mut("partner"));
    let Some(partners) = partners else { return Err(no_such_partner(text, &domain)) };
    let Some(partners) = partners.as_array_of_tables_mut() else { return Err(WRITTEN_INLINE.into()) };
    let Some(partner) = partners.iter_mut().find(|partner| is_of(*partner, &domain)) else {
        return Err(no_such_partner(text, &domain));
    };
    apply(partner, wishes);
    Ok(document.to_string())
}

fn apply(partner: &mut Table, wishes: &[Wish]) {
    for wish in wishes {
        match (&wish.value, partner.get_mut(wish.setting.key).and_then(Item::as_value_mut)) {
            (None, _) => {
                partner.remove(wish.setting.key);
            }
            // What stands around the old value, such as a comment behind it, stays.
            (Some(value), Some(old)) => {
                let decor = old.decor().clone();
                *old = value.clone();
                *old.decor_mut() = decor;
            }
            (Some(value), None) => {
                partner.insert(wish.setting.key, Item::Value(value.clone()));
            }
        }
    }
}

/// Returns the text without a partner and the comment that stands right above it.
///
/// # Errors
/// The text is not TOML, or has no such partner.
pub fn remove(text: &str, domain: &str) -> Result<String, String> {
    let domain = parse_domain(domain)?;
    // Taken out of the text itself, so that the comments around it cannot get lost.
    let document = Document::parse(text).map_err(|why| not_toml(&why))?;
    let partners = document.get("proxy").and_then(|proxy| proxy.get("partner"));
    let Some(partners) = partners else { return Err(no_such_partner(text, &domain)) };
    let Some(partners) = partners.as_array_of_tables() else { return Err(WRITTEN_INLINE.into()) };
    let partner = partners.iter().find(|partner| is_of(*partner, &domain));
    let partner = partner.ok_or_else(|| no_such_partner(text, &domain))?;
    let header = partner.span().ok_or("the place of the partner is unknown")?;
    let values = partner.iter().filter_map(|(_, item)| item.span());
    let last = values.map(|span| span.end).max().unwrap_or(header.end);
    Ok(without(text, header.start, last))
}

/// Returns the text without the lines from that of `start` to that of `last`, the comments that touch them, and
/// the blank lines that follow.
fn without(text: &str, start: usize, last: usize) -> String {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let line_of = |at: usize| text[..at].matches('\n').count();
    let is_blank = |line: usize| lines.get(line).is_some_and(|line| line.trim().is_empty());
    let is_comment = |line: usize| lines.get(line).is_some_and(|line| line.trim_start().starts_with('#'));
    let (mut first, mut end) = (line_of(start), line_of(last) + 1);
    while first > 0 && is_comment(first - 1) {
        first -= 1;
    }
    let comments = (end..lines.len()).take_while(|line| is_comment(*line)).count();
    // A comment that touches what follows is about that.
    if end + comments == lines.len() || is_blank(end + comments) {
        end += comments;
    }
    while is_blank(end) {
        end += 1;
    }
    while end == lines.len() && first > 0 && is_blank(first - 1) {
        first -= 1;
    }
    lines[..first].concat() + &lines[end..].concat()
}

/// Returns a partner's settings in TOML, with what holds for those that are not written.
///
/// # Errors
/// The text is not TOML, or has no such partner.
pub fn show(text: &str, domain: &str) -> Result<String, String> {
    let domain = parse_domain(domain)?;
    let document = parse(text)?;
    let partners = document.get("proxy").and_then(|proxy| proxy.get("partner"));
    let all: Vec<&dyn TableLike> = match partners {
        Some(Item::ArrayOfTables(tables)) => tables.iter().map(|table| table as &dyn TableLike).collect(),
        Some(Item::Value(Value::Array(values))) => {
            values.iter().filter_map(Value::as_inline_table).map(|table| table as &dyn TableLike).collect()
        }
        Some(Item::None | Item::Table(_) | Item::Value(_)) | None => Vec::new(),
    };
    let partner = all.iter().find(|partner| is_of(**partner, &domain) || has(**partner, &domain));
    let partner = partner.ok_or_else(|| no_such_partner(text, &domain))?;
    let mut out = String::from("[[proxy.partner]]\n");
    for setting in partner_settings() {
        let line = match (partner.get(setting.key).and_then(Item::as_value), setting.default) {
            (Some(value), _) => format!("{} = {}\n", setting.key, value.to_string().trim()),
            (None, Default::Is(value)) => format!("# {} = {value}\n", setting.key),
            (None, Default::Absent(words)) => format!("# {}: {words}\n", setting.key),
            (None, Default::Required) => continue,
        };
        out.push_str(&line);
    }
    Ok(out)
}

fn partner_settings() -> &'static [Setting] {
    let below = |section: &'static crate::config::schema::Section, name: &str| {
        section.children.iter().find(|child| child.name == name).copied()
    };
    let partner = below(&settings::ROOT, "proxy").and_then(|proxy| below(proxy, "partner"));
    partner.map_or(&[], |partner| partner.settings)
}

fn is_of(partner: &dyn TableLike, domain: &DomainName) -> bool {
    let written = partner.get("domain").and_then(Item::as_str);
    written.is_some_and(|written| DomainName::parse(written).is_ok_and(|written| written == *domain))
}

/// Tells whether it is one of the partner's additional domains.
fn has(partner: &dyn TableLike, domain: &DomainName) -> bool {
    let written = partner.get("additional-domains").and_then(Item::as_array);
    let mut written = written.into_iter().flatten().filter_map(Value::as_str);
    written.any(|written| DomainName::parse(written).is_ok_and(|written| written == *domain))
}

fn no_such_partner(text: &str, domain: &DomainName) -> String {
    let document = parse(text).ok();
    let partners = document.as_ref().and_then(|document| document.get("proxy")?.get("partner"));
    let partners = partners.and_then(Item::as_array_of_tables).into_iter().flatten();
    let known: Vec<(&str, bool)> = partners
        .filter_map(|partner| Some((partner.get("domain")?.as_str()?, has(partner, domain))))
        .collect();
    if let Some((above, _)) = known.iter().find(|(_, has)| *has) {
        return format!("{domain} is one of the additional domains of the partner {above}; name that");
    }
    match closest(domain.as_str(), known.iter().map(|(name, _)| *name)) {
        Some(meant) => format!("there is no partner {domain}; did you mean {meant}?"),
        None => format!("there is no partner {domain}"),
    }
}

fn parse_domain(domain: &str) -> Result<DomainName, String> {
    DomainName::parse(domain).map_err(|why| format!("`{domain}` is no domain: {why}"))
}

fn parse(text: &str) -> Result<DocumentMut, String> {
    text.parse().map_err(|why| not_toml(&why))
}

fn not_toml(why: &toml_edit::TomlError) -> String {
    format!("this is not TOML: {why}")
}

const WRITTEN_INLINE: &str = "the partners are written inline (`partner = […]`); edit the file by hand, or write each as \
                              `[[proxy.partner]]`";
