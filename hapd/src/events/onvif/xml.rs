//! XML as SOAP uses it: a tree of elements, of limited size and depth. A document type is refused, so there are no
//! entities but the five that XML itself has.

use quick_xml::NsReader;
use quick_xml::XmlVersion;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::name::ResolveResult;

const MAX_DEPTH: usize = 32;
const MAX_ELEMENTS: usize = 20_000;

/// One element.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Element {
    /// The URI of its namespace.
    pub(super) namespace: Option<String>,
    /// Its name without prefix.
    pub(super) name: String,
    /// Names without prefix, and values.
    pub(super) attributes: Vec<(String, String)>,
    /// Its own text.
    pub(super) text: String,
    pub(super) children: Vec<Element>,
}

/// Why bytes are not such a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotXml {
    #[error("not well-formed XML")]
    Malformed,
    #[error("XML with a document type or unknown entities")]
    Entities,
    #[error("XML of more than {MAX_ELEMENTS} elements or {MAX_DEPTH} levels")]
    TooLarge,
}

impl Element {
    /// Reads a document.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, NotXml> {
        let text = String::from_utf8_lossy(bytes);
        let mut reader = NsReader::from_str(&text);
        reader.config_mut().expand_empty_elements = true;
        let mut tree = Tree::default();
        loop {
            let (namespace, event) = reader
                .read_resolved_event()
                .map_err(|_| NotXml::Malformed)?;
            match event {
                Event::Start(start) => tree.open(Self::new(&namespace, &start)?)?,
                Event::End(_) => {
                    if let Some(root) = tree.close() {
                        return Ok(root);
                    }
                }
                Event::Text(text) => tree.text(&text.decode().map_err(|_| NotXml::Malformed)?),
                Event::CData(text) => tree.text(&text.decode().map_err(|_| NotXml::Malformed)?),
                Event::GeneralRef(reference) => tree.text(&character(&reference)?),
                Event::DocType(_) => return Err(NotXml::Entities),
                Event::Eof => return Err(NotXml::Malformed),
                Event::Empty(_) | Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            }
        }
    }

    fn new(namespace: &ResolveResult<'_>, start: &BytesStart<'_>) -> Result<Self, NotXml> {
        let namespace = match namespace {
            ResolveResult::Bound(uri) => Some(lossy(uri.as_ref())),
            ResolveResult::Unbound | ResolveResult::Unknown(_) => None,
        };
        let mut attributes = Vec::new();
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|_| NotXml::Malformed)?;
            let value = attribute.normalized_value(XmlVersion::Implicit1_0);
            let value = value.map_err(|_| NotXml::Entities)?;
            attributes.push((
                lossy(attribute.key.local_name().as_ref()),
                value.into_owned(),
            ));
        }
        Ok(Self {
            namespace,
            name: lossy(start.local_name().as_ref()),
            attributes,
            ..Self::default()
        })
    }

    /// The first child of that name.
    pub(super) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|c| c.name == name)
    }

    /// The descendant at the end of a path of children.
    pub(super) fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter()
            .try_fold(self, |element, name| element.child(name))
    }

    /// The first of that name among this and all below.
    pub(super) fn find(&self, name: &str) -> Option<&Self> {
        match self.name == name {
            true => Some(self),
            false => self.children.iter().find_map(|c| c.find(name)),
        }
    }

    /// Its text without space around it.
    pub(super) fn trimmed(&self) -> &str {
        self.text.trim()
    }

    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.as_str())
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// `&lt;` and `&#60;`.
fn character(reference: &BytesRef<'_>) -> Result<String, NotXml> {
    if let Some(c) = reference
        .resolve_char_ref()
        .map_err(|_| NotXml::Malformed)?
    {
        return Ok(c.to_string());
    }
    let name = reference.decode().map_err(|_| NotXml::Malformed)?;
    let known = resolve_predefined_entity(&name).ok_or(NotXml::Entities)?;
    Ok(known.to_owned())
}

/// The elements that are open, from the root.
#[derive(Default)]
struct Tree {
    open: Vec<Element>,
    elements: usize,
}

impl Tree {
    fn open(&mut self, element: Element) -> Result<(), NotXml> {
        self.elements += 1;
        if self.elements > MAX_ELEMENTS || self.open.len() >= MAX_DEPTH {
            return Err(NotXml::TooLarge);
        }
        self.open.push(element);
        Ok(())
    }

    /// The root, once it is closed.
    fn close(&mut self) -> Option<Element> {
        let closed = self.open.pop()?;
        match self.open.last_mut() {
            Some(parent) => {
                parent.children.push(closed);
                None
            }
            None => Some(closed),
        }
    }

    fn text(&mut self, text: &str) {
        if let Some(element) = self.open.last_mut() {
            element.text.push_str(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_without_prefix_and_namespaces_are_resolved() {
        let xml = br#"<?xml version="1.0"?><!-- x --><a:A xmlns:a="urn:a" xmlns="urn:b" a:k="v&amp;&#x77;">
            <B> t&lt;<![CDATA[<x>]]></B><C/></a:A>"#;
        let root = Element::parse(xml).expect("it is well-formed");
        assert_eq!(
            (root.name.as_str(), root.namespace.as_deref()),
            ("A", Some("urn:a"))
        );
        assert_eq!(root.attribute("k"), Some("v&w"));
        let b = root.find("B").expect("it is there");
        assert_eq!(
            (b.trimmed(), b.namespace.as_deref()),
            ("t<<x>", Some("urn:b"))
        );
        assert!(root.at(&["C"]).is_some() && root.at(&["B", "C"]).is_none());
    }

    #[test]
    fn entities_are_not_expanded() {
        let bomb = br#"<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><r>&b;</r>"#;
        assert_eq!(Element::parse(bomb), Err(NotXml::Entities));
        assert_eq!(Element::parse(b"<r>&b;</r>"), Err(NotXml::Entities));
        assert_eq!(Element::parse(b"<r a='&b;'/>"), Err(NotXml::Entities));
        let file = br#"<!DOCTYPE r SYSTEM "file:///etc/passwd"><r/>"#;
        assert_eq!(Element::parse(file), Err(NotXml::Entities));
    }

    #[test]
    fn what_is_not_xml() {
        for text in [
            "",
            "x",
            "<a>",
            "<a></b>",
            "<a",
            "<a b></a>",
            "{\"a\":1}",
            "<a>&#xffffffff;</a>",
            "</a>",
        ] {
            assert!(Element::parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn depth_and_number_are_limited() {
        let deep = format!("{}{}", "<a>".repeat(33), "</a>".repeat(33));
        assert_eq!(Element::parse(deep.as_bytes()), Err(NotXml::TooLarge));
        let many = format!("<a>{}</a>", "<b/>".repeat(20_000));
        assert_eq!(Element::parse(many.as_bytes()), Err(NotXml::TooLarge));
    }

    proptest! {
        #[test]
        fn no_document_is_too_strange(text in "(<[a:/!?]{0,3}[a-c]{0,2}( [a-c]='&?[a-c]*;?')?/?>|&[a-z#0-9]{0,5};?|[a-c ]|<!\\[CDATA\\[|\\]\\]>|\\PC){0,40}") {
            let _ = Element::parse(text.as_bytes());
        }
    }
}
