//! XML as XMPP uses it: a strict push parser, a tree, and a canonical printer.
//!
//! RFC 6120 §11 leaves a small language: no comments, processing instructions, document types or
//! entities but the five predefined ones, and UTF-8 alone. The parser accepts exactly that, with
//! namespaces checked (XML-NAMES), and bounds everything that a peer can make grow ([`Limits`]).

mod chars;
mod document;
mod element;
mod error;
mod escape;
mod name;
mod parser;
mod printer;
mod scan;
mod scope;
mod tag;
mod text;
mod tree;

pub use chars::is_char;
pub use document::parse_document;
pub use element::{Attribute, Element, Node};
pub use error::{Limit, Limits, XmlError};
pub use name::{Name, Namespace};
pub use parser::{Event, Parser};
pub use printer::Printer;
pub use text::XmlText;

pub(crate) use escape::write_attribute;
