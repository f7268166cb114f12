//! Reads a file by the table of settings and finds every mistake that one setting alone can hold.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::mistake::{Mistake, Span, closest, fold};
use super::schema::{Default, Section, Shape};
use super::value::{At, Value, read};

/// One table of the file, read: each declared setting has its value or its default.
#[derive(Clone, Debug)]
pub struct Node {
    /// The name in its header; where a whole table is meant, this is shown.
    pub span: Span,
    /// Whether the file has it.
    pub written: bool,
    /// The operator's name of a `[section.NAME]`.
    pub name: String,
    values: BTreeMap<&'static str, At<Value>>,
    /// Where each key that is written stands.
    keys: BTreeMap<&'static str, Span>,
    tables: BTreeMap<&'static str, Vec<Node>>,
}

/// Reads the file's table; what is missing for a table to be whole is among the mistakes.
pub fn read_root(section: &'static Section, root: &DeTable<'_>, mistakes: &mut Vec<Mistake>) -> Node {
    let whole = Header { span: 0..0, name: String::new(), path: String::new(), written: true };
    read_node(section, root, whole, mistakes)
}

struct Header {
    span: Span,
    name: String,
    path: String,
    written: bool,
}

fn read_node(
    section: &'static Section,
    table: &DeTable<'_>,
    header: Header,
    mistakes: &mut Vec<Mistake>,
) -> Node {
    let mut node = Node {
        span: header.span,
        written: header.written,
        name: header.name,
        values: BTreeMap::new(),
        keys: BTreeMap::new(),
        tables: BTreeMap::new(),
    };
    for (key, written) in table {
        if let Some(setting) = section.setting(key.get_ref()) {
            node.keys.insert(setting.key, key.span());
            match read(&setting.kind, written) {
                Ok(value) => drop(node.values.insert(setting.key, value)),
                Err(more) => mistakes.extend(more),
            }
        } else if let Some(child) = section.child(key.get_ref()) {
            let nodes = read_child(child, &header.path, key.span(), written, mistakes);
            node.tables.insert(child.name, nodes);
        } else {
            mistakes.push(unknown(section, &header.path, key));
        }
    }
    for setting in section.settings {
        if node.values.contains_key(setting.key) {
            continue;
        }
        match setting.default {
            Default::Required if node.keys.contains_key(setting.key) => {}
            Default::Required => mistakes.push(
                Mistake::error(
                    &node.span,
                    format!("`{}` is missing in {}", setting.key, shown(&header.path)),
                )
                .or_echo()
                .help(format!(
                    "write `{} = {}`: {}",
                    setting.key,
                    setting.example.unwrap_or(setting.kind.sample()),
                    setting.doc
                )),
            ),
            Default::Is(toml) => {
                let mut value = default(setting.key, &setting.kind, toml);
                value.span = node.span.clone();
                node.values.insert(setting.key, value);
            }
            Default::Absent(_) => {}
        }
    }
    for child in section.children {
        if child.shape == Shape::Always && !node.tables.contains_key(child.name) {
            let path = join(&header.path, child.name);
            let header = Header { span: node.span.clone(), name: String::new(), path, written: false };
            let nodes = vec![read_node(child, &DeTable::new(), header, mistakes)];
            node.tables.insert(child.name, nodes);
        }
    }
    node
}

fn default(key: &str, kind: &super::schema::Kind, toml: &str) -> At<Value> {
    let written =
        DeValue::parse(toml).unwrap_or_else(|why| panic!("the default of `{key}` is no TOML: {why}"));
    read(kind, &written).unwrap_or_else(|why| panic!("the default of `{key}` breaks its own rule: {why:?}"))
}

fn read_child(
    section: &'static Section,
    above: &str,
    key: Span,
    written: &Spanned<DeValue<'_>>,
    mistakes: &mut Vec<Mistake>,
) -> Vec<Node> {
    let path = join(above, section.name);
    let mut found: Vec<(Span, String, &DeValue<'_>)> = Vec::new();
    let empty = String::new;
    match (section.shape, written.get_ref()) {
        (Shape::Always | Shape::Optional, table @ DeValue::Table(_)) => found.push((key, empty(), table)),
        (Shape::Repeated, DeValue::Array(items)) => {
            found.extend(items.iter().map(|item| (item.span(), empty(), item.get_ref())));
        }
        (Shape::Named, DeValue::Table(table)) => {
            found.extend(table.iter().map(|(name, item)| (name.span(), name.to_string(), item.get_ref())));
        }
        (_, wrong) => found.push((key, empty(), wrong)),
    }
    let is_list = matches!(written.get_ref(), DeValue::Array(_));
    let mut nodes = Vec::new();
    for (span, name, value) in found {
        let path = if name.is_empty() { path.clone() } else { join(&path, &name) };
        match value {
            DeValue::Table(table) if is_list == (section.shape == Shape::Repeated) => {
                nodes.push(read_node(section, table, Header { span, name, path, written: true }, mistakes));
            }
            _ => mistakes.push(
                Mistake::error(&span, format!("this is not how `{path}` is written"))
                    .or_echo()
                    .help(format!("write {}", header(section, &join(above, section.name)))),
            ),
        }
    }
    nodes
}

/// Returns the header of a section as it is written.
#[must_use]
pub fn header(section: &Section, path: &str) -> String {
    match section.shape {
        Shape::Always | Shape::Optional => format!("[{path}]"),
        Shape::Repeated => format!("[[{path}]]"),
        Shape::Named => format!("[{path}.NAME]"),
    }
}

fn unknown(section: &'static Section, path: &str, key: &Spanned<std::borrow::Cow<'_, str>>) -> Mistake {
    let written = key.get_ref();
    let mistake = Mistake::error(&key.span(), format!("{} has no setting `{written}`", shown(path)));
    let here = section.settings.iter().map(|setting| setting.key);
    let tables = section.children.iter().map(|child| child.name);
    if let Some(meant) = closest(written, here.clone().chain(tables.clone())) {
        return mistake.help(format!("did you mean `{meant}`?"));
    }
    let theirs = section.settings.iter().find(|setting| {
        let names = setting.microsoft.unwrap_or_default();
        names.split(", ").any(|name| !name.is_empty() && fold(name) == fold(written))
    });
    if let Some(setting) = theirs {
        return mistake.help(format!("it is called `{}` here: {}", setting.key, setting.doc));
    }
    let mut elsewhere = Vec::new();
    find_elsewhere(&super::settings::ROOT, "", written, &mut elsewhere);
    if !elsewhere.is_empty() {
        return mistake.help(format!("that is a setting of {}", elsewhere.join(" and of ")));
    }
    let known: Vec<String> = here.chain(tables).map(|name| format!("`{name}`")).collect();
    mistake.help(format!("known are {}", known.join(", ")))
}

fn find_elsewhere(section: &'static Section, path: &str, key: &str, found: &mut Vec<String>) {
    if section.setting(key).is_some() {
        found.push(format!("`{}`", header(section, path)));
    }
    for child in section.children {
        find_elsewhere(child, &join(path, child.name), key, found);
    }
}

/// Returns the path of a table below another.
#[must_use]
pub fn join(above: &str, name: &str) -> String {
    if above.is_empty() { name.to_owned() } else { format!("{above}.{name}") }
}

fn shown(path: &str) -> String {
    if path.is_empty() { "the file".to_owned() } else { format!("`{path}`") }
}

/// Typed reading. What is asked for must be declared with that kind: a test reads every setting.
impl Node {
    /// Returns the tables of this name.
    pub fn tables(&self, name: &str) -> &[Node] {
        self.tables.get(name).map_or(&[], Vec::as_slice)
    }

    /// Returns where the setting is written, or else its table.
    pub fn place(&self, key: &str) -> Span {
        self.keys.get(key).unwrap_or(&self.span).clone()
    }

    /// Returns text, if it is there and right.
    pub fn text(&self, key: &str) -> Option<At<String>> {
        self.get(key, |value| match value {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        })
    }

    /// Returns a path, if it is there and right.
    pub fn path(&self, key: &str) -> Option<At<PathBuf>> {
        self.text(key).map(|text| At { value: PathBuf::from(text.value), span: text.span })
    }

    /// Returns a truth value, if it is there and right.
    pub fn boolean(&self, key: &str) -> Option<At<bool>> {
        self.get(key, |value| match value {
            Value::Boolean(yes) => Some(*yes),
            _ => None,
        })
    }

    /// Returns a count or a size, if it is there and right.
    pub fn number(&self, key: &str) -> Option<At<u64>> {
        self.get(key, |value| match value {
            Value::Number(number) => Some(*number),
            _ => None,
        })
    }

    /// Returns a time, if it is there and right.
    pub fn duration(&self, key: &str) -> Option<At<Duration>> {
        self.get(key, |value| match value {
            Value::Duration(time) => Some(*time),
            _ => None,
        })
    }

    /// Returns one address to listen on, if it is there and right.
    pub fn address(&self, key: &str) -> Option<At<std::net::SocketAddr>> {
        self.get(key, |value| match value {
            Value::Address(address) => Some(*address),
            _ => None,
        })
    }

    /// Returns a list of what `item` takes from each value, if it is there and right.
    pub fn list<T>(&self, key: &str, item: impl Fn(&Value) -> Option<T>) -> Option<Vec<At<T>>> {
        let values = self.get(key, |value| match value {
            Value::List(values) => Some(values.clone()),
            _ => None,
        })?;
        let written = self.keys.contains_key(key);
        let place = |at: At<Value>| {
            let span = if written { at.span.clone() } else { self.span.clone() };
            item(&at.value).map(|value| At { value, span })
        };
        values.value.into_iter().map(place).collect()
    }

    /// Returns a list of texts, if it is there and right.
    pub fn texts(&self, key: &str) -> Option<Vec<At<String>>> {
        self.list(key, |value| match value {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        })
    }

    fn get<T>(&self, key: &str, take: impl Fn(&Value) -> Option<T>) -> Option<At<T>> {
        let at = self.values.get(key)?;
        let value = take(&at.value);
        debug_assert!(value.is_some(), "`{key}` is declared with another kind");
        value.map(|value| At { value, span: at.span.clone() })
    }
}
