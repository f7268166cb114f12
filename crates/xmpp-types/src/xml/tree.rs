//! Elements out of tokens.

use super::element::{Attribute, Element};
use super::error::{Limit, Limits, XmlError};
use super::name::{Name, Namespace};
use super::scope::{DUPLICATE, Interner, Scope};
use super::tag::{self, RawAttribute, StartTag};
use super::text::XmlText;
use crate::ns;

/// Builds one element after the other from tokens, checking names and namespaces.
#[derive(Debug, Default)]
pub(super) struct Tree {
    frames: Vec<Frame>,
    /// The names of the open elements as they stand in their start tags, one behind the other.
    open_names: String,
    scope: Scope,
    interner: Interner,
    /// The default namespace around the first level.
    default: Namespace,
    /// The stream's content namespace, which elements hold as [`ns::SERVER`].
    content: Namespace,
    /// Whether the first-level element is in [`ns::SERVER`] on the wire, which is not the content namespace.
    is_disguised: bool,
    /// Elements begun since the first level.
    elements: usize,
    scratch: Vec<RawAttribute>,
}

/// An element whose end tag has not come.
#[derive(Debug)]
struct Frame {
    element: Element,
    /// Where the element's name begins in `open_names`.
    name_at: usize,
    /// Where the element's bindings begin in the scope.
    mark: usize,
    /// The default namespace of its children.
    default: Namespace,
}

/// The root of a stream, whose end tag comes last.
#[derive(Debug)]
pub(super) struct Root {
    pub(super) namespace: Namespace,
    pub(super) name: Name,
    pub(super) attributes: Vec<Attribute>,
    pub(super) content: Namespace,
    pub(super) prefixes: Vec<(Name, Namespace)>,
    pub(super) empty: bool,
}

struct Resolved {
    namespace: Namespace,
    name: Name,
    attributes: Vec<Attribute>,
    default: Namespace,
    mark: usize,
    empty: bool,
}

impl Tree {
    /// Returns how many elements are open, the root of a stream not counted.
    pub(super) fn depth(&self) -> usize {
        self.frames.len()
    }

    /// Reads the start tag of a stream, whose declarations hold for everything after it.
    pub(super) fn root(&mut self, tag: &str, limits: &Limits) -> Result<Root, XmlError> {
        let resolved = self.resolve(tag, limits)?;
        self.open_names.push_str(raw_name(tag));
        self.default = resolved.default.clone();
        Ok(Root {
            namespace: resolved.namespace,
            name: resolved.name,
            attributes: resolved.attributes,
            content: resolved.default,
            prefixes: self.scope.since(resolved.mark).to_vec(),
            empty: resolved.empty,
        })
    }

    /// Has elements of `content` held in [`ns::SERVER`].
    pub(super) fn map_content(&mut self, content: Namespace) {
        self.content = content;
    }

    /// Returns whether the first-level element that has just begun, or ended as `element`, can never be
    /// one: a stream inside the stream, or an element that only looks like one of the content namespace.
    pub(super) fn begins_with_what_must_not(&self, element: Option<&Element>) -> bool {
        let element = element.or_else(|| self.frames.first().map(|frame| &frame.element));
        element.is_some_and(|element| element.is("stream", ns::STREAMS)) || self.is_disguised
    }

    /// Reads a start tag, and returns the first-level element if it ends here.
    pub(super) fn open(&mut self, tag: &str, limits: &Limits) -> Result<Option<Element>, XmlError> {
        if self.frames.len() >= limits.depth {
            return Err(XmlError::over(Limit::Depth));
        }
        if self.elements >= limits.elements {
            return Err(XmlError::over(Limit::Elements));
        }
        self.elements += 1;
        let resolved = self.resolve(tag, limits)?;
        let element = Element::from_parts(resolved.namespace, resolved.name, resolved.attributes);
        if resolved.empty {
            self.scope.leave(resolved.mark);
            return Ok(self.finished(element));
        }
        let name_at = self.open_names.len();
        self.open_names.push_str(raw_name(tag));
        self.frames.push(Frame { element, name_at, mark: resolved.mark, default: resolved.default });
        Ok(None)
    }

    /// Reads an end tag inside an element, and returns the first-level element if it ends here.
    pub(super) fn close(&mut self, tag: &str) -> Result<Option<Element>, XmlError> {
        let name = tag::end_tag(tag)?;
        let frame = self.frames.pop().ok_or(MISMATCH)?;
        if self.open_names[frame.name_at..] != *name {
            return Err(MISMATCH);
        }
        self.open_names.truncate(frame.name_at);
        self.scope.leave(frame.mark);
        Ok(self.finished(frame.element))
    }

    /// Reads the end tag of a stream.
    pub(super) fn close_root(&self, tag: &str) -> Result<(), XmlError> {
        if *tag::end_tag(tag)? == self.open_names { Ok(()) } else { Err(MISMATCH) }
    }

    /// Reads character data inside an element.
    pub(super) fn text(&mut self, raw: &str) -> Result<(), XmlError> {
        self.append(tag::text(raw)?)
    }

    /// Reads a CDATA section inside an element.
    pub(super) fn character_data(&mut self, section: &str) -> Result<(), XmlError> {
        self.append(tag::character_data(section)?)
    }

    fn append(&mut self, text: String) -> Result<(), XmlError> {
        let frame = self.frames.last_mut().ok_or(OUTSIDE)?;
        frame.element.push_text(XmlText::from_checked(text));
        Ok(())
    }

    fn finished(&mut self, element: Element) -> Option<Element> {
        match self.frames.last_mut() {
            Some(parent) => {
                parent.element.push_child(element);
                None
            }
            None => {
                self.elements = 0;
                Some(element)
            }
        }
    }

    fn resolve(&mut self, tag: &str, limits: &Limits) -> Result<Resolved, XmlError> {
        let mut raw = std::mem::take(&mut self.scratch);
        let resolved = tag::start_tag(tag, limits.attributes, &mut raw)
            .and_then(|start| self.resolve_names(tag, &start, &raw, limits));
        self.scratch = raw;
        resolved
    }

    fn resolve_names(
        &mut self,
        tag: &str,
        start: &StartTag,
        raw: &[RawAttribute],
        limits: &Limits,
    ) -> Result<Resolved, XmlError> {
        let mark = self.scope.mark();
        let (default, declarations) = self.declare(tag, raw, mark, limits)?;
        let prefix = &tag[start.name.prefix.clone()];
        let namespace = if prefix.is_empty() { default.clone() } else { self.bound(prefix)? };
        let mut attributes: Vec<Attribute> = Vec::with_capacity(raw.len() - declarations);
        for attribute in raw.iter().filter(|attribute| !is_declaration(tag, attribute)) {
            let prefix = &tag[attribute.name.prefix.clone()];
            let namespace = if prefix.is_empty() {
                Namespace::NONE
            } else {
                // Not held in another namespace, or two attributes could become one.
                self.bound(prefix)?
            };
            let name = self.interner.name(&tag[attribute.name.local.clone()])?;
            if attributes.iter().any(|earlier| earlier.name == name && earlier.namespace == namespace) {
                return Err(DUPLICATE);
            }
            let value = XmlText::from_checked(value(tag, attribute)?);
            attributes.push(Attribute { namespace, name, value });
        }
        let name = self.interner.name(&tag[start.name.local.clone()])?;
        if self.frames.is_empty() {
            let mapped = !self.content.is_empty() && self.content != *ns::SERVER;
            self.is_disguised = mapped && namespace == *ns::SERVER;
        }
        let namespace = self.held(namespace);
        Ok(Resolved { namespace, name, attributes, default, mark, empty: start.empty })
    }

    /// Takes an element's declarations into scope; returns its default namespace and their number.
    fn declare(
        &mut self,
        tag: &str,
        raw: &[RawAttribute],
        mark: usize,
        limits: &Limits,
    ) -> Result<(Namespace, usize), XmlError> {
        let mut default = None;
        let mut declarations = 0;
        for attribute in raw.iter().filter(|attribute| is_declaration(tag, attribute)) {
            declarations += 1;
            let uri = value(tag, attribute)?;
            let namespace = self.interner.namespace(&uri);
            if attribute.name.prefix.is_empty() {
                if matches!(&*uri, ns::XML | ns::XMLNS) {
                    return Err(XmlError::not_well_formed("a reserved namespace is declared"));
                }
                if default.replace(namespace).is_some() {
                    return Err(DUPLICATE);
                }
            } else {
                let prefix = self.interner.name(&tag[attribute.name.local.clone()])?;
                self.scope.bind(prefix, namespace, mark, limits.namespaces)?;
            }
        }
        let around = || self.frames.last().map_or(&self.default, |frame| &frame.default).clone();
        Ok((default.unwrap_or_else(around), declarations))
    }

    fn bound(&self, prefix: &str) -> Result<Namespace, XmlError> {
        self.scope.find(prefix).ok_or(XmlError::not_well_formed("a prefix is not declared"))
    }

    fn held(&self, namespace: Namespace) -> Namespace {
        if !self.content.is_empty() && namespace == self.content {
            return Namespace::known(ns::SERVER);
        }
        namespace
    }
}

const MISMATCH: XmlError = XmlError::not_well_formed("an end tag does not match its start tag");
const OUTSIDE: XmlError = XmlError::not_well_formed("there is text outside the root element");

fn value(tag: &str, attribute: &RawAttribute) -> Result<String, XmlError> {
    let raw = &tag[attribute.value.clone()];
    if attribute.plain { Ok(raw.to_owned()) } else { tag::attribute_value(raw) }
}

fn is_declaration(tag: &str, attribute: &RawAttribute) -> bool {
    let name = &attribute.name;
    match &tag[name.prefix.clone()] {
        "" => &tag[name.local.clone()] == "xmlns",
        prefix => prefix == "xmlns",
    }
}

/// The name of a start tag that has been read, prefix included.
fn raw_name(tag: &str) -> &str {
    let ends = |octet: &u8| matches!(octet, b' ' | b'\t' | b'\n' | b'\r' | b'/' | b'>');
    let end = tag.as_bytes().iter().position(ends).unwrap_or(tag.len());
    &tag[1..end]
}
